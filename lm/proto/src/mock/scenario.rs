//! A scenario out of bytes, for property tests that shrink what they find, and for what was found that way
//! before.
//!
//! The bytes say which frames there are, what happens to them on the way and how the queue is polled: they
//! make a [`Case`]. [`super::grammar`] makes more kinds of them, out of numbers.

use super::case::{Arrival, Case, Step};
use super::setting::Setting;
use super::{fragment, lm_frames, plain_frames};
use crate::alf::ChecksumMode;
use crate::frame::Slot;
use crate::layout::Geometry;
use crate::policy::{Accept, Require};
use crate::wire::{self, Arp, Flow};

/// Bytes that run out into zeroes.
struct Tape<'a>(&'a [u8]);

impl Tape<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&b, rest)) => {
                self.0 = rest;
                b
            }
            None => 0,
        }
    }

    fn wide(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.next(), self.next()]))
    }
}

/// Frames of a scenario at most: it is bounded in time.
const FRAMES: usize = 400;

/// Runs the scenario that `input` describes. Returns the number of datagrams that were delivered.
///
/// # Errors
/// What went wrong, in a sentence.
pub fn run(input: &[u8]) -> Result<usize, String> {
    let outcome = case(input)?.run()?;
    Ok(outcome.tally.sent.saturating_sub(1))
}

/// The case that `input` describes.
///
/// # Errors
/// None: every input describes a case. The MTUs above are all in range.
pub fn case(input: &[u8]) -> Result<Case, String> {
    let mut tape = Tape(input);
    let geometry = match tape.next() % 4 {
        0 => Geometry::new(576),
        1 => Geometry::new(9000),
        _ => Ok(Geometry::ETHERNET),
    }
    .map_err(|e| e.to_string())?;
    let (burst, synchronous, ahead) = match tape.next() % 5 {
        0 => (1, true, 0),
        1 => (32, true, 0),
        2 => (1, false, 0),
        3 => (32, false, 3),
        _ => (7, false, 1),
    };
    let mirrored = tape.next() % 2 == 0;
    let tags = tape.next() % 4 == 0;
    let frames = compose(&mut tape, geometry, tags);
    let mut case = Case {
        name: "bytes".to_owned(),
        geometry,
        mirrored,
        wrap_after: 1000,
        require: Require { tags, ..Require::default() },
        accept: Accept::default(),
        synchronous,
        tearing: false,
        quiet: Some(1_000_000),
        burst,
        clean: tags,
        slot: Slot::Overlapping,
        steps: Vec::new(),
        must: Vec::new(),
        setting: Setting::default(),
    };
    let together = if synchronous { burst } else { 64 };
    for some in frames.chunks(together) {
        case.steps.extend(match tape.next() {
            250..=252 => Some(Step::Lay(Slot::Separate)),
            253..=255 => Some(Step::Lay(Slot::Overlapping)),
            249 => Some(Step::Wait(600_000_000)),
            _ => None,
        });
        case.steps.extend(some.iter().cloned().map(Step::Frame));
        case.steps.push(Step::Poll(ahead));
    }
    Ok(case)
}

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(seed | 1) ^ (i >> 8) as u8 ^ seed).collect()
}

/// The frames on the wire, in their order, with everything that happened to them on the way.
fn compose(tape: &mut Tape<'_>, geometry: Geometry, tags: bool) -> Vec<Arrival> {
    let mut frames: Vec<Arrival> = Vec::new();
    let arrival = |bytes| Arrival { bytes, ..Arrival::default() };
    let mut id = 0_u16;
    while !tape.0.is_empty() && frames.len() < FRAMES {
        let what = tape.next();
        let seed = tape.next();
        let flow =
            Flow { src: 0x0a00_0001 + u32::from(seed % 3), dst: 0x0a00_00fe, src_port: 7, dst_port: 9 };
        let at = if frames.is_empty() { 0 } else { tape.wide() % frames.len() };
        id = id.wrapping_add(u16::from(!what.is_multiple_of(7)));
        match what % 16 {
            // Where tags are proof the queue is kept clean: frames get lost, and no more.
            6..=10 | 12.. if tags => {}
            0..=4 => {
                let len = (tape.wide() % 65_508).min(geometry.stride() * 20);
                let mode = if what > 240 { ChecksumMode::Zero } else { ChecksumMode::Full };
                frames.extend(
                    lm_frames(geometry, flow, id, &pattern(len, seed), mode).into_iter().map(arrival),
                );
            }
            5 => {
                let len = tape.wide() % (geometry.stride() * 6);
                frames.extend(plain_frames(geometry, flow, id, &pattern(len, seed)).into_iter().map(arrival));
            }
            6 => {
                // Two senders at once, frame by frame.
                let len = tape.wide() % (geometry.stride() * 6);
                let other = Flow { src: flow.src + 3, ..flow };
                let a = lm_frames(geometry, flow, id, &pattern(len, seed), ChecksumMode::Full);
                let b = lm_frames(geometry, other, id, &pattern(len, !seed), ChecksumMode::Full);
                frames.extend(a.into_iter().zip(b).flat_map(|(a, b)| [a, b]).map(arrival));
            }
            7 => {
                let a = Arp { operation: 1, sender_mac: [2; 6], sender: 9, target_mac: [0; 6], target: 10 };
                frames.insert(at, arrival(a.frame(wire::BROADCAST).to_vec()));
            }
            8 => {
                let len = tape.wide() % (geometry.stride() + 12);
                let mut f = fragment(flow, id, 0, false, &pattern(len, seed));
                f[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
                frames.insert(at, arrival(f));
            }
            9 => {
                let (offset, len) = (tape.wide() as u32 & !7, tape.wide() % (geometry.stride() + 1));
                let len = len.min((wire::MAX_IP_PAYLOAD).saturating_sub(offset as usize));
                let f = fragment(flow, id, offset, seed & 1 == 1, &pattern(len, seed));
                frames.insert(at, arrival(f));
            }
            10 if !frames.is_empty() => {
                let again = frames[at].clone();
                frames.insert(at, again);
            }
            11 if !frames.is_empty() => {
                let n = frames.len().min(at + 1 + usize::from(seed % 8));
                frames.drain(at..n);
            }
            12 if !frames.is_empty() => {
                let other = tape.wide() % frames.len();
                frames.swap(at, other);
            }
            13 if !frames.is_empty() => {
                let n = frames.len().min(at + 2 + usize::from(seed % 50));
                frames[at..n].reverse();
            }
            14 if !frames.is_empty() => {
                let was = frames[at].bytes.clone();
                frames[at].bytes[tape.wide() % was.len()] ^= seed | 1;
                frames[at].originals.push(was);
            }
            15 if !frames.is_empty() => {
                let was = frames[at].bytes.clone();
                frames[at].bytes.truncate(1 + tape.wide() % was.len());
                frames[at].originals.push(was);
            }
            _ => {}
        }
    }
    frames.truncate(FRAMES);
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 400, failure_persistence: None, ..ProptestConfig::default()
        })]
        #[test]
        fn whatever_happens_only_what_was_sent_is_delivered(
            input in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            if let Err(e) = super::run(&input) {
                prop_assert!(false, "{e}\ninput: {input:?}");
            }
        }
    }

    /// What the fuzz harness found, by name.
    #[test]
    fn regressions() {
        let known: [(&str, &[u8]); 4] = [
            (
                "a guess at a cut datagram that was whole before its last piece",
                &[
                    26, 6, 0, 17, 213, 0, 104, 16, 189, 0, 0, 0, 91, 0, 0, 0, 186, 0, 48, 0, 75, 0, 22, 144,
                    0, 0, 23, 0, 70, 204, 0, 0, 47, 0, 16, 0, 0, 0, 69, 47, 89, 0, 14, 228, 0, 0, 0, 0, 245,
                    0, 0, 0, 41, 0, 14, 0, 0, 15, 0, 0, 96, 0, 0, 0, 5, 151, 166, 0, 0, 0, 58, 0, 75, 200,
                    249, 195, 166, 0, 0, 0, 220, 0, 43, 7, 83, 138, 85, 0, 0, 0, 29, 0, 44, 0, 0, 24, 8, 0,
                    16, 0, 0, 0, 115, 111, 16, 0, 0, 0, 104, 0, 249, 0, 0, 23, 0, 0, 0, 0, 78, 0, 0, 0, 0, 0,
                    110, 0, 0, 0, 0, 0, 224, 22, 28, 221, 223, 91, 67, 87, 247, 2, 147, 75, 189, 225, 36,
                    154, 52, 111, 200, 95, 156, 90, 242, 55, 155, 42, 77, 90, 144, 154, 56, 86, 43, 195, 12,
                    66, 212, 243, 29, 184, 97, 181, 176, 168, 1, 173, 58, 179, 249, 35, 208, 170, 46, 94,
                    177, 0, 128, 101, 206, 202, 183, 254, 238, 144, 236, 130, 90, 183, 192, 52, 42, 220, 145,
                    129, 150, 157, 38, 135, 227, 87, 89, 54, 81, 121, 117, 161, 230, 135, 165, 188, 59, 213,
                    191, 178, 6, 64, 62, 152, 6, 72, 68, 111, 241, 161, 234, 94, 211, 147, 202, 225, 168,
                    195, 133, 93, 60, 194, 100, 183, 134, 118, 10, 155, 157, 214, 38, 171, 137, 250, 249,
                    223, 146, 55, 133, 245, 171, 151, 126, 77, 66, 8, 200, 116, 119, 25, 3, 106, 37, 192, 60,
                    210, 101, 177, 110, 135, 182, 191, 253, 92, 69, 96, 74, 121, 73, 119, 247, 242, 148, 152,
                    235, 133, 220, 15, 61, 4, 152, 233, 235, 61, 162, 130, 130, 181, 20, 24, 220, 171, 24,
                    206, 219, 226, 142, 10, 23, 228, 121, 2, 45, 188, 55,
                ],
            ),
            (
                "a frame too long for its slot, below one whose headers were seen",
                &[
                    202, 70, 137, 242, 223, 164, 237, 36, 216, 61, 143, 175, 89, 33, 36, 252, 235, 39, 92,
                    114, 191, 22, 35, 199, 31, 123, 143, 19, 123, 220, 178, 101, 1, 211, 219, 185, 67, 212,
                    84, 85, 185, 81, 246, 115, 126, 161, 99, 82, 202, 163, 182, 166, 234, 93, 230, 185, 241,
                    77, 77, 115, 192, 10, 104, 131, 68, 182, 23, 70,
                ],
            ),
            ("nothing at all", &[]),
            (
                "a frame cut to nothing, then changed",
                &[
                    220, 39, 10, 125, 199, 27, 31, 191, 27, 164, 173, 242, 247, 16, 136, 241, 167, 47, 24,
                    64, 174, 122, 95,
                ],
            ),
        ];
        for (name, input) in known {
            assert!(super::run(input).is_ok(), "{name}: {:?}", super::run(input));
        }
    }
}
