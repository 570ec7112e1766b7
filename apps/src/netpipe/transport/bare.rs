//! `bare`: frames into a queue and out of one, and nothing else: what is left when everything is taken away.
//!
//! The frames have the length of those that LM sends for the payload, tag included. Nobody computes or verifies anything.

use lm_proto::layout::{Geometry, Layout, TAG};
use lm_proto::wire::{ETHERNET, HEADERS, TYPE_IPV4, UDP, ethernet};
use rte::port::PortId;
use rte::{Burst, Eal};

use super::plain::{BURST, Plain, read_headers, write_headers};
use super::{Kind, Then, Transport, on_wire};
use crate::netpipe::options::Options;

pub(super) struct Bare {
    kind: &'static Kind,
    burst: Burst<BURST>,
    geometry: Geometry,
    /// The headers of frames with this payload.
    template: (usize, [u8; HEADERS + UDP]),
    plain: Plain,
}

impl Bare {
    pub(super) fn open(
        eal: &Eal,
        id: PortId,
        kind: &'static Kind,
        options: &Options,
    ) -> Result<Self, String> {
        let plain = Plain::open(eal, id, options)?;
        let geometry = Geometry::new(options.port.mtu).map_err(|e| e.to_string())?;
        Ok(Self { kind, burst: Burst::new(), geometry, template: (usize::MAX, [0; HEADERS + UDP]), plain })
    }

    fn headers(&mut self, payload: usize) -> &[u8] {
        let (of, bytes) = &mut self.template;
        if *of != payload {
            let mut packet = vec![0; HEADERS - ETHERNET + UDP + payload];
            write_headers(&mut packet, &self.plain.ours, 0, 0);
            if let Some(head) = bytes.first_chunk_mut() {
                ethernet(head, self.plain.peer, self.plain.mac, TYPE_IPV4);
            }
            bytes[ETHERNET..].copy_from_slice(&packet[..HEADERS - ETHERNET + UDP]);
            *of = payload;
        }
        bytes
    }
}

impl Transport for Bare {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn wire(&self) -> String {
        self.plain.driver.clone()
    }

    fn limit(&self) -> usize {
        // What LM sends in one frame: with a tag, and clear of the guard.
        (1..self.geometry.stride())
            .rev()
            .find(|&n| Layout::new(self.geometry, n).is_some_and(|l| l.fragments() == 1))
            .unwrap_or(0)
    }

    fn wire_bytes(&self, payload: usize) -> usize {
        on_wire(std::iter::once(HEADERS + UDP + payload + TAG))
    }

    fn send(&mut self, payload: &[u8]) -> bool {
        if !self.plain.is_up() || !self.plain.flush() {
            return false;
        }
        let Some(mut frame) = self.plain.pool.alloc() else {
            self.plain.reclaim();
            return false;
        };
        let Some(to) = frame.append((HEADERS + UDP + payload.len() + TAG) as u16) else { return false };
        to[..HEADERS + UDP].copy_from_slice(self.headers(payload.len()));
        to[HEADERS + UDP..][..payload.len()].copy_from_slice(payload);
        to[HEADERS + UDP + payload.len()..].fill(0);
        self.plain.stage(frame);
        self.plain.flush();
        true
    }

    fn poll(&mut self, look: &mut dyn FnMut(&[u8]) -> Then) -> usize {
        if !self.plain.flush() {
            return 0;
        }
        let mut burst = std::mem::take(&mut self.burst);
        let found = self.plain.receive(&mut burst);
        for mut frame in burst.drain() {
            let Some(bytes) = frame.data_mut() else { continue };
            let available = bytes.len().saturating_sub(ETHERNET);
            let Some((flow, udp)) = read_headers(bytes, available) else { continue };
            if flow != self.plain.ours.reversed() {
                continue;
            }
            if self.plain.peer == lm_proto::wire::BROADCAST {
                self.plain.learn(bytes);
                self.template.0 = usize::MAX;
            }
            if look(&bytes[HEADERS + UDP..HEADERS + usize::from(udp.len)]) == Then::Echo {
                let (to, from) = bytes.split_at_mut(6);
                to.swap_with_slice(&mut from[..6]);
                let (src, dst) = bytes[26..34].split_at_mut(4);
                src.swap_with_slice(dst);
                let (src, dst) = bytes[34..38].split_at_mut(2);
                src.swap_with_slice(dst);
                self.plain.stage(frame);
            }
        }
        self.burst = burst;
        self.plain.flush();
        found
    }

    fn flush(&mut self) {
        self.plain.flush();
    }

    fn copied(&self) -> u64 {
        0
    }

    fn rest(&mut self, _: bool) {}

    fn close(self: Box<Self>) {
        self.plain.close();
    }
}
