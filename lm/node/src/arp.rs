//! [`Resolver`]: which MAC address a datagram goes to.
//!
//! A port's `--eth-peer` decides, if there is one. Else the address is asked for by ARP; `lm_proto::neighbours` says who is believed.
//! Devices that are files never answer: after 200 ms datagrams go to the broadcast address, until an answer comes.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lm_proto::Neighbours;
use lm_proto::neighbours::{ArpCounters, Event, Resolution};
use lm_proto::wire::{Arp, BROADCAST, MIN_FRAME, Mac};
use rte::port::{MacAddr, PortId};

/// How long nothing is sent while nobody answers.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a datagram's destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// This MAC address.
    To(Mac),
    /// Not known yet: try again.
    Wait,
}

/// The neighbours of a port.
#[derive(Debug)]
pub struct Resolver {
    port: PortId,
    neighbours: Neighbours,
    peer: Option<Mac>,
    /// When time began for the table.
    began: Instant,
    /// Addresses of which it was said that nobody answers: those that the user named, and the first of all others. Strangers
    /// can invent the rest.
    silent: Vec<u32>,
    others_said: bool,
}

impl Resolver {
    /// A table for the node that has these addresses; `peer` is `--eth-peer`, `named` is whom the user wants to send to.
    pub fn new(port: PortId, mac: Mac, address: u32, peer: Option<Mac>, named: u32) -> Self {
        let mut neighbours = Neighbours::new(mac, address);
        neighbours.pin(named);
        Self { port, neighbours, peer, began: Instant::now(), silent: Vec::new(), others_said: false }
    }

    /// The user wants to send to this address, too.
    pub fn pin(&mut self, address: u32) {
        self.neighbours.pin(address);
    }

    /// Our MAC address.
    pub fn mac(&self) -> Mac {
        self.neighbours.mac()
    }

    /// What the table counted.
    pub fn counters(&self) -> ArpCounters {
        self.neighbours.counters()
    }

    /// A question for `address` whose answer goes to one of our other MAC addresses, `from`, and that nobody learns
    /// anything from (RFC 5227's probe).
    pub fn probe(&self, from: Mac, address: u32) -> [u8; MIN_FRAME] {
        let question =
            Arp { operation: Arp::REQUEST, sender_mac: from, sender: 0, target_mac: [0; 6], target: address };
        question.frame(self.peer.unwrap_or(BROADCAST))
    }

    /// Learns from a frame that is not LM's; what to answer, if something.
    pub fn hear(&mut self, frame: &[u8], now: Instant) -> Option<[u8; MIN_FRAME]> {
        let now = self.since(now);
        let answer = self.neighbours.hear(frame, now);
        self.tell();
        answer
    }

    /// Asks whom it is time to ask, by `ask`, which says whether that worked.
    #[inline]
    pub fn poll(&mut self, now: Instant, ask: impl FnMut(&[u8; MIN_FRAME]) -> bool) {
        let Some(due) = self.neighbours.due() else { return };
        let now = self.since(now);
        if now >= due {
            self.neighbours.poll(now, ask);
            self.tell();
        }
    }

    /// Where to send what is for `address`. `ask` sends a frame that asks for it, and says whether that worked.
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

    /// The table's time.
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
            "port {}: nobody answers ARP for {}, so datagrams go to the broadcast address; --eth-peer={},MAC fixes one",
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
                    "port {port}: {} is our address ({}), and {} says that it is its own, too: give one of the two another \
                     (--tx-ip); it is said once, and counted as arp conflicts",
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
