//! [`Chains`]: a hash table of entry numbers, with secret seeds, so that no choice of keys makes look-ups
//! slower.
//!
//! The tables of incomplete, waiting and refused datagrams and of their sources use it. It allocates only
//! when it is made. The entries themselves are elsewhere: the caller says which number is the one that it
//! looks for.

use std::hash::BuildHasher;

use super::work;

/// What seeds are drawn with. Unit tests have the same seeds in every run: sources share a bucket with some
/// small probability, which would make a test fail once in a hundred times.
#[cfg(not(test))]
type Random = std::hash::RandomState;
#[cfg(test)]
type Random = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// The end of a chain.
const NONE: u16 = u16::MAX;

/// A hash function drawn at random. `h(x) = (s0 + s1*x1 + s2*x2 + s3*x3) mod 2^64 >> 32` of 32-bit words is
/// strongly universal (Lemire and Kaser, "Strongly universal string hashing is fast"). Whoever does not know
/// the seeds can pick any keys: two of them share a bucket with a probability of one in the number of
/// buckets. A permutation of 32 bits follows (MurmurHash3's last step), which does not change this. Without
/// it, keys that count up, as identifications do, would fall into some buckets more often than into others.
pub(crate) struct Seeds([u64; 4]);

impl Seeds {
    pub(crate) fn new() -> Self {
        let random = Random::default();
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

/// Slots 0 to `slots - 1`. Each is in the chain of its hash, or in none.
pub(crate) struct Chains {
    /// The first slot of each chain. The number of chains is a power of two, and at least twice the slots.
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

    /// The slot with this hash for which `is` returns true.
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

    /// Removes a slot that was added with this hash.
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
