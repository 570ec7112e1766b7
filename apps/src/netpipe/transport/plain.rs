//! [`Plain`]: a port with stock mbufs, one queue each way, for the transports that are not LM's.

use lm_proto::wire::{
    BROADCAST, ETHERNET, Flow, HEADERS, Ipv4, Mac, PROTO_UDP, TYPE_IPV4, UDP, Udp, ether_type,
};
use pmd_e1000::demands::{self, Wanted};
use pmd_e1000::devargs::Devargs;
use pmd_e1000::device::arguments;
use rte::mempool::Mempool;
use rte::port::{Port, PortConfig, PortId, RxConf, RxQueue, StartError, TxConf, TxQueue};
use rte::{Burst, Eal, Mbuf};

use crate::netpipe::options::Options;
use crate::signals;
use lm_node::port::{self, Client};

/// Frames that one poll takes.
pub(super) const BURST: usize = 32;
/// Frames that wait for room in the queue.
const STAGE: usize = 64;
/// What one frame may have in its buffer behind the headroom.
const HEADROOM: u16 = 128;
/// mbufs beyond the descriptors.
const SPARE: u32 = 1024;

/// A started port, and the ends of the wire.
pub(super) struct Plain {
    // Queues go before the port, the port before the pool.
    rx: Option<RxQueue>,
    tx: Option<TxQueue>,
    staged: Box<Burst<STAGE>>,
    port: Port,
    pub(super) pool: Mempool,
    pub(super) driver: String,
    pub(super) mac: Mac,
    /// Our peer's, once it was heard.
    pub(super) peer: Mac,
    pub(super) ours: Flow,
    up: bool,
    polls: u32,
}

impl Plain {
    pub(super) fn open(eal: &Eal, id: PortId, options: &Options) -> Result<Self, String> {
        let options = &options.port;
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let mut port = Port::open(eal, id).map_err(|e| text(&e))?;
        let info = port.info().map_err(|e| text(&e))?;
        let (args, txd) = (arguments(id), options.plain_txd());
        let spare_mbufs = u32::from(txd) + SPARE;
        let wanted = Wanted { mtu: options.mtu, rxd: options.rxd, spare_mbufs };
        demands::check(&info, &Devargs::parse(&args), &wanted).map_err(|e| format!("port {id}: {e}"))?;
        let config = PortConfig {
            mtu: pmd_e1000::port::told_mtu(&info, options.mtu),
            tx_offloads: info.tx_offload_capa & rte::sys::RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
            ..PortConfig::default()
        };
        let room = HEADROOM + (options.mtu + 64).max(2048);
        let n = u32::from(options.rxd) + spare_mbufs;
        let pool = Mempool::pktmbuf(eal, &format!("plain_{id}"), n, 256, 0, room, info.socket)
            .map_err(|e| text(&e))?;
        port.configure(&config).map_err(|e| text(&e))?;
        // As LM's ports have it: cards tell of each frame at once.
        let igb = info.driver == "net_e1000_igb";
        let rx = RxConf { wthresh: igb.then_some(1), ..RxConf::default() };
        port.rx_queue_setup(0, options.rxd, &rx, &pool).map_err(|e| text(&e))?;
        let tx = TxConf {
            offloads: config.tx_offloads & info.tx_queue_offload_capa,
            wthresh: igb.then_some(1),
            rs_thresh: (info.driver == "net_e1000_em").then_some(1),
            ..TxConf::default()
        };
        port.tx_queue_setup(0, txd, &tx).map_err(|e| text(&e))?;
        let client = Client::of(&info.driver, &args);
        let started = port::persist(
            &mut port,
            (id, client),
            |port| port.start().map_err(|e| e.to_string()),
            |port| port.stop().map_err(|e| e.to_string()),
            |port| port.link().is_ok_and(|link| link.up),
            |_| true,
            signals::is_ending,
        );
        started?;
        let _ = port.set_promiscuous(true);
        if info.driver == "net_memif" {
            // It never gives back what it had posted: the pool stays, and that is no news.
            std::mem::forget(pool.clone());
        }
        let missing = StartError::NotConfigured(id).to_string();
        let peer = options.eth_peer.iter().rev().find(|peer| peer.port == id.0).map(|peer| peer.mac);
        Ok(Self {
            rx: Some(port.take_rx(0).ok_or(missing.clone())?),
            tx: Some(port.take_tx(0).ok_or(missing)?),
            staged: Box::new(Burst::new()),
            port,
            pool,
            driver: info.driver,
            mac: info.mac.0,
            peer: peer.unwrap_or(BROADCAST),
            ours: Flow {
                src: options.tx_ip.src,
                dst: options.tx_ip.dst,
                src_port: options.tx_udp.src,
                dst_port: options.tx_udp.dst,
            },
            up: false,
            polls: 0,
        })
    }

    /// Whether the link has come up.
    pub(super) fn is_up(&mut self) -> bool {
        self.polls = self.polls.wrapping_add(1);
        if !self.up && self.polls.is_multiple_of(64) {
            self.up = self.port.link().is_ok_and(|link| link.up);
        }
        self.up
    }

    /// Receives into `burst`.
    pub(super) fn receive(&mut self, burst: &mut Burst<BURST>) -> usize {
        let _ = self.is_up();
        self.rx.as_mut().map_or(0, |rx| rx.receive(burst))
    }

    /// Gives the queue what it did not take before: whether all is gone.
    pub(super) fn flush(&mut self) -> bool {
        if !self.staged.is_empty()
            && let Some(tx) = &mut self.tx
        {
            tx.send(&mut self.staged);
        }
        self.staged.is_empty()
    }

    /// Drivers give sent mbufs back when they are asked to send, if only nothing.
    pub(super) fn reclaim(&mut self) {
        if let Some(tx) = &mut self.tx {
            tx.send(&mut Burst::<1>::new());
        }
    }

    /// Puts a frame behind those that wait. There is room for those of one datagram after a [`Plain::flush`].
    pub(super) fn stage(&mut self, frame: Mbuf) {
        let _ = self.staged.push(frame);
    }

    /// The peer's address is learnt from a frame of its.
    pub(super) fn learn(&mut self, frame: &[u8]) {
        if let Some(mac) = frame.get(6..12).and_then(|mac| Mac::try_from(mac).ok()) {
            self.peer = mac;
        }
    }

    /// Gives the last frames time, and the port back.
    pub(super) fn close(mut self) {
        self.flush();
        std::thread::sleep(std::time::Duration::from_millis(100));
        (self.rx, self.tx) = (None, None);
        self.staged.clear();
        if let Err(e) = self.port.stop() {
            log::warn!("{e}");
        }
    }
}

/// Writes the headers of a whole datagram, its Ethernet header apart, to the front of `packet`; its length is the
/// packet's.
pub(super) fn write_headers(packet: &mut [u8], flow: &Flow, id: u16, checksum: u16) {
    let len = packet.len();
    if let Some(to) = packet.first_chunk_mut() {
        let (payload_len, protocol) = ((len - 20) as u16, PROTO_UDP);
        let (src, dst) = (flow.src, flow.dst);
        Ipv4 { src, dst, id, protocol, ttl: 64, more: false, offset: 0, header_len: 20, payload_len }
            .emit(to);
    }
    let udp = Udp { src_port: flow.src_port, dst_port: flow.dst_port, len: (len - 20) as u16, checksum };
    packet[20..20 + UDP].copy_from_slice(&udp.bytes());
}

/// Reads the headers of a frame that holds (the start of) a whole datagram of `available` bytes of IP packet: its flow
/// and its UDP header, if the lengths agree. The IP header's checksum is not looked at: rte_ip_frag leaves none.
pub(super) fn read_headers(frame: &[u8], available: usize) -> Option<(Flow, Udp)> {
    if ether_type(frame) != Some(TYPE_IPV4) || frame.len() < HEADERS + UDP {
        return None;
    }
    let ip = frame[ETHERNET..].first_chunk::<20>()?;
    let udp = Udp::parse(&frame[HEADERS..])?;
    let word = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
    let address = |at: usize| u32::from(word(at)) << 16 | u32::from(word(at + 2));
    let (total, is_whole) = (usize::from(word(2)), word(6) & 0x3fff == 0);
    let fits = total <= available && (UDP + 20..=total).contains(&(usize::from(udp.len) + 20));
    if ip[0] != 0x45 || ip[9] != PROTO_UDP || !is_whole || !fits {
        return None;
    }
    Some((Flow { src: address(12), dst: address(16), src_port: udp.src_port, dst_port: udp.dst_port }, udp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_there_and_back_and_lengths_that_lie() {
        let flow = Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7, dst_port: 9 };
        let mut frame = vec![0; ETHERNET + 28 + 10];
        frame[12] = 8;
        write_headers(&mut frame[ETHERNET..], &flow, 3, 0);
        let (got, udp) = read_headers(&frame, 38).expect("headers");
        assert_eq!((got, udp.len), (flow, 18));
        assert!(read_headers(&frame, 37).is_none(), "less is there than it says");
        for (at, value) in [(12, 9), (14, 0x46), (17, 20), (20, 0x20), (23, 6), (38, 1), (39, 7)] {
            let mut bad = frame.clone();
            bad[at] = value;
            assert!(read_headers(&bad, 38).is_none(), "byte {at} is {value}");
        }
        assert!((0..42).all(|n| read_headers(&frame[..n], n).is_none()));
    }
}
