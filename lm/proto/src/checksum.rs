//! The Internet checksum (RFC 1071) of headers and payloads, and a digest that also sees order.
//!
//! The checksum of UDP (RFC 768) does not change when words change places, so it does not detect fragments in
//! a wrong order. Therefore a payload that landed without headers is also compared with a [`Digest`] of its
//! [`Piece`]s, which is computed in the same pass over the bytes:
//!
//! * A *piece* is the part of a UDP payload that travels in one IP fragment: 1472 bytes, then 1480 each, at
//!   MTU 1500. Every piece but the last has an even length, so that the sums of pieces add up.
//! * A piece is read in rows of 64 bytes, the last one padded with zeros, as 8 little-endian words `x` of 64
//!   bits. For each column: `S += x`, `H += x >> 32`, then `BS += S` and `BH += H`, all wrapping. `S - (H <<
//!   32) + H` is the sum of both 32-bit halves, exactly, and its value modulo 65,535 is RFC 1071's sum (in
//!   little-endian order: section 2, item B). `BS` and `BH` weigh each row by its distance from the end.
//! * The digest is the sum of all 32 accumulators, each times an odd constant of its own, modulo 2^64, then
//!   mixed with the length. No two words have coefficients that agree in more than 32 low bits, so that
//!   exchanging any two different 32-bit words of a piece always shows (a test proves it for all places).
//!
//! It is no authentication: a sender who can choose the bytes can make them collide.
//!
//! A *sum* is passed around as `u64`: one's complement, in little-endian order, not folded. Sums are added
//! with `+`; those of 2^31 pieces don't overflow.

mod level;
pub(crate) mod ones;
mod udp;

use self::level::{COLUMNS, Columns, Level, ONCE, Pass, ROW, arch, both_halves, dispatch};
pub(crate) use self::ones::halves;
pub use self::ones::header;
pub(crate) use self::ones::{fold_host as fold_sum, is_all_ones, without};
use self::ones::{last_word, words};
pub(crate) use self::udp::udp_all_ok;
pub use self::udp::{udp, udp_moved, udp_ok};

/// 2^64 divided by the golden ratio: the increment of splitmix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of splitmix64 (Steele, Lea and Flood 2014): a bijection that mixes all bits.
#[inline]
pub(crate) const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Odd constants from splitmix64, those of one accumulator after the other.
const fn constants(first: u64) -> Columns {
    let mut k = [0; COLUMNS];
    let mut i = 0;
    while i < COLUMNS {
        k[i] = mix((first + i as u64 + 1).wrapping_mul(GOLDEN)) | 1;
        i += 1;
    }
    k
}

/// What `S`, `H`, `BS` and `BH` count for.
const FULL: [Columns; 4] = [constants(0), constants(8), constants(16), constants(24)];

/// The constants of a piece whose last row is not full. With that row, `S` and `H` would be added to `BS` and
/// `BH` once more. Instead, the constants of `S` and `H` contain those of `BS` and `BH`. The words of that
/// row have the same constants as `S` and `H`.
const PART: [Columns; 4] = {
    let [mut s, mut h, bs, bh] = FULL;
    let mut i = 0;
    while i < COLUMNS {
        s[i] = s[i].wrapping_add(bs[i]);
        h[i] = h[i].wrapping_add(bh[i]);
        i += 1;
    }
    [s, h, bs, bh]
};

/// Both, in an array. If there were two constants to choose from, the compiler would load all and blend them.
static K: [[Columns; 4]; 2] = [FULL, PART];

/// Bytes of two rows.
const PAIR: usize = 2 * ROW;

/// What one pass over a piece tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// One's-complement sum, less than 2^33.
    pub sum: u64,
    /// Depends on every byte, its place and the length.
    pub digest: u64,
}

/// Sum and digest of one piece.
#[inline]
pub fn piece(b: &[u8]) -> Piece {
    dispatch(arch(), Read(b))
}

/// Copies `src` to `dst` and takes sum and digest of it in the same pass.
///
/// The lengths have to be equal. If they are not, the shorter one holds: nothing else is copied, and the
/// answer describes what was.
#[inline]
pub fn copy_piece(dst: &mut [u8], src: &[u8]) -> Piece {
    dispatch(arch(), Copied(dst, src))
}

/// Copies `src` to `dst` and takes the sum of it in the same pass; for lengths as for [`copy_piece`].
#[inline]
pub fn copy_sum(dst: &mut [u8], src: &[u8]) -> u64 {
    let len = dst.len().min(src.len());
    if len < ROW {
        copy_tail(&mut dst[..len], &src[..len]);
        return sum_short(&src[..len]);
    }
    dispatch(arch(), CopiedSum(dst, src))
}

/// One's-complement sum alone, less than 2^33.
#[inline]
pub fn sum(b: &[u8]) -> u64 {
    if b.len() < ROW { sum_short(b) } else { dispatch(arch(), Sum(b)) }
}

/// The same of less than a row, which has no use for vectors.
#[inline]
fn sum_short(b: &[u8]) -> u64 {
    let (words, rest) = b.as_chunks::<8>();
    let mut sum = if rest.is_empty() { 0 } else { halves(last_word(rest)) };
    for word in words {
        sum += halves(u64::from_le_bytes(*word));
    }
    halves(sum)
}

/// The digest of a payload: its pieces, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    state: u64,
    sum: u64,
}

impl Digest {
    /// Of no piece yet.
    #[inline]
    pub const fn new() -> Self {
        Self { state: 0x243f_6a88_85a3_08d3, sum: 0 }
    }

    /// Takes the next piece.
    #[inline]
    pub fn push(&mut self, piece: Piece) {
        self.state = (self.state.rotate_left(23) ^ piece.digest).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.sum = self.sum.wrapping_add(piece.sum);
    }

    /// The sum of all pieces so far, for [`udp()`] and [`udp_ok`].
    #[inline]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// The digest of all pieces so far.
    #[inline]
    pub const fn finish(&self) -> u32 {
        (mix(self.state) >> 32) as u32
    }

    /// The digest in 16 bits, never 0.
    #[inline]
    pub const fn finish16(&self) -> u16 {
        match (mix(self.state) >> 48) as u16 {
            0 => 0xffff,
            digest => digest,
        }
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

/// Sums for the columns of rows, and the sum of their upper halves.
struct Accumulators<L: Level> {
    s: L::Row,
    h: L::Row,
    bs: L::Row,
    bh: L::Row,
}

impl<L: Level> Accumulators<L> {
    #[inline(always)]
    fn new(level: L) -> Self {
        let zero = level.load(&[0; ROW]);
        Self { s: zero, h: zero, bs: zero, bh: zero }
    }

    #[inline(always)]
    fn add(&mut self, level: L, row: &[u8; ROW]) {
        let x = level.load(row);
        self.s = level.add(self.s, x);
        self.h = level.add(self.h, level.high(x));
        self.bs = level.add(self.bs, self.s);
        self.bh = level.add(self.bh, self.h);
    }

    /// Adds two rows. If rows were added one by one, the compiler would take four at a time, and handle each
    /// that is left over alone.
    #[inline(always)]
    fn add_pair(&mut self, level: L, pair: &[u8; PAIR]) {
        let (rows, _) = pair.as_chunks::<ROW>();
        self.add(level, &rows[0]);
        self.add(level, &rows[1]);
    }

    /// Ends a piece of `len` bytes, with the bytes of its last row if that is not full. These are few most
    /// often (8 at MTU 1500). Sum and digest are linear, so each of these words is multiplied by its
    /// constants alone, while the vector units are busy with the rows.
    #[inline(always)]
    fn finish(self, level: L, tail: &[u8], len: usize) -> Piece {
        let [s, h, bs, bh] = &K[usize::from(!tail.is_empty())];
        let sums = level.add(self.s, level.mul(self.h, &[ONCE; COLUMNS]));
        let rows = level.add(level.mul(self.s, s), level.mul(self.h, h));
        let weighed = level.add(level.mul(self.bs, bs), level.mul(self.bh, bh));
        let (mut sum, mut digest) = level.across(sums, level.add(rows, weighed));
        let mut word = |x: u64, k: usize| {
            sum = sum.wrapping_add(halves(x));
            digest = digest
                .wrapping_add(x.wrapping_mul(PART[0][k]))
                .wrapping_add((x >> 32).wrapping_mul(PART[1][k]));
        };
        let (words, rest) = tail.as_chunks::<8>();
        (0..COLUMNS).zip(words).for_each(|(k, x)| word(u64::from_le_bytes(*x), k));
        if !rest.is_empty() {
            word(last_word(rest), words.len() % COLUMNS);
        }
        Piece { sum: halves(sum), digest: mix(digest ^ (len as u64).wrapping_mul(GOLDEN)) }
    }
}

struct Read<'a>(&'a [u8]);

impl Pass for Read<'_> {
    type Output = Piece;

    #[inline(always)]
    fn run<L: Level>(self, level: L) -> Piece {
        let mut all = Accumulators::new(level);
        let (pairs, rest) = self.0.as_chunks::<PAIR>();
        pairs.iter().for_each(|pair| all.add_pair(level, pair));
        let (rows, tail) = rest.as_chunks::<ROW>();
        if let [row, ..] = rows {
            all.add(level, row);
        }
        all.finish(level, tail, self.0.len())
    }
}

struct Copied<'d, 's>(&'d mut [u8], &'s [u8]);

impl Pass for Copied<'_, '_> {
    type Output = Piece;

    #[inline(always)]
    fn run<L: Level>(self, level: L) -> Piece {
        let len = self.0.len().min(self.1.len());
        let (to, dst_rest) = self.0[..len].as_chunks_mut::<PAIR>();
        let (from, rest) = self.1[..len].as_chunks::<PAIR>();
        let mut all = Accumulators::new(level);
        for (to, from) in to.iter_mut().zip(from) {
            let pair = *from;
            *to = pair;
            all.add_pair(level, &pair);
        }
        let (to, dst_tail) = dst_rest.as_chunks_mut::<ROW>();
        let (from, tail) = rest.as_chunks::<ROW>();
        if let ([to, ..], [from, ..]) = (to, from) {
            let row = *from;
            *to = row;
            all.add(level, &row);
        }
        copy_tail(dst_tail, tail);
        all.finish(level, tail, len)
    }
}

struct Sum<'a>(&'a [u8]);

impl Pass for Sum<'_> {
    type Output = u64;

    #[inline(always)]
    fn run<L: Level>(self, level: L) -> u64 {
        let (rows, tail) = self.0.as_chunks::<ROW>();
        let zero = level.load(&[0; ROW]);
        let (mut s, mut h) = (zero, zero);
        for row in rows {
            let x = level.load(row);
            s = level.add(s, x);
            h = level.add(h, level.high(x));
        }
        let (s, h) = level.across(s, h);
        halves(words(tail).fold(both_halves(s, h), |sum, x| sum.wrapping_add(halves(x))))
    }
}

struct CopiedSum<'d, 's>(&'d mut [u8], &'s [u8]);

impl Pass for CopiedSum<'_, '_> {
    type Output = u64;

    #[inline(always)]
    fn run<L: Level>(self, level: L) -> u64 {
        let len = self.0.len().min(self.1.len());
        let (to, to_tail) = self.0[..len].as_chunks_mut::<ROW>();
        let (from, tail) = self.1[..len].as_chunks::<ROW>();
        let zero = level.load(&[0; ROW]);
        let (mut s, mut h) = (zero, zero);
        for (to, from) in to.iter_mut().zip(from) {
            let row = *from;
            *to = row;
            let x = level.load(&row);
            s = level.add(s, x);
            h = level.add(h, level.high(x));
        }
        copy_tail(to_tail, tail);
        let (s, h) = level.across(s, h);
        halves(words(tail).fold(both_halves(s, h), |sum, x| sum.wrapping_add(halves(x))))
    }
}

/// Copies less than a row, word by word: a call of memcpy costs more than the few bytes that are left.
#[inline(always)]
fn copy_tail(to: &mut [u8], from: &[u8]) {
    let ((to, to_rest), (from, from_rest)) = (to.as_chunks_mut::<8>(), from.as_chunks::<8>());
    for k in 0..COLUMNS {
        let (Some(to), Some(from)) = (to.get_mut(k), from.get(k)) else { break };
        *to = *from;
    }
    to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests;
