//! [`Exit`]: the port that a steered port's ordinary frames go out by, and come in. With a net_tap, the kernel has them.

use std::{error, fmt};

use rte::mempool::{Mempool, PoolError};
use rte::port::{
    ConfigureError, OpenError, Port, PortConfig, PortId, QueueError, RxConf, RxQueue, StartError, TxConf,
    TxQueue,
};
use rte::{Burst, Eal, Mbuf};

/// Descriptors each way, and mbufs that come in by it.
const DESCRIPTORS: u16 = 256;
const MBUFS: u32 = 1023;

/// A port that nothing lands on.
pub struct ExitPort {
    port: Port,
    // Its mbufs wait in other ports' rings, too: last.
    _pool: Mempool,
}

impl ExitPort {
    /// Takes a port and starts it.
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

    /// Its queues, for as long as the steered port runs; `None`: somebody has them.
    pub fn queues(&mut self) -> Option<Exit> {
        let (rx, tx) = (self.port.take_rx(0)?, self.port.take_tx(0)?);
        Some(Exit { rx, tx, inward: Burst::new(), outward: Burst::new(), lost: 0 })
    }
}

/// Why a port cannot be an exit. Each says what DPDK refused, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitError {
    /// There is no such port, or somebody has it.
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

/// The queues of an exit.
pub struct Exit {
    rx: RxQueue,
    tx: TxQueue,
    inward: Burst<BURST>,
    outward: Burst<BURST>,
    /// Frames for which there was no room on the way out.
    pub lost: u64,
}

impl Exit {
    /// A frame goes out, with others at the end of the turn; one too many is dropped, as on a full queue, and counted.
    pub fn push(&mut self, frame: Mbuf) {
        self.lost += u64::from(self.outward.push(frame).is_err());
    }

    /// The end of a turn: frames go out, and those that come in are given to `put`; how many did.
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
