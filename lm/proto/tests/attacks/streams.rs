//! A kernel's stream of datagrams in forward order, into overlapping slots, whole and with a frame lost.
//!
//! A lost frame costs the datagram that it belonged to, and few others.

use crate::VICTIM;
use crate::hand::{self, Packet, bytes};
use crate::stage::{BURSTS, CARD, DEFAULT, Faults, HEADERS, VIRTUAL, Way, play, play_acts};
use lm_proto::alf::ChecksumMode;
use lm_proto::layout::Geometry;
use lm_proto::mock::lm_frames;

const G: Geometry = Geometry::ETHERNET;
const TOTAL: u16 = 100;

fn stream(len: usize) -> Vec<Vec<Vec<u8>>> {
    (0..TOTAL).map(|i| hand::kernel(1500, VICTIM, i, &bytes(len, u64::from(i) + 5))).collect()
}

/// Receives a stream, without this frame; how many came.
fn received(
    faults: &mut Faults,
    way: Way,
    len: usize,
    stream: &[Vec<Vec<u8>>],
    lost: Option<usize>,
) -> Option<usize> {
    let mut frames = stream.concat();
    if let Some(lost) = lost {
        frames.remove(lost);
    }
    let seen =
        faults.watch(play(G, DEFAULT, way, &frames), || format!("{len} bytes, lost {lost:?}, {way:?}"))?;
    Some(seen.delivered.len())
}

/// Lengths of two fragments whose last does not reach the header of the first.
const TWO: [usize; 8] = [1473, 1474, 1490, 1500, 2000, 2400, 2900, 2918];

fn ways() -> Vec<Way> {
    let mut ways: Vec<Way> = BURSTS.iter().flat_map(|&b| [VIRTUAL.burst(b), CARD.burst(b)]).collect();
    ways.extend([2, 3, 5, 7].map(|b| VIRTUAL.burst(b)));
    ways.extend([1, 2, 3].map(|ahead| Way { ahead, ..CARD }));
    ways
}

#[test]
fn of_two_fragments_survive() {
    let mut faults = Faults::default();
    for len in TWO {
        let stream = stream(len);
        for way in ways() {
            let Some(n) = received(&mut faults, way, len, &stream, None) else { continue };
            faults.check(n == usize::from(TOTAL), || format!("{len} bytes, {way:?}: {n} of {TOTAL}"));
        }
    }
    faults.none();
}

/// In step again within two datagrams, wherever the frame was lost.
#[test]
fn of_two_fragments_survive_a_loss() {
    let mut faults = Faults::default();
    let total = usize::from(TOTAL);
    for len in [1473, 1500, 2000, 2918] {
        let stream = stream(len);
        for way in ways() {
            for lost in [0, 1, 2, 3, 6, 7, 64, 65, 2 * total - 2, 2 * total - 1] {
                let Some(n) = received(&mut faults, way, len, &stream, Some(lost)) else { continue };
                // With bursts of one every header is read, and nothing but what was lost is missing.
                let due = if way.synchronous && way.burst == 1 { total - 1 } else { total - 3 };
                faults
                    .check(n >= due && n < total, || format!("{len} bytes, frame {lost} lost, {way:?}: {n}"));
            }
        }
    }
    faults.none();
}

/// Many losses: each costs its own datagram and at most two more.
#[test]
fn of_two_fragments_survive_many_losses() {
    let mut faults = Faults::default();
    for len in [1500, 2000] {
        let stream = stream(len);
        for way in ways() {
            for step in [11, 17, 23, 37] {
                let frames: Vec<Vec<u8>> = stream
                    .concat()
                    .into_iter()
                    .enumerate()
                    .filter(|(i, _)| i % step != 3)
                    .map(|f| f.1)
                    .collect();
                let losses = 2 * usize::from(TOTAL) - frames.len();
                let name = || format!("{len} bytes, every {step}th frame lost, {way:?}");
                let Some(seen) = faults.watch(play(G, DEFAULT, way, &frames), name) else { continue };
                let n = seen.delivered.len();
                faults
                    .check(n + 3 * losses >= TOTAL.into(), || format!("{}: {n}, {:?}", name(), seen.drops()));
            }
        }
    }
    faults.none();
}

/// With bursts of one every header is read, whatever the length: nothing is missing but what was lost.
#[test]
fn whose_headers_are_all_read_survive() {
    let mut faults = Faults::default();
    for len in [1500, 2900, 2919, 2940, 2952, 3500, 4400, 7168, 20_000] {
        let stream = stream(len);
        let n = stream[0].len();
        for way in [VIRTUAL, VIRTUAL.separate(), VIRTUAL.burst(32).separate(), CARD.burst(4).separate()] {
            for lost in [None, Some(0), Some(1), Some(n - 1), Some(3 * n), Some(3 * n + 1)] {
                let Some(got) = received(&mut faults, way, len, &stream, lost) else { continue };
                let due = usize::from(TOTAL) - usize::from(lost.is_some());
                faults.check(got == due, || format!("{len} bytes, lost {lost:?}, {way:?}: {got} of {due}"));
            }
        }
    }
    faults.none();
}

/// Nothing wrong comes of streams of any length; and where the middle one of three is all that order leaves,
/// they come.
#[test]
fn of_three_fragments_survive() {
    let mut faults = Faults::default();
    for len in [2960, 3000, 3500, 4300] {
        let stream = stream(len);
        for way in ways().into_iter().filter(|w| w.synchronous) {
            let Some(n) = received(&mut faults, way, len, &stream, None) else { continue };
            faults.check(n == usize::from(TOTAL), || format!("{len} bytes, {way:?}: {n} of {TOTAL}"));
        }
    }
    faults.none();
}

/// A fragment in the midst of a datagram that is too short to land is looked at while its header is there:
/// the next frame overwrites it.
#[test]
fn a_short_fragment_between_others_survives() {
    let mut faults = Faults::default();
    for (middle, last) in [(1472, 1460), (1472, 1480), (1448, 1472), (1000, 1476)] {
        for checked in [true, false] {
            let payload = bytes(1480 + middle + last - 8, 3);
            let datagram = hand::udp(VICTIM, &payload, checked);
            let (end, behind) = (1480 + middle, &datagram[1480..]);
            let frames = [
                Packet::new(VICTIM, 1, 0, true, &datagram[..1480]).frame(),
                Packet::new(VICTIM, 1, 1480, true, &behind[..middle]).frame(),
                Packet::new(VICTIM, 1, end, false, &datagram[end..]).frame(),
            ];
            for way in [CARD, VIRTUAL] {
                let name = || format!("{middle} and {last} bytes, checksum {checked}, {way:?}");
                let Some(seen) = faults.watch(play(G, HEADERS, way, &frames), name) else { continue };
                faults.check(seen.has(VICTIM, &payload), || format!("{}: lost, {:?}", name(), seen.drops()));
            }
        }
    }
    faults.none();
}

/// What waits beyond its time goes alone: what came later, and is not late itself, stays.
#[test]
fn young_frames_do_not_die_with_old_ones() {
    let mut faults = Faults::default();
    let (old, young) = (bytes(7168, 1), bytes(7168, 2));
    let old = lm_frames(G, VICTIM, 1, &old, ChecksumMode::Full);
    let frames = lm_frames(G, VICTIM, 2, &young, ChecksumMode::Full);
    let second = 1_000_000_000;
    for left in 1..old.len() {
        for cut in 1..frames.len() {
            // The old ones are late for a moment, or so late that they go however few they are.
            let waits = [second / 4, second / 2, second * 9 / 10];
            for (apart, late) in waits.into_iter().flat_map(|w| [(w, second / 20), (w, second / 5)]) {
                // Behind a stranger they wait, and their time begins.
                let begun = [&frames[..cut], &[hand::arp(7)]].concat();
                let before = [&old[..left], &[hand::arp(6)]].concat();
                let acts = [(before, apart), (begun, second + late - apart), (frames[cut..].to_vec(), 0)];
                for way in [VIRTUAL, VIRTUAL.burst(32), CARD, VIRTUAL.separate()] {
                    let require = if way.slot == lm_proto::frame::Slot::Separate { HEADERS } else { DEFAULT };
                    let name = || {
                        format!("{left} old frames, {cut} young {apart} ns later, {late} ns late, {way:?}")
                    };
                    let Some(seen) = faults.watch(play_acts(G, require, way, &acts), name) else { continue };
                    faults
                        .check(seen.has(VICTIM, &young), || format!("{}: lost, {:?}", name(), seen.drops()));
                }
            }
        }
    }
    faults.none();
}

/// The same where it is frames and not time that make others old: a datagram that is whole within the window
/// is delivered.
#[test]
fn young_frames_do_not_leave_the_window_with_old_ones() {
    let mut faults = Faults::default();
    let young = bytes(7168, 2);
    let old = lm_frames(G, VICTIM, 1, &bytes(7168, 1), ChecksumMode::Full);
    let frames = lm_frames(G, VICTIM, 2, &young, ChecksumMode::Full);
    for between in [240, 248, 252, 255] {
        // One old frame, many good datagrams in one frame each, and a datagram with strangers inside when the
        // old one's time comes.
        let mut all = vec![old[0].clone()];
        for i in 0..between {
            all.extend(lm_frames(G, VICTIM, 100 + i, &bytes(300, u64::from(i)), ChecksumMode::Full));
        }
        all.extend_from_slice(&frames[..3]);
        all.extend((0..12).map(hand::arp));
        all.extend_from_slice(&frames[3..]);
        for way in [VIRTUAL, VIRTUAL.burst(4), VIRTUAL.burst(32), CARD] {
            let name = || format!("{between} between, {way:?}");
            let Some(seen) = faults.watch(play(G, DEFAULT, way, &all), name) else { continue };
            faults.check(seen.has(VICTIM, &young), || format!("{}: lost, {:?}", name(), seen.drops()));
        }
    }
    faults.none();
}
