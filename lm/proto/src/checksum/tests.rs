//! Compares every level of the machine with scalar loops that are obviously right, and checks that the digest
//! notices parts that changed places.
//!
//! Levels that the machine does not have are not tested.

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Instant;

use proptest::prelude::*;

use pulp::Arch;
#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};

use super::*;
use crate::checksum::ones::fold;
use crate::wire::{Flow, Udp};

/// Every level that this machine has.
fn levels() -> Vec<(&'static str, Arch)> {
    let mut levels = vec![("plain", Arch::Scalar)];
    #[cfg(target_arch = "x86_64")]
    {
        levels.extend(V3::try_new().map(|v| ("x86-64-v3", Arch::V3(v))));
        levels.extend(V4::try_new().map(|v| ("x86-64-v4", Arch::V4(v))));
    }
    levels
}

/// RFC 1071 as it is written, section 1: pairs of octets, an odd one padded with zero.
fn by_pairs(b: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in b.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The digest as the module's documentation defines it, by 32-bit words: with `A` and `B` of each word's
/// column, `S = A_low + 2^32 A_high` and `H = A_high`.
fn by_words(b: &[u8]) -> u64 {
    let mut digest = 0_u64;
    let rows = b.len().div_ceil(ROW);
    for at in 0..rows * ROW {
        let byte = u64::from(*b.get(at).unwrap_or(&0));
        digest = digest.wrapping_add((byte << (at % 4 * 8)).wrapping_mul(coefficient(at / 4, rows)));
    }
    mix(digest ^ (b.len() as u64).wrapping_mul(GOLDEN))
}

/// What word `word` of a piece of `rows` rows counts for in the digest.
fn coefficient(word: usize, rows: usize) -> u64 {
    let (column, distance) = (word % 16 / 2, (rows - word / 16) as u64);
    let [s, h, bs, bh] = FULL.map(|k| k[column]);
    let upper = |s: u64, h: u64| if word % 2 == 1 { (s << 32).wrapping_add(h) } else { s };
    upper(s, h).wrapping_add(upper(bs, bh).wrapping_mul(distance))
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| mix(seed.wrapping_mul(GOLDEN) ^ i) as u8).collect()
}

fn check(b: &[u8]) {
    let expected = (by_pairs(b), by_words(b));
    for (name, arch) in levels() {
        let piece = dispatch(arch, Read(b));
        assert_eq!((fold(piece.sum), piece.digest), expected, "{name}, {} bytes", b.len());
        assert!(piece.sum < 1 << 33);
        assert_eq!(fold(dispatch(arch, Sum(b))), expected.0, "{name}, {} bytes", b.len());
        // Bytes around the copy stay as they are, whatever its alignment.
        for at in [0, 1, 36] {
            let mut dst = vec![0xa5; b.len() + at + 9];
            assert_eq!(
                dispatch(arch, Copied(&mut dst[at..at + b.len()], b)),
                piece,
                "{name}, {} bytes",
                b.len()
            );
            assert_eq!(&dst[at..at + b.len()], b);
            assert!(dst[..at].iter().chain(&dst[at + b.len()..]).all(|&x| x == 0xa5));
        }
    }
    assert_eq!((header(b), fold(sum(b))), (!expected.0, expected.0));
    let mut copy = vec![0xa5; b.len() + 1];
    assert_eq!(fold(copy_sum(&mut copy, b)), expected.0);
    assert!(copy[..b.len()] == *b && copy[b.len()] == 0xa5);
}

#[test]
fn every_short_length_at_every_alignment() {
    let bytes = noise(1, 400);
    for len in (0..=300).step_by(if cfg!(miri) { 61 } else { 1 }) {
        check(&bytes[len % 65..][..len]);
    }
}

/// Fragments at MTU 1500: an even and an odd number of rows, behind them nothing, words, or words and bytes.
#[test]
fn every_length_of_a_fragment() {
    let bytes = noise(2, 1600);
    for len in (1344..=1480).step_by(if cfg!(miri) { 67 } else { 1 }) {
        check(&bytes[len % 65..][..len]);
    }
}

#[test]
fn extreme_bytes_do_not_overflow() {
    for len in [0, 1, 20, 63, 64, 65, 1472, 1480, 9191, 9192, 65_507] {
        if cfg!(miri) && len > 65 {
            break;
        }
        check(&vec![0xff; len]);
        check(&vec![0; len]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    #[test]
    fn random_lengths(seed: u64, start in 0..64_usize, len in 0..=if cfg!(miri) { 300 } else { 9192_usize }) {
        check(&noise(seed, start + len)[start..]);
    }

    #[test]
    fn pieces_add_up_and_udp_verifies(
        seed: u64,
        len in 0..=if cfg!(miri) { 1500 } else { 30_000_usize },
        stride in 1..=1149_usize,
        src: u32,
        dst: u32,
        ports: [u16; 2],
    ) {
        let payload = noise(seed, len);
        let flow = Flow { src, dst, src_port: ports[0], dst_port: ports[1] };
        let (first, rest) = payload.split_at(len.min(stride * 8 - 8));
        let mut digest = Digest::new();
        std::iter::once(first).chain(rest.chunks(stride * 8)).for_each(|p| digest.push(piece(p)));
        prop_assert_eq!(fold(digest.sum()), fold(sum(&payload)));

        let udp_len = len as u16 + 8;
        let checksum = udp(&flow, udp_len, digest.sum());
        let mut header = Udp { src_port: ports[0], dst_port: ports[1], len: udp_len, checksum };
        prop_assert!(checksum != 0 && udp_ok(&flow, &header, digest.sum()));
        let mut datagram =
            [&src.to_be_bytes()[..], &dst.to_be_bytes(), &[0, 17], &udp_len.to_be_bytes()].concat();
        datagram.extend(header.bytes());
        datagram.extend(&payload);
        prop_assert_eq!(by_pairs(&datagram), 0xffff);
        header.checksum ^= 0x100;
        prop_assert!(!udp_ok(&flow, &header, digest.sum()));
    }
}

#[test]
fn known_vectors() {
    // RFC 1071, section 3.
    let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(header(&example), !0xddf2);
    assert_eq!(fold(sum(&example)), 0xddf2);
    assert_eq!(fold(piece(&example).sum), 0xddf2);
    // A header whose checksum is widely published: b861.
    let mut ip = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
    assert_eq!(header(&ip), 0xb861);
    ip[10..12].copy_from_slice(&[0xb8, 0x61]);
    assert_eq!(header(&ip), 0);
    // Digests travel: a change of any constant is a change of protocol.
    let mut digest = Digest::new();
    digest.push(piece(b"123456789"));
    assert_eq!((piece(b"123456789").digest, digest.finish(), digest.finish16()), VECTOR);
}

const VECTOR: (u64, u32, u16) = (8_091_521_430_979_183_650, 2_227_463_028, 33_988);

#[test]
fn a_computed_zero_is_sent_as_ones_and_no_checksum_verifies_nothing() {
    let flow = Flow { src: 0, dst: 0, src_port: 0xffff - 17 - 20, dst_port: 0 };
    let header = Udp { src_port: flow.src_port, dst_port: 0, len: 10, checksum: udp(&flow, 10, 0) };
    assert_eq!(header.checksum, 0xffff);
    assert!(udp_ok(&flow, &header, 0));
    assert!(!udp_ok(&flow, &Udp { checksum: 0, ..header }, 0));
}

#[test]
fn unequal_lengths_copy_the_shorter() {
    let src = noise(3, 200);
    for (to, from) in [(130, 200), (200, 130), (0, 5), (5, 0)] {
        let mut dst = vec![0; to];
        let len = to.min(from);
        assert_eq!(copy_piece(&mut dst, &src[..from]), piece(&src[..len]));
        assert!(dst[..len] == src[..len] && dst[len..].iter().all(|&x| x == 0));
    }
}

/// If two words of different value change places, the digest before the mix changes by the difference of
/// their coefficients times that of their values, which is less than 2^32. It can't vanish modulo 2^64 when
/// no two coefficients agree in their low 33 bits. Sorted by reversed bits, those that agree most are
/// neighbours.
#[test]
fn exchanging_any_two_words_always_shows() {
    let rows = if cfg!(miri) { 8 } else { 9192_usize.div_ceil(ROW) };
    let mut reversed: Vec<u64> = (0..rows * 16).map(|word| coefficient(word, rows).reverse_bits()).collect();
    reversed.sort_unstable();
    let most = reversed.windows(2).map(|w| (w[0] ^ w[1]).leading_zeros()).max().unwrap_or(0);
    assert!(most <= 32, "{most} low bits agree");
}

#[test]
fn whatever_changes_places_shows() {
    let bytes = noise(5, 1480);
    let whole = piece(&bytes);
    let mut seen = HashSet::from([whole.digest]);
    let mut fresh = |b: &[u8]| {
        let p = piece(b);
        assert_eq!(fold(p.sum), fold(whole.sum), "the checksum is blind to it");
        assert!(seen.insert(p.digest), "a collision");
    };
    let swapped = |a: usize, b: usize, n: usize| {
        let mut c = bytes.clone();
        let (x, y) = c.split_at_mut(b);
        x[a..a + n].swap_with_slice(&mut y[..n]);
        c
    };
    let words = if cfg!(miri) { 3 } else { 370 };
    for a in 0..words {
        for b in a + 1..words {
            fresh(&swapped(a * 4, b * 4, 4));
        }
    }
    let rows = if cfg!(miri) { 3 } else { 23 };
    for a in 0..rows {
        for b in a + 1..rows {
            fresh(&swapped(a * 64, b * 64, 64));
        }
    }
    for at in (0..1478).step_by(if cfg!(miri) { 301 } else { 1 }).filter(|&at| bytes[at] != bytes[at + 2]) {
        fresh(&swapped(at, at + 2, 1));
    }
    let mut moved = bytes.clone();
    let byte = moved.remove(100);
    moved.insert(700, byte);
    assert_ne!(piece(&moved).digest, whole.digest);
    // Zeros at the end are part of the piece.
    let most = if cfg!(miri) { 20 } else { 200 };
    let digests: HashSet<u64> = (0..most).map(|len| piece(&[0; 200][..len]).digest).collect();
    assert_eq!(digests.len(), most);
}

#[test]
fn order_of_pieces_shows() {
    let n = if cfg!(miri) { 4 } else { 45 };
    let pieces: Vec<Piece> = (0..n as u64).map(|i| piece(&noise(i, 1480))).collect();
    let digest = |order: &[usize]| {
        let mut digest = Digest::new();
        for &i in order {
            digest.push(pieces[i]);
        }
        assert_ne!(digest.finish16(), 0);
        digest
    };
    let straight: Vec<usize> = (0..n).collect();
    let mut seen = HashSet::from([digest(&straight).finish()]);
    for a in 0..n {
        for b in a + 1..n {
            let mut order = straight.clone();
            order.swap(a, b);
            assert_eq!(digest(&order).sum(), digest(&straight).sum());
            assert!(seen.insert(digest(&order).finish()), "pieces {a} and {b}");
        }
    }
    assert_ne!(digest(&straight[..n - 1]).finish(), digest(&straight).finish());
}

/// `cargo test --release -p lm-proto speed -- --ignored --nocapture`: bytes per ns over 64 KB.
#[test]
#[ignore = "prints speeds"]
fn speed() {
    // Not at the same place in a page: loads would wait for stores that only look alike (4 KiB aliasing).
    let (src, mut dst) = (noise(1, 65_536 + 64), vec![0; 65_536 + 2100]);
    for (name, arch) in levels() {
        for len in [1472, 1480, 9176] {
            let pieces = || src[4..65_540].chunks_exact(len);
            let best = |pass: &mut dyn FnMut()| {
                let time = |_| {
                    let start = Instant::now();
                    (0..8).for_each(|_| pass());
                    start.elapsed().as_nanos() as f64 / 8.0
                };
                pieces().len() as f64 * len as f64 / (0..300).map(time).fold(f64::MAX, f64::min)
            };
            let sum = best(&mut || pieces().for_each(|p| _ = black_box(dispatch(arch, Sum(black_box(p))))));
            let read = best(&mut || pieces().for_each(|p| _ = black_box(dispatch(arch, Read(black_box(p))))));
            let mut to = |pass: &mut dyn FnMut(&mut [u8], &[u8])| {
                best(&mut || dst[2084..].chunks_exact_mut(len).zip(pieces()).for_each(|(d, s)| pass(d, s)))
            };
            let copied = to(&mut |d, s| _ = black_box(dispatch(arch, Copied(d, s))));
            let memcpy = to(&mut |d, s| black_box(d).copy_from_slice(black_box(s)));
            println!(
                "{name:9} {len:4} B: sum {sum:5.1}  piece {read:5.1}  copy_piece {copied:5.1}  memcpy \
                 {memcpy:5.1} B/ns"
            );
        }
    }
}
