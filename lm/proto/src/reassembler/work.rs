//! Counts the steps of the reassembler, in tests only: links followed, words of bitmaps read, entries looked
//! at.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// One step.
#[inline]
pub(super) fn step() {
    #[cfg(test)]
    STEPS.set(STEPS.get() + 1);
}

/// Steps that this thread took so far.
#[cfg(test)]
pub(super) fn steps() -> u64 {
    STEPS.get()
}
