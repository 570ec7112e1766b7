//! RFC 3168, section 5.3: if one fragment of a datagram met congestion, and another says that its sender does
//! not use the marks, the datagram is dropped.
//!
//! All mixtures are tried, in separate and in overlapping slots, with and without a repair.

use crate::VICTIM;
use crate::hand::{self, bytes};
use crate::stage::{CARD, DEFAULT, Faults, HEADERS, VIRTUAL, play};
use lm_proto::alf::ChecksumMode;
use lm_proto::layout::Geometry;
use lm_proto::mock::frames::with_ecn;
use lm_proto::mock::lm_frames;

const G: Geometry = Geometry::ETHERNET;
const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// Whether fragments with these words may become one datagram.
fn is_allowed(words: &[u8]) -> bool {
    !(words.contains(&NOT_ECT) && words.contains(&CE))
}

#[test]
fn mixtures_that_lose_a_mark_are_dropped_and_counted() {
    let mut faults = Faults::default();
    let payload = bytes(4000, 1);
    let datagram = hand::udp(VICTIM, &payload, true);
    for code in 0..64_u8 {
        let words = [code & 3, code >> 2 & 3, code >> 4 & 3];
        for class in [0, 0b1011_1000] {
            let mut packets = hand::cut(1500, VICTIM, 1, &datagram);
            packets.iter_mut().zip(words).for_each(|(p, w)| p.tos = class | w);
            let mut frames = hand::frames(&packets);
            for order in ["forward", "last first"] {
                // In overlapping slots with bursts of one each header is seen, and the datagram is repaired.
                let seen_all = VIRTUAL;
                for way in [VIRTUAL.separate(), VIRTUAL.burst(32).separate(), CARD.separate(), seen_all] {
                    for require in [HEADERS, DEFAULT] {
                        let name = || format!("{words:?}, {order}, {require:?}, {way:?}");
                        let Some(seen) = faults.watch(play(G, require, way, &frames), name) else { continue };
                        let ecn = seen.dropped("ecn");
                        // What lands in place is not asked for its marks: docs/strangers.md says so.
                        let lands = way.slot == lm_proto::frame::Slot::Overlapping && order == "last first";
                        if is_allowed(&words) {
                            let whole = seen.has(VICTIM, &payload);
                            faults.check(whole && ecn == 0, || format!("{}: {whole}, ecn {ecn}", name()));
                        } else if !lands {
                            let none = seen.delivered.is_empty();
                            faults.check(none && ecn == 1, || format!("{}: {}, ecn {ecn}", name(), !none));
                        }
                    }
                }
                frames.reverse();
            }
        }
    }
    faults.none();
}

/// The same where a stranger's frame lies between the fragments, so that they are put together by a copy.
#[test]
fn mixtures_that_need_a_repair_are_dropped_and_counted() {
    let mut faults = Faults::default();
    let payload = bytes(4000, 1);
    for code in 0..64_u8 {
        let words = [code & 3, code >> 2 & 3, code >> 4 & 3];
        for at in 1..3 {
            let mut frames = lm_frames(G, VICTIM, 1, &payload, ChecksumMode::Full);
            frames.iter_mut().zip(words).for_each(|(frame, word)| with_ecn(frame, word));
            frames.insert(at, hand::arp(7));
            let name = || format!("{words:?}, a stranger before frame {at}");
            let Some(seen) = faults.watch(play(G, DEFAULT, VIRTUAL, &frames), name) else { continue };
            let (whole, ecn) = (seen.has(VICTIM, &payload), seen.dropped("ecn"));
            let due = if is_allowed(&words) { (true, 0) } else { (false, 1) };
            faults.check((whole, ecn) == due, || format!("{}: {whole}, ecn {ecn}", name()));
        }
    }
    faults.none();
}

/// One word in all fragments, and a datagram in one frame: nothing is mixed.
#[test]
fn one_word_is_no_mixture() {
    let mut faults = Faults::default();
    for word in [NOT_ECT, ECT_1, ECT_0, CE] {
        for len in [10, 1472, 7168] {
            let payload = bytes(len, 2);
            let mut packets = hand::cut(1500, VICTIM, 1, &hand::udp(VICTIM, &payload, true));
            packets.iter_mut().for_each(|p| p.tos = word);
            for way in [VIRTUAL, VIRTUAL.separate()] {
                let played = play(G, DEFAULT, way, &hand::frames(&packets));
                let Some(seen) = faults.watch(played, || format!("{word}, {len} bytes, {way:?}")) else {
                    continue;
                };
                faults.check(seen.has(VICTIM, &payload), || format!("{word}, {len} bytes, {way:?}: lost"));
            }
        }
    }
    faults.none();
}
