//! [`outward`]: decides what has to be sent on the wire for a frame from the kernel. [`Out`] is the answer.
//!
//! lmd calls it for each frame that it reads from its interface. The frame is only read, and any bytes are
//! accepted.

use lm_proto::service::Service;
use lm_proto::wire::{ETHERNET, Flow, IPV4, PROTO_UDP, UDP, Udp};

use crate::view::{Ipv4View, ipv6, packet};
use crate::virtio::{Header, Segments};

/// The properties of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Bytes of packet that a frame can carry.
    pub mtu: u16,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Out {
    /// It fits: it is sent as it is, once its checksum is complete.
    AsItIs,
    /// A UDP datagram, which is sent as LM sends them: its payload is from here to there in the frame.
    Datagram {
        /// From whom to whom.
        flow: Flow,
        /// What else its header says.
        service: Service,
        /// Where its payload begins.
        start: usize,
        /// Where its payload ends.
        end: usize,
    },
    /// A fragment, perhaps one of a pair.
    Piece(Ipv4View),
    /// An IPv4 packet that is to be cut into fragments.
    Cut(Ipv4View),
    /// An IPv4 packet that does not fit and must not be cut.
    TooBig(Ipv4View),
    /// An IPv6 packet that does not fit. Only its sender may cut it.
    TooBig6,
    /// TCP that is to be cut into segments.
    Segments(Ipv4View),
    /// It cannot be sent, for example because it does not fit and is no IP packet.
    Never,
}

/// Looks at a frame, with the header that the kernel gave it.
///
/// "Don't fragment" is obeyed, except for packets to many receivers: no ICMP message may answer those, and
/// Linux sets the flag on interfaces of a large MTU without being asked to.
pub fn outward(frame: &[u8], header: &Header, wire: Wire) -> Out {
    let Some((_, at)) = packet(frame) else { return Out::Never };
    let mtu = usize::from(wire.mtu);
    let Some(ip) = Ipv4View::of(frame) else {
        return match header.segments {
            Segments::None if frame.len() - at <= mtu => Out::AsItIs,
            Segments::None if ipv6(frame).is_some() => Out::TooBig6,
            _ => Out::Never,
        };
    };
    match header.segments {
        Segments::None => {}
        Segments::Tcp4 if ip.protocol == 6 && !ip.is_fragment() => return Out::Segments(ip),
        _ => return Out::Never,
    }
    if ip.is_fragment() {
        let small = ip.len() <= mtu && ip.offset != crate::pair::SEAM;
        return if small { Out::AsItIs } else { Out::Piece(ip) };
    }
    if ip.len() <= mtu {
        return Out::AsItIs;
    }
    if ip.dont && !ip.is_for_many() {
        return Out::TooBig(ip);
    }
    datagram(frame, &ip).unwrap_or(Out::Cut(ip))
}

/// A whole UDP datagram as LM sends it. `None`: it is none, or it has IP options or a VLAN tag, for which
/// LM's headers have no place.
pub fn datagram(frame: &[u8], ip: &Ipv4View) -> Option<Out> {
    let plain =
        ip.at == ETHERNET && ip.payload == ip.at + IPV4 && ip.protocol == PROTO_UDP && !ip.is_fragment();
    let udp = Udp::parse(frame.get(ip.payload..ip.end)?).filter(|_| plain)?;
    if usize::from(udp.len) != ip.end - ip.payload {
        return None;
    }
    let flow = Flow { src: ip.src, dst: ip.dst, src_port: udp.src_port, dst_port: udp.dst_port };
    let service = Service { tos: ip.tos, ttl: ip.ttl };
    Some(Out::Datagram { flow, service, start: ip.payload + UDP, end: ip.end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::SEAM;
    use crate::samples::{PLAIN, ipv4, with_word};
    use crate::view::DONT;
    use lm_proto::wire::Ipv4;

    const WIRE: Wire = Wire { mtu: 1500 };

    fn udp(payload: usize) -> Vec<u8> {
        let len = (payload + UDP) as u16;
        let mut b = Udp { src_port: 1, dst_port: 2, len, checksum: 0 }.bytes().to_vec();
        b.resize(b.len() + payload, 7);
        b
    }

    fn out(frame: &[u8]) -> Out {
        outward(frame, &Header::default(), WIRE)
    }

    #[test]
    fn udp_is_sent_as_it_is_up_to_the_mtu_and_as_a_datagram_above() {
        assert_eq!(out(&ipv4(PLAIN, &udp(1472))), Out::AsItIs);
        let Out::Datagram { flow, service, start, end } = out(&ipv4(PLAIN, &udp(1473))) else {
            panic!("no datagram");
        };
        assert_eq!((flow.src_port, flow.dst_port, start, end), (1, 2, 42, 42 + 1473));
        assert_eq!(service, Service { tos: 0, ttl: PLAIN.ttl });
        let mut lying = udp(4000);
        lying[5] = lying[5].wrapping_sub(1);
        assert!(matches!(out(&ipv4(PLAIN, &lying)), Out::Cut(_)), "its length is not LM's to mend");
        let mut tagged = ipv4(PLAIN, &udp(4000));
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        assert!(matches!(out(&tagged), Out::Cut(_)));
        assert!(matches!(out(&ipv4(Ipv4 { protocol: 1, ..PLAIN }, &[8; 4000])), Out::Cut(_)));
    }

    #[test]
    fn dont_fragment_is_obeyed_above_the_mtu_but_for_groups() {
        let to = |dst: u32, len: usize| out(&with_word(ipv4(Ipv4 { dst, ..PLAIN }, &udp(len)), DONT));
        assert_eq!(to(PLAIN.dst, 1472), Out::AsItIs);
        assert!(matches!(to(PLAIN.dst, 1473), Out::TooBig(_)));
        for many in [0xe000_0001, 0xefff_ffff, u32::MAX] {
            assert!(matches!(to(many, 1473), Out::Datagram { .. }), "{many:x}");
        }
    }

    #[test]
    fn fragments_are_pieces_if_they_are_long_or_end_a_pair() {
        let of = |offset, more, len| out(&ipv4(Ipv4 { offset, more, ..PLAIN }, &vec![1; len]));
        assert!(matches!(of(0, true, SEAM), Out::Piece(_)));
        assert!(matches!(of(SEAM as u32, false, 5), Out::Piece(_)));
        assert!(matches!(of(0, true, 8976), Out::Piece(_)));
        assert_eq!(of(1480, true, 1480), Out::AsItIs);
    }

    #[test]
    fn segments_and_what_never_fits() {
        let tcp4 = Header { segments: Segments::Tcp4, ..Header::default() };
        let tcp = ipv4(Ipv4 { protocol: 6, ..PLAIN }, &vec![1; 20_000]);
        assert!(matches!(outward(&tcp, &tcp4, WIRE), Out::Segments(_)));
        assert_eq!(outward(&ipv4(PLAIN, &udp(4000)), &tcp4, WIRE), Out::Never);
        let other = Header { segments: Segments::Other, ..Header::default() };
        assert_eq!(outward(&tcp, &other, WIRE), Out::Never);
        let arp = |len: usize| {
            let mut frame = vec![0; 14 + len];
            frame[12..14].copy_from_slice(&[8, 6]);
            out(&frame)
        };
        assert_eq!((arp(28), arp(1500), arp(1501)), (Out::AsItIs, Out::AsItIs, Out::Never));
        let ipv6 = |len: usize| {
            let mut frame = vec![0x60; 14 + len];
            frame[12..14].copy_from_slice(&[0x86, 0xdd]);
            frame
        };
        assert_eq!((out(&ipv6(1500)), out(&ipv6(1501))), (Out::AsItIs, Out::TooBig6));
        assert_eq!(outward(&ipv6(1501), &other, WIRE), Out::Never);
        for len in 0..14 {
            assert_eq!(out(&vec![0; len]), Out::Never);
        }
    }
}
