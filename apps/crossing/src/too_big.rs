//! [`answer`] makes the ICMP message for the sender of a packet that is too long for the wire and must not be
//! cut. [`Rate`] limits how many are sent.
//!
//! lmd calls both for [`crate::Out::TooBig`]. No message is made for packets to many, for ICMP errors, and
//! for fragments behind the first one. At most 50 messages are sent at once, and 200 in a second.

use lm_proto::checksum::header;
use lm_proto::wire::{ETHERNET, IPV4, Ipv4, ethernet};

use crate::view::{Ipv4View, put16};

/// Bytes of the header of ICMP.
const ICMP: usize = 8;
/// The longest answer (RFC 1812, section 4.3.2.3).
const LONGEST: usize = 576;

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
    let mut to = vec![0; ETHERNET + IPV4 + ICMP + quoted.len()];
    let mac = |at: usize| std::array::from_fn(|i| frame[at + i]);
    ethernet(to.first_chunk_mut()?, mac(6), mac(0), 0x0800);
    if ip.at > ETHERNET {
        // The answer gets the VLAN tag of the packet.
        to.splice(12..14, frame[12..ip.at].iter().copied());
    }
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
