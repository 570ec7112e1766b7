//! [`Clock`]: nanoseconds by the time-stamp counter, for poll loops.

use std::time::Instant;

/// A clock that only rises. Any thread may have a copy; all count from when the first was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
    /// Nanoseconds a tick, times 2^32; 0: no counter to go by.
    scale: u64,
    since: Instant,
}

impl Clock {
    /// A clock by DPDK's notion of the counter's frequency.
    pub fn new(_eal: &rte::Eal) -> Self {
        // SAFETY: EAL is initialised.
        let hz = unsafe { dpdk_sys::rte_get_tsc_hz() };
        let scale = if hz == 0 || !cfg!(target_arch = "x86_64") {
            0
        } else {
            ((1_000_000_000_u128 << 32) / u128::from(hz)) as u64
        };
        Self { start: ticks(), scale, since: Instant::now() }
    }

    /// Nanoseconds since the clock was made.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        if self.scale == 0 {
            return self.since.elapsed().as_nanos() as u64;
        }
        let ticks = ticks().wrapping_sub(self.start);
        ((u128::from(ticks) * u128::from(self.scale)) >> 32) as u64
    }
}

/// The counter.
#[inline(always)]
fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and Linux lets user space execute it.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}
