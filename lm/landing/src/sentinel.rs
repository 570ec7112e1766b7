//! The mark: a word in the middle of each overlapping slot, which shows whether a device has written there.
//!
//! If the device writes at any time, the headers of the newest frame can be overwritten at any moment by the
//! frame below. Only that frame reaches them, with the end of its payload. Every device on which slots
//! overlap writes the middle of a frame before its end: writes that a device makes in order, and
//! `rte_memcpy`, go from the start to the end; the C library's `memcpy` of such a length writes the ends
//! last. So if a receiver reads headers, and *then* finds the mark below still there, the headers were
//! intact.
//!
//! The mark is written when a slot is issued, before its address is known to any device. It is a random
//! number of the pool, which cannot be known on the wire.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ptr;
use std::sync::atomic::{Ordering, fence};

use lm_proto::slot_memory::Below;

/// How many slots without a slot below them are remembered. Such slots are at the region's end, above a
/// bounce slot, above a chunk in use, and where the layout changes. A ring has a few of them.
const GAPS: usize = 64;

/// The word of the marks, and the slots without a slot below them.
pub(crate) struct Sentinel {
    /// The word. 0: slots are not marked.
    word: u64,
    /// The distance from a slot's payload to its middle.
    middle: usize,
    /// The payload address of such a slot, and its number in the order in which slots were issued.
    above_gaps: [(usize, u64); GAPS],
    next: usize,
}

impl Sentinel {
    /// Marks for slots of this stride. `marks`: whether slots are marked at all.
    pub(crate) fn new(stride: usize, marks: bool) -> Self {
        let word = if marks { RandomState::new().build_hasher().finish() | 1 } else { 0 };
        Self { word, middle: (stride / 2) & !7, above_gaps: [(0, 0); GAPS], next: 0 }
    }

    /// Marks `n` overlapping slots that were just issued. Each lies `stride` below the one before, and the
    /// first lies below `above`.
    ///
    /// # Safety
    /// The slots lie in the region, and nobody knows of them yet.
    #[inline]
    pub(crate) unsafe fn mark(&self, above: usize, n: usize, stride: usize) {
        if self.word == 0 {
            return;
        }
        let mut at = above + self.middle;
        for _ in 0..n {
            at -= stride;
            // SAFETY: inside a slot, whose payload begins at a multiple of 8, as the stride and the middle
            // are.
            unsafe { ptr::write_volatile(at as *mut u64, self.word) };
        }
    }

    /// Notes that there is no slot right below the one at `at`, which was the `cut`th to be issued.
    pub(crate) fn note_gap_below(&mut self, at: usize, cut: u64) {
        self.above_gaps[self.next] = (at, cut);
        self.next = (self.next + 1) % GAPS;
    }

    /// The address of the mark of the slot below.
    pub(crate) fn below(&self, at: usize, stride: usize) -> usize {
        (at + self.middle).wrapping_sub(stride)
    }

    /// What the `word` at the address of [`Sentinel::below`] tells. It was read after the headers of a slot
    /// that was issued after the `oldest`th one. `newest`: no slot was issued after it.
    pub(crate) fn tell(&self, at: usize, oldest: u64, word: Option<u64>, newest: bool) -> Below {
        let is_above_gap = || self.above_gaps.iter().any(|&(above, cut)| above == at && cut >= oldest);
        if self.word == 0 {
            Below::Unknown
        } else if newest || word == Some(self.word) || is_above_gap() {
            Below::Untouched
        } else {
            Below::Touched
        }
    }
}

/// Reads a word, after everything that the program reads before.
///
/// # Safety
/// A valid address, a multiple of 8. A device may be writing there.
pub(crate) unsafe fn read_behind(at: usize) -> u64 {
    fence(Ordering::Acquire);
    // SAFETY: the caller's promise.
    unsafe { ptr::read_volatile(at as *const u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_gone_or_was_never_asked_for_proves_nothing() {
        let off = Sentinel::new(1480, false);
        assert_eq!(off.tell(4096, 0, Some(0), false), Below::Unknown);
        let on = Sentinel::new(1480, true);
        assert_eq!(on.tell(4096, 0, Some(on.word), false), Below::Untouched);
        assert_eq!(on.tell(4096, 0, Some(on.word ^ 2), false), Below::Touched);
        assert_eq!(on.tell(4096, 0, None, false), Below::Touched);
        assert_ne!(on.word, Sentinel::new(1480, true).word, "each pool has its own");
    }

    #[test]
    fn a_slot_above_a_gap_is_remembered_until_its_address_may_be_anothers() {
        let mut sentinel = Sentinel::new(1480, true);
        sentinel.note_gap_below(8192, 700);
        assert_eq!(sentinel.tell(8192, 200, None, false), Below::Untouched);
        assert_eq!(sentinel.tell(8200, 200, None, false), Below::Touched);
        assert_eq!(sentinel.tell(8192, 701, None, false), Below::Touched, "it was cut again since");
    }

    #[test]
    fn slots_are_marked_in_their_middle() {
        let mut memory = [0_u64; 1000];
        let base = memory.as_mut_ptr() as usize;
        let sentinel = Sentinel::new(1480, true);
        // SAFETY: three slots of 1480 bytes below the end of 8000.
        unsafe { sentinel.mark(base + 7000, 3, 1480) };
        for slot in 1..=3 {
            let above = base + 7000 - (slot - 1) * 1480;
            let at = sentinel.below(above, 1480);
            assert_eq!(at, above - 1480 + 736);
            assert_eq!(memory[(at - base) / 8], sentinel.word);
        }
        assert_eq!(memory.iter().filter(|&&w| w != 0).count(), 3);
    }
}
