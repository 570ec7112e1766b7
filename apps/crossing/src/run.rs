//! [`Run`]: segments of a TCP connection that follow one another and may become one packet for the kernel.
//!
//! The rules are those of Linux's own GRO (`tcp_gro_receive`): the headers are equal but for lengths,
//! sequence numbers, identifications and checksums, each segment is as long as the first one, and only the
//! last one may be shorter or be pushed. DPDK's library, which joins them, compares less.

use lm_proto::checksum::header;
use lm_proto::wire::{ETHERNET, IPV4};

use crate::segment::{FIELD, FLAGS, complemented, headers, pseudo};
use crate::view::{Ipv4View, be16, put16};
use crate::virtio::{Header, Segments};

/// Where IPv4's and TCP's headers are: there are no tags and no IPv4 options in a run.
const IP: usize = ETHERNET;
const TCP: usize = IP + IPV4;
/// The longest headers: TCP's has 60 bytes at most.
const LONGEST: usize = TCP + 60;
/// The longest packet.
const PACKET: usize = 65_535;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
const DONT: u8 = 0x40;

/// Of whom a TCP segment is: addresses and ports. `None`: the frame is no TCP over IPv4, has a VLAN tag, or
/// is a fragment.
pub fn connection(frame: &[u8]) -> Option<[u8; 12]> {
    let ip = Ipv4View::of(frame).filter(|ip| ip.at == IP)?;
    headers(frame, &ip)?;
    let mut all = [0; 12];
    all[..8].copy_from_slice(&frame[IP + 12..IP + 20]);
    all[8..].copy_from_slice(&frame[ip.payload..ip.payload + 4]);
    Some(all)
}

/// A segment that may be part of a run. Its checksums were not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where its payload begins.
    headers: usize,
    /// Bytes of payload.
    payload: usize,
    sequence: u32,
    id: u16,
    /// It is to be given to the program at once.
    pushed: bool,
}

impl Segment {
    /// `None`: the frame is none, or its flags, options or padding are not a run's.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let ip =
            Ipv4View::of(frame).filter(|ip| ip.at == IP && ip.payload == TCP && ip.end == frame.len())?;
        let headers = headers(frame, &ip).filter(|at| *at < ip.end)?;
        let flags = frame[TCP + FLAGS];
        let sequence = u32::from_be_bytes([frame[38], frame[39], frame[40], frame[41]]);
        (flags & !PSH == ACK).then_some(Self {
            headers,
            payload: ip.end - headers,
            sequence,
            id: ip.id,
            pushed: flags & PSH != 0,
        })
    }
}

/// What the segments of a run have in common, and how far it has come.
#[derive(Clone, Debug)]
pub struct Run {
    /// The first one's headers.
    first: [u8; LONGEST],
    headers: usize,
    /// Bytes of the first one's payload.
    size: usize,
    /// Bytes of packet so far.
    len: usize,
    /// What the next one begins with.
    sequence: u32,
    id: u16,
    /// There is no next one.
    is_over: bool,
    pushed: bool,
}

impl Run {
    /// Of one segment.
    pub fn of(frame: &[u8], segment: &Segment) -> Self {
        let mut first = [0; LONGEST];
        first[..segment.headers].copy_from_slice(&frame[..segment.headers]);
        let mut run = Self {
            first,
            headers: segment.headers,
            size: segment.payload,
            len: segment.headers - IP,
            sequence: segment.sequence,
            id: segment.id,
            is_over: false,
            pushed: false,
        };
        run.add(segment);
        run
    }

    /// Takes a segment if it is the next one, and returns whether it is.
    pub fn take(&mut self, frame: &[u8], segment: &Segment) -> bool {
        let next = !self.is_over
            && segment.sequence == self.sequence
            && segment.payload <= self.size
            && self.len + segment.payload <= PACKET
            && segment.headers == self.headers
            && frame.len() >= self.headers
            && self.is_like(frame);
        if next {
            self.add(segment);
        }
        next
    }

    fn add(&mut self, segment: &Segment) {
        self.len += segment.payload;
        self.sequence = segment.sequence.wrapping_add(segment.payload as u32);
        self.id = segment.id.wrapping_add(1);
        self.pushed = segment.pushed;
        self.is_over = segment.pushed || segment.payload < self.size;
    }

    /// Whether the headers say the same.
    fn is_like(&self, frame: &[u8]) -> bool {
        let same = |from: usize, to: usize| self.first[from..to] == frame[from..to];
        // Addresses of the link, type, version, type of service; flags of fragmentation, time to live,
        // protocol; addresses, ports; acknowledgement, length.
        let equal = same(0, 16) && same(20, 24) && same(26, 38) && same(42, 47);
        // All flags but PSH; window; urgent pointer, options.
        let flags = (self.first[47] ^ frame[47]) & !PSH == 0;
        let follows = self.first[20] & DONT != 0 || be16(frame, 18) == self.id;
        equal && flags && same(48, 50) && same(52, self.headers) && follows
    }

    /// Whether nothing can follow.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes the flag PSH out of a segment, so that it is like the others.
    pub fn unpush(frame: &mut [u8]) {
        if let Some(flags) = frame.get_mut(TCP + FLAGS) {
            *flags &= !PSH;
        }
    }

    /// Gives the last packet the flag that [`Run::unpush`] took, if it did.
    pub fn push(&self, headers: &mut [u8]) {
        if let Some(flags) = headers.get_mut(TCP + FLAGS).filter(|_| self.pushed) {
            *flags |= PSH;
        }
    }

    /// Completes the headers of a packet of `len` bytes, link header included, that several segments of the
    /// run were joined to. The result tells the kernel how long the segments were, and that the checksum
    /// field has only the sum of the pseudo header. The kernel then does not verify the checksum, because
    /// that of each segment was verified here.
    pub fn complete(&self, headers: &mut [u8], len: usize) -> Option<Header> {
        let (front, tcp) = headers.get_mut(..self.headers)?.split_at_mut(TCP);
        let ip = &mut front[IP..];
        put16(ip, 2, u16::try_from(len.checked_sub(IP)?).ok()?);
        put16(ip, 10, 0);
        let sum = header(ip);
        put16(ip, 10, sum);
        let sum = !complemented(pseudo(ip, len.checked_sub(TCP)?));
        put16(tcp, FIELD, sum);
        Some(Header {
            checksum: Some((TCP as u16, FIELD as u16)),
            segments: Segments::Tcp4,
            headers: self.headers as u16,
            segment: self.size as u16,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{PLAIN, ipv4, pattern, with_word};
    use crate::segment::PROTO_TCP;
    use crate::view;
    use lm_proto::wire::Ipv4;

    /// A segment at this place of a stream.
    fn segment(at: u32, len: usize, flags: u8) -> Vec<u8> {
        let mut tcp = vec![0, 80, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0x80, flags, 1, 0, 0, 0, 0, 0];
        tcp[4..8].copy_from_slice(&at.to_be_bytes());
        tcp.extend([1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
        tcp.extend(pattern(len));
        let ip = Ipv4 { protocol: PROTO_TCP, id: (at / 100) as u16, ..PLAIN };
        with_word(ipv4(ip, &tcp), view::DONT)
    }

    /// How many of these frames are one run.
    fn taken(frames: &[Vec<u8>]) -> usize {
        let first = Segment::of(&frames[0]).expect("a segment");
        let mut run = Run::of(&frames[0], &first);
        let next = |frame: &&Vec<u8>| Segment::of(frame).is_some_and(|s| run.take(frame, &s));
        1 + frames[1..].iter().take_while(next).count()
    }

    #[test]
    fn what_follows_is_taken_and_the_last_one_may_be_short_or_pushed() {
        let all = |last: Vec<u8>| [segment(0, 100, 0x10), segment(100, 100, 0x10), last];
        assert_eq!(taken(&all(segment(200, 100, 0x10))), 3);
        assert_eq!(taken(&all(segment(200, 7, 0x10))), 3);
        assert_eq!(taken(&all(segment(200, 101, 0x10))), 2, "longer than the first one");
        assert_eq!(taken(&all(segment(201, 100, 0x10))), 2, "a gap");
        assert_eq!(taken(&all(segment(100, 100, 0x10))), 2, "twice");
        assert_eq!(taken(&[segment(0, 100, 0x18), segment(100, 100, 0x10)]), 1, "pushed");
        let short = [segment(0, 100, 0x10), segment(100, 99, 0x10), segment(199, 100, 0x10)];
        assert_eq!(taken(&short), 2, "a short one is the last");
        let wraps = [segment(u32::MAX - 49, 100, 0x10), segment(50, 100, 0x18)];
        assert_eq!(taken(&wraps), 2, "numbers go round");
        let many: Vec<_> = (0..50).map(|i| segment(i * 1448, 1448, 0x10)).collect();
        assert_eq!(taken(&many), (65_535 - 52) / 1448);
    }

    #[test]
    fn each_field_of_the_headers_counts() {
        let first = segment(0, 100, 0x10);
        for at in 0..66 {
            let mut next = segment(100, 100, 0x10);
            next[at] ^= 4;
            let free = matches!(at, 18 | 19 | 24 | 25 | 50 | 51);
            assert_eq!(taken(&[first.clone(), next]), if free { 2 } else { 1 }, "byte {at}");
        }
        // Without DF identifications have to follow.
        for (id, n) in [(1, 2), (0, 1), (2, 1)] {
            let mut frames = [first.clone(), segment(100, 100, 0x10)].map(|frame| with_word(frame, 0));
            frames[1][19] = id;
            assert_eq!(taken(&frames), n, "{id}");
        }
    }

    #[test]
    fn other_frames_are_no_segments() {
        for flags in [0x00, 0x02, 0x11, 0x12, 0x14, 0x30, 0x50, 0x90, 0x08] {
            assert_eq!(Segment::of(&segment(0, 100, flags)), None, "{flags:x}");
        }
        assert_eq!(Segment::of(&segment(0, 0, 0x10)), None, "nothing but an acknowledgement");
        let frame = segment(0, 100, 0x10);
        assert!(Segment::of(&frame).is_some() && connection(&frame).is_some());
        let mut padded = frame.clone();
        padded.push(0);
        assert_eq!(Segment::of(&padded), None);
        let mut tagged = frame.clone();
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        assert!(Segment::of(&tagged).is_none() && connection(&tagged).is_none());
        let fragment = with_word(frame.clone(), view::MORE);
        assert!(Segment::of(&fragment).is_none() && connection(&fragment).is_none());
        for len in 0..frame.len() {
            assert_eq!(Segment::of(&frame[..len]), None);
            assert_eq!(connection(&frame[..len]), None);
        }
    }

    #[test]
    fn completed_headers_agree_with_the_whole() {
        let frames: Vec<_> =
            [(0, 0x10), (100, 0x10), (200, 0x18)].map(|(at, flags)| segment(at, 100, flags)).into();
        let mut run = Run::of(&frames[0], &Segment::of(&frames[0]).expect("a segment"));
        assert!(run.take(&frames[1], &Segment::of(&frames[1]).expect("a segment")) && !run.is_over());
        assert!(run.take(&frames[2], &Segment::of(&frames[2]).expect("a segment")) && run.is_over());
        let mut whole = frames[0].clone();
        whole.extend_from_slice(&frames[1][66..]);
        whole.extend_from_slice(&frames[2][66..]);
        let len = whole.len();
        let told = run.complete(&mut whole[..66], len).expect("headers");
        run.push(&mut whole);
        assert_eq!((told.headers, told.segment, told.segments), (66, 100, Segments::Tcp4));
        assert!(told.complete(&mut whole));
        assert!(crate::segment::verify(&whole));
        assert_eq!(whole[47], 0x18);
        Run::unpush(&mut whole);
        assert_eq!(whole[47], 0x10);
        assert!(run.complete(&mut [0; 65], len).is_none());
    }
}
