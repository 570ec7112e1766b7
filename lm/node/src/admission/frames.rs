//! Frames of admission control: the destination of a control message, flush frames, and control messages on
//! the ordinary queue.
//!
//! Only [`crate::link`] uses them. `docs/admission-control.md` says why a ring has to be flushed.

use ac::NodeId;
use lm_proto::checksum;
use lm_proto::wire::{
    ETHERNET, Flow, IPV4, Ipv4, MIN_FRAME, Mac, PROTO_UDP, TYPE_IPV4, UDP, Udp, ether_type, ethernet,
};

/// The flow of a control message from `src` (host byte order) to a node, or to all of them by broadcast.
pub fn control_flow(src: u32, to: NodeId) -> Flow {
    let dst = if to == NodeId::ALL { u32::MAX } else { u32::try_from(to.0).unwrap_or(u32::MAX) };
    Flow { src, dst, src_port: ac::PORT, dst_port: ac::PORT }
}

/// A flush frame: an empty datagram to [`ac::PORT`] in the shortest frame that Ethernet has.
pub fn flush_frame(flow: Flow, src: Mac, dst: Mac) -> [u8; MIN_FRAME] {
    let mut frame = [0; MIN_FRAME];
    let (ether, rest) = frame.split_at_mut(ETHERNET);
    if let Some(ether) = ether.first_chunk_mut() {
        ethernet(ether, dst, src, TYPE_IPV4);
    }
    let ip = Ipv4 {
        src: flow.src,
        dst: flow.dst,
        id: 0,
        protocol: PROTO_UDP,
        ttl: 64,
        more: false,
        offset: 0,
        header_len: IPV4 as u8,
        payload_len: UDP as u16,
    };
    if let Some(header) = rest.first_chunk_mut() {
        ip.emit(header);
    }
    let udp = Udp { src_port: ac::PORT, dst_port: ac::PORT, len: UDP as u16, checksum: 0 };
    rest[IPV4..IPV4 + UDP].copy_from_slice(&udp.bytes());
    frame
}

/// The payload of a frame that is a whole, undamaged datagram to [`ac::PORT`]. It is for queues where nothing
/// lands, and no matcher has looked at the frame.
pub fn control_payload(frame: &[u8]) -> Option<&[u8]> {
    let packet = frame.get(ETHERNET..).filter(|_| ether_type(frame) == Some(TYPE_IPV4))?;
    let ip = Ipv4::parse(packet, packet.len()).ok()?;
    if !ip.is_whole() || ip.protocol != PROTO_UDP {
        return None;
    }
    let datagram = packet.get(ip.header_len.into()..)?.get(..ip.payload_len.into())?;
    let udp = Udp::parse(datagram).filter(|udp| udp.dst_port == ac::PORT)?;
    let payload = datagram.get(UDP..udp.len.into())?;
    let flow = Flow { src: ip.src, dst: ip.dst, src_port: udp.src_port, dst_port: udp.dst_port };
    // Without a checksum there is nothing to verify here. With a key, the message itself is signed.
    (udp.checksum == 0 || checksum::udp_ok(&flow, &udp, checksum::sum(payload))).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flush_frames_are_good_packets() {
        let flow = control_flow(1, NodeId(2));
        let frame = flush_frame(flow, [1; 6], [2; 6]);
        let ip = Ipv4::parse(&frame[ETHERNET..], 46).expect("IPv4");
        assert_eq!((ip.src, ip.dst, ip.payload_len), (1, 2, 8));
        assert_eq!(control_flow(1, NodeId::ALL).dst, u32::MAX);
        assert_eq!(control_payload(&frame), Some(&[][..]));
    }

    /// A frame with a datagram to a port in it, padded.
    fn datagram(port: u16, payload: &[u8], damage: Option<usize>) -> Vec<u8> {
        let mut frame = flush_frame(control_flow(1, NodeId(2)), [1; 6], [2; 6]).to_vec();
        frame.truncate(ETHERNET + IPV4);
        let mut udp = Udp { src_port: 7, dst_port: port, len: (UDP + payload.len()) as u16, checksum: 0 };
        let mut ip = Ipv4::parse(&frame[ETHERNET..], IPV4 + UDP).expect("IPv4");
        ip.payload_len = udp.len;
        if let Some(header) = frame[ETHERNET..].first_chunk_mut() {
            ip.emit(header);
        }
        let flow = Flow { src: ip.src, dst: ip.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        udp.checksum = checksum::udp(&flow, udp.len, checksum::sum(payload));
        frame.extend(udp.bytes());
        frame.extend(payload);
        if let Some(at) = damage {
            frame[at] ^= 1;
        }
        frame.resize(frame.len().max(MIN_FRAME) + 3, 9);
        frame
    }

    #[test]
    fn control_messages_are_whole_and_undamaged() {
        let text = [5; 96];
        assert_eq!(control_payload(&datagram(ac::PORT, &text, None)), Some(&text[..]));
        assert_eq!(control_payload(&datagram(ac::PORT + 1, &text, None)), None);
        let good = datagram(ac::PORT, &text, None);
        for at in 12..good.len() - 3 {
            assert_eq!(control_payload(&datagram(ac::PORT, &text, Some(at))), None, "byte {at}");
        }
        for len in 0..good.len() - 3 {
            assert_eq!(control_payload(&good[..len]), None, "{len} bytes");
        }
    }
}
