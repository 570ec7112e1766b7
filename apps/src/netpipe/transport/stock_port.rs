//! [`StockPort`]: a port with DPDK's own mbufs, one queue each way, for the transports that are not LM's.
//!
//! [`super::frag`] and [`super::bare`] use it. The MTU, the receive descriptors and the write-back thresholds
//! are those of LM's ports, so that the comparison is fair. Up to 64 frames wait for room in the transmit
//! queue.

use std::sync::atomic::{AtomicBool, Ordering};

use lm_proto::wire::{BROADCAST, Flow, Mac};
use pmd_e1000::demands::{self, Wanted};
use pmd_e1000::devargs::{Devargs, Memif};
use pmd_e1000::device::arguments;
use pmd_e1000::quirks::Quirk;
use rte::mempool::Mempool;
use rte::port::{Port, PortConfig, PortId, RxConf, RxQueue, StartError, TxConf, TxQueue};
use rte::{Burst, Eal, Mbuf};

use super::settings::Settings;
use crate::signals;
use lm_node::port::{self, Client};

/// Frames that one poll takes.
pub(super) const BURST: usize = 32;
/// Frames that wait for room in the queue.
const STAGE: usize = 64;
/// Bytes in front of a frame, as DPDK has them.
const HEADROOM: u16 = 128;
/// mbufs beyond the descriptors.
const SPARE: u32 = 1024;

/// Whether a pool stays in use until the process ends.
static POOL_STAYS: AtomicBool = AtomicBool::new(false);

/// Whether a port that was opened here keeps a pool in use until the process ends, so that EAL cannot be
/// cleaned up.
pub(crate) fn pool_stays() -> bool {
    POOL_STAYS.load(Ordering::Relaxed)
}

/// A started port, and the ends of the wire.
pub(super) struct StockPort {
    // Queues go before the port, the port before the pool.
    rx: Option<RxQueue>,
    tx: Option<TxQueue>,
    staged: Box<Burst<STAGE>>,
    port: Port,
    /// The pool of all mbufs, for both directions.
    pub(super) pool: Mempool,
    /// The driver's name.
    pub(super) driver: String,
    /// Our address.
    pub(super) mac: Mac,
    /// Our peer's address: broadcast until the peer was heard.
    pub(super) peer: Mac,
    /// From us to the peer.
    pub(super) ours: Flow,
    up: bool,
    polls: u32,
}

impl StockPort {
    /// Takes a port and starts it. A signal ends the wait for a net_memif server.
    pub(super) fn open(eal: &Eal, id: PortId, settings: &Settings) -> Result<Self, String> {
        let (mtu, rxd, txd) = (settings.port.mtu, settings.port.rxd, settings.stock_txd());
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let mut port = Port::open(eal, id).map_err(|e| text(&e))?;
        let info = port.info().map_err(|e| text(&e))?;
        let args = arguments(eal, id);
        let spare_mbufs = u32::from(txd) + SPARE;
        let wanted = Wanted { mtu, rxd, spare_mbufs };
        demands::check(&info, &Devargs::parse(&args), &wanted).map_err(|e| format!("port {id}: {e}"))?;
        let config = PortConfig {
            mtu: pmd_e1000::port::told_mtu(&info, mtu),
            tx_offloads: info.tx_offload_capa & rte::sys::RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
            ..PortConfig::default()
        };
        let mut room = (mtu + 64).max(2048);
        if info.driver == "net_memif" && Quirk::TakesInAdvance.is_in(Eal::release()) {
            // In these releases, if the data room is as long as a buffer, net_memif uses another receive
            // path. That one delivers a frame that the peer sent in several buffers as a chain of mbufs.
            let bsize = Memif::of(&Devargs::parse(&args)).bsize;
            room = room.min(u16::try_from(bsize).unwrap_or(u16::MAX).saturating_sub(1));
        }
        let room = HEADROOM + room;
        let n = u32::from(rxd) + spare_mbufs;
        let pool = Mempool::pktmbuf(eal, &format!("plain_{id}"), n, 256, 0, room, info.socket)
            .map_err(|e| text(&e))?;
        port.configure(&config).map_err(|e| text(&e))?;
        // As on LM's ports: the card writes back the descriptor of each frame at once.
        let igb = matches!(&*info.driver, "net_e1000_igb" | "net_igc");
        let rx = RxConf { wthresh: igb.then_some(1), ..RxConf::default() };
        port.rx_queue_setup(0, rxd, &rx, &pool).map_err(|e| text(&e))?;
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
            // net_memif never gives back the mbufs of its receive ring. This clone keeps the pool, so that
            // dropping it does not log an error about them.
            std::mem::forget(pool.clone());
            POOL_STAYS.store(true, Ordering::Relaxed);
        }
        let missing = StartError::NotConfigured(id).to_string();
        let peer = settings.peers.get(&id.0).copied();
        Ok(Self {
            rx: Some(port.take_rx(0).ok_or(missing.clone())?),
            tx: Some(port.take_tx(0).ok_or(missing)?),
            staged: Box::new(Burst::new()),
            port,
            pool,
            driver: info.driver,
            mac: info.mac.0,
            peer: peer.unwrap_or(BROADCAST),
            ours: settings.port.flow,
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

    /// Sends the frames that wait. Returns whether none waits any more.
    pub(super) fn flush(&mut self) -> bool {
        if !self.staged.is_empty()
            && let Some(tx) = &mut self.tx
        {
            tx.send(&mut self.staged);
        }
        self.staged.is_empty()
    }

    /// Gets sent mbufs back. Drivers release them when they are called to send, even if nothing is sent.
    pub(super) fn reclaim(&mut self) {
        if let Some(tx) = &mut self.tx {
            tx.send(&mut Burst::<1>::new());
        }
    }

    /// Adds a frame to those that wait. After a [`StockPort::flush`] that returned `true`, there is room for
    /// the frames of one datagram.
    pub(super) fn stage(&mut self, frame: Mbuf) {
        let _ = self.staged.push(frame);
    }

    /// Learns the peer's address from a frame of the peer.
    pub(super) fn learn(&mut self, frame: &[u8]) {
        if let Some(mac) = frame.get(6..12).and_then(|mac| Mac::try_from(mac).ok()) {
            self.peer = mac;
        }
    }

    /// Gives the last frames 100 ms to leave, and stops the port.
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
