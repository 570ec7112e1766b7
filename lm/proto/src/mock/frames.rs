//! Frames as senders of every kind put them on the wire.
//!
//! The tests, the fuzz harness and the benchmarks of this crate make their input here. The functions only
//! write bytes; a caller may change them, and [`mend`] makes a header's checksum right again.

use crate::alf::{Blocks, ChecksumMode, Ends, frame};
use crate::checksum;
use crate::layout::{Geometry, Layout};
use crate::wire::{self, ETHERNET, Flow, HEADERS, IPV4, Ipv4, UDP, Udp};

/// The hardware address that all frames are sent to.
pub const TO: wire::Mac = [2, 0, 0, 0, 0, 2];

/// The frames of a datagram as LM sends them: last fragment first.
pub fn lm_frames(
    geometry: Geometry,
    flow: Flow,
    id: u16,
    payload: &[u8],
    mode: ChecksumMode,
) -> Vec<Vec<u8>> {
    let mut buf = vec![0; geometry.buffer_len()];
    let mut blocks = Blocks::new(geometry);
    blocks.fill(&mut buf, payload, mode);
    let ends = Ends { src_mac: [2, 0, 0, 0, 0, 1], dst_mac: TO, flow };
    let layout = blocks.seal(&mut buf, &ends, id, mode);
    (0..layout.fragments()).rev().map(|i| buf[frame(geometry, &layout, i)].to_vec()).collect()
}

/// The frames of a datagram as a kernel sends them: in forward order, nothing behind the UDP datagram.
pub fn plain_frames(geometry: Geometry, flow: Flow, id: u16, payload: &[u8]) -> Vec<Vec<u8>> {
    let layout = Layout::plain(geometry, payload.len() + UDP);
    let mut udp =
        Udp { src_port: flow.src_port, dst_port: flow.dst_port, len: layout.udp_len() as u16, checksum: 0 };
    udp.checksum = checksum::udp(&flow, udp.len, checksum::sum(payload));
    let datagram = [&udp.bytes()[..], payload].concat();
    if datagram.len() + IPV4 <= usize::from(geometry.mtu()) {
        // Up to 7 bytes longer than a stride.
        return vec![fragment(flow, id, 0, false, &datagram)];
    }
    (0..layout.fragments())
        .map(|i| {
            let start = i * geometry.stride();
            let data = &datagram[start..start + layout.fragment_len(i)];
            fragment(flow, id, start as u32, i + 1 < layout.fragments(), data)
        })
        .collect()
}

/// One IPv4 fragment of UDP with any contents.
pub fn fragment(flow: Flow, id: u16, offset: u32, more: bool, data: &[u8]) -> Vec<u8> {
    let mut f = headers(1, flow, id, offset, more, data.len()).to_vec();
    f.extend_from_slice(data);
    f
}

/// The headers in front of a fragment, from a hardware address whose last byte is `host`.
pub fn headers(host: u8, flow: Flow, id: u16, offset: u32, more: bool, payload_len: usize) -> [u8; HEADERS] {
    let mut b = [0; HEADERS];
    b[..6].copy_from_slice(&TO);
    b[6..12].copy_from_slice(&[2, 0, 0, 0, 0, host]);
    b[12..ETHERNET].copy_from_slice(&wire::TYPE_IPV4.to_be_bytes());
    let mut h = [0; IPV4];
    Ipv4 {
        src: flow.src,
        dst: flow.dst,
        id,
        protocol: wire::PROTO_UDP,
        ttl: 64,
        more,
        offset,
        header_len: IPV4 as u8,
        payload_len: payload_len as u16,
    }
    .emit(&mut h);
    b[ETHERNET..].copy_from_slice(&h);
    b
}

/// A datagram as a kernel sends it that computes no UDP checksum.
pub fn without_checksum(mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for f in &mut frames {
        let first = wire::be16(f, 20) & 0x1fff == 0;
        if first && f.len() >= HEADERS + UDP {
            f[HEADERS + 6..HEADERS + 8].fill(0);
        }
    }
    frames
}

/// Makes the checksum of the IP header right again after a change.
pub fn mend(frame: &mut [u8]) {
    let end = ETHERNET + usize::from(frame[ETHERNET] & 15) * 4;
    frame[24..26].fill(0);
    let sum = checksum::header(&frame[ETHERNET..end]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

/// Adds IP options, `words` words of "no operation", to a header that has none.
pub fn with_options(frame: &mut Vec<u8>, words: u8) {
    let bytes = usize::from(words) * 4;
    frame.splice(HEADERS..HEADERS, vec![1; bytes]);
    frame[ETHERNET] = 0x45 + words;
    let total = wire::be16(frame, 16) + bytes as u16;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    mend(frame);
}

/// Adds a priority tag: a VLAN header of VLAN 0.
pub fn with_priority(frame: &mut Vec<u8>, priority: u8) {
    frame.splice(12..12, [0x81, 0, priority << 5, 0]);
}

/// Sets the two bits of explicit congestion notification (RFC 3168).
pub fn with_ecn(frame: &mut [u8], ecn: u8) {
    frame[15] = frame[15] & !3 | ecn & 3;
    mend(frame);
}

/// A frame that is no datagram: an IPv4 packet of another protocol.
pub fn of_protocol(flow: Flow, protocol: u8, len: usize, contents: &[u8]) -> Vec<u8> {
    let mut data = vec![0; len.saturating_sub(HEADERS)];
    let n = data.len().min(contents.len());
    data[..n].copy_from_slice(&contents[..n]);
    let mut f = fragment(flow, 99, 0, false, &data);
    f[23] = protocol;
    mend(&mut f);
    f
}
