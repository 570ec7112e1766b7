//! Makes cases from numbers: what senders of every kind send, what happens to it on the way, and what others
//! send between.
//!
//! The fuzz harness runs [`generate`] with one number after the other. The same number always makes the same
//! case, so that a failure can be repeated by its number.

mod disturb;
mod stack;

pub use self::stack::Stack;
pub(super) use self::stack::{keeps_guard, names_its_source};

use self::disturb::{accident, interleave, lose, unusual};
use super::case::{Arrival, Case, Must, Step};
use super::hostile;
use super::random::Random;
use super::setting::{Setting, send_elsewhere};
use crate::frame::Slot;
use crate::layout::Geometry;
use crate::policy::{Accept, Require};
use crate::wire::{self, Flow, HEADERS, MAX_PAYLOAD, UDP};

/// MTUs of links, and their neighbours: a stride is a multiple of 8, so that up to 7 bytes are left over.
pub(super) const MTUS: [u16; 20] = [
    1500, 1500, 1500, 1500, 576, 577, 578, 581, 583, 1006, 1280, 1281, 1450, 1492, 1499, 4000, 4003, 9000,
    9001, 9216,
];

/// Bytes of a case at most, so that all take about as long.
const BYTES: usize = 400_000;

/// A sender, and how far it is.
struct Sender {
    stack: Stack,
    flow: Flow,
    id: u16,
}

impl Sender {
    fn new(random: &mut Random, number: u32) -> Self {
        let flow = Flow {
            src: 0x0a00_0001 + number,
            dst: 0x0a00_00fe,
            src_port: 7000 + number as u16,
            dst_port: random.pick(&[9000, 9000, 9000, 9001]),
        };
        let id = if random.once_in(3) { random.word() as u16 } else { number as u16 };
        Self { stack: random.pick(&Stack::ALL), flow, id }
    }

    fn send(&mut self, geometry: Geometry, payload: &[u8]) -> Vec<Vec<u8>> {
        self.id = self.id.wrapping_add(1);
        self.stack.frames(geometry, self.flow, self.id, payload)
    }
}

/// A length that is likely to find something: near a boundary, or any.
fn length(random: &mut Random, geometry: Geometry, most: usize) -> usize {
    let stride = geometry.stride();
    let n = match random.below(10) {
        0 => random.below(64),
        // A frame that is longer than a stride, on a link whose MTU is no multiple of 8 and a header.
        1 => random.within(stride - UDP, usize::from(geometry.mtu()) - wire::IPV4 - UDP),
        2 => (random.within(1, 6) * stride).saturating_sub(random.below(2 * HEADERS + UDP)),
        3 => random.within(1, 6) * stride + random.below(2 * HEADERS) - UDP,
        4 | 5 => random.within(stride, 2 * stride - UDP),
        6 | 7 => random.within(2 * stride, 3 * stride),
        8 => random.below(8 * stride),
        _ if random.once_in(8) => MAX_PAYLOAD - random.below(200),
        _ => random.below(MAX_PAYLOAD),
    };
    n.min(most).min(MAX_PAYLOAD)
}

fn payload(random: &mut Random, len: usize) -> Vec<u8> {
    match random.below(6) {
        // Pieces that are alike: what changed places cannot be seen.
        0 => vec![random.pick(&[0, 0xff, 0x11]); len],
        1 => random.bytes(8).into_iter().cycle().take(len).collect(),
        _ => random.bytes(len),
    }
}

/// A case of a seed; the same on every machine.
pub fn generate(seed: u64) -> Case {
    let mut case = plain(seed);
    // Drawn apart, so that a seed makes the same frames whatever the setting draws.
    case.setting = Setting::any(&mut Random::new(!seed), !case.must.is_empty());
    if case.setting.mac.is_some() {
        send_elsewhere(&mut case.steps);
    }
    case
}

/// The same without a setting of its own.
fn plain(seed: u64) -> Case {
    let random = &mut Random::new(seed);
    let mut case = setup(random);
    match random.below(6) {
        0 => undisturbed(&mut case, random),
        1 if case.require.tags => lossy(&mut case, random),
        _ => storm(&mut case, random),
    }
    case
}

fn setup(random: &mut Random) -> Case {
    let mtu = random.pick(&MTUS);
    let geometry = Geometry::new(mtu).unwrap_or(Geometry::ETHERNET);
    let require = match random.below(8) {
        0 => Require { headers: true, checksum: false, tags: false },
        1 => Require { headers: false, checksum: true, tags: false },
        2 => Require { headers: false, checksum: false, tags: true },
        3 => Require { headers: true, checksum: true, tags: true },
        4 => Require { headers: random.once_in(2), checksum: random.once_in(2), tags: random.once_in(2) },
        _ => Require::default(),
    };
    let accept = match random.below(12) {
        0 => Accept { port: Some(9000), ..Accept::default() },
        1 => Accept { address: Some(0x0a00_00fe), ..Accept::default() },
        _ => Accept::default(),
    };
    let synchronous = random.once_in(2);
    Case {
        name: String::new(),
        geometry,
        mirrored: random.once_in(2),
        wrap_after: random.within(64, 1000),
        require,
        accept,
        synchronous,
        tearing: random.once_in(2),
        quiet: if random.once_in(3) { None } else { Some(1_000_000) },
        burst: random.pick(&[1, 1, 2, 4, 7, 16, 31, 32, 32, 64]),
        clean: false,
        slot: if random.once_in(3) { Slot::Separate } else { Slot::Overlapping },
        steps: Vec::new(),
        must: Vec::new(),
        setting: Setting::default(),
    }
}

/// One sender's datagrams of one size or several, or many senders' in separate slots; nothing else. All are
/// delivered.
fn undisturbed(case: &mut Case, random: &mut Random) {
    let geometry = case.geometry;
    let many = if case.slot == Slot::Separate && random.once_in(2) { random.within(2, 64) } else { 1 };
    let mut senders: Vec<Sender> = (0..many).map(|i| Sender::new(random, i as u32)).collect();
    for s in &mut senders {
        s.flow.dst_port = 9000;
    }
    let len = length(random, geometry, MAX_PAYLOAD);
    let alike = random.once_in(2);
    case.name = format!("{many} undisturbed senders, the first {:?}", senders[0].stack);
    case.clean = many == 1 && senders[0].stack.is_lm();
    // Each datagram is a train of frames; those of several senders are interleaved frame by frame.
    let mut bytes = 0;
    while bytes < BYTES {
        let mut trains = Vec::new();
        for sender in &mut senders {
            let len = if alike { len } else { length(random, geometry, MAX_PAYLOAD) };
            // What has no room for the guard costs the datagram before it.
            let len = if alike || keeps_guard(geometry, len) { len } else { len / 2 };
            let data = payload(random, len);
            bytes += len + 200;
            let frames = sender.send(geometry, &data);
            let of = sender.stack.lives(case, len, alike).then_some(case.must.len());
            if of.is_some() {
                case.must.push(Must { flow: sender.flow, payload: data, frames: frames.len() });
            }
            trains
                .push(frames.into_iter().map(|bytes| Arrival { bytes, of, ..Arrival::default() }).collect());
        }
        case.steps.extend(interleave(random, trains).into_iter().map(Step::Frame));
    }
    polls(case, random);
}

/// LM's datagrams with losses, as on a queue that is kept clean.
fn lossy(case: &mut Case, random: &mut Random) {
    "a clean queue with losses".clone_into(&mut case.name);
    case.clean = true;
    let mut sender = Sender::new(random, 1);
    sender.stack = random.pick(&[Stack::Lm, Stack::LmZero]);
    let mut all = Vec::new();
    let mut bytes = 0;
    let len = length(random, case.geometry, MAX_PAYLOAD);
    while bytes < BYTES {
        let len = if random.once_in(4) { length(random, case.geometry, MAX_PAYLOAD) } else { len };
        let data = payload(random, len);
        bytes += len + 200;
        all.extend(sender.send(case.geometry, &data).into_iter().map(arrival));
    }
    for _ in 0..random.below(20) {
        lose(random, &mut all);
    }
    case.steps = all.into_iter().map(Step::Frame).collect();
    polls(case, random);
}

fn arrival(bytes: Vec<u8>) -> Arrival {
    Arrival { bytes, ..Arrival::default() }
}

/// Everything together.
fn storm(case: &mut Case, random: &mut Random) {
    let mut all: Vec<Arrival> = Vec::new();
    let (mut bytes, mut senders) = (0, Vec::new());
    for i in 0..random.within(1, 3) {
        senders.push(Sender::new(random, i as u32));
    }
    let limit = if random.once_in(2) { BYTES / 8 } else { BYTES };
    "storm".clone_into(&mut case.name);
    while bytes < limit {
        let before = all.len();
        segment(case, random, &mut senders, &mut all);
        bytes += all[before..].iter().map(|a| a.bytes.len() + 64).sum::<usize>();
    }
    if !random.once_in(3) {
        for _ in 0..random.within(1, 12) {
            accident(random, &mut all);
        }
    }
    case.steps = all.into_iter().map(Step::Frame).collect();
    if random.once_in(3) {
        for _ in 0..random.within(1, 6) {
            let at = random.below(case.steps.len());
            let event = match random.below(8) {
                0..=2 => Step::Lay(Slot::Separate),
                3..=5 => Step::Lay(Slot::Overlapping),
                6 => Step::Budget(random.below(6) as isize),
                _ => Step::Budget(-1),
            };
            case.steps.insert(at, event);
        }
    }
    polls(case, random);
}

/// What a sender, or somebody who only chose a payload, puts on the wire.
fn segment(case: &mut Case, random: &mut Random, senders: &mut [Sender], all: &mut Vec<Arrival>) {
    let geometry = case.geometry;
    let at = random.below(senders.len());
    let sender = &mut senders[at];
    let what = random.below(13);
    match what {
        0..=2 => {
            let (n, len) = (random.within(1, 12), length(random, geometry, 30_000));
            for _ in 0..n {
                let data = payload(random, len);
                all.extend(sender.send(geometry, &data).into_iter().map(arrival));
            }
        }
        3 => {
            // Many at once.
            let n = random.pick(&[2, 3, 16, 17, 18, 40]);
            let trains = (0..n).map(|i| {
                let mut sender = Sender::new(random, i);
                let len = length(random, geometry, 8 * geometry.stride());
                let data = payload(random, len);
                sender.send(geometry, &data).into_iter().map(arrival).collect()
            });
            let trains = trains.collect();
            all.extend(interleave(random, trains));
        }
        4 | 5 => all.extend(halves(random, geometry, sender).into_iter().map(arrival)),
        6 | 7 => {
            let len = length(random, geometry, 12 * geometry.stride());
            let forward = matches!(sender.stack, Stack::Kernel | Stack::KernelZero);
            let data = hostile::contents(random, geometry, len, forward);
            all.extend(sender.send(geometry, &data).into_iter().map(arrival));
        }
        8 | 9 => all.extend(hostile::disguised(random, geometry).into_iter().map(arrival)),
        10 => {
            let n = random.within(1, 30);
            all.extend((0..n).map(|_| arrival(hostile::stray(random, geometry))));
        }
        _ => {
            let len = length(random, geometry, 4 * geometry.stride());
            let data = payload(random, len);
            let frames = sender.send(geometry, &data);
            all.extend(unusual(random, geometry, frames));
        }
    }
}

/// Of two datagrams whose words have the same sums one loses its end and the other its beginning.
fn halves(random: &mut Random, geometry: Geometry, sender: &mut Sender) -> Vec<Vec<u8>> {
    let len = length(random, geometry, 6 * geometry.stride()).max(2);
    let (first, second) = hostile::twins(random, geometry, len);
    let a = sender.send(geometry, &first);
    if random.once_in(6) {
        // A stranger's frame in the place of one of them.
        sender.flow.src ^= 0x40;
    }
    let mut b = sender.send(geometry, &second);
    let cut = random.below(a.len() + 1);
    let mut out = a;
    out.truncate(cut);
    out.extend(b.split_off(cut.min(b.len())));
    out
}

/// When the queue is polled, and how much is then written and not reported.
fn polls(case: &mut Case, random: &mut Random) {
    let ahead = random.pick(&[0, 0, 1, 1, 2, 8, 40]);
    let every = random.pick(&[1, 1, 2, 8, 32, 64]);
    let pauses = random.pick(&[0, 0, 0, 20, 100]);
    // A race needs a stranger's frame, and a long wait gives up what is under way.
    let calm = case.clean || !case.must.is_empty();
    let mut steps = Vec::with_capacity(case.steps.len() * 2);
    for step in case.steps.drain(..) {
        steps.push(step);
        if !case.synchronous && random.once_in(every) {
            steps.push(Step::Poll(random.below(ahead + 1)));
        }
        if pauses > 0 && random.once_in(pauses) {
            steps.push(match random.below(4) {
                0 if !calm => Step::Wait(600_000_000),
                1 if !calm => Step::Race(3_000_000),
                _ => Step::Wait(3_000_000),
            });
        }
    }
    case.steps = steps;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 400, failure_persistence: None, ..ProptestConfig::default()
        })]
        #[test]
        fn nothing_is_delivered_that_nobody_sent_and_nothing_lost_that_was_not_disturbed(seed: u64) {
            if let Err(e) = super::generate(seed).run() {
                prop_assert!(false, "{e}; lm-fuzz --case {seed}");
            }
        }
    }

    /// What the fuzzer found, by name. A seed makes the same case as long as nothing above changes what it
    /// draws.
    #[test]
    fn known_seeds() {
        for (name, seed) in [
            ("a long frame over the first bytes of a last fragment, which had the same sum", 46_045),
            ("a good datagram behind a stream that had used up the budget", 50_610),
            ("a long stream in forward order that used up the budget", 777_951),
            ("a kernel's last fragment in front of the region's wrap", 61_849),
            ("a long frame over the first bytes of a bounced fragment", 164_575),
            ("a long frame over the UDP header of a bounced fragment", 181_443),
            ("a piece twice, in the place of another that is as it", 326_543),
        ] {
            if let Err(e) = super::plain(seed).run() {
                panic!("{name}: case {seed}: {e}");
            }
        }
        for (name, seed) in [
            ("what was given up of both layouts was counted as one frame", 12_124),
            ("what landed was for another station", 59),
        ] {
            if let Err(e) = super::generate(seed).run() {
                panic!("{name}: case {seed}: {e}");
            }
        }
    }
}
