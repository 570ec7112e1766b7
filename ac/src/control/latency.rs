//! [`Latency`]: a histogram of the times from a request to its grant.
//!
//! [`Control`](super::Control) has one for its callers, and `lm-node` has one for each port, which its
//! reports show. A duration is counted in a class that is at most 1/32 of it wide. Durations of 2^40 ns (18
//! minutes) and more are all counted in the last class. Adding a duration allocates nothing.

use core::fmt;
use core::time::Duration;

/// Classes in each octave, as a power of two: each is at most 1/32 wide.
const BITS: u32 = 5;
/// Up to 2^40 ns, 18 minutes.
const CLASSES: usize = 36 << BITS;

/// A histogram of durations that allocates nothing once it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    classes: Box<[u64; CLASSES]>,
    count: u64,
    shortest: Duration,
    longest: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self { classes: Box::new([0; CLASSES]), count: 0, shortest: Duration::MAX, longest: Duration::ZERO }
    }
}

/// The class of a duration. Below 2^6 ns each duration has its own class. Above, the 6 highest bits and their
/// position determine the class.
fn class(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(BITS + 1);
    (((shift as usize) << BITS) + (nanos >> shift) as usize).min(CLASSES - 1)
}

/// The shortest duration of a class.
fn least(class: usize) -> u64 {
    let shift = (class >> BITS).saturating_sub(1);
    ((class - (shift << BITS)) as u64) << shift
}

impl Latency {
    /// Counts one duration.
    pub fn add(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.classes[class(nanos)] += 1;
        self.count += 1;
        self.shortest = self.shortest.min(took);
        self.longest = self.longest.max(took);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest duration that was counted.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The duration that `part` (0..=1) of the counted ones do not exceed, to 3 %. `None` if none was
    /// counted.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let rank = ((self.count as f64 * part).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let found = self.classes.iter().position(|n| {
            seen += n;
            seen >= rank
        });
        found.map(|class| Duration::from_nanos(least(class + 1) - 1).min(self.longest))
    }

    /// The count of each octave that is not empty, with the least duration of the octave.
    pub fn octaves(&self) -> impl Iterator<Item = (Duration, u64)> {
        let end = |at| if at == 39 { CLASSES } else { class(2_u64 << at) };
        let octave = move |at: u32| (1_u64 << at, class(1_u64 << at)..end(at));
        let sum = |(from, classes): (u64, core::ops::Range<usize>)| {
            (Duration::from_nanos(from), self.classes[classes].iter().sum())
        };
        let zero = (Duration::ZERO, self.classes[0]);
        core::iter::once(zero).chain((0..40).map(octave).map(sum)).filter(|(_, n)| *n > 0)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} grants", self.count())?;
        if self.count() > 0 {
            write!(f, ", shortest {:?}", self.shortest)?;
        }
        for (name, part) in [("median", 0.5), ("99 %", 0.99)] {
            if let Some(duration) = self.quantile(part) {
                write!(f, ", {name} {duration:?}")?;
            }
        }
        if self.count() > 0 {
            write!(f, ", longest {:?}", self.longest)?;
        }
        for (from, n) in self.octaves() {
            write!(f, ", {n} in {from:?} to {:?}", from * 2)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_its_octave() {
        let mut latency = Latency::default();
        for nanos in [0, 1, 2, 3, 4, 1023, 1024] {
            latency.add(Duration::from_nanos(nanos));
        }
        latency.add(Duration::from_secs(1 << 20));
        let octaves: Vec<_> = latency.octaves().map(|(from, n)| (from.as_nanos(), n)).collect();
        assert_eq!(octaves, [(0, 1), (1, 1), (2, 2), (4, 1), (512, 1), (1024, 1), (1 << 39, 1)]);
        assert_eq!((latency.count(), latency.longest()), (8, Duration::from_secs(1 << 20)));
    }

    #[test]
    fn classes_are_narrow_and_in_order() {
        let mut last = 0;
        for nanos in (0..10_000).chain((10_000..1 << 39).step_by(999_999_937)) {
            let class = class(nanos);
            assert!(class >= last, "{nanos}");
            last = class;
            let (from, to) = (least(class), least(class + 1));
            assert!((from..to).contains(&nanos) && (to - from) * 32 <= from.max(32), "{nanos}: {from}..{to}");
        }
    }

    #[test]
    fn quantiles_are_within_a_class() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        (1..=1000).for_each(|micros| latency.add(Duration::from_micros(micros)));
        for (part, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latency.quantile(part).expect("some").as_nanos() as f64 / 1000.0;
            assert!((micros..micros * 1.04).contains(&found), "{part}: {found}");
        }
    }
}
