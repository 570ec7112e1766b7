//! What happens to frames on their way: losses, other orders, unusual headers, and frames of others.
//!
//! `grammar` calls these functions when it makes a case. The same random numbers give the same changes.

use super::super::case::Arrival;
use super::super::frames::{self, fragment};
use super::super::hostile::ATTACKER;
use super::super::random::Random;
use super::arrival;
use crate::layout::Geometry;
use crate::wire::{self, Arp, HEADERS, UDP};

/// Loses one frame, or as many frames in a row as an overrun ring, from one datagram into another.
pub(super) fn lose(random: &mut Random, all: &mut Vec<Arrival>) {
    let at = random.below(all.len());
    let n = if random.once_in(2) { 1 } else { random.within(1, 50) };
    all.drain(at..all.len().min(at + n));
}

/// Mixes trains of frames. Each train keeps its order.
pub(super) fn interleave(random: &mut Random, mut trains: Vec<Vec<Arrival>>) -> Vec<Arrival> {
    let fair = random.once_in(2);
    trains.iter_mut().for_each(|t| t.reverse());
    let mut out = Vec::new();
    while !trains.is_empty() {
        let at = random.below(trains.len());
        let some = if fair { 0..trains.len() } else { at..at + 1 };
        for train in &mut trains[some] {
            out.extend(train.pop());
        }
        trains.retain(|t| !t.is_empty());
    }
    out
}

/// Changes frames of a datagram to what LM does not send, but another sender may.
pub(super) fn unusual(random: &mut Random, geometry: Geometry, frames: Vec<Vec<u8>>) -> Vec<Arrival> {
    let room = usize::from(geometry.mtu()) + 18;
    let (kind, alike) = (random.below(9), random.once_in(2));
    let mut all: Vec<Arrival> = frames.into_iter().map(arrival).collect();
    for Arrival { bytes: frame, originals, .. } in &mut all {
        let some = alike || random.once_in(2);
        match kind {
            0 if some => {
                let words = random.within(1, 10) as u8;
                if frame.len() + usize::from(words) * 4 <= usize::from(geometry.mtu()) + 14 {
                    frames::with_options(frame, words);
                }
            }
            // A frame check sequence, or whatever else is behind a packet.
            1 if some && frame.len() + 4 <= room => frame.extend(random.bytes(4)),
            2 if some => frame.extend(random.bytes(8)),
            3 if some => frames::with_priority(frame, random.below(8) as u8),
            4 => frames::with_ecn(frame, random.pick(&[0, 1, 2, 3])),
            // A packet that is shorter than its frame, by a multiple of 8 bytes.
            5 if random.once_in(3) => {
                originals.push(frame.clone());
                let total = wire::be16(frame, 16);
                let less = 8 * random.within(1, 1 + usize::from(total / 16)) as u16;
                frame[16..18].copy_from_slice(&total.saturating_sub(less).max(28).to_be_bytes());
                frames::mend(frame);
            }
            // Another offset, or another flag.
            6 if random.once_in(3) => {
                originals.push(frame.clone());
                let word = random.pick(&[8, 1480 / 8, wire::MORE as usize, wire::MORE as usize | 1]) as u16;
                let place = wire::be16(frame, 20) ^ word;
                frame[20..22].copy_from_slice(&place.to_be_bytes());
                frames::mend(frame);
            }
            // Another length in the UDP header.
            7 if wire::be16(frame, 20) & 0x1fff == 0 && frame.len() > HEADERS + UDP => {
                let len = wire::be16(frame, HEADERS + 4);
                let stride = geometry.stride() as u16;
                let other = random.pick(&[len - 1, len + 1, len ^ 8, len.wrapping_sub(stride), 8, 7, 0]);
                frame[HEADERS + 4..HEADERS + 6].copy_from_slice(&other.to_be_bytes());
            }
            _ if frame.len() < wire::MIN_FRAME => {
                frame.resize(wire::MIN_FRAME, random.pick(&[0, 0x10, 0x11]));
            }
            _ => {}
        }
    }
    all
}

/// Something goes wrong on the way, or somebody else sends.
pub(super) fn accident(random: &mut Random, all: &mut Vec<Arrival>) {
    if all.is_empty() {
        return;
    }
    let at = random.below(all.len());
    match random.below(12) {
        0 | 1 => lose(random, all),
        2 => {
            let again = all[at].clone();
            let to = random.within(at, (at + 4).min(all.len()));
            all.insert(to, again);
        }
        3 => {
            let other = random.below(all.len());
            all.swap(at, other);
        }
        4 => {
            let n = all.len().min(at + random.within(2, 50));
            all[at..n].reverse();
        }
        5 => {
            let was = all[at].bytes.clone();
            let to =
                if random.once_in(2) { random.below(was.len().min(42)) } else { random.below(was.len()) };
            all[at].bytes[to] ^= 1 << random.below(8);
            all[at].originals.push(was);
        }
        6 => {
            let was = all[at].bytes.clone();
            all[at].bytes.truncate(1 + random.below(was.len()));
            all[at].originals.push(was);
        }
        7 => {
            let a = Arp { operation: 1, sender_mac: [2; 6], sender: 9, target_mac: [0; 6], target: 10 };
            all.insert(at, arrival(a.frame(wire::BROADCAST).to_vec()));
        }
        8 | 9 => {
            let longest = all[at].bytes.len();
            let any = 60 + random.below(longest);
            let len = random.pick(&[HEADERS + 10, longest, any, longest + 4]);
            let contents = random.bytes(len);
            all.insert(at, arrival(frames::of_protocol(ATTACKER, 6, len, &contents)));
        }
        10 => all[at].bounce = true,
        _ => {
            let data = random.bytes(8);
            all.insert(at, arrival(fragment(ATTACKER, 60_000, 8, false, &data)));
        }
    }
    if all.is_empty() {
        all.push(arrival(fragment(ATTACKER, 1, 0, false, &[0; 8])));
    }
}
