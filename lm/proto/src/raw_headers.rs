//! [`RawHeaders`]: the headers in front of a payload, read once as three words.
//!
//! The matcher uses them to see what a frame may be, before it parses anything. The frame below may have
//! overwritten a part of them. So what they say is a reason to look again, and no proof.

use crate::checksum;
use crate::reassembler::Key;
use crate::reassembler::piece::Shape;
use crate::service::Service;
use crate::wire::{IPV4, MAX_IP_PAYLOAD, MORE, PROTO_UDP, TYPE_IPV4};

/// The 24 bytes in front of a payload of IPv4 without options, as they were at one moment: two of the
/// source's hardware address, the Ethernet type, the IPv4 header. Little-endian, so that a payload at 0 mod 8
/// has them in three loads.
///
/// | word | bytes |
/// |---|---|
/// | 0 | MAC (2), type (2), version and length (1), TOS (1), total length (2) |
/// | 1 | identification (2), flags and offset (2), TTL (1), protocol (1), checksum (2) |
/// | 2 | source (4), destination (4) |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawHeaders([u64; 3]);

/// Bytes of [`RawHeaders`].
pub const RAW_HEADERS: usize = 24;

/// A 16-bit field in network order, as it stands in a little-endian word.
const fn wire16(field: u16) -> u64 {
    field.swap_bytes() as u64
}

impl RawHeaders {
    /// Nobody's headers.
    pub(crate) const ZERO: Self = Self([0; 3]);

    /// The little-endian words at 24, 16 and 8 bytes in front of the payload.
    #[inline]
    pub fn new(words: [u64; 3]) -> Self {
        Self(words)
    }

    /// The words of these bytes.
    pub fn of(bytes: [u8; RAW_HEADERS]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        Self(std::array::from_fn(|i| u64::from_le_bytes(words[i])))
    }

    /// Whether they may be the headers of a first fragment, or of a datagram in one frame: IPv4 without
    /// options, UDP, offset 0.
    #[inline]
    pub fn look_first(self) -> bool {
        const MASK: u64 = (0xff << 40) | (wire16(0x1fff) << 16);
        let [a, b, _] = self.0;
        (a >> 16) & 0xff_ffff == (0x45 << 16) | wire16(TYPE_IPV4) && b & MASK == (PROTO_UDP as u64) << 40
    }

    /// Whether the flag "more fragments" is set.
    #[inline]
    pub fn have_more(self) -> bool {
        self.0[1] & (wire16(MORE) << 16) != 0
    }

    /// The total length in headers that [look like a first fragment's](Self::look_first), if their checksum
    /// is good and the packet is no fragment. The caller has to compare the length with the frame's.
    #[inline]
    pub fn whole(self) -> Option<usize> {
        let total = ((self.0[0] >> 48) as u16).swap_bytes();
        (!self.have_more() && self.is_summed()).then_some(total.into())
    }

    /// Whether the header's checksum is good.
    #[inline]
    fn is_summed(self) -> bool {
        let [a, b, c] = self.0;
        let low = |word: u64| word & 0xffff_ffff;
        checksum::is_all_ones((a >> 32) + low(b) + (b >> 32) + low(c) + (c >> 32))
    }

    /// Whether they may be the headers of an IPv4 packet without options.
    #[inline]
    pub fn are_plain(self) -> bool {
        (self.0[0] >> 16) & 0xff_ffff == (0x45 << 16) | wire16(TYPE_IPV4)
    }

    /// Whether they may be the headers of a fragment in the midst of a datagram, neither the first nor the
    /// last: IPv4 without options, UDP, a packet of `total` bytes.
    #[inline]
    pub fn look_middle(self, total: usize) -> bool {
        let [a, b, _] = self.0;
        self.look_behind() && b & (wire16(MORE) << 16) != 0 && a >> 48 == wire16(total as u16)
    }

    /// Whether they may be the headers of a fragment that is not the first: IPv4 without options, UDP.
    #[inline]
    pub fn look_behind(self) -> bool {
        let [a, b, _] = self.0;
        (a >> 16) & 0xff_ffff == (0x45 << 16) | wire16(TYPE_IPV4)
            && (b >> 40) & 0xff == PROTO_UDP as u64
            && b & (wire16(0x1fff) << 16) != 0
    }

    /// The fragment of a UDP datagram whose headers these are: its datagram, its place in that, and the rest
    /// of what its header says. `None`: the headers are others, or have options, or are not good. `available`
    /// is the number of bytes that the frame has behind its headers.
    #[inline]
    pub(crate) fn fragment(self, available: usize) -> Option<(Key, Shape, Service)> {
        let [a, b, c] = self.0;
        let low = |word: u64| word & 0xffff_ffff;
        let sum = (a >> 32) + low(b) + (b >> 32) + low(c) + (c >> 32);
        let word = ((b >> 16) as u16).swap_bytes();
        let total = usize::from(((a >> 48) as u16).swap_bytes());
        let (more, offset) = (word & MORE != 0, usize::from(word & 0x1fff) * 8);
        let len = total.wrapping_sub(IPV4);
        let good = self.are_plain()
            && (b >> 40) & 0xff == PROTO_UDP as u64
            && (more || offset != 0)
            && total > IPV4
            && len <= available
            && offset + len <= MAX_IP_PAYLOAD
            && (!more || len.is_multiple_of(8))
            && checksum::is_all_ones(sum);
        good.then_some((self.key(), Shape { offset, more, len }, self.service()))
    }

    /// Which datagram they are of, if they are those of a UDP datagram's fragment.
    #[inline]
    pub(crate) fn key(self) -> Key {
        Key { src: self.src(), dst: self.dst(), id: self.id(), protocol: PROTO_UDP }
    }

    /// Whether headers that [look like a first fragment's](Self::look_first) have a good checksum, the total
    /// length `total`, and the flag "more fragments" if `more`, and no other flag.
    #[inline]
    pub fn are_first(self, total: usize, more: bool) -> bool {
        let [a, b, _] = self.0;
        a >> 48 == wire16(total as u16)
            && (b >> 16) & 0xffff == if more { wire16(MORE) } else { 0 }
            && self.is_summed()
    }

    /// Whether these headers differ from `other` in nothing but the identification and the checksum, and the
    /// checksum here is as good as the one there.
    #[inline]
    pub fn are_alike(self, other: Self) -> bool {
        // A header's words add up to the same sum whatever its identification is, because the checksum sees
        // to that. All other words are equal, so the sum of identification and checksum is equal, too.
        const OWN: u64 = 0xffff | (0xffff << 48);
        let sum = |word: u64| {
            let sum = (word & 0xffff) as u32 + (word >> 48) as u32;
            (sum as u16).wrapping_add((sum >> 16) as u16)
        };
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        // The words are compared one by one, because a comparison of arrays is compiled to a call.
        (a ^ d) | ((b ^ e) & !OWN) | (c ^ f) == 0 && sum(b) == sum(e)
    }

    /// Whether both have the same Ethernet type and the same IPv4 header.
    #[inline]
    pub(crate) fn are_same(self, other: Self) -> bool {
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        // The first two bytes are of a hardware address.
        ((a ^ d) >> 16) | (b ^ e) | (c ^ f) == 0
    }

    /// The headers of a fragment that begins `len` bytes behind this one, and has the same header otherwise.
    /// Its checksum is as good as the one here. `len` is a multiple of 8, and the offset stays below 65,536.
    #[inline]
    pub(crate) fn further(self, len: u16) -> Self {
        const OWN: u64 = 0xffff << 16 | 0xffff << 48;
        let [a, b, c] = self.0;
        let units = len / 8;
        let flags_and_offset = ((b >> 16) as u16).swap_bytes().wrapping_add(units);
        // In ones' complement, where a borrow goes around.
        let (checksum, borrow) = ((b >> 48) as u16).swap_bytes().overflowing_sub(units);
        let checksum = checksum.wrapping_sub(borrow.into());
        Self([a, b & !OWN | wire16(flags_and_offset) << 16 | wire16(checksum) << 48, c])
    }

    /// The IPv4 header.
    #[inline]
    pub fn ip(self) -> [u8; IPV4] {
        let [a, b, c] = self.0;
        let mut ip = [0; IPV4];
        ip[..4].copy_from_slice(&((a >> 32) as u32).to_le_bytes());
        ip[4..12].copy_from_slice(&b.to_le_bytes());
        ip[12..].copy_from_slice(&c.to_le_bytes());
        ip
    }

    /// The identification.
    #[inline]
    pub fn id(self) -> u16 {
        (self.0[1] as u16).swap_bytes()
    }

    /// The type of service and the time to live.
    #[inline]
    pub fn service(self) -> Service {
        Service { tos: (self.0[0] >> 40) as u8, ttl: self.ttl() }
    }

    /// The time to live.
    #[inline]
    pub fn ttl(self) -> u8 {
        (self.0[1] >> 32) as u8
    }

    /// The source address.
    #[inline]
    pub fn src(self) -> u32 {
        (self.0[2] as u32).swap_bytes()
    }

    /// The destination address.
    #[inline]
    pub fn dst(self) -> u32 {
        ((self.0[2] >> 32) as u32).swap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum;
    use crate::wire::{ETHERNET, HEADERS, Ipv4};
    use proptest::prelude::*;

    fn headers(ip: &Ipv4, kind: u16) -> [u8; HEADERS] {
        let mut bytes = [7; HEADERS];
        bytes[12..14].copy_from_slice(&kind.to_be_bytes());
        let mut header = [0; IPV4];
        ip.emit(&mut header);
        bytes[ETHERNET..].copy_from_slice(&header);
        bytes
    }

    fn words(headers: &[u8; HEADERS]) -> RawHeaders {
        RawHeaders::of(headers[HEADERS - RAW_HEADERS..].try_into().expect("24 bytes"))
    }

    proptest! {
        /// The words say what the parser says, whatever the bytes are.
        #[test]
        fn as_the_parser(
            src: u32,
            dst: u32,
            id: u16,
            ttl: u8,
            more: bool,
            offset in 0_u32..3,
            protocol in 16_u8..19,
            damage in proptest::option::of((0_usize..HEADERS, 1_u8..)),
            payload_len in 1479_u16..1482,
        ) {
            let (header_len, offset) = (20, offset * 8);
            let ip = Ipv4 { src, dst, id, protocol, ttl, more, offset, header_len, payload_len };
            let mut bytes = headers(&ip, TYPE_IPV4);
            if let Some((at, bits)) = damage {
                bytes[at] ^= bits;
            }
            let w = words(&bytes);
            let mut all = bytes.to_vec();
            all.resize(HEADERS + 1500, 0);
            let parsed = Ipv4::parse(&all[ETHERNET..], all.len() - ETHERNET);
            prop_assert_eq!(&w.ip()[..], &bytes[ETHERNET..]);
            // Two good headers are alike if and only if they differ in the identification at most.
            let template = Ipv4 { id: id.wrapping_mul(7), ..ip };
            let alike = w.are_alike(words(&headers(&template, TYPE_IPV4)));
            let mut rest = bytes;
            rest[18..20].copy_from_slice(&template.id.to_be_bytes());
            rest[24..26].fill(0);
            let sum = checksum::header(&rest[14..34]);
            rest[24..26].copy_from_slice(&sum.to_be_bytes());
            let same = words(&rest) == words(&headers(&template, TYPE_IPV4));
            let good = checksum::header(&bytes[14..34]) == 0;
            // A checksum of zero can be written in two ways, and `are_alike` takes only one of them.
            prop_assert!(!alike || (same && good));
            let zero = |b: &[u8; HEADERS]| b[24] == b[25] && (b[24] == 0 || b[24] == 0xff);
            prop_assert!(alike || !same || !good || zero(&bytes) || zero(&rest));
            let kind = u16::from_be_bytes([bytes[12], bytes[13]]);
            if let Ok(ip) = parsed {
                let is_udp = kind == TYPE_IPV4 && ip.header_len == 20 && ip.protocol == PROTO_UDP;
                let first = is_udp && ip.offset == 0;
                prop_assert_eq!(w.look_first(), first);
                prop_assert_eq!((w.src(), w.dst(), w.id()), (ip.src, ip.dst, ip.id));
            }
            if w.look_first() {
                // Of the length, the parser also asks that it is a header's at least, and fits the frame.
                let whole = parsed.ok().filter(Ipv4::is_whole).map(|ip| usize::from(ip.payload_len) + IPV4);
                prop_assert!(w.whole() == whole || w.whole().is_some_and(|n| !(IPV4..=1500).contains(&n)));
            }
            let is_full = parsed.is_ok_and(|ip| ip.is_whole() && ip.payload_len == 1480);
            prop_assert!(!(w.look_first() && w.are_first(1500, false)) || is_full);
            if w.look_first() && w.are_first(1500, true) {
                let ip = parsed.expect("a good header");
                prop_assert!(ip.more && ip.offset == 0 && ip.payload_len == 1480 && ip.protocol == PROTO_UDP);
            } else if let Ok(ip) = parsed && kind == TYPE_IPV4 && ip.header_len == 20 {
                let first = ip.more && ip.offset == 0 && ip.payload_len == 1480 && ip.protocol == PROTO_UDP;
                // Reserved and don't-fragment bits are left to the parser.
                prop_assert!(!first || w.ip()[6] != 0x20);
            }
        }
    }
}
