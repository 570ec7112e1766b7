//! [`NotReady`]: what is missing at a port of the application's that is to be adopted.
//!
//! [`Landing::check`](crate::Landing::check) returns it, and
//! [`Landing::adopt_port`](crate::Landing::adopt_port) within its error. Each text says what is not as it has
//! to be, with its number, and what to do.

use std::{error, fmt};

/// Why [`Landing::check`](crate::Landing::check) says that a queue cannot be adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReady {
    /// The port is not started, or has no such receive queue.
    NotStarted {
        /// The port.
        port: u16,
        /// The queue.
        queue: u16,
    },
    /// The port has no such queue to send on.
    NoTransmit {
        /// The port.
        port: u16,
        /// The queue.
        queue: u16,
    },
    /// The receive queue was set up with another pool.
    Pool {
        /// The port.
        port: u16,
        /// The queue.
        queue: u16,
    },
    /// The receive queue has another number of descriptors.
    Descriptors {
        /// The port.
        port: u16,
        /// The queue.
        queue: u16,
        /// What it has.
        has: u16,
        /// What the configuration says.
        said: u16,
    },
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted { port, queue } => write!(
                f,
                "port {port} is not started, or has no receive queue {queue}: set it up with the landing's \
                 pool and start the port first"
            ),
            Self::NoTransmit { port, queue } => {
                write!(f, "port {port} has no transmit queue {queue}: set one up before the port is started")
            }
            Self::Pool { port, queue } => write!(
                f,
                "receive queue {queue} of port {port} was set up with another pool: give \
                 rte_eth_rx_queue_setup the landing's"
            ),
            Self::Descriptors { port, queue, has, said } => write!(
                f,
                "receive queue {queue} of port {port} has {has} descriptors, and the configuration says \
                 {said}: give both the same"
            ),
        }
    }
}

impl error::Error for NotReady {}
