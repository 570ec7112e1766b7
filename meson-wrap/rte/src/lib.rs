//! Safe owners for the parts of DPDK that LM uses, and no more.
//!
//! DPDK's own rules are about time and threads: what must be initialised before what, who may call what at
//! once, what must be gone before what is freed. Here they are ownership. In order of use:
//!
//! * [`eal`]: [`Eal`] is the environment, one in a process. Every other owner holds a clone of it, so its
//!   clean-up comes last by construction, or is refused.
//! * [`hugefiles`]: what EAL leaves behind of its memory, and whose it was.
//! * [`log`]: DPDK's log becomes records of the `log` crate, and what DPDK complained about explains an
//!   [`EalError`].
//! * [`lcore`]: closures on worker lcores. A [`Join`](lcore::Join) waits when it is dropped, so nothing that
//!   runs outlives what it runs on.
//! * [`memzone`]: named memory that devices reach, and its addresses for them.
//! * [`mempool`]: DPDK's stock pool of mbufs, and pools whose handler is written in Rust, which decides where
//!   each received frame lands. A pool is not freed while mbufs of it are around.
//! * [`mbuf`]: an owned packet, and the burst of packets that queues take and give.
//! * [`frag`]: DPDK's own IPv4 fragmentation and reassembly, which LM is compared with.
//! * [`telemetry`]: commands of one's own for `dpdk-telemetry.py`.
//! * [`port`]: Ethernet ports. A started port hands its queues out, one owner each, and cannot be stopped
//!   before they are back.
//!
//! The order of the end: join lcores, drop queues, stop and close ports, then pools, memzones, EAL. Rust's
//! drop order may differ; then the later owner keeps the earlier thing alive.
//!
//! Errors say what happened, with which values, and what to do. [`Errno`] is DPDK's number and text.
//!
//! What remains `unsafe` to call: adopting an EAL that somebody else initialised, raw mbufs, external
//! buffers, and feeding a queue from a pool that belongs to one thread.

pub mod eal;
mod ending;
mod errno;
pub mod frag;
pub mod hugefiles;
pub mod lcore;
pub mod log;
pub mod mbuf;
pub mod mempool;
pub mod memzone;
pub mod port;
pub mod telemetry;

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
