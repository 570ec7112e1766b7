//! Why a port cannot be prepared ([`OpenError`]) or started ([`StartPortError`]).
//!
//! Each variant that wraps another error prints that error's text and gives it as its source.

use std::{error, fmt};

use lm_engine::{ReceiverError, SenderError};
use lm_landing::SendError;
use lm_proto::layout::BadMtu;
use rte::mempool::PoolError;
use rte::port::{PortId, StartError, StopError};

/// Why [`NodePort::open`](super::NodePort::open) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The device cannot be set up for landing.
    Port(pmd_e1000::PortError),
    /// The MTU is out of range.
    Mtu(BadMtu),
    /// Overlapping slots were asked for, and are not safe on this device.
    Slots {
        /// The port.
        port: PortId,
        /// Its driver.
        driver: String,
        /// Why they are not safe.
        why: String,
    },
    /// There is no memory for mbufs.
    Pool(PoolError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(e) => e.fmt(f),
            Self::Mtu(e) => e.fmt(f),
            Self::Slots { port, driver, why } => write!(
                f,
                "overlapping slots are not safe on port {port} ({driver}): {why}; ask for separate slots, or \
                 leave the choice to LM"
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

/// Why [`NodePort::start`](super::NodePort::start) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartPortError {
    /// The port is started already.
    Started(PortId),
    /// The driver does not start the device.
    Start(StartError),
    /// A net_memif client has to be stopped to be started again, and cannot be.
    Again(StopError),
    /// There is no memory for buffers to send from.
    Memory(SendError),
    /// There is no memory for the buffers that datagrams are put together in.
    Reassembly {
        /// Datagrams at once in each queue.
        datagrams: u16,
        /// Landing queues.
        queues: usize,
        /// Buffers of each queue.
        buffers: usize,
        /// What is missing.
        cause: SendError,
    },
    /// A queue cannot have a receiver.
    Receiver(ReceiverError),
    /// The port cannot have a sender.
    Sender(SenderError),
    /// Admission control cannot be set up.
    Admission(ac::ConfigError),
}

impl fmt::Display for StartPortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(id) => write!(f, "port {id} is started already: stop it first"),
            Self::Start(e) => e.fmt(f),
            Self::Again(e) => e.fmt(f),
            Self::Memory(e) => e.fmt(f),
            Self::Reassembly { datagrams, queues, buffers, cause } => write!(
                f,
                "reassembly of {datagrams} datagrams at once takes {buffers} buffers of 64 KiB of DPDK's \
                 memory for each of {queues} landing queues: {}; or reassemble fewer datagrams",
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
