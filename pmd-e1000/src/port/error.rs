//! [`PortError`]: why a port cannot be prepared for landing, and what to do.
//!
//! [`LandingPort`](super::LandingPort) returns it when it is opened or reset; `lm-node` and `lm` show it to
//! the user. Variants that contain another error print that error's text and have it as their source.

use std::{error, fmt};

use lm_landing::pool::LandingError;
use rte::mempool::PoolError;
use rte::port::{ConfigureError, OpenError, PortId, QueueError};

use super::plan::LEAST_MTU;
use crate::claim::Claimed;
use crate::demands::Unmet;
use crate::device::Refused;
use crate::steer::SteerError;
use crate::timestamps::Timestamps;

/// Why a port cannot be prepared for landing.
#[derive(Debug)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such port, or somebody else has it.
    Open(OpenError),
    /// A queue of it is adopted.
    Claimed(Claimed),
    /// DPDK gives no information about it.
    Info(rte::port::PortError),
    /// Nothing can land on its device.
    Refused(Refused),
    /// The arguments of its device and the setup contradict each other.
    Unmet(PortId, Unmet),
    /// The driver refused to set this MTU.
    SetMtu(u16, rte::port::PortError),
    /// The MTU is out of the device's range.
    Mtu {
        /// The port.
        port: PortId,
        /// The MTU that was asked for, in bytes.
        mtu: u16,
        /// The largest MTU that the device has.
        max: u16,
    },
    /// There is no landing pool.
    Pool(LandingError),
    /// There is no pool for the ordinary queue.
    Ordinary(PoolError),
    /// It has no interrupts that could wake a sleeping thread.
    NoInterrupt {
        /// The port.
        port: PortId,
        /// Its driver.
        driver: String,
        /// The reason, and what to do.
        why: String,
    },
    /// Frames cannot be steered on it as asked for.
    Steer(PortId, SteerError),
    /// The driver refused the configuration.
    Configure(ConfigureError),
    /// The driver refused a queue.
    Queue(QueueError),
    /// The frames of a landing queue would begin with a time stamp.
    Timestamps(Timestamps),
    /// It cannot be reset while its queues are in use.
    Out(PortId),
    /// Its driver cannot reset it.
    Reset(rte::port::PortError),
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(e) => e.fmt(f),
            Self::Claimed(e) => e.fmt(f),
            Self::Info(e) => e.fmt(f),
            Self::Refused(e) => e.fmt(f),
            Self::Unmet(port, e) => write!(f, "port {port}: {e}"),
            Self::SetMtu(mtu, e) => write!(f, "{e} to {mtu}: choose an MTU that the device takes"),
            Self::Mtu { port, mtu, max } => {
                write!(f, "port {port} cannot have an MTU of {mtu}: choose {LEAST_MTU} to {max}")
            }
            Self::Pool(e) => e.fmt(f),
            Self::Ordinary(e) => e.fmt(f),
            Self::NoInterrupt { port, driver, why } => {
                write!(f, "port {port} ({driver}) cannot interrupt: {why}; poll it instead")
            }
            Self::Steer(port, e) => write!(f, "nothing can be steered on port {port}: {e}"),
            Self::Configure(e) => e.fmt(f),
            Self::Queue(e) => e.fmt(f),
            Self::Timestamps(e) => e.fmt(f),
            Self::Out(port) => write!(f, "port {port} is started: stop it before you reset it"),
            Self::Reset(e) => e.fmt(f),
        }
    }
}

impl error::Error for PortError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Open(e) => Some(e),
            Self::Claimed(e) => Some(e),
            Self::Refused(e) => Some(e),
            Self::Unmet(_, e) => Some(e),
            Self::Info(e) | Self::SetMtu(_, e) | Self::Reset(e) => Some(e),
            Self::Pool(e) => Some(e),
            Self::Ordinary(e) => Some(e),
            Self::Steer(_, e) => Some(e),
            Self::Configure(e) => Some(e),
            Self::Queue(e) => Some(e),
            Self::Timestamps(e) => Some(e),
            Self::Mtu { .. } | Self::NoInterrupt { .. } | Self::Out(_) => None,
        }
    }
}
