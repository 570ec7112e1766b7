//! [`Histogram`]: durations, counted in classes less than 1 % wide, for quantiles of runs of any length.
//!
//! The classes are HDR histogram's: powers of two, each cut into equal parts. Only classes that occurred are
//! kept, and not an array of all as the crate `hdrhistogram` has it, because lm-testpmd keeps a histogram for
//! each of up to 65,507 sizes. They are kept in one block of memory, which grows by doubling: a duration that
//! is the first of its class allocates nothing as a rule, and a copy of a histogram is one allocation.

/// Classes in each power of two: 2^7.
const BITS: u32 = 7;

/// Durations in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    /// The classes that have occurred, in order, and how often.
    classes: Vec<(u16, u64)>,
    count: u64,
    min: u64,
    max: u64,
}

/// The class of a duration: exact below 2^8 ns, then its 8 highest bits and where they lie.
fn class(ns: u64) -> u16 {
    let shift = (64 - ns.leading_zeros()).saturating_sub(BITS + 1);
    ((shift << BITS) + (ns >> shift) as u32) as u16
}

/// The middle of a class.
fn middle(class: u16) -> u64 {
    let class = u64::from(class);
    let shift = (class >> BITS).saturating_sub(1);
    let lowest = (class - (shift << BITS)) << shift;
    lowest + ((1 << shift) >> 1)
}

impl Histogram {
    /// Counts a duration.
    pub(crate) fn add(&mut self, ns: u64) {
        self.count_in(class(ns), 1);
        self.min = if self.count == 0 { ns } else { self.min.min(ns) };
        self.max = self.max.max(ns);
        self.count += 1;
    }

    /// Adds the counts of another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.classes.reserve(other.classes.len());
        for &(class, n) in &other.classes {
            self.count_in(class, n);
        }
    }

    fn count_in(&mut self, class: u16, n: u64) {
        match self.classes.binary_search_by_key(&class, |&(class, _)| class) {
            Ok(at) => self.classes[at].1 += n,
            Err(at) => self.classes.insert(at, (class, n)),
        }
    }

    /// How many durations were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The shortest; `None` if there is none.
    pub(crate) fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The longest.
    pub(crate) fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The duration that the share `part` (0..=1) of all does not exceed, to 1 %.
    pub(crate) fn quantile(&self, part: f64) -> Option<u64> {
        let rank = ((self.count as f64 * part).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let found = self.classes.iter().find(|&&(_, n)| {
            seen += n;
            seen >= rank
        });
        found.map(|&(class, _)| middle(class).clamp(self.min, self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_narrow_and_in_order() {
        let mut last = 0;
        for ns in (0..100_000).chain((100_000..u64::from(u32::MAX) * 4).step_by(1_000_003)) {
            let c = class(ns);
            assert!(c >= last, "{ns}");
            last = c;
            assert!(middle(c).abs_diff(ns) <= ns / 128, "{ns} is counted as {}", middle(c));
        }
    }

    #[test]
    fn quantiles() {
        let mut h = Histogram::default();
        assert_eq!((h.quantile(0.5), h.min(), h.max()), (None, None, None));
        (1..=100).for_each(|ns| h.add(ns));
        assert_eq!(
            (h.min(), h.quantile(0.5), h.quantile(0.99), h.max()),
            (Some(1), Some(50), Some(99), Some(100))
        );
        let mut both = Histogram::default();
        both.merge(&h);
        both.merge(&h);
        assert_eq!((both.count(), both.quantile(0.5), both.min()), (200, Some(50), Some(1)));
    }
}
