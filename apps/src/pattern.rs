//! [`Pattern`]: payloads in which every byte depends on the seed, the datagram's number and its place.
//!
//! A table of 131,072 bytes is SplitMix64's output for the seed, in little-endian words. A datagram of 8
//! bytes or more begins with its number `n` (8 bytes, big-endian). The rest of it, or all of a shorter one,
//! is the table's bytes from `n * 40503 % 65536` on. So a checker in any language can make the payload again,
//! bytes from another place or datagram do not agree, and checking is one comparison.

/// Bytes of the number.
const NUMBER: usize = 8;
/// A datagram starts within the first half of the table, and is shorter than the second.
const HALF: usize = 1 << 16;

/// The payloads of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    table: Box<[u8]>,
}

impl Pattern {
    /// The payloads of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = SplitMix::new(seed);
        Self { table: (0..2 * HALF / 8).flat_map(|_| random.next().to_le_bytes()).collect() }
    }

    fn parts(&self, number: u64, len: usize) -> ([u8; NUMBER], usize, &[u8]) {
        let head = if len < NUMBER { 0 } else { NUMBER };
        let start = (number.wrapping_mul(40_503) % HALF as u64) as usize;
        (number.to_be_bytes(), head, &self.table[start..start + (len - head).min(HALF)])
    }

    /// Gives the payload of datagram `number`, piece by piece, to `put`.
    pub(crate) fn write(&self, number: u64, len: usize, mut put: impl FnMut(&[u8])) {
        let (head, n, tail) = self.parts(number, len);
        put(&head[..n]);
        put(tail);
    }

    /// Whether every byte of `payload` is that of datagram `number`.
    pub(crate) fn matches(&self, number: u64, payload: &[u8]) -> bool {
        let (head, n, tail) = self.parts(number, payload.len());
        payload[..n] == head[..n] && &payload[n..] == tail
    }

    /// The number that a payload carries; short ones carry none.
    pub(crate) fn number(payload: &[u8]) -> Option<u64> {
        payload.first_chunk().map(|head| u64::from_be_bytes(*head))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    /// A generator.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(pattern: &Pattern, number: u64, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        pattern.write(number, len, |part| bytes.extend_from_slice(part));
        bytes
    }

    /// The published first output for seed 0.
    #[test]
    fn the_generator_is_the_published_one() {
        assert_eq!(SplitMix::new(0).next(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn a_payload_matches_itself_and_nothing_else() {
        let pattern = Pattern::new(1);
        for len in [1, 7, 8, 9, 1472, 65_507] {
            let good = payload(&pattern, 5, len);
            assert_eq!(good.len(), len);
            assert!(pattern.matches(5, &good));
            for at in [0, len / 2, len - 1] {
                let mut bad = good.clone();
                bad[at] ^= 1;
                assert!(!pattern.matches(5, &bad), "{len} bytes, byte {at}");
            }
            if len >= NUMBER {
                assert_eq!(Pattern::number(&good), Some(5));
                assert!(!pattern.matches(6, &good));
            }
        }
        let long = payload(&pattern, 0, 65_507);
        assert!(long[8..].chunks(1480).zip(long[1488..].chunks(1480)).all(|(a, b)| a != b), "places differ");
    }
}
