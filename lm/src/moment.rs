//! [`Moment`]: the present time, for poll loops.
//!
//! A port asks for it in each poll. The standard library's clock costs as much as six polls that find
//! nothing, and what a port times (ARP, what waits to be sent) is counted in milliseconds.

use std::time::{Duration, Instant};

use lm_landing::Clock;

/// For how long the counter alone says how late it is. DPDK knows its frequency to 1 %, which is 1 µs in this
/// time.
const ALONE: u64 = 100_000;
/// The step of the time, in nanoseconds.
const STEP: u64 = 1000;

/// The present time, to some 2 microseconds. It goes on in steps of one, by the time-stamp counter, and is
/// compared with the standard library's clock every 100.
pub(crate) struct Moment {
    clock: Clock,
    time: Instant,
    /// What `clock` said at `time`.
    at: u64,
    /// When the standard library's clock was read last: its time, and what `clock` said.
    read: (Instant, u64),
}

impl Moment {
    pub(crate) fn new(eal: &rte::Eal) -> Self {
        Self::by(Clock::new(eal))
    }

    fn by(clock: Clock) -> Self {
        let (time, at) = (Instant::now(), clock.now());
        Self { clock, time, at, read: (time, at) }
    }

    /// The present time. It never goes back.
    #[inline]
    pub(crate) fn now(&mut self) -> Instant {
        let at = self.clock.now();
        // The counter of another processor may be behind: then the difference is large, too.
        if at.wrapping_sub(self.at) >= STEP {
            self.step(at);
        }
        self.time
    }

    fn step(&mut self, at: u64) {
        let (time, read_at) = self.read;
        let gone = at.wrapping_sub(read_at);
        let now = if gone < ALONE {
            time + Duration::from_nanos(gone)
        } else {
            // The counter is read behind it: a pause in between makes the time late, not early.
            self.read = (Instant::now(), self.clock.now());
            self.read.0
        };
        (self.time, self.at) = (self.time.max(now), at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counter's frequency.
    fn measured() -> u64 {
        let (begun, from) = (Instant::now(), rte::ticks());
        while begun.elapsed() < Duration::from_millis(20) {}
        let ticks = rte::ticks().wrapping_sub(from);
        (u128::from(ticks) * 1_000_000_000 / begun.elapsed().as_nanos()) as u64
    }

    #[test]
    fn it_goes_on_as_the_standard_clock_does() {
        let hz = measured();
        for hz in [0, hz, hz - hz / 100, hz + hz / 100] {
            let mut moment = Moment::by(Clock::of_frequency(hz));
            let (begun, mut last, mut steps) = (Instant::now(), moment.now(), 0);
            while begun.elapsed() < Duration::from_millis(5) {
                let before = Instant::now();
                let now = moment.now();
                let early = now.saturating_duration_since(Instant::now());
                let late = before.saturating_duration_since(now);
                assert!(early < Duration::from_micros(3), "{hz} Hz: it is {early:?} early");
                assert!(late < Duration::from_millis(1), "{hz} Hz: it is {late:?} late");
                assert!(now >= last, "{hz} Hz: it went back");
                steps += u32::from(now > last);
                last = now;
            }
            assert!(steps > 100, "{hz} Hz: it went on {steps} times in 5 ms");
        }
    }

    #[test]
    fn a_counter_that_goes_back_does_not_stop_the_time() {
        let mut moment = Moment::by(Clock::of_frequency(measured()));
        moment.at = moment.at.wrapping_add(1 << 40);
        moment.read.1 = moment.at;
        let begun = Instant::now();
        assert!(moment.now() >= begun);
    }
}
