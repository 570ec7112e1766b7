//! [`Latency`]: how long grants took, in octaves.

use core::fmt;
use core::time::Duration;

/// Octaves: up to 2^40 ns, 18 minutes.
const OCTAVES: usize = 40;

/// A histogram of durations: bucket `n` counts those of at least 2^n and less than 2^(n+1) nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    buckets: [u64; OCTAVES],
    longest: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: [0; OCTAVES], longest: Duration::ZERO }
    }
}

impl Latency {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let nanos = took.as_nanos().max(1);
        let octave = (nanos.ilog2() as usize).min(OCTAVES - 1);
        self.buckets[octave] += 1;
        self.longest = self.longest.max(took);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// Counts that are not zero, each with the least duration of its octave.
    pub fn octaves(&self) -> impl Iterator<Item = (Duration, u64)> {
        let all = self.buckets.iter().enumerate();
        all.filter(|(_, n)| **n > 0).map(|(octave, n)| (Duration::from_nanos(1 << octave), *n))
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} grants", self.count())?;
        for (from, n) in self.octaves() {
            write!(f, ", {n} in {from:?} to {:?}", from * 2)?;
        }
        if self.count() > 0 {
            write!(f, ", longest {:?}", self.longest)?;
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
        assert_eq!(octaves, [(1, 2), (2, 2), (4, 1), (512, 1), (1024, 1), (1 << 39, 1)]);
        assert_eq!((latency.count(), latency.longest()), (8, Duration::from_secs(1 << 20)));
    }
}
