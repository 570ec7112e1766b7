//! The frames that are sent: datagrams of one size, frame by frame, and frames of other protocols between
//! them. Every payload contains its datagram's number, so the receiver can check each byte.

use lm_proto::alf::{Blocks, ChecksumMode, Ends, frame};
use lm_proto::checksum;
use lm_proto::layout::Geometry;
use lm_proto::wire::{Flow, Mac};

/// Bytes of payload that carry the datagram's number.
const NUMBER: usize = 8;
/// One frame in so many is a stranger's; one in two of them a full one, on a rough wire.
const STRANGERS: u64 = 97;
/// In one datagram of so many, two full fragments change places, on a rough wire.
const SWAPS: u64 = 16;
/// In one datagram of so many, a full fragment is another datagram's, where cards tell.
const MIXES: u64 = 16;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % n
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The payload of a datagram: its number, then words that depend on it and on their place. Behind each word
/// of an even datagram comes its complement, so that the sum of every fragment, and with it the UDP checksum,
/// is the same for all of them.
pub(crate) fn payload(number: u64, size: usize, out: &mut Vec<u8>) {
    out.clear();
    let even = number.is_multiple_of(2);
    let half = number as u32;
    out.extend_from_slice(&half.to_be_bytes());
    out.extend_from_slice(&(!half).to_be_bytes());
    while out.len() < size {
        let word = mix(number << 16 | out.len() as u64) as u16;
        let other = if even { !word } else { word.rotate_left(3) };
        out.extend_from_slice(&word.to_be_bytes());
        out.extend_from_slice(&other.to_be_bytes());
    }
}

/// The number that a payload carries; `None`: none that [`payload`] writes.
pub(crate) fn number(payload: &[u8]) -> Option<u64> {
    let head: [u8; NUMBER] = *payload.first_chunk()?;
    let (a, b) = (u64::from_be_bytes(head) >> 32, u64::from_be_bytes(head) as u32);
    (a as u32 == !b).then_some(a)
}

/// Frames without end.
pub(crate) struct Source {
    geometry: Geometry,
    size: usize,
    ends: Ends,
    /// Strangers' full frames are among ours, and ours change places.
    rough: bool,
    /// Fragments of others are in the midst of ours; how many were.
    mixes: Option<u64>,
    random: Random,
    payload: Vec<u8>,
    buf: Vec<u8>,
    /// Frames of the present datagram that are still to go, in that order.
    left: Vec<std::ops::Range<usize>>,
    stranger: Vec<u8>,
    datagrams: u64,
    frames: u64,
}

impl Source {
    pub(crate) fn new(geometry: Geometry, size: usize, macs: [Mac; 2], rough: bool, random: Random) -> Self {
        let [src_mac, dst_mac] = macs;
        let flow = Flow { src: 0xc612_0001, dst: 0xc612_0002, src_port: 7000, dst_port: 9000 };
        Self {
            geometry,
            size,
            ends: Ends { src_mac, dst_mac, flow },
            rough,
            mixes: None,
            random,
            payload: Vec::new(),
            buf: vec![0; geometry.buffer_len()],
            left: Vec::new(),
            stranger: Vec::new(),
            datagrams: 0,
            frames: 0,
        }
    }

    /// Datagrams that were begun.
    pub(crate) fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// From now on the midst of some datagrams is another's.
    pub(crate) fn mix(&mut self) {
        self.mixes = Some(0);
    }

    /// How many were so.
    pub(crate) fn mixed(&self) -> u64 {
        self.mixes.unwrap_or_default()
    }

    /// Frames that were given.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> &[u8] {
        self.frames += 1;
        if self.random.below(STRANGERS) == 0 {
            return self.stranger();
        }
        if self.left.is_empty() {
            self.begin();
        }
        let next = self.left.pop().unwrap_or_default();
        &self.buf[next]
    }

    fn begin(&mut self) {
        payload(self.datagrams, self.size, &mut self.payload);
        let mut blocks = Blocks::new(self.geometry);
        blocks.fill(&mut self.buf, &self.payload, ChecksumMode::Full);
        let layout = blocks.seal(&mut self.buf, &self.ends, self.datagrams as u16, ChecksumMode::Full);
        let n = layout.fragments();
        self.left.extend((0..n).map(|i| frame(self.geometry, &layout, i)));
        // Between the first and the last there are only full ones.
        if self.rough && n > 3 && self.random.below(SWAPS) == 0 {
            self.left.swap(1, 2);
        }
        if n > 2
            && let Some(mixes) = &mut self.mixes
            && self.random.below(MIXES) == 0
        {
            *mixes += 1;
            another(&mut self.buf[frame(self.geometry, &layout, 1)]);
        }
        self.datagrams += 1;
    }

    /// A TCP segment: in a full frame, or in the shortest.
    fn stranger(&mut self) -> &[u8] {
        let len: usize = if self.rough && self.random.below(2) == 0 { 1514 } else { 60 };
        self.stranger.clear();
        self.stranger.extend_from_slice(&self.ends.dst_mac);
        self.stranger.extend_from_slice(&self.ends.src_mac);
        self.stranger.extend_from_slice(&[8, 0, 0x45, 0]);
        self.stranger.extend_from_slice(&((len - 14) as u16).to_be_bytes());
        self.stranger.extend_from_slice(&[0, 1, 0, 0, 64, 6, 0, 0]);
        self.stranger.resize(len, 0x5a);
        &self.stranger
    }
}

/// Makes a fragment one of another datagram: identification and payload are others.
fn another(frame: &mut [u8]) {
    frame[18] ^= 0x80;
    frame[24..26].fill(0);
    let sum = checksum::header(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[34..].iter_mut().for_each(|byte| *byte ^= 0x5a);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_datagrams_have_the_same_sum_and_no_other_bytes_in_common() {
        let made = |number| {
            let mut p = Vec::new();
            payload(number, 4432, &mut p);
            p
        };
        let sum = |number| checksum::piece(&made(number)[..1472]).sum % 0xffff;
        assert_eq!((number(&made(4)), number(&made(77_777))), (Some(4), Some(77_777)));
        assert_eq!(number(&[0; 8]), None);
        assert_eq!(sum(4), sum(777_776));
        assert_ne!(sum(5), sum(7));
        assert!(made(4)[8..].chunks(8).zip(made(6)[8..].chunks(8)).all(|(a, b)| a != b));
    }
}
