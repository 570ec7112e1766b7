//! Fragments that are expected, next to the same matcher that expects none: no difference can be seen.

use super::kept::{cut, run, with_service};
use super::*;
use proptest::prelude::*;

/// What comes next of a datagram.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next fragment, as it was sent.
    Good,
    /// The next fragment comes late: after the fragment that follows it.
    Late,
    /// The next fragment does not come.
    Lost,
    /// The fragment before once more.
    Again,
    /// The next fragment with another service.
    Service(u8, u8),
    /// The next fragment with a byte of its frame changed, and then perhaps a good header checksum.
    Damaged { at: usize, bits: u8, mended: bool },
    /// The next fragment, shorter or longer by so many bytes of frame.
    Cut(i8),
    /// The datagram begins anew, with other contents.
    Anew,
    /// Nanoseconds pass.
    Pass(u64),
    /// What has waited longest gives way.
    Relieved,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => Just(Step::Good),
        1 => Just(Step::Late),
        1 => Just(Step::Lost),
        1 => Just(Step::Again),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(tos, ttl)| Step::Service(tos, ttl)),
        2 => (0_usize..HEADERS + 12, 1_u8.., any::<bool>())
            .prop_map(|(at, bits, mended)| Step::Damaged { at, bits, mended }),
        1 => any::<i8>().prop_map(Step::Cut),
        1 => Just(Step::Anew),
        1 => prop_oneof![Just(1), Just(300_000_000)].prop_map(Step::Pass),
        1 => Just(Step::Relieved),
    ]
}

/// The frames of a datagram, and how many of them have come.
struct Sending {
    flow: Flow,
    id: u16,
    unit: usize,
    len: usize,
    seed: u8,
    frames: VecDeque<Vec<u8>>,
    before: Option<Vec<u8>>,
}

impl Sending {
    fn next(&mut self) -> Vec<u8> {
        if self.frames.is_empty() {
            self.seed = self.seed.wrapping_add(1);
            self.frames = cut(self.flow, self.id, self.unit, &payload(self.len, self.seed)).into();
        }
        let frame = self.frames.pop_front().expect("a datagram has a fragment");
        self.before = Some(frame.clone());
        frame
    }

    fn frames(&mut self, step: Step) -> Vec<Vec<u8>> {
        let mut frame = match step {
            Step::Pass(_) | Step::Relieved => return Vec::new(),
            Step::Again => return self.before.clone().into_iter().collect(),
            _ => self.next(),
        };
        match step {
            Step::Lost => return Vec::new(),
            Step::Late => {
                let behind = self.next();
                return vec![behind, frame];
            }
            Step::Anew => {
                self.frames.clear();
                frame = self.next();
            }
            Step::Service(tos, ttl) => frame = with_service(frame, tos, ttl),
            Step::Damaged { at, bits, mended } => {
                let at = at.min(frame.len() - 1);
                frame[at] ^= bits;
                if mended {
                    mend(&mut frame);
                }
            }
            Step::Cut(by) => frame = resized(frame, by),
            _ => {}
        }
        vec![frame]
    }
}

fn all(steps: &[(usize, Step)], shapes: &[(usize, usize)], burst: usize, off: bool) -> (String, u64) {
    let mut run = run();
    run.burst = burst;
    run.matcher.set_auto(Some(Slot::Separate));
    run.matcher.waiting.expected.off = off;
    let mut sending: Vec<_> = shapes
        .iter()
        .enumerate()
        .map(|(i, &(unit, len))| Sending {
            flow: if i % 2 == 0 { A } else { B },
            id: 7 + i as u16 / 2,
            unit,
            len,
            seed: i as u8 * 40,
            frames: VecDeque::new(),
            before: None,
        })
        .collect();
    let mut frames = Vec::new();
    for &(which, step) in steps {
        let which = which % sending.len();
        frames.extend(sending[which].frames(step));
        if !matches!(step, Step::Good) || frames.len() > 8 {
            run.arrive(&std::mem::take(&mut frames));
        }
        match step {
            Step::Pass(ns) => run.pass(ns, 2),
            Step::Relieved => run.matcher.relieve(&mut run.mock),
            _ => {}
        }
    }
    run.arrive(&frames);
    let layout = run.matcher.next_layout();
    let (delivered, counters, strangers) = run.end();
    (format!("{delivered:?} {counters:?} {strangers:?} {layout:?}"), counters.pieces)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 300 }))]

    #[test]
    fn no_difference_can_be_seen(
        steps in proptest::collection::vec((0_usize..4, step()), 1..120),
        shapes in proptest::collection::vec(
            (prop_oneof![Just(1480_usize), Just(552), Just(8)], 600_usize..9000),
            1..5,
        ),
        burst in prop_oneof![Just(1_usize), Just(7), Just(32)],
    ) {
        let (with, _) = all(&steps, &shapes, burst, false);
        let (without, _) = all(&steps, &shapes, burst, true);
        prop_assert_eq!(with, without);
    }
}

/// The fragments in the middle are found by what is expected, and by nothing else.
#[test]
fn all_but_the_first_and_the_last_are_expected() {
    let frames = cut(A, 1, 1480, &payload(if cfg!(miri) { 7168 } else { 65_507 }, 1));
    for (i, header) in frames.iter().enumerate() {
        let mut run = run();
        run.arrive(&frames[..i]);
        let words = header[HEADERS - 24..HEADERS].try_into().expect("24 bytes");
        let found = run.matcher.waiting.find_expected(crate::raw_headers::RawHeaders::of(words), 0);
        let middle = (1..frames.len() - 1).contains(&i);
        assert_eq!(found.map(|(_, number, len)| (number, len)), middle.then_some((i, 1480)), "{i}");
    }
}
