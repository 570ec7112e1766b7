//! Why a port cannot be prepared or started.

use std::{error, fmt};

use lm_engine::{ReceiverError, SenderError};
use lm_landing::SendError;
use lm_proto::layout::BadMtu;
use rte::mempool::PoolError;
use rte::port::{PortId, StartError, StopError};

/// A port cannot be prepared.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// By its device.
    Port(pmd_e1000::PortError),
    /// The MTU is out of range.
    Mtu(BadMtu),
    /// Overlapping slots were asked for, and are not safe.
    Slots {
        /// The port.
        port: PortId,
        /// Its driver.
        driver: String,
        /// Why they are not.
        why: String,
    },
    /// No mbufs.
    Pool(PoolError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(e) => e.fmt(f),
            Self::Mtu(e) => e.fmt(f),
            Self::Slots { port, driver, why } => write!(
                f,
                "overlapping slots are not safe on port {port} ({driver}): {why}; leave that out, or ask for separate \
                 ones"
            ),
            Self::Pool(e) => e.fmt(f),
        }
    }
}

impl error::Error for OpenError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Port(e) => Some(e),
            Self::Mtu(e) => Some(e),
            Self::Slots { .. } => None,
            Self::Pool(e) => Some(e),
        }
    }
}

/// A port cannot be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartPortError {
    /// It is started.
    Started(PortId),
    /// The driver refuses.
    Start(StartError),
    /// It cannot be stopped to be started again.
    Again(StopError),
    /// No memory for buffers to send from.
    Memory(SendError),
    /// No memory for buffers to put datagrams together in.
    Reassembly {
        /// At once, in each queue.
        datagrams: u16,
        /// Landing queues.
        queues: usize,
        /// Buffers of a queue.
        buffers: usize,
        /// What is missing.
        cause: SendError,
    },
    /// A queue has no receiver.
    Receiver(ReceiverError),
    /// There is no sender.
    Sender(SenderError),
    /// Admission control cannot be set up.
    Admission(ac::ConfigError),
}

impl fmt::Display for StartPortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(id) => write!(f, "port {id} is started already"),
            Self::Start(e) => e.fmt(f),
            Self::Again(e) => e.fmt(f),
            Self::Memory(e) => e.fmt(f),
            Self::Reassembly { datagrams, queues, buffers, cause } => write!(
                f,
                "reassembly of {datagrams} datagrams at once takes {buffers} buffers of 64 KiB of DPDK's memory for \
                 each of {queues} landing queues: {}; or reassemble fewer",
                cause.cause
            ),
            Self::Receiver(e) => e.fmt(f),
            Self::Sender(e) => e.fmt(f),
            Self::Admission(e) => e.fmt(f),
        }
    }
}

impl error::Error for StartPortError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Started(_) => None,
            Self::Start(e) => Some(e),
            Self::Again(e) => Some(e),
            Self::Memory(e) | Self::Reassembly { cause: e, .. } => Some(e),
            Self::Receiver(e) => Some(e),
            Self::Sender(e) => Some(e),
            Self::Admission(e) => Some(e),
        }
    }
}
