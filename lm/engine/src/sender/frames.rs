//! The frames of a datagram: headers, and small payloads behind them.

use lm_proto::alf::{ChecksumMode, Ends, Seal};
use lm_proto::checksum::{self, Digest};
use lm_proto::layout::Layout;
use lm_proto::wire::{HEADERS, UDP};
use rte::Mbuf;

use super::{INLINE, Sender};

impl Sender {
    /// The headers of a datagram whose pieces these are.
    pub(super) fn seal<'a>(
        &mut self,
        layout: Layout,
        ends: &Ends,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Seal {
        let digest = (self.config.checksum == ChecksumMode::Full).then(|| {
            let mut digest = Digest::new();
            pieces.for_each(|piece| digest.push(checksum::piece(piece)));
            digest
        });
        let id = self.next_id();
        Seal::new(self.config.geometry, layout, ends, id, digest.as_ref())
    }

    /// A datagram of one small frame as one mbuf, its payload copied behind the headers; `None`: it is
    /// larger, or there is no mbuf for it.
    pub(super) fn small(&mut self, payload: &[u8], ends: &Ends) -> Option<Mbuf> {
        // Of any length, that of an urgent one: beyond a datagram's there is no layout.
        if payload.len() > INLINE {
            return None;
        }
        let layout = Layout::of_udp(self.config.geometry, payload.len() + UDP);
        let mut frame = self.inline(&layout)?;
        let seal = self.seal(layout, ends, std::iter::once(payload));
        let (to, at) = (frame.data_mut()?, HEADERS + UDP);
        let behind = at + payload.len();
        let (headers, n) = seal.headers(0);
        to[..n].copy_from_slice(&headers[..n]);
        to[at..behind].copy_from_slice(payload);
        seal.tail(0, &mut to[behind..]);
        Some(frame)
    }

    /// A segment of headers for each fragment, last first, and one for what comes behind its payload.
    pub(super) fn heads(&self, seal: &Seal) -> Option<Vec<(Mbuf, Option<Mbuf>)>> {
        let layout = seal.layout();
        let mut heads = Vec::new();
        if !self.headers.alloc_many(layout.fragments() as u16, &mut heads) {
            return None;
        }
        (0..layout.fragments())
            .rev()
            .zip(heads)
            .map(|(i, mut head)| {
                let (bytes, len) = seal.headers(i);
                head.append(len as u16)?.copy_from_slice(&bytes[..len]);
                let behind =
                    (layout.fragment_len(i) - layout.piece(i).end.min(layout.fragment_len(i))) as u16;
                if behind == 0 {
                    return Some((head, None));
                }
                if layout.piece(i).is_empty() {
                    seal.tail(i, head.append(behind)?);
                    return Some((head, None));
                }
                let mut tail = self.headers.alloc()?;
                seal.tail(i, tail.append(behind)?);
                Some((head, Some(tail)))
            })
            .collect()
    }

    pub(super) fn next_id(&mut self) -> u16 {
        self.id = self.id.wrapping_add(1);
        self.id
    }

    /// An mbuf for the bytes of a datagram's only frame, if they are few and there is one with room for them.
    pub(super) fn inline(&mut self, layout: &Layout) -> Option<Mbuf> {
        if layout.fragments() > 1 {
            return None;
        }
        let len = HEADERS + layout.fragment_len(0);
        if len > INLINE {
            return None;
        }
        let mut mbuf = self.headers.alloc()?;
        mbuf.append(len as u16)?;
        self.stats.inlined += 1;
        Some(mbuf)
    }
}
