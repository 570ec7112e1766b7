//! [`Resolver`]: which MAC address a datagram goes to.
//!
//! A [`Link`](crate::Link) asks it before each datagram, and passes it every frame that is not LM's. If the
//! configuration fixes the peer's MAC address, that address is used. Otherwise the node asks by ARP, and
//! `lm_proto::neighbours` decides which answers are believed.
//!
//! A capture file as a device never answers. Therefore datagrams go to the broadcast address if there was no
//! answer for 200 ms, until an answer arrives.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lm_proto::Neighbours;
use lm_proto::neighbours::{ArpCounters, Event, Resolution};
use lm_proto::order::{Mark, Order};
use lm_proto::wire::{Arp, BROADCAST, MIN_FRAME, Mac};
use rte::port::{MacAddr, PortId};

/// How long datagrams wait for an answer before they go to the broadcast address.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where a datagram goes on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// To this MAC address.
    To(Mac),
    /// The address is not known yet. Try again at the next turn.
    Wait,
}

/// The neighbours of a port, and how they are asked.
#[derive(Debug)]
pub struct Resolver {
    port: PortId,
    neighbours: Neighbours,
    peer: Option<Mac>,
    /// The table counts time from here.
    began: Instant,
    /// Addresses for which the log says already that nobody answers. These are addresses that the user named.
    /// Of all others only the first is logged, since strangers can invent any number of them.
    silent: Vec<u32>,
    others_said: bool,
    /// In which order fragments go to everybody, if that is fixed.
    order: Option<Order>,
}

impl Resolver {
    /// A table for the node with these addresses, in host byte order. `peer` is the MAC address that all
    /// datagrams go to, if the user fixed one. `named` is the address that the user wants to send to.
    pub fn new(port: PortId, mac: Mac, address: u32, peer: Option<Mac>, named: u32) -> Self {
        let mut neighbours = Neighbours::new(mac, address);
        neighbours.pin(named);
        let silent = Vec::new();
        Self { port, neighbours, peer, began: Instant::now(), silent, others_said: false, order: None }
    }

    /// Fixes the order of fragments for all peers.
    #[must_use]
    pub fn with_order(mut self, order: Option<Order>) -> Self {
        self.order = order;
        self
    }

    /// In which order fragments go to this address: that which suits it, unless one is fixed.
    pub fn order(&self, address: u32) -> Order {
        let suits = || {
            let forward = fixed(address).is_some() || self.neighbours.is_lm(address) == Some(false);
            if forward { Order::Forward } else { Order::Reverse }
        };
        self.order.unwrap_or_else(suits)
    }

    /// A datagram with LM's tag came from this address.
    pub fn heard_tag(&mut self, address: u32) {
        self.neighbours.heard_tag(address);
    }

    /// The user wants to send to this address (host byte order), too. Its entry is never evicted.
    pub fn pin(&mut self, address: u32) {
        self.neighbours.pin(address);
    }

    /// Our MAC address.
    pub fn mac(&self) -> Mac {
        self.neighbours.mac()
    }

    /// Addresses (host byte order) and hardware addresses that are known, and how they are.
    pub fn known(&self) -> Vec<(u32, Mac, &'static str)> {
        let mut known: Vec<_> = self.neighbours.known().collect();
        known.sort_unstable();
        known
    }

    /// What the table counted since it was made.
    pub fn counters(&self) -> ArpCounters {
        self.neighbours.counters()
    }

    /// An ARP frame that asks for `address` and has the answer sent to `from`, one of our other MAC
    /// addresses. Nobody learns an address from it: it is the probe of RFC 5227, section 1.1.
    pub fn probe(&self, from: Mac, address: u32) -> [u8; MIN_FRAME] {
        let question =
            Arp { operation: Arp::REQUEST, sender_mac: from, sender: 0, target_mac: [0; 6], target: address };
        let mut frame = question.frame(self.peer.unwrap_or(BROADCAST));
        Mark::put(&mut frame);
        frame
    }

    /// Learns from a frame that is not LM's. Returns the frame to answer with, if there is an answer.
    pub fn hear(&mut self, frame: &[u8], now: Instant) -> Option<[u8; MIN_FRAME]> {
        let now = self.since(now);
        let answer = self.neighbours.hear(frame, now);
        self.tell();
        answer
    }

    /// Asks the neighbours that it is time to ask. `ask` sends a frame, and says whether there was room for
    /// it.
    #[inline]
    pub fn poll(&mut self, now: Instant, ask: impl FnMut(&[u8; MIN_FRAME]) -> bool) {
        let Some(due) = self.neighbours.due() else { return };
        let now = self.since(now);
        if now >= due {
            self.neighbours.poll(now, ask);
            self.tell();
        }
    }

    /// Where to send what is for `address` (host byte order). `ask` sends a frame, and says whether there was
    /// room for it.
    pub fn route(&mut self, address: u32, now: Instant, ask: impl FnMut(&[u8; MIN_FRAME]) -> bool) -> Route {
        if let Some(mac) = self.peer.or_else(|| fixed(address)) {
            return Route::To(mac);
        }
        let moment = self.since(now);
        let known = self.neighbours.resolve(address, moment);
        self.poll(now, ask);
        match known {
            Resolution::Known(mac) => Route::To(mac),
            Resolution::Nobody => Route::To(BROADCAST),
            Resolution::Asked(Some(since)) if moment.saturating_sub(since) >= PATIENCE => {
                self.nobody_answers(address);
                Route::To(BROADCAST)
            }
            Resolution::Asked(_) => Route::Wait,
        }
    }

    /// A moment as the table counts time.
    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    fn nobody_answers(&mut self, address: u32) {
        let named = self.neighbours.is_pinned(address);
        if if named { self.silent.contains(&address) } else { self.others_said } {
            return;
        }
        if named {
            self.silent.push(address);
        } else {
            self.others_said = true;
        }
        log::info!(
            "port {}: nobody answers ARP for {}, so datagrams go to the broadcast address; \
             --eth-peer={},MAC fixes one",
            self.port,
            Ipv4Addr::from_bits(address),
            self.port
        );
    }

    /// Says what people should know.
    fn tell(&mut self) {
        while let Some(event) = self.neighbours.next_event() {
            let port = self.port;
            match event {
                Event::Conflict(theirs) => log::warn!(
                    "port {port}: {} is our address ({}), and {} says that it is its own, too: give one of \
                     the two another (--tx-ip); it is said once, and counted as arp conflicts",
                    Ipv4Addr::from_bits(self.neighbours.address()),
                    MacAddr(self.neighbours.mac()),
                    MacAddr(theirs)
                ),
                // Strangers that we answer could fill the log.
                Event::Moved { address, old, new } if self.neighbours.is_pinned(address) => log::info!(
                    "port {port}: {} no longer answers at {}: it is at {} now",
                    Ipv4Addr::from_bits(address),
                    MacAddr(old),
                    MacAddr(new)
                ),
                _ => {}
            }
        }
    }
}

/// Addresses that are not asked for: broadcast, and multicast (RFC 1112).
fn fixed(address: u32) -> Option<Mac> {
    let ip = Ipv4Addr::from_bits(address);
    let [_, b, c, d] = ip.octets();
    if ip.is_broadcast() {
        Some(BROADCAST)
    } else if ip.is_multicast() {
        Some([1, 0, 0x5e, b & 0x7f, c, d])
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Mac = [2, 0, 0, 0, 0, 1];
    const THEM: Mac = [2, 0, 0, 0, 0, 2];

    /// Addresses of this wire.
    const OURS: u32 = 0x0a00_0001;
    const THEIRS: u32 = 0x0a00_0002;

    fn resolver(peer: Option<Mac>) -> Resolver {
        Resolver::new(PortId(0), US, OURS, peer, THEIRS)
    }

    #[test]
    fn a_fixed_peer_is_never_asked() {
        let now = Instant::now();
        let mut peer = resolver(Some(THEM));
        assert_eq!(peer.route(THEIRS, now, |_| panic!("asked")), Route::To(THEM));
        let multicast = resolver(None).route(0xefff_0102, now, |_| panic!("asked"));
        assert_eq!(multicast, Route::To([1, 0, 0x5e, 0x7f, 1, 2]));
        peer.poll(now, |_| panic!("asked"));
    }

    #[test]
    fn a_probe_is_answered_to_where_it_says_and_teaches_nothing() {
        let landing = [2, 0, 0, 0, 0, 0x11];
        let probe = resolver(Some(THEM)).probe(landing, THEIRS);
        assert_eq!(probe[..6], THEM);
        let mut them = Neighbours::new(THEM, THEIRS);
        let answer = them.hear(&probe, Duration::ZERO).expect("an answer");
        assert_eq!(answer[..6], landing);
        assert_eq!((them.lookup(0), them.lookup(OURS)), (None, None));
    }

    #[test]
    fn an_answer_is_learnt() {
        let (mut us, mut them) = (resolver(None), Neighbours::new(THEM, THEIRS));
        let mut answer = None;
        let now = Instant::now();
        let route = us.route(THEIRS, now, |frame| {
            answer = them.hear(frame, Duration::ZERO);
            true
        });
        assert_eq!(route, Route::Wait);
        assert_eq!(us.hear(&answer.expect("them"), now), None);
        assert_eq!(us.route(THEIRS, now, |_| panic!("asked again")), Route::To(THEM));
    }

    #[test]
    fn the_order_suits_the_peer_unless_it_is_fixed() {
        let mut us = resolver(None);
        assert_eq!(us.order(THEIRS), Order::Reverse, "it said nothing");
        for group in [0xefff_0102, 0xffff_ffff] {
            assert_eq!(us.order(group), Order::Forward);
        }
        let now = Instant::now();
        let mut says = |mark: bool| {
            let arp = Arp {
                operation: Arp::REQUEST,
                sender_mac: THEM,
                sender: THEIRS,
                target_mac: [0; 6],
                target: OURS,
            };
            let mut frame = arp.frame(BROADCAST);
            if mark {
                Mark::put(&mut frame);
            }
            us.hear(&frame, now);
            us.order(THEIRS)
        };
        assert_eq!([true, false, true, false].map(&mut says), {
            [Order::Reverse, Order::Forward, Order::Reverse, Order::Forward]
        });
        us.heard_tag(THEIRS);
        assert_eq!(us.order(THEIRS), Order::Reverse);
        for fixed in [Order::Forward, Order::Reverse] {
            let us = resolver(None).with_order(Some(fixed));
            assert_eq!((us.order(THEIRS), us.order(0xefff_0102)), (fixed, fixed));
        }
    }

    #[test]
    fn silence_ends_at_the_broadcast_address_and_an_answer_still_counts() {
        let mut us = resolver(None);
        let start = Instant::now();
        assert_eq!(us.route(THEIRS, start, |_| false), Route::Wait, "could not ask");
        let start = start + Duration::from_secs(5);
        let (mut requests, mut last) = (0, [0; MIN_FRAME]);
        for ms in 0..200 {
            let now = start + Duration::from_millis(ms);
            let route = us.route(THEIRS, now, |frame| {
                (requests, last) = (requests + 1, *frame);
                true
            });
            assert_eq!(route, Route::Wait);
        }
        assert_eq!(requests, 4);
        let late = start + PATIENCE;
        assert_eq!(us.route(THEIRS, late, |_| true), Route::To(BROADCAST));
        let mut them = Neighbours::new(THEM, THEIRS);
        us.hear(&them.hear(&last, Duration::ZERO).expect("an answer"), late);
        assert_eq!(us.route(THEIRS, late, |_| false), Route::To(THEM));
    }

    #[test]
    fn nobody_can_fill_the_log_with_addresses() {
        let mut us = resolver(None);
        let start = Instant::now();
        for i in 0..100 {
            let _ = us.route(THEIRS + 1 + i, start, |_| true);
        }
        for i in 0..100 {
            let _ = us.route(THEIRS + 1 + i, start + 2 * PATIENCE, |_| true);
        }
        assert!(us.others_said && us.silent.is_empty());
    }
}
