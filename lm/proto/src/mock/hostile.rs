//! What somebody sends who wants something delivered that nobody sent.
//!
//! The headers of a landed frame are overwritten by the end of the frame below it. Whoever chooses that
//! frame's contents, chooses what is found there: headers of an address that no frame has, in front of a
//! payload that makes a datagram of them, with checksum, digest and tag.

use super::frames::{self, fragment, lm_frames, plain_frames, without_checksum};
use super::random::Random;
use crate::alf::ChecksumMode;
use crate::checksum;
use crate::layout::{Geometry, Layout};
use crate::wire::{self, Arp, Flow, HEADERS, IPV4, UDP, Udp};

/// Whom no frame comes from.
pub const VICTIM: Flow = Flow { src: 0x0a00_0063, dst: 0x0a00_00fe, src_port: 7000, dst_port: 9000 };

/// Who sends.
pub const ATTACKER: Flow = Flow { src: 0xc0a8_0042, dst: 0x0a00_00fe, src_port: 666, dst_port: 9000 };

/// The 34 bytes that are to be found in front of a fragment of the victim's.
fn headers(id: u16, offset: u32, more: bool, payload_len: usize) -> [u8; HEADERS] {
    frames::headers(9, VICTIM, id, offset, more, payload_len)
}

/// A UDP datagram of the victim's.
fn datagram(payload: &[u8], checksum: bool) -> Vec<u8> {
    let len = (payload.len() + UDP) as u16;
    let mut udp = Udp { src_port: VICTIM.src_port, dst_port: VICTIM.dst_port, len, checksum: 0 };
    if checksum {
        udp.checksum = checksum::udp(&VICTIM, len, checksum::sum(payload));
    }
    [&udp.bytes()[..], payload].concat()
}

/// A frame of the attacker's of `len` bytes that ends with headers of the victim's.
pub fn tail(geometry: Geometry, len: usize) -> Vec<u8> {
    let mut data = vec![0x33; len - HEADERS];
    let at = geometry.stride().saturating_sub(HEADERS);
    put(&mut data, at, &headers(7, 0, true, geometry.stride()));
    fragment(ATTACKER, 4, 0, false, &data)
}

/// Writes as much as there is room for.
fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    if at < bytes.len() {
        let n = what.len().min(bytes.len() - at);
        bytes[at..at + n].copy_from_slice(&what[..n]);
    }
}

/// Frames of a datagram that the victim never sent, each in a packet of the attacker's own, and a last one
/// that has the victim's headers where the first fragment's were.
pub fn disguised(random: &mut Random, geometry: Geometry) -> Vec<Vec<u8>> {
    let (stride, id) = (geometry.stride(), random.word() as u16);
    let fragments = random.within(0, 4);
    let len = (fragments * stride + random.below(stride)).min(65_507);
    let payload = random.bytes(len);
    let mut frames = match random.below(5) {
        0 => without_checksum(reversed(plain_frames(geometry, VICTIM, id, &payload))),
        1 | 2 => reversed(plain_frames(geometry, VICTIM, id, &payload)),
        3 => lm_frames(geometry, VICTIM, id, &payload, ChecksumMode::Zero),
        _ => lm_frames(geometry, VICTIM, id, &payload, ChecksumMode::Full),
    };
    // What was in front of the first fragment, and how many bytes of it the next frame reaches.
    let mut genuine = frames[frames.len() - 1][..HEADERS].to_vec();
    if random.once_in(8) {
        genuine = arp().to_vec();
    }
    let reach = random.pick(&[HEADERS, HEADERS, HEADERS - 1, HEADERS - 4, HEADERS - 8, 10]);
    let own = random.word() as u16;
    for frame in &mut frames {
        let payload_len = usize::from(wire::be16(frame, 16)).saturating_sub(IPV4);
        let (offset, more) = match random.below(3) {
            // A packet of its own, as far as its header goes.
            0 => (0, false),
            // Of a datagram that never comes.
            1 => (8 * (1 + random.below(100) as u32), payload_len.is_multiple_of(8)),
            _ => (u32::from(wire::be16(frame, 20) & 0x1fff) * 8, wire::be16(frame, 20) & wire::MORE != 0),
        };
        let trailer = frame.split_off((HEADERS + payload_len).min(frame.len()));
        *frame = fragment(ATTACKER, own, offset, more, &frame[HEADERS..]);
        frame.extend_from_slice(&trailer);
    }
    let mut last = random.bytes(stride - HEADERS);
    last.extend_from_slice(&genuine[..reach]);
    let more = last.len().is_multiple_of(8) && random.once_in(2);
    frames.push(fragment(ATTACKER, own.wrapping_add(1), 0, more, &last));
    if random.once_in(3) {
        // What comes behind may overwrite that, or leave it alone.
        frames.push(fragment(ATTACKER, own.wrapping_add(2), 0, false, &random.bytes(40)));
    }
    frames
}

fn arp() -> [u8; HEADERS] {
    let a = Arp { operation: 1, sender_mac: [6; 6], sender: 5, target_mac: [0; 6], target: 10 };
    *a.frame([6; 6]).first_chunk().expect("longer")
}

fn reversed(mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.reverse();
    frames
}

/// Contents that an honest sender carries for somebody: wherever the headers of one of its frames will be
/// overwritten, by this datagram's own next frame, they may be overwritten with headers; and behind them lies
/// what makes a datagram of them.
pub fn contents(random: &mut Random, geometry: Geometry, len: usize, forward: bool) -> Vec<u8> {
    let stride = geometry.stride();
    let mut bytes = random.bytes(len + UDP);
    let n = bytes.len().div_ceil(stride);
    for _ in 0..random.within(1, 4) {
        // Fragment `f` is to be taken for a first one, and `below` overwrites its headers.
        let f = random.below(n);
        let below = if forward { Some(f + 1).filter(|&b| b < n) } else { f.checked_sub(1) };
        let Some(below) = below.filter(|_| f > 0) else { continue };
        let above = if forward { f + 1 } else { n - f };
        let pieces = random.within(1, above.min(4));
        let (id, whole) = (random.word() as u16, random.once_in(2));
        let size = match (pieces, whole) {
            (_, true) => pieces * stride,
            (1, false) => random.within(UDP, stride),
            (_, false) => (pieces - 1) * stride + random.within(1, stride),
        };
        let evil = if random.once_in(3) {
            // With a tag where LM has one.
            let mode = if random.once_in(3) { ChecksumMode::Zero } else { ChecksumMode::Full };
            let size = size.saturating_sub(UDP + crate::layout::TAG);
            let layout = Layout::new(geometry, size).map_or(0, |l| l.ip_len());
            let mut frames = lm_frames(geometry, VICTIM, id, &random.bytes(size), mode);
            frames.reverse();
            let payload: Vec<u8> = frames.iter().flat_map(|f| f[HEADERS..].to_vec()).collect();
            payload[..payload.len().min(layout.max(UDP))].to_vec()
        } else {
            datagram(&random.bytes(size - UDP), !random.once_in(4))
        };
        for (i, piece) in evil.chunks(stride).enumerate() {
            let block = if forward { f.checked_sub(i) } else { Some(f + i) };
            // The real UDP header is the sender's own.
            if let Some(block) = block.filter(|&b| b > 0 && b < n) {
                put(&mut bytes, block * stride, piece);
            }
        }
        let first = evil.len().min(stride);
        let genuine = if random.once_in(10) { arp() } else { headers(id, 0, evil.len() > stride, first) };
        put(&mut bytes, (below + 1) * stride - HEADERS, &genuine);
        let end = ((below + 1) * stride).min(bytes.len());
        bytes.truncate(bytes.len().max(end));
    }
    bytes.split_off(UDP)
}

/// Two payloads of one length: in each piece some words have changed places, so that no sum tells them apart.
pub fn twins(random: &mut Random, geometry: Geometry, len: usize) -> (Vec<u8>, Vec<u8>) {
    let stride = geometry.stride();
    let first = random.bytes(len);
    let mut second = first.clone();
    let mut start = 0;
    while start < len {
        // Pieces end where fragments do; in front of the first one is a UDP header.
        let end = ((start + UDP) / stride * stride + stride - UDP).min(len);
        let words = (end - start) / 2;
        if words > 1 {
            let (a, b) = (start + 2 * random.below(words), start + 2 * random.below(words));
            for i in 0..2 {
                second.swap(a + i, b + i);
            }
        }
        start = end;
    }
    (first, second)
}

/// A fragment of anything: small numbers of sources, identifications, places and lengths, so that they meet.
pub fn stray(random: &mut Random, geometry: Geometry) -> Vec<u8> {
    let stride = geometry.stride();
    let flow = Flow { src: ATTACKER.src + random.below(3) as u32, ..ATTACKER };
    let id = random.below(4) as u16;
    let len = match random.below(5) {
        0 => 8,
        1 => random.below(stride + 1),
        2 => 8 * random.within(1, 4),
        3 => stride - random.below(2 * HEADERS),
        _ => stride,
    };
    let offset = match random.below(4) {
        0 => 0,
        1 => 8 * random.below(8),
        2 => stride * random.below(4),
        _ => 8 * random.below(8192),
    };
    let len = len.min(wire::MAX_IP_PAYLOAD.saturating_sub(offset));
    let more = random.once_in(2);
    let mut data = random.bytes(len);
    if random.once_in(2) {
        let udp_len = random.pick(&[len, 2 * stride, 3 * stride + 100, stride + 8, 7]) as u16;
        let checksum = if random.once_in(2) { 0 } else { random.word() as u16 };
        let udp = Udp { src_port: flow.src_port, dst_port: flow.dst_port, len: udp_len, checksum };
        put(&mut data, 0, &udp.bytes());
    }
    fragment(flow, id, offset as u32, more, &data)
}
