//! Halves of two datagrams that meet, as behind a lost frame, and whose checksums agree.
//!
//! Where a header that was read, or a tag, says that they are two, nothing outweighs that.

use crate::hand::{self, Packet, bytes};
use crate::stage::{Faults, VIRTUAL, everywhere, overlapping, play, policies, separate};
use crate::{SENDER, VICTIM};
use lm_proto::alf::ChecksumMode;
use lm_proto::layout::Geometry;
use lm_proto::mock::lm_frames;
use lm_proto::wire::{Flow, UDP};

const G: Geometry = Geometry::ETHERNET;
const S: usize = 1480;

/// Two payloads of the same sum: at each of `places` two words have changed places.
fn pair(len: usize, places: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let one = bytes(len, len as u64);
    let mut two = one.clone();
    for &at in places {
        two.swap(at, at + 2);
        two.swap(at + 1, at + 3);
    }
    assert!(hand::sum(&one) == hand::sum(&two) && (places.is_empty() || one != two));
    (one, two)
}

/// In every part of a payload two words change places, so any halves of the two are something that nobody
/// sent.
fn parts(len: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..=len / S).map(|i| i * S + 100).filter(|at| at + 4 <= len).collect();
    if len % S < 104 && len >= 1476 {
        // A last fragment that has few bytes.
        places.push((len - 4) & !1);
    }
    places
}

/// How the second datagram differs, but for its bytes.
fn others() -> [(&'static str, Flow, u16); 4] {
    [
        ("identification", VICTIM, 2),
        ("source", Flow { src: VICTIM.src + 1, ..VICTIM }, 1),
        ("source and identification", Flow { src: VICTIM.src + 1, ..VICTIM }, 2),
        ("port", Flow { src_port: VICTIM.src_port + 1, ..VICTIM }, 2),
    ]
}

/// The first `cut` frames of one, the rest of the other.
fn meet(one: &[Vec<u8>], two: &[Vec<u8>], cut: usize) -> Vec<Vec<u8>> {
    [&one[..cut], &two[cut..]].concat()
}

#[test]
fn of_lms_datagrams() {
    let mut faults = Faults::default();
    for len in [1473, 1476, 1480, 1490, 1500, 2000, 2950, 2960, 2966, 3500, 4436, 7168] {
        let (a, b) = pair(len, &parts(len));
        for (what, flow, id) in others() {
            let one = lm_frames(G, VICTIM, 1, &a, ChecksumMode::Full);
            let two = lm_frames(G, flow, id, &b, ChecksumMode::Full);
            for cut in 1..one.len() {
                for frames in [meet(&one, &two, cut), meet(&two, &one, cut)] {
                    for require in policies() {
                        for way in everywhere() {
                            faults.watch(play(G, require, way, &frames), || {
                                format!("{len} bytes, {what} differs, cut at {cut}, {require:?}, {way:?}")
                            });
                        }
                    }
                }
            }
        }
    }
    faults.none();
}

/// Of a kernel's datagrams, and of a stack's that sends last fragments first and pads short frames with
/// zeroes.
#[test]
fn of_others_datagrams_whose_headers_are_read() {
    let mut faults = Faults::default();
    for len in [1473, 1480, 1500, 2000, 2900, 3500, 4200] {
        let (a, b) = pair(len, &parts(len));
        for (what, flow, id) in others() {
            let mut one = hand::kernel(1500, VICTIM, 1, &a);
            let mut two = hand::kernel(1500, flow, id, &b);
            for order in ["forward", "last first"] {
                for cut in 1..one.len() {
                    for frames in [meet(&one, &two, cut), meet(&two, &one, cut)] {
                        // With bursts of one every header is read, and in separate slots.
                        for way in separate().into_iter().chain([VIRTUAL]) {
                            for require in policies() {
                                faults.watch(play(G, require, way, &frames), || {
                                    format!("{order}, {len} bytes, {what} differs, cut at {cut}, {require:?}, {way:?}")
                                });
                            }
                        }
                    }
                }
                one.reverse();
                two.reverse();
            }
        }
    }
    faults.none();
}

/// The same in bursts, where the header that would tell may be gone.
#[test]
fn of_others_datagrams_in_bursts() {
    let mut faults = Faults::default();
    for len in [1480, 2000, 2940] {
        let (a, b) = pair(len, &parts(len));
        let mut one = hand::kernel(1500, VICTIM, 1, &a);
        let mut two = hand::kernel(1500, VICTIM, 2, &b);
        for order in ["forward", "last first"] {
            for frames in [meet(&one, &two, 1), meet(&two, &one, 1)] {
                for way in overlapping() {
                    for require in policies() {
                        faults.watch(play(G, require, way, &frames), || {
                            format!("{order}, {len} bytes, {require:?}, {way:?}")
                        });
                    }
                }
            }
            one.reverse();
            two.reverse();
        }
    }
    faults.none();
}

/// Offsets are a part of what a header says: a last fragment of a longer or shorter datagram is not this
/// one's.
#[test]
fn of_one_identification_but_another_place() {
    let mut faults = Faults::default();
    let payload = bytes(2000, 40);
    let datagram = hand::udp(VICTIM, &payload, true);
    let packets = hand::cut(1500, VICTIM, 1, &datagram);
    for offset in [8, 1472, 1488, 2960] {
        let moved = Packet { offset, ..packets[1].clone() };
        for frames in [[packets[0].frame(), moved.frame()], [moved.frame(), packets[0].frame()]] {
            for way in separate().into_iter().chain([VIRTUAL]) {
                for require in policies() {
                    faults.watch(play(G, require, way, &frames), || {
                        format!("at {offset}, {require:?}, {way:?}")
                    });
                }
            }
        }
    }
    faults.none();
}

/// A stranger's frame with his own address, as long as the victim's last, and of the same sum, lands between
/// or behind the victim's.
#[test]
fn a_strangers_tail() {
    let mut faults = Faults::default();
    for len in [1480, 1500, 2000] {
        let (a, _) = pair(len, &[]);
        let mut tail = a[S - UDP..].to_vec();
        tail.swap(0, 2);
        tail.swap(1, 3);
        let victim = lm_frames(G, VICTIM, 1, &a, ChecksumMode::Full);
        let [last, first] = &victim[..] else { unreachable!("two fragments") };
        // As LM would pad it, with the tag that lies behind it, and without.
        let with_tag = last[34 + tail.len()..].to_vec();
        for body in [tail.clone(), [&tail[..], &with_tag].concat()] {
            for (flow, id) in [(SENDER, 77), (VICTIM, 77), (SENDER, 1)] {
                let injected = Packet::new(flow, id, S, false, &body).frame();
                let orders = [
                    vec![last.clone(), injected.clone(), first.clone()],
                    vec![injected.clone(), last.clone(), first.clone()],
                    vec![injected.clone(), first.clone(), last.clone()],
                    vec![injected.clone(), first.clone()],
                ];
                for frames in orders {
                    for way in everywhere() {
                        for require in policies().filter(|r| !r.tags) {
                            faults.watch(play(G, require, way, &frames), || {
                                format!(
                                    "{len} bytes, {flow:?} {id}, {} frames, {require:?}, {way:?}",
                                    frames.len()
                                )
                            });
                        }
                    }
                }
            }
        }
    }
    faults.none();
}
