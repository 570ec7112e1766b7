//! [`Routes`]: the IPv4 routes of an interface whose MTU is far above the wire's, kept right.
//!
//! On such an interface Linux sets "don't fragment" on each datagram, unless the socket asks otherwise. So
//! the flag would not say what a program wants. With a route that has `mtu lock`, Linux sets the flag only if
//! a program asks for it (ip(7), IP_PMTUDISC_DO and IP_PMTUDISC_PROBE). Routes to the link itself get `mtu
//! lock 65520`, the most that Linux allows. Routes through a gateway get the wire's MTU, because hosts behind
//! it cannot receive longer packets. A route that already has an `mtu` keeps it, unless the route goes
//! through a gateway and the `mtu` is above the wire's.
//!
//! The kernel reports each route that is added, by netlink (rtnetlink(7)). A request that replaces a route
//! would replace the first of its prefix and metric, whichever interface that is by. So the better route is
//! added behind those that are there, and then the old one is removed.
//!
//! The caller has frames to move meanwhile, so one call does a bounded part of what is to be done, however
//! many routes a program adds at once.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use crate::Rtnetlink;
use crate::absence::{gone, is_absent};
use crate::netlink::{attributes, first, push};
use crate::numbers::{
    NLM_F_BESIDE, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_ERROR, RTA_CACHEINFO, RTA_GATEWAY, RTA_METRICS,
    RTA_MULTIPATH, RTA_NH_ID, RTA_OIF, RTA_VIA, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, RTMGRP_IPV4_ROUTE,
    RTMSG, RTN_UNICAST, RTNH_F_ONLINK, TABLE_LOCAL,
};
use crate::socket::{LONGEST, Socket, error_of};

const RTAX_LOCK: u16 = 1;
const RTAX_MTU: u16 = 2;

/// The MTU of routes to what is on the link: the most that Linux allows (`IP_MAX_MTU`, less one unit of
/// fragments).
pub const ON_LINK: u32 = 65_520;

/// Routes that one [`Routes::turn`] puts right at most: each takes two system calls, some 20 µs.
const AT_ONCE: usize = 8;
/// Lots of messages that one turn reads at most. A report is a lot of its own.
const LOTS: usize = 16;

/// Which routes are kept right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    interface: u32,
    wire: u32,
}

/// The routes of an interface.
pub struct Routes {
    socket: Socket,
    changes: Rtnetlink,
    rule: Rule,
    buffer: Vec<u8>,
    /// The part of the buffer that has messages that were not looked at yet.
    told: Range<usize>,
    /// Some of what it told is lost.
    lost: bool,
    /// What the kernel said of the last route that it refused.
    refused: io::Result<()>,
    is_behind: bool,
}

/// A route that is not right.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    /// As it should be.
    better: Vec<u8>,
    /// What removes it. Of two that differ in metrics it is the one with these.
    removal: Vec<u8>,
}

impl Routes {
    /// Begins to keep the routes right of the interface with this number, on a wire with this MTU. Those that
    /// are there are asked for; the first calls of [`Routes::turn`] see to them.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(interface: u32, wire: u32) -> io::Result<Self> {
        let socket = Socket::that_hears(RTMGRP_IPV4_ROUTE)?;
        let rule = Rule { interface, wire };
        let mut routes = Self {
            socket,
            changes: Rtnetlink::open()?,
            rule,
            buffer: vec![0; LONGEST],
            told: 0..0,
            lost: false,
            refused: Ok(()),
            is_behind: false,
        };
        routes.ask()?;
        Ok(routes)
    }

    /// Asks for all routes there are.
    fn ask(&mut self) -> io::Result<()> {
        let mut body = [0; RTMSG];
        body[0] = libc::AF_INET as u8;
        self.socket.send(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, &body)
    }

    /// Takes some of what the kernel told since, and puts those routes right that are not. Returns how many.
    /// It does not wait. If [`Routes::is_behind`] says so, there is more to do.
    ///
    /// # Errors
    /// What the kernel says, of the last route that it refused. It is told when nothing more is to be done.
    pub fn turn(&mut self) -> io::Result<usize> {
        let mut n = 0;
        self.is_behind = true;
        for _ in 0..LOTS {
            n += self.look(AT_ONCE - n);
            if !self.told.is_empty() {
                return Ok(n);
            }
            let e = match self.socket.receive(&mut self.buffer).map(<[u8]>::len) {
                Ok(len) => {
                    self.told = 0..len;
                    continue;
                }
                Err(e) => e,
            };
            match e.raw_os_error() {
                Some(libc::ENOBUFS) => self.lost = true,
                // All is asked for anew when the socket is empty: the kernel tells of a loss only then again.
                Some(libc::EAGAIN) if self.lost && self.ask().is_ok() => self.lost = false,
                reason => {
                    self.is_behind = false;
                    let refused = std::mem::replace(&mut self.refused, Ok(()));
                    return if reason == Some(libc::EAGAIN) { refused.map(|()| n) } else { Err(e) };
                }
            }
        }
        Ok(n)
    }

    /// Whether the last [`Routes::turn`] has left something to do, which may be known to this program alone.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Reads the kernel's messages that are left in the buffer, until `most` routes have been put right.
    /// Returns how many were.
    fn look(&mut self, most: usize) -> usize {
        let buffer = std::mem::take(&mut self.buffer);
        let mut told = &buffer[self.told.clone()];
        let mut n = 0;
        while n < most
            && let Some((message, rest)) = first(told)
        {
            told = rest;
            if message.kind == NLMSG_ERROR {
                match error_of(message.body) {
                    // It is giving the list that was asked for before.
                    Err(e) if e.raw_os_error() == Some(libc::EBUSY) => self.lost = true,
                    answer => self.note(gone(answer)),
                }
            } else if let Some(wrong) = self.rule.wrong(message.kind, message.body) {
                n += 1;
                let done = self.put_right(&wrong);
                self.note(done);
            }
        }
        let left = if n < most { 0 } else { told.len() };
        self.told = self.told.end - left..self.told.end;
        self.buffer = buffer;
        n
    }

    fn note(&mut self, result: io::Result<()>) {
        if result.is_err() {
            self.refused = result;
        }
    }

    fn put_right(&mut self, wrong: &Wrong) -> io::Result<()> {
        let is_new = match self.changes.change(RTM_NEWROUTE, NLM_F_BESIDE, &wrong.better) {
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => false,
            other => other.map(|()| true)?,
        };
        match self.changes.change(RTM_DELROUTE, 0, &wrong.removal) {
            // It has gone since the kernel told of it, so there is nothing to be better than.
            Err(e) if is_absent(&e) && is_new => gone(self.changes.change(RTM_DELROUTE, 0, &wrong.better)),
            other => gone(other),
        }
    }
}

impl AsFd for Routes {
    /// It can be read when the kernel has told something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Rule {
    /// The route that a message tells of. `None`: it is right, or none of ours.
    fn wrong(self, kind: u16, body: &[u8]) -> Option<Wrong> {
        let (route, rest) = body.split_at_checked(RTMSG)?;
        let is_ours = kind == RTM_NEWROUTE
            && i32::from(route[0]) == libc::AF_INET
            && route[4] != TABLE_LOCAL
            && route[7] == RTN_UNICAST;
        let find = |wanted: u16| attributes(rest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        let interface = find(RTA_OIF).and_then(|value| value.first_chunk()).map(|b| u32::from_ne_bytes(*b));
        if !is_ours || interface != Some(self.interface) || find(RTA_MULTIPATH).is_some() {
            return None;
        }
        let metrics = find(RTA_METRICS).unwrap_or_default();
        let metric = |wanted: u16| {
            let found = attributes(metrics).find(|(kind, _)| *kind == wanted);
            found.and_then(|(_, value)| value.first_chunk()).map(|b| u32::from_ne_bytes(*b))
        };
        let is_direct = find(RTA_GATEWAY).is_none() && find(RTA_VIA).is_none();
        let (has_mtu, has_locked) = (metric(RTAX_MTU).unwrap_or(0), metric(RTAX_LOCK).unwrap_or(0));
        let (mtu, locked) = match (is_direct, Some(has_mtu).filter(|mtu| *mtu > 0)) {
            (true, None) => (ON_LINK, 1 << RTAX_MTU),
            (false, None) => (self.wire, 0),
            (false, Some(mtu)) if mtu > self.wire => (self.wire, 0),
            _ => return None,
        };
        let locked = locked | has_locked;
        let mut better = route.to_vec();
        let flags = u32::from_ne_bytes([route[8], route[9], route[10], route[11]]) & RTNH_F_ONLINK;
        better[8..12].copy_from_slice(&flags.to_ne_bytes());
        let by_number = find(RTA_NH_ID).is_some();
        for (kind, value) in attributes(rest) {
            // Where its next hop has a number, that says all of it.
            let twice = by_number && matches!(kind, RTA_OIF | RTA_GATEWAY | RTA_VIA);
            if !twice && !matches!(kind, RTA_METRICS | RTA_CACHEINFO) {
                push(&mut better, kind, value);
            }
        }
        let mut removal = better.clone();
        // What is not set is zero.
        let mut nested = Vec::new();
        push(&mut nested, RTAX_MTU, &has_mtu.to_ne_bytes());
        push(&mut nested, RTAX_LOCK, &has_locked.to_ne_bytes());
        push(&mut removal, RTA_METRICS, &nested);
        let mut nested = Vec::new();
        for (kind, value) in attributes(metrics).filter(|(kind, _)| !matches!(*kind, RTAX_LOCK | RTAX_MTU)) {
            push(&mut nested, kind, value);
        }
        push(&mut nested, RTAX_MTU, &mtu.to_ne_bytes());
        if locked != 0 {
            push(&mut nested, RTAX_LOCK, &locked.to_ne_bytes());
        }
        push(&mut better, RTA_METRICS, &nested);
        Some(Wrong { better, removal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::RTA_DST;

    /// Runs `ip`, and returns what it says.
    fn ip(words: &str) -> String {
        let done = std::process::Command::new("ip").args(words.split(' ')).output().expect("ip runs");
        assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// Runs this test in a network name space of its own. Returns whether it is there by now.
    fn is_alone(test: &str) -> bool {
        const ALONE: &str = "LM_TEST_ALONE";
        if std::env::var_os(ALONE).is_some() {
            return true;
        }
        // SAFETY: takes nothing, and cannot fail.
        let by_root = unsafe { libc::geteuid() } == 0;
        let spaces: &[&str] = if by_root { &["--net"] } else { &["--user", "--map-root-user", "--net"] };
        let mut command = std::process::Command::new("unshare");
        command.args(spaces).arg(std::env::current_exe().expect("a path"));
        command.args(["--exact", "--nocapture", &format!("routes::tests::{test}")]).env(ALONE, "");
        let done = command.output().expect("unshare runs");
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        false
    }

    const MANY: usize = 1500;

    #[test]
    fn many_routes_at_once_are_put_right_in_parts() {
        if !is_alone("many_routes_at_once_are_put_right_in_parts") {
            return;
        }
        ip("link add la type veth peer name lb");
        ip("link set la up");
        ip("link set lb up");
        let add = |net: u8| {
            let all: String = (0..MANY)
                .map(|i| format!("route add 10.{net}.{}.{}/32 dev la\n", i / 250, i % 250))
                .collect();
            let file = std::env::temp_dir().join(format!("lm-routes-{}", std::process::id()));
            std::fs::write(&file, all).expect("written");
            ip(&format!("-batch {}", file.display()));
            std::fs::remove_file(&file).expect("was there");
        };
        // Some are in the list, and some are reported, more than the socket has room for.
        add(1);
        let index = crate::Interface::new("la").expect("a name").index().expect("is there");
        let mut routes = Routes::open(index, 1500).expect("a socket");
        let mut turns = 0;
        for net in [2, 3, 4] {
            add(net);
            assert!(routes.turn().expect("right") <= AT_ONCE);
            turns += 1;
        }
        while routes.is_behind() {
            assert!(routes.turn().expect("right") <= AT_ONCE);
            turns += 1;
        }
        assert!(turns >= 4 * MANY / AT_ONCE, "{turns}");
        let all = ip("-4 route show dev la");
        assert_eq!(all.lines().filter(|route| route.contains("mtu lock 65520")).count(), 4 * MANY);
        assert_eq!((routes.turn().expect("right"), routes.lost), (0, false));
    }

    const RULE: Rule = Rule { interface: 7, wire: 1500 };
    const RTAX_WINDOW: u16 = 3;

    /// A route to 10.0.0.0/24 with these attributes and metrics.
    fn route(interface: u32, more: &[(u16, &[u8])], metrics: &[(u16, u32)]) -> Vec<u8> {
        let mut body = vec![2, 24, 0, 0, 254, 2, 253, RTN_UNICAST, 16, 0, 0, 0];
        push(&mut body, RTA_DST, &[10, 0, 0, 0]);
        push(&mut body, RTA_OIF, &interface.to_ne_bytes());
        more.iter().for_each(|(kind, value)| push(&mut body, *kind, value));
        let mut nested = Vec::new();
        metrics.iter().for_each(|(kind, value)| push(&mut nested, *kind, &value.to_ne_bytes()));
        if !nested.is_empty() {
            push(&mut body, RTA_METRICS, &nested);
        }
        push(&mut body, RTA_CACHEINFO, &[0; 32]);
        body
    }

    /// The metrics of a route as it should be. `None`: it is right.
    fn better(body: &[u8]) -> Option<Vec<(u16, u32)>> {
        let better = RULE.wrong(RTM_NEWROUTE, body)?.better;
        assert_eq!(better[8..12], [0; 4], "no state is set");
        assert_eq!(RULE.wrong(RTM_NEWROUTE, &better), None, "once is enough");
        assert!(attributes(&better[RTMSG..]).any(|a| a == (RTA_DST, &[10, 0, 0, 0][..])));
        assert!(!attributes(&better[RTMSG..]).any(|(kind, _)| kind == RTA_CACHEINFO));
        let nested = attributes(&better[RTMSG..]).find(|(kind, _)| *kind == RTA_METRICS)?.1;
        let value = |b: &[u8]| b.first_chunk().map(|b| u32::from_ne_bytes(*b));
        attributes(nested).map(|(kind, b)| Some((kind, value(b)?))).collect()
    }

    const GATEWAY: (u16, &[u8]) = (RTA_GATEWAY, &[10, 0, 0, 1]);

    #[test]
    fn what_is_on_the_link_is_locked() {
        assert_eq!(better(&route(7, &[], &[])), Some(vec![(RTAX_MTU, 65_520), (RTAX_LOCK, 4)]));
        let kept = better(&route(7, &[], &[(RTAX_WINDOW, 9), (RTAX_LOCK, 8)]));
        assert_eq!(kept, Some(vec![(RTAX_WINDOW, 9), (RTAX_MTU, 65_520), (RTAX_LOCK, 12)]));
        assert_eq!(better(&route(7, &[], &[(RTAX_MTU, 1400)])), None, "somebody's choice");
    }

    #[test]
    fn what_is_behind_a_gateway_has_the_wires_mtu() {
        assert_eq!(better(&route(7, &[GATEWAY], &[])), Some(vec![(RTAX_MTU, 1500)]));
        assert_eq!(better(&route(7, &[GATEWAY], &[(RTAX_MTU, 65_520)])), Some(vec![(RTAX_MTU, 1500)]));
        assert_eq!(better(&route(7, &[GATEWAY], &[(RTAX_MTU, 1400)])), None);
        assert_eq!(better(&route(7, &[(RTA_VIA, &[10, 0, 1, 2, 3, 4])], &[])), Some(vec![(RTAX_MTU, 1500)]));
    }

    #[test]
    fn others_are_left_alone() {
        assert_eq!(better(&route(8, &[], &[])), None);
        assert_eq!(better(&route(7, &[(RTA_MULTIPATH, &[0; 8])], &[])), None);
        for (at, value) in [(0, 10), (4, TABLE_LOCAL), (7, 2), (7, 5)] {
            let mut body = route(7, &[], &[]);
            body[at] = value;
            assert_eq!(RULE.wrong(RTM_NEWROUTE, &body), None, "{at}: {value}");
        }
        let body = route(7, &[], &[]);
        assert_eq!(RULE.wrong(RTM_NEWROUTE + 1, &body), None);
        for len in 0..28 {
            assert_eq!(RULE.wrong(RTM_NEWROUTE, &body[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_next_hop_with_a_number_is_said_once() {
        let better = RULE.wrong(RTM_NEWROUTE, &route(7, &[(RTA_NH_ID, &[1, 0, 0, 0])], &[]));
        let Wrong { better, .. } = better.expect("locked");
        assert!(!attributes(&better[RTMSG..]).any(|(kind, _)| kind == RTA_OIF));
    }

    #[test]
    fn the_old_one_is_told_from_the_better_one() {
        for (has, mtu) in [(vec![], 0_u32), (vec![(RTAX_MTU, 9000), (RTAX_WINDOW, 9)], 9000)] {
            let Wrong { better, removal } =
                RULE.wrong(RTM_NEWROUTE, &route(7, &[GATEWAY], &has)).expect("wrong");
            let split = |body: &[u8]| {
                let all = attributes(&body[RTMSG..]).map(|(kind, value)| (kind, value.to_vec()));
                all.partition::<Vec<_>, _>(|(kind, _)| *kind == RTA_METRICS)
            };
            let (metrics, rest) = split(&removal);
            assert_eq!((rest, &removal[..RTMSG]), (split(&better).1, &better[..RTMSG]), "the same route");
            let metrics: Vec<_> = attributes(&metrics[0].1).collect();
            assert_eq!(metrics, [(RTAX_MTU, &mtu.to_ne_bytes()[..]), (RTAX_LOCK, &[0; 4])]);
        }
    }
}
