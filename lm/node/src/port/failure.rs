//! Why a port cannot be prepared or started.

use std::{error, fmt};

use lm_engine::{ReceiverError, SenderError};
use lm_landing::SendError;
use rte::mempool::PoolError;
use rte::port::{PortId, StartError};

/// A port cannot be prepared.
#[derive(Debug)]
pub enum OpenError {
    /// By its device.
    Port(pmd_e1000::PortError),
    /// The MTU is out of range.
    Mtu(String),
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
            Self::Mtu(e) => f.write_str(e),
            Self::Slots { port, driver, why } => write!(
                f,
                "overlapping slots are not safe on port {port} ({driver}): {why}; leave that out, or ask for separate ones"
            ),
            Self::Pool(e) => e.fmt(f),
        }
    }
}

impl error::Error for OpenError {}

/// A port cannot be started.
#[derive(Debug)]
pub enum StartPortError {
    /// It is started.
    Started(PortId),
    /// The driver refuses.
    Start(StartError),
    /// It cannot be stopped to be started again.
    Again(String),
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
    Admission(String),
}

impl fmt::Display for StartPortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(id) => write!(f, "port {id} is started already"),
            Self::Start(e) => e.fmt(f),
            Self::Again(e) => f.write_str(e),
            Self::Memory(e) => e.fmt(f),
            Self::Reassembly { datagrams, queues, buffers, cause } => write!(
                f,
                "reassembly of {datagrams} datagrams at once takes {buffers} buffers of 64 KiB of DPDK's memory for each of \
                 {queues} landing queues: {}; or reassemble fewer",
                cause.cause
            ),
            Self::Receiver(e) => e.fmt(f),
            Self::Sender(e) => e.fmt(f),
            Self::Admission(why) => f.write_str(why),
        }
    }
}

impl error::Error for StartPortError {}
