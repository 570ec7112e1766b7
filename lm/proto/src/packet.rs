//! Parses frames whose headers are known to be intact.
//!
//! A card may overwrite the headers of a frame at any moment. A frame that is a few bytes longer than a
//! stride also overwrites the first of the 8 bytes behind them. So the [`HEADERS`] bytes and these 8 are
//! copied once into a [`Head`], and parsed there. No frame reaches the bytes behind them, which are read in
//! place.

use crate::checksum;
use crate::frame::{FRONT, HEAD, Head, Received, Slot};
use crate::raw_headers::{RAW_HEADERS, RawHeaders};
use crate::reassembler::Key;
use crate::reassembler::piece::Shape;
use crate::service::Service;
use crate::slot_memory::SlotMemory;
use crate::wire::{self, ETHERNET, HEADERS, IPV4, Ipv4, UDP, Udp, VLAN, be16};

/// Bytes of the longest headers: Ethernet, a VLAN tag, and 60 bytes of IPv4 with all options.
const LONGEST: usize = ETHERNET + VLAN + 60;
/// Ethernet type of a VLAN tag.
const TYPE_VLAN: u16 = 0x8100;
/// The bits of a VLAN tag that have the number of the VLAN. The number 0 says that the tag names no VLAN and
/// carries a priority alone (IEEE 802.1Q).
const VLAN_ID: u16 = 0x0fff;

/// The headers in a head, as words.
pub(crate) fn raw_headers(head: &Head) -> RawHeaders {
    let mut bytes = [0; RAW_HEADERS];
    bytes.copy_from_slice(&head[HEADERS - RAW_HEADERS..HEADERS]);
    RawHeaders::of(bytes)
}

/// The first bytes of the payload.
pub(crate) fn front(head: &Head) -> [u8; FRONT] {
    std::array::from_fn(|i| head[HEADERS + i])
}

/// An IPv4 packet with UDP in it, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) ip: Ipv4,
    /// Type of service; its last two bits are those of explicit congestion notification (RFC 3168).
    pub(crate) tos: u8,
    /// Bytes from the frame's [`at`](crate::frame::Frame::at) to its IP payload: as many as the VLAN tag and
    /// the IP options have.
    pub(crate) skew: usize,
    /// The bytes at the frame's [`at`](crate::frame::Frame::at), as they were when its header was read.
    pub(crate) front: [u8; FRONT],
}

impl Packet {
    /// What all fragments of its datagram have in common.
    pub(crate) fn key(&self) -> Key {
        let Ipv4 { src, dst, id, protocol, .. } = self.ip;
        Key { src, dst, id, protocol }
    }

    /// Where its payload belongs in the datagram.
    pub(crate) fn shape(&self) -> Shape {
        Shape { offset: self.ip.offset as usize, more: self.ip.more, len: self.ip.payload_len.into() }
    }

    /// The type of service and the time to live.
    pub(crate) fn service(&self) -> Service {
        Service { tos: self.tos, ttl: self.ip.ttl }
    }

    /// The mark of explicit congestion notification, 0 to 3.
    pub(crate) fn ecn(&self) -> u8 {
        self.tos & 3
    }

    /// Whether this is the header of the fragment at `offset` of the datagram `key`, which has `len` bytes of
    /// IP payload and the flag `more`, and landed in its place. A fragment with IP options or a VLAN tag did
    /// not, because its payload begins further behind.
    pub(crate) fn is_piece(&self, key: &Key, offset: usize, len: usize, more: bool) -> bool {
        let Ipv4 { offset: at, payload_len, more: others, .. } = self.ip;
        self.skew == 0
            && self.key() == *key
            && (at as usize, usize::from(payload_len), others) == (offset, len, more)
    }

    /// Whether it can be a fragment of a datagram that lands: one that was cut by this stride, without
    /// options and without a VLAN tag.
    pub(crate) fn can_land(&self, stride: usize) -> bool {
        let len = usize::from(self.ip.payload_len);
        let cut = if self.ip.more { len == stride } else { len <= stride };
        self.skew == 0 && cut && (self.ip.offset as usize).is_multiple_of(stride)
    }

    /// The UDP header of a first fragment that lands.
    pub(crate) fn udp(&self) -> Option<Udp> {
        Udp::parse(&self.front)
    }

    /// The IP payload, where it landed.
    pub(crate) fn payload<'m, M: SlotMemory>(
        &self,
        frame: Received<&'m M::Slots>,
        memory: &'m M,
    ) -> &'m [u8] {
        memory.bytes(frame.slots, frame.at + self.skew, self.ip.payload_len.into())
    }

    /// The IP payload of a frame in an overlapping slot, put together in `room`. Another frame may have
    /// overwritten its first bytes meanwhile, so these are taken from [`Packet::front`].
    pub(crate) fn mended<'a, M: SlotMemory>(
        &self,
        frame: Received<&M::Slots>,
        room: &'a mut Vec<u8>,
        memory: &M,
    ) -> &'a [u8] {
        let len = usize::from(self.ip.payload_len);
        let behind = (self.skew + len).saturating_sub(FRONT);
        room.clear();
        room.extend_from_slice(&self.front);
        room.extend_from_slice(memory.bytes(frame.slots, frame.at + FRONT, behind));
        room.get(self.skew..self.skew + len).unwrap_or_default()
    }

    /// The UDP header of a datagram in one frame, and the IP payload behind it.
    pub(crate) fn split_udp<'a, M: SlotMemory>(
        &self,
        frame: Received<&'a M::Slots>,
        room: &'a mut Vec<u8>,
        memory: &'a M,
    ) -> Option<(Udp, &'a [u8])> {
        if self.skew == 0 {
            let behind = usize::from(self.ip.payload_len).checked_sub(UDP)?;
            let slots = frame.slots;
            let separate = frame.slot == Slot::Separate;
            let first = if separate { memory.bytes(slots, frame.at, UDP) } else { &self.front };
            return Some((Udp::parse(first)?, memory.bytes(slots, frame.at + UDP, behind)));
        }
        let payload = self.mended(frame, room, memory);
        Some((Udp::parse(payload)?, payload.get(UDP..)?))
    }
}

/// What an intact frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not IPv4, or not UDP.
    Stranger,
    /// An IPv4 header that doesn't parse or whose checksum is wrong.
    Bad,
    /// A datagram in one frame.
    Single(Packet),
    /// A fragment of a datagram.
    Fragment(Packet),
}

/// What the frame is whose intact beginning `head` has.
pub(crate) fn classify<M: SlotMemory>(head: &Head, frame: Received<&M::Slots>, memory: &M) -> Kind {
    // Nearly always all headers are in the head, and nothing has to be read from the memory.
    if raw_headers(head).are_plain() && usize::from(frame.len) >= HEAD {
        return classify_bytes(head, frame.len.into());
    }
    let (bytes, n) = beginning(head, frame, memory);
    classify_bytes(&bytes[..n], frame.len.into())
}

/// What a frame of `len` bytes is. `frame` is its beginning, with all its headers, and no longer than `len`.
pub(crate) fn classify_bytes(frame: &[u8], len: usize) -> Kind {
    let start = if is_priority_tagged(frame) { ETHERNET + VLAN } else { ETHERNET };
    if frame.len() < start || be16(frame, start - 2) != wire::TYPE_IPV4 {
        return Kind::Stranger;
    }
    match Ipv4::parse(&frame[start..], len.saturating_sub(start)) {
        Err(_) => Kind::Bad,
        Ok(ip) if ip.protocol != wire::PROTO_UDP => Kind::Stranger,
        Ok(ip) => {
            let skew = start + usize::from(ip.header_len) - HEADERS;
            let mut front = [0; FRONT];
            let here = &frame[HEADERS.min(frame.len())..frame.len().min(HEAD)];
            front[..here.len()].copy_from_slice(here);
            let packet = Packet { ip, tos: frame[start + 1], skew, front };
            if ip.is_whole() { Kind::Single(packet) } else { Kind::Fragment(packet) }
        }
    }
}

/// Where the IPv4 packet with UDP ends in a frame of `len` bytes. `None`: the frame has none. `frame` is its
/// beginning, with all its headers, and no longer than `len`.
pub fn packet_end(frame: &[u8], len: usize) -> Option<usize> {
    match classify_bytes(frame, len) {
        Kind::Single(packet) | Kind::Fragment(packet) => {
            Some(HEADERS + packet.skew + usize::from(packet.ip.payload_len))
        }
        Kind::Stranger | Kind::Bad => None,
    }
}

/// Whether a frame has a VLAN tag that names no VLAN. Such a frame is of the same network as one without a
/// tag.
fn is_priority_tagged(frame: &[u8]) -> bool {
    frame.len() >= ETHERNET + VLAN && be16(frame, 12) == TYPE_VLAN && be16(frame, 14) & VLAN_ID == 0
}

/// Whether a frame is of a kind that makes sense here: IPv4 with a good checksum, IPv6, or ARP.
pub(crate) fn is_known<M: SlotMemory>(head: &Head, frame: Received<&M::Slots>, memory: &M) -> bool {
    let (bytes, n) = beginning(head, frame, memory);
    wire::is_known(&bytes[..n], frame.len.into())
}

/// The bytes that a frame begins with, and how many of them it has. They are as many as headers can have.
fn beginning<M: SlotMemory>(head: &Head, frame: Received<&M::Slots>, memory: &M) -> ([u8; LONGEST], usize) {
    let mut bytes = [0; LONGEST];
    bytes[..HEAD].copy_from_slice(head);
    let behind = frame.payload_len().min(LONGEST - HEADERS).saturating_sub(FRONT);
    bytes[HEAD..HEAD + behind].copy_from_slice(memory.bytes(frame.slots, frame.at + FRONT, behind));
    (bytes, LONGEST.min(frame.len.into()))
}

/// What is left of the headers of a frame after the frame below has reached them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remains {
    head: Head,
    /// Bytes at the start that were overwritten.
    gone: usize,
}

/// Where the fields of an IPv4 header lie in a [`Head`].
const SOURCE: usize = ETHERNET + 12;
const DESTINATION: usize = ETHERNET + 16;

impl Remains {
    /// The remains in this head, whose first `gone` bytes are another frame's.
    pub(crate) fn new(head: Head, gone: usize) -> Self {
        Self { head, gone: gone.min(HEADERS) }
    }

    /// The source and destination address, if they are left.
    pub(crate) fn addresses(&self) -> Option<(u32, u32)> {
        let field = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| self.head[at + i]));
        (self.gone <= SOURCE).then(|| (field(SOURCE), field(DESTINATION)))
    }

    /// The packet, if its whole IPv4 header is left, and has no options. The Ethernet type may be gone: it
    /// was IPv4's if a header with a good checksum stands behind it. `available` is a bound of the packet's
    /// length.
    pub(crate) fn packet(&self, available: usize) -> Option<Packet> {
        let ip = Ipv4::parse(&self.head[ETHERNET..HEADERS], available).ok()?;
        let plain =
            self.gone <= ETHERNET && usize::from(ip.header_len) == IPV4 && ip.protocol == wire::PROTO_UDP;
        let front = front(&self.head);
        plain.then_some(Packet { ip, tos: self.head[ETHERNET + 1], skew: 0, front })
    }

    /// Whether nothing that is left contradicts that this was the fragment at `offset` of some UDP datagram,
    /// with `len` bytes of IP payload, the flag `more`, and no options. A header that is left as a whole has
    /// to be good, too.
    pub(crate) fn may_be_at(&self, offset: u32, len: u16, more: bool) -> bool {
        let mut wanted = [0; IPV4];
        let (src, dst, id) = (0, 0, 0);
        let ip = Ipv4 {
            src,
            dst,
            id,
            protocol: wire::PROTO_UDP,
            ttl: 0,
            more,
            offset,
            header_len: IPV4 as u8,
            payload_len: len,
        };
        ip.emit(&mut wanted);
        let here = &self.head[ETHERNET..HEADERS];
        // Version and header length, total length, flags and offset, protocol. The flag "don't fragment" may
        // be set or not.
        let fields = [(0, 0xff), (2, 0xff), (3, 0xff), (6, 0xbf), (7, 0xff), (9, 0xff)];
        let agrees =
            |&(at, mask): &(usize, u8)| ETHERNET + at < self.gone || (here[at] ^ wanted[at]) & mask == 0;
        fields.iter().all(agrees)
            && (self.gone > ETHERNET || Ipv4::parse(here, HEADERS + usize::from(len)).is_ok())
    }

    /// Whether nothing that is left contradicts that this was the fragment at `offset`, with `len` bytes of
    /// IP payload and the flag `more`, of the same datagram as `packet`.
    ///
    /// All other fields are taken to be those of `packet`, as one sender writes them, and the flag "don't
    /// fragment" to be clear. So a header checksum that is left tells whether the identification was the
    /// same, also where the identification itself is gone. A fragment that a router marked on its way
    /// contradicts then, although it is of this datagram.
    pub(crate) fn may_be_of(&self, packet: &Packet, offset: u32, len: u16, more: bool) -> bool {
        let mut ip = [0; IPV4];
        Ipv4 { offset, more, payload_len: len, header_len: IPV4 as u8, ..packet.ip }.emit(&mut ip);
        ip[1] = packet.tos;
        ip[10..12].fill(0);
        let sum = checksum::header(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.iter().enumerate().all(|(i, b)| ETHERNET + i < self.gone || self.head[ETHERNET + i] == *b)
    }
}
