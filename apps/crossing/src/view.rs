//! [`Ipv4View`]: where the headers of a frame lie, and what its IPv4 header says.
//!
//! Every offset was compared with the length of the frame. The header's checksum is not checked here: frames
//! of the kernel have not left this machine, and code that uses a frame from the wire checks it.

use lm_proto::service::Service;
use lm_proto::wire::{ETHERNET, IPV4, IPV6, TYPE_IPV4, TYPE_IPV6, VLAN};

/// Ethernet types of VLAN tags (IEEE 802.1Q and 802.1ad).
const TAGS: [u16; 2] = [0x8100, 0x88a8];
/// "Don't fragment" in an IPv4 header's word of flags and offset (RFC 791).
pub const DONT: u16 = 0x4000;
/// "More fragments" there.
pub const MORE: u16 = 0x2000;

pub(crate) fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

pub(crate) fn put16(b: &mut [u8], at: usize, value: u16) {
    b[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// The type of a frame's packet, and where it begins: behind up to two VLAN tags. `None`: the frame ends
/// before it.
pub fn packet(frame: &[u8]) -> Option<(u16, usize)> {
    let mut at = ETHERNET;
    for _ in 0..=2 {
        let ether_type = frame.get(at - 2..at).map(|b| be16(b, 0))?;
        if !TAGS.contains(&ether_type) {
            return Some((ether_type, at));
        }
        at += VLAN;
    }
    None
}

/// The VLANs that a frame is in, by its tags: the outer one first, without priorities. What two frames of
/// different VLANs carry has nothing to do with each other, also if their addresses are the same.
pub fn vlans(frame: &[u8]) -> [[u16; 2]; 2] {
    let mut all = [[0; 2]; 2];
    for (i, vlan) in all.iter_mut().enumerate() {
        let Some(tag) = frame.get(ETHERNET - 2 + i * VLAN..).filter(|b| b.len() >= VLAN) else { break };
        if !TAGS.contains(&be16(tag, 0)) {
            break;
        }
        *vlan = [be16(tag, 0), be16(tag, 2) & 0x0fff];
    }
    all
}

/// What the IPv4 header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4View {
    /// Where the header begins.
    pub at: usize,
    /// Where the packet's payload begins.
    pub payload: usize,
    /// Where the packet ends.
    pub end: usize,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// It must not be cut.
    pub dont: bool,
    /// Other fragments follow.
    pub more: bool,
    /// Where its payload belongs in its datagram's, in bytes.
    pub offset: usize,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Source address, host order.
    pub src: u32,
    /// Destination address, host order.
    pub dst: u32,
}

impl Ipv4View {
    /// `None`: the frame has no IPv4 header, or its lengths are wrong.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let (ether_type, at) = packet(frame)?;
        let b = frame.get(at..).filter(|b| ether_type == TYPE_IPV4 && b.len() >= IPV4)?;
        let header = usize::from(b[0] & 15) * 4;
        let total = usize::from(be16(b, 2));
        if b[0] >> 4 != 4 || header < IPV4 || total < header || total > b.len() {
            return None;
        }
        let word = be16(b, 6);
        let address = |at: usize| u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        Some(Self {
            at,
            payload: at + header,
            end: at + total,
            tos: b[1],
            id: be16(b, 4),
            dont: word & DONT != 0,
            more: word & MORE != 0,
            offset: usize::from(word & 0x1fff) * 8,
            ttl: b[8],
            protocol: b[9],
            src: address(12),
            dst: address(16),
        })
    }

    /// Bytes of packet, its header included.
    pub fn len(&self) -> usize {
        self.end - self.at
    }

    /// What the header says besides whose it is.
    pub fn service(&self) -> Service {
        Service { tos: self.tos, ttl: self.ttl }
    }

    /// Never: a packet has a header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is a fragment of a datagram.
    pub fn is_fragment(&self) -> bool {
        self.more || self.offset > 0
    }

    /// Whether it is for a group or for everybody, of whom nobody may be told that it was too long (RFC 1122,
    /// section 3.2.2).
    pub fn is_for_many(&self) -> bool {
        self.dst >= 0xe000_0000
    }
}

/// Where the IPv6 header of a frame begins. `None`: the frame has none, or ends before the header does.
pub fn ipv6(frame: &[u8]) -> Option<usize> {
    let (ether_type, at) = packet(frame)?;
    let header = frame.get(at..at + IPV6)?;
    (ether_type == TYPE_IPV6 && header[0] >> 4 == 6).then_some(at)
}

/// Where the TCP or UDP header of a frame begins, and which protocol it is. `None`: it is no IP packet, a
/// fragment that is not the first one, or has IPv6 headers that nobody uses in front of it.
pub fn transport(frame: &[u8]) -> Option<(u8, usize)> {
    if let Some(ip) = Ipv4View::of(frame) {
        return (ip.offset == 0).then_some((ip.protocol, ip.payload));
    }
    let at = ipv6(frame)?;
    let (mut next, mut at) = (frame[at + 6], at + IPV6);
    // Hop by hop, routing, destination options (RFC 8200, section 4.1): three in a row, and one to spare.
    for _ in 0..4 {
        if !matches!(next, 0 | 43 | 60) {
            return Some((next, at));
        }
        let option = frame.get(at..at + 2)?;
        (next, at) = (option[0], at + 8 * (usize::from(option[1]) + 1));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{PLAIN, ipv4};

    #[test]
    fn headers_are_found_behind_tags_and_options() {
        let plain = ipv4(PLAIN, &[7; 100]);
        let view = Ipv4View::of(&plain).expect("IPv4");
        assert_eq!((view.at, view.payload, view.end, view.len()), (14, 34, 134, 120));
        let mut tagged = plain.clone();
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        let view = Ipv4View::of(&tagged).expect("IPv4");
        assert_eq!((view.at, view.payload, view.end), (18, 38, 138));
        let mut twice = tagged.clone();
        twice.splice(12..12, [0x88, 0xa8, 0, 6]);
        assert_eq!(Ipv4View::of(&twice).map(|view| view.at), Some(22));
        twice.splice(12..12, [0x81, 0, 0, 7]);
        assert_eq!(Ipv4View::of(&twice), None, "three tags");
    }

    #[test]
    fn vlans_are_told_apart_and_priorities_are_not() {
        let plain = ipv4(PLAIN, &[7; 100]);
        let tagged = |tags: &[u8]| {
            let mut frame = plain.clone();
            frame.splice(12..12, tags.iter().copied());
            vlans(&frame)
        };
        let all = [
            &[][..],
            &[0x81, 0, 0, 5],
            &[0x81, 0, 0, 6],
            &[0x88, 0xa8, 0, 5],
            &[0x81, 0, 0, 5, 0x81, 0, 0, 5],
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(tagged(a) == tagged(b), i == j, "{a:?} {b:?}");
            }
        }
        assert_eq!(tagged(&[0x81, 0, 0xe0, 5]), tagged(&[0x81, 0, 0, 5]));
        for len in 0..plain.len() {
            assert_eq!(vlans(&plain[..len]), [[0; 2]; 2]);
        }
    }

    #[test]
    fn no_length_is_believed() {
        let plain = ipv4(PLAIN, &[7; 100]);
        for len in 0..plain.len() {
            assert_eq!(Ipv4View::of(&plain[..len]), None, "{len}");
            let _ = transport(&plain[..len]);
        }
        let mut padded = plain.clone();
        padded.extend([0; 20]);
        assert_eq!(Ipv4View::of(&padded).map(|view| view.end), Some(134), "padding is no part of it");
        for (at, value) in [(14, 0x44), (14, 0x65), (17, 10)] {
            let mut bad = plain.clone();
            bad[at] = value;
            if at == 17 {
                bad[16] = 0;
            }
            assert_eq!(Ipv4View::of(&bad), None, "{at}: {value}");
        }
    }

    #[test]
    fn ipv6_options_are_passed() {
        let mut frame = vec![0; 14 + 40 + 16 + 20];
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        frame[14] = 0x60;
        frame[20] = 0; // hop by hop
        frame[54] = 60; // then destination options
        frame[62] = 6; // then TCP
        assert_eq!(transport(&frame), Some((6, 70)));
        frame[55] = 255;
        assert_eq!(transport(&frame), None, "they end beyond the frame");
        frame[54] = 44;
        frame[55] = 0;
        assert_eq!(transport(&frame), Some((44, 62)), "a fragment is no transport header of ours");
    }
}
