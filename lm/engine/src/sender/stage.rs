//! Puts frames into the transmit queue. Frames for which it has no space wait in order, and urgent frames go
//! before the next datagram.
//!
//! The other modules of the sender stage a datagram when [`Sender::is_clear`] says that the one before is
//! gone. Nothing here blocks, and what the queue does not take stays until the next [`Sender::flush`]. The
//! frames of a datagram stay together.

use rte::{Burst, Mbuf};

use lm_proto::order::Order;

use super::Sender;

impl Sender {
    /// Whether another mbuf may be in flight. Counting those in flight means a look at the cache of every
    /// lcore that DPDK could have. So they are counted only when all that were free at the last count may be
    /// in flight.
    pub(super) fn has_room(&mut self) -> bool {
        let Some(max) = self.config.in_flight else { return true };
        if self.room == 0 {
            self.room = max.saturating_sub(self.headers.in_use());
        }
        self.room > 0
    }

    /// Whether another datagram can be staged. If not, that is counted.
    pub(super) fn is_clear(&mut self) -> bool {
        let clear = self.may_stage();
        self.stats.would_block += u64::from(!clear);
        clear
    }

    /// The same for a caller that tries another way if not.
    pub(super) fn may_stage(&mut self) -> bool {
        let clear = self.flush() == 0;
        if clear && !self.has_room() {
            self.reclaim();
            return self.has_room();
        }
        clear
    }

    pub(super) fn stage(&mut self, bytes: usize) {
        self.stats.datagrams += 1;
        self.stats.bytes += bytes as u64;
        if self.order == Order::Forward && self.made.len() > 1 {
            // They were made last fragment first.
            self.made.reverse();
            self.stats.forward += 1;
        }
        if self.config.in_flight.is_some() {
            let segments = self.made.iter().map(|mbuf| u32::from(mbuf.nb_segs())).sum();
            self.room = self.room.saturating_sub(segments);
        }
        self.flush();
    }

    /// Stages a datagram of one frame. The caller has checked that nothing waits.
    #[inline]
    pub(super) fn stage_one(&mut self, frame: Mbuf, bytes: usize) {
        self.stats.datagrams += 1;
        self.stats.bytes += bytes as u64;
        self.room = self.room.saturating_sub(1);
        // The stage is empty.
        drop(self.staged.push(frame));
        self.push();
    }

    /// Gives up the datagram that was just made, without sending any of it.
    #[cold]
    pub(super) fn give_up(&mut self) {
        self.made.clear();
        self.stats.malformed += 1;
        log::error!("a datagram was given up: its frames do not have the lengths that their headers say");
    }

    /// Gives the queue what it did not take before. Returns how many frames still wait.
    #[inline]
    pub fn flush(&mut self) -> usize {
        // Nearly always, and then a poll in vain pays no more than this.
        if self.staged.is_empty() && self.made.is_empty() && self.urgent.is_empty() {
            return 0;
        }
        self.flush_waiting()
    }

    #[inline(never)]
    fn flush_waiting(&mut self) -> usize {
        self.push();
        // Room is looked for last: to count mbufs is expensive.
        while !self.urgent.is_empty()
            && self.staged.is_empty()
            && self.made.is_empty()
            && self.has_room()
            && let Some(frame) = self.urgent.pop_front()
        {
            self.room = self.room.saturating_sub(1);
            // The stage is empty.
            drop(self.staged.push(frame));
            self.push();
        }
        self.staged.len() + self.made.len() + self.urgent.len()
    }

    /// Gives the queue what is staged, and what did not fit there before.
    pub(super) fn push(&mut self) {
        if !self.made.is_empty() {
            self.staged.take_from(&mut self.made);
        }
        while !self.staged.is_empty() {
            let len = if self.config.refuses { self.staged.first_len() } else { None };
            let taken = self.tx.send(&mut self.staged);
            self.stats.frames += taken as u64;
            if len.is_some_and(|len| self.refusal.is_over(len, taken > 0)) {
                self.drop_refused();
            } else if taken == 0 || self.made.is_empty() {
                return;
            }
            self.staged.take_from(&mut self.made);
        }
    }

    /// Drops the frame that the device never takes.
    #[cold]
    fn drop_refused(&mut self) {
        let Some(frame) = self.staged.pop_first() else { return };
        if self.stats.refused == 0 {
            log::warn!(
                "port {}: the device does not take a frame of {} bytes, which is dropped: is its interface up, \
                 and its MTU that of LM?",
                self.tx.port(),
                frame.pkt_len()
            );
        }
        self.stats.refused += 1;
    }

    /// Has the driver free what it has sent. A driver that has no function for that does so when it is called
    /// to send, even if it is given nothing.
    pub(super) fn reclaim(&mut self) {
        if self.tx.done_cleanup(0).is_err() {
            self.tx.send(&mut Burst::<1>::new());
        }
    }
}
