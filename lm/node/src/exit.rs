//! [`Exit`]: the port that the ordinary frames of a steered port are exchanged with.
//!
//! A card that steers puts frames that are not LM's into a queue of their own ([`crate::ordinary`]). They are
//! sent on another port, the exit, and frames that arrive there are sent on the steered port. If the exit is
//! a net_tap, the kernel's network stack is connected in this way.
//! [`NodePort::set_exit`](crate::NodePort::set_exit) sets it.

use std::{error, fmt};

use rte::mempool::{Mempool, PoolError};
use rte::port::{
    ConfigureError, OpenError, Port, PortConfig, PortId, QueueError, RxConf, RxQueue, StartError, TxConf,
    TxQueue,
};
use rte::{Burst, Eal, Mbuf};

/// Descriptors of each of its two rings.
const DESCRIPTORS: u16 = 256;
/// mbufs for frames that come in by it.
const MBUFS: u32 = 1023;

/// A started port that nothing lands on.
pub struct ExitPort {
    port: Port,
    // Dropped last: mbufs of this pool wait in other ports' rings, too.
    _pool: Mempool,
}

impl ExitPort {
    /// Takes a port, with one queue each way, and starts it.
    ///
    /// # Errors
    /// [`ExitError`] says at which step DPDK refused.
    pub fn open(eal: &Eal, id: PortId) -> Result<Self, ExitError> {
        let mut port = Port::open(eal, id).map_err(ExitError::Open)?;
        port.configure(&PortConfig::default()).map_err(ExitError::Configure)?;
        let pool = Mempool::pktmbuf(eal, &format!("exit_{id}"), MBUFS, 64, 0, 2048 + 128, None)
            .map_err(ExitError::Pool)?;
        port.rx_queue_setup(0, DESCRIPTORS, &RxConf::default(), &pool).map_err(ExitError::Queue)?;
        port.tx_queue_setup(0, DESCRIPTORS, &TxConf::default()).map_err(ExitError::Queue)?;
        port.start().map_err(ExitError::Start)?;
        Ok(Self { port, _pool: pool })
    }

    /// Its queues, for as long as the steered port runs. `None`: they are out already.
    pub fn queues(&mut self) -> Option<Exit> {
        let (rx, tx) = (self.port.take_rx(0)?, self.port.take_tx(0)?);
        Some(Exit { rx, tx, inward: Burst::new(), outward: Burst::new(), lost: 0 })
    }
}

/// Why a port cannot be an exit. Each says what DPDK refused, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitError {
    /// There is no such port, or it is in use.
    Open(OpenError),
    /// The driver refuses the configuration.
    Configure(ConfigureError),
    /// There is no memory for the mbufs.
    Pool(PoolError),
    /// The driver refuses a queue.
    Queue(QueueError),
    /// The port does not start.
    Start(StartError),
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(e) => e.fmt(f),
            Self::Configure(e) => e.fmt(f),
            Self::Pool(e) => e.fmt(f),
            Self::Queue(e) => e.fmt(f),
            Self::Start(e) => e.fmt(f),
        }
    }
}

impl error::Error for ExitError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Open(e) => Some(e),
            Self::Configure(e) => Some(e),
            Self::Pool(e) => Some(e),
            Self::Queue(e) => Some(e),
            Self::Start(e) => Some(e),
        }
    }
}

/// Frames that one turn takes.
const BURST: usize = 32;

/// The queues of an exit. They belong to the thread that polls the steered port.
pub struct Exit {
    rx: RxQueue,
    tx: TxQueue,
    inward: Burst<BURST>,
    outward: Burst<BURST>,
    /// Frames for which there was no room on the way out.
    pub lost: u64,
}

impl Exit {
    /// Keeps a frame until the end of the turn, when it goes out. A frame beyond what one turn takes is
    /// dropped and counted in [`Exit::lost`].
    pub fn push(&mut self, frame: Mbuf) {
        self.lost += u64::from(self.outward.push(frame).is_err());
    }

    /// Ends a turn: the frames that were kept go out, and each that came in is given to `put`. Returns how
    /// many came in.
    pub fn turn(&mut self, put: impl FnMut(Mbuf)) -> usize {
        if !self.outward.is_empty() {
            self.tx.send(&mut self.outward);
            self.lost += self.outward.len() as u64;
            self.outward.clear();
        }
        let n = self.rx.receive(&mut self.inward);
        self.inward.drain().for_each(put);
        n
    }
}
