//! Many senders at once, fragment by fragment, in separate slots.
//!
//! As many datagrams as there are places are received. Beyond that, new ones are refused, and no source takes
//! more than its share.

use crate::hand::{self, bytes};
use crate::stage::{CARD, Faults, HEADERS, Seen, VIRTUAL, Way, play, play_acts};
use crate::{SENDER, VICTIM};
use lm_proto::alf::ChecksumMode;
use lm_proto::layout::Geometry;
use lm_proto::mock::lm_frames;
use lm_proto::wire::Flow;

const G: Geometry = Geometry::ETHERNET;
/// Datagrams that may be incomplete at once, at least, by default.
const AT_ONCE: usize = 64;

fn flow(i: usize) -> Flow {
    Flow { src: VICTIM.src + i as u32, ..VICTIM }
}

fn payload(i: usize) -> Vec<u8> {
    bytes(7168, i as u64 + 50)
}

fn datagram(i: usize, ours: bool) -> Vec<Vec<u8>> {
    if ours {
        lm_frames(G, flow(i), i as u16, &payload(i), ChecksumMode::Full)
    } else {
        hand::kernel(1500, flow(i), i as u16, &payload(i))
    }
}

/// The first frame of each, the second of each, and so on.
fn interleaved(datagrams: &[Vec<Vec<u8>>]) -> Vec<Vec<u8>> {
    let most = datagrams.iter().map(Vec::len).max().unwrap_or(0);
    (0..most).flat_map(|k| datagrams.iter().filter_map(move |d| d.get(k).cloned())).collect()
}

fn came(seen: &Seen, i: usize) -> bool {
    seen.has(flow(i), &payload(i))
}

#[test]
fn many_senders_at_once_are_all_received() {
    let mut faults = Faults::default();
    for n in [2, 16, 17, 33, 40, AT_ONCE, 1000] {
        for ours in [true, false] {
            let datagrams: Vec<_> = (0..n).map(|i| datagram(i, ours)).collect();
            let frames = interleaved(&datagrams);
            let ways = [VIRTUAL, VIRTUAL.burst(32), CARD.burst(16)];
            for way in [ways.map(Way::separate), ways.map(Way::copying)].concat() {
                if way.copies && n > AT_ONCE || n > AT_ONCE && !ours && way.burst == 1 {
                    continue;
                }
                let name = || format!("{n} senders, LM's: {ours}, {way:?}");
                let Some(seen) = faults.watch(play(G, HEADERS, way, &frames), name) else { continue };
                let got = (0..n).filter(|&i| came(&seen, i)).count();
                faults.check(got == n, || format!("{}: {got}, {:?}", name(), seen.drops()));
            }
        }
    }
    faults.none();
}

/// Beyond that the newest are refused and counted, and those that are nearly whole are kept.
#[test]
fn when_it_is_full_the_newest_are_refused() {
    let mut faults = Faults::default();
    for n in [65, 80, 128, 300] {
        for ours in [true, false] {
            let datagrams: Vec<_> = (0..n).map(|i| datagram(i, ours)).collect();
            // All frames but one of the first, then everything of the others.
            let (old, new) = datagrams.split_at(AT_ONCE);
            let begun: Vec<_> = old.iter().map(|d| d[..d.len() - 1].to_vec()).collect();
            let rest: Vec<_> = old.iter().map(|d| d[d.len() - 1..].to_vec()).collect();
            let others = interleaved(new);
            let nearly = [interleaved(&begun), others, rest.concat()].concat();
            for (how, frames) in [("all at once", interleaved(&datagrams)), ("nearly whole", nearly)] {
                let name = || format!("{n} senders, {how}, LM's: {ours}");
                let played = play(G, HEADERS, VIRTUAL.burst(32).copying(), &frames);
                let Some(seen) = faults.watch(played, name) else { continue };
                let kept = (0..AT_ONCE).filter(|&i| came(&seen, i)).count();
                faults.check(kept == AT_ONCE, || format!("{}: {kept} kept, {:?}", name(), seen.drops()));
                let missing = n - seen.delivered.len();
                faults.check(missing == 0 || !seen.drops().is_empty(), || format!("{}: not counted", name()));
            }
        }
    }
    faults.none();
}

/// One source that begins datagrams and never ends them leaves room for all others.
#[test]
fn no_source_takes_more_than_its_share() {
    let mut faults = Faults::default();
    for kind in ["first fragments", "last fragments", "all but one"] {
        let mut junk = Vec::new();
        for id in 0..200 {
            let frames = hand::kernel(1500, SENDER, id, &bytes(7168, id.into()));
            match kind {
                "first fragments" => junk.push(frames[0].clone()),
                "last fragments" => junk.push(frames[4].clone()),
                _ => junk.extend_from_slice(&frames[1..]),
            }
        }
        for honest in [1, 8, 17, 32] {
            let datagrams: Vec<_> = (0..honest).map(|i| datagram(i, i % 2 == 0)).collect();
            let good = interleaved(&datagrams);
            let before = [&junk[..], &good].concat();
            let step = junk.len() / good.len() + 1;
            let mut mixed = Vec::new();
            for (i, f) in good.iter().enumerate() {
                mixed.extend(junk.iter().skip(i * step).take(step).cloned());
                mixed.push(f.clone());
            }
            for (how, frames) in [("before", before), ("between", mixed)] {
                for way in [VIRTUAL.burst(32).separate(), VIRTUAL.burst(32).copying()] {
                    let name = || format!("{kind} {how} {honest} honest senders, {way:?}");
                    let Some(seen) = faults.watch(play(G, HEADERS, way, &frames), name) else { continue };
                    let got = (0..honest).filter(|&i| came(&seen, i)).count();
                    faults.check(got == honest, || format!("{}: {got}, {:?}", name(), seen.drops()));
                    faults.check(!seen.drops().is_empty(), || format!("{}: not counted", name()));
                }
            }
        }
    }
    faults.none();
}

/// Invented senders can fill it, and no longer than what they began is waited for.
#[test]
fn it_is_empty_again_after_a_second() {
    let mut faults = Faults::default();
    let junk: Vec<_> = (0..500_u16)
        .map(|i| {
            let flow = Flow { src: SENDER.src + u32::from(i), ..SENDER };
            hand::kernel(1500, flow, i, &bytes(7168, i.into())).swap_remove(0)
        })
        .collect();
    let good = interleaved(&(0..40).map(|i| datagram(i, i % 2 == 0)).collect::<Vec<_>>());
    let acts = [(junk, 1_300_000_000), (good, 0)];
    let played = play_acts(G, HEADERS, VIRTUAL.burst(32).separate(), &acts);
    if let Some(seen) = faults.watch(played, || "invented senders".to_owned()) {
        let got = (0..40).filter(|&i| came(&seen, i)).count();
        faults.check(got == 40, || format!("{got} of 40, {:?}", seen.drops()));
    }
    faults.none();
}
