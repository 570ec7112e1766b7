//! [`Pace`]: flush frames, a few at a time.

use std::time::{Duration, Instant};

/// Flush frames between two moments in which others may have the CPU: a small part of any ring.
pub const AT_ONCE: u16 = 64;

/// When flush frames may go.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    gap: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// [`AT_ONCE`] every `gap`; all at once where that is nothing.
    pub fn new(gap: Duration) -> Self {
        Self { gap, next: None }
    }

    /// How many of those that are `due` may go at `now`, and do.
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

    /// How long so many take.
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
        // The next one does not begin before its time.
        assert_eq!(pace.take(now, 10), 0);
        assert_eq!(
            (Pace::new(Duration::ZERO).take(start, 544), Pace::lasts(Duration::ZERO, 544)),
            (544, Duration::ZERO)
        );
    }
}
