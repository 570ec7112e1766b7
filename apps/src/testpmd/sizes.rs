//! [`Sizes`]: which payload sizes the tx and ping engines send, in which order.
//!
//! The sizes are a list with commas, which is repeated. Each item is `BYTES`; or `LO-HI`, a random size of
//! this range, drawn from the seed each time; or `LO-HI/STEP`, all sizes from `LO` to `HI` in steps.

use std::fmt;
use std::str::FromStr;

use lm_proto::wire::MAX_PAYLOAD;

use crate::pattern::SplitMix;

/// A list of sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizes(Vec<Item>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    One(usize),
    Random { lo: usize, hi: usize },
    Sweep { lo: usize, hi: usize, step: usize },
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|item| parse(item.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn parse(item: &str) -> Result<Item, String> {
    let number = |t: &str| t.parse::<usize>().ok().filter(|n| (1..=MAX_PAYLOAD).contains(n));
    let bad = || {
        format!(
            "{item:?} is no payload size: give BYTES, LO-HI or LO-HI/STEP within 1..={MAX_PAYLOAD}, \
             with commas"
        )
    };
    let Some((lo, rest)) = item.split_once('-') else { return number(item).map(Item::One).ok_or_else(bad) };
    let (hi, step) = match rest.split_once('/') {
        Some((hi, step)) => (hi, Some(number(step).ok_or_else(bad)?)),
        None => (rest, None),
    };
    match (number(lo), number(hi)) {
        (Some(lo), Some(hi)) if lo <= hi => Ok(match step {
            Some(step) => Item::Sweep { lo, hi, step },
            None => Item::Random { lo, hi },
        }),
        _ => Err(bad()),
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match item {
                Item::One(n) => write!(f, "{n}")?,
                Item::Random { lo, hi } => write!(f, "{lo}-{hi}")?,
                Item::Sweep { lo, hi, step } => write!(f, "{lo}-{hi}/{step}")?,
            }
        }
        Ok(())
    }
}

/// Goes through a list of sizes, for ever.
#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    sizes: Sizes,
    item: usize,
    /// The next size of the sweep that is under way.
    sweep: Option<usize>,
    random: SplitMix,
}

impl Sizes {
    /// Sizes in order; the same seed gives the same sizes.
    pub(crate) fn cycle(&self, seed: u64) -> Cycle {
        Cycle { sizes: self.clone(), item: 0, sweep: None, random: SplitMix::new(!seed) }
    }
}

impl Cycle {
    /// The next size.
    pub(crate) fn next_size(&mut self) -> usize {
        let items = &self.sizes.0;
        let (size, more) = match items[self.item % items.len()] {
            Item::One(n) => (n, None),
            Item::Random { lo, hi } => (lo + (self.random.next() % (hi - lo + 1) as u64) as usize, None),
            Item::Sweep { lo, hi, step } => {
                let n = self.sweep.unwrap_or(lo);
                (n, Some(n + step).filter(|&next| next <= hi))
            }
        };
        self.sweep = more;
        if more.is_none() {
            self.item = (self.item + 1) % items.len();
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str, n: usize) -> Vec<usize> {
        let mut cycle = text.parse::<Sizes>().expect(text).cycle(1);
        (0..n).map(|_| cycle.next_size()).collect()
    }

    #[test]
    fn lists_cycle_and_sweeps_end_where_they_should() {
        assert_eq!(first("7168", 3), [7168; 3]);
        assert_eq!(first("64,7168", 5), [64, 7168, 64, 7168, 64]);
        assert_eq!(first("1-7/3,100", 6), [1, 4, 7, 100, 1, 4]);
        assert_eq!(first("5-5/1", 2), [5, 5]);
    }

    #[test]
    fn random_sizes_follow_the_seed() {
        let sizes = first("10-20", 1000);
        assert!((10..=20).all(|n| sizes.contains(&n)) && sizes.iter().all(|n| (10..=20).contains(n)));
        assert_eq!(sizes, first("10-20", 1000));
        let mut other = "10-20".parse::<Sizes>().expect("sizes").cycle(2);
        assert!(sizes.iter().any(|&n| n != other.next_size()));
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        for text in ["64", "1-65507", "1-65507/21,1440-1480/1,7168"] {
            assert_eq!(text.parse::<Sizes>().expect(text).to_string(), text);
        }
        for bad in ["", "0", "65508", "9-8", "1-", "-1", "1-9/0", "a,b", "64,,64"] {
            assert!(bad.parse::<Sizes>().expect_err(bad).contains("1..=65507"), "{bad}");
        }
    }
}
