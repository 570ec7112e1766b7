//! Headers on the wire: Ethernet II, IPv4 (RFC 791), UDP (RFC 768), ARP (RFC 826).
//!
//! Parsing trusts no length of an IPv4 header: it is checked against the available bytes. The length in a UDP
//! header is returned as it is. All integers are in host order once parsed. Addresses are `u32`s with the
//! first octet on top, as `std::net::Ipv4Addr::to_bits` has them.

use crate::checksum::ones;

/// Bytes of an Ethernet II header.
pub const ETHERNET: usize = 14;
/// Bytes of an IPv4 header without options, the only one that LM sends and that can land.
pub const IPV4: usize = 20;
/// Bytes of an IPv6 header without extensions.
pub const IPV6: usize = 40;
/// Bytes of a UDP header.
pub const UDP: usize = 8;
/// Bytes in front of an IP payload: Ethernet and IPv4.
pub const HEADERS: usize = ETHERNET + IPV4;
/// Ethernet pads a frame to this many bytes (without FCS).
pub const MIN_FRAME: usize = 60;
/// Bytes of a VLAN tag (IEEE 802.1Q).
pub const VLAN: usize = 4;
/// Bytes of a frame check sequence, which some drivers leave behind a frame.
pub const FCS: usize = 4;
/// The largest IPv4 payload: 65,535 bytes less a header without options.
pub const MAX_IP_PAYLOAD: usize = 65_535 - IPV4;
/// The largest UDP payload over IPv4.
pub const MAX_PAYLOAD: usize = MAX_IP_PAYLOAD - UDP;
/// IP protocol number of UDP.
pub const PROTO_UDP: u8 = 17;
/// The flag "more fragments" in an IPv4 header's word of flags and offset.
pub const MORE: u16 = 0x2000;
/// Ethernet type of IPv4.
pub const TYPE_IPV4: u16 = 0x0800;
/// Ethernet type of ARP.
pub const TYPE_ARP: u16 = 0x0806;
/// Ethernet type of IPv6.
pub const TYPE_IPV6: u16 = 0x86dd;

/// A hardware address.
pub type Mac = [u8; 6];
/// The broadcast hardware address.
pub const BROADCAST: Mac = [0xff; 6];

/// Both ends of a UDP flow: IPv4 addresses and ports, host order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
}

impl Flow {
    /// The flow of a datagram with these addresses, source first, and this UDP header.
    #[inline]
    pub fn of([src, dst]: [u32; 2], udp: &Udp) -> Self {
        Self { src, dst, src_port: udp.src_port, dst_port: udp.dst_port }
    }

    /// The flow of an answer.
    ///
    /// ```
    /// use lm_proto::wire::Flow;
    /// let flow = Flow { src: 1, dst: 2, src_port: 3, dst_port: 4 };
    /// assert_eq!(flow.reversed(), Flow { src: 2, dst: 1, src_port: 4, dst_port: 3 });
    /// ```
    pub fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src, src_port: self.dst_port, dst_port: self.src_port }
    }
}

/// The big-endian 16 bits at `at`. The caller has checked the length.
#[inline]
pub(crate) fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

#[inline]
pub(crate) fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// Why bytes are not an IPv4 packet that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotIpv4 {
    /// Fewer bytes than the headers need, or than the total length claims.
    Truncated,
    /// Another version, or a header length below 20 bytes.
    Version,
    /// The header checksum disagrees.
    Checksum,
    /// A total length below the header's, or a fragment that ends beyond 65,535 bytes.
    Length,
}

/// The fields of an IPv4 header (RFC 791). What [`Ipv4::parse`] returns was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
    /// Identification.
    pub id: u16,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Time to live.
    pub ttl: u8,
    /// More fragments follow at higher offsets.
    pub more: bool,
    /// Where this fragment's payload lies in the datagram's, in bytes (a multiple of 8).
    pub offset: u32,
    /// Header length in bytes, options included.
    pub header_len: u8,
    /// Bytes of IP payload in this packet.
    pub payload_len: u16,
}

impl Ipv4 {
    /// Parses the header at the start of `b`, and checks it. `b` has to hold the whole header. `available` is
    /// how many bytes of the packet are there, header included.
    ///
    /// # Errors
    /// [`NotIpv4`]: the header is too short, of another version, inconsistent, or its checksum is wrong.
    #[inline]
    pub fn parse(b: &[u8], available: usize) -> Result<Self, NotIpv4> {
        let Some(fixed) = b.first_chunk::<IPV4>().filter(|_| available >= IPV4) else {
            return Err(NotIpv4::Truncated);
        };
        let header_len = usize::from(fixed[0] & 15) * 4;
        if fixed[0] >> 4 != 4 || header_len < IPV4 {
            return Err(NotIpv4::Version);
        }
        if b.len() < header_len || available < header_len {
            return Err(NotIpv4::Truncated);
        }
        if ones::header(&b[..header_len]) != 0 {
            return Err(NotIpv4::Checksum);
        }
        let total = usize::from(be16(fixed, 2));
        if total < header_len {
            return Err(NotIpv4::Length);
        }
        if total > available {
            return Err(NotIpv4::Truncated);
        }
        let word = be16(fixed, 6);
        let (more, offset) = (word & MORE != 0, u32::from(word & 0x1fff) * 8);
        let payload_len = total - header_len;
        if offset as usize + payload_len > MAX_IP_PAYLOAD || (more && !payload_len.is_multiple_of(8)) {
            return Err(NotIpv4::Length);
        }
        Ok(Self {
            src: be32(fixed, 12),
            dst: be32(fixed, 16),
            id: be16(fixed, 4),
            protocol: fixed[9],
            ttl: fixed[8],
            more,
            offset,
            header_len: header_len as u8,
            payload_len: payload_len as u16,
        })
    }

    /// Writes a header of 20 bytes with its checksum. `header_len` is ignored. The type of service is 0, and
    /// the flag "don't fragment" is clear.
    pub fn emit(&self, b: &mut [u8; IPV4]) {
        b[0] = 0x45;
        b[1] = 0;
        let [total, place] = cut(self.offset, self.more, self.payload_len);
        b[2..4].copy_from_slice(&total.to_be_bytes());
        b[4..6].copy_from_slice(&self.id.to_be_bytes());
        b[6..8].copy_from_slice(&place.to_be_bytes());
        b[8] = self.ttl;
        b[9] = self.protocol;
        b[10..12].fill(0);
        b[12..16].copy_from_slice(&self.src.to_be_bytes());
        b[16..20].copy_from_slice(&self.dst.to_be_bytes());
        let sum = ones::header(b);
        b[10..12].copy_from_slice(&sum.to_be_bytes());
    }

    /// Whether this packet is a datagram of its own, and no fragment.
    pub fn is_whole(&self) -> bool {
        !self.more && self.offset == 0
    }
}

/// The two words of a header that differ between the fragments of a datagram: the total length, and the flags
/// with the offset.
fn cut(offset: u32, more: bool, payload_len: u16) -> [u16; 2] {
    [payload_len + IPV4 as u16, (offset / 8) as u16 | if more { MORE } else { 0 }]
}

/// The headers of one datagram's fragments. What they have in common is written and summed once. They are
/// kept as words in host order: to read what was just written in parts takes a processor long.
#[derive(Clone, Copy, Debug)]
pub struct Fragments {
    /// Version, length, identification, place.
    first: u64,
    /// Time to live, protocol, checksum, source.
    second: u64,
    dst: u32,
    sum: u16,
}

impl Fragments {
    /// The headers of fragments that differ from `ip` in nothing but their place and length.
    pub fn new(ip: &Ipv4) -> Self {
        let mut header = [0; IPV4];
        Ipv4 { more: false, offset: 0, payload_len: 0, ..*ip }.emit(&mut header);
        header[2..4].fill(0);
        header[10..12].fill(0);
        let sum = !ones::header(&header);
        let word = |at| u64::from(be32(&header, at)) << 32 | u64::from(be32(&header, at + 4));
        Self { first: word(0), second: word(8), dst: be32(&header, 16), sum }
    }

    /// The header of the fragment with this place and length, as [`Ipv4::emit`] writes it.
    #[inline]
    pub fn header(&self, offset: u32, more: bool, payload_len: u16) -> [u8; IPV4] {
        let [total, place] = cut(offset, more, payload_len);
        self.sealed(u64::from(total) << 32 | u64::from(place), [total, place])
    }

    /// The header of a datagram in one packet, with this identification. `self` was made of a header with the
    /// identification 0, to which this one is added.
    #[inline]
    pub(crate) fn of_datagram(&self, id: u16, payload_len: u16) -> [u8; IPV4] {
        let [total, _] = cut(0, false, payload_len);
        self.sealed(u64::from(total) << 32 | u64::from(id) << 16, [total, id])
    }

    /// Completes a header. `first` has the bits of its first word that the datagram's headers do not share.
    /// The two words are the fields of 16 bits that `sum` does not count.
    #[inline]
    fn sealed(&self, first: u64, [one, other]: [u16; 2]) -> [u8; IPV4] {
        let sum = u32::from(self.sum) + u32::from(one) + u32::from(other);
        let sum = (sum >> 16) + (sum & 0xffff);
        let checksum = !((sum >> 16) + (sum & 0xffff)) as u16;
        let mut b = [0; IPV4];
        b[..8].copy_from_slice(&(self.first | first).to_be_bytes());
        b[8..16].copy_from_slice(&(self.second | u64::from(checksum) << 32).to_be_bytes());
        b[16..].copy_from_slice(&self.dst.to_be_bytes());
        b
    }
}

/// The fields of a UDP header (RFC 768). The length is what the wire claims: check it before use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Header and payload, bytes.
    pub len: u16,
    /// The checksum field as it is on the wire. 0: the sender computed none.
    pub checksum: u16,
}

impl Udp {
    /// Reads the 8 bytes at the start of `b`; `None` if there are fewer.
    #[inline]
    pub fn parse(b: &[u8]) -> Option<Self> {
        let b = b.first_chunk::<UDP>()?;
        Some(Self { src_port: be16(b, 0), dst_port: be16(b, 2), len: be16(b, 4), checksum: be16(b, 6) })
    }

    /// The header whose 8 bytes are this little-endian word.
    #[inline]
    pub fn of_word(word: u64) -> Self {
        let field = |shift: u32| ((word >> shift) as u16).swap_bytes();
        Self { src_port: field(0), dst_port: field(16), len: field(32), checksum: field(48) }
    }

    /// The header's bytes.
    #[inline]
    pub fn bytes(&self) -> [u8; UDP] {
        let mut b = [0; UDP];
        b[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        b[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        b[4..6].copy_from_slice(&self.len.to_be_bytes());
        b[6..8].copy_from_slice(&self.checksum.to_be_bytes());
        b
    }
}

/// Writes an Ethernet II header.
pub fn ethernet(b: &mut [u8; ETHERNET], dst: Mac, src: Mac, ether_type: u16) {
    b[0..6].copy_from_slice(&dst);
    b[6..12].copy_from_slice(&src);
    b[12..14].copy_from_slice(&ether_type.to_be_bytes());
}

/// Whether fragments with these ECN marks, one bit for each of the four marks, must not become one packet.
/// That is so if one says that its sender does not take part (not-ECT), and another has met congestion (CE):
/// RFC 3168, section 5.3.
pub(crate) fn marks_clash(marks: u8) -> bool {
    const NOT_ECT: u8 = 1;
    const CE: u8 = 1 << 3;
    marks & NOT_ECT != 0 && marks & CE != 0
}

/// Whether a frame makes sense by itself: IPv4 with a good header, ARP, or IPv6 of a length that fits. If the
/// end of another frame's payload has overwritten the headers, it hardly ever does.
///
/// The frame has `len` bytes. `frame` is its beginning, with all its headers, and no longer than `len`.
pub fn is_known(frame: &[u8], len: usize) -> bool {
    let Some(packet) = frame.get(ETHERNET..) else { return false };
    let available = len.saturating_sub(ETHERNET);
    match ether_type(frame) {
        Some(TYPE_IPV4) => Ipv4::parse(packet, available).is_ok(),
        Some(TYPE_IPV6) => {
            packet.len() >= IPV6 && packet[0] >> 4 == 6 && IPV6 + usize::from(be16(packet, 4)) <= available
        }
        _ => Arp::parse(frame).is_some(),
    }
}

/// The Ethernet type of a frame; `None` if it is too short to have one.
#[inline]
pub fn ether_type(frame: &[u8]) -> Option<u16> {
    (frame.len() >= ETHERNET).then(|| be16(frame, 12))
}

/// An ARP packet for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Sender's hardware address.
    pub sender_mac: Mac,
    /// Sender's IPv4 address.
    pub sender: u32,
    /// Target's hardware address.
    pub target_mac: Mac,
    /// Target's IPv4 address.
    pub target: u32,
}

impl Arp {
    /// Bytes of an ARP frame, Ethernet header included, before padding.
    pub const FRAME: usize = ETHERNET + 28;
    /// Operation: who has that address.
    pub const REQUEST: u16 = 1;
    /// Operation: that address is at.
    pub const REPLY: u16 = 2;

    /// Parses a frame. `None`: it is not ARP for IPv4 over Ethernet.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let b = frame.first_chunk::<{ Self::FRAME }>()?;
        if be16(b, 12) != TYPE_ARP || b[14..20] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let mac = |at: usize| std::array::from_fn(|i| b[at + i]);
        Some(Self {
            operation: be16(b, 20),
            sender_mac: mac(22),
            sender: be32(b, 28),
            target_mac: mac(32),
            target: be32(b, 38),
        })
    }

    /// A whole frame, padded to the minimum.
    pub fn frame(&self, dst: Mac) -> [u8; MIN_FRAME] {
        let mut b = [0; MIN_FRAME];
        b[0..6].copy_from_slice(&dst);
        b[6..12].copy_from_slice(&self.sender_mac);
        b[12..14].copy_from_slice(&TYPE_ARP.to_be_bytes());
        b[14..20].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
        b[20..22].copy_from_slice(&self.operation.to_be_bytes());
        b[22..28].copy_from_slice(&self.sender_mac);
        b[28..32].copy_from_slice(&self.sender.to_be_bytes());
        b[32..38].copy_from_slice(&self.target_mac);
        b[38..42].copy_from_slice(&self.target.to_be_bytes());
        b
    }

    /// The answer to this request, if it asks for `address`, which `mac` has.
    pub fn reply(&self, address: u32, mac: Mac) -> Option<[u8; MIN_FRAME]> {
        (self.operation == Self::REQUEST && self.target == address).then(|| {
            Self {
                operation: Self::REPLY,
                sender_mac: mac,
                sender: address,
                target_mac: self.sender_mac,
                target: self.sender,
            }
            .frame(self.sender_mac)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Ipv4 {
        Ipv4 {
            src: 0x0a00_0001,
            dst: 0x0a00_0002,
            id: 7,
            protocol: PROTO_UDP,
            ttl: 64,
            more: true,
            offset: 1480,
            header_len: 20,
            payload_len: 1480,
        }
    }

    #[test]
    fn headers_of_fragments_are_those_of_packets() {
        for (id, src) in [(0, 0), (0xffff, 0xffff_ffff), (0x1234, 0x0a00_0001)] {
            let ip = Ipv4 { src, id, ..header() };
            let fragments = Fragments::new(&ip);
            for offset in (0..65_536).step_by(if cfg!(miri) { 8184 } else { 8 }) {
                for (more, payload_len) in
                    [(true, 1480), (false, 0), (false, 1), (true, 65_515), (false, 8192)]
                {
                    let mut b = [0xaa; IPV4];
                    Ipv4 { more, offset, payload_len, ..ip }.emit(&mut b);
                    assert_eq!(
                        fragments.header(offset, more, payload_len),
                        b,
                        "{offset} {more} {payload_len}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_frame_that_is_shorter_than_its_headers_say_is_not_known() {
        let mut v4 = [0; ETHERNET + IPV4];
        v4[12..14].copy_from_slice(&TYPE_IPV4.to_be_bytes());
        let ip = Ipv4 { more: false, offset: 0, payload_len: 0, ..header() };
        ip.emit((&mut v4[ETHERNET..]).try_into().unwrap());
        let mut v6 = [0; ETHERNET + IPV6];
        v6[12..14].copy_from_slice(&TYPE_IPV6.to_be_bytes());
        v6[ETHERNET] = 6 << 4;
        for frame in [&v4[..], &v6[..]] {
            assert!(is_known(frame, frame.len()));
            for len in 0..frame.len() {
                assert!(!is_known(frame, len), "{len}");
                assert_eq!(crate::packet::packet_end(frame, len), None, "{len}");
            }
        }
    }

    #[test]
    fn ipv4_round_trip_and_every_flipped_bit_is_caught() {
        let mut b = [0; IPV4];
        header().emit(&mut b);
        assert_eq!(Ipv4::parse(&b, 1500), Ok(header()));
        for bit in 0..IPV4 * 8 {
            let mut c = b;
            c[bit / 8] ^= 1 << (bit % 8);
            assert!(Ipv4::parse(&c, 1500).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn ipv4_lengths_are_not_trusted() {
        let mut b = [0; IPV4];
        header().emit(&mut b);
        assert_eq!(Ipv4::parse(&b, 1499), Err(NotIpv4::Truncated));
        assert_eq!(Ipv4::parse(&b[..19], 1500), Err(NotIpv4::Truncated));
        Ipv4 { offset: 65_528, payload_len: 8, more: false, ..header() }.emit(&mut b);
        assert_eq!(Ipv4::parse(&b, 28), Err(NotIpv4::Length), "ends beyond 65,535");
        Ipv4 { payload_len: 1479, ..header() }.emit(&mut b);
        assert_eq!(Ipv4::parse(&b, 1500), Err(NotIpv4::Length), "a middle fragment that is no multiple of 8");
    }

    #[test]
    fn arp_answers_only_for_its_own_address() {
        let ask = Arp {
            operation: Arp::REQUEST,
            sender_mac: [2, 0, 0, 0, 0, 1],
            sender: 1,
            target_mac: [0; 6],
            target: 2,
        };
        let asked = Arp::parse(&ask.frame(BROADCAST)).expect("a request");
        assert_eq!(asked, ask);
        assert!(asked.reply(3, [2, 0, 0, 0, 0, 2]).is_none());
        let reply = Arp::parse(&asked.reply(2, [2, 0, 0, 0, 0, 2]).expect("ours")).expect("a reply");
        assert_eq!((reply.operation, reply.sender, reply.target), (Arp::REPLY, 2, 1));
    }
}
