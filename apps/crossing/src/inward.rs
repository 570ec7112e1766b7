//! [`headers`]: makes the headers that the kernel gets in front of the payload of a whole datagram.
//!
//! lmd calls it for each datagram that it has received and verified. The payload itself is neither read nor
//! copied here.

use lm_proto::checksum;
use lm_proto::service::Service;
use lm_proto::wire::{BROADCAST, ETHERNET, Flow, HEADERS, IPV4, Ipv4, Mac, PROTO_UDP, TYPE_IPV4, UDP, Udp};
use lm_proto::wire::{MAX_PAYLOAD, ethernet};

use crate::virtio::{self, Header};

/// Bytes of these headers: virtio-net, Ethernet, IPv4 and UDP.
pub const LEN: usize = virtio::LEN + HEADERS + UDP;
/// The source address on the link, which belongs to nobody. The peer's own address was overwritten where the
/// datagram landed.
const FROM: Mac = [2, 0x4c, 0x4d, 0, 0, 0];

/// The headers of a verified datagram of `len` bytes, for an interface with this MAC address. They tell the
/// kernel that the checksum is still to be completed, as for a datagram that never left the machine. So the
/// kernel does not read the payload to verify it, and it completes the checksum if it sends the datagram on.
pub fn headers(flow: &Flow, service: Service, ours: Mac, id: u16, len: usize) -> [u8; LEN] {
    let udp_len = (len.min(MAX_PAYLOAD) + UDP) as u16;
    let mut to = [0; LEN];
    let virtio = Header { checksum: Some((HEADERS as u16, 6)), ..Header::default() };
    to[..virtio::LEN].copy_from_slice(&virtio.bytes());
    let frame = &mut to[virtio::LEN..];
    let mut link = [0; ETHERNET];
    ethernet(&mut link, towards(flow.dst, ours), FROM, TYPE_IPV4);
    frame[..ETHERNET].copy_from_slice(&link);
    let ip = Ipv4 {
        src: flow.src,
        dst: flow.dst,
        id,
        protocol: PROTO_UDP,
        ttl: service.ttl,
        more: false,
        offset: 0,
        header_len: IPV4 as u8,
        payload_len: udp_len,
    };
    let mut header = [0; IPV4];
    ip.emit(&mut header);
    header[1] = service.tos;
    header[10..12].fill(0);
    let sum = checksum::header(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame[ETHERNET..HEADERS].copy_from_slice(&header);
    // The checksum of the pseudo header alone, not complemented.
    let checksum = pseudo(flow, udp_len);
    let udp = Udp { src_port: flow.src_port, dst_port: flow.dst_port, len: udp_len, checksum };
    frame[HEADERS..].copy_from_slice(&udp.bytes());
    to
}

/// The sum of UDP's pseudo header (RFC 768).
fn pseudo(flow: &Flow, udp_len: u16) -> u16 {
    let mut b = [0; 12];
    b[..4].copy_from_slice(&flow.src.to_be_bytes());
    b[4..8].copy_from_slice(&flow.dst.to_be_bytes());
    b[9] = PROTO_UDP;
    b[10..].copy_from_slice(&udp_len.to_be_bytes());
    !checksum::header(&b)
}

/// The MAC address that a datagram for this address came to (RFC 1112, section 6.4).
fn towards(dst: u32, ours: Mac) -> Mac {
    let [a, b, c, d] = dst.to_be_bytes();
    match a {
        _ if dst == u32::MAX => BROADCAST,
        224..=239 => [1, 0, 0x5e, b & 0x7f, c, d],
        _ => ours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::pattern;
    use lm_proto::checksum::{sum, udp_ok};

    const FLOW: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7000, dst_port: 9000 };
    const SERVICE: Service = Service { tos: 0x2b, ttl: 3 };
    const OURS: Mac = [2, 0, 0, 0, 0, 9];

    #[test]
    fn completed_they_are_a_good_datagram() {
        for len in [0, 1, 1472, 1473, 64_000, MAX_PAYLOAD] {
            let payload = pattern(len);
            let made = headers(&FLOW, SERVICE, OURS, 5, len);
            let virtio = Header::parse(&made).expect("a header");
            let mut frame = [&made[virtio::LEN..], &payload].concat();
            assert!(virtio.complete(&mut frame));
            let packet = &frame[ETHERNET..];
            let ip = Ipv4::parse(packet, packet.len()).expect("good");
            assert_eq!((ip.src, ip.dst, ip.ttl, packet[1]), (FLOW.src, FLOW.dst, 3, 0x2b));
            let udp = Udp::parse(&packet[IPV4..]).expect("UDP");
            assert_eq!(usize::from(udp.len), len + UDP);
            assert!(udp_ok(&FLOW, &udp, sum(&payload)), "{len}");
        }
    }

    #[test]
    fn groups_keep_their_addresses() {
        assert_eq!(towards(0xe7ff_0102, OURS), [1, 0, 0x5e, 0x7f, 1, 2]);
        assert_eq!((towards(u32::MAX, OURS), towards(0x0a00_0002, OURS)), (BROADCAST, OURS));
    }
}
