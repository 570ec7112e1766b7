//! [`Random`]: random numbers that are the same for the same seed.
//!
//! [`Cluster`](super::Cluster) and its driver use them for losses, delays and choices. They must not become
//! keys, because the generator's state can be computed from its numbers.

/// The generator xorshift64*, whose whole state is 64 bits.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Each seed gives a sequence of its own.
    pub fn new(seed: u64) -> Self {
        let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`, or 0.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.bits() >> 11) % n.max(1)
    }

    /// True `ppm` times in a million.
    pub fn happens(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }
}
