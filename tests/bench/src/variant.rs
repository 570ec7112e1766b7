//! The variants that are measured: LM under a policy, and its peers, each with a queue, a pool and mbufs of
//! its own.
//!
//! `main` and [`crate::polls`] set one up, run it and close it. Closing fails if an mbuf is missing or a
//! frame was dropped, so a variant that loses work cannot look fast.

use std::ptr;

use lm_engine::{AdoptedReceiver, Arrived, ReceiverConfig};
use lm_landing::device::Traits;
use lm_landing::words::{Hearing, WordSource as _};
use lm_landing::{LandingPool, PoolConfig, RegionKind, SlotLayout, Writes};
use lm_proto::card::{State, Words};
use lm_proto::policy::Require;
use pmd_e1000::device::traits_of;
use pmd_e1000::em_ring::EmRing;
use rte::Eal;
use rte::mempool::Mempool;

use crate::ffi::{BURST, Driver, Peer, Peers, Queue, Sink};
use crate::traffic::{Cut, Traffic};

/// Whatever goes wrong ends the benchmark with a line.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// How much is posted, in what area, and whether the frames are in the cache when the driver comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub name: &'static str,
    pub descriptors: u16,
    pub region: usize,
    pub flush: bool,
}

/// 0.5 MB posted; 512 descriptors over 4 MB and over 64 MB.
pub(crate) const SETS: [Set; 3] = [
    Set { name: "hot", descriptors: 354, region: 2 << 20, flush: false },
    Set { name: "ring-4mb", descriptors: 512, region: 4 << 20, flush: true },
    Set { name: "ring-64mb", descriptors: 512, region: 64 << 20, flush: true },
];

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Under a policy, and whether it listens to what the card says of each frame.
    Lm(Require, Words),
    Peer(Peer),
}

const CHECKSUM: Require = Require { headers: true, checksum: true, tags: false };
const TAGS: Require = Require { tags: true, ..CHECKSUM };

/// All of them with their names, in the table's order.
pub(crate) const VARIANTS: [(&str, Kind); 8] = [
    ("bare", Kind::Peer(Peer::Bare)),
    ("lm", Kind::Lm(TAGS, Words::None)),
    ("lm-card", Kind::Lm(CHECKSUM, Words::Packet)),
    ("lm-checksum", Kind::Lm(CHECKSUM, Words::None)),
    ("copy", Kind::Peer(Peer::Copy)),
    ("copy-checksum", Kind::Peer(Peer::CopyChecksum)),
    ("chain", Kind::Peer(Peer::Chain)),
    ("chain-copy", Kind::Peer(Peer::ChainCopy)),
];

/// Measured if it is asked for: a card with em's descriptors, whose sums are of use for datagrams of two or
/// three frames alone.
const IF_NAMED: [(&str, Kind); 1] = [("lm-em", Kind::Lm(CHECKSUM, Words::Frame))];

/// Every variant that can be named, in the table's order.
pub(crate) fn named() -> impl Iterator<Item = (&'static str, Kind)> {
    VARIANTS.into_iter().chain(IF_NAMED)
}

impl Kind {
    /// Whose frames it gets.
    pub(crate) fn cut(self) -> Cut {
        if matches!(self, Self::Lm(..)) { Cut::Lm } else { Cut::Plain }
    }

    /// Whether it can take datagrams of this many fragments: the stock reassembler stops at eight.
    pub(crate) fn takes(self, fragments: usize) -> bool {
        fragments <= 8 || !matches!(self, Self::Peer(Peer::Chain | Peer::ChainCopy))
    }

    /// Whether it delivers datagrams.
    pub(crate) fn delivers(self) -> bool {
        self != Self::Peer(Peer::Bare)
    }
}

/// One variant, set up.
pub(crate) struct Variant {
    pub name: &'static str,
    pub kind: Kind,
    // The queue goes before its pool.
    queue: Queue,
    engine: Engine,
}

enum Engine {
    /// On em's ring with what reads it.
    Lm(Box<AdoptedReceiver>, Option<EmRing>),
    Peer(Peer, Peers, Mempool),
}

impl Variant {
    pub(crate) fn new(eal: &Eal, name: &'static str, kind: Kind, set: &Set) -> Result<Self, Failure> {
        let (pool, engine) = match kind {
            Kind::Lm(require, words) => {
                let pool = landing_pool(eal, name, set)?;
                let config = ReceiverConfig { require, ..ReceiverConfig::default() };
                let traits = Traits { words, ..traits_of("net_e1000_igb", "")? };
                let receiver = AdoptedReceiver::new(eal, pool, traits, &config)?;
                (receiver.pool().as_ptr(), Engine::Lm(Box::new(receiver), None))
            }
            Kind::Peer(peer) => {
                // As small as can be, so that it stays in the cache: the ring, the cache, what a burst holds.
                let n = u32::from(set.descriptors) + 600;
                let pool = Mempool::pktmbuf(eal, &format!("b_{name}"), n, 256, 0, 2048 + 128, None)?;
                let peers = Peers::new(eal, 1024, 16).ok_or("no memory for the peers")?;
                (pool.as_ptr(), Engine::Peer(peer, peers, pool))
            }
        };
        let n = set.descriptors.into();
        let driver = if matches!(kind, Kind::Lm(_, Words::Frame)) { Driver::Em } else { Driver::Igb };
        // SAFETY: the pool is dropped after the queue and used by this thread; both kinds have 2048 bytes of
        // room.
        let queue = unsafe { Queue::new(pool, n, driver) }.ok_or("the ring cannot be filled")?;
        let mut engine = engine;
        if let (Driver::Em, Engine::Lm(receiver, ring)) = (driver, &mut engine) {
            let at = queue.ring().ok_or("a queue has a ring")?;
            // SAFETY: as many descriptors, of a driver that treats them as em does, just filled from this
            // pool; the queue lives as long as the engine polls it.
            *ring = Some(unsafe { EmRing::over(at, n as usize, receiver.pool()) }?);
        }
        Ok(Self { name, kind, queue, engine })
    }

    /// The card receives a round.
    pub(crate) fn dma(&mut self, traffic: &Traffic, flush: bool) {
        for shot in traffic.shots() {
            self.queue.dma(shot, traffic, flush);
        }
    }

    /// Takes everything that was received. This is what is measured.
    #[inline(never)]
    pub(crate) fn run(&mut self, sink: &mut Sink<'_>, traffic: &Traffic) {
        match &mut self.engine {
            Engine::Peer(peer, peers, _) => peer.run(peers, &mut self.queue, sink),
            Engine::Lm(receiver, ring) => {
                let mut mbufs = [ptr::null_mut(); BURST];
                loop {
                    let n = self.queue.receive(&mut mbufs);
                    if n == 0 {
                        return;
                    }
                    sink.frames += n as u64;
                    if let Some(ring) = ring {
                        // SAFETY: just received, in order, from the queue that has this ring, as was all
                        // before.
                        unsafe { find_words(ring, receiver, &mbufs[..n]) };
                    }
                    // SAFETY: just received, in order, from the queue that the receiver's pool feeds.
                    unsafe {
                        receiver.process(&mbufs[..n], |mut message| sink.take(message.contiguous(), traffic));
                    };
                }
            }
        }
    }

    /// One poll, whatever it finds.
    #[inline(never)]
    pub(crate) fn poll(&mut self, sink: &mut Sink<'_>, traffic: &Traffic) {
        match &mut self.engine {
            // It ends with a poll that finds nothing, so two are counted where there is something.
            Engine::Peer(peer, peers, _) => peer.run(peers, &mut self.queue, sink),
            Engine::Lm(receiver, ring) => {
                let mut mbufs = [ptr::null_mut(); BURST];
                let n = self.queue.receive(&mut mbufs);
                sink.frames += n as u64;
                if let Some(ring) = ring {
                    // SAFETY: as in `run`.
                    unsafe { find_words(ring, receiver, &mbufs[..n]) };
                }
                // SAFETY: just received, in order, from the queue that the receiver's pool feeds.
                unsafe {
                    receiver.process(&mbufs[..n], |mut message| sink.take(message.contiguous(), traffic));
                };
            }
        }
    }

    /// Takes everything that was received, of LM, and gives the messages out.
    pub(crate) fn messages(&mut self, mut deliver: impl FnMut(Arrived<'_>)) {
        let Engine::Lm(receiver, _) = &mut self.engine else { return };
        let mut mbufs = [ptr::null_mut(); BURST];
        loop {
            let n = self.queue.receive(&mut mbufs);
            // SAFETY: as in `run`.
            unsafe { receiver.process(&mbufs[..n], &mut deliver) };
            if n == 0 {
                return;
            }
        }
    }

    /// Datagrams that were copied to be delivered, of all delivered; peers that copy, copy all.
    pub(crate) fn copied(&self) -> Option<(u64, u64)> {
        let Engine::Lm(receiver, _) = &self.engine else { return None };
        let counters = receiver.counters();
        Some((counters.copied_datagrams, counters.datagrams))
    }

    /// Everything goes back; whether it was all there.
    pub(crate) fn close(self) -> Result<(), Failure> {
        let Self { name, kind, queue, engine } = self;
        drop(queue);
        let (available, size) = match engine {
            Engine::Peer(_, _, pool) => (pool.available(), pool.size()),
            Engine::Lm(receiver, _) => {
                let counters = receiver.counters();
                let drops: u64 = counters.drops().map(|(_, n)| n).sum();
                if let Kind::Lm(_, words @ (Words::Packet | Words::Frame)) = kind {
                    let used = (receiver.card().ids(), receiver.card().sums());
                    let ids = if words == Words::Packet { State::InUse } else { State::Absent };
                    if used != (ids, State::InUse) {
                        return Err(format!("{name}: the card's words are not in use: {used:?}").into());
                    }
                }
                let (pool, _engine) = receiver.close();
                if drops != 0 || pool.held() != 0 {
                    return Err(format!("{name}: {drops} drops, {} slots still held", pool.held()).into());
                }
                (pool.available(), pool.size())
            }
        };
        if available == size {
            Ok(())
        } else {
            Err(format!("{name}: {available} of {size} mbufs came back").into())
        }
    }
}

/// The product's pool for this set, mapped twice, as a card's port has it by default.
fn landing_pool(eal: &Eal, name: &str, set: &Set) -> Result<LandingPool, Failure> {
    let config = PoolConfig {
        name: format!("b_{:.6}", name.trim_start_matches("lm-")),
        descriptors: set.descriptors,
        spare_mbufs: 128,
        region: set.region,
        max_region: set.region,
        kind: RegionKind::Mirrored,
        stride: lm_proto::layout::Geometry::ETHERNET.stride(),
        room: 2048,
        layout: SlotLayout::Overlapping,
        socket: None,
        writes: Writes { at_any_time: true, ..Writes::default() },
    };
    Ok(LandingPool::create(eal, &config)?)
}

/// Finds the words of frames as a landing queue does.
///
/// # Safety
/// They were just received, in order, from the queue that has this ring and feeds the receiver, as was all
/// before.
unsafe fn find_words(ring: &mut EmRing, receiver: &AdoptedReceiver, mbufs: &[*mut lm_landing::RawMbuf]) {
    // SAFETY: the caller's promise.
    unsafe {
        match receiver.hears_words() {
            Hearing::Now => assert!(ring.tell(mbufs), "its words are lost"),
            _ => ring.pass(mbufs),
        }
    }
}
