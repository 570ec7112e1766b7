//! The primitives that [`returns`](crate::returns) needs: atomics, a number for each thread, and the two
//! sides of the asymmetric memory barrier [`rte::barrier`]. The model checker of `tests/returns` has a
//! platform of its own, whose barrier is made of what the checker knows.

use std::cell::Cell;
pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

pub(crate) use rte::barrier::{light, register};

thread_local! {
    /// 0: none yet.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

/// This thread's number, which no other thread of the process ever has. 0: it has none yet.
#[inline]
pub(crate) fn current() -> u64 {
    CURRENT.with(Cell::get)
}

/// This thread's number. A thread that has none gets one.
pub(crate) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    CURRENT.with(|current| {
        if current.get() == 0 {
            current.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        current.get()
    })
}

/// Adds to a counter that other threads add to; a full barrier.
#[inline]
pub(crate) fn add(counter: &AtomicU32, n: u32) {
    counter.fetch_add(n, Ordering::SeqCst);
}

/// The side of the barrier that costs a system call ([`rte::barrier::heavy`]). Returns whether it was done.
pub(crate) fn heavy() -> bool {
    match rte::barrier::heavy() {
        Ok(()) => true,
        Err(e) => {
            log::error!(
                "membarrier(2) fails though it was registered: {e}; a landing region is kept until it works"
            );
            false
        }
    }
}
