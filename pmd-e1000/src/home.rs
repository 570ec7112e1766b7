//! The thread that a segment's holds come back on without atomic additions.
//!
//! Most messages are dropped on the lcore that polls the queue. A locked addition there would cost as much as matching
//! three frames, so that thread has a count of its own, which it alone writes. It is the thread that polled the queue
//! first and stays it, even when the queue moves to another: then holds come back by atomic addition everywhere.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread, by a number that no other thread of the process ever has. Not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadId(u64);

thread_local! {
    /// 0: none yet.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

impl ThreadId {
    /// This thread.
    pub(crate) fn current() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        CURRENT.with(|current| {
            if current.get() == 0 {
                current.set(NEXT.fetch_add(1, Ordering::Relaxed));
            }
            Self(current.get())
        })
    }
}

/// A place for one thread; the first one that settles has it for good.
#[derive(Debug)]
pub(crate) struct Home(AtomicU64);

/// Nobody's number, and not that of a thread without one.
const NOBODY: u64 = u64::MAX;

impl Default for Home {
    fn default() -> Self {
        Self(AtomicU64::new(NOBODY))
    }
}

impl Home {
    /// This thread settles, if nobody has, and if the kernel lets others wait for it ([`barrier`]).
    pub(crate) fn settle(&self) {
        if self.thread().is_none() && register() {
            let ThreadId(me) = ThreadId::current();
            // If another thread was first, it has the place.
            let _ = self.0.compare_exchange(NOBODY, me, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Whether this thread has it.
    #[inline(always)]
    pub(crate) fn is_here(&self) -> bool {
        // A thread that has no number yet reads 0 here, which is nobody's home.
        CURRENT.with(Cell::get) == self.0.load(Ordering::Relaxed)
    }

    /// Who has it.
    pub(crate) fn thread(&self) -> Option<ThreadId> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&id| id != NOBODY).map(ThreadId)
    }
}

// From linux/membarrier.h.
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: membarrier(2) takes three integers and touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Makes [`barrier`] possible; any number of times.
fn register() -> bool {
    membarrier(REGISTER_PRIVATE_EXPEDITED)
}

/// Every thread of the process passes a full memory barrier before this returns, so that threads which count at home
/// need none: what they stored before is seen now, or they see from now on what was stored before this.
pub(crate) fn barrier() {
    let done = membarrier(PRIVATE_EXPEDITED);
    debug_assert!(done, "registered before the home was settled");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thread_stays() {
        let home = Home::default();
        assert!(!home.is_here() && home.thread().is_none());
        home.settle();
        assert!(home.is_here());
        std::thread::scope(|s| {
            s.spawn(|| {
                home.settle();
                assert!(!home.is_here());
                assert_ne!(home.thread(), Some(ThreadId::current()));
            });
        });
        assert!(home.is_here());
        barrier();
    }
}
