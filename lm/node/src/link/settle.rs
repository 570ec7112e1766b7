//! The second half of a poll, after the messages have been given out: admission control, ARP, and what the
//! queue has not taken yet.
//!
//! [`Link::receive`] calls it. Programs that call [`Link::take`] themselves (the crate `lm`) call it when
//! they have answered the messages, and before the next poll. It never blocks.

use std::time::Instant;

use super::Link;
use crate::watch::Status;

impl Link {
    /// The second half of [`Link::receive`], after a [`Link::take`] that found this many `frames`. Admission
    /// control takes a turn, neighbours are asked, and urgent frames are sent. Returns how much admission
    /// control had to do.
    #[inline]
    pub fn settle(&mut self, frames: usize, now: Instant) -> usize {
        let outlet = &mut self.outlet;
        let mut done = 0;
        if outlet.admission.is_some() {
            let now = if frames > 0 { Instant::now() } else { now };
            done = outlet.admission_turn(now, &mut self.receivers);
        }
        outlet.ask_neighbours(now);
        // Urgent frames may have waited for room in the queue.
        outlet.sender.flush();
        self.show();
        done
    }

    /// The status of the link at this moment.
    #[cold]
    fn status(&self) -> Status {
        Status {
            up: self.outlet.is_up(),
            tally: self.tally(),
            queues: self.receivers.iter().map(|receiver| receiver.counters()).collect(),
            pool: self.pool(),
            peers: self.outlet.resolver.known(),
            admission: self.outlet.admission.as_ref().map_or_else(Vec::new, |a| a.numbers()),
        }
    }

    /// Publishes the link's counters, if a reader has asked for them.
    #[inline]
    pub(super) fn show(&self) {
        if let Some(board) = self.board.as_ref().filter(|board| board.is_wanted()) {
            board.put(self.status());
        }
    }
}
