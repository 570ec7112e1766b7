//! [`LandingPort`]: a port set up so that datagrams land on it.
//!
//! What drivers would spoil is settled here: the MTU, the room that buffers are declared with, no scattered
//! receive, VLAN tags stripped where the device can, never `KEEP_CRC`, thresholds that don't stall. Whether slots may
//! overlap is judged anew at every start, before it and after it.

use dpdk_sys::{RTE_ETH_RX_OFFLOAD_VLAN_STRIP, RTE_ETH_TX_OFFLOAD_MULTI_SEGS};
use rte::Eal;
use rte::port::{
    ConfigureError, DescLimits, OpenError, Port, PortConfig, PortId, PortInfo, QueueError, RxConf,
};
use rte::port::{StartError, StopError, TxConf, TxQueue};
use std::{error, fmt};

use crate::device::{Allowed, Refused, Traits, arguments};
use crate::judge::{Judge, Verdict};
use crate::landing::{HEADERS, SlotLayout};
use crate::pool::{LandingError, LandingPool, PoolConfig, RegionKind, Writes};
use crate::queue::LandingQueue;

/// What a landing port is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSetup {
    /// Descriptors to receive into.
    pub rxd: u16,
    /// Descriptors to send from.
    pub txd: u16,
    /// Bytes of IP packet on the link.
    pub mtu: u16,
    /// How slots are laid first, separate if the device allows no other; `None`: as suits the device best.
    pub layout: Option<SlotLayout>,
    /// Bytes of landing region.
    pub region: usize,
    /// Bytes that it may grow to while messages are held.
    pub max_region: usize,
    /// Map the region twice where the device lets us, so that nothing is copied at its end.
    pub mirror: bool,
    /// mbufs beyond the descriptors.
    pub spare_mbufs: u32,
    /// Take frames for any address, as testpmd does.
    pub promiscuous: bool,
    /// Where it cannot be proven that a card's writes keep their order, believe that they do: overlapping slots then
    /// rest on your word.
    pub assume_ordered: bool,
}

impl Default for PortSetup {
    /// 512 descriptors each way, MTU 1500, 4 MB of region that may grow to 16.
    fn default() -> Self {
        Self {
            rxd: 512,
            txd: 512,
            mtu: 1500,
            layout: None,
            region: 4 << 20,
            max_region: 16 << 20,
            mirror: true,
            spare_mbufs: 576,
            promiscuous: true,
            assume_ordered: false,
        }
    }
}

/// A port prepared for landing, with one queue each way.
pub struct LandingPort {
    // The port goes before the pool that feeds it.
    port: Port,
    info: PortInfo,
    judge: Judge,
    verdict: Verdict,
    layout: SlotLayout,
    setup: PortSetup,
    pool: Option<LandingPool>,
}

impl LandingPort {
    /// Takes a port and sets it up.
    ///
    /// # Errors
    /// [`PortError`]: a device that nothing can land on, or a setup that it can't have.
    pub fn open(eal: &Eal, id: PortId, setup: &PortSetup) -> Result<Self, PortError> {
        let mut port = Port::open(eal, id).map_err(PortError::Open)?;
        let info = port.info().map_err(|e| PortError::Info(e.to_string()))?;
        let judge =
            Judge::of(&info, &arguments(id), setup.mtu, setup.assume_ordered).map_err(PortError::Refused)?;
        let verdict = judge.settle();
        let traits = verdict.traits;
        let layout = choose(id, &info.driver, &verdict, setup.layout);
        if setup.mtu > info.max_mtu {
            return Err(PortError::Mtu { port: id, mtu: setup.mtu, max: info.max_mtu });
        }
        let stride = usize::from(setup.mtu - 20) & !7;
        let room = traits.reach.max(HEADERS + stride);
        let (rxd, txd) =
            (ring(id, "receive", setup.rxd, info.rx_desc), ring(id, "send", setup.txd, info.tx_desc));
        let plan = PoolConfig {
            name: format!("p{id}"),
            descriptors: rxd,
            spare_mbufs: setup.spare_mbufs,
            region: setup.region,
            max_region: setup.max_region,
            kind: RegionKind::Dpdk,
            stride,
            room,
            layout,
            socket: info.socket,
            writes: Writes {
                declared: traits.declared_room,
                boundary: traits.boundary,
                port: traits.dma.then_some(id),
            },
        };
        let pool = make_pool(eal, id, &plan, setup.mirror && !traits.needs_dpdk_memory)?;
        let (region, layout) = (pool.config().region, pool.layout());
        let config = PortConfig {
            mtu: Some(setup.mtu).filter(|&m| m != 1500),
            rx_offloads: info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
            tx_offloads: info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
            ..PortConfig::default()
        };
        port.configure(&config).map_err(PortError::Configure)?;
        let rx =
            RxConf { offloads: config.rx_offloads & info.rx_queue_offload_capa, ..rx_conf(id, &info, rxd) };
        // SAFETY: queue and pool stay together in the LandingQueue that `start` hands out, the port is stopped and
        // started only when it is back (`stop` takes the pool).
        unsafe { port.rx_queue_setup_unchecked(0, rxd, &rx, pool.share()) }.map_err(PortError::Queue)?;
        let tx = TxConf { offloads: config.tx_offloads & info.tx_queue_offload_capa, ..tx_conf(&info) };
        port.tx_queue_setup(0, txd, &tx).map_err(PortError::Queue)?;
        if setup.mtu != 1500 {
            // Virtual devices without an MTU of their own say so; frames are cut to it all the same.
            if let Err(e) = port.set_mtu(setup.mtu) {
                log::info!("port {id}: {e}");
            }
        }
        let setup = PortSetup { rxd, txd, region, ..*setup };
        Ok(Self { port, info, judge, verdict, layout, setup, pool: Some(pool) })
    }

    /// Starts the port and hands its queues out. `None` for the queues if they are out already.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(&mut self) -> Result<Option<(LandingQueue, TxQueue)>, StartError> {
        if self.pool.is_none() {
            return Ok(None);
        }
        // The ring is filled by the start: slots must lie right before.
        self.lay(self.judge.settle());
        self.port.start()?;
        if self.layout == SlotLayout::Overlapping {
            let verdict = self.judge.verify();
            if verdict.traits.allowed != Allowed::Both {
                self.port.stop().map_err(|e| match e {
                    StopError::Refused(id, errno) => StartError::Refused(id, errno),
                    StopError::QueuesOut(id, _) => {
                        StartError::Refused(id, rte::Errno::of_return(-libc::EBUSY))
                    }
                })?;
                self.lay(verdict);
                self.port.start()?;
            }
        }
        if self.setup.promiscuous
            && let Err(e) = self.port.set_promiscuous(true)
        {
            log::debug!("{e}");
        }
        let (Some(pool), Some(rx), Some(tx)) = (self.pool.take(), self.port.take_rx(0), self.port.take_tx(0))
        else {
            return Ok(None);
        };
        Ok(Some((LandingQueue::new(rx, pool, self.verdict.traits), tx)))
    }

    /// Lays the slots that the port is started with.
    fn lay(&mut self, verdict: Verdict) {
        self.layout = choose(self.port.id(), &self.info.driver, &verdict, self.setup.layout);
        self.verdict = verdict;
        if let Some(pool) = &mut self.pool {
            pool.set_layout(self.layout);
        }
    }

    /// Stops the port. `pool` is what [`LandingQueue::into_pool`] gave.
    ///
    /// # Errors
    /// [`StopError`]: the transmit queue is still out, or the driver refuses. The pool is back in any case.
    pub fn stop(&mut self, pool: LandingPool) -> Result<(), StopError> {
        self.pool = Some(pool);
        self.port.stop()?;
        if let Some(pool) = self.pool.as_mut().filter(|_| self.verdict.traits.keeps_posted) {
            // SAFETY: the port is stopped, and this driver neither uses nor frees what it had posted any more.
            unsafe { pool.reclaim() };
        }
        Ok(())
    }

    /// Stops and closes the port, then lets the pool go.
    ///
    /// # Errors
    /// [`StopError`].
    pub fn close(self) -> Result<(), StopError> {
        self.port.close().map_err(|(_, e)| e)
    }

    /// The port.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// The port.
    pub fn port_mut(&mut self) -> &mut Port {
        &mut self.port
    }

    /// What DPDK says of it.
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// What may be done with its device, as it was judged last.
    pub fn traits(&self) -> Traits {
        self.verdict.traits
    }

    /// The last judgement: when it was opened, or started.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What its device was recognised as.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// How its slots are laid at the start.
    pub fn layout(&self) -> SlotLayout {
        self.layout
    }

    /// The setup in force.
    pub fn setup(&self) -> &PortSetup {
        &self.setup
    }

    /// The landing pool, while the port is stopped.
    pub fn pool(&self) -> Option<&LandingPool> {
        self.pool.as_ref()
    }
}

/// The layout that is asked for, or suits the device, if it may be.
fn choose(id: PortId, driver: &str, verdict: &Verdict, asked: Option<SlotLayout>) -> SlotLayout {
    match (verdict.traits.allowed, asked.unwrap_or(verdict.traits.preferred)) {
        (Allowed::SeparateOnly(_), SlotLayout::Overlapping) => {
            log::warn!("port {id} ({driver}) lands in separate slots, with a copy: {}", verdict.why);
            SlotLayout::Separate
        }
        (_, layout) => layout,
    }
}

/// The pool, in memory mapped twice if that can be had.
fn make_pool(eal: &Eal, id: PortId, plan: &PoolConfig, mirror: bool) -> Result<LandingPool, PortError> {
    // What a boundary leaves unused counts as room.
    let room = match plan.writes.boundary {
        0 => plan.room,
        boundary => boundary / (boundary / (plan.room + 128)).max(1),
    };
    let least = PoolConfig::least_region(plan.descriptors, plan.stride, room);
    let sized = |kind, round| {
        let region = plan.region.max(least).next_multiple_of(round);
        PoolConfig { kind, region, max_region: plan.max_region.max(region), ..plan.clone() }
    };
    let once = sized(RegionKind::Dpdk, 1 << 17);
    if once.region > plan.region {
        log::info!("port {id}: the landing region is {} bytes, {} would not do", once.region, plan.region);
    }
    if mirror {
        match LandingPool::create(eal, &sized(RegionKind::Mirrored, 2 << 20)) {
            Ok(pool) => return Ok(pool),
            Err(LandingError::Memory(e)) if plan.writes.port.is_some() => {
                log::warn!("port {id}: datagrams across the landing region's end are copied: {e}");
            }
            Err(e) => return Err(PortError::Pool(e)),
        }
    }
    LandingPool::create(eal, &once).map_err(PortError::Pool)
}

/// Descriptors that the driver takes.
fn ring(id: PortId, what: &str, n: u16, limits: DescLimits) -> u16 {
    let fit = clamp(n, limits);
    if fit != n {
        let DescLimits { min, max, align } = limits;
        log::warn!(
            "port {id}: {fit} descriptors to {what}, not {n}: its driver takes {min} to {max}, by {align}"
        );
    }
    fit
}

fn clamp(n: u16, limits: DescLimits) -> u16 {
    let (min, max) = (limits.min.max(1), limits.max.max(1));
    let n = n.clamp(min.min(max), max);
    if limits.align > 1 { (n / limits.align * limits.align).max(min) } else { n }
}

/// Of e1000 drivers: igb and its virtual functions.
fn is_igb(driver: &str) -> bool {
    matches!(driver, "net_e1000_igb" | "net_e1000_igb_vf")
}

/// Thresholds of a receive ring. Drivers tell the device of refilled descriptors when there are *more* than
/// `free_thresh` of them: a ring of 32 with igb's default of 32 never goes on. em's default is 0, igb's write-back
/// threshold 4 keeps frames from us until four are there.
fn rx_conf(id: PortId, info: &PortInfo, rxd: u16) -> RxConf {
    let (default, most) = (info.default_rx.free_thresh.unwrap_or(0), rxd / 4);
    let free_thresh = (default > most).then_some(most);
    if let Some(thresh) = free_thresh {
        log::info!("port {id}: descriptors go back {thresh} at a time, not {default}: the ring has {rxd}");
    }
    RxConf { free_thresh, wthresh: is_igb(&info.driver).then_some(1), ..RxConf::default() }
}

/// Thresholds of a transmit ring, so that every sent buffer is reported at once: it is waited for.
fn tx_conf(info: &PortInfo) -> TxConf {
    TxConf {
        rs_thresh: (info.driver == "net_e1000_em").then_some(1),
        wthresh: is_igb(&info.driver).then_some(1),
        ..TxConf::default()
    }
}

/// A port can't be prepared for landing.
#[derive(Debug)]
pub enum PortError {
    /// It can't be had.
    Open(OpenError),
    /// DPDK tells nothing about it.
    Info(String),
    /// Nothing can land on it.
    Refused(Refused),
    /// The device has no such MTU.
    Mtu {
        /// The port.
        port: PortId,
        /// Bytes asked for.
        mtu: u16,
        /// Bytes it can have.
        max: u16,
    },
    /// No pool.
    Pool(LandingError),
    /// The driver refuses.
    Configure(ConfigureError),
    /// The driver refuses a queue.
    Queue(QueueError),
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(e) => e.fmt(f),
            Self::Info(e) => e.fmt(f),
            Self::Refused(e) => e.fmt(f),
            Self::Mtu { port, mtu, max } => {
                write!(f, "port {port} cannot have an MTU of {mtu}: choose {max} or less")
            }
            Self::Pool(e) => e.fmt(f),
            Self::Configure(e) => e.fmt(f),
            Self::Queue(e) => e.fmt(f),
        }
    }
}

impl error::Error for PortError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_what_the_driver_takes() {
        let em = DescLimits { min: 32, max: 4096, align: 8 };
        for (n, fit) in [(1, 32), (32, 32), (33, 32), (47, 40), (512, 512), (5000, 4096)] {
            assert_eq!(clamp(n, em), fit);
        }
        assert_eq!(clamp(7, DescLimits { min: 0, max: u16::MAX, align: 1 }), 7);
    }
}
