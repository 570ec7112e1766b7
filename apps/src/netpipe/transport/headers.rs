//! Writes and reads the headers of whole datagrams, for the transports that are not LM's.
//!
//! [`super::frag`] and [`super::bare`] call it with frames of DPDK's own mbufs. [`read_headers`] trusts no
//! length in a frame: what does not agree is `None`. IP options and fragments are `None`, too.

use lm_proto::wire::{ETHERNET, Flow, HEADERS, IPV4, Ipv4, PROTO_UDP, TYPE_IPV4, UDP, Udp, ether_type};

/// Writes the headers of a whole datagram, its Ethernet header apart, to the front of `packet`; its length is
/// the packet's.
pub(super) fn write_headers(packet: &mut [u8], flow: &Flow, id: u16, checksum: u16) {
    let len = packet.len();
    if let Some(to) = packet.first_chunk_mut() {
        let (header_len, payload_len, protocol) = (IPV4 as u8, (len - IPV4) as u16, PROTO_UDP);
        let (src, dst) = (flow.src, flow.dst);
        Ipv4 { src, dst, id, protocol, ttl: 64, more: false, offset: 0, header_len, payload_len }.emit(to);
    }
    let udp = Udp { src_port: flow.src_port, dst_port: flow.dst_port, len: (len - IPV4) as u16, checksum };
    packet[IPV4..IPV4 + UDP].copy_from_slice(&udp.bytes());
}

/// Reads the headers of a frame that holds (the start of) a whole datagram of `available` bytes of IP packet:
/// its flow and its UDP header, if the lengths agree. The IP header's checksum is not looked at: rte_ip_frag
/// leaves none.
pub(super) fn read_headers(frame: &[u8], available: usize) -> Option<(Flow, Udp)> {
    if ether_type(frame) != Some(TYPE_IPV4) || frame.len() < HEADERS + UDP {
        return None;
    }
    let ip = frame[ETHERNET..].first_chunk::<IPV4>()?;
    let udp = Udp::parse(&frame[HEADERS..])?;
    let word = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
    let address = |at: usize| u32::from(word(at)) << 16 | u32::from(word(at + 2));
    let (total, is_whole) = (usize::from(word(2)), word(6) & 0x3fff == 0);
    let fits = total <= available && (UDP + IPV4..=total).contains(&(usize::from(udp.len) + IPV4));
    if ip[0] != 0x45 || ip[9] != PROTO_UDP || !is_whole || !fits {
        return None;
    }
    Some((Flow { src: address(12), dst: address(16), src_port: udp.src_port, dst_port: udp.dst_port }, udp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_there_and_back_and_lengths_that_lie() {
        let flow = Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7, dst_port: 9 };
        let mut frame = vec![0; ETHERNET + 28 + 10];
        frame[12] = 8;
        write_headers(&mut frame[ETHERNET..], &flow, 3, 0);
        let (got, udp) = read_headers(&frame, 38).expect("headers");
        assert_eq!((got, udp.len), (flow, 18));
        assert!(read_headers(&frame, 37).is_none(), "less is there than it says");
        for (at, value) in [(12, 9), (14, 0x46), (17, 20), (20, 0x20), (23, 6), (38, 1), (39, 7)] {
            let mut bad = frame.clone();
            bad[at] = value;
            assert!(read_headers(&bad, 38).is_none(), "byte {at} is {value}");
        }
        assert!((0..42).all(|n| read_headers(&frame[..n], n).is_none()));
    }
}
