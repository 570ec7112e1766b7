//! The program's own munmap(2), with which net_memif unmaps the memory of a peer that has gone away.
//!
//! Feature `unmap` of this crate. A program that has it defines the symbol `munmap`. DPDK's drivers, which
//! are loaded later, call that one. On DPDK's interrupt thread it first waits until the bursts that are under
//! way have ended ([`let_turns_end`](crate::port::let_turns_end)). Without the feature, a burst that is under
//! way when a peer of net_memif goes away can end the process by SIGSEGV.

use std::ffi::{c_int, c_void};

/// munmap(2).
///
/// # Safety
/// That of munmap(2): nobody uses the memory any more.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn munmap(address: *mut c_void, len: usize) -> c_int {
    crate::port::let_turns_end();
    // SAFETY: the caller's promise. The system call sets errno, as munmap(2) does.
    unsafe { libc::syscall(libc::SYS_munmap, address, len) as c_int }
}
