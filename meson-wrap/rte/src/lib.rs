//! Safe owners for the parts of DPDK that LM uses, and no more.
//!
//! DPDK has rules about order and threads: which object must be initialised before another one, which
//! functions may run at the same time, and what must be closed before memory is freed. This crate expresses
//! these rules by ownership. The modules in order of use:
//!
//! * [`eal`]: [`Eal`] is the environment, one in a process. Every other owner holds a clone of it, so its
//!   clean-up comes last by construction, or is refused. `ending` handles the case that DPDK ends the process
//!   meanwhile.
//! * [`hugefiles`]: the hugepage files that EAL leaves behind, and the process that made them.
//! * [`log`]: turns DPDK's log into records of the `log` crate, and adds DPDK's error messages to an
//!   [`EalError`].
//! * [`lcore`]: closures on worker lcores. A [`Join`](lcore::Join) waits when it is dropped, so nothing that
//!   runs outlives what it runs on.
//! * [`memzone`]: named memory that devices reach, and its addresses for them.
//! * [`mempool`]: DPDK's stock pool of mbufs, and pools whose handler is written in Rust, which decides where
//!   each received frame lands. A pool is not freed while mbufs of it are around.
//! * [`mbuf`]: an owned packet, and the burst of packets that queues take and give.
//! * [`frag`]: DPDK's own IPv4 fragmentation and reassembly, which LM is compared with.
//! * [`tcp`]: DPDK's own segmentation of long TCP, and its joining of segments.
//! * [`barrier`]: a memory barrier between two threads for which only one of them pays.
//! * [`telemetry`]: registers commands for `dpdk-telemetry.py`.
//! * [`port`]: Ethernet ports. A started port hands its queues out, one owner each, and cannot be stopped
//!   before they are back. `interrupts` waits for DPDK's interrupt thread, which may still use a port that is
//!   closed. `unmap`, with the feature of that name, keeps net_memif from unmapping memory that a burst still
//!   uses.
//!
//! The order at the end of a program is: join lcores, drop queues, stop and close ports, then drop pools,
//! memzones and EAL. If values are dropped in another order, each owner keeps what it needs alive.
//!
//! Errors say what happened, with which values, and what to do. [`Errno`], in `errno`, is DPDK's number and
//! text. `debug_is_display` prints errors that `main` returns.
//!
//! These remain `unsafe` to call: adopting an EAL that other code initialised, raw mbufs, external buffers,
//! and setting up a queue with a pool that belongs to one thread.

pub mod barrier;
mod debug_is_display;
pub mod eal;
mod ending;
mod errno;
pub mod frag;
pub mod hugefiles;
mod interrupts;
pub mod lcore;
pub mod log;
pub mod mbuf;
pub mod mempool;
pub mod memzone;
pub mod port;
pub mod tcp;
pub mod telemetry;
#[cfg(feature = "unmap")]
mod unmap;

/// The raw bindings, for applications that call DPDK themselves.
pub use dpdk_sys as sys;
pub use eal::{Eal, EalError, Release};
pub use errno::Errno;
pub use mbuf::{Burst, Mbuf};

/// The time-stamp counter, which needs no EAL; 0 where there is none.
#[inline]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and Linux lets user space execute it.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// Ticks of the time-stamp counter in a second, as DPDK found out.
pub fn ticks_per_second(_eal: &Eal) -> u64 {
    // SAFETY: EAL is initialised.
    unsafe { dpdk_sys::rte_get_tsc_hz() }
}
