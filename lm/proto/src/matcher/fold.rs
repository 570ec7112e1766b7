//! *Folds* full frames that continue the run: they get no entries in the log. Their number is kept, and the
//! newest token of the log has their slots. Most runs close without entries. [`Matcher::unfold`] makes the
//! entries if they are needed after all.

use super::{Matcher, NOWHERE};
use crate::frame::{Frame, Frames, Slot, Slots};
use crate::slot_memory::SlotMemory;

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Takes the next frames as long as they are full, and each lies right below the one before.
    #[inline]
    pub(super) fn push_expected<F: Frames<Slots = S>, M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frames: &mut F,
        memory: &M,
    ) {
        if self.below == NOWHERE {
            return;
        }
        let stride = self.config.geometry.stride();
        let n = frames.count_contiguous(self.below, stride, self.full, usize::MAX, 0, 0);
        if n == 0 {
            return;
        }
        if self.log.keeps_words() {
            frames.append_words(n, self.log.words_mut());
        }
        let Some(above) = self.log.newest_slots_mut() else { return };
        let Some(slots) = frames.take_counted(n) else { return };
        match memory.join(above, slots) {
            Ok(()) => {
                self.folded += n;
                self.go_below(self.below, n);
            }
            Err(slots) => self.fold_apart(slots, n, self.below),
        }
    }

    /// Folds `n` full frames from `at` downwards, which continue the run, when the newest token cannot take
    /// their slots. The first of them gets an entry with their token. Their words were added before.
    #[cold]
    pub(super) fn fold_apart(&mut self, slots: S, n: usize, at: usize) {
        self.unfold();
        self.log.push_after_word(self.full_at(at), slots);
        self.folded = n - 1;
        self.go_below(at, n);
    }

    /// Notes that `n` frames were received, in place from `at` downwards.
    #[inline]
    pub(super) fn go_below(&mut self, at: usize, n: usize) {
        self.fresh |= n > 0;
        self.counters.frames += n as u64;
        self.below = at.checked_sub(n * self.config.geometry.stride()).unwrap_or(NOWHERE);
    }

    /// The entry of a full frame in place at `at`.
    #[inline]
    pub(super) fn full_at(&self, at: usize) -> Frame {
        Frame { at, len: self.full, slot: Slot::Overlapping, bounce: 0 }
    }

    /// Enters the folded frames in the log.
    pub(super) fn unfold(&mut self) {
        if self.folded > 0 {
            self.log.extend_below(self.folded, self.full, self.config.geometry.stride());
            self.folded = 0;
        }
    }

    /// How many frames the run has.
    #[inline]
    pub(super) fn run_len(&self) -> usize {
        self.log.len() - self.log.run() + self.folded
    }

    /// The newest frame. The caller knows that there is one.
    #[inline]
    pub(super) fn newest(&self) -> Frame {
        let newest = &self.log[self.log.len() - 1];
        if self.folded == 0 {
            return *newest;
        }
        self.full_at(newest.at - self.folded * self.config.geometry.stride())
    }
}
