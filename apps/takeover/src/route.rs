//! [`Route`]: a route by an interface, as the kernel tells of it (`RTM_NEWROUTE`, rtnetlink(7)).
//!
//! [`crate::facts`] reads routes, and learns here which of them are to be moved. [`crate::plan`] has them
//! made by another interface and removed from it. [`crate::saved`] has their lifetimes go on.
//!
//! A route keeps the kernel's own message, so attributes that are not known here are not lost. When it is
//! made again, the number of the interface is replaced. What only tells the route's state is left out.
//!
//! A message may have any length. One that is shorter than a route's header is no route, and an attribute
//! with a wrong length ends the list of attributes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lm_tap::netlink::{attributes, push};
use lm_tap::numbers::{
    RTA_CACHEINFO, RTA_DST, RTA_EXPIRES, RTA_GATEWAY, RTA_IIF, RTA_METRICS, RTA_MULTIPATH, RTA_NH_ID,
    RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_TABLE, RTA_UID, RTA_VIA, RTMSG, RTN_UNICAST, RTNH_F_ONLINK,
    TABLE_LOCAL, TABLE_MAIN,
};
use serde::{Deserialize, Serialize};

use crate::hex;

/// Bytes of `struct rtnexthop`.
const RTNH: usize = 8;
/// The origin of a route that an ICMP redirect has made (`RTPROT_REDIRECT`).
const REDIRECT: u8 = 1;
/// The origin of a route that the kernel has made for an address, or a program in the kernel's place
/// (`RTPROT_KERNEL`).
const KERNEL: u8 = 2;
/// The flag of a route that the kernel has copied for one destination.
const RTM_F_CLONED: u32 = 0x200;
/// The kernel's ticks in a second (`USER_HZ`), in which it tells lifetimes.
const TICKS: u32 = 100;

/// A route. It holds the body of the kernel's message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Route {
    body: Vec<u8>,
    /// The number of the interface whose place another one takes.
    interface: u32,
}

/// A route in a card's file: its text for people, and the kernel's message, in hexadecimal, which is read.
#[derive(Serialize, Deserialize)]
struct Written {
    text: String,
    interface: u32,
    netlink: String,
}

impl From<Route> for Written {
    fn from(route: Route) -> Self {
        Self { text: route.to_string(), interface: route.interface, netlink: hex::text(&route.body) }
    }
}

impl TryFrom<Written> for Route {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let body = hex::bytes(&written.netlink).ok_or_else(|| format!("{}: no bytes", written.text))?;
        Self::of(body, written.interface, true).ok_or_else(|| format!("{}: no such route", written.text))
    }
}

impl Route {
    /// The route by this interface that the body of a message tells of. `None`: the route does not go by this
    /// interface, or the kernel makes it again by itself, as it does with routes to the networks of
    /// addresses. With `by_programs`, programs have made those in the kernel's place, so they are taken.
    pub fn of(body: Vec<u8>, interface: u32, by_programs: bool) -> Option<Self> {
        if !matches!(body.first()?, 2 | 10) || body.len() < RTMSG {
            return None;
        }
        let flags = u32::from_ne_bytes([body[8], body[9], body[10], body[11]]);
        let (made_by, kind) = (body[5], body[7]);
        let this = Self { body, interface };
        let to_link = by_programs && kind == RTN_UNICAST && this.table() != u32::from(TABLE_LOCAL);
        let own = made_by == REDIRECT || made_by == KERNEL && !to_link || flags & RTM_F_CLONED != 0;
        (!own && this.hops().any(|hop| hop == interface)).then_some(this)
    }

    fn attribute(&self, wanted: u16) -> Option<&[u8]> {
        attributes(&self.body[RTMSG..]).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    fn number(&self, wanted: u16) -> Option<u32> {
        self.attribute(wanted)?.first_chunk().map(|value| u32::from_ne_bytes(*value))
    }

    fn table(&self) -> u32 {
        self.number(RTA_TABLE).unwrap_or(self.body[4].into())
    }

    /// The numbers of the interfaces that the route goes by.
    fn hops(&self) -> impl Iterator<Item = u32> {
        let several = next_hops(self.attribute(RTA_MULTIPATH).unwrap_or_default()).map(|(_, hop, _)| hop);
        self.number(RTA_OIF).into_iter().chain(several)
    }

    /// The family of the default route that the body of a message tells of, and whether the route goes by
    /// this interface alone. `None`: it is no default route, or is not in the main table.
    pub fn default_of(body: &[u8], interface: u32) -> Option<(u8, bool)> {
        let this = Self { body: body.to_vec(), interface };
        if !matches!(body.first()?, 2 | 10) || body.len() < RTMSG {
            return None;
        }
        let is_default = body[1] == 0 && body[7] == RTN_UNICAST && this.table() == u32::from(TABLE_MAIN);
        (is_default && this.hops().count() > 0).then(|| (body[0], this.hops().all(|hop| hop == interface)))
    }

    /// Whether the route is one of IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.body[0] == 10
    }

    /// Whether the route goes through a gateway or has several next hops. Such a route needs another one, to
    /// the gateway.
    pub fn is_indirect(&self) -> bool {
        [RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH].iter().any(|kind| self.attribute(*kind).is_some())
    }

    /// The same route so many seconds later. `None`: its lifetime is over.
    pub fn after(&self, seconds: u32) -> Option<Self> {
        let left = self.lifetime().map(|left| left.saturating_sub(seconds));
        match left {
            Some(0) => None,
            Some(left) => {
                let mut body = self.without(&[RTA_CACHEINFO, RTA_EXPIRES]);
                push(&mut body, RTA_EXPIRES, &left.to_ne_bytes());
                Some(Self { body, interface: self.interface })
            }
            None => Some(self.clone()),
        }
    }

    /// The seconds that the route is still valid (IPv6). `None`: it is valid for ever.
    fn lifetime(&self) -> Option<u32> {
        let told = self.attribute(RTA_CACHEINFO).and_then(|value| value.get(8..12)?.try_into().ok());
        let ticks = told.map(i32::from_ne_bytes).filter(|ticks| *ticks != 0 && self.body[0] == 10);
        let seconds = ticks.map(|ticks| u32::try_from(ticks).unwrap_or(0).div_ceil(TICKS));
        self.number(RTA_EXPIRES).or(seconds)
    }

    fn without(&self, kinds: &[u16]) -> Vec<u8> {
        let mut body = self.body[..RTMSG].to_vec();
        for (kind, value) in attributes(&self.body[RTMSG..]).filter(|(kind, _)| !kinds.contains(kind)) {
            push(&mut body, kind, value);
        }
        body
    }

    /// The body of the message that makes the route by the interface with this number, instead of the one
    /// that it was by.
    pub fn body(&self, interface: u32) -> Vec<u8> {
        self.told(interface, &[])
    }

    /// The body of the message that removes the route from the interface with this number. It names no
    /// metrics, because somebody may have given the route another MTU meanwhile.
    pub fn removal(&self, interface: u32) -> Vec<u8> {
        self.told(interface, &[RTA_METRICS, RTA_EXPIRES])
    }

    /// The body of a message about the route by this interface, without the attributes in `besides`.
    fn told(&self, interface: u32, besides: &[u16]) -> Vec<u8> {
        let mut body = self.body[..RTMSG].to_vec();
        let flags = u32::from_ne_bytes([body[8], body[9], body[10], body[11]]) & RTNH_F_ONLINK;
        body[8..12].copy_from_slice(&flags.to_ne_bytes());
        let instead = |hop: u32| if hop == self.interface { interface } else { hop };
        for (kind, value) in attributes(&self.body[RTMSG..]) {
            match kind {
                // How things stand, and the number of a next hop, which went with the interface.
                RTA_CACHEINFO | RTA_IIF | RTA_UID | RTA_NH_ID => {}
                RTA_OIF => {
                    let hop = value.first_chunk().map_or(0, |value| u32::from_ne_bytes(*value));
                    push(&mut body, kind, &instead(hop).to_ne_bytes());
                }
                RTA_MULTIPATH => {
                    let mut several = Vec::new();
                    // IPv6 has a route for each hop: those of other interfaces stay where they are.
                    let moves = |hop: u32| !self.is_ipv6() || hop == self.interface;
                    for (head, hop, rest) in next_hops(value).filter(|(_, hop, _)| moves(*hop)) {
                        several.extend(&head[..2]);
                        several.extend([head[2] & RTNH_F_ONLINK as u8, head[3]]);
                        several.extend(instead(hop).to_ne_bytes());
                        several.extend(rest);
                        several.resize(several.len().next_multiple_of(4), 0);
                    }
                    push(&mut body, kind, &several);
                }
                kind if besides.contains(&kind) => {}
                kind => push(&mut body, kind, value),
            }
        }
        let is_told = self.number(RTA_EXPIRES).is_some() || besides.contains(&RTA_EXPIRES);
        if let Some(left) = self.lifetime().filter(|_| !is_told) {
            push(&mut body, RTA_EXPIRES, &left.to_ne_bytes());
        }
        body
    }
}

/// The next hops of a route that has several. For each: the first four bytes of its head, the number of its
/// interface, and its attributes.
fn next_hops(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], u32, &[u8])> {
    std::iter::from_fn(move || {
        let head = *bytes.first_chunk::<4>()?;
        let len = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let hop = bytes.get(..len).filter(|hop| hop.len() >= RTNH)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((head, u32::from_ne_bytes([hop[4], hop[5], hop[6], hop[7]]), &hop[RTNH..]))
    })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(|b| Ipv4Addr::from(b).into()),
        16 => <[u8; 16]>::try_from(value).ok().map(|b| Ipv6Addr::from(b).into()),
        _ => None,
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attribute(RTA_DST).and_then(ip) {
            Some(to) => write!(f, "{to}/{}", self.body[1])?,
            None => write!(f, "default{}", if self.body[0] == 10 { " (IPv6)" } else { "" })?,
        }
        for (kind, name) in [(RTA_GATEWAY, "via"), (RTA_PREFSRC, "src")] {
            if let Some(ip) = self.attribute(kind).and_then(ip) {
                write!(f, " {name} {ip}")?;
            }
        }
        let several = next_hops(self.attribute(RTA_MULTIPATH).unwrap_or_default()).count();
        if several > 0 {
            write!(f, " by {several} hops")?;
        }
        if let Some(metric) = self.number(RTA_PRIORITY) {
            write!(f, " metric {metric}")?;
        }
        if let Some(table) = self.number(RTA_TABLE).filter(|table| *table != u32::from(TABLE_MAIN)) {
            write!(f, " table {table}")?;
        }
        write!(f, " proto {}", self.body[5])
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A route to 10.1.2.0/24 by interface 7, or to everywhere, maybe through a gateway.
    pub(crate) fn route(everywhere: bool, gateway: Option<[u8; 4]>) -> Route {
        let mut body = vec![2, if everywhere { 0 } else { 24 }, 0, 0, 254, 3, 0, RTN_UNICAST, 0x14, 0, 0, 0];
        if !everywhere {
            push(&mut body, RTA_DST, &[10, 1, 2, 0]);
        }
        push(&mut body, RTA_TABLE, &u32::from(TABLE_MAIN).to_ne_bytes());
        push(&mut body, RTA_OIF, &7_u32.to_ne_bytes());
        gateway.iter().for_each(|gateway| push(&mut body, RTA_GATEWAY, gateway));
        push(&mut body, RTA_PRIORITY, &100_u32.to_ne_bytes());
        push(&mut body, RTA_METRICS, &[8, 0, 2, 0, 220, 5, 0, 0]);
        Route::of(body, 7, false).expect("a route")
    }

    #[test]
    fn it_is_written_and_read() {
        let route = route(false, Some([10, 0, 0, 1]));
        assert_eq!(route.to_string(), "10.1.2.0/24 via 10.0.0.1 metric 100 proto 3");
        let text = serde_json::to_string(&route).expect("text");
        assert_eq!(serde_json::from_str::<Route>(&text).expect("the same"), route);
        serde_json::from_str::<Route>(&text.replace("\"interface\":7", "\"interface\":8"))
            .expect_err("another's");
    }

    #[test]
    fn another_interface_takes_its_place() {
        let moved = Route { body: route(false, None).body(9), interface: 9 };
        assert_eq!(moved.hops().collect::<Vec<_>>(), [9]);
        assert_eq!(moved.body[8], 4, "only what may be set");
        assert!(moved.attribute(RTA_METRICS).is_some());
        let removal = Route { body: route(false, None).removal(9), interface: 9 };
        assert!(removal.attribute(RTA_METRICS).is_none() && removal.number(RTA_PRIORITY) == Some(100));
    }

    #[test]
    fn of_several_hops_only_ours_moves() {
        let mut hops = Vec::new();
        for interface in [7_u32, 8] {
            hops.extend([16, 0, 0x15, 3]);
            hops.extend(interface.to_ne_bytes());
            push(&mut hops, RTA_GATEWAY, &[10, 0, 0, 1]);
        }
        let mut body = vec![2, 0, 0, 0, 254, 3, 0, RTN_UNICAST, 0, 0, 0, 0];
        push(&mut body, RTA_MULTIPATH, &hops);
        assert_eq!(Route::default_of(&body, 7), Some((2, false)));
        assert_eq!(Route::of(body.clone(), 9, false), None);
        let moved = Route { body: Route::of(body, 7, false).expect("a route").body(9), interface: 9 };
        assert_eq!(moved.hops().collect::<Vec<_>>(), [9, 8]);
        let value = moved.attribute(RTA_MULTIPATH).expect("hops");
        assert!(next_hops(value).all(|(head, _, rest)| head[2..] == [4, 3] && rest.len() == 8));
        assert!(moved.is_indirect());
        for len in 0..hops.len() {
            assert!(next_hops(&hops[..len]).count() <= 1, "no length is believed");
        }
    }

    #[test]
    fn the_kernels_own_are_left_to_it() {
        let body = route(false, None).body;
        for (at, value) in [(5, 2), (5, 1), (9, 2), (0, 5)] {
            let mut body = body.clone();
            body[at] = value;
            assert_eq!(Route::of(body, 7, false), None, "{at}: {value}");
        }
        for (programs, at, value, kept) in
            [(true, 7, 1, true), (true, 7, 2, false), (true, 5, 1, false), (false, 7, 1, false)]
        {
            let mut body = body.clone();
            (body[5], body[at]) = (2, value);
            let found = Route::of(body.clone(), 7, programs);
            assert_eq!(found.is_some(), kept, "{programs}, {at}: {value}");
            let text = found.map(|route| serde_json::to_string(&route).expect("text"));
            text.iter().for_each(|text| assert!(serde_json::from_str::<Route>(text).is_ok(), "{text}"));
            let mut local = vec![2, 32, 0, 0, 255, 2, 0, RTN_UNICAST, 0, 0, 0, 0];
            push(&mut local, RTA_OIF, &7_u32.to_ne_bytes());
            assert_eq!(Route::of(local, 7, programs), None, "of the table of local addresses");
        }
        for len in 0..RTMSG {
            assert_eq!(Route::of(body[..len].to_vec(), 7, false), None);
            assert_eq!(Route::default_of(&body[..len], 7), None);
        }
    }

    #[test]
    fn lifetimes_go_on() {
        let mut body = vec![10, 0, 0, 0, 254, 9, 0, RTN_UNICAST, 0, 0, 0, 0];
        push(&mut body, RTA_OIF, &7_u32.to_ne_bytes());
        let mut info = [0; 28];
        info[8..12].copy_from_slice(&12_345_i32.to_ne_bytes());
        push(&mut body, RTA_CACHEINFO, &info);
        let route = Route::of(body, 7, false).expect("a route");
        let told = Route { body: route.body(9), interface: 9 };
        assert_eq!(told.number(RTA_EXPIRES), Some(124));
        assert_eq!(route.after(100).and_then(|r| r.lifetime()), Some(24));
        assert_eq!(route.after(124), None);
        let forever = super::tests::route(true, None);
        assert_eq!(forever.after(u32::MAX), Some(forever));
    }

    #[test]
    fn who_leads_everywhere() {
        assert_eq!(Route::default_of(&route(true, None).body, 7), Some((2, true)));
        assert_eq!(Route::default_of(&route(true, None).body, 8), Some((2, false)));
        assert_eq!(Route::default_of(&route(false, None).body, 7), None);
    }
}
