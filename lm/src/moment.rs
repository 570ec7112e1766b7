//! [`Moment`]: the present time, for poll loops.
//!
//! A port asks for it in each poll. The standard library's clock costs as much as the rest of a poll that
//! finds nothing, and what a port times (ARP, what waits to be sent) is counted in milliseconds.

use std::time::Instant;

use rte::ticks;

/// The present time, not more than a microsecond ago. It is read anew when the time-stamp counter has gone
/// on for that long. Where there is no such counter, or DPDK does not know its frequency, it is read each
/// time.
pub(crate) struct Moment {
    read: Instant,
    /// The counter when the time was read.
    at: u64,
    /// The counter's ticks in a microsecond. 0: the counter is not used.
    ticks: u64,
}

impl Moment {
    pub(crate) fn new(eal: &rte::Eal) -> Self {
        let per_second = if cfg!(target_arch = "x86_64") { rte::ticks_per_second(eal) } else { 0 };
        Self { read: Instant::now(), at: ticks(), ticks: per_second / 1_000_000 }
    }

    /// The present time. It never goes back.
    #[inline]
    pub(crate) fn now(&mut self) -> Instant {
        let at = ticks();
        // The counter of another processor may be behind: then the difference is large, too.
        if at.wrapping_sub(self.at) >= self.ticks {
            (self.read, self.at) = (Instant::now(), at);
        }
        self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_read_anew_after_a_microsecond_or_each_time() {
        for ticks in [0, 3000] {
            let mut moment = Moment { read: Instant::now(), at: super::ticks(), ticks };
            let (first, begun) = (moment.now(), Instant::now());
            while begun.elapsed() < Duration::from_micros(100) {}
            let later = moment.now();
            assert!(later >= begun && later >= first && later.elapsed() < Duration::from_secs(1), "{ticks}");
        }
    }

    #[test]
    fn a_counter_that_goes_back_does_not_stop_the_time() {
        let (read, begun) = (Instant::now(), Instant::now());
        let mut moment = Moment { read, at: ticks().wrapping_add(1 << 40), ticks: 3000 };
        assert!(moment.now() >= begun);
    }
}
