//! What the protocol takes from the machine, as the model checker has it.
//!
//! membarrier(2) is a full barrier in the thread that calls it and, at some point of the call, in every
//! other: `meson-wrap/rte/src/barrier.rs` says why a fence where the other thread has [`light`] is what it
//! gives.

use std::cell::Cell;

pub(crate) use loom::sync::Mutex;
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// How the two sides of the barrier are modelled.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each program has one of them")]
pub(crate) enum Barrier {
    /// As two sequentially consistent fences.
    Fences,
    /// As two read-modify-writes of one word: whichever comes second sees all before the first. They order
    /// nothing against any other fence.
    Pairs,
    /// A mutant: fences, but the light side is forgotten.
    NoLight,
    /// A mutant: pairs, but the heavy side is forgotten.
    NoHeavy,
}

loom::thread_local! {
    static CURRENT: Cell<u64> = Cell::new(0);
}

loom::lazy_static! {
    static ref WORD: AtomicU32 = AtomicU32::new(0);
}

/// From now on this thread has this number.
pub(crate) fn be(number: u64) {
    CURRENT.with(|current| current.set(number));
}

pub(crate) fn current() -> u64 {
    CURRENT.with(Cell::get)
}

pub(crate) fn number() -> u64 {
    current()
}

/// The machine's is sequentially consistent, which the checker takes for less: the fence makes up for it.
pub(crate) fn add(counter: &AtomicU32, n: u32) {
    counter.fetch_add(n, Ordering::AcqRel);
    fence(Ordering::SeqCst);
}

pub(crate) fn light() {
    match super::BARRIER {
        Barrier::Fences => fence(Ordering::SeqCst),
        Barrier::Pairs | Barrier::NoHeavy => pair(),
        Barrier::NoLight => {}
    }
}

pub(crate) fn heavy() -> bool {
    match super::BARRIER {
        Barrier::Fences | Barrier::NoLight => fence(Ordering::SeqCst),
        Barrier::Pairs => pair(),
        Barrier::NoHeavy => {}
    }
    true
}

fn pair() {
    WORD.fetch_add(1, Ordering::AcqRel);
}
