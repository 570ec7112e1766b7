//! [`Pace`]: how many flush frames may be sent now.
//!
//! A flush has as many frames as a ring. On virtual devices and emulated cards no wire limits their rate, and
//! the receiver may share a CPU with the sender. It needs that CPU between two groups of flush frames, or its
//! ring overflows.

use std::time::{Duration, Instant};

/// Flush frames in one lot, after which others may have the CPU: a small part of any ring.
pub const AT_ONCE: u16 = 64;

/// Lets flush frames go in lots, with a pause between two of them.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    gap: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// A lot of [`AT_ONCE`] frames every `gap`. If `gap` is zero, there are no lots, and all go at once.
    pub fn new(gap: Duration) -> Self {
        Self { gap, next: None }
    }

    /// How many of the `due` frames may go at `now`. They count as gone.
    pub fn take(&mut self, now: Instant, due: u16) -> u16 {
        if self.gap.is_zero() {
            return due;
        }
        if self.next.is_some_and(|next| now < next) {
            return 0;
        }
        self.next = Some(now + self.gap);
        due.min(AT_ONCE)
    }

    /// How long it takes to send so many frames in lots, at most.
    pub fn lasts(gap: Duration, frames: u16) -> Duration {
        gap * u32::from(frames.div_ceil(AT_ONCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_takes_as_long_as_it_should() {
        let gap = Duration::from_micros(500);
        let (mut pace, start) = (Pace::new(gap), Instant::now());
        let (mut due, mut now) = (544, start);
        while due > 0 {
            due -= pace.take(now, due);
            now += gap / 4;
        }
        let took = now - start;
        assert!(took <= Pace::lasts(gap, 544) && took + gap > Pace::lasts(gap, 544), "{took:?}");
        // The next flush does not begin before its time.
        assert_eq!(pace.take(now, 10), 0);
        assert_eq!(
            (Pace::new(Duration::ZERO).take(start, 544), Pace::lasts(Duration::ZERO, 544)),
            (544, Duration::ZERO)
        );
    }
}
