//! Drops frames that have waited too long, the oldest first, and no younger ones with them.
//!
//! The matcher calls [`Matcher::shed`] at each look while its log has frames. A frame is due when `WINDOW`
//! frames have come after it, or after `PATIENCE`. Several due frames are dropped together. They are counted,
//! and their slots go back to the memory.

use super::Matcher;
use super::log::Moment;
use crate::counters::Reason;
use crate::frame::Slots;
use crate::slot_memory::SlotMemory;

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Drops frames that have waited too long, and frames of a run that is too long to be a datagram.
    pub(super) fn shed<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        if self.log.run() > 0 {
            self.shed_waiting(memory);
        }
        let most = self.config.geometry.max_fragments();
        if self.run_len() > most && self.is_auto() {
            self.unfold();
            self.judge_run(true, memory);
        }
        if self.run_len() > 2 * most {
            // No datagram has so many frames, so the oldest ones belong to no datagram that may still come.
            self.unfold();
            self.log.begin_run(self.log.len() - most, self.moment());
        }
        if self.stale.0 != self.begun {
            self.stale = (self.begun, self.now);
        } else if self.log.has_run() && self.now.saturating_sub(self.stale.1) > Self::PATIENCE {
            self.unfold();
            self.leave();
            self.drop_oldest(self.log.len(), memory);
        }
    }

    fn shed_waiting<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        let Moment { frames, now } = self.moment();
        let due = self.log.older_than(Moment {
            frames: frames.saturating_sub(Self::WINDOW),
            now: now.saturating_sub(Self::PATIENCE),
        });
        let late = self
            .log
            .older_than(Moment { frames: 0, now: now.saturating_sub(Self::PATIENCE + Self::GAP / 2) });
        if due >= Self::SHED || due == self.log.run() || late > 0 {
            self.drop_oldest(due, memory);
        }
    }

    /// Drops the oldest frames of the log.
    pub(super) fn drop_oldest<M: SlotMemory<Buf = B, Slots = S>>(&mut self, n: usize, memory: &mut M) {
        if n == 0 {
            return;
        }
        self.judge_dropped(n, memory);
        self.log.remove(0..n).for_each(|slots| memory.release(slots));
        self.counters.drop_many(Reason::LostFrame, n as u64);
        if self.log.is_empty() {
            self.open_gap();
        }
    }
}
