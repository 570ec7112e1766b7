//! [`answer`] makes the ICMP message for the sender of a packet that is too long for the wire and must not be
//! cut, and [`answer6`] the one for an IPv6 packet. [`Rate`] limits how many are sent.
//!
//! lmd calls them for [`crate::Out::TooBig`] and [`crate::Out::TooBig6`]. The kernel sends IPv6 packets that
//! are too long where it does not know the wire's MTU: by a VLAN or a bridge on lmd's interface.
//!
//! No message is made for ICMP errors, for fragments behind the first one, and for IPv4 packets to many. At
//! most 50 messages are sent at once, and 200 in a second.

use lm_proto::checksum::header;
use lm_proto::wire::{ETHERNET, IPV4, IPV6, Ipv4, Mac, TYPE_IPV4, TYPE_IPV6, ethernet};

use crate::view::{Ipv4View, ipv6, put16, transport};

/// Bytes of the header of ICMP.
const ICMP: usize = 8;
/// The longest answer (RFC 1812, section 4.3.2.3).
const LONGEST: usize = 576;
/// The longest one of IPv6, its least MTU (RFC 4443, section 2.4).
const LONGEST6: usize = 1280;
/// Protocol number of ICMPv6.
const ICMP6: u8 = 58;

/// Makes the message "fragmentation needed and DF set" with the MTU that would fit (RFC 1191, section 4), as
/// a frame for the sender of this packet. Its source is the packet's destination, because the sender accepts
/// it from no other node beyond its link. `None`: no message may be sent, because the packet is for many
/// receivers, is an ICMP error itself, or is not the first fragment (RFC 1122, section 3.2.2).
pub fn answer(frame: &[u8], ip: &Ipv4View, mtu: u16) -> Option<Vec<u8>> {
    let is_error = ip.protocol == 1 && !matches!(frame.get(ip.payload), Some(0 | 8 | 13..=18));
    if ip.is_for_many() || ip.offset > 0 || is_error || ip.src == 0 {
        return None;
    }
    let quoted = &frame[ip.at..ip.end.min(ip.at + LONGEST - IPV4 - ICMP)];
    let mut to = blank(frame, ip.at, TYPE_IPV4, IPV4 + ICMP + quoted.len())?;
    let reply = Ipv4 {
        src: ip.dst,
        dst: ip.src,
        id: 0,
        protocol: 1,
        ttl: 64,
        more: false,
        offset: 0,
        header_len: IPV4 as u8,
        payload_len: (ICMP + quoted.len()) as u16,
    };
    let packet = &mut to[ip.at..];
    reply.emit(packet.first_chunk_mut()?);
    let icmp = &mut packet[IPV4..];
    (icmp[0], icmp[1]) = (3, 4);
    put16(icmp, 6, mtu);
    icmp[ICMP..].copy_from_slice(quoted);
    let sum = header(icmp);
    put16(icmp, 2, sum);
    Some(to)
}

/// The source of a message about an IPv6 packet to a group: an address of the link, of a station that there
/// is not, and its hardware address.
const TELLER: ([u8; 16], Mac) =
    ([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x4c, 0x4d, 0xff, 0xfe, 0, 0, 0], [2, 0x4c, 0x4d, 0, 0, 0]);

/// Makes the message "packet too big" with the MTU that would fit (RFC 4443, section 3.2), as a frame for the
/// sender of this IPv6 packet. Its source is the packet's destination. A message about a packet to a group is
/// sent, too (section 2.4), from a link-local address that no station has. `None`: no message may be sent.
pub fn answer6(frame: &[u8], mtu: u16) -> Option<Vec<u8>> {
    const GROUP: u8 = 0xff;
    let at = ipv6(frame)?;
    let (src, dst) = (&frame[at + 8..at + 24], &frame[at + 24..at + 40]);
    let is_error =
        matches!(transport(frame), Some((ICMP6, at)) if frame.get(at).is_none_or(|kind| *kind < 128));
    let is_nobody = |address: &[u8]| address[0] == GROUP || address.iter().all(|b| *b == 0);
    if is_error || is_nobody(src) {
        return None;
    }
    let is_for_many = is_nobody(dst);
    let quoted = &frame[at..frame.len().min(at + LONGEST6 - IPV6 - ICMP)];
    let mut to = blank(frame, at, TYPE_IPV6, IPV6 + ICMP + quoted.len())?;
    let len = (ICMP + quoted.len()) as u16;
    let (header, icmp) = to[at..].split_first_chunk_mut::<IPV6>()?;
    header[0] = 0x60;
    put16(header, 4, len);
    (header[6], header[7]) = (ICMP6, 255);
    header[8..24].copy_from_slice(if is_for_many { &TELLER.0 } else { dst });
    header[24..].copy_from_slice(src);
    icmp[0] = 2;
    put16(icmp, 6, mtu);
    icmp[ICMP..].copy_from_slice(quoted);
    // The pseudo header (RFC 8200, section 8.1): addresses, length, protocol.
    let mut all = header[8..].to_vec();
    all.extend([0, 0, (len >> 8) as u8, len as u8, 0, 0, 0, ICMP6]);
    all.extend_from_slice(icmp);
    let sum = lm_proto::checksum::header(&all);
    put16(icmp, 2, sum);
    if is_for_many {
        to[6..12].copy_from_slice(&TELLER.1);
    }
    Some(to)
}

/// A frame to whom a frame came from, with room for a packet of `len` bytes, and with the same VLAN tags.
fn blank(frame: &[u8], at: usize, ether_type: u16, len: usize) -> Option<Vec<u8>> {
    let mut to = vec![0; ETHERNET + len];
    let mac = |at: usize| std::array::from_fn(|i| frame[at + i]);
    ethernet(to.first_chunk_mut()?, mac(6), mac(0), ether_type);
    if at > ETHERNET {
        to.splice(12..14, frame[12..at].iter().copied());
    }
    Some(to)
}

/// Limits the answers: at most 50 at once, and 200 in a second.
#[derive(Debug)]
pub struct Rate {
    left: u64,
    /// The time up to which answers were added, in ns.
    since: u64,
}

impl Rate {
    const AT_ONCE: u64 = 50;
    const EACH_NS: u64 = 1_000_000_000 / 200;

    /// Whether another answer may be given at this time, in ns.
    pub fn take(&mut self, now: u64) -> bool {
        let more = now.saturating_sub(self.since) / Self::EACH_NS;
        self.left = self.left.saturating_add(more).min(Self::AT_ONCE);
        self.since += more * Self::EACH_NS;
        let may = self.left > 0;
        self.left -= u64::from(may);
        may
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self { left: Self::AT_ONCE, since: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{PLAIN, ipv4, pattern, with_word};
    use crate::view::DONT;

    #[test]
    fn the_sender_is_told_the_mtu() {
        let frame = with_word(ipv4(PLAIN, &pattern(4000)), DONT);
        let ip = Ipv4View::of(&frame).expect("IPv4");
        let told = answer(&frame, &ip, 1500).expect("an answer");
        assert_eq!((&told[..6], &told[6..12]), (&frame[6..12], &frame[..6]));
        let reply = Ipv4::parse(&told[14..], told.len() - 14).expect("good");
        assert_eq!((reply.src, reply.dst, reply.protocol), (PLAIN.dst, PLAIN.src, 1));
        assert_eq!(told[34..36], [3, 4]);
        assert_eq!(told[40..42], 1500_u16.to_be_bytes());
        assert_eq!(header(&told[34..]), 0);
        assert_eq!((told.len(), &told[42..]), (14 + 576, &frame[14..14 + 548]));
        let mut tagged = frame.clone();
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        let told = answer(&tagged, &Ipv4View::of(&tagged).expect("IPv4"), 1500).expect("an answer");
        assert_eq!((&told[12..18], &told[18..20]), (&tagged[12..18], &[0x45, 0][..]));
    }

    #[test]
    fn the_sender_of_ipv6_is_told_the_mtu() {
        let packet = |src: u8, dst: u8, next: u8, kind: u8| {
            let mut frame = vec![7; 14 + 40 + 3000];
            frame[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]);
            frame[20] = next;
            (frame[22], frame[38], frame[54]) = (src, dst, kind);
            frame
        };
        let frame = packet(0xfd, 0xfe, 17, 0);
        let told = answer6(&frame, 1500).expect("an answer");
        assert_eq!((&told[..6], &told[6..12], told[14]), (&frame[6..12], &frame[..6], 0x60));
        assert_eq!((&told[22..38], &told[38..54]), (&frame[38..54], &frame[22..38]));
        assert_eq!((told.len(), &told[62..]), (14 + 1280, &frame[14..14 + 1232]));
        assert_eq!((told[18..20].to_vec(), told[20], &told[54..56]), (vec![4, 0xd8], 58, &[2, 0][..]));
        assert_eq!(told[58..62], 1500_u32.to_be_bytes());
        let mut all = [&told[22..54], &[0, 0, 4, 0xd8, 0, 0, 0, 58], &told[54..]].concat();
        assert_eq!(header(&all), 0);
        all[0] ^= 1;
        assert_ne!(header(&all), 0);
        let mut tagged = frame.clone();
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        let told = answer6(&tagged, 1500).expect("an answer");
        assert_eq!((&told[12..18], told[18]), (&tagged[12..18], 0x60));
        let is_told = |frame: &[u8]| answer6(frame, 1500).is_some();
        assert!(is_told(&packet(0xfd, 0xfe, 58, 128)) && !is_told(&packet(0xfd, 0xfe, 58, 1)), "errors");
        assert!(!is_told(&packet(0xff, 0xfe, 17, 0)), "a group sends nothing");
        let told = answer6(&packet(0xfd, 0xff, 17, 0), 1500).expect("an answer about a group");
        assert_eq!((&told[6..12], &told[22..38]), (&TELLER.1[..], &TELLER.0[..]));
        let mut from_nobody = frame.clone();
        from_nobody[22..38].fill(0);
        assert!(!is_told(&from_nobody));
        for len in 0..54 {
            assert!(!is_told(&frame[..len]), "{len}");
        }
    }

    #[test]
    fn some_are_not_told() {
        let of = |ip: Ipv4, first: u8| {
            let mut payload = pattern(4000);
            payload[0] = first;
            let frame = ipv4(ip, &payload);
            answer(&frame, &Ipv4View::of(&frame).expect("IPv4"), 1500).is_some()
        };
        assert!(of(PLAIN, 3));
        assert!(!of(Ipv4 { dst: 0xefff_0001, ..PLAIN }, 3) && !of(Ipv4 { dst: u32::MAX, ..PLAIN }, 3));
        assert!(!of(Ipv4 { src: 0, ..PLAIN }, 3) && !of(Ipv4 { offset: 8, ..PLAIN }, 3));
        let icmp = Ipv4 { protocol: 1, ..PLAIN };
        assert!(of(icmp, 8) && !of(icmp, 3) && !of(icmp, 11));
    }

    #[test]
    fn a_flood_is_told_a_few_times() {
        let mut rate = Rate::default();
        let told = |rate: &mut Rate, from: u64| (0..10_000).filter(|i| rate.take(from + i)).count();
        assert_eq!(told(&mut rate, 0), 50);
        assert_eq!(told(&mut rate, 1_000_000_000), 50);
        assert!((1..=3).contains(&told(&mut rate, 1_010_000_000)));
        assert!(!rate.take(0), "a clock that went back does no harm");
    }
}
