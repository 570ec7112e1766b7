//! Which 8-byte units of a datagram are here: a bitmap of constant size.

use crate::wire::MAX_IP_PAYLOAD;

/// Bytes that fragments are cut by (RFC 791, section 3.2).
pub(super) const UNIT: usize = 8;
/// Words of 64 units: one unit more than a datagram has can be asked for.
const WORDS: usize = MAX_IP_PAYLOAD.div_ceil(UNIT) / 64 + 1;

/// Units from 0 to 8191.
#[derive(Clone)]
pub(super) struct Bitmap([u64; WORDS]);

impl Default for Bitmap {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

/// The words that units `first..beyond` lie in, and their bits there.
#[inline]
fn masks(first: usize, beyond: usize) -> impl Iterator<Item = (usize, u64)> {
    let words = if first < beyond { first / 64..beyond.div_ceil(64).min(WORDS) } else { 0..0 };
    words.map(move |w| {
        let (low, high) = (first.saturating_sub(w * 64), (beyond - w * 64).min(64));
        (w, (u64::MAX << low) & (u64::MAX >> (64 - high)))
    })
}

impl Bitmap {
    pub(super) fn set(&mut self, first: usize, beyond: usize) {
        masks(first, beyond).for_each(|(w, mask)| self.0[w] |= mask);
    }

    pub(super) fn any(&self, first: usize, beyond: usize) -> bool {
        masks(first, beyond).any(|(w, mask)| self.0[w] & mask != 0)
    }

    pub(super) fn all(&self, first: usize, beyond: usize) -> bool {
        masks(first, beyond).all(|(w, mask)| self.0[w] & mask == mask)
    }

    pub(super) fn get(&self, unit: usize) -> bool {
        self.any(unit, unit + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_they_are_bit_by_bit() {
        let edges = [0, 1, 2, 62, 63, 64, 65, 127, 128, 129, 184, 185, 8126, 8127, 8128, 8189, 8190, 8191];
        for a in edges {
            for b in edges {
                let mut map = Bitmap::default();
                map.set(a, b);
                assert!((0..8192).all(|u| map.get(u) == (a..b).contains(&u)), "{a}..{b}");
                assert!(map.all(a, b) && map.any(a, b) == (a < b), "{a}..{b}");
                assert!(
                    !map.any(0, a.min(b)) && (a >= b || !map.any(b, 8192) && !map.all(a, b + 1)),
                    "{a}..{b}"
                );
            }
        }
    }
}
