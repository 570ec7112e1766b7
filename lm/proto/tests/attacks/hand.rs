//! Frames made by hand, in which every field can be set, also to values that LM never sends.
//!
//! It takes nothing from the code under test but constants and types.

use lm_proto::wire::{ETHERNET, Flow, IPV4, MIN_FRAME, UDP};

/// Bytes that differ from those of another seed nearly everywhere.
pub(crate) fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        })
        .collect()
}

/// The one's-complement sum of 16-bit words (RFC 1071).
pub(crate) fn sum(data: &[u8]) -> u16 {
    let mut total: u64 = 0;
    for pair in data.chunks(2) {
        total += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u64::from(b));
    }
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// A UDP datagram; `checked`: with its checksum.
pub(crate) fn udp(flow: Flow, payload: &[u8], checked: bool) -> Vec<u8> {
    let len = (UDP + payload.len()) as u16;
    let mut pseudo = Vec::with_capacity(payload.len() + 20);
    for part in [&flow.src.to_be_bytes()[..], &flow.dst.to_be_bytes(), &[0, 17], &len.to_be_bytes()] {
        pseudo.extend_from_slice(part);
    }
    let mut datagram = Vec::with_capacity(usize::from(len));
    for field in [flow.src_port, flow.dst_port, len, 0] {
        datagram.extend_from_slice(&field.to_be_bytes());
    }
    datagram.extend_from_slice(payload);
    if checked {
        pseudo.extend_from_slice(&datagram);
        let checksum = match !sum(&pseudo) {
            0 => 0xffff,
            other => other,
        };
        datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
    }
    datagram
}

/// An IPv4 packet of UDP in a frame.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) flow: Flow,
    pub(crate) id: u16,
    pub(crate) offset: usize,
    pub(crate) more: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) tos: u8,
    pub(crate) protocol: u8,
    /// Of a length that is a multiple of 4.
    pub(crate) options: Vec<u8>,
    /// The total length, if it isn't the right one.
    pub(crate) total: Option<usize>,
    /// Behind the packet.
    pub(crate) trailer: Vec<u8>,
    /// The tag of a VLAN: priority and number.
    pub(crate) vlan: Option<u16>,
}

impl Packet {
    pub(crate) fn new(flow: Flow, id: u16, offset: usize, more: bool, body: &[u8]) -> Self {
        assert!(offset.is_multiple_of(8));
        Self {
            flow,
            id,
            offset,
            more,
            body: body.to_vec(),
            tos: 0,
            protocol: 17,
            options: Vec::new(),
            total: None,
            trailer: Vec::new(),
            vlan: None,
        }
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        let header = IPV4 + self.options.len();
        let total = self.total.unwrap_or(header + self.body.len()) as u16;
        let place = (self.offset / 8) as u16 | if self.more { 0x2000 } else { 0 };
        let mut ip = vec![0x40 | (header / 4) as u8, self.tos];
        for field in [total, self.id, place, 64 << 8 | u16::from(self.protocol), 0] {
            ip.extend_from_slice(&field.to_be_bytes());
        }
        ip.extend_from_slice(&self.flow.src.to_be_bytes());
        ip.extend_from_slice(&self.flow.dst.to_be_bytes());
        ip.extend_from_slice(&self.options);
        let checksum = !sum(&ip);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        if let Some(tag) = self.vlan {
            frame.extend_from_slice(&[0x81, 0x00]);
            frame.extend_from_slice(&tag.to_be_bytes());
        }
        frame.extend_from_slice(&[8, 0]);
        frame.extend_from_slice(&ip);
        frame.extend_from_slice(&self.body);
        if !self.trailer.is_empty() {
            // A trailer follows what the device would pad.
            frame.resize(frame.len().max(MIN_FRAME), 0);
            frame.extend_from_slice(&self.trailer);
        }
        frame
    }
}

/// An IP payload in packets as a kernel cuts it, first fragment first: what is not the last is a multiple of
/// 8, and the last is as long as the MTU lets it be.
pub(crate) fn cut(mtu: usize, flow: Flow, id: u16, datagram: &[u8]) -> Vec<Packet> {
    let room = mtu - IPV4;
    let mut packets = Vec::new();
    let mut at = 0;
    while at < datagram.len() {
        let left = datagram.len() - at;
        let take = if left > room { room & !7 } else { left };
        packets.push(Packet::new(flow, id, at, take < left, &datagram[at..at + take]));
        at += take;
    }
    packets
}

/// The same as frames, of a UDP payload with its checksum.
pub(crate) fn kernel(mtu: usize, flow: Flow, id: u16, payload: &[u8]) -> Vec<Vec<u8>> {
    frames(&cut(mtu, flow, id, &udp(flow, payload, true)))
}

pub(crate) fn frames(packets: &[Packet]) -> Vec<Vec<u8>> {
    packets.iter().map(Packet::frame).collect()
}

/// A short frame of nobody who matters: behind it the one before is known to be as it arrived.
pub(crate) fn arp(sender: u8) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&[2, 0, 0, 0, 0, sender, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, sender]);
    frame.extend_from_slice(&[10, 9, 0, sender, 0, 0, 0, 0, 0, 0, 10, 9, 0, 250]);
    assert_eq!(frame.len(), ETHERNET + 28);
    frame.resize(MIN_FRAME, 0);
    frame
}
