//! The frames that admission control sends besides its messages.

use ac::NodeId;
use lm::wire::{Flow, IPV4, MIN_FRAME, UDP, ethernet};

/// Who a control message comes from and goes to.
pub(crate) fn control_flow(src: u32, to: NodeId) -> Flow {
    let dst = if to == NodeId::ALL { u32::MAX } else { u32::try_from(to.0).unwrap_or(u32::MAX) };
    Flow { src, dst, src_port: ac::PORT, dst_port: ac::PORT }
}

/// The shortest frame that there is: a datagram to [`ac::PORT`] with nothing in it.
pub(crate) fn flush_frame(flow: Flow, src: lm::wire::Mac, dst: lm::wire::Mac) -> [u8; MIN_FRAME] {
    let mut frame = [0; MIN_FRAME];
    let (ether, rest) = frame.split_at_mut(14);
    if let Some(ether) = ether.first_chunk_mut() {
        ethernet(ether, dst, src, lm::wire::TYPE_IPV4);
    }
    let ip = lm::wire::Ipv4 {
        src: flow.src,
        dst: flow.dst,
        id: 0,
        protocol: lm::wire::PROTO_UDP,
        ttl: 64,
        more: false,
        offset: 0,
        header_len: IPV4 as u8,
        payload_len: UDP as u16,
    };
    if let Some(header) = rest.first_chunk_mut() {
        ip.emit(header);
    }
    let udp = lm::wire::Udp { src_port: ac::PORT, dst_port: ac::PORT, len: UDP as u16, checksum: 0 };
    rest[IPV4..IPV4 + UDP].copy_from_slice(&udp.bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flush_frames_are_good_packets() {
        let flow = control_flow(1, NodeId(2));
        let frame = flush_frame(flow, [1; 6], [2; 6]);
        let ip = lm::wire::Ipv4::parse(&frame[14..], 46).expect("IPv4");
        assert_eq!((ip.src, ip.dst, ip.payload_len), (1, 2, 8));
        assert_eq!(control_flow(1, NodeId::ALL).dst, u32::MAX);
    }
}
