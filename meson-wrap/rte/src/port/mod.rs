//! Ethernet ports.
//!
//! [`Port::open`] → [`configure`](Port::configure) → a [`rx_queue_setup`](Port::rx_queue_setup) and
//! [`tx_queue_setup`](Port::tx_queue_setup) for every queue → [`start`](Port::start) →
//! [`take_rx`](Port::take_rx) and [`take_tx`](Port::take_tx) hand the queues out, one owner each, who may
//! take them to another lcore → they come back when they are dropped → [`stop`](Port::stop) → configure
//! again, start again, or [`close`](Port::close).
//!
//! The modules in this order: `info` is what the driver reports of a port before it is configured. `config`
//! configures it and sets its queues up. `status` has its link, its addresses and its counters. `queue` has
//! the owners of queues, with the burst functions. `turn` lets DPDK's interrupt thread wait for the end of a
//! burst. `interrupt` lets a thread sleep until a queue has frames. `flow` has rules that direct frames to a
//! queue. `started` reads how a queue was set up that belongs to an application. `made` is how long frames
//! are that net_null makes.

mod config;
mod flow;
mod info;
mod interrupt;
mod made;
mod queue;
mod started;
mod status;
mod turn;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{error, fmt};

pub use self::config::{ConfigureError, MqMode, PortConfig, QueueError, RxConf, TxConf};
pub use self::flow::{FlowError, FlowRule};
pub use self::info::{DescLimits, PortInfo, info_of, rx_offloads_of};
pub use self::interrupt::{InterruptError, RxInterrupt, wait, wait_for};
pub use self::queue::{RxQueue, TxDescriptor, TxQueue};
pub use self::started::{is_rx_started, is_tx_started, rx_pool_of};
pub use self::status::{Link, MacAddr, PortError, PortStats, is_up, mac_of};
pub use self::turn::let_turns_end;
use crate::interrupts::hold_interrupts;
use crate::mempool::PoolRef;
use crate::{Eal, Errno};

/// The number of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All ports that are attached now and that no other part of DPDK owns (as a bonding device owns its
/// members).
pub fn ports(_eal: &Eal) -> impl Iterator<Item = PortId> + use<> {
    let mut next = 0_u16;
    std::iter::from_fn(move || {
        // SAFETY: EAL was initialised when this began; the search reads a static table. Owner 0 is "no
        // owner".
        let found = unsafe { dpdk_sys::rte_eth_find_next_owned_by(next, 0) };
        let found = u16::try_from(found).ok().filter(|&p| u32::from(p) < dpdk_sys::RTE_MAX_ETHPORTS)?;
        next = found + 1;
        Some(PortId(found))
    })
}

/// The port of a device, by the name that EAL knows it by, such as `0000:01:00.0` or `net_null0`.
pub fn find(eal: &Eal, device: &str) -> Option<PortId> {
    ports(eal).find(|&id| name_of(eal, id).as_deref() == Some(device))
}

/// The name of a port's device; `None`: there is no such port.
pub fn name_of(_eal: &Eal, id: PortId) -> Option<String> {
    let mut name = [0; dpdk_sys::RTE_ETH_NAME_MAX_LEN as usize];
    // SAFETY: EAL is initialised; DPDK writes a NUL-terminated name of at most so many bytes, or says that
    // there is none.
    let ret = unsafe { dpdk_sys::rte_eth_dev_get_name_by_port(id.0, name.as_mut_ptr()) };
    if ret != 0 {
        return None;
    }
    // SAFETY: as above.
    Some(unsafe { std::ffi::CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}

/// The driver of a port, such as `net_e1000_igb`; `None`: there is no such port.
pub fn driver_of(_eal: &Eal, id: PortId) -> Option<String> {
    info::driver_of(id)
}

/// An Ethernet port.
///
/// It may move to any thread but is not shared: DPDK's port functions must not run at once for one port. The
/// queues that it hands out belong to other threads. When it is dropped, the port is stopped and closed as
/// soon as the last of its queues is dropped, too.
#[derive(Debug)]
pub struct Port {
    shared: Arc<Shared>,
    _not_sync: std::marker::PhantomData<std::cell::Cell<()>>,
}

/// The state that a port shares with the queues that it handed out.
#[derive(Debug)]
struct Shared {
    id: PortId,
    /// Whether it is in the list of [`OPEN`] ports. Queues that were adopted are of a port that is the
    /// application's.
    listed: bool,
    state: Mutex<State>,
    /// Last, so that the pools go before EAL.
    eal: Eal,
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    closed: bool,
    rx: Vec<RxSlot>,
    tx: Vec<TxSlot>,
    /// How often the port was reset. A reset removes all earlier rules.
    resets: u64,
}

#[derive(Debug, Default)]
struct RxSlot {
    ready: bool,
    out: bool,
    interrupt_out: bool,
    /// A share of the pool that the queue uses, so that the pool lives as long.
    pool: Option<PoolRef>,
}

#[derive(Debug, Default)]
struct TxSlot {
    ready: bool,
    out: bool,
}

impl State {
    fn queues_out(&self) -> usize {
        self.rx.iter().filter(|q| q.out || q.interrupt_out).count() + self.tx.iter().filter(|q| q.out).count()
    }
}

/// The ports that have an owner in this process.
static OPEN: Mutex<Vec<PortId>> = Mutex::new(Vec::new());

/// How many open ports belong to another part of DPDK, which has taken them since they were opened.
fn owned_among_open() -> usize {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.iter().filter(|&&id| info::is_owned(id)).count()
}

impl Port {
    /// Takes a port.
    ///
    /// # Errors
    /// [`OpenError`] if there is no such port, if it is open already, or if another part of DPDK uses it.
    pub fn open(eal: &Eal, id: PortId) -> Result<Self, OpenError> {
        // SAFETY: EAL is initialised; any number can be asked for.
        if unsafe { dpdk_sys::rte_eth_dev_is_valid_port(id.0) } == 0 {
            return Err(OpenError::NoSuchPort(id));
        }
        if info::is_owned(id) {
            return Err(OpenError::Owned(id));
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if open.contains(&id) {
            return Err(OpenError::AlreadyOpen(id));
        }
        open.push(id);
        drop(open);
        let shared = Shared { id, listed: true, state: Mutex::default(), eal: eal.clone() };
        Ok(Self { shared: Arc::new(shared), _not_sync: std::marker::PhantomData })
    }

    /// The number of this port.
    pub fn id(&self) -> PortId {
        self.shared.id
    }

    /// The EAL that this port belongs to.
    pub fn eal(&self) -> &Eal {
        &self.shared.eal
    }

    /// Starts the port. All configured queues must have been set up. Does nothing if it is started.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(&mut self) -> Result<(), StartError> {
        let mut state = self.shared.lock();
        if state.started {
            return Ok(());
        }
        if state.rx.is_empty() && state.tx.is_empty() {
            return Err(StartError::NotConfigured(self.id()));
        }
        // DPDK 22.11 would start without checking this, and the driver would follow a null pointer.
        if let Some(queue) = state.rx.iter().position(|q| !q.ready) {
            return Err(StartError::NoRxQueue(self.id(), queue as u16));
        }
        if let Some(queue) = state.tx.iter().position(|q| !q.ready) {
            return Err(StartError::NoTxQueue(self.id(), queue as u16));
        }
        // SAFETY: the port is valid, configured, complete and ours.
        let ret = unsafe { dpdk_sys::rte_eth_dev_start(self.id().0) };
        Errno::check(ret).map_err(|errno| StartError::Refused(self.id(), errno))?;
        state.started = true;
        Ok(())
    }

    /// Whether the port is started.
    pub fn is_started(&self) -> bool {
        self.shared.lock().started
    }

    /// Hands an RX queue out. `None` if the port is stopped, if the queue is already handed out, or if there
    /// is none.
    pub fn take_rx(&mut self, queue: u16) -> Option<RxQueue> {
        let mut state = self.shared.lock();
        let started = state.started;
        let slot = state.rx.get_mut(usize::from(queue)).filter(|slot| started && !slot.out)?;
        slot.out = true;
        Some(RxQueue::new(Arc::clone(&self.shared), queue))
    }

    /// Hands a TX queue out. `None` if the port is stopped, if the queue is already handed out, or if there
    /// is none.
    pub fn take_tx(&mut self, queue: u16) -> Option<TxQueue> {
        let mut state = self.shared.lock();
        let started = state.started;
        let slot = state.tx.get_mut(usize::from(queue)).filter(|slot| started && !slot.out)?;
        slot.out = true;
        Some(TxQueue::new(Arc::clone(&self.shared), queue))
    }

    /// Stops the port, once all queues are back. Does nothing if it is stopped.
    ///
    /// # Errors
    /// [`StopError`]. The port stays started.
    pub fn stop(&mut self) -> Result<(), StopError> {
        let mut state = self.shared.lock();
        match state.queues_out() {
            0 => self.shared.stop(&mut state),
            n => Err(StopError::QueuesOut(self.id(), n)),
        }
    }

    /// Brings a stopped port's device into the state in which it was attached: it has no queues, no rules and
    /// no more addresses than its own, and must be configured before it is started.
    ///
    /// # Errors
    /// [`PortError`]: EBUSY if the port is started, ENOTSUP if the driver has no reset; nothing has changed
    /// then. After any other the port is to be closed.
    pub fn reset(&mut self) -> Result<(), PortError> {
        const WHAT: &str = "be reset";
        let mut state = self.shared.lock();
        if state.started || state.queues_out() > 0 {
            return self.check(WHAT, -libc::EBUSY);
        }
        let _held = hold_interrupts();
        // SAFETY: the port is valid, stopped and ours, and no queue of it is out.
        let ret = unsafe { dpdk_sys::rte_eth_dev_reset(self.id().0) };
        if ret == -libc::ENOTSUP {
            return self.check(WHAT, ret);
        }
        state.resets += 1;
        if ret == 0 {
            // The driver released all queues: their pools can go.
            (state.rx, state.tx) = (Vec::new(), Vec::new());
        } else {
            // The driver may still use some of the queues. So no pool is dropped, and no queue can start.
            state.rx.iter_mut().for_each(|q| q.ready = false);
            state.tx.iter_mut().for_each(|q| q.ready = false);
        }
        self.check(WHAT, ret)
    }

    /// Stops and closes the port. DPDK then forgets it: it cannot be opened again.
    ///
    /// # Errors
    /// [`StopError`], and the port, if queues are out or it cannot be stopped.
    pub fn close(mut self) -> Result<(), (Self, StopError)> {
        if let Err(e) = self.stop() {
            return Err((self, e));
        }
        let closed = self.shared.close(&mut self.shared.lock());
        closed.map_err(|e| (self, e))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, state: &mut State) -> Result<(), StopError> {
        if state.started {
            let _held = hold_interrupts();
            // SAFETY: the port is valid and ours, and no queue of it is out.
            let ret = unsafe { dpdk_sys::rte_eth_dev_stop(self.id.0) };
            Errno::check(ret).map_err(|errno| StopError::Refused(self.id, errno))?;
            state.started = false;
        }
        Ok(())
    }

    fn close(&self, state: &mut State) -> Result<(), StopError> {
        if state.closed {
            return Ok(());
        }
        let _held = hold_interrupts();
        // SAFETY: the port is valid, stopped and ours.
        let ret = unsafe { dpdk_sys::rte_eth_dev_close(self.id.0) };
        // Even when the driver complains, DPDK has released the port.
        state.closed = true;
        Errno::check(ret).map_err(|errno| StopError::Refused(self.id, errno))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut state = std::mem::take(&mut *self.lock());
        let ended = self.stop(&mut state).and_then(|()| self.close(&mut state));
        if let Err(e) = ended {
            ::log::error!("{e}");
            if state.started {
                // The driver still runs, so its pools and EAL are kept for ever.
                std::mem::forget(state);
                std::mem::forget(self.eal.clone());
                return;
            }
        }
        if self.listed {
            OPEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|&id| id != self.id);
        }
    }
}

/// Why [`Port::open`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// No port has this number.
    NoSuchPort(PortId),
    /// The port has an owner in this process.
    AlreadyOpen(PortId),
    /// Another part of DPDK uses the port, as a bonding device uses its members.
    Owned(PortId),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPort(id) => {
                write!(f, "there is no port {id}: bind a device to a DPDK driver, or give EAL --vdev or -a")
            }
            Self::AlreadyOpen(id) => {
                write!(f, "port {id} is open already: use that Port, or drop it and its queues")
            }
            Self::Owned(id) => {
                write!(f, "port {id} belongs to another port, such as a bonding device: open that one")
            }
        }
    }
}

impl error::Error for OpenError {}

/// Why [`Port::start`] failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The port has no configuration.
    NotConfigured(PortId),
    /// This RX queue was not set up.
    NoRxQueue(PortId, u16),
    /// This TX queue was not set up.
    NoTxQueue(PortId, u16),
    /// The port was configured with interrupts, and its device has none.
    NoInterrupt(PortId, String),
    /// The driver refuses.
    Refused(PortId, Errno),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured(id) => {
                write!(f, "port {id} is not configured: configure it before the start")
            }
            Self::NoRxQueue(id, queue) => {
                write!(f, "RX queue {queue} of port {id} is not set up: set up every queue")
            }
            Self::NoTxQueue(id, queue) => {
                write!(f, "TX queue {queue} of port {id} is not set up: set up every queue")
            }
            Self::NoInterrupt(id, why) => write!(f, "port {id} cannot interrupt: {why}"),
            Self::Refused(id, errno) => {
                write!(f, "port {id} cannot be started: {errno}; the log of the driver says more")
            }
        }
    }
}

impl error::Error for StartError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Refused(_, errno) => Some(errno),
            _ => None,
        }
    }
}

/// Why [`Port::stop`] or [`Port::close`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopError {
    /// So many queues are still handed out.
    QueuesOut(PortId, usize),
    /// The driver refuses.
    Refused(PortId, Errno),
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueuesOut(id, n) => write!(
                f,
                "port {id} cannot be stopped while {n} of its queues are out: join their lcores and drop \
                 the queues"
            ),
            Self::Refused(id, errno) => {
                write!(f, "port {id} cannot be stopped or closed: {errno}; the log of the driver says more")
            }
        }
    }
}

impl error::Error for StopError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::QueuesOut(..) => None,
            Self::Refused(_, errno) => Some(errno),
        }
    }
}
