//! [`LandingPort`]: a port set up so that datagrams land on it.
//!
//! What drivers would spoil is settled here: the MTU, the room that buffers are declared with, no scattered
//! receive, VLAN tags stripped where the device can, never `KEEP_CRC`, thresholds that don't stall.

use dpdk_sys::{RTE_ETH_RX_OFFLOAD_VLAN_STRIP, RTE_ETH_TX_OFFLOAD_MULTI_SEGS};
use rte::Eal;
use rte::port::{ConfigureError, OpenError, Port, PortConfig, PortId, PortInfo, QueueError, RxConf};
use rte::port::{StartError, StopError, TxConf, TxQueue};
use std::{error, fmt};

use crate::device::{Allowed, Refused, Traits, arguments, traits_of};
use crate::landing::{HEADERS, SlotLayout};
use crate::pool::{LandingError, LandingPool, PoolConfig, RegionKind};
use crate::queue::LandingQueue;

/// Descriptors to send from on cards: room for the largest datagram, in one segment a frame.
const CARD_TXD: u16 = 64;

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
        }
    }
}

/// A port prepared for landing, with one queue each way.
pub struct LandingPort {
    // The port goes before the pool that feeds it.
    port: Port,
    info: PortInfo,
    traits: Traits,
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
        let traits = traits_of(&info.driver, &arguments(id)).map_err(PortError::Refused)?;
        let layout = match (traits.allowed, setup.layout.unwrap_or(traits.preferred)) {
            (Allowed::SeparateOnly(why), SlotLayout::Overlapping) => {
                log::warn!("port {id} ({}) lands in separate slots, with a copy: {why}", info.driver);
                SlotLayout::Separate
            }
            (_, layout) => layout,
        };
        if setup.mtu > info.max_mtu {
            return Err(PortError::Mtu { port: id, mtu: setup.mtu, max: info.max_mtu });
        }
        let stride = usize::from(setup.mtu - 20) & !7;
        let room = traits.declared_room.max(HEADERS + stride);
        let kind =
            if setup.mirror && !traits.needs_dpdk_memory { RegionKind::Mirrored } else { RegionKind::Dpdk };
        let (rxd, txd) = (clamp(setup.rxd, info.rx_desc), clamp(setup.txd, info.tx_desc));
        // They free what they have sent only a ring later: a long ring would hold all buffers.
        let txd = if info.driver.starts_with("net_e1000") { txd.min(CARD_TXD) } else { txd };
        let least = PoolConfig::least_region(rxd, stride, room);
        let round = if kind == RegionKind::Mirrored { 2 << 20 } else { 1 << 17 };
        let region = setup.region.max(least).next_multiple_of(round);
        if region > setup.region {
            log::info!("port {id}: the landing region is {region} bytes, {} would not do", setup.region);
        }
        let pool = LandingPool::create(
            eal,
            &PoolConfig {
                name: format!("p{id}"),
                descriptors: rxd,
                spare_mbufs: setup.spare_mbufs,
                region,
                max_region: setup.max_region,
                kind,
                stride,
                room,
                layout,
                socket: info.socket,
            },
        )
        .map_err(PortError::Pool)?;
        let config = PortConfig {
            mtu: Some(setup.mtu).filter(|&m| m != 1500),
            rx_offloads: info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
            tx_offloads: info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
            ..PortConfig::default()
        };
        port.configure(&config).map_err(PortError::Configure)?;
        let rx = RxConf { offloads: config.rx_offloads & info.rx_queue_offload_capa, ..RxConf::default() };
        // SAFETY: queue and pool stay together in the LandingQueue that `start` hands out, the port is stopped and
        // started only when it is back (`stop` takes the pool).
        unsafe { port.rx_queue_setup_unchecked(0, rxd, &rx, pool.share()) }.map_err(PortError::Queue)?;
        let tx = TxConf { offloads: config.tx_offloads & info.tx_queue_offload_capa, ..TxConf::default() };
        port.tx_queue_setup(0, txd, &tx).map_err(PortError::Queue)?;
        if setup.mtu != 1500 {
            // Virtual devices without an MTU of their own say so; frames are cut to it all the same.
            if let Err(e) = port.set_mtu(setup.mtu) {
                log::info!("port {id}: {e}");
            }
        }
        let setup = PortSetup { rxd, txd, region, layout: Some(layout), ..*setup };
        Ok(Self { port, info, traits, layout, setup, pool: Some(pool) })
    }

    /// Starts the port and hands its queues out. `None` for the queues if they are out already.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(&mut self) -> Result<Option<(LandingQueue, TxQueue)>, StartError> {
        self.port.start()?;
        if self.setup.promiscuous
            && let Err(e) = self.port.set_promiscuous(true)
        {
            log::debug!("{e}");
        }
        let (Some(pool), Some(rx), Some(tx)) = (self.pool.take(), self.port.take_rx(0), self.port.take_tx(0))
        else {
            return Ok(None);
        };
        Ok(Some((LandingQueue::new(rx, pool, self.traits), tx)))
    }

    /// Stops the port. `pool` is what [`LandingQueue::into_pool`] gave.
    ///
    /// # Errors
    /// [`StopError`]: the transmit queue is still out, or the driver refuses. The pool is back in any case.
    pub fn stop(&mut self, pool: LandingPool) -> Result<(), StopError> {
        self.pool = Some(pool);
        self.port.stop()?;
        if let Some(pool) = self.pool.as_mut().filter(|_| self.traits.keeps_posted) {
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

    /// What is known of its driver.
    pub fn traits(&self) -> Traits {
        self.traits
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

fn clamp(n: u16, limits: rte::port::DescLimits) -> u16 {
    let (min, max) = (limits.min.max(1), limits.max.max(1));
    let n = n.clamp(min.min(max), max);
    if limits.align > 1 { (n / limits.align * limits.align).max(min) } else { n }
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
