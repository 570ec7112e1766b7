//! `bare` and `bare-sum`: frames are put into a queue and taken from a queue, and nothing else. No stack can
//! be faster.
//!
//! The frames are as long as LM's frames for the same payload, including the tag. `bare` computes nothing and
//! verifies nothing. `bare-sum` sums payloads as often as LM does: when a payload is copied and sent, when it
//! was received, and when it is echoed if echoes are to be summed anew.

use lm_proto::alf::ChecksumMode;
use lm_proto::checksum;
use lm_proto::layout::{Geometry, Layout, TAG};
use lm_proto::wire::{ETHERNET, HEADERS, TYPE_IPV4, UDP, Udp, ethernet};
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
    open: Open::Port(|eal, id, settings| Ok(Box::new(Bare::open(eal, id, settings, &KIND, false)?))),
};

/// Frames and sums.
pub(super) static SUM: Kind = Kind {
    name: "bare-sum",
    help: "the same, with LM's sums where --checksum has them",
    is_polled: true,
    open: Open::Port(|eal, id, settings| {
        let sums = settings.port.checksum == ChecksumMode::Full;
        Ok(Box::new(Bare::open(eal, id, settings, &SUM, sums)?))
    }),
};

/// Where a frame's UDP checksum is.
const CHECKSUM: usize = HEADERS + 6;

struct Bare {
    kind: &'static Kind,
    /// Sums are computed and verified.
    sums: bool,
    burst: Burst<BURST>,
    geometry: Geometry,
    /// The headers of frames with this payload.
    template: (usize, [u8; HEADERS + UDP]),
    port: StockPort,
}

impl Bare {
    fn open(
        eal: &Eal,
        id: PortId,
        settings: &Settings,
        kind: &'static Kind,
        sums: bool,
    ) -> Result<Self, String> {
        let port = StockPort::open(eal, id, settings)?;
        let geometry = Geometry::new(settings.port.mtu).map_err(|e| e.to_string())?;
        let template = (usize::MAX, [0; HEADERS + UDP]);
        Ok(Self { kind, sums, burst: Burst::new(), geometry, template, port })
    }

    /// Writes a frame's checksum, of a payload with this sum which ends at `end`.
    fn seal(&self, frame: &mut [u8], end: usize, sum: u64) {
        let sum = checksum::udp(&self.port.ours, (end - HEADERS) as u16, sum);
        frame[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// Whether the checksum of a received frame is right for its payload, which ends at `end`.
    fn is_good(&self, frame: &[u8], udp: &Udp, end: usize) -> bool {
        checksum::udp_ok(&self.port.ours.reversed(), udp, checksum::sum(&frame[HEADERS + UDP..end]))
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
        self.kind
    }

    fn wire(&self) -> String {
        self.port.driver.clone()
    }

    fn limit(&self) -> usize {
        // The largest payload that LM sends in one frame, with a tag and within the guard.
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
        let behind = HEADERS + UDP + payload.len();
        to[behind..].fill(0);
        if self.sums {
            let sum = checksum::copy_sum(&mut to[HEADERS + UDP..behind], payload);
            self.seal(to, behind, sum);
        } else {
            to[HEADERS + UDP..behind].copy_from_slice(payload);
        }
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
            let end = HEADERS + usize::from(udp.len);
            if self.sums && !self.is_good(bytes, &udp, end) {
                continue;
            }
            let action = look(&bytes[HEADERS + UDP..end]);
            if action.is_echo() {
                // With addresses and ports exchanged, the checksum stays the same.
                let (to, from) = bytes.split_at_mut(6);
                to.swap_with_slice(&mut from[..6]);
                let (src, dst) = bytes[26..34].split_at_mut(4);
                src.swap_with_slice(dst);
                let (src, dst) = bytes[34..38].split_at_mut(2);
                src.swap_with_slice(dst);
                if self.sums && action == Action::EchoAnew {
                    let sum = checksum::sum(&bytes[HEADERS + UDP..end]);
                    self.seal(bytes, end, sum);
                }
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
