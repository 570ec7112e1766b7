//! The end tag: the last 8 bytes of a datagram's last frame, which tie its last fragment to its first.
//!
//! | byte | 0 | 1..4 | 4..8 |
//! |---|---|---|---|
//! | | version and kind: `0x10` without, `0x11` with the order digest | bind, bits 63..40 | order digest, or
//! bind, bits 39..8 |
//!
//! *Bind* is a hash of what the first fragment's headers say: addresses, ports, IP identification, UDP length
//! and checksum. *Order digest* is [`crate::checksum::Digest`] over the payload's pieces in their order: the
//! UDP checksum is a sum and doesn't notice fragments that changed places, and a middle fragment that landed
//! has lost its header. Integers are big-endian. Test vectors: `docs/end-tag.md`.
//!
//! A datagram with no room for a tag, not even in a trailer ([`crate::layout`]), carries
//! [`Digest::finish16`](crate::checksum::Digest::finish16) as its IP identification instead.

use crate::checksum::mix;
use crate::layout::TAG;
use crate::wire::Flow;

const PLAIN: u8 = 0x10;
const ORDERED: u8 = 0x11;

/// The values of the first fragment's headers that a tag repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Addresses and ports.
    pub flow: Flow,
    /// IP identification.
    pub ip_id: u16,
    /// The UDP header's length field, bytes.
    pub udp_len: u16,
    /// The UDP header's checksum field.
    pub udp_checksum: u16,
}

/// What a tag that agrees with the first fragment's headers proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Both ends belong to one datagram.
    Ends,
    /// The same, and this is the order digest of its payload.
    Ordered(u32),
}

impl Tag {
    /// The order digest, if it has one.
    #[inline]
    pub fn order(self) -> Option<u32> {
        match self {
            Self::Ends => None,
            Self::Ordered(order) => Some(order),
        }
    }
}

impl Identity {
    /// The hash of everything but the identification and the UDP checksum.
    #[inline]
    pub fn base(&self) -> u64 {
        let f = &self.flow;
        let addresses = u64::from(f.src) << 32 | u64::from(f.dst);
        let rest = u64::from(f.src_port) << 48 | u64::from(f.dst_port) << 32 | u64::from(self.udp_len);
        mix(addresses ^ 0x9e37_79b9_7f4a_7c15) ^ rest
    }

    #[inline]
    fn bind(&self, kind: u8) -> u64 {
        bind(self.base(), self.ip_id, self.udp_checksum, kind)
    }

    /// The tag of this datagram; `order` is its digest, if it was computed.
    pub fn tag(&self, order: Option<u32>) -> [u8; TAG] {
        let kind = if order.is_some() { ORDERED } else { PLAIN };
        let bind = self.bind(kind).to_be_bytes();
        let mut t = [kind, bind[0], bind[1], bind[2], bind[3], bind[4], bind[5], bind[6]];
        if let Some(order) = order {
            t[4..].copy_from_slice(&order.to_be_bytes());
        }
        t
    }

    /// What `t` proves. `None`: it is no tag, or another datagram's.
    #[inline]
    pub fn check(&self, t: [u8; TAG]) -> Option<Tag> {
        check(self.base(), self.ip_id, self.udp_checksum, t)
    }
}

/// [`Identity::tag`] without a digest, of an identity of which the [base](Identity::base) is known.
#[inline]
pub(crate) fn plain(base: u64, ip_id: u16, udp_checksum: u16) -> [u8; TAG] {
    (u64::from(PLAIN) << 56 | bind(base, ip_id, udp_checksum, PLAIN) >> 8).to_be_bytes()
}

/// Whether these bytes are a tag at all: nothing else that may stand there begins like one.
#[inline]
pub fn is_tag(t: [u8; TAG]) -> bool {
    t[0] == PLAIN || t[0] == ORDERED
}

#[inline]
fn bind(base: u64, ip_id: u16, udp_checksum: u16, kind: u8) -> u64 {
    let h = mix(base ^ u64::from(ip_id) << 16);
    mix(h ^ (u64::from(kind) << 16 | u64::from(udp_checksum)))
}

/// [`Identity::check`] of an identity of which the [base](Identity::base) is known.
#[inline]
pub fn check(base: u64, ip_id: u16, udp_checksum: u16, t: [u8; TAG]) -> Option<Tag> {
    let kind = t[0];
    if kind != PLAIN && kind != ORDERED {
        return None;
    }
    let found = u64::from_be_bytes(t) << 8 >> 8;
    let bind = bind(base, ip_id, udp_checksum, kind) >> 8;
    if kind == ORDERED {
        (found >> 32 == bind >> 32).then_some(Tag::Ordered(found as u32))
    } else {
        (found == bind).then_some(Tag::Ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            flow: Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7000, dst_port: 9000 },
            ip_id: 0x1234,
            udp_len: 7176,
            udp_checksum: 0xbeef,
        }
    }

    #[test]
    fn round_trip() {
        let i = identity();
        assert_eq!(i.check(i.tag(None)), Some(Tag::Ends));
        assert_eq!(i.check(i.tag(Some(0xdead_beef))), Some(Tag::Ordered(0xdead_beef)));
    }

    #[test]
    fn every_field_binds_and_every_bit_counts() {
        let i = identity();
        let f = i.flow;
        let others = [
            Identity { ip_id: 0x1235, ..i },
            Identity { udp_len: 7177, ..i },
            Identity { udp_checksum: 0, ..i },
            Identity { flow: Flow { src: 1, ..f }, ..i },
            Identity { flow: Flow { dst: 1, ..f }, ..i },
            Identity { flow: Flow { src_port: 1, ..f }, ..i },
            Identity { flow: Flow { dst_port: 1, ..f }, ..i },
            Identity { flow: f.reversed(), ..i },
        ];
        for o in others {
            assert_eq!(o.check(i.tag(None)), None);
            assert_eq!(o.check(i.tag(Some(7))), None);
        }
        for bit in 0..64 {
            let mut t = i.tag(None);
            t[bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(i.check(t), None, "bit {bit}");
        }
    }

    /// The vectors of `docs/end-tag.md`: identity by UDP payload length, MTU 1500, then where the tag starts.
    #[test]
    fn vectors_of_the_specification() {
        use crate::layout::{Geometry, Layout};
        let hex = |t: [u8; TAG]| t.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let (text, mut missing) = (include_str!("../../../docs/end-tag.md"), 0);
        for payload in [1_u16, 1430, 1431, 1464, 1472, 1473, 2910, 2911, 7168, 16_384, 65_499, 65_500, 65_507]
        {
            let i = Identity { udp_len: payload + 8, ..identity() };
            let l = Layout::new(Geometry::ETHERNET, payload.into()).expect("fits");
            let at = l.tag().map_or("none".to_owned(), |t| t.to_string());
            let (plain, ordered) = (hex(i.tag(None)), hex(i.tag(Some(0xdead_beef))));
            let (plain, ordered) =
                if l.tag().is_some() { (plain, ordered) } else { (String::new(), String::new()) };
            let row = format!("| {payload} | {at} | {} | {plain} | {ordered} |", l.ip_len());
            println!("{row}");
            missing += usize::from(!text.contains(&row));
        }
        assert_eq!(missing, 0, "rows that docs/end-tag.md lacks");
    }
}
