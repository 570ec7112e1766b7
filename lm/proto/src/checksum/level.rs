//! The instruction sets that a pass over bytes is compiled for, and the choice among them at run time.
//!
//! pulp proves that the machine has the instructions (its [`V3`] is x86-64-v3: AVX2; [`V4`] x86-64-v4:
//! AVX-512), so nothing here is `unsafe`. The rows are spelt out per level, because the compiler left to
//! itself finds vectors in them on no level (5 bytes a ns instead of 40).

use std::sync::OnceLock;

use pulp::{Arch, NullaryFnOnce};
#[cfg(target_arch = "x86_64")]
use pulp::{
    u64x4, u64x8,
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
    fn mul(self, a: Self::Row, k: &Columns) -> Self::Row;
    fn columns(self, a: Self::Row) -> Columns;
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
    fn mul(self, a: Columns, k: &Columns) -> Columns {
        std::array::from_fn(|i| a[i].wrapping_mul(k[i]))
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
    fn mul(self, a: Self::Row, k: &Columns) -> Self::Row {
        pulp::cast(Plain.mul(pulp::cast(a), k))
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
    fn mul(self, a: u64x8, k: &Columns) -> u64x8 {
        self.wrapping_mul_u64x8(a, pulp::cast(*k))
    }

    #[inline(always)]
    fn columns(self, a: u64x8) -> Columns {
        pulp::cast(a)
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
