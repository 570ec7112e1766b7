//! [`Exit`]: the port that a steered port's ordinary frames go out by, and come in. With a net_tap, the kernel has them.

use rte::mempool::{Mempool, PoolError};
use rte::port::{
    ConfigureError, Port, PortConfig, PortId, QueueError, RxConf, RxQueue, StartError, TxConf, TxQueue,
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
        let mut port = Port::open(eal, id).map_err(|e| ExitError(e.to_string()))?;
        port.configure(&PortConfig::default())?;
        let pool = Mempool::pktmbuf(eal, &format!("exit_{id}"), MBUFS, 64, 0, 2048 + 128, None)?;
        port.rx_queue_setup(0, DESCRIPTORS, &RxConf::default(), &pool)?;
        port.tx_queue_setup(0, DESCRIPTORS, &TxConf::default())?;
        port.start()?;
        Ok(Self { port, _pool: pool })
    }

    /// Its queues, for as long as the steered port runs; `None`: somebody has them.
    pub fn queues(&mut self) -> Option<Exit> {
        let (rx, tx) = (self.port.take_rx(0)?, self.port.take_tx(0)?);
        Some(Exit { rx, tx, inward: Burst::new(), outward: Burst::new(), lost: 0 })
    }
}

/// Why there is no such port.
#[derive(Debug)]
pub struct ExitError(String);

impl std::fmt::Display for ExitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! told {
    ($($error:ty),*) => {
        $(impl From<$error> for ExitError {
            fn from(e: $error) -> Self {
                Self(e.to_string())
            }
        })*
    };
}
told!(ConfigureError, PoolError, QueueError, StartError);

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
