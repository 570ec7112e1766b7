//! An asymmetric memory barrier: one side costs nothing, and the other a system call.
//!
//! membarrier(2) with `PRIVATE_EXPEDITED` makes every running thread of the process execute a full memory
//! barrier before the call returns. A thread that is not running executed one when it was scheduled out. So
//! the thread that calls [`heavy`] pays for both sides, and [`light`] only has to keep the compiler from
//! moving an access across it: the barrier takes effect in the other thread either before or after that point
//! of its program. Together they order the same accesses as two sequentially consistent fences, one in each
//! thread.

use std::io;
use std::sync::atomic::{Ordering, compiler_fence};

/// Makes [`heavy`] possible. It may be called any number of times.
///
/// # Errors
/// The kernel has no membarrier(2), or a filter of system calls forbids it.
pub fn register() -> io::Result<()> {
    membarrier(REGISTER_PRIVATE_EXPEDITED)
}

/// The side of the barrier that costs nothing.
#[inline]
pub fn light() {
    compiler_fence(Ordering::SeqCst);
}

/// The side of the barrier that costs a system call. Either this thread now sees what another one stored
/// before its [`light`], or that one sees after it what this thread stored before.
///
/// # Errors
/// There was no barrier: [`register`] was not called, or the kernel refuses the call.
pub fn heavy() -> io::Result<()> {
    membarrier(PRIVATE_EXPEDITED)
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
        heavy().expect("registered");
        assert!(membarrier(1 << 20).is_err(), "a failure is told");
    }
}
