//! [`Step`]: one change of the system, such as an address on an interface.
//!
//! [`crate::plan`] makes lists of steps, and a [`crate::World`] makes the changes. A step may be made twice:
//! what is so already is left so. Its text is what `--dry-run` shows.

use std::fmt;
use std::net::IpAddr;

use crate::{Address, Route, mac_text};

/// A change. Each is right to make again: what is so already is left so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The kernel has this driver.
    Load(String),
    /// Only this driver may have the device (`driver_override`). `None`: any driver may that knows it.
    Override(String, Option<String>),
    /// This driver no longer has the device.
    Unbind(String, String),
    /// This driver has the device.
    Bind(String, String),
    /// The kernel has made the device's interface, and the interface has this name.
    Await(String, String),
    /// The interface has this MAC address.
    Mac(String, [u8; 6]),
    /// The interface has this MTU.
    Mtu(String, u32),
    /// The interface is up, or down.
    Up(String, bool),
    /// The interface has this address.
    Address(String, Address),
    /// The interface no longer has this address.
    NoAddress(String, Address),
    /// The interface has this route.
    Route(String, Route),
    /// The interface no longer has this route.
    NoRoute(String, Route),
    /// The interface receives the frames to this group.
    Group(String, [u8; 6]),
    /// The interface no longer has to receive the frames to this group.
    NoGroup(String, [u8; 6]),
    /// The interface is a member of this group, as long as this program runs.
    Join(String, IpAddr),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(driver) => write!(f, "load the driver {driver}, unless the kernel has it"),
            Self::Override(device, Some(driver)) => write!(f, "{device}: let only {driver} have it"),
            Self::Override(device, None) => write!(f, "{device}: let any driver have it"),
            Self::Unbind(device, driver) => write!(f, "{device}: take it from {driver}"),
            Self::Bind(device, driver) => write!(f, "{device}: give it to {driver}"),
            Self::Await(device, name) => write!(f, "{device}: wait for its interface {name}"),
            Self::Mac(name, mac) => write!(f, "{name}: MAC address {}", mac_text(*mac)),
            Self::Mtu(name, mtu) => write!(f, "{name}: MTU {mtu}"),
            Self::Up(name, up) => write!(f, "{name}: {}", if *up { "up" } else { "down" }),
            Self::Address(name, address) => write!(f, "{name}: address {address}"),
            Self::NoAddress(name, address) => write!(f, "{name}: without address {address}"),
            Self::Route(name, route) => write!(f, "{name}: route {route}"),
            Self::NoRoute(name, route) => write!(f, "{name}: without route {route}"),
            Self::Group(name, mac) => write!(f, "{name}: receive frames to {}", mac_text(*mac)),
            Self::NoGroup(name, mac) => write!(f, "{name}: no frames to {}", mac_text(*mac)),
            Self::Join(name, group) => write!(f, "{name}: join {group}, as long as lmd runs"),
        }
    }
}
