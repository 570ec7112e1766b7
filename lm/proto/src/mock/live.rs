//! What has to be delivered, all of it: undisturbed streams of every legal sender, and what comes behind a
//! loss.
//!
//! [`ALL`] is the list. Each entry makes cases; `lm/proto/tests/liveness.rs` runs them, each as a test of its
//! own.

use super::case::{Arrival, Case, Must, Step};
use super::grammar::{MTUS, Stack, keeps_guard, names_its_source};
use super::setting::Setting;
use crate::frame::Slot;
use crate::layout::Geometry;
use crate::policy::{Accept, Require};
use crate::wire::{Flow, IPV4, MAX_PAYLOAD, UDP};

/// The cases of a name.
pub type Cases = fn() -> Vec<Case>;

/// What has to live.
pub const ALL: [(&str, Cases); 9] = [
    ("LM's streams, of every kind of length, in both layouts", lm_streams),
    ("single datagrams of every length about a stride, in both layouts", singles),
    ("a kernel's streams in separate slots", kernel_separate),
    ("a kernel's two fragments in overlapping slots", kernel_pairs),
    ("a kernel's two fragments after a lost frame", kernel_pairs_after_a_loss),
    ("another stack's streams, polled in time", reverse_in_time),
    ("seventeen senders at once", || at_once(17)),
    ("sixty-four senders at once", || at_once(64)),
    ("LM's streams after a lost frame", lm_after_a_loss),
];

const FLOW: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_00fe, src_port: 7000, dst_port: 9000 };

/// How a queue is polled: synchronous, burst, frames that are written and not reported.
const WAYS: [(bool, usize, usize); 6] =
    [(true, 1, 0), (true, 4, 0), (true, 32, 0), (false, 1, 0), (false, 4, 3), (false, 32, 8)];

fn case(name: &str, mtu: u16, slot: Slot, (synchronous, burst, _): (bool, usize, usize)) -> Case {
    Case {
        name: name.to_owned(),
        geometry: Geometry::new(mtu).unwrap_or(Geometry::ETHERNET),
        mirrored: mtu.is_multiple_of(2),
        wrap_after: 700,
        require: Require::default(),
        accept: Accept::default(),
        synchronous,
        tearing: !synchronous,
        quiet: Some(1_000_000),
        burst,
        clean: false,
        slot,
        steps: Vec::new(),
        must: Vec::new(),
        setting: Setting::default(),
    }
}

fn payload(len: usize, number: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + number * 97 + i / 256) as u8).collect()
}

/// Adds a datagram.
fn send(case: &mut Case, stack: Stack, flow: Flow, id: u16, len: usize) -> Vec<Step> {
    let payload = payload(len, id.into());
    let frames = stack.frames(case.geometry, flow, id, &payload);
    let of = Some(case.must.len());
    case.must.push(Must { flow, payload, frames: frames.len() });
    frames.into_iter().map(|bytes| Step::Frame(Arrival { bytes, of, ..Arrival::default() })).collect()
}

/// A poll behind every burst, as many frames ahead as there may be; the driver finds the rest when it asks
/// again.
fn polled(case: &mut Case, (_, burst, ahead): (bool, usize, usize)) {
    let steps = std::mem::take(&mut case.steps);
    for (i, step) in steps.into_iter().enumerate() {
        case.steps.push(step);
        if (i + 1).is_multiple_of(burst) {
            case.steps.push(Step::Poll(ahead));
        }
    }
}

/// Datagrams of one length, one behind the other.
fn stream(stack: Stack, len: usize, total: u16, mut case: Case, way: (bool, usize, usize)) -> Case {
    for id in 0..total {
        let steps = send(&mut case, stack, FLOW, id, len);
        case.steps.extend(steps);
    }
    polled(&mut case, way);
    case.name = format!("{}, {total} of {len} bytes, {stack:?}", case.name);
    case
}

/// Lengths at which something changes.
fn lengths(geometry: Geometry) -> Vec<usize> {
    let stride = geometry.stride();
    let mut all = vec![0, 1, 18, 26, stride - 50, 7168, MAX_PAYLOAD - 100, MAX_PAYLOAD - 8, MAX_PAYLOAD];
    for n in [1, 2, 3] {
        let near = [-50_isize, -42, -41, -16, -9, -8, -7, -1, 0, 1, 8, 9, 18];
        all.extend(near.iter().map(|d| (n * stride).saturating_add_signed(*d)));
    }
    all
}

fn lm_streams() -> Vec<Case> {
    let mut cases = Vec::new();
    for (i, mtu) in MTUS.into_iter().enumerate() {
        for slot in [Slot::Overlapping, Slot::Separate] {
            let way = WAYS[(i + usize::from(slot == Slot::Separate)) % WAYS.len()];
            for len in lengths(case("", mtu, slot, way).geometry) {
                let one = case("undisturbed", mtu, slot, way);
                if keeps_guard(one.geometry, len) || slot == Slot::Separate {
                    cases.push(stream(Stack::Lm, len, 4, one, way));
                } else {
                    // Its last fragment reaches the headers above: those have to be read before it lands.
                    let way = WAYS[0];
                    cases.push(stream(Stack::Lm, len, 4, case("undisturbed", mtu, slot, way), way));
                }
            }
        }
    }
    cases
}

/// Each alone, with time to be looked at: nothing lies above or below that it could harm.
fn singles() -> Vec<Case> {
    let mut cases = Vec::new();
    for mtu in MTUS {
        for slot in [Slot::Overlapping, Slot::Separate] {
            for way in [(true, 1, 0), (false, 1, 0)] {
                let mut one = case("alone", mtu, slot, way);
                let most = usize::from(mtu) - IPV4 - UDP;
                for (id, len) in (most - 60..=most).chain([0, 1, 18]).enumerate() {
                    for (k, stack) in [Stack::Kernel, Stack::Lm, Stack::KernelZero].into_iter().enumerate() {
                        let id = (4 * id + k) as u16;
                        let steps = send(&mut one, stack, FLOW, id, len);
                        one.steps.extend(steps);
                        one.steps.extend([Step::Poll(0), Step::Wait(600_000_000)]);
                    }
                }
                cases.push(one);
            }
        }
    }
    cases
}

fn kernel_separate() -> Vec<Case> {
    let mut cases = Vec::new();
    for (i, mtu) in MTUS.into_iter().enumerate() {
        let stride = case("", mtu, Slot::Separate, WAYS[0]).geometry.stride();
        for n in [2, 3, 5, 12, 45] {
            let way = WAYS[(i + n) % WAYS.len()];
            for len in [(n - 1) * stride + 1, n * stride - UDP, n * stride - 100] {
                for stack in [Stack::Kernel, Stack::KernelZero, Stack::Reverse] {
                    let one = case("undisturbed", mtu, Slot::Separate, way);
                    cases.push(stream(stack, len.min(MAX_PAYLOAD), 8, one, way));
                }
            }
        }
    }
    cases
}

/// Lengths of two fragments that leave the first one's addresses as they were.
fn pairs(geometry: Geometry) -> Vec<usize> {
    let stride = geometry.stride();
    let all = [1, 18, 19, 100, 520, stride / 2, stride - 100, stride - HEADROOM - 1, stride - HEADROOM];
    all.iter()
        .map(|more| stride - UDP + more)
        .filter(|&len| len + UDP + IPV4 > usize::from(geometry.mtu()) && names_its_source(geometry, len))
        .collect()
}

/// What a last fragment may not reach if the headers above it are to stay whole.
const HEADROOM: usize = crate::wire::HEADERS;

fn kernel_pairs() -> Vec<Case> {
    let mut cases = Vec::new();
    for (mtu, total) in [(1500, 200), (576, 200), (577, 200), (9000, 40)] {
        for way in WAYS {
            let one = case("undisturbed", mtu, Slot::Overlapping, way);
            for len in pairs(one.geometry) {
                cases.push(stream(Stack::Kernel, len, total, one.clone(), way));
            }
        }
    }
    cases
}

/// One frame is lost: the stream is in step again within two datagrams. The datagram before it may be lost
/// with it: if it was a short frame that is lost, a full one comes instead, and overwrites the headers above.
fn after_a_loss(stack: Stack, len: usize, lost: usize, mut case: Case, way: (bool, usize, usize)) -> Case {
    for id in 0..40 {
        let steps = send(&mut case, stack, FLOW, id, len);
        case.steps.extend(steps);
    }
    let Step::Frame(Arrival { of: Some(hit), .. }) = case.steps.remove(lost) else { return case };
    for step in &mut case.steps {
        if let Step::Frame(arrival) = step
            && arrival.of.is_some_and(|of| (hit.saturating_sub(1)..=hit + 2).contains(&of))
        {
            arrival.of = None;
        }
    }
    polled(&mut case, way);
    case.name = format!("frame {lost} lost, {len} bytes, {stack:?}");
    case
}

fn kernel_pairs_after_a_loss() -> Vec<Case> {
    let mut cases = Vec::new();
    for way in WAYS {
        let one = case("", 1500, Slot::Overlapping, way);
        for len in pairs(one.geometry) {
            for lost in [0, 1, 2, 3, 20, 21, 40, 41] {
                cases.push(after_a_loss(Stack::Kernel, len, lost, one.clone(), way));
            }
        }
    }
    cases
}

fn lm_after_a_loss() -> Vec<Case> {
    let mut cases = Vec::new();
    for way in WAYS {
        for slot in [Slot::Overlapping, Slot::Separate] {
            for len in [1480, 2000, 7168, 20_000] {
                for lost in [0, 1, 2, 3, 4, 20, 21] {
                    let one = case("", 1500, slot, way);
                    cases.push(after_a_loss(Stack::Lm, len, lost, one, way));
                }
            }
        }
    }
    cases
}

/// Every header is read before the next frame lands.
fn reverse_in_time() -> Vec<Case> {
    let mut cases = Vec::new();
    for mtu in MTUS {
        let one = case("undisturbed", mtu, Slot::Overlapping, WAYS[0]);
        let stride = one.geometry.stride();
        for stack in [Stack::Reverse, Stack::Kernel] {
            for len in [stride + 100, 2 * stride + 100, 5 * stride + 100, 20 * stride + 100] {
                cases.push(stream(stack, len.min(MAX_PAYLOAD), 8, one.clone(), WAYS[0]));
            }
        }
    }
    cases
}

/// Several senders, fragment by fragment.
fn at_once(senders: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    for (mtu, fragments) in [(1500, 2), (1500, 5), (1500, 20), (576, 5), (9000, 4)] {
        for way in WAYS {
            for stacks in [&[Stack::Kernel][..], &[Stack::Lm], &Stack::ALL] {
                let mut one = case("at once", mtu, Slot::Separate, way);
                let len = fragments * one.geometry.stride() - 100;
                for round in 0..3 {
                    let mut trains: Vec<_> = (0..senders)
                        .map(|i| {
                            let flow = Flow { src: FLOW.src + i, ..FLOW };
                            let stack = stacks[i as usize % stacks.len()];
                            send(&mut one, stack, flow, round * 100 + i as u16, len).into_iter()
                        })
                        .collect();
                    while trains.iter().any(|t| t.len() > 0) {
                        let steps: Vec<_> = trains.iter_mut().filter_map(Iterator::next).collect();
                        one.steps.extend(steps);
                    }
                }
                polled(&mut one, way);
                one.name = format!("{senders} senders at once, {fragments} fragments, {stacks:?}");
                cases.push(one);
            }
        }
    }
    cases
}
