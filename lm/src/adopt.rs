//! [`Landing`] and [`AdoptedQueue`]: landing in an application that has its own EAL, its own port and its own
//! loop.
//!
//! The application makes a [`Landing`], sets its queue up with the landing's mempool, starts its port, and
//! gets an [`AdoptedQueue`] for it, which it polls instead of `rte_eth_rx_burst`. `examples/embed.rs` is such
//! an application.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{error, fmt};

use lm_engine::{Message, Receiver, ReceiverConfig, ReceiverError};
use lm_landing::device::Traits;
use lm_landing::{LandingError, LandingPool, LandingQueue, PoolConfig};
use lm_node::adopted::Unadopted;
use lm_proto::counters::Counters;
use lm_proto::layout::{BadMtu, Geometry};
use lm_proto::reassembler::Limits;
use pmd_e1000::PortSetup;
use pmd_e1000::claim::{Claim, Claimed, Part, not_whole};
use pmd_e1000::demands::{Unmet, Wanted, check, check_landing, check_region, posted};
use pmd_e1000::devargs::Devargs;
use pmd_e1000::device::{Refused, arguments, traits_of};
use pmd_e1000::port::{make_pool, pool_plan};
use pmd_e1000::timestamps::{Timestamps, check_timestamps};
use rte::port::{PortId, RxQueue, info_of};

use crate::config::Config;
use crate::eal::Eal;
use crate::not_ready::NotReady;

/// The memory that a queue of the application's port is going to land in.
///
/// The application makes it first. Then it sets its queue up with [`Landing::mempool`], starts its port, and
/// has the queue [adopted](Landing::adopt).
pub struct Landing {
    eal: Eal,
    port: PortId,
    pool: LandingPool,
    traits: Traits,
    receiver: ReceiverConfig,
    /// Slots are laid by what arrives.
    auto: bool,
    /// What is reserved of the port.
    claims: Vec<Claim>,
}

impl Landing {
    /// Memory for one queue of DPDK's port `port`, which has as many descriptors as `config` says.
    ///
    /// Only the MTU, the proof, the receive descriptors, the region and the reassembly of `config` matter
    /// here. A card that the application opens itself is not examined as [`Port::open`](crate::Port::open)
    /// examines it. Its slots do not overlap, and a datagram of more than one frame comes in pieces.
    ///
    /// # Errors
    /// [`AdoptError`]: nothing can land on this device or with its arguments,
    /// [`Port::open`](crate::Port::open) has it, its port stamps frames, the MTU is out of range, or there is
    /// too little memory.
    pub fn create(eal: &Eal, port: u16, config: &Config) -> Result<Self, AdoptError> {
        let id = PortId(port);
        let driver = rte::port::driver_of(eal.as_rte(), id).ok_or(AdoptError::NoPort(port))?;
        not_whole(id).map_err(AdoptError::Claimed)?;
        check_timestamps(eal.as_rte(), id, None).map_err(AdoptError::Timestamps)?;
        let arguments = arguments(eal.as_rte(), id);
        let traits = traits_of(&driver, &arguments).map_err(AdoptError::Device)?;
        let geometry = Geometry::new(config.node.mtu).map_err(AdoptError::Mtu)?;
        let args = Devargs::parse(&arguments);
        let info = info_of(eal.as_rte(), id).map_err(AdoptError::Info)?;
        let setup = PortSetup {
            rxd: config.node.rxd,
            mtu: config.node.mtu,
            region: config.node.region,
            layout: config.node.layout,
            auto: config.node.layout.is_none(),
            max_region: PortSetup::default().max_region.max(config.node.region),
            ..PortSetup::default()
        };
        let PortSetup { mtu, rxd, spare_mbufs, .. } = setup;
        let unmet = |e| AdoptError::Unmet(id, e);
        check(&info, &args, &Wanted { mtu, rxd, spare_mbufs }).map_err(unmet)?;
        check_landing(&driver, &args, mtu, rte::Eal::release()).map_err(unmet)?;
        check_region(setup.region, setup.max_region).map_err(unmet)?;
        let name = format!("landing_{port}_{}", POOLS.fetch_add(1, Ordering::Relaxed));
        let plan = pool_plan(id, None, &traits, &setup, posted(&driver, &args, rxd));
        let pool = make_pool(eal.as_rte(), id, &PoolConfig { name, ..plan }).map_err(AdoptError::Memory)?;
        let limits = Limits { datagrams: config.node.reassembly.into(), ..Limits::default() };
        let require = config.node.require;
        let receiver = ReceiverConfig { geometry, require, limits, ..ReceiverConfig::default() };
        let auto = config.node.layout.is_none();
        let claims = Vec::new();
        Ok(Self { eal: eal.clone(), port: id, pool, traits, receiver, auto, claims })
    }

    /// Reserves the two queues that [`Landing::adopt_port`] is going to take, so that nobody else can adopt
    /// them meanwhile. Without this, they are reserved when they are adopted.
    ///
    /// # Errors
    /// [`AdoptError::Claimed`]: one of them is adopted or reserved already.
    pub fn reserve(&mut self, queue: u16, tx_queue: u16) -> Result<(), AdoptError> {
        self.claims = self.claim(&[Part::Rx(queue), Part::Tx(tx_queue)])?;
        Ok(())
    }

    /// Claims these parts of the port, some of which may be reserved.
    pub(crate) fn claim(&mut self, parts: &[Part]) -> Result<Vec<Claim>, AdoptError> {
        let mut reserved = std::mem::take(&mut self.claims);
        let claim = |&part: &Part| match reserved.iter().position(|claim| claim.part() == part) {
            Some(i) => Ok(reserved.swap_remove(i)),
            None => Claim::new(self.port, part).map_err(AdoptError::Claimed),
        };
        parts.iter().map(claim).collect()
    }

    /// The mempool to give to `rte_eth_rx_queue_setup`. It lives as long as this value, and then as long as
    /// the queue that was adopted.
    pub fn mempool(&self) -> *mut rte::sys::rte_mempool {
        self.pool.as_ptr()
    }

    pub(crate) fn parts(&self) -> (&Eal, PortId) {
        (&self.eal, self.port)
    }

    pub(crate) fn check_timestamps(&self, queue: u16) -> Result<(), AdoptError> {
        check_timestamps(self.eal.as_rte(), self.port, Some(queue)).map_err(AdoptError::Timestamps)
    }

    /// The memory as a queue.
    ///
    /// # Safety
    /// As for [`Landing::adopt`].
    #[allow(unsafe_code)]
    pub(crate) unsafe fn into_queue(self, queue: u16) -> LandingQueue {
        let Self { eal, port, pool, traits, .. } = self;
        // SAFETY: the caller's promise.
        unsafe { LandingQueue::new(RxQueue::adopt(eal.as_rte(), port, queue), pool, traits) }
    }

    /// Takes the queue, which was set up with this memory, as a source of messages.
    ///
    /// # Safety
    /// Queue `queue` of the port was set up with [`Landing::mempool`] and with as many descriptors as the
    /// configuration says, and the port is started. As long as the result lives it stays so, and nobody else
    /// polls the queue. The thread that polls the result is also the one that stops and closes the port.
    ///
    /// # Errors
    /// [`AdoptError::Claimed`]: the queue is adopted already, or the port was opened by
    /// [`Port::open`](crate::Port::open). [`AdoptError::Timestamps`]: the queue puts a time stamp in front of
    /// each frame. (Nor may `rte_eth_timesync_enable` be called later: frames would then count as damaged.)
    /// [`AdoptError::Receiver`]: there is no memory for the buffers that datagrams are put together in.
    #[allow(unsafe_code)]
    pub unsafe fn adopt(mut self, queue: u16) -> Result<AdoptedQueue, AdoptError> {
        let claims = self.claim(&[Part::Rx(queue)])?;
        self.check_timestamps(queue)?;
        let (eal, receiver, auto) = (self.eal.clone(), self.receiver.clone(), self.auto);
        // SAFETY: the caller's promise.
        let queue = unsafe { self.into_queue(queue) };
        let mut receiver = Receiver::new(eal.as_rte(), queue, &receiver).map_err(AdoptError::Receiver)?;
        if auto {
            receiver.set_auto();
        }
        Ok(AdoptedQueue { receiver, _claims: claims })
    }
}

/// Numbers the pools of this process, since no two may have the same name.
pub(crate) static POOLS: AtomicU32 = AtomicU32::new(0);

/// A queue of the application's port that gives messages. It belongs to the thread that polls it.
pub struct AdoptedQueue {
    receiver: Receiver,
    // Dropped when nobody polls the queue any more.
    _claims: Vec<Claim>,
}

impl AdoptedQueue {
    /// Polls once for at most `burst` frames and gives each message that became whole to `each`. Returns how
    /// many frames came. The port's RX callbacks run, as they do in `rte_eth_rx_burst`. Frames that are not
    /// LM's are dropped and counted.
    ///
    /// If 32 frames or more came, the newest message may wait for the next call.
    #[inline]
    pub fn poll(&mut self, burst: usize, mut each: impl FnMut(Message)) -> usize {
        self.receiver.receive(burst, |message| each(message.take()))
    }

    /// What was counted since the queue was adopted.
    pub fn counters(&self) -> Counters {
        self.receiver.counters()
    }
}

/// Why nothing can land on a port of the application's: the error of [`Landing::create`] and
/// [`Landing::adopt`].
#[non_exhaustive]
pub enum AdoptError {
    /// DPDK has no port of this number.
    NoPort(u16),
    /// The port or the queue has an owner in this process.
    Claimed(Claimed),
    /// The device does not honour posted buffers.
    Device(Refused),
    /// DPDK gives no information about the port.
    Info(rte::port::PortError),
    /// The arguments of the device and the configuration contradict each other, or this DPDK's driver has a
    /// fault with them.
    Unmet(PortId, Unmet),
    /// Frames begin with a time stamp.
    Timestamps(Timestamps),
    /// The MTU is out of range.
    Mtu(BadMtu),
    /// There is no memory to land in.
    Memory(LandingError),
    /// There is no memory to put datagrams together in.
    Receiver(ReceiverError),
    /// The application's port is not as it was said to be.
    Queue(NotReady),
    /// There is no memory to receive or send from, for [`Landing::adopt_port`](crate::Landing::adopt_port).
    Link(Unadopted),
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPort(port) => {
                write!(
                    f,
                    "DPDK has no port {port}: give EAL a device (--vdev, -a) before -- in its arguments"
                )
            }
            Self::Claimed(e) => e.fmt(f),
            Self::Device(e) => e.fmt(f),
            Self::Info(e) => e.fmt(f),
            Self::Unmet(port, e) => write!(f, "port {port}: {e}"),
            Self::Timestamps(e) => e.fmt(f),
            Self::Mtu(e) => e.fmt(f),
            Self::Memory(e) => e.fmt(f),
            Self::Receiver(e) => e.fmt(f),
            Self::Queue(e) => e.fmt(f),
            Self::Link(e) => e.fmt(f),
        }
    }
}

rte::debug_is_display!(AdoptError);

impl error::Error for AdoptError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NoPort(_) => None,
            Self::Claimed(e) => Some(e),
            Self::Device(e) => Some(e),
            Self::Info(e) => Some(e),
            Self::Unmet(_, e) => Some(e),
            Self::Timestamps(e) => Some(e),
            Self::Mtu(e) => Some(e),
            Self::Memory(e) => Some(e),
            Self::Receiver(e) => Some(e),
            Self::Queue(e) => Some(e),
            Self::Link(e) => Some(e),
        }
    }
}
