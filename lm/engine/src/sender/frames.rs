//! Makes the mbufs of datagrams that fit in one frame and are copied behind their headers.
//!
//! [`Sender`] calls it for small payloads and for messages that are cheaper to copy than to point at. The
//! caller says up to which length. Without a free mbuf nothing changes, and the caller gets `None`.

use lm_proto::alf::{ChecksumMode, Ends};
use lm_proto::carried::Carried;
use lm_proto::checksum;
use lm_proto::layout::Layout;
use lm_proto::stencil::{Stencil, single_frame};
use lm_proto::wire::{Flow, HEADERS, UDP};
use rte::Mbuf;

use super::Sender;

impl Sender {
    /// A datagram of one frame as one mbuf, with its payload copied behind the headers. `None`: the frame
    /// would be longer than `most` bytes, or there is no mbuf for it. If a checksum was `carried` with the
    /// payload, it is sent, and the payload is not summed.
    pub(super) fn small(
        &mut self,
        payload: &[u8],
        carried: Option<(&Carried, &Flow)>,
        ends: &Ends,
        most: usize,
    ) -> Option<Mbuf> {
        let len = single_frame(self.config.geometry, payload.len()).filter(|&len| len <= most)?;
        if !self.stencil.is_for(ends) {
            self.stencil = Stencil::new(ends);
        }
        let mut frame = self.headers.alloc()?;
        let (headers, to) = frame.append(len as u16)?.split_first_chunk_mut()?;
        let (to, tag) = to.split_last_chunk_mut()?;
        let checksum = match (self.config.checksum, carried) {
            (ChecksumMode::Full, None) => {
                checksum::udp(&ends.flow, (UDP + payload.len()) as u16, checksum::copy_sum(to, payload))
            }
            (mode, carried) => {
                to.copy_from_slice(payload);
                let carried = carried.filter(|_| mode == ChecksumMode::Full);
                carried.map_or(0, |(carried, from)| carried.checksum(from, &ends.flow))
            }
        };
        let id = self.next_id();
        (*headers, *tag) = self.stencil.seal(payload.len(), id, checksum);
        self.stats.inlined += 1;
        Some(frame)
    }

    pub(super) fn next_id(&mut self) -> u16 {
        self.id = self.id.wrapping_add(1);
        self.id
    }

    /// An mbuf for the bytes of a datagram's only frame, if they are no more than `most` and an mbuf with
    /// room for them is free.
    pub(super) fn inline(&mut self, layout: &Layout, most: usize) -> Option<Mbuf> {
        if layout.fragments() > 1 {
            return None;
        }
        let len = HEADERS + layout.fragment_len(0);
        if len > most {
            return None;
        }
        let mut mbuf = self.headers.alloc()?;
        mbuf.append(len as u16)?;
        self.stats.inlined += 1;
        Some(mbuf)
    }
}
