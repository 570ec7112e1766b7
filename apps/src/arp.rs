//! [`Resolver`]: which MAC address a datagram goes to.
//!
//! A port's `--eth-peer` decides, if there is one. Else the address is asked for by ARP (RFC 826). Devices that are
//! files never answer: after [`PATIENCE`] datagrams go to the broadcast address, until an answer comes.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lm::Neighbours;
use lm::wire::{Arp, BROADCAST, MIN_FRAME, Mac};
use rte::port::PortId;

/// How long nothing is sent while nobody answers.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often an address is asked for meanwhile.
const EAGER: Duration = Duration::from_millis(50);
/// How often it is asked for later.
const LAZY: Duration = Duration::from_secs(1);
/// Addresses that are asked for at once, at most: they may come from a stranger.
const ASKED: usize = 256;

/// A request without an answer.
#[derive(Clone, Copy, Debug)]
struct Asked {
    since: Instant,
    last: Instant,
    given_up: bool,
}

/// What a datagram's destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// This MAC address.
    To(Mac),
    /// Not known yet: try again.
    Wait,
}

/// The neighbours of a port.
#[derive(Debug)]
pub(crate) struct Resolver {
    port: PortId,
    neighbours: Neighbours,
    peer: Option<Mac>,
    asked: HashMap<u32, Asked>,
}

impl Resolver {
    /// A table for the node that has these addresses; `peer` is `--eth-peer`.
    pub(crate) fn new(port: PortId, mac: Mac, address: u32, peer: Option<Mac>) -> Self {
        Self { port, neighbours: Neighbours::new(mac, address), peer, asked: HashMap::new() }
    }

    /// Our MAC address.
    pub(crate) fn mac(&self) -> Mac {
        self.neighbours.mac()
    }

    /// A question for `address` whose answer goes to one of our other MAC addresses, `from`, and that nobody learns
    /// anything from (RFC 5227's probe).
    pub(crate) fn probe(&self, from: Mac, address: u32) -> [u8; MIN_FRAME] {
        let question =
            Arp { operation: Arp::REQUEST, sender_mac: from, sender: 0, target_mac: [0; 6], target: address };
        question.frame(self.peer.unwrap_or(BROADCAST))
    }

    /// Learns from a frame that is not LM's; what to answer, if something.
    pub(crate) fn hear(&mut self, frame: &[u8]) -> Option<[u8; MIN_FRAME]> {
        self.neighbours.hear(frame)
    }

    /// Where to send what is for `address`. `ask` sends a frame that asks for it, and says whether that worked.
    pub(crate) fn route(
        &mut self,
        address: u32,
        now: Instant,
        ask: impl FnOnce(&[u8; MIN_FRAME]) -> bool,
    ) -> Route {
        if let Some(mac) = self.peer.or_else(|| fixed(address)).or_else(|| self.neighbours.lookup(address)) {
            return Route::To(mac);
        }
        if self.asked.len() >= ASKED && !self.asked.contains_key(&address) {
            self.asked.clear();
        }
        let Some(asked) = self.asked.get_mut(&address) else {
            if ask(&self.neighbours.ask(address)) {
                self.asked.insert(address, Asked { since: now, last: now, given_up: false });
            }
            return Route::Wait;
        };
        let pause = if asked.given_up { LAZY } else { EAGER };
        if now.duration_since(asked.last) >= pause {
            asked.last = now;
            ask(&self.neighbours.ask(address));
        }
        if now.duration_since(asked.since) < PATIENCE {
            return Route::Wait;
        }
        if !asked.given_up {
            asked.given_up = true;
            log::info!(
                "port {}: nobody answers ARP for {}, so datagrams go to the broadcast address; --eth-peer={},MAC fixes one",
                self.port,
                Ipv4Addr::from_bits(address),
                self.port
            );
        }
        Route::To(BROADCAST)
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

    fn resolver(peer: Option<Mac>) -> Resolver {
        Resolver::new(PortId(0), US, 1, peer)
    }

    #[test]
    fn a_fixed_peer_is_never_asked() {
        let route = resolver(Some(THEM)).route(2, Instant::now(), |_| panic!("asked"));
        assert_eq!(route, Route::To(THEM));
        let multicast = resolver(None).route(0xefff_0102, Instant::now(), |_| panic!("asked"));
        assert_eq!(multicast, Route::To([1, 0, 0x5e, 0x7f, 1, 2]));
    }

    #[test]
    fn a_probe_is_answered_to_where_it_says_and_teaches_nothing() {
        let landing = [2, 0, 0, 0, 0, 0x11];
        let probe = resolver(Some(THEM)).probe(landing, 2);
        assert_eq!(probe[..6], THEM);
        let mut them = Neighbours::new(THEM, 2);
        let answer = them.hear(&probe).expect("an answer");
        assert_eq!(answer[..6], landing);
        assert_eq!((them.lookup(0), them.lookup(1)), (None, None));
    }

    #[test]
    fn an_answer_is_learnt() {
        let (mut us, mut them) = (resolver(None), Neighbours::new(THEM, 2));
        let mut answer = None;
        let now = Instant::now();
        let route = us.route(2, now, |frame| {
            answer = them.hear(frame);
            true
        });
        assert_eq!(route, Route::Wait);
        assert_eq!(us.hear(&answer.expect("them")), None);
        assert_eq!(us.route(2, now, |_| panic!("asked again")), Route::To(THEM));
    }

    #[test]
    fn silence_ends_at_the_broadcast_address_and_an_answer_still_counts() {
        let mut us = resolver(None);
        let start = Instant::now();
        assert_eq!(us.route(2, start, |_| false), Route::Wait, "could not ask");
        let start = start + Duration::from_secs(5);
        let mut requests = 0;
        for ms in 0..200 {
            let now = start + Duration::from_millis(ms);
            let route = us.route(2, now, |_| {
                requests += 1;
                true
            });
            assert_eq!(route, Route::Wait);
        }
        assert_eq!(requests, 4);
        let late = start + PATIENCE;
        assert_eq!(us.route(2, late, |_| true), Route::To(BROADCAST));
        let mut them = Neighbours::new(THEM, 2);
        us.hear(&them.hear(&us.neighbours.ask(2)).expect("an answer"));
        assert_eq!(us.route(2, late, |_| false), Route::To(THEM));
    }
}
