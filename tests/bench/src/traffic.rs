//! Frames on the wire: datagrams as LM's sender cuts them, last fragment first, and as any other stack does.
//!
//! The simulated card receives a [`Traffic`] once in each round. Datagrams of equal payload share their
//! bytes, so that the source of the frames does not fill the cache.

use lm_proto::alf::{self, Blocks, ChecksumMode, Ends};
use lm_proto::checksum;
use lm_proto::layout::{Geometry, Layout};
use lm_proto::wire::{self, ETHERNET, Flow, HEADERS, IPV4, Ipv4, UDP, Udp};

/// Who cuts the datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// LM: with end tags, last fragment first.
    Lm,
    /// Any stack: nothing behind the datagram, first fragment first.
    Plain,
}

/// One frame: a body, which datagrams of equal payload share, and what differs.
pub(crate) struct Shot {
    body: usize,
    pub headers: [u8; HEADERS],
    tail: Option<[u8; 8]>,
}

impl Shot {
    pub(crate) fn tail(&self) -> &[u8] {
        self.tail.as_ref().map_or(&[], |t| t)
    }
}

/// What the card receives in one round.
pub(crate) struct Traffic {
    size: usize,
    datagrams: usize,
    bodies: Vec<Vec<u8>>,
    shots: Vec<Shot>,
    payloads: Vec<u8>,
}

pub(crate) const FLOW: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_00fe, src_port: 7000, dst_port: 9000 };
const ENDS: Ends = Ends { src_mac: [2, 0, 0, 0, 0, 1], dst_mac: [2, 0, 0, 0, 0, 2], flow: FLOW };

impl Traffic {
    /// `datagrams` of `size` bytes; of different payloads (`distinct`, to verify), or all of one, so that the
    /// source of the simulated DMA does not fill the cache.
    pub(crate) fn new(cut: Cut, size: usize, datagrams: usize, distinct: bool) -> Self {
        let mut this = Self { size, datagrams, bodies: Vec::new(), shots: Vec::new(), payloads: Vec::new() };
        for d in 0..datagrams {
            let payload: Vec<u8> = pattern(size, if distinct { d as u64 } else { 0 });
            let id = d as u16 + 1;
            let (frames, tagged) = match cut {
                Cut::Lm => cut_by_lm(&payload, id),
                Cut::Plain => (cut_plainly(&payload, id), false),
            };
            let fresh = d == 0 || distinct;
            for (i, frame) in frames.into_iter().enumerate() {
                // The last fragment comes first, and the tag is its end.
                let tail = frame.last_chunk().copied().filter(|_| tagged && i == 0);
                let headers = *frame.first_chunk().expect("a frame has headers");
                let body = if fresh { self::push(&mut this.bodies, frame) } else { i };
                this.shots.push(Shot { body, headers, tail });
            }
            this.payloads.extend_from_slice(&payload);
        }
        this
    }

    /// Bytes of payload in a datagram.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn datagrams(&self) -> usize {
        self.datagrams
    }

    pub(crate) fn frames(&self) -> usize {
        self.shots.len()
    }

    /// In the order of arrival.
    pub(crate) fn shots(&self) -> &[Shot] {
        &self.shots
    }

    pub(crate) fn body(&self, shot: &Shot) -> &[u8] {
        &self.bodies[shot.body]
    }

    /// All payloads, one after the other.
    pub(crate) fn payloads(&self) -> &[u8] {
        &self.payloads
    }
}

/// Fragments of a datagram of `size` bytes, tags included.
pub(crate) fn fragments(size: usize) -> usize {
    Layout::of_udp(Geometry::ETHERNET, size + UDP).fragments()
}

fn push<T>(list: &mut Vec<T>, item: T) -> usize {
    list.push(item);
    list.len() - 1
}

/// Every byte depends on its place.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mix = |x: u64| {
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    };
    (0..len as u64).map(|i| (mix(i / 8 + (seed << 20)) >> (8 * (i % 8))) as u8).collect()
}

/// Frames in the order of transmission, and whether they carry a tag.
fn cut_by_lm(payload: &[u8], id: u16) -> (Vec<Vec<u8>>, bool) {
    let geometry = Geometry::ETHERNET;
    let mut buf = vec![0; geometry.buffer_len() + geometry.full_frame()];
    let mut blocks = Blocks::new(geometry);
    blocks.fill(&mut buf, payload, ChecksumMode::Full);
    let layout = blocks.seal(&mut buf, &ENDS, id, ChecksumMode::Full);
    let frames = (0..layout.fragments()).rev().map(|i| buf[alf::frame(geometry, &layout, i)].to_vec());
    (frames.collect(), layout.tag().is_some())
}

fn cut_plainly(payload: &[u8], id: u16) -> Vec<Vec<u8>> {
    cut_for(payload, FLOW, id, true)
}

/// Frames as any stack sends them, first fragment first; with a UDP checksum or without.
pub(crate) fn cut_for(payload: &[u8], flow: Flow, id: u16, summed: bool) -> Vec<Vec<u8>> {
    let len = (payload.len() + UDP) as u16;
    let mut datagram = vec![0; UDP];
    datagram.extend_from_slice(payload);
    let checksum = if summed { checksum::udp(&flow, len, checksum::sum(payload)) } else { 0 };
    let udp = Udp { src_port: flow.src_port, dst_port: flow.dst_port, len, checksum };
    datagram[..UDP].copy_from_slice(&udp.bytes());
    let stride = Geometry::ETHERNET.stride();
    let n = datagram.len().div_ceil(stride);
    let frame = |(i, part): (usize, &[u8])| {
        let mut frame = vec![0; HEADERS];
        let (ethernet, ip) = frame.split_at_mut(ETHERNET);
        let ethernet: &mut [u8; ETHERNET] = ethernet.try_into().expect("14 bytes");
        wire::ethernet(ethernet, ENDS.dst_mac, ENDS.src_mac, wire::TYPE_IPV4);
        Ipv4 {
            src: flow.src,
            dst: flow.dst,
            id,
            protocol: wire::PROTO_UDP,
            ttl: 64,
            more: i + 1 < n,
            offset: (i * stride) as u32,
            header_len: IPV4 as u8,
            payload_len: part.len() as u16,
        }
        .emit(ip.try_into().expect("20 bytes"));
        frame.extend_from_slice(part);
        frame
    };
    datagram.chunks(stride).enumerate().map(frame).collect()
}
