//! [`Random`]: random numbers for scenarios (xorshift64*), the same on every machine.
//!
//! The mocks and the fuzz harness use them. They are not for keys: whoever sees some can compute the others.

/// A generator. Two with the same seed give the same numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed; neighbouring seeds have sequences that do not resemble each other.
    pub fn new(seed: u64) -> Self {
        Self(crate::checksum::mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) | 1)
    }

    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`, or 0 if there is none.
    pub fn below(&mut self, n: usize) -> usize {
        (self.word() >> 11) as usize % n.max(1)
    }

    /// A number in `from..=to`.
    pub fn within(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these values, of which there must be at least one.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// `n` random bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(n + 8);
        while out.len() < n {
            out.extend_from_slice(&self.word().to_le_bytes());
        }
        out.truncate(n);
        out
    }
}
