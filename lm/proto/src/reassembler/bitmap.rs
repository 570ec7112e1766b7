//! [`Bitmap`]: which 8-byte units of a datagram have arrived.
//!
//! Each incomplete datagram ([`super::partial`]) has two. The size is constant, and covers the longest
//! datagram. Setting and testing a range takes a step for each 64 units; clearing takes no more steps than
//! setting did.

use super::work;
use crate::wire::MAX_IP_PAYLOAD;

/// Bytes that fragments are cut by (RFC 791, section 3.2).
pub(super) const UNIT: usize = 8;
/// The number of words of 64 units. There is room for one unit more than a datagram has.
const WORDS: usize = MAX_IP_PAYLOAD.div_ceil(UNIT) / 64 + 1;

/// A bit for each unit from 0 to 8191.
#[derive(Clone)]
pub(super) struct Bitmap {
    words: [u64; WORDS],
    /// A bit for each word that is not zero and has to be cleared.
    used: u128,
}

const _: () = assert!(WORDS <= u128::BITS as usize, "a bit of `used` for each word");

impl Default for Bitmap {
    fn default() -> Self {
        Self { words: [0; WORDS], used: 0 }
    }
}

/// The words that units `first..beyond` lie in, and their bits there.
#[inline]
fn masks(first: usize, beyond: usize) -> impl Iterator<Item = (usize, u64)> {
    let words = if first < beyond { first / 64..beyond.div_ceil(64).min(WORDS) } else { 0..0 };
    words.map(move |w| {
        work::step();
        let (low, high) = (first.saturating_sub(w * 64), (beyond - w * 64).min(64));
        (w, (u64::MAX << low) & (u64::MAX >> (64 - high)))
    })
}

impl Bitmap {
    pub(super) fn set(&mut self, first: usize, beyond: usize) {
        masks(first, beyond).for_each(|(w, mask)| {
            self.words[w] |= mask;
            self.used |= 1 << w;
        });
    }

    pub(super) fn any(&self, first: usize, beyond: usize) -> bool {
        masks(first, beyond).any(|(w, mask)| self.words[w] & mask != 0)
    }

    pub(super) fn all(&self, first: usize, beyond: usize) -> bool {
        masks(first, beyond).all(|(w, mask)| self.words[w] & mask == mask)
    }

    pub(super) fn get(&self, unit: usize) -> bool {
        self.any(unit, unit + 1)
    }

    /// The lowest unit that has arrived.
    pub(super) fn lowest(&self) -> Option<usize> {
        let word = self.used.trailing_zeros() as usize;
        self.words.get(word).map(|bits| 64 * word + bits.trailing_zeros() as usize)
    }

    /// Clears what was set, with no more work than setting it took.
    pub(super) fn clear(&mut self) {
        while self.used != 0 {
            work::step();
            self.words[self.used.trailing_zeros() as usize] = 0;
            self.used &= self.used - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_they_are_bit_by_bit() {
        let all = [0, 1, 2, 62, 63, 64, 65, 127, 128, 129, 184, 185, 8126, 8127, 8128, 8189, 8190, 8191];
        let edges = if cfg!(miri) { &all[3..6] } else { &all[..] };
        let mut map = Bitmap::default();
        for &a in edges {
            for &b in edges {
                map.clear();
                assert!(map.words == [0; WORDS], "cleared before {a}..{b}");
                map.set(a, b);
                assert!((0..8192).all(|u| map.get(u) == (a..b).contains(&u)), "{a}..{b}");
                assert_eq!(map.lowest(), (a < b).then_some(a));
                assert!(map.all(a, b) && map.any(a, b) == (a < b), "{a}..{b}");
                assert!(
                    !map.any(0, a.min(b)) && (a >= b || !map.any(b, 8192) && !map.all(a, b + 1)),
                    "{a}..{b}"
                );
            }
        }
    }
}
