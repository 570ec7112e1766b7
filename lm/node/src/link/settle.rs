//! What a poll does besides, once the messages have been given out.

use std::time::Instant;

use super::Link;
use crate::watch::Seen;

impl Link {
    /// The second half of [`Link::receive`], behind a [`Link::take`] that found so many `frames`: admission
    /// control has its turn, neighbours are asked, and urgent frames go. Returns how much there was to do.
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

    /// Shows itself outside, if somebody wants to see it.
    #[inline]
    pub(super) fn show(&self) {
        if let Some(board) = self.board.as_ref().filter(|board| board.is_wanted()) {
            board.put(Seen::of(self));
        }
    }
}
