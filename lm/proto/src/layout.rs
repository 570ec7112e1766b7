//! [`Layout`]: how a datagram is cut into fragments, and where headers, payload and end tag lie.
//! The paper calls this application-level fragmentation (ALF).
//!
//! ```text
//! 7168 bytes at MTU 1500      hole 44      1472   hole 36  1480   hole 36  1480   36  1480   36  1256   tag
//!                        |2|eth|ip|udp|..payload..|2|eth|ip|....|2|eth|ip|....|...
//! ```
//! A hole is 2 bytes of alignment, 14 of Ethernet and 20 of IPv4; the first also holds the UDP header's 8
//! (paper, section 3.1). Every fragment but the last carries exactly one *stride* of IP payload.
//!
//! Behind the UDP datagram comes the end tag ([`crate::tag`]). That is the *surplus area* of RFC 9868, which
//! IPv4 stacks without UDP options ignore. Where the tag lies is a function of UDP length and MTU only:
//!
//! 1. right behind the UDP datagram, if then the last fragment ends outside the *guard*;
//! 2. else at the next multiple of the stride, in a fragment of its own.
//!
//! The guard is the last [`HEADERS`] bytes of a stride. A last fragment that ended there would, when it
//! lands, overwrite the header of the datagram that landed before. If a tag does not fit into 65,515 bytes of
//! IP payload (above 65,499 bytes of payload at MTU 1500), it travels behind the IP packet, in the trailer of
//! the last frame, which Ethernet carries and every IPv4 stack removes. If it would end in the guard there
//! too (never at MTU 1500), there is no tag.

use crate::wire::{ETHERNET, FCS, HEADERS, IPV4, MAX_IP_PAYLOAD, MAX_PAYLOAD, MIN_FRAME, UDP};

/// Bytes of an end tag.
pub const TAG: usize = 8;
/// Bytes of a hole in front of every fragment but the first: alignment, Ethernet, IPv4.
pub const HOLE: usize = ALIGNMENT + HEADERS;
/// Bytes of the first hole: the UDP header too.
pub const FIRST_HOLE: usize = HOLE + UDP;
/// Bytes in front of each Ethernet header, so that the IP header lies at a multiple of four.
pub const ALIGNMENT: usize = 2;

/// What an MTU makes of fragments and frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    mtu: u16,
    stride: u16,
}

/// An MTU outside 576..=9216.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMtu(pub u16);

impl std::fmt::Display for BadMtu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "MTU {} is outside {}..={}: choose one that every node of the link uses",
            self.0,
            Geometry::MIN_MTU,
            Geometry::MAX_MTU
        )
    }
}

impl std::error::Error for BadMtu {}

/// IP payload of a full fragment at this MTU behind an IP header of this length, bytes: a multiple of 8,
/// because RFC 791 counts offsets in units of 8.
pub const fn full_payload(mtu: usize, header: usize) -> usize {
    mtu.saturating_sub(header) & !7
}

/// The same behind a header without options. For those who have no [`Geometry`], as their MTU need not be one
/// that datagrams are sent at.
pub const fn stride(mtu: u16) -> u16 {
    full_payload(mtu as usize, IPV4) as u16
}

impl Geometry {
    /// The smallest MTU taken: every IPv4 host accepts it (RFC 791).
    pub const MIN_MTU: u16 = 576;
    /// The largest: the usual jumbo frame of gigabit cards.
    pub const MAX_MTU: u16 = 9216;
    /// Plain Ethernet.
    pub const ETHERNET: Self = Self { mtu: 1500, stride: stride(1500) };

    /// The geometry of an MTU, in bytes of IP packet: 576 to 9216.
    ///
    /// ```
    /// use lm_proto::layout::Geometry;
    /// assert_eq!(Geometry::new(1500).map(Geometry::stride), Ok(1480));
    /// assert!(Geometry::new(500).unwrap_err().to_string().contains("576"));
    /// ```
    ///
    /// # Errors
    /// [`BadMtu`]: the MTU is not in 576 to 9216.
    pub fn new(mtu: u16) -> Result<Self, BadMtu> {
        if !(Self::MIN_MTU..=Self::MAX_MTU).contains(&mtu) {
            return Err(BadMtu(mtu));
        }
        Ok(Self { mtu, stride: stride(mtu) })
    }

    /// Bytes of an IP packet at most.
    pub fn mtu(self) -> u16 {
        self.mtu
    }

    /// IP payload of every fragment but the last, bytes: a multiple of 8.
    #[inline]
    pub fn stride(self) -> usize {
        usize::from(self.stride)
    }

    /// Bytes of the frame around a full fragment.
    #[inline]
    pub fn full_frame(self) -> usize {
        HEADERS + self.stride()
    }

    /// Bytes of the longest frame that a packet of this MTU makes: a last fragment, or a datagram in one
    /// frame, may be a few bytes longer than a stride.
    #[inline]
    pub fn longest_frame(self) -> usize {
        ETHERNET + usize::from(self.mtu)
    }

    /// The longest frame that may follow below a slot without touching the headers of the frame in it.
    #[inline]
    pub fn reach(self) -> usize {
        self.stride()
    }

    /// Fragments of the largest datagram.
    pub fn max_fragments(self) -> usize {
        MAX_IP_PAYLOAD.div_ceil(self.stride())
    }

    /// Bytes of a send buffer that holds any datagram, holes included.
    pub fn buffer_len(self) -> usize {
        MAX_IP_PAYLOAD + TAG + self.max_fragments() * HOLE
    }

    /// Where the IP payload of fragment `index` starts in a send buffer.
    #[inline]
    pub fn block(self, index: usize) -> usize {
        index * (self.stride() + HOLE) + HOLE
    }

    /// Whether IP payload of `len` bytes in a frame that starts a landing would reach the header above.
    #[inline]
    fn in_guard(self, len: usize) -> bool {
        len > self.stride() - HEADERS
    }
}

/// How one datagram lies in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    geometry: Geometry,
    udp_len: u32,
    ip_len: u32,
    /// IP payload and trailer.
    landed_len: u32,
    fragments: u16,
    tag: Option<u32>,
}

impl Layout {
    /// The layout of `payload` bytes as LM sends them; `None` above 65,507.
    ///
    /// ```
    /// use lm_proto::layout::{Geometry, Layout};
    /// let layout = Layout::new(Geometry::ETHERNET, 7168).expect("it is no longer than a datagram");
    /// let pieces: Vec<_> = (0..layout.fragments()).map(|i| layout.piece(i).len()).collect();
    /// assert_eq!(pieces, [1472, 1480, 1480, 1480, 1256], "as in the paper");
    /// ```
    pub fn new(geometry: Geometry, payload: usize) -> Option<Self> {
        (payload <= MAX_PAYLOAD).then(|| Self::of_udp(geometry, payload + UDP))
    }

    /// The layout of a UDP datagram of `udp_len` bytes as LM sends it. `udp_len` is at most 65,515.
    #[inline]
    pub fn of_udp(geometry: Geometry, udp_len: usize) -> Self {
        let stride = geometry.stride();
        if udp_len + TAG <= stride - HEADERS {
            // One frame, and without a division.
            let (udp, all) = (udp_len as u32, (udp_len + TAG) as u32);
            return Self {
                geometry,
                udp_len: udp,
                ip_len: all,
                landed_len: all,
                fragments: 1,
                tag: Some(udp),
            };
        }
        let rest = udp_len % stride;
        let up = if rest == 0 { udp_len } else { udp_len - rest + stride };
        let tag = if geometry.in_guard(rest + TAG) { up } else { udp_len };
        let (tag, ip_len) = if tag + TAG <= MAX_IP_PAYLOAD {
            (Some(tag as u32), tag + TAG)
        } else if tag == udp_len && rest != 0 {
            (Some(tag as u32), udp_len)
        } else if (geometry.in_guard(rest) || rest == 0) && up + TAG <= MAX_IP_PAYLOAD {
            (None, up + TAG)
        } else {
            (None, udp_len)
        };
        Self {
            geometry,
            udp_len: udp_len as u32,
            ip_len: ip_len as u32,
            landed_len: tag.map_or(ip_len as u32, |tag| tag + TAG as u32),
            fragments: ip_len.div_ceil(stride) as u16,
            tag,
        }
    }

    /// Where the tag of [`Layout::of_udp`] starts if that has one and this many fragments, without a
    /// division: the matcher's question.
    #[inline]
    pub fn fit_tag(geometry: Geometry, udp_len: usize, fragments: usize) -> Option<usize> {
        let stride = geometry.stride();
        let base = fragments.wrapping_sub(1).wrapping_mul(stride);
        let rest = udp_len.wrapping_sub(base);
        let tag = if rest <= stride - TAG - HEADERS {
            udp_len
        } else if base.wrapping_sub(udp_len) < HEADERS + TAG && fragments > 1 {
            base
        } else {
            return None;
        };
        // In the trailer if it does not fit elsewhere.
        (tag + TAG <= MAX_IP_PAYLOAD || (tag == udp_len && rest != 0)).then_some(tag)
    }

    /// [`Layout::of_udp`] if that has `fragments` of them, most often without a division.
    #[inline]
    pub fn fit(geometry: Geometry, udp_len: usize, fragments: usize) -> Option<Self> {
        let Some(tag) = Self::fit_tag(geometry, udp_len, fragments) else {
            // Not with a tag; rare, and nearly always no fit at all.
            return Self::fit_untagged(geometry, udp_len, fragments);
        };
        Some(Self {
            geometry,
            udp_len: udp_len as u32,
            ip_len: if tag + TAG <= MAX_IP_PAYLOAD { tag + TAG } else { udp_len } as u32,
            landed_len: (tag + TAG) as u32,
            fragments: fragments as u16,
            tag: Some(tag as u32),
        })
    }

    #[cold]
    fn fit_untagged(geometry: Geometry, udp_len: usize, fragments: usize) -> Option<Self> {
        if udp_len > MAX_IP_PAYLOAD {
            return None;
        }
        let layout = Self::of_udp(geometry, udp_len);
        (layout.fragments() == fragments).then_some(layout)
    }

    /// The layout of a UDP datagram as any other stack sends it: nothing behind it.
    #[inline]
    pub fn plain(geometry: Geometry, udp_len: usize) -> Self {
        Self {
            geometry,
            udp_len: udp_len as u32,
            ip_len: udp_len as u32,
            landed_len: udp_len as u32,
            fragments: udp_len.div_ceil(geometry.stride()) as u16,
            tag: None,
        }
    }

    /// UDP header and payload, bytes.
    pub fn udp_len(&self) -> usize {
        self.udp_len as usize
    }

    /// The IP payload of the datagram: UDP, padding, tag unless that is in the trailer.
    pub fn ip_len(&self) -> usize {
        self.ip_len as usize
    }

    /// How many fragments (1: not fragmented).
    #[inline]
    pub fn fragments(&self) -> usize {
        usize::from(self.fragments)
    }

    /// Where the end tag starts, from the start of the IP payload.
    #[inline]
    pub fn tag(&self) -> Option<usize> {
        self.tag.map(|t| t as usize)
    }

    /// Bytes behind the headers of fragment `index`: its IP payload, and a trailer if it has one.
    #[inline]
    pub fn fragment_len(&self, index: usize) -> usize {
        let stride = self.geometry.stride();
        (self.landed_len as usize).saturating_sub(index * stride).min(stride)
    }

    /// Bytes of IP payload in fragment `index`.
    pub fn ip_fragment_len(&self, index: usize) -> usize {
        let stride = self.geometry.stride();
        (self.ip_len as usize).saturating_sub(index * stride).min(stride)
    }

    /// Where the UDP payload of fragment `index` lies in it: nothing of headers, padding or tag.
    #[inline]
    pub fn piece(&self, index: usize) -> std::ops::Range<usize> {
        let stride = self.geometry.stride();
        let end = (self.udp_len as usize).saturating_sub(index * stride).min(stride);
        let start = if index == 0 { UDP } else { 0 };
        start..end.max(start)
    }

    /// Whether a frame of `len` bytes can be the last fragment's: exact, or padded to the minimum (less a
    /// stripped VLAN tag), either with a frame check sequence behind it or without.
    #[inline]
    pub fn ends_with(&self, len: usize) -> bool {
        let exact = HEADERS + self.fragment_len(self.fragments() - 1);
        len == exact || len == exact + FCS || (len > exact && len <= MIN_FRAME + FCS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_example() {
        let g = Geometry::ETHERNET;
        let l = Layout::new(g, 7168).expect("fits");
        let pieces: Vec<_> = (0..l.fragments()).map(|i| l.piece(i).len()).collect();
        assert_eq!(pieces, [1472, 1480, 1480, 1480, 1256]);
        assert_eq!((FIRST_HOLE, HOLE), (44, 36));
        assert_eq!(g.block(1), 44 + 1472 + 36);
    }

    /// Every length at several MTUs: the rules of the module's doc, checked one by one.
    #[test]
    fn every_length_keeps_the_rules() {
        for mtu in [576, 577, 1006, 1280, 1492, 1500, 4000, 9000, 9216] {
            let g = Geometry::new(mtu).expect("valid");
            let s = g.stride();
            for payload in 0..=MAX_PAYLOAD {
                let l = Layout::new(g, payload).expect("fits");
                let udp = payload + UDP;
                assert!(l.ip_len() >= udp && l.ip_len() <= MAX_IP_PAYLOAD);
                let sum: usize = (0..l.fragments()).map(|i| l.ip_fragment_len(i)).sum();
                assert_eq!(sum, l.ip_len());
                let pieces: usize = (0..l.fragments()).map(|i| l.piece(i).len()).sum();
                assert_eq!(pieces, payload);
                let last = l.fragment_len(l.fragments() - 1);
                if let Some(t) = l.tag() {
                    assert_eq!(t + TAG, l.landed_len as usize);
                    assert!(t + TAG == l.ip_len() || (t == l.ip_len() && t + TAG > MAX_IP_PAYLOAD));
                    assert_eq!(t / s, (t + TAG - 1) / s, "tag split at {payload}");
                    assert!(last + HEADERS <= s, "guard broken at {payload}, MTU {mtu}");
                } else {
                    assert!(udp + TAG > MAX_IP_PAYLOAD || udp.next_multiple_of(s) + TAG > MAX_IP_PAYLOAD);
                }
            }
        }
    }

    #[test]
    fn fit_is_of_udp() {
        for mtu in [576, 1500, 9000] {
            let g = Geometry::new(mtu).expect("valid");
            for udp in UDP..=MAX_IP_PAYLOAD {
                let l = Layout::of_udp(g, udp);
                for n in l.fragments().saturating_sub(2)..l.fragments() + 3 {
                    let want = (n == l.fragments()).then_some(l);
                    assert_eq!(Layout::fit(g, udp, n), want, "{udp} bytes, {n} fragments, MTU {mtu}");
                }
            }
        }
    }

    #[test]
    fn at_mtu_1500_there_is_always_a_tag_and_the_guard_always_holds() {
        let g = Geometry::ETHERNET;
        for payload in 0..=MAX_PAYLOAD {
            let l = Layout::new(g, payload).expect("fits");
            let tag = l.tag().expect("a tag");
            assert_eq!(tag + TAG <= l.ip_len(), payload <= 65_499, "in the IP payload, not in the trailer");
            assert!(!g.in_guard(l.fragment_len(l.fragments() - 1)));
        }
    }

    #[test]
    fn mtu_bounds() {
        assert_eq!(Geometry::new(575), Err(BadMtu(575)));
        assert_eq!(Geometry::new(9217), Err(BadMtu(9217)));
        assert_eq!(Geometry::new(1500), Ok(Geometry::ETHERNET));
    }
}
