//! Headers that were seen, but not their lengths: options, trailers, totals that lie, checksums of frames,
//! priority tags.

use crate::VICTIM;
use crate::hand::{self, Packet, bytes};
use crate::stage::{
    Faults, HEADERS, Policy, Seen, VIRTUAL, Way, everywhere, overlapping, play, policies, separate,
};
use lm_proto::layout::Geometry;

const G: Geometry = Geometry::ETHERNET;

/// A datagram in pieces of which each may have options: cut for a smaller MTU, or with full fragments and
/// options only where a frame has room.
fn pieces(len: usize, mtu: usize, checked: bool) -> Vec<Packet> {
    hand::cut(mtu, VICTIM, 1, &hand::udp(VICTIM, &bytes(len, 3), checked))
}

/// Every order that matters: as a kernel sends, and last first.
fn orders(packets: &[Packet]) -> [Vec<Vec<u8>>; 2] {
    let forward = hand::frames(packets);
    let reverse = forward.iter().rev().cloned().collect();
    [forward, reverse]
}

fn run(
    faults: &mut Faults,
    what: &str,
    packets: &[Packet],
    ways: &[Way],
    whole: impl Fn(Way, Policy) -> bool,
) {
    let payload: Vec<u8> = bytes(packets.iter().map(|p| p.body.len()).sum::<usize>() - 8, 3);
    for frames in orders(packets) {
        for &way in ways {
            for require in policies() {
                let name = || format!("{what}, {require:?}, {way:?}");
                let seen = faults.watch(play(G, require, way, &frames), name);
                let due = |seen: Seen| seen.has(VICTIM, &payload);
                if whole(way, require) && !seen.is_none_or(due) {
                    faults.check(false, || format!("{}: it is not delivered", name()));
                }
            }
        }
    }
}

/// Where each header is read the datagram has to come out, if headers are what is asked for.
fn all_read(way: Way, require: Policy) -> bool {
    require.headers && (way.slot == lm_proto::frame::Slot::Separate || (way.synchronous && way.burst == 1))
}

#[test]
fn options_are_no_payload() {
    let mut faults = Faults::default();
    for options in [vec![1; 4], vec![1; 8], vec![0; 12], vec![7; 40]] {
        for checked in [true, false] {
            // In one frame; in fragments none of which is full; in full ones but for the last.
            for (len, mtu) in
                [(100, 1500), (1300, 1500), (4000, 1000), (4435, 1500), (1481, 1500), (1900, 1500)]
            {
                let plain = pieces(len, mtu, checked);
                for at in 0..plain.len() {
                    if plain[at].body.len() + options.len() > 1480 {
                        continue;
                    }
                    let mut packets = plain.clone();
                    packets[at].options.clone_from(&options);
                    let what =
                        format!("{len} bytes cut at {mtu}, {} of options at {at}, {checked}", options.len());
                    run(&mut faults, &what, &packets, &everywhere(), all_read);
                }
                let mut packets = plain;
                for p in packets.iter_mut().filter(|p| p.body.len() + options.len() <= 1480) {
                    p.options.clone_from(&options);
                }
                let what = format!("{len} bytes cut at {mtu}, {} of options where they fit", options.len());
                run(&mut faults, &what, &packets, &everywhere(), all_read);
            }
        }
    }
    faults.none();
}

/// A packet that ends before its frame: what follows was never in any.
#[test]
fn trailers_are_no_payload() {
    let mut faults = Faults::default();
    for checked in [true, false] {
        let plain = pieces(4435, 1500, checked);
        for at in 0..plain.len() {
            for left in [8, 16, 600, 1456, 1464, 1472] {
                let mut packets = plain.clone();
                let body = &mut packets[at].body;
                if left >= body.len() {
                    continue;
                }
                packets[at].trailer = body.split_off(left);
                // A trailer begins behind 60 bytes; here it is what was the payload.
                let trailer = std::mem::take(&mut packets[at].trailer);
                packets[at].total = Some(20 + left);
                packets[at].body.extend(trailer);
                for frames in orders(&packets) {
                    for way in everywhere() {
                        for require in policies().filter(|r| !r.tags) {
                            let seen = faults.watch(play(G, require, way, &frames), || {
                                format!(
                                    "{left} bytes of packet in frame {at}, {checked}, {require:?}, {way:?}"
                                )
                            });
                            // A middle header within a burst is gone, and the checksum proves the bytes.
                            let proven = checked && require.checksum;
                            if let Some(seen) = seen.filter(|_| !proven) {
                                faults.check(seen.delivered.is_empty(), || {
                                    format!("{left} bytes of packet in frame {at}, {require:?}, {way:?}: delivered")
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    faults.none();
}

/// A total length beyond the frame's end.
#[test]
fn a_packet_longer_than_its_frame() {
    let mut faults = Faults::default();
    for (len, more) in [(100, 1), (100, 8), (1400, 64), (4000, 8), (4000, 800)] {
        let plain = pieces(len, 1500, false);
        for at in 0..plain.len() {
            let mut packets = plain.clone();
            packets[at].total = Some(20 + packets[at].body.len() + more);
            // A short frame's padding would be in it.
            if packets[at].frame().len() < 60 {
                continue;
            }
            for frames in orders(&packets) {
                for way in everywhere() {
                    let seen =
                        faults.watch(play(G, HEADERS, way, &frames), || format!("{len}, {at}, {way:?}"));
                    if let Some(seen) = seen {
                        faults
                            .check(seen.delivered.is_empty(), || format!("{len}, {at}, {way:?}: delivered"));
                        faults
                            .check(!seen.drops().is_empty(), || format!("{len}, {at}, {way:?}: not counted"));
                    }
                }
            }
        }
    }
    faults.none();
}

/// A device that keeps the frame check sequence: four bytes behind each packet that nobody sent as payload.
#[test]
fn frame_check_sequences_are_tolerated() {
    let mut faults = Faults::default();
    let fcs = [0xde, 0xad, 0xbe, 0xef];
    for len in [0, 1, 17, 18, 19, 100, 1400, 1434, 1472, 1473, 2000, 2900, 4000, 7168] {
        let mut packets = pieces(len, 1500, true);
        packets.iter_mut().for_each(|p| p.trailer = fcs.to_vec());
        // In an overlapping slot a full frame has no room for them.
        let roomy = packets.len() == 1 && len <= 1468;
        run(&mut faults, &format!("{len} bytes"), &packets, &separate(), all_read);
        run(&mut faults, &format!("{len} bytes"), &packets, &overlapping(), |way, require| {
            roomy && all_read(way, require)
        });
    }
    // LM's own: behind the tag.
    for len in [0, 18, 100, 1400, 1472, 2000, 7168] {
        let mut frames =
            lm_proto::mock::lm_frames(G, VICTIM, 1, &bytes(len, 3), lm_proto::alf::ChecksumMode::Full);
        for f in &mut frames {
            f.resize(f.len().max(60), 0);
            f.extend_from_slice(&fcs);
        }
        for way in everywhere() {
            for require in policies() {
                let name = || format!("LM's of {len} bytes, {require:?}, {way:?}");
                let seen = faults.watch(play(G, require, way, &frames), name);
                let due = way.slot == lm_proto::frame::Slot::Separate && require.headers;
                if let Some(seen) = seen.filter(|_| due) {
                    faults.check(seen.has(VICTIM, &bytes(len, 3)), || format!("{}: not delivered", name()));
                }
            }
        }
    }
    faults.none();
}

/// VLAN number 0 is a priority and no VLAN (802.1Q); any other is a stranger's.
#[test]
fn priority_tags_are_no_vlan() {
    let mut faults = Faults::default();
    for len in [0, 18, 100, 1400, 1472, 1473, 2000, 4000, 7168] {
        for tag in [0x0000, 0xa000, 0xe000] {
            for which in 0..3 {
                let mut packets = pieces(len, 1500, true);
                for (i, p) in packets.iter_mut().enumerate() {
                    p.vlan = (which == 0 || i % 2 == which - 1).then_some(tag);
                }
                let what = format!("{len} bytes, tag {tag:#06x}, on {which}");
                run(&mut faults, &what, &packets, &separate(), all_read);
                run(&mut faults, &what, &packets, &overlapping(), |_, _| false);
            }
        }
        let mut packets = pieces(len, 1500, true);
        packets.iter_mut().for_each(|p| p.vlan = Some(5));
        for frames in orders(&packets) {
            let seen =
                faults.watch(play(G, HEADERS, VIRTUAL.separate(), &frames), || format!("VLAN 5, {len}"));
            if let Some(seen) = seen {
                faults.check(seen.delivered.is_empty(), || format!("VLAN 5, {len} bytes: delivered"));
                let strangers = seen.strangers.len();
                faults.check(strangers >= packets.len(), || {
                    format!("VLAN 5, {len} bytes: {strangers} strangers")
                });
            }
        }
    }
    faults.none();
}
