//! [`Instant`]: time as the caller passes it in. The crate reads no clock.
//!
//! Every call of [`Node`](crate::Node) that depends on time takes one. Sums and differences saturate: they
//! never overflow and never become negative.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment on one node's monotonic clock, in nanoseconds since an epoch of the caller's choice.
///
/// No two nodes share an epoch and nothing here reads a clock: a moment never goes on the wire, only
/// durations do.
///
/// ```
/// use ac::Instant;
/// use std::time::Duration;
/// let moment = Instant::from_nanos(5) + Duration::from_nanos(7);
/// assert_eq!(moment.since(Instant::ZERO), Duration::from_nanos(12));
/// assert_eq!(Instant::ZERO.since(moment), Duration::ZERO, "not negative");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);

    /// The moment `nanos` nanoseconds after the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns", self.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}
