//! `bare`: frames into a queue and out of one, and nothing else. It is the bound that no stack can beat.
//!
//! The frames have the length of those that LM sends for the payload, tag included. Nothing is computed,
//! nothing verified.

use lm_proto::layout::{Geometry, Layout, TAG};
use lm_proto::wire::{ETHERNET, HEADERS, TYPE_IPV4, UDP, ethernet};
use rte::port::PortId;
use rte::{Burst, Eal};

use super::headers::{read_headers, write_headers};
use super::interface::{Action, Kind, Open, Transport};
use super::settings::Settings;
use super::stock_port::{BURST, StockPort};
use super::wire_bytes::on_wire;

/// Frames, and nothing else.
pub(super) static KIND: Kind = Kind {
    name: "bare",
    help: "frames from DPDK's queues and back, nothing else; one frame",
    is_polled: true,
    open: Open::Port(|eal, id, settings| Ok(Box::new(Bare::open(eal, id, settings)?))),
};

struct Bare {
    burst: Burst<BURST>,
    geometry: Geometry,
    /// The headers of frames with this payload.
    template: (usize, [u8; HEADERS + UDP]),
    port: StockPort,
}

impl Bare {
    fn open(eal: &Eal, id: PortId, settings: &Settings) -> Result<Self, String> {
        let port = StockPort::open(eal, id, settings)?;
        let geometry = Geometry::new(settings.port.mtu).map_err(|e| e.to_string())?;
        Ok(Self { burst: Burst::new(), geometry, template: (usize::MAX, [0; HEADERS + UDP]), port })
    }

    fn headers(&mut self, payload: usize) -> &[u8] {
        let (of, bytes) = &mut self.template;
        if *of != payload {
            let mut packet = vec![0; HEADERS - ETHERNET + UDP + payload];
            write_headers(&mut packet, &self.port.ours, 0, 0);
            if let Some(head) = bytes.first_chunk_mut() {
                ethernet(head, self.port.peer, self.port.mac, TYPE_IPV4);
            }
            bytes[ETHERNET..].copy_from_slice(&packet[..HEADERS - ETHERNET + UDP]);
            *of = payload;
        }
        bytes
    }
}

impl Transport for Bare {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn wire(&self) -> String {
        self.port.driver.clone()
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
        if !self.port.is_up() || !self.port.flush() {
            return false;
        }
        let Some(mut frame) = self.port.pool.alloc() else {
            self.port.reclaim();
            return false;
        };
        let Some(to) = frame.append((HEADERS + UDP + payload.len() + TAG) as u16) else { return false };
        to[..HEADERS + UDP].copy_from_slice(self.headers(payload.len()));
        to[HEADERS + UDP..][..payload.len()].copy_from_slice(payload);
        to[HEADERS + UDP + payload.len()..].fill(0);
        self.port.stage(frame);
        self.port.flush();
        true
    }

    fn poll(&mut self, look: &mut dyn FnMut(&[u8]) -> Action) -> usize {
        if !self.port.flush() {
            return 0;
        }
        let mut burst = std::mem::take(&mut self.burst);
        let found = self.port.receive(&mut burst);
        for mut frame in burst.drain() {
            let Some(bytes) = frame.data_mut() else { continue };
            let available = bytes.len().saturating_sub(ETHERNET);
            let Some((flow, udp)) = read_headers(bytes, available) else { continue };
            if flow != self.port.ours.reversed() {
                continue;
            }
            if self.port.peer == lm_proto::wire::BROADCAST {
                self.port.learn(bytes);
                self.template.0 = usize::MAX;
            }
            if look(&bytes[HEADERS + UDP..HEADERS + usize::from(udp.len)]) == Action::Echo {
                let (to, from) = bytes.split_at_mut(6);
                to.swap_with_slice(&mut from[..6]);
                let (src, dst) = bytes[26..34].split_at_mut(4);
                src.swap_with_slice(dst);
                let (src, dst) = bytes[34..38].split_at_mut(2);
                src.swap_with_slice(dst);
                self.port.stage(frame);
            }
        }
        self.burst = burst;
        self.port.flush();
        found
    }

    fn flush(&mut self) {
        self.port.flush();
    }

    fn copied(&self) -> u64 {
        0
    }

    fn set_in_round(&mut self, _: bool) {}

    fn close(self: Box<Self>) {
        self.port.close();
    }
}
