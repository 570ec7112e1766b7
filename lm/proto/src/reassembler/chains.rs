//! A hash table of entry numbers with secret seeds, so that no choice of keys makes look-ups slower.

use std::hash::{BuildHasher, RandomState};

use super::work;

/// No slot.
const NONE: u16 = u16::MAX;

/// A hash function drawn at random. `h(x) = (s0 + s1*x1 + s2*x2 + s3*x3) mod 2^64 >> 32` of 32-bit words is
/// strongly universal (Lemire and Kaser, "Strongly universal string hashing is fast"): whatever keys somebody
/// picks who does not know the seeds, two of them share a bucket with a probability of one in the number of
/// buckets. A permutation of 32 bits behind it (MurmurHash3's last step) changes nothing of that, but keys
/// that count up, as identifications do, are no longer an arithmetic progression of buckets, of which some
/// are crowded.
pub(crate) struct Seeds([u64; 4]);

impl Seeds {
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        Self([0, 1, 2, 3].map(|i: u64| random.hash_one(i)))
    }

    #[inline]
    pub(crate) fn hash(&self, words: [u32; 3]) -> u32 {
        let [start, factors @ ..] = &self.0;
        let sum = factors
            .iter()
            .zip(words)
            .fold(*start, |sum, (factor, word)| sum.wrapping_add(factor.wrapping_mul(u64::from(word))));
        let mut h = (sum >> 32) as u32;
        h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
        h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
        h ^ h >> 16
    }
}

/// Slots 0 to `slots - 1`, each in the chain of its hash or in none.
pub(crate) struct Chains {
    /// The first slot of each chain: a power of two of them, two for each slot at least.
    heads: Box<[u16]>,
    /// The next slot of the chain.
    next: Box<[u16]>,
}

impl Chains {
    pub(crate) fn new(slots: usize) -> Self {
        Self { heads: vec![NONE; (2 * slots).next_power_of_two()].into(), next: vec![NONE; slots].into() }
    }

    #[inline]
    fn bucket(&self, hash: u32) -> usize {
        hash as usize & (self.heads.len() - 1)
    }

    /// The slot with this hash that `is` what is looked for.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = self.heads[self.bucket(hash)];
        while at != NONE {
            work::step();
            if is(usize::from(at)) {
                return Some(usize::from(at));
            }
            at = self.next[usize::from(at)];
        }
        None
    }

    /// Adds a slot that is in no chain.
    pub(crate) fn add(&mut self, hash: u32, slot: usize) {
        let head = self.bucket(hash);
        self.next[slot] = self.heads[head];
        self.heads[head] = slot as u16;
    }

    /// Takes a slot out that was added with this hash.
    pub(crate) fn remove(&mut self, hash: u32, slot: usize) {
        let head = self.bucket(hash);
        let beyond = self.next[slot];
        if usize::from(self.heads[head]) == slot {
            self.heads[head] = beyond;
            return;
        }
        let mut at = self.heads[head];
        while at != NONE {
            work::step();
            let next = self.next[usize::from(at)];
            if usize::from(next) == slot {
                self.next[usize::from(at)] = beyond;
                return;
            }
            at = next;
        }
    }
}
