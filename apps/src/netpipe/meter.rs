//! [`Meter`]: how much time a loop spends on work, and on polls that find nothing.
//!
//! A poll loop is always 100 % busy. So each poll is timed by the time-stamp counter. A poll that found or
//! sent something is work; one that found nothing is idle. (The paper counts the rounds of an idle process,
//! for the same reason.) A transport whose receive blocks has no empty polls: its work is the CPU time of its
//! thread. In QEMU's virtual time (`-icount shift=0`) a tick is an instruction.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::order::Account;

/// Ticks of the time-stamp counter, in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Ticks a second.
    pub(crate) hz: u64,
}

impl Rate {
    /// The rate, measured against the system's clock for 50 ms.
    pub(crate) fn measured() -> Self {
        let (began, ticks) = (Instant::now(), rte::ticks());
        while began.elapsed() < Duration::from_millis(50) {}
        let (ticks, ns) = (rte::ticks() - ticks, began.elapsed().as_nanos() as u64);
        Self { hz: (u128::from(ticks) * 1_000_000_000 / u128::from(ns.max(1))).max(1) as u64 }
    }

    /// In nanoseconds.
    #[inline]
    pub(crate) fn ns(self, ticks: u64) -> u64 {
        (u128::from(ticks) * 1_000_000_000 / u128::from(self.hz)) as u64
    }

    /// In ticks.
    pub(crate) fn ticks(self, time: Duration) -> u64 {
        (time.as_nanos() * u128::from(self.hz) / 1_000_000_000) as u64
    }
}

/// The account of a round.
pub(crate) struct Meter {
    /// Ticks in time.
    pub(crate) rate: Rate,
    account: Account,
    began: u64,
    cpu: u64,
    /// The end of the last poll.
    last: u64,
    /// Polls in a row that found nothing.
    pub(crate) idle_for: u32,
    first: Option<u64>,
    latest: u64,
}

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Meter {
    /// A round begins.
    pub(crate) fn begin(rate: Rate) -> Self {
        let now = rte::ticks();
        Self {
            rate,
            account: Account { hz: rate.hz, ..Account::default() },
            began: now,
            cpu: cpu_ns(),
            last: now,
            idle_for: 0,
            first: None,
            latest: 0,
        }
    }

    /// Begins to time something new. Returns the present tick.
    #[inline]
    pub(crate) fn mark(&mut self) -> u64 {
        self.last = rte::ticks();
        self.last
    }

    /// A poll, or an attempt to send, has ended; `worked`: it found or sent something. Returns the present
    /// tick.
    #[inline]
    pub(crate) fn lap(&mut self, worked: bool) -> u64 {
        let now = rte::ticks();
        let taken = now.wrapping_sub(self.last);
        self.last = now;
        if worked {
            self.account.work_ticks += taken;
            self.account.polls += 1;
            self.idle_for = 0;
        } else {
            self.account.idle_ticks += taken;
            self.account.empty_polls += 1;
            self.idle_for = self.idle_for.saturating_add(1);
        }
        now
    }

    /// Counts datagrams that were received up to `now`.
    #[inline]
    pub(crate) fn received(&mut self, datagrams: u64, bytes: u64, now: u64) {
        self.account.datagrams += datagrams;
        self.account.bytes += bytes;
        self.first.get_or_insert(now);
        self.latest = now;
    }

    /// The round is over; `copied` bytes were copied in it.
    pub(crate) fn end(&self, copied: u64) -> Account {
        Account {
            copied,
            span_ns: self.first.map_or(0, |first| self.rate.ns(self.latest - first)),
            cpu_ns: cpu_ns() - self.cpu,
            wall_ns: self.rate.ns(rte::ticks() - self.began),
            ..self.account
        }
    }
}

impl Account {
    /// Adds another round's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.span_ns += other.span_ns;
        self.copied += other.copied;
        self.work_ticks += other.work_ticks;
        self.idle_ticks += other.idle_ticks;
        self.polls += other.polls;
        self.empty_polls += other.empty_polls;
        self.cpu_ns += other.cpu_ns;
        self.wall_ns += other.wall_ns;
        self.hz = other.hz;
    }

    /// Work, ns: by polls, or by the thread's CPU time.
    pub(crate) fn work_ns(&self, is_polled: bool) -> u64 {
        if is_polled { Rate { hz: self.hz.max(1) }.ns(self.work_ticks) } else { self.cpu_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_sorted_by_what_they_found() {
        let mut meter = Meter::begin(Rate { hz: 1_000_000_000 });
        meter.lap(true);
        meter.lap(false);
        let now = meter.lap(false);
        assert_eq!(meter.idle_for, 2);
        meter.received(2, 100, now);
        let a = meter.end(7);
        assert_eq!((a.polls, a.empty_polls, a.datagrams, a.bytes, a.copied, a.span_ns), (1, 2, 2, 100, 7, 0));
        assert!(a.wall_ns >= a.work_ticks + a.idle_ticks);
    }

    #[test]
    fn a_rate_is_what_the_clock_says() {
        let rate = Rate { hz: 2_000_000_000 };
        assert_eq!((rate.ns(2000), rate.ticks(Duration::from_micros(1))), (1000, 2000));
        assert!(Rate::measured().hz > 0);
    }
}
