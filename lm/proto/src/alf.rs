//! Application-level fragmentation: payload into blocks, headers into holes.
//!
//! This is pure bookkeeping over a buffer that the caller owns. [`Blocks`] knows how far the buffer is
//! filled. It keeps the digest of the blocks that were copied in whole, so that nothing is summed twice.
//! [`Blocks::seal`] writes every header, the padding and the end tag. Then [`Layout`] and [`frame`] say what
//! to transmit.

use crate::carried::Claims;
use crate::checksum::{self, Digest, Piece};
use crate::layout::{Geometry, HOLE, Layout, TAG};
use crate::tag::Identity;
use crate::wire::{self, ETHERNET, Flow, Fragments, HEADERS, IPV4, Ipv4, MAX_PAYLOAD, Mac, UDP, Udp};
use std::ops::Range;

/// Whether the UDP checksum is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumMode {
    /// Over everything, and the order digest with it.
    #[default]
    Full,
    /// It is not computed, and the header has 0. Then a kernel cannot detect a wrong reassembly (RFC 4963).
    Zero,
}

/// The addresses of sender and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The sender's hardware address.
    pub src_mac: Mac,
    /// The receiver's, or the next hop's.
    pub dst_mac: Mac,
    /// Addresses and ports.
    pub flow: Flow,
}

impl Ends {
    /// The headers of each fragment of a datagram with this identification: the Ethernet header, and the IP
    /// header, in which only offset and length differ.
    pub(crate) fn headers(&self, id: u16) -> ([u8; ETHERNET], Fragments) {
        let mut ethernet = [0; ETHERNET];
        wire::ethernet(&mut ethernet, self.dst_mac, self.src_mac, wire::TYPE_IPV4);
        let ip = Ipv4 {
            src: self.flow.src,
            dst: self.flow.dst,
            id,
            protocol: wire::PROTO_UDP,
            ttl: TTL,
            header_len: IPV4 as u8,
            more: false,
            offset: 0,
            payload_len: 0,
        };
        (ethernet, Fragments::new(&ip))
    }
}

pub(crate) const TTL: u8 = 64;

/// The bookkeeping of a send buffer: how far it is filled, and what its blocks sum up to.
///
/// Full blocks are summed in order, and nothing is kept for each: their digest goes on from one to the next.
#[derive(Clone)]
pub struct Blocks {
    geometry: Geometry,
    len: usize,
    /// The digest of so many blocks, the first ones. All of them are full.
    digest: Digest,
    summed: usize,
    /// The last block, if it is not full and came at once, and its sums.
    last: Option<(usize, Piece)>,
}

impl Blocks {
    /// An empty buffer.
    pub fn new(geometry: Geometry) -> Self {
        Self { geometry, len: 0, digest: Digest::new(), summed: 0, last: None }
    }

    /// Bytes of payload so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no payload yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The geometry that the payload is cut by.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.geometry);
    }

    /// Bytes of payload that still fit.
    pub fn remaining(&self) -> usize {
        MAX_PAYLOAD - self.len
    }

    /// Which fragment the payload's byte `pos` travels in, and where in the buffer it and the rest of its
    /// block lie.
    fn place(&self, pos: usize) -> (usize, Range<usize>) {
        let at = pos + UDP;
        let (index, within) = (at / self.geometry.stride(), at % self.geometry.stride());
        let block = self.geometry.block(index);
        let room = (self.geometry.stride() - within).min(MAX_PAYLOAD - pos);
        (index, block + within..block + within + room)
    }

    /// Where the next bytes of payload go: as much as lies in one piece. Fill from the front, then
    /// [`Blocks::advance`].
    pub fn room(&self) -> Range<usize> {
        self.place(self.len).1
    }

    /// The next `n` bytes of payload were filled in place; at most what [`Blocks::room`] said is taken.
    pub fn advance(&mut self, n: usize) {
        self.len += n.min(self.room().len());
        self.last = None;
    }

    /// Copies payload into the blocks, as much as fits: bytes taken. Where a block comes at once, it is
    /// summed in the same pass, unless it may be all there is: one frame has no digest.
    pub fn fill(&mut self, buf: &mut [u8], data: &[u8], mode: ChecksumMode) -> usize {
        let stride = self.geometry.stride();
        let mut rest = &data[..data.len().min(self.remaining())];
        let taken = rest.len();
        let at = self.len + UDP;
        let (mut index, mut within) = (at / stride, at % stride);
        self.last = None;
        while !rest.is_empty() {
            let (from, behind) = rest.split_at(rest.len().min(stride - within));
            let start = self.geometry.block(index) + within;
            let to = &mut buf[start..start + from.len()];
            let begins = within == if index == 0 { UDP } else { 0 };
            let is_full = within + from.len() == stride;
            if mode == ChecksumMode::Full && begins && (is_full || index > 0) {
                let piece = checksum::copy_piece(to, from);
                if is_full {
                    self.sum_until(index, buf);
                    self.digest.push(piece);
                    self.summed = index + 1;
                } else {
                    self.last = Some((index, piece));
                }
            } else {
                to.copy_from_slice(from);
            }
            (index, within, rest) = (index + 1, 0, behind);
        }
        self.len += taken;
        taken
    }

    /// Sums the full blocks before this one that are not summed yet.
    #[inline]
    fn sum_until(&mut self, index: usize, buf: &[u8]) {
        while self.summed < index {
            let block = self.geometry.block(self.summed);
            let first = if self.summed == 0 { UDP } else { 0 };
            self.digest.push(checksum::piece(&buf[block + first..block + self.geometry.stride()]));
            self.summed += 1;
        }
    }

    /// Writes headers, padding and tag around the payload. `id` is the sender's next IP identification; it is
    /// used unless the datagram has no room for a tag, when the identification is the order digest.
    pub fn seal(&self, buf: &mut [u8], ends: &Ends, id: u16, mode: ChecksumMode) -> Layout {
        let claims = match mode {
            ChecksumMode::Full => self.claims(buf, &ends.flow),
            ChecksumMode::Zero => Claims::NONE,
        };
        self.seal_as(buf, ends, id, claims)
    }

    /// How the payload is cut.
    pub fn layout(&self) -> Layout {
        Layout::of_udp(self.geometry, self.len + UDP)
    }

    /// What the payload sums up to, for a datagram of this flow. What was summed when it was copied is not
    /// read again.
    pub fn claims(&self, buf: &[u8], flow: &Flow) -> Claims {
        let layout = self.layout();
        if layout.fragments() == 1 {
            // One frame has no order.
            return Claims::of_sum(flow, &layout, checksum::sum(&buf[self.block_of(&layout, 0)]));
        }
        Claims::of_digest(flow, &layout, &self.digest(buf))
    }

    /// The digest of the payload's pieces, likewise.
    pub fn digest(&self, buf: &[u8]) -> Digest {
        let (layout, mut digest) = (self.layout(), self.digest);
        for i in self.summed..layout.fragments() {
            digest.push(match self.last {
                Some((last, piece)) if last == i => piece,
                _ => checksum::piece(&buf[self.block_of(&layout, i)]),
            });
        }
        digest
    }

    /// Where piece `i` lies in the buffer.
    fn block_of(&self, layout: &Layout, i: usize) -> Range<usize> {
        let (block, piece) = (self.geometry.block(i), layout.piece(i));
        block + piece.start..block + piece.end
    }

    /// [`Blocks::seal`], with these claims about the payload.
    pub fn seal_as(&self, buf: &mut [u8], ends: &Ends, id: u16, claims: Claims) -> Layout {
        let layout = self.layout();
        let seal = Seal::new(self.geometry, layout, ends, id, claims);
        for i in 0..layout.fragments() {
            let frame = &mut buf[frame(self.geometry, &layout, i)];
            // A frame has room for its headers.
            let _ = seal.put_front(i, frame);
            let behind = HEADERS + layout.piece(i).end;
            if behind < frame.len() {
                seal.tail(i, &mut frame[behind..]);
            }
        }
        layout
    }
}

/// Everything of a datagram's frames that is not payload.
pub struct Seal {
    geometry: Geometry,
    layout: Layout,
    ethernet: [u8; ETHERNET],
    ip: Fragments,
    udp: [u8; UDP],
    tag: [u8; TAG],
}

impl Seal {
    /// Headers and tag of a datagram cut by `layout`, which say `claims` of its payload; `id` as for
    /// [`Blocks::seal`].
    pub fn new(geometry: Geometry, layout: Layout, ends: &Ends, id: u16, claims: Claims) -> Self {
        let flow = ends.flow;
        let len = layout.udp_len() as u16;
        let Claims { checksum, order } = claims;
        let udp = Udp { src_port: flow.src_port, dst_port: flow.dst_port, len, checksum };
        let id = order.filter(|_| layout.tag().is_none()).map_or(id, |order| order as u16);
        let identity = Identity { flow, ip_id: id, udp_len: len, udp_checksum: checksum };
        let tag = identity.tag(order);
        let (ethernet, ip) = ends.headers(id);
        Self { geometry, layout, ethernet, ip, udp: udp.bytes(), tag }
    }

    /// How the datagram is cut.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many bytes come in front of fragment `index`'s payload: the first has the UDP header too.
    #[inline]
    pub fn front(&self, index: usize) -> usize {
        if index == 0 { HEADERS + UDP } else { HEADERS }
    }

    /// Writes what comes in front of fragment `index`'s payload to the start of its frame. Returns whether
    /// there was room for it.
    #[inline]
    pub fn put_front(&self, index: usize, frame: &mut [u8]) -> bool {
        let Some((headers, behind)) = frame.split_first_chunk_mut::<HEADERS>() else { return false };
        let offset = (index * self.geometry.stride()) as u32;
        let more = index + 1 < self.layout.fragments();
        let ip = self.ip.header(offset, more, self.layout.ip_fragment_len(index) as u16);
        headers[..ETHERNET].copy_from_slice(&self.ethernet);
        headers[ETHERNET..].copy_from_slice(&ip);
        if index > 0 {
            return true;
        }
        behind.first_chunk_mut().map(|udp| *udp = self.udp).is_some()
    }

    /// What comes behind fragment `index`'s payload: padding and, in the last one, the tag. `to` is all that
    /// is left of the fragment.
    pub fn tail(&self, index: usize, to: &mut [u8]) {
        to.fill(0);
        if self.layout.tag().is_some()
            && index + 1 == self.layout.fragments()
            && let Some(to) = to.last_chunk_mut::<TAG>()
        {
            *to = self.tag;
        }
    }
}

/// Where frame `index` of a sealed datagram lies in its buffer.
pub fn frame(geometry: Geometry, layout: &Layout, index: usize) -> Range<usize> {
    let block = geometry.block(index);
    block - HEADERS..block + layout.fragment_len(index)
}

/// Where the payload of a sealed datagram lies in its buffer, piece by piece.
pub fn pieces(geometry: Geometry, layout: &Layout) -> impl Iterator<Item = Range<usize>> + '_ {
    (0..layout.fragments()).map(move |i| {
        let (block, piece) = (geometry.block(i), layout.piece(i));
        block + piece.start..block + piece.end
    })
}

const _: () = assert!(HOLE > HEADERS);

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> Ends {
        Ends {
            src_mac: [2, 0, 0, 0, 0, 1],
            dst_mac: [2, 0, 0, 0, 0, 2],
            flow: Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7000, dst_port: 9000 },
        }
    }

    fn payload(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
    }

    /// However the payload comes, the sealed frames are the same.
    #[test]
    fn every_way_of_filling_gives_the_same_frames() {
        const LENGTHS: [usize; 12] = [1473, 0, 8, 1, 1400, 1446, 1472, 7168, 16384, 65_499, 65_500, 65_507];
        let (mtus, lengths) = if cfg!(miri) { (1, 3) } else { (3, LENGTHS.len()) };
        for mtu in &[1500, 576, 9000][..mtus] {
            let g = Geometry::new(*mtu).expect("valid");
            for &len in &LENGTHS[..lengths] {
                let data = payload(len);
                let mut at_once = vec![0xaa; g.buffer_len()];
                let mut b = Blocks::new(g);
                assert_eq!(b.fill(&mut at_once, &data, ChecksumMode::Full), len);
                let l = b.seal(&mut at_once, &ends(), 77, ChecksumMode::Full);

                let mut in_bits = vec![0x55; g.buffer_len()];
                let mut c = Blocks::new(g);
                for part in data.chunks(333) {
                    assert_eq!(c.fill(&mut in_bits, part, ChecksumMode::Full), part.len());
                }
                assert_eq!(c.seal(&mut in_bits, &ends(), 77, ChecksumMode::Full), l);

                let mut in_place = vec![0; g.buffer_len()];
                let mut d = Blocks::new(g);
                while d.len() < len {
                    let room = d.room();
                    let n = room.len().min(len - d.len());
                    in_place[room.start..room.start + n].copy_from_slice(&data[d.len()..d.len() + n]);
                    d.advance(n);
                }
                d.seal(&mut in_place, &ends(), 77, ChecksumMode::Full);

                let mut mixed = vec![0x33; g.buffer_len()];
                let mut e = Blocks::new(g);
                // What was before is forgotten.
                e.fill(&mut mixed, &data, ChecksumMode::Full);
                e.clear();
                let (mut rest, mut step) = (&data[..], 0);
                while !rest.is_empty() {
                    let n = rest.len().min([100, 4000, 1, 1480, 2959, 700, 1480][step % 7]);
                    let (some, others) = rest.split_at(n);
                    if step % 3 == 2 {
                        // In place, as far as the block goes.
                        let n = some.len().min(e.room().len());
                        let room = e.room();
                        mixed[room.start..room.start + n].copy_from_slice(&some[..n]);
                        e.advance(n);
                        rest = &rest[n..];
                    } else {
                        let mode = if step % 5 == 3 { ChecksumMode::Zero } else { ChecksumMode::Full };
                        assert_eq!(e.fill(&mut mixed, some, mode), n);
                        rest = others;
                    }
                    step += 1;
                }
                e.seal(&mut mixed, &ends(), 77, ChecksumMode::Full);
                for i in 0..l.fragments() {
                    let f = frame(g, &l, i);
                    assert_eq!(at_once[f.clone()], in_bits[f.clone()], "{len} bytes, frame {i}");
                    assert_eq!(at_once[f.clone()], in_place[f.clone()], "{len} bytes, frame {i}");
                    assert_eq!(at_once[f.clone()], mixed[f], "{len} bytes, frame {i}");
                }
                let back: Vec<u8> = pieces(g, &l).flat_map(|r| at_once[r].to_vec()).collect();
                assert_eq!(back, data);
            }
        }
    }

    /// A last block that came at once is summed then; what comes behind it later counts, too.
    #[test]
    fn what_is_added_to_the_last_block_is_summed() {
        let (g, data) = (Geometry::ETHERNET, payload(1700));
        let mut at_once = vec![0; g.buffer_len()];
        let mut b = Blocks::new(g);
        b.fill(&mut at_once, &data, ChecksumMode::Full);
        b.seal(&mut at_once, &ends(), 77, ChecksumMode::Full);
        for in_place in [false, true] {
            let mut buf = vec![0; g.buffer_len()];
            let mut b = Blocks::new(g);
            b.fill(&mut buf, &data[..1600], ChecksumMode::Full);
            if in_place {
                let room = b.room();
                buf[room.start..room.start + 100].copy_from_slice(&data[1600..]);
                b.advance(100);
            } else {
                b.fill(&mut buf, &data[1600..], ChecksumMode::Full);
            }
            b.seal(&mut buf, &ends(), 77, ChecksumMode::Full);
            assert!(buf == at_once, "in place: {in_place}");
        }
    }

    #[test]
    fn it_takes_no_more_than_fits() {
        let g = Geometry::ETHERNET;
        let mut buf = vec![0; g.buffer_len()];
        let mut b = Blocks::new(g);
        assert_eq!(b.fill(&mut buf, &vec![7; 70_000], ChecksumMode::Zero), MAX_PAYLOAD);
        assert_eq!((b.remaining(), b.fill(&mut buf, &[1], ChecksumMode::Zero)), (0, 0));
        b.clear();
        assert!(b.is_empty());
    }
}
