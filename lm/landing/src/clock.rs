//! [`Clock`]: nanoseconds by the time-stamp counter, for poll loops.
//!
//! The engine (`lm-engine`) reads it to know how long frames have waited. A look costs a few instructions and
//! no system call. Where DPDK does not know the counter's frequency, or the machine is no x86-64, the clock
//! of the standard library is read instead.

use std::time::Instant;

use rte::ticks;

/// A clock that never goes back. Any thread may have a copy. All copies count from the moment at which the
/// first was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
    /// Nanoseconds a tick, times 2^32. 0: the counter is not used.
    scale: u64,
    since: Instant,
}

impl Clock {
    /// A clock that counts from now, at the counter's frequency as DPDK knows it.
    pub fn new(eal: &rte::Eal) -> Self {
        Self::of_frequency(rte::ticks_per_second(eal))
    }

    /// A clock that counts from now, by a counter of `hz` ticks a second. 0: nobody knows.
    pub fn of_frequency(hz: u64) -> Self {
        let scale = if hz == 0 || !cfg!(target_arch = "x86_64") {
            0
        } else {
            ((1_000_000_000_u128 << 32) / u128::from(hz)) as u64
        };
        Self { start: ticks(), scale, since: Instant::now() }
    }

    /// Nanoseconds since the clock was made.
    #[inline]
    pub fn now(&self) -> u64 {
        if self.scale == 0 {
            return self.since.elapsed().as_nanos() as u64;
        }
        let ticks = ticks().wrapping_sub(self.start);
        ((u128::from(ticks) * u128::from(self.scale)) >> 32) as u64
    }
}
