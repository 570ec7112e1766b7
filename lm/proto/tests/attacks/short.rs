//! Legal datagrams of many lengths, at many MTUs, in both layouts: all are delivered, and none of them as an
//! empty one.
//!
//! The lengths are those where something changes: around multiples of the stride, at the guard, and the
//! longest.

use crate::VICTIM;
use crate::hand::{self, bytes};
use crate::stage::{CARD, DEFAULT, Faults, HEADERS, VIRTUAL, Way, play};
use lm_proto::alf::ChecksumMode;
use lm_proto::frame::Slot;
use lm_proto::layout::Geometry;
use lm_proto::mock::lm_frames;

/// Remainders of eight, the smallest and the largest, and those that are in use.
const MTUS: [u16; 14] = [576, 577, 583, 1006, 1280, 1450, 1451, 1492, 1499, 1500, 4000, 8999, 9000, 9216];

/// Lengths where something changes: around multiples of the stride, what fits into one frame, the longest.
fn lengths(g: Geometry) -> Vec<usize> {
    let (s, mtu) = (g.stride(), usize::from(g.mtu()));
    let mut all = vec![0, 1, 9, 10, 11, 17, 18, 19, 200, 65_499, 65_500, 65_507];
    for k in [1, 2, 3, 7] {
        for near in k * s - 42..=k * s + 9 {
            // Where the guard is, every length; else those around the change.
            if near >= k * s - 17 || near.is_multiple_of(5) {
                all.push(near);
            }
        }
        let longest = k * s + mtu - 20 - s;
        all.extend(longest.saturating_sub(10)..=longest + 1);
    }
    all.retain(|&len| len <= 65_507);
    all.sort_unstable();
    all.dedup();
    all
}

fn pass(faults: &mut Faults, g: Geometry, len: usize, way: Way, how: &str, frames: &[Vec<u8>]) {
    let require = if way.slot == Slot::Separate { HEADERS } else { DEFAULT };
    let name = || format!("MTU {}, {len} bytes, {how}, {way:?}", g.mtu());
    if let Some(seen) = faults.watch(play(g, require, way, frames), name) {
        let drops = seen.drops();
        faults.check(seen.has(VICTIM, &bytes(len, 1)), || format!("{}: not delivered, {drops:?}", name()));
    }
}

#[test]
fn every_length_passes() {
    let mut faults = Faults::default();
    for mtu in MTUS {
        let g = Geometry::new(mtu).expect("an MTU");
        for len in lengths(g) {
            let payload = bytes(len, 1);
            let kernel = hand::kernel(mtu.into(), VICTIM, 1, &payload);
            let ours = lm_frames(g, VICTIM, 2, &payload, ChecksumMode::Full);
            for way in [VIRTUAL.separate(), CARD.burst(32).separate()] {
                pass(&mut faults, g, len, way, "a kernel's", &kernel);
                pass(&mut faults, g, len, way, "LM's", &ours);
            }
            for way in [VIRTUAL, VIRTUAL.burst(32), CARD, CARD.burst(32)] {
                pass(&mut faults, g, len, way, "LM's", &ours);
            }
            // Every header is read: forward order is proven by headers.
            pass(&mut faults, g, len, VIRTUAL, "a kernel's", &kernel);
            if kernel.len() == 1 {
                for way in [VIRTUAL.burst(32), CARD, CARD.burst(32)] {
                    pass(&mut faults, g, len, way, "a kernel's", &kernel);
                }
            }
        }
    }
    faults.none();
}

/// Datagrams of neighbouring lengths behind one another: what one leaves is no harm to the next.
#[test]
fn one_behind_the_other() {
    let mut faults = Faults::default();
    for mtu in MTUS {
        let g = Geometry::new(mtu).expect("an MTU");
        let top = usize::from(mtu) - 28;
        let lens: Vec<usize> = (top - 12..=top).rev().chain([0, 200]).chain(top - 12..=top).collect();
        let payloads: Vec<Vec<u8>> = lens.iter().map(|&len| bytes(len, len as u64)).collect();
        let numbered = || (1_u16..).zip(&payloads);
        let kernel: Vec<_> = numbered().flat_map(|(id, p)| hand::kernel(mtu.into(), VICTIM, id, p)).collect();
        let ours: Vec<_> =
            numbered().flat_map(|(id, p)| lm_frames(g, VICTIM, id, p, ChecksumMode::Full)).collect();
        for (how, frames) in [("a kernel's", kernel), ("LM's", ours)] {
            for way in [VIRTUAL, VIRTUAL.separate(), VIRTUAL.burst(32).separate(), CARD.burst(16).separate()]
            {
                let name = || format!("MTU {mtu}, {how}, {way:?}");
                let Some(seen) = faults.watch(play(g, DEFAULT, way, &frames), name) else { continue };
                let got: Vec<usize> = seen.delivered.iter().map(|d| d.payload.len()).collect();
                faults.check(got == lens, || format!("{}: {got:?} of {lens:?}, {:?}", name(), seen.drops()));
            }
        }
    }
    faults.none();
}

/// A sender whose MTU is larger than ours: whole or counted, never empty.
#[test]
fn frames_beyond_the_mtu_are_whole_or_counted() {
    let mut faults = Faults::default();
    for mtu in MTUS {
        let g = Geometry::new(mtu).expect("an MTU");
        for beyond in 1..=40 {
            let len = usize::from(mtu) - 28 + beyond;
            let frames = hand::kernel(usize::from(mtu) + beyond, VICTIM, 1, &bytes(len, 1));
            assert_eq!(frames.len(), 1);
            for way in [VIRTUAL, VIRTUAL.burst(32), CARD, VIRTUAL.separate(), CARD.burst(32).separate()] {
                let name = || format!("MTU {mtu}, a frame {beyond} longer, {way:?}");
                let Some(seen) = faults.watch(play(g, DEFAULT, way, &frames), name) else { continue };
                let whole = seen.has(VICTIM, &bytes(len, 1));
                faults.check(whole || seen.dropped("oversize") > 0, || {
                    format!("{}: {} delivered, {:?}", name(), seen.delivered.len(), seen.drops())
                });
            }
        }
    }
    faults.none();
}
