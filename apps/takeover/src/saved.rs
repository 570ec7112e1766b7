//! [`Saved`]: the state of a card and its interface before the card was moved, which is what it is given back
//! as.
//!
//! [`crate::refusal`] makes it from the facts, [`crate::store`] keeps it in a file, and [`crate::plan`] makes
//! the moves from it. A file with unknown fields is refused.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Address, Route};

/// The version of the file.
pub const VERSION: u32 = 1;

/// A card as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// [`VERSION`].
    pub version: u32,
    /// The card's interface.
    pub card: String,
    /// The interface that takes its place.
    pub tap: String,
    /// Whether that one was up before.
    pub tap_was_up: bool,
    /// The card's place on the PCI bus.
    pub device: String,
    /// The kernel's driver that had it.
    pub driver: String,
    /// The driver that only was to have it.
    pub overridden: Option<String>,
    /// The driver that DPDK works with.
    pub to: String,
    /// The interface's MAC address.
    pub mac: [u8; 6],
    /// Its MTU.
    pub mtu: u32,
    /// Whether it was up.
    pub up: bool,
    /// Its addresses, in order.
    pub addresses: Vec<Address>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// MAC addresses of groups that somebody had it receive.
    pub groups: Vec<[u8; 6]>,
    /// Groups that programs had joined on it.
    pub joins: Vec<IpAddr>,
    /// When this was so: seconds since the machine's start.
    pub at: u64,
}

impl Saved {
    /// The same at a later moment: lifetimes went on. `taken` are the addresses that the other interface has
    /// now, of which some may have been renewed.
    pub fn later(&self, now: u64, taken: &[Address]) -> Self {
        let seconds = u32::try_from(now.saturating_sub(self.at)).unwrap_or(u32::MAX);
        let addresses = self.addresses.iter();
        Self {
            addresses: addresses.filter_map(|a| a.renewed(taken).or_else(|| a.after(seconds))).collect(),
            routes: self.routes.iter().filter_map(|route| route.after(seconds)).collect(),
            at: now,
            ..self.clone()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::address::tests::v4;
    use crate::route::tests::route;

    /// A card with something of each kind.
    pub(crate) fn saved() -> Saved {
        Saved {
            version: VERSION,
            card: "eth0".to_owned(),
            tap: "lm0".to_owned(),
            tap_was_up: false,
            device: "0000:01:00.0".to_owned(),
            driver: "igb".to_owned(),
            overridden: None,
            to: "vfio-pci".to_owned(),
            mac: [2, 0, 0, 0, 0, 9],
            mtu: 1400,
            up: true,
            addresses: vec![
                v4([10, 0, 0, 1], "eth0", [u32::MAX; 2]),
                v4([10, 0, 0, 2], "eth0:1", [100, 100]),
            ],
            routes: vec![route(false, None), route(true, Some([10, 0, 0, 254]))],
            groups: vec![[1, 0, 0x5e, 1, 2, 3]],
            joins: vec![[239, 1, 2, 3].into()],
            at: 1000,
        }
    }

    #[test]
    fn later_some_is_over_and_some_was_renewed() {
        let all = saved();
        assert_eq!(all.later(1099, &[]).addresses.len(), 2);
        let left: Vec<_> = all.later(1100, &[]).addresses.iter().map(Address::ip).collect();
        assert_eq!(left, [Some([10, 0, 0, 1].into())]);
        let renewed = v4([10, 0, 0, 2], "lm0:1", [500, 500]);
        let later = all.later(1100, std::slice::from_ref(&renewed));
        assert_eq!(later.addresses[1].to_string(), renewed.to_string());
        assert_eq!((later.at, later.routes.len()), (1100, 2));
    }
}
