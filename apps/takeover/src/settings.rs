//! [`Settings`]: what an interface has that another one can take over, and get back.
//!
//! [`crate::facts`] reads the settings of a card's interface, [`crate::saved`] keeps them, and
//! [`crate::plan`] makes the moves from them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Address, Route};

/// The settings of an interface. The fields are fields of a card's file, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The interface's MAC address.
    pub mac: [u8; 6],
    /// The interface's MTU.
    pub mtu: u32,
    /// Whether the interface is up.
    pub up: bool,
    /// The interface's addresses, in order.
    pub addresses: Vec<Address>,
    /// The routes by the interface.
    pub routes: Vec<Route>,
    /// MAC addresses of groups that somebody had the interface receive (`ip maddr`).
    pub groups: Vec<[u8; 6]>,
    /// Groups that programs have joined on the interface.
    pub joins: Vec<IpAddr>,
}
