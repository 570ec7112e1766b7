//! [`LandingPort`]: a port set up so that datagrams land on it.
//!
//! What drivers would spoil is settled here: the MTU, the room that buffers are declared with, no scattered
//! receive, VLAN tags stripped where the device can, never `KEEP_CRC`, thresholds that don't stall. Whether slots may
//! overlap is decided anew at every start, before it and after it.

use std::sync::Arc;
use std::{error, fmt};

use dpdk_sys::{RTE_ETH_RX_OFFLOAD_VLAN_STRIP, RTE_ETH_TX_OFFLOAD_MULTI_SEGS};
use rte::mempool::{Mempool, PoolError};
use rte::port::{ConfigureError, MacAddr, MqMode, OpenError, Port, PortConfig, PortId, PortInfo, QueueError};
use rte::port::{InterruptError, RxConf, RxInterrupt, RxQueue, StartError, StopError, TxConf, TxQueue};
use rte::{Eal, Errno};

use crate::demands::{Unmet, Wanted, check, posted};
use crate::devargs::Devargs;
use crate::device::{Refused, arguments};
use crate::interrupt::{Wake, wake};
use crate::overlap::{OverlapPolicy, Verdict, stride};
use crate::probe::Proofs;
use crate::queue_slot::{QueueSlot, make_pool};
use crate::rings::{ring, rx_conf, send_ring, tx_conf};
use crate::steer::{SteerError, Steering};
use lm_landing::device::{Allowed, Traits};
use lm_landing::landing::{HEADROOM, SlotLayout};
use lm_landing::pool::{LandingError, LandingPool, PoolConfig, RegionKind, Writes};
use lm_landing::queue::LandingQueue;

/// What a landing port is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSetup {
    /// Descriptors to receive into.
    pub rxd: u16,
    /// Descriptors to send from; 0: as suits the driver, 64 where it keeps what it has sent until the descriptor's turn
    /// comes again, else 512.
    pub txd: u16,
    /// Bytes of IP packet on the link.
    pub mtu: u16,
    /// How slots are laid first, separate if the device allows no other; `None`: as suits the device best.
    pub layout: Option<SlotLayout>,
    /// Bytes of landing region.
    pub region: usize,
    /// Bytes that it may grow to while messages are held; twice the region at least.
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
    /// Receive queues can interrupt, so that a thread may sleep: [`Queues::interrupts`].
    pub interrupts: bool,
}

impl Default for PortSetup {
    /// 512 descriptors to receive into, as many to send from as suit the driver, MTU 1500, 4 MB of region that may grow to 16.
    fn default() -> Self {
        Self {
            rxd: 512,
            txd: 0,
            mtu: 1500,
            layout: None,
            region: 4 << 20,
            max_region: 16 << 20,
            mirror: true,
            spare_mbufs: 576,
            promiscuous: true,
            assume_ordered: false,
            interrupts: false,
        }
    }
}

/// A port prepared for landing: with one queue, or with a queue of ordinary mbufs and landing queues that frames are
/// steered to.
pub struct LandingPort {
    // The port goes before the pools that feed it.
    port: Port,
    info: PortInfo,
    policy: OverlapPolicy,
    verdict: Verdict,
    layout: SlotLayout,
    setup: PortSetup,
    steering: Option<Steering>,
    proofs: Arc<Proofs>,
    queue_slots: Vec<QueueSlot>,
    /// `None`: nobody sleeps.
    wake: Option<Wake>,
    ordinary: Option<Mempool>,
}

/// The queues of a started port.
pub struct Queues {
    /// What is steered nowhere; `None`: there is no steering, everything lands.
    pub ordinary: Option<RxQueue>,
    /// The landing queues, in the order of their addresses.
    pub landing: Vec<LandingQueue>,
    /// The way out.
    pub tx: TxQueue,
    /// Of each receive queue, the ordinary one too, with [`PortSetup::interrupts`]; else none.
    pub interrupts: Vec<RxInterrupt>,
}

/// mbufs of the ordinary queue beyond its descriptors.
const ORDINARY_SPARE: u32 = 512;

/// The MTU that a driver is told of when its port is configured, if it is not the usual one. Virtual devices without one of
/// their own (net_memif) refuse all others; frames are cut to it all the same.
pub fn told_mtu(info: &PortInfo, mtu: u16) -> Option<u16> {
    let too_long = u32::from(mtu) + FRAMING > info.max_rx_pktlen;
    Some(mtu).filter(|&m| m != 1500 && !(info.bus == "vdev" && too_long))
}

/// Ethernet header and check sequence.
const FRAMING: u32 = 18;
/// A VLAN tag.
const VLAN: usize = 4;

impl LandingPort {
    /// Takes a port and sets it up with one landing queue, for all frames.
    ///
    /// # Errors
    /// [`PortError`]: a device that nothing can land on, or a setup that it can't have.
    pub fn open(eal: &Eal, id: PortId, setup: &PortSetup) -> Result<Self, PortError> {
        Self::open_steered(eal, id, setup, &[])
    }

    /// Takes a port and sets it up with a landing queue for each of these destination addresses, and an ordinary queue,
    /// number 0, for all other frames. Without an address, it is [`LandingPort::open`].
    ///
    /// # Errors
    /// [`PortError`]: also if the device can't steer so.
    pub fn open_steered(
        eal: &Eal,
        id: PortId,
        setup: &PortSetup,
        macs: &[MacAddr],
    ) -> Result<Self, PortError> {
        let port = Port::open(eal, id).map_err(PortError::Open)?;
        let info = port.info().map_err(|e| PortError::Info(e.to_string()))?;
        let args = arguments(id);
        let mut policy =
            OverlapPolicy::of(&info, &args, setup.mtu, setup.assume_ordered).map_err(PortError::Refused)?;
        let args = Devargs::parse(&args);
        let PortSetup { mtu, rxd, spare_mbufs, .. } = *setup;
        check(&info, &args, &Wanted { mtu, rxd, spare_mbufs }).map_err(|e| PortError::Unmet(id, e))?;
        if setup.region > MOST_REGION || setup.max_region > 2 * MOST_REGION {
            return Err(PortError::Region(id, setup.region.max(setup.max_region)));
        }
        let verdict = policy.settle();
        warn_if_separate(id, &info.driver, &verdict, setup.layout);
        if setup.mtu > info.max_mtu || setup.mtu < LEAST_MTU {
            return Err(PortError::Mtu { port: id, mtu: setup.mtu, max: info.max_mtu });
        }
        let wake = setup.interrupts.then(|| wake(&info)).transpose();
        let wake =
            wake.map_err(|why| PortError::NoInterrupt { port: id, driver: info.driver.clone(), why })?;
        let steering = (!macs.is_empty())
            .then(|| Steering::plan(policy.card(), &info, setup.mtu, macs))
            .transpose()
            .map_err(|e| PortError::Steer(id, e))?;
        let traits = verdict.traits;
        let rxd = ring(id, "receive", setup.rxd, info.rx_desc);
        let txd = send_ring(id, &info, &traits, setup.txd);
        let setup = PortSetup { rxd, txd, ..*setup };

        let posted = posted(&info.driver, &args, rxd);
        let plan = pool_plan(id, &info, &verdict, &setup, posted);
        let mirror = setup.mirror && !verdict.traits.needs_dpdk_memory;
        let queue_slots = (0..macs.len().max(1))
            .map(|i| {
                let name = if i == 0 { format!("p{id}") } else { format!("p{id}q{i}") };
                make_pool(eal, id, &PoolConfig { name, ..plan.clone() }, mirror).map(QueueSlot::new)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let region = queue_slots[0].pool.as_ref().map_or(setup.region, |pool| pool.config().region);
        let ordinary = if steering.is_some() {
            let (n, room) = (u32::from(rxd) + ORDINARY_SPARE, (HEADROOM + plan.writes.declared) as u16);
            let pool = Mempool::pktmbuf(eal, &format!("ordinary_{id}"), n, 32, 0, room, info.socket);
            Some(pool.map_err(PortError::Ordinary)?)
        } else {
            None
        };
        let setup = PortSetup { region, ..setup };
        let layout = choose(&verdict, setup.layout);
        let proofs = Arc::new(Proofs::new(macs));
        let mut this = Self {
            port,
            info,
            policy,
            verdict,
            layout,
            setup,
            steering,
            proofs,
            queue_slots,
            wake,
            ordinary,
        };
        this.set_up()?;
        Ok(this)
    }

    /// Configures the port and sets its queues up.
    fn set_up(&mut self) -> Result<(), PortError> {
        let Self { port, info, verdict, setup, steering, queue_slots, wake, ordinary, .. } = self;
        let PortSetup { rxd, txd, mtu, .. } = *setup;
        let (id, traits) = (port.id(), verdict.traits);
        let first = steering.as_ref().map_or(0, Steering::first_queue);
        let config = PortConfig {
            rx_queues: first + queue_slots.len() as u16,
            mtu: told_mtu(info, mtu),
            rx_offloads: info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
            tx_offloads: info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
            mq_mode: steering.as_ref().map_or(MqMode::None, Steering::mq_mode),
            rx_interrupts: wake.is_some(),
            ..PortConfig::default()
        };
        port.configure(&config).map_err(PortError::Configure)?;
        let rx = RxConf {
            offloads: config.rx_offloads & info.rx_queue_offload_capa,
            // A full queue must not hold up the others.
            drop: steering.is_some().then_some(true),
            ..rx_conf(id, info, &traits, rxd)
        };
        if let Some(pool) = ordinary {
            port.rx_queue_setup(0, rxd, &rx, pool).map_err(PortError::Queue)?;
        }
        for (i, queue_slot) in queue_slots.iter_mut().enumerate() {
            let Some(pool) = &mut queue_slot.pool else { continue };
            // SAFETY: the traits are those of this port's driver, and the pool feeds this port alone.
            unsafe { pool.set_keeps_posted(traits.keeps_posted) };
            // SAFETY: queue and pool stay together in the LandingQueue that `start_all` hands out, which gives neither its
            // mbufs nor the queue to anybody; this type hands out no queue by itself, nor the port. The port is stopped
            // and started only when the queue is back, and that is when the pool is, or is gone (`LandingPool::lease`).
            unsafe { port.rx_queue_setup_unchecked(first + i as u16, rxd, &rx, pool.share()) }
                .map_err(PortError::Queue)?;
        }
        let tx = TxConf { offloads: config.tx_offloads & info.tx_queue_offload_capa, ..tx_conf(&traits) };
        port.tx_queue_setup(0, txd, &tx).map_err(PortError::Queue)?;
        if mtu != 1500 {
            // Virtual devices without an MTU of their own say so; frames are cut to it all the same, and were seen to fit.
            match port.set_mtu(mtu) {
                Err(e) if e.errno.number() == libc::ENOTSUP => log::debug!("{e}"),
                Err(e) => return Err(PortError::SetMtu(mtu, e)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Resets the device of a stopped port, and sets it up as it was. (Of the e1000 drivers, igb's has a reset; em's and that of virtual
    /// functions have none.)
    ///
    /// # Errors
    /// [`PortError`]: `Out` and `Reset` with ENOTSUP have changed nothing. After any other the port is to be closed.
    pub fn reset(&mut self) -> Result<(), PortError> {
        if self.queue_slots.iter().any(|queue_slot| queue_slot.pool.is_none()) {
            return Err(PortError::Out(self.port.id()));
        }
        self.port.reset().map_err(PortError::Reset)?;
        if let Some(steering) = &mut self.steering {
            steering.was_reset();
        }
        self.set_up()
    }

    /// Starts a port that nothing is steered on, and hands its queues out. `None` if they are out already, or if the
    /// port is steered: see [`LandingPort::start_all`].
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(&mut self) -> Result<Option<(LandingQueue, TxQueue)>, StartError> {
        if self.steering.is_some() {
            return Ok(None);
        }
        let queues = self.start_all()?;
        Ok(queues.and_then(|mut queues| Some((queues.landing.pop()?, queues.tx))))
    }

    /// Starts the port and hands its queues out. `None` for the queues if they are out already.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_all(&mut self) -> Result<Option<Queues>, StartError> {
        if self.queue_slots.iter().any(|queue_slot| queue_slot.pool.is_none()) {
            return Ok(None);
        }
        // The rings are filled by the start: slots must lie right before.
        let verdict = self.policy.settle();
        self.lay(verdict);
        self.port.start()?;
        // Drivers reset their cards when they start them: what was put right may not be so any more.
        let verdict = self.policy.verify();
        if verdict.traits.allowed == self.verdict.traits.allowed {
            self.verdict = verdict;
        } else {
            self.port.stop().map_err(|e| match e {
                StopError::Refused(id, errno) => StartError::Refused(id, errno),
                StopError::QueuesOut(id, _) => StartError::Refused(id, Errno::of_return(-libc::EBUSY)),
            })?;
            self.lay(verdict);
            self.port.start()?;
        }
        if let Some(steering) = &mut self.steering
            && let Err(e) = steering.apply(&mut self.port)
        {
            self.port.stop().unwrap_or_else(|e| log::error!("{e}"));
            return Err(e);
        }
        if self.setup.promiscuous
            && let Err(e) = self.port.set_promiscuous(true)
        {
            log::debug!("{e}");
        }
        let interrupts = match self.interrupts() {
            Ok(interrupts) => interrupts,
            Err(e) => {
                self.port.stop().unwrap_or_else(|e| log::error!("{e}"));
                return Err(e);
            }
        };
        Ok(self.hand_out(interrupts))
    }

    /// The interrupts of all receive queues, with nothing to hold them back.
    fn interrupts(&mut self) -> Result<Vec<RxInterrupt>, StartError> {
        let Some(wake) = &self.wake else { return Ok(Vec::new()) };
        let id = self.port.id();
        let no = |why: String| StartError::NoInterrupt(id, why);
        wake.prepare()
            .map_err(|e| no(format!("the register that holds its interrupts back cannot be cleared: {e}")))?;
        let queues = self.steering.as_ref().map_or(0, Steering::first_queue) + self.queue_slots.len() as u16;
        let all = (0..queues).map(|queue| self.port.rx_interrupt(queue));
        all.collect::<Result<_, InterruptError>>().map_err(|e| no(e.to_string()))
    }

    fn hand_out(&mut self, interrupts: Vec<RxInterrupt>) -> Option<Queues> {
        let first = self.steering.as_ref().map_or(0, Steering::first_queue);
        let ordinary = if first > 0 { Some(self.port.take_rx(0)?) } else { None };
        let tx = self.port.take_tx(0)?;
        let mut landing = Vec::new();
        for (i, queue_slot) in self.queue_slots.iter_mut().enumerate() {
            let rx = self.port.take_rx(first + i as u16)?;
            // SAFETY: queue `first + i` was set up with the pool of its place when the port was opened; the traits are its
            // driver's.
            landing.push(unsafe { LandingQueue::new(rx, queue_slot.pool.take()?, self.verdict.traits) });
        }
        Some(Queues { ordinary, landing, tx, interrupts })
    }

    /// Lays the slots that the port is started with.
    fn lay(&mut self, verdict: Verdict) {
        if verdict.traits.allowed != self.verdict.traits.allowed {
            warn_if_separate(self.port.id(), &self.info.driver, &verdict, self.setup.layout);
        }
        self.layout = choose(&verdict, self.setup.layout);
        self.verdict = verdict;
        for pool in self.queue_slots.iter_mut().filter_map(|queue_slot| queue_slot.pool.as_mut()) {
            pool.set_layout(self.layout);
        }
    }

    /// Stops the port. `pool` is what [`LandingQueue::into_pool`] gave.
    ///
    /// # Errors
    /// As [`LandingPort::stop_all`].
    pub fn stop(&mut self, pool: LandingPool) -> Result<(), StopError> {
        self.stop_all([pool])
    }

    /// Stops the port. `pools` are what [`LandingQueue::into_pool`] gave of each queue.
    ///
    /// # Errors
    /// [`StopError`]: other queues are still out, or the driver refuses. The pools are back in any case.
    pub fn stop_all(&mut self, pools: impl IntoIterator<Item = LandingPool>) -> Result<(), StopError> {
        for mut pool in pools {
            // SAFETY: on this thread, which stops the port, nobody polls; the pool stays in its place from here on.
            unsafe { pool.end_lease() };
            match self.queue_slots.iter_mut().find(|queue_slot| queue_slot.is_of(&pool)) {
                Some(queue_slot) => queue_slot.pool = Some(pool),
                None => log::warn!("port {}: pool {} is another port's", self.port.id(), pool.config().name),
            }
        }
        self.port.stop()?;
        if self.verdict.traits.keeps_posted {
            for pool in self.queue_slots.iter_mut().filter_map(|queue_slot| queue_slot.pool.as_mut()) {
                // SAFETY: the port is stopped, and this driver neither uses nor frees what it had posted any more.
                unsafe { pool.reclaim() };
            }
        }
        Ok(())
    }

    /// Takes rules out, for good, once frames were seen to go where they should not, whether queues are out or not: only
    /// the way of frames to come changes. Whether there are rules that may still be refuted: look again then.
    pub fn look_at_steering(&mut self) -> bool {
        self.steering.as_mut().is_some_and(|steering| steering.look(&self.proofs, &mut self.port))
    }

    /// What live frames say of the steering: to be told by who polls the queues ([`crate::probe`]).
    pub fn proofs(&self) -> &Arc<Proofs> {
        &self.proofs
    }

    /// Stops and closes the port, then lets the pools go; how many mbufs were in them, which is all that there are unless
    /// somebody lost one. Some drivers give back what they had posted only now.
    ///
    /// # Errors
    /// [`StopError`].
    pub fn close(self) -> Result<u32, StopError> {
        self.port.close().map_err(|(_, e)| e)?;
        Ok(self
            .queue_slots
            .iter()
            .filter_map(|queue_slot| queue_slot.pool.as_ref())
            .map(LandingPool::available)
            .sum())
    }

    /// The port.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Sets its basic counters to zero.
    ///
    /// # Errors
    /// [`rte::port::PortError`].
    pub fn reset_stats(&mut self) -> Result<(), rte::port::PortError> {
        self.port.reset_stats()
    }

    /// Sets all its counters to zero.
    ///
    /// # Errors
    /// [`rte::port::PortError`].
    pub fn reset_xstats(&mut self) -> Result<(), rte::port::PortError> {
        self.port.reset_xstats()
    }

    /// What DPDK says of it.
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// What may be done with its device, as it was decided last.
    pub fn traits(&self) -> Traits {
        self.verdict.traits
    }

    /// The last verdict: when it was opened, or started.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What its device was recognised as.
    pub fn overlap_policy(&self) -> &OverlapPolicy {
        &self.policy
    }

    /// How frames are led to its landing queues; `None`: everything lands.
    pub fn steering(&self) -> Option<&Steering> {
        self.steering.as_ref()
    }

    /// How its slots are laid at the start.
    pub fn layout(&self) -> SlotLayout {
        self.layout
    }

    /// The setup in force.
    pub fn setup(&self) -> &PortSetup {
        &self.setup
    }

    /// The first landing pool, while the port is stopped.
    pub fn pool(&self) -> Option<&LandingPool> {
        self.pools().next()
    }

    /// The landing pools, while the port is stopped.
    pub fn pools(&self) -> impl Iterator<Item = &LandingPool> {
        self.queue_slots.iter().filter_map(|queue_slot| queue_slot.pool.as_ref())
    }
}

/// Bytes of a landing region at most: its length is reckoned with four times over (twice mapped, grown to twice as much).
pub const MOST_REGION: usize = 1 << 36;

/// The smallest MTU that IPv4 can do with.
const LEAST_MTU: u16 = 68;

/// What a landing pool of the port is to be, of whose mbufs the device keeps so many `posted`.
fn pool_plan(id: PortId, info: &PortInfo, verdict: &Verdict, setup: &PortSetup, posted: u32) -> PoolConfig {
    let traits = verdict.traits;
    // As many mbufs as the setup says, however long the device's own ring is; the region has to have place for that.
    let descriptors = posted.max(setup.rxd.into()).min(u16::MAX.into()) as u16;
    let more = u32::from(descriptors - setup.rxd);
    let stride = stride(setup.mtu);
    // A separate slot takes whatever the MTU allows, with a VLAN tag and a frame check sequence.
    let room = traits.reach.max(usize::from(setup.mtu) + FRAMING as usize + VLAN);
    PoolConfig {
        name: String::new(),
        descriptors,
        spare_mbufs: setup.spare_mbufs.saturating_sub(more),
        region: setup.region,
        max_region: setup.max_region,
        kind: RegionKind::Dpdk,
        stride,
        room,
        layout: choose(verdict, setup.layout),
        socket: info.socket,
        writes: Writes {
            declared: traits.declared_room.max(room),
            boundary: traits.boundary,
            port: traits.dma.then_some(id),
            at_any_time: !traits.synchronous,
        },
    }
}

/// The layout that is asked for, or suits the device, if it may be.
fn choose(verdict: &Verdict, asked: Option<SlotLayout>) -> SlotLayout {
    match verdict.traits.allowed {
        Allowed::SeparateOnly(_) => SlotLayout::Separate,
        Allowed::Both => asked.unwrap_or(verdict.traits.preferred),
    }
}

fn warn_if_separate(id: PortId, driver: &str, verdict: &Verdict, asked: Option<SlotLayout>) {
    let wanted = asked.unwrap_or(verdict.traits.preferred);
    if wanted == SlotLayout::Overlapping && choose(verdict, asked) == SlotLayout::Separate {
        log::warn!("port {id} ({driver}) lands in separate slots, with a copy: {}", verdict.why);
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
    /// Its device's arguments and the setup do not go together.
    Unmet(PortId, Unmet),
    /// More bytes of landing region than [`MOST_REGION`], or to grow to than twice as many.
    Region(PortId, usize),
    /// The device does not take this MTU.
    SetMtu(u16, rte::port::PortError),
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
    /// No pool for the ordinary queue.
    Ordinary(PoolError),
    /// It has no interrupts that could wake a sleeping thread.
    NoInterrupt {
        /// The port.
        port: PortId,
        /// Its driver.
        driver: String,
        /// Why, and what to do.
        why: String,
    },
    /// It cannot steer.
    Steer(PortId, SteerError),
    /// The driver refuses.
    Configure(ConfigureError),
    /// The driver refuses a queue.
    Queue(QueueError),
    /// It is to be reset, and its queues are out.
    Out(PortId),
    /// Its driver can't reset it.
    Reset(rte::port::PortError),
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(e) => e.fmt(f),
            Self::Info(e) => e.fmt(f),
            Self::Refused(e) => e.fmt(f),
            Self::Unmet(port, e) => write!(f, "port {port}: {e}"),
            Self::Region(port, region) => {
                write!(f, "port {port}: no landing region has {region} bytes: {MOST_REGION} are the most")
            }
            Self::SetMtu(mtu, e) => write!(f, "{e} to {mtu}: choose one that the device takes"),
            Self::Mtu { port, mtu, max } => {
                write!(f, "port {port} cannot have an MTU of {mtu}: choose {LEAST_MTU} to {max}")
            }
            Self::Pool(e) => e.fmt(f),
            Self::Ordinary(e) => e.fmt(f),
            Self::NoInterrupt { port, driver, why } => {
                write!(f, "port {port} ({driver}) cannot interrupt: {why}; or poll it")
            }
            Self::Steer(port, e) => write!(f, "nothing can be steered on port {port}: {e}"),
            Self::Configure(e) => e.fmt(f),
            Self::Queue(e) => e.fmt(f),
            Self::Out(port) => write!(f, "port {port} is started: stop it before it is reset"),
            Self::Reset(e) => e.fmt(f),
        }
    }
}

impl error::Error for PortError {}
