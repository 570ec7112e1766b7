//! `ip-frag`: what a DPDK application does without LM: `rte_ip_frag`, and a copy of its chain of mbufs.
//!
//! The transport is made as fast as possible. The payload is copied once on each side. LM's own code computes
//! the checksums. An echo is sent from the buffer that the chain was copied to, with the checksum with which
//! it was verified, as LM does. A datagram in one frame is not copied.

use lm_proto::alf::ChecksumMode;
use lm_proto::checksum;
use lm_proto::layout::stride;
use lm_proto::wire::{ETHERNET, HEADERS, IPV4, TYPE_IPV4, UDP, Udp, ethernet};
use pmd_e1000::device::arguments;
use pmd_e1000::quirks::header_room;
use rte::frag::{MAX_FRAGMENTS, Reassembler, fragment};
use rte::mempool::Mempool;
use rte::port::PortId;
use rte::{Burst, Eal, Mbuf};

use super::headers::{read_headers, write_headers};
use super::interface::{Action, Kind, Open, Transport};
use super::settings::Settings;
use super::stock_port::{BURST, StockPort};
use super::wire_bytes::{frames, on_wire};

/// DPDK's own way.
pub(super) static KIND: Kind = Kind {
    name: "ip-frag",
    help: "DPDK's rte_ip_frag and one copy out of the chain; up to 8 fragments",
    is_polled: true,
    open: Open::Port(|eal, id, settings| Ok(Box::new(Frag::open(eal, id, settings)?))),
};

/// How many packets the reassembler holds at once, and for how many seconds.
const TABLE: (u32, u32) = (1024, 1);
/// Buffers of whole datagrams.
const WHOLE: u32 = 255;
/// mbufs for pieces.
const PIECES: u32 = 4095;
/// Bytes of an mbuf for a piece's headers, and of its headroom.
const HEADS: u16 = 256;
/// A UDP checksum that is known; `None`: the payload is to be summed.
type Sum = Option<u16>;

/// Bytes of the IP and the UDP header.
const FRONT: usize = IPV4 + UDP;
/// Bytes of headroom that DPDK leaves in front of a packet.
const HEADROOM: usize = 128;

struct Frag {
    table: Reassembler,
    burst: Burst<BURST>,
    made: Vec<Mbuf>,
    /// Answers that wait for room.
    waiting: Vec<(Mbuf, Sum)>,
    mtu: u16,
    checksum: ChecksumMode,
    in_flight: Option<u32>,
    /// With that bound: mbufs that may be taken until those in flight are counted again. Counting is
    /// expensive.
    room: u32,
    id: u16,
    copied: u64,
    port: StockPort,
    whole: Mempool,
    direct: Mempool,
    indirect: Mempool,
}

impl Frag {
    fn open(eal: &Eal, id: PortId, settings: &Settings) -> Result<Self, String> {
        let port = StockPort::open(eal, id, settings)?;
        let limit = limit(settings.port.mtu);
        let room = u16::try_from(HEADROOM + FRONT + limit).map_err(|_| "the MTU is too large for ip-frag")?;
        let keeps = port.driver == "net_memif";
        let pool = |name: &str, n, room| {
            let pool = Mempool::pktmbuf(eal, &format!("{name}_{id}"), n, 32, 0, room, None);
            if keeps {
                // A zero-copy client never gives back the mbufs of frames that its peer has not taken.
                pool.iter().for_each(Mempool::expect_driver_keeps);
            }
            pool.map_err(|e| e.to_string())
        };
        let heads = header_room(HEADS, &port.driver, &arguments(eal, id), Eal::release());
        // A net_memif peer reads these very buffers, so the ring must never be quite full of them.
        let few = settings.stock_txd().saturating_sub(3 * MAX_FRAGMENTS as u16).max(1);
        Ok(Self {
            table: Reassembler::new(eal, TABLE.0, TABLE.1).map_err(|e| e.to_string())?,
            burst: Burst::new(),
            made: Vec::new(),
            waiting: Vec::new(),
            mtu: settings.port.mtu,
            checksum: settings.port.checksum,
            in_flight: keeps.then_some(u32::from(few)),
            room: 0,
            id: 0,
            copied: 0,
            port,
            whole: pool("frag_whole", WHOLE, room)?,
            direct: pool("frag_heads", PIECES, heads)?,
            indirect: pool("frag_pieces", PIECES, 128)?,
        })
    }

    /// Sends a packet whose first bytes are for the headers. Returns it as an error if there is no room.
    fn send_packet(&mut self, mut packet: Mbuf, sum: Sum) -> Result<(), Mbuf> {
        if !self.port.flush() || !self.has_room() {
            return Err(packet);
        }
        let flow = self.port.ours;
        let Some(bytes) = packet.data_mut() else { return Err(packet) };
        let len = bytes.len();
        self.id = self.id.wrapping_add(1);
        let sum = match (self.checksum, sum) {
            (ChecksumMode::Full, Some(sum)) => sum,
            (ChecksumMode::Full, None) => {
                checksum::udp(&flow, (len - IPV4) as u16, checksum::sum(&bytes[FRONT..]))
            }
            (ChecksumMode::Zero, _) => 0,
        };
        write_headers(bytes, &flow, self.id, sum);
        if len <= usize::from(self.mtu) {
            self.made.push(packet);
        } else if fragment(&packet, self.mtu, &self.direct, &self.indirect, &mut self.made).is_err() {
            self.made.clear();
            return Err(packet);
        }
        self.room = self.room.saturating_sub(self.made.len() as u32);
        for mut frame in self.made.drain(..) {
            // `rte_ip_frag` leaves the checksum of the IP header to the card.
            if len > usize::from(self.mtu)
                && let Some(ip) = frame.data_mut().and_then(|header| header.first_chunk_mut::<IPV4>())
            {
                let sum = checksum::header(ip);
                ip[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            if let Some(head) = frame.prepend(ETHERNET as u16).and_then(|head| head.first_chunk_mut()) {
                ethernet(head, self.port.peer, self.port.mac, TYPE_IPV4);
                self.port.stage(frame);
            }
        }
        self.port.flush();
        Ok(())
    }

    /// Whether more mbufs may be in flight. If not, the driver is asked to give back those that it has sent.
    fn has_room(&mut self) -> bool {
        let Some(max) = self.in_flight else { return true };
        if self.room == 0 {
            self.room = max.saturating_sub(self.direct.in_use());
        }
        if self.room == 0 {
            self.port.reclaim();
            self.room = max.saturating_sub(self.direct.in_use());
        }
        self.room > 0
    }

    /// Takes a packet that is whole. Returns it in one segment, with room for headers in front of its
    /// payload, and its UDP header. `None`: the packet is not from our peer.
    fn contiguous(&mut self, mut packet: Mbuf) -> Option<(Mbuf, Udp)> {
        let available = (packet.pkt_len() as usize).checked_sub(ETHERNET)?;
        let (flow, udp) = read_headers(packet.data(), available)?;
        if flow != self.port.ours.reversed() {
            return None;
        }
        self.port.learn(packet.data());
        let len = usize::from(udp.len) - UDP;
        if packet.nb_segs() == 1 {
            // Our peer adds nothing behind its datagrams.
            let ok = packet.adj(ETHERNET as u16) && packet.data().len() == FRONT + len;
            return (ok && self.verify(&packet, &udp)).then_some((packet, udp));
        }
        let mut whole = self.whole.alloc()?;
        let to = whole.append((FRONT + len) as u16)?;
        let (mut at, mut skip) = (FRONT, HEADERS + UDP);
        for segment in packet.segments() {
            let from = segment.get(skip..).unwrap_or_default();
            let n = from.len().min(to.len() - at);
            to[at..at + n].copy_from_slice(&from[..n]);
            (at, skip) = (at + n, skip.saturating_sub(segment.len()));
        }
        self.copied += (at - FRONT) as u64;
        (at == FRONT + len && self.verify(&whole, &udp)).then_some((whole, udp))
    }

    /// The checksum that a datagram was verified by, for an echo of it.
    fn carried(&self, udp: &Udp) -> Sum {
        let (from, to) = (self.port.ours.reversed(), self.port.ours);
        (udp.checksum != 0).then(|| checksum::udp_moved(udp.checksum, &from, &to))
    }

    fn verify(&self, packet: &Mbuf, udp: &Udp) -> bool {
        let flow = self.port.ours.reversed();
        udp.checksum == 0 || checksum::udp_ok(&flow, udp, checksum::sum(&packet.data()[FRONT..]))
    }
}

/// Bytes of payload in [`MAX_FRAGMENTS`] fragments, as far as one mbuf has room for them.
fn limit(mtu: u16) -> usize {
    (MAX_FRAGMENTS * usize::from(stride(mtu)) - UDP).min(usize::from(u16::MAX) - HEADROOM - FRONT)
}

impl Transport for Frag {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn wire(&self) -> String {
        self.port.driver.clone()
    }

    fn limit(&self) -> usize {
        limit(self.mtu)
    }

    fn wire_bytes(&self, payload: usize) -> usize {
        on_wire(frames(payload, self.mtu))
    }

    fn send(&mut self, payload: &[u8]) -> bool {
        if !self.port.is_up() || !self.port.flush() || !self.has_room() {
            return false;
        }
        let Some(mut packet) = self.whole.alloc() else {
            self.port.reclaim();
            return false;
        };
        let Some(bytes) = packet.append((FRONT + payload.len()) as u16) else { return false };
        bytes[FRONT..].copy_from_slice(payload);
        self.send_packet(packet, None).is_ok()
    }

    fn poll(&mut self, look: &mut dyn FnMut(&[u8]) -> Action) -> usize {
        let mut found = 0;
        while let Some((packet, sum)) = self.waiting.pop() {
            if let Err(packet) = self.send_packet(packet, sum) {
                self.waiting.push((packet, sum));
                return found;
            }
            found += 1;
        }
        let mut burst = std::mem::take(&mut self.burst);
        found += self.port.receive(&mut burst);
        for frame in burst.drain() {
            let Some((packet, udp)) = self.table.take(frame).and_then(|packet| self.contiguous(packet))
            else {
                continue;
            };
            let action = look(&packet.data()[FRONT..]);
            let sum = if action == Action::Echo { self.carried(&udp) } else { None };
            if action.is_echo()
                && let Err(packet) = self.send_packet(packet, sum)
            {
                self.waiting.insert(0, (packet, sum));
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
        self.copied
    }

    fn set_in_round(&mut self, _: bool) {}

    fn close(self: Box<Self>) {
        let Self { table, waiting, port, whole, direct, indirect, .. } = *self;
        drop((waiting, table));
        let memif = port.driver == "net_memif";
        port.close();
        if memif {
            // net_memif never gives back the mbufs that its ring still holds, so the pools stay.
            std::mem::forget((whole, direct, indirect));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_fragments() {
        assert_eq!(limit(1500), 11_832);
        assert_eq!(HEADROOM + FRONT + limit(9000), 65_535);
        assert_eq!(frames(limit(1500), 1500).count(), MAX_FRAGMENTS);
        assert_eq!(frames(limit(1500) + 1, 1500).count(), MAX_FRAGMENTS + 1);
    }
}
