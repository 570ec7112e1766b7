//! The primitives that [`returns`](crate::returns) needs: atomics, a number for each thread, and the two
//! sides of an asymmetric memory barrier.
//!
//! membarrier(2) with `PRIVATE_EXPEDITED` makes every running thread of the process execute a full memory
//! barrier before the call returns. A thread that is not running executed one when it was scheduled out. So
//! the thread that calls [`heavy`] pays for both sides, and [`light`] only has to keep the compiler from
//! moving an access across it: the barrier takes effect in the other thread either before or after that point
//! of its program. Together they order the same accesses as two sequentially consistent fences, one in each
//! thread. The model checker sees them as such fences.

use std::cell::Cell;
use std::io;
pub(crate) use std::sync::Mutex;
use std::sync::atomic::compiler_fence;
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

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

/// The side of the barrier that costs nothing.
#[inline]
pub(crate) fn light() {
    compiler_fence(Ordering::SeqCst);
}

/// The side of the barrier that costs a system call. Returns whether it was done. Either this thread now sees
/// what another one stored before its [`light`], or that one sees after it what this thread stored before.
pub(crate) fn heavy() -> bool {
    match membarrier(PRIVATE_EXPEDITED) {
        Ok(()) => true,
        Err(e) => {
            log::error!(
                "membarrier(2) fails though it was registered: {e}; a landing region is kept until it works"
            );
            false
        }
    }
}

/// Makes [`heavy`] possible. It may be called any number of times.
///
/// # Errors
/// The kernel has no membarrier(2), or a filter of system calls forbids it.
pub(crate) fn register() -> io::Result<()> {
    membarrier(REGISTER_PRIVATE_EXPEDITED)
}

// From linux/membarrier.h.
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

fn membarrier(command: libc::c_int) -> io::Result<()> {
    // SAFETY: membarrier(2) takes three integers and touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } == 0;
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_barrier_works_once_it_is_registered() {
        register().expect("registered");
        assert!(heavy());
        assert!(membarrier(1 << 20).is_err(), "a failure is told");
    }
}
