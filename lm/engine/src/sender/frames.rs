//! The frames of a datagram: headers, and small payloads behind them.

use lm_proto::alf::{ChecksumMode, Ends, Seal};
use lm_proto::carried::{Carried, Claims};
use lm_proto::checksum;
use lm_proto::layout::Layout;
use lm_proto::wire::{Flow, HEADERS, UDP};
use rte::Mbuf;

use super::Sender;

impl Sender {
    /// A datagram of one frame of up to `most` bytes as one mbuf, its payload copied behind the headers;
    /// `None`: it is larger, or there is no mbuf for it. With what was `carried` of it, from whom, it is not
    /// summed.
    pub(super) fn small(
        &mut self,
        payload: &[u8],
        carried: Option<&(Carried, Flow)>,
        ends: &Ends,
        most: usize,
    ) -> Option<Mbuf> {
        // Of any length, that of an urgent one: beyond a datagram's there is no layout.
        if payload.len() > most {
            return None;
        }
        let layout = Layout::of_udp(self.config.geometry, payload.len() + UDP);
        let mut frame = self.inline(&layout, most)?;
        let (to, at) = (frame.data_mut()?, HEADERS + UDP);
        let behind = at + payload.len();
        let (flow, to_payload) = (&ends.flow, &mut to[at..behind]);
        let claims = match (self.config.checksum, carried) {
            (ChecksumMode::Full, None) => {
                Claims::of_sum(flow, &layout, checksum::copy_sum(to_payload, payload))
            }
            (mode, carried) => {
                to_payload.copy_from_slice(payload);
                carried.filter(|_| mode == ChecksumMode::Full).map_or(Claims::NONE, |(carried, from)| {
                    // In one frame there is no order.
                    Claims { checksum: carried.checksum(from, flow), order: None }
                })
            }
        };
        let id = self.next_id();
        let seal = Seal::new(self.config.geometry, layout, ends, id, claims);
        let (headers, n) = seal.headers(0);
        to[..n].copy_from_slice(&headers[..n]);
        seal.tail(0, &mut to[behind..]);
        Some(frame)
    }

    pub(super) fn next_id(&mut self) -> u16 {
        self.id = self.id.wrapping_add(1);
        self.id
    }

    /// An mbuf for the bytes of a datagram's only frame, if they are no more than `most` and there is one
    /// with room for them.
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
