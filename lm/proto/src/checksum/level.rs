//! The instruction sets that a pass over bytes is compiled for, and the choice among them at run time.
//!
//! pulp proves that the machine has the instructions (its [`V3`] is x86-64-v3: AVX2; [`V4`] x86-64-v4:
//! AVX-512), so nothing here is `unsafe`. The rows are spelt out per level, because the compiler left to
//! itself finds vectors in them on no level (5 bytes a ns instead of 40).

use std::sync::OnceLock;

use pulp::{Arch, NullaryFnOnce};
#[cfg(target_arch = "x86_64")]
use pulp::{
    u64x2, u64x4, u64x8,
    x86::{V3, V4},
};

/// Bytes of a row.
pub(super) const ROW: usize = 64;
/// 64-bit columns of a row.
pub(super) const COLUMNS: usize = ROW / 8;

pub(super) type Columns = [u64; COLUMNS];

/// The instruction set, looked for once.
#[inline]
pub(super) fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(Arch::new)
}

/// An instruction set: what it does with a row.
pub(super) trait Level: Copy {
    type Row: Copy;
    fn load(self, row: &[u8; ROW]) -> Self::Row;
    fn add(self, a: Self::Row, b: Self::Row) -> Self::Row;
    /// The upper 32 bits of each column.
    fn high(self, a: Self::Row) -> Self::Row;
    fn columns(self, a: Self::Row) -> Columns;

    /// What is left of the accumulators `S`, `H`, `BS` and `BH` at the end: the sum of all 32-bit halves, and
    /// that of all columns times their constants.
    #[inline(always)]
    fn fold(self, all: [Self::Row; 4], k: &[Columns; 4]) -> (u64, u64) {
        let all = all.map(|row| self.columns(row));
        let mut digest = 0_u64;
        for (row, k) in all.iter().zip(k) {
            digest = row.iter().zip(k).fold(digest, |d, (&x, &k)| d.wrapping_add(x.wrapping_mul(k)));
        }
        (both_halves(all[0], all[1]), digest)
    }
}

/// The sum of both 32-bit halves of words of which `s` are the sums, and `h` those of their upper halves.
#[inline(always)]
pub(super) fn both_halves(s: Columns, h: Columns) -> u64 {
    let sum = |columns: Columns| columns.iter().fold(0_u64, |sum, &x| sum.wrapping_add(x));
    let (s, h) = (sum(s), sum(h));
    s.wrapping_sub(h << 32).wrapping_add(h)
}

/// What every machine of the target has; on aarch64 the compiler finds the vectors by itself.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Level for Plain {
    type Row = Columns;

    #[inline(always)]
    fn load(self, row: &[u8; ROW]) -> Columns {
        pulp::cast::<[u8; ROW], Columns>(*row).map(u64::from_le)
    }

    #[inline(always)]
    fn add(self, a: Columns, b: Columns) -> Columns {
        std::array::from_fn(|k| a[k].wrapping_add(b[k]))
    }

    #[inline(always)]
    fn high(self, a: Columns) -> Columns {
        a.map(|x| x >> 32)
    }

    #[inline(always)]
    fn columns(self, a: Columns) -> Columns {
        a
    }
}

#[cfg(target_arch = "x86_64")]
impl Level for V3 {
    type Row = [u64x4; 2];

    #[inline(always)]
    fn load(self, row: &[u8; ROW]) -> Self::Row {
        pulp::cast(*row)
    }

    #[inline(always)]
    fn add(self, a: Self::Row, b: Self::Row) -> Self::Row {
        [self.wrapping_add_u64x4(a[0], b[0]), self.wrapping_add_u64x4(a[1], b[1])]
    }

    #[inline(always)]
    fn high(self, a: Self::Row) -> Self::Row {
        a.map(|x| self.shr_const_u64x4::<32>(x))
    }

    #[inline(always)]
    fn columns(self, a: Self::Row) -> Columns {
        pulp::cast(a)
    }
}

#[cfg(target_arch = "x86_64")]
impl Level for V4 {
    type Row = u64x8;

    #[inline(always)]
    fn load(self, row: &[u8; ROW]) -> u64x8 {
        pulp::cast(*row)
    }

    #[inline(always)]
    fn add(self, a: u64x8, b: u64x8) -> u64x8 {
        self.wrapping_add_u64x8(a, b)
    }

    #[inline(always)]
    fn high(self, a: u64x8) -> u64x8 {
        self.shr_const_u64x8::<32>(a)
    }

    #[inline(always)]
    fn columns(self, a: u64x8) -> Columns {
        pulp::cast(a)
    }

    #[inline(always)]
    fn fold(self, all: [u64x8; 4], k: &[Columns; 4]) -> (u64, u64) {
        let [s, h, bs, bh] = all;
        let times = |a, k: &Columns| self.wrapping_mul_u64x8(a, pulp::cast(*k));
        // `S - (H << 32) + H` in two instructions.
        let sums = self.add(s, times(h, &[(1_u64 << 32).wrapping_neg() + 1; COLUMNS]));
        let digests = self
            .add(self.add(times(s, &k[0]), times(h, &k[1])), self.add(times(bs, &k[2]), times(bh, &k[3])));
        // Both across the columns at once: of each pair of columns half goes to either.
        let (sums, digests) = (pulp::cast(sums), pulp::cast(digests));
        let both: u64x8 = self.add(
            pulp::cast(self.avx512f._mm512_unpacklo_epi64(sums, digests)),
            pulp::cast(self.avx512f._mm512_unpackhi_epi64(sums, digests)),
        );
        let [low, high]: [u64x4; 2] = pulp::cast(both);
        let [low, high]: [u64x2; 2] = pulp::cast(self.wrapping_add_u64x4(low, high));
        let u64x2(sum, digest) = self.wrapping_add_u64x2(low, high);
        (sum, digest)
    }
}

/// One pass over bytes, compiled for each level.
pub(super) trait Pass {
    type Output;
    fn run<L: Level>(self, level: L) -> Self::Output;
}

/// A pass with its level, as the closure that pulp compiles with the level's instructions.
struct At<L, P>(L, P);

impl<L: Level, P: Pass> NullaryFnOnce for At<L, P> {
    type Output = P::Output;

    #[inline(always)]
    fn call(self) -> P::Output {
        self.1.run(self.0)
    }
}

#[inline(always)]
pub(super) fn dispatch<P: Pass>(arch: Arch, pass: P) -> P::Output {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(level) => level.vectorize(At(level, pass)),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(level) => level.vectorize(At(level, pass)),
        _ => At(Plain, pass).call(),
    }
}
