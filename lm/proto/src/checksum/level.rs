//! The instruction sets that a pass over bytes is compiled for, and the choice among them at run time.
//!
//! pulp proves that the machine has the instructions (its [`V3`] is x86-64-v3: AVX2; [`V4`] x86-64-v4:
//! AVX-512), so nothing here is `unsafe`. The rows are spelt out per level, because the compiler left to
//! itself finds vectors in them on no level (5 bytes a ns instead of 40).
//!
//! Functions that work on whole rows are `inline(always)`, here and in the passes. [`dispatch`] gives pulp a
//! closure, and only that closure is compiled with the level's instructions. A function that is not inlined
//! into it is compiled without them, and each vector operation becomes a call: a frame then took 3000 cycles
//! instead of 105. Functions that work on single words do not need the attribute.

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
    /// Each column times its constant.
    fn mul(self, a: Self::Row, k: &Columns) -> Self::Row;
    /// The sums of the columns of either row.
    fn across(self, a: Self::Row, b: Self::Row) -> (u64, u64);
}

/// The sum of both 32-bit halves of words of which `s` is the sum, and `h` that of their upper halves.
pub(super) const fn both_halves(s: u64, h: u64) -> u64 {
    s.wrapping_add(h.wrapping_mul(ONCE))
}

/// What an upper half counts for beside what it counts for in its word: 1 instead of 2^32.
pub(super) const ONCE: u64 = 1_u64.wrapping_sub(1 << 32);

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
    fn mul(self, a: Columns, k: &Columns) -> Columns {
        std::array::from_fn(|i| a[i].wrapping_mul(k[i]))
    }

    #[inline(always)]
    fn across(self, a: Columns, b: Columns) -> (u64, u64) {
        let sum = |row: Columns| row.iter().fold(0_u64, |sum, &x| sum.wrapping_add(x));
        (sum(a), sum(b))
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
    fn mul(self, a: Self::Row, k: &Columns) -> Self::Row {
        pulp::cast(Plain.mul(pulp::cast(a), k))
    }

    #[inline(always)]
    fn across(self, a: Self::Row, b: Self::Row) -> (u64, u64) {
        let halved = |row: Self::Row| self.wrapping_add_u64x4(row[0], row[1]);
        let (a, b) = (pulp::cast(halved(a)), pulp::cast(halved(b)));
        let both: u64x4 = self.wrapping_add_u64x4(
            pulp::cast(self.avx2._mm256_unpacklo_epi64(a, b)),
            pulp::cast(self.avx2._mm256_unpackhi_epi64(a, b)),
        );
        let [low, high]: [u64x2; 2] = pulp::cast(both);
        let u64x2(a, b) = self.wrapping_add_u64x2(low, high);
        (a, b)
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
    fn mul(self, a: u64x8, k: &Columns) -> u64x8 {
        self.wrapping_mul_u64x8(a, pulp::cast(*k))
    }

    #[inline(always)]
    fn across(self, a: u64x8, b: u64x8) -> (u64, u64) {
        // Of each pair of columns one goes to either operand: half the instructions of two sums.
        let (a, b) = (pulp::cast(a), pulp::cast(b));
        let both: u64x8 = self.add(
            pulp::cast(self.avx512f._mm512_unpacklo_epi64(a, b)),
            pulp::cast(self.avx512f._mm512_unpackhi_epi64(a, b)),
        );
        let [low, high]: [u64x4; 2] = pulp::cast(both);
        let [low, high]: [u64x2; 2] = pulp::cast(self.wrapping_add_u64x4(low, high));
        let u64x2(a, b) = self.wrapping_add_u64x2(low, high);
        (a, b)
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

#[inline]
pub(super) fn dispatch<P: Pass>(arch: Arch, pass: P) -> P::Output {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(level) => level.vectorize(At(level, pass)),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(level) => level.vectorize(At(level, pass)),
        _ => At(Plain, pass).call(),
    }
}
