//! [`PortError`]: why a port can't be prepared for landing, and what to do.

use std::{error, fmt};

use lm_landing::pool::LandingError;
use rte::mempool::PoolError;
use rte::port::{ConfigureError, OpenError, PortId, QueueError};

use super::MOST_REGION;
use super::plan::LEAST_MTU;
use crate::demands::Unmet;
use crate::device::Refused;
use crate::steer::SteerError;
use crate::timestamps::Timestamps;

/// A port can't be prepared for landing.
#[derive(Debug)]
#[non_exhaustive]
pub enum PortError {
    /// It can't be had.
    Open(OpenError),
    /// DPDK tells nothing about it.
    Info(rte::port::PortError),
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
    /// What a landing queue receives is stamped.
    Timestamps(Timestamps),
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
            Self::Timestamps(e) => e.fmt(f),
            Self::Out(port) => write!(f, "port {port} is started: stop it before it is reset"),
            Self::Reset(e) => e.fmt(f),
        }
    }
}

impl error::Error for PortError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Open(e) => Some(e),
            Self::Refused(e) => Some(e),
            Self::Unmet(_, e) => Some(e),
            Self::Info(e) | Self::SetMtu(_, e) | Self::Reset(e) => Some(e),
            Self::Pool(e) => Some(e),
            Self::Ordinary(e) => Some(e),
            Self::Steer(_, e) => Some(e),
            Self::Configure(e) => Some(e),
            Self::Queue(e) => Some(e),
            Self::Timestamps(e) => Some(e),
            Self::Region(..) | Self::Mtu { .. } | Self::NoInterrupt { .. } | Self::Out(_) => None,
        }
    }
}
