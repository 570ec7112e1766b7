//! [`Neighbours`]: the hardware addresses of peers, fixed or learnt by ARP (RFC 826).
//!
//! An ARP packet can contain anything that its sender makes up, so it is believed only as far as these rules
//! allow. The states of an entry are those of RFC 4861, section 7.3.2, and of Linux, and one more:
//!
//! - *incomplete*: no hardware address is known. While the entry is used, the node asks by broadcast, every
//!   50 ms, and after 200 ms every second. An answer makes it reachable.
//! - *reachable*: the address answered a question less than 30 s ago. After 30 s it is stale.
//! - *stale*: a hardware address that was not confirmed lately. It is used, and its next use makes it a
//!   probe.
//! - *probe*: the address is used, and asked by unicast three times, a second apart. An answer makes it
//!   reachable. Without one it is removed, and incomplete if it is used again.
//! - *contested*: another hardware address claims the IP address. The old one stays in use, and is asked by
//!   unicast three times within a second. If it answers, it is reachable and the claim is void. If not, the
//!   address of the last claim replaces it, as stale.
//!
//! The rules:
//!
//! - **Peers**, to which this node sends, have a part of the table of their own. A peer that was used in the
//!   last second is never evicted, nor is one that was [pinned](Neighbours::pin).
//! - **Strangers** asked for this node's address, but the node does not send to them. They share another,
//!   bounded part, in which a new stranger evicts the oldest. No other packets make entries: neither
//!   unsolicited answers nor announcements.
//! - A **claim** changes an address only if the old owner was asked and does not answer. So an announcement
//!   after a fail-over takes effect within 1.5 s, and a liar causes one question every half second.
//! - Entries that are neither used nor heard of for two minutes are removed. At most 1000 questions are sent
//!   per second, and 100 at once.
//!
//! The module reads no clock: `now` is the time since a fixed moment.
#![forbid(unsafe_code)]

mod counters;
mod entry;
mod kind;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

pub use self::counters::ArpCounters;
use self::entry::{Asked, Known, Verdict};
use self::kind::marked;
use crate::order::Mark;
use crate::wire::{Arp, BROADCAST, MIN_FRAME, Mac};

/// How many entries the parts of a table have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whom we send to.
    pub peers: usize,
    /// Who asked for us, and we send nothing to.
    pub strangers: usize,
    /// Who was asked for, and has not answered.
    pub asked: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { peers: 1024, strangers: 256, asked: 256 }
    }
}

/// For how long an answer is taken as true without another question.
pub const REACHABLE: Duration = Duration::from_secs(30);
/// After which time without use, or without a word, an entry is gone.
pub const FORGET: Duration = Duration::from_secs(120);
/// What was used within this time is in use.
pub const IN_USE: Duration = Duration::from_secs(1);
/// The least time between the answer to a claim and the next question about one.
pub const PAUSE: Duration = Duration::from_millis(500);
/// On average a question takes this share of the time that all questions may have.
pub const COST: Duration = Duration::from_millis(1);
/// How far questions may run ahead of that.
pub const BURST: Duration = Duration::from_millis(100);
/// Between two looks at all entries.
const LOOK: Duration = Duration::from_millis(2);
/// Events that wait to be taken, at most.
const EVENTS: usize = 16;

/// The state of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This hardware address has it.
    Known(Mac),
    /// It is asked for, since then; `None`: no question could be sent yet.
    Asked(Option<Duration>),
    /// No other node can have it: our own address, a group's, nobody's.
    Nobody,
}

/// Something that people should know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Another node says that our address is its own. Told once, counted always.
    Conflict(Mac),
    /// The old owner of an address that we send to was silent, so that it is now the one's who claimed it.
    Moved {
        /// The address.
        address: u32,
        /// Who had it.
        old: Mac,
        /// Who has it.
        new: Mac,
    },
}

/// A table of neighbours, and our own addresses, for which it answers.
///
/// [`hear`](Self::hear) takes each frame that may be ARP and returns the answer to send, if there is one.
/// A sender calls [`resolve`](Self::resolve) for its destination, and continues to call it while it sends.
/// [`poll`](Self::poll) sends the questions that are due: call it after either, and at [`due`](Self::due).
#[derive(Clone, Debug)]
pub struct Neighbours {
    mac: Mac,
    address: u32,
    limits: Limits,
    fixed: HashMap<u32, Mac>,
    pinned: Vec<u32>,
    peers: HashMap<u32, Known>,
    strangers: HashMap<u32, Known>,
    asked: HashMap<u32, Asked>,
    /// Addresses that LM's tags came from and that are no entries of ours.
    tagged: VecDeque<u32>,
    counters: ArpCounters,
    events: VecDeque<Event>,
    /// When an entry is due; `None`: the table is empty.
    due: Option<Duration>,
    looked: Duration,
    /// The moment up to which questions have used up what they may.
    spent: Duration,
}

impl Neighbours {
    /// An empty table for the node that has these addresses.
    pub fn new(mac: Mac, address: u32) -> Self {
        Self::with_limits(mac, address, Limits::default())
    }

    /// The same, of another size.
    pub fn with_limits(mac: Mac, address: u32, limits: Limits) -> Self {
        Self {
            mac,
            address,
            limits,
            fixed: HashMap::new(),
            pinned: Vec::new(),
            peers: HashMap::new(),
            strangers: HashMap::new(),
            asked: HashMap::new(),
            tagged: VecDeque::new(),
            counters: ArpCounters::default(),
            events: VecDeque::new(),
            due: None,
            looked: Duration::ZERO,
            spent: Duration::ZERO,
        }
    }

    /// Our hardware address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Our address.
    pub fn address(&self) -> u32 {
        self.address
    }

    /// What was counted.
    pub fn counters(&self) -> ArpCounters {
        self.counters
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Fixes an address; ARP no longer changes it.
    pub fn insert(&mut self, address: u32, mac: Mac) {
        self.fixed.insert(address, mac);
        self.peers.remove(&address);
        self.strangers.remove(&address);
        self.asked.remove(&address);
    }

    /// The user has named this address as one to send to: its entry never gives its place to another.
    pub fn pin(&mut self, address: u32) {
        if !self.pinned.contains(&address) {
            self.pinned.push(address);
        }
    }

    /// Whether the user has named this address.
    pub fn is_pinned(&self, address: u32) -> bool {
        self.pinned.contains(&address)
    }

    /// Every neighbour: address, hardware address, and whether it is `fixed`, a `peer` or a `stranger`.
    pub fn known(&self) -> impl Iterator<Item = (u32, Mac, &'static str)> + '_ {
        let fixed = self.fixed.iter().map(|(&address, &mac)| (address, mac, "fixed"));
        let kinds = [(&self.peers, "peer"), (&self.strangers, "stranger")];
        let others =
            kinds.into_iter().flat_map(|(all, kind)| all.iter().map(move |(&a, k)| (a, k.mac, kind)));
        fixed.chain(others)
    }

    /// The hardware address of a neighbour, if it is known; the table stays as it is.
    pub fn lookup(&self, address: u32) -> Option<Mac> {
        let known = || self.peers.get(&address).or_else(|| self.strangers.get(&address));
        self.fixed.get(&address).copied().or_else(|| Some(known()?.mac))
    }

    /// Returns what is known of an address to which something is sent. If nothing is known of it, or what is
    /// known is old, the address is asked for.
    pub fn resolve(&mut self, address: u32, now: Duration) -> Resolution {
        if let Some(&mac) = self.fixed.get(&address) {
            return Resolution::Known(mac);
        }
        if address == self.address || !is_host(address) {
            return Resolution::Nobody;
        }
        if let Some(stranger) = self.strangers.remove(&address)
            && let Some((address, stranger)) = self.admit_peer(address, stranger, now)
        {
            // All places of peers are in use, so it remains a stranger.
            self.strangers.insert(address, stranger);
        }
        if let Some(known) = self.peers.get_mut(&address).or_else(|| self.strangers.get_mut(&address)) {
            known.touched = now;
            let (mac, ask) = (known.mac, known.renew(now));
            if ask {
                self.wake(now);
            }
            return Resolution::Known(mac);
        }
        let asked = self.asked.get_mut(&address).map(|asked| {
            asked.used = now;
            asked.since
        });
        Resolution::Asked(asked.unwrap_or_else(|| {
            self.ask_for(address, now);
            None
        }))
    }

    /// Learns from a frame if it is ARP, and says what to answer if it asks for us. `None`: nothing to send.
    ///
    /// A neighbour may have our own hardware address: net_tap's two ends share one.
    pub fn hear(&mut self, frame: &[u8], now: Duration) -> Option<[u8; MIN_FRAME]> {
        let arp = Arp::parse(frame)?;
        if !matches!(arp.operation, Arp::REQUEST | Arp::REPLY) {
            return None;
        }
        if !is_station(arp.sender_mac) || !(arp.sender == 0 || is_host(arp.sender)) {
            self.counters.malformed += 1;
            return None;
        }
        let answer = arp.reply(self.address, self.mac).filter(|_| self.address != 0).map(marked);
        if arp.sender == 0 {
            // Somebody asks whether the address is free (RFC 5227): it is not, and there is nothing to learn.
            return answer;
        }
        if arp.sender == self.address {
            // A hub, or a loop, may bring our own frames back.
            if arp.sender_mac == self.mac {
                return None;
            }
            self.counters.conflicts += 1;
            if self.counters.conflicts == 1 {
                self.tell(Event::Conflict(arp.sender_mac));
            }
            return None;
        }
        self.learn(&arp, Mark::is_on(frame, &arp), now);
        answer
    }

    /// What a packet says of its sender.
    fn learn(&mut self, arp: &Arp, lm: bool, now: Duration) {
        let (address, mac) = (arp.sender, arp.sender_mac);
        let for_us = arp.target == self.address;
        // The mark in this packet, or its absence, is newer than a tag, and counts from now on.
        self.tagged.retain(|&tagged| tagged != address);
        if let Some(&fixed) = self.fixed.get(&address) {
            self.counters.claims += u64::from(fixed != mac);
        } else if let Some(known) = self.peers.get_mut(&address).or_else(|| self.strangers.get_mut(&address))
        {
            if known.mac == mac {
                known.lm = Some(lm);
                known.alive(now);
            } else {
                self.counters.claims += 1;
                if known.claimed(mac, lm, now) {
                    self.wake(now);
                }
            }
            if let Some(stranger) = self.strangers.get_mut(&address).filter(|s| s.mac == mac && for_us) {
                stranger.touched = now;
            }
        } else if let Some(&asked) = self.asked.get(&address) {
            // An announcement will do: nobody else is known to have it.
            if for_us || arp.target == address {
                self.asked.remove(&address);
                let answered = for_us && arp.operation == Arp::REPLY && asked.since.is_some();
                let known = Known::new(mac, lm, asked.used, answered.then_some(now));
                if let Some((address, known)) = self.admit_peer(address, known, now) {
                    self.admit_stranger(address, known);
                }
                self.wake(now + FORGET);
            }
        } else if for_us && arp.operation == Arp::REQUEST {
            self.admit_stranger(address, Known::new(mac, lm, now, None));
            self.wake(now + FORGET);
        }
    }

    /// Sends the questions that are due, by `send`, which says whether it could; how many went.
    pub fn poll(&mut self, now: Duration, mut send: impl FnMut(&[u8; MIN_FRAME]) -> bool) -> usize {
        if self.due.is_none_or(|due| now < due) {
            return 0;
        }
        self.looked = now;
        self.expire(now);
        let mut sent = 0;
        let mut next = None;
        for (_, _, address) in self.due_questions(now) {
            let spent = self.spent.max(now);
            if spent > now + BURST || !send(&self.question(address)) {
                next = Some(now + LOOK);
                break;
            }
            self.spent = spent + COST;
            self.counters.asked += 1;
            sent += 1;
            if let Some(asked) = self.asked.get_mut(&address) {
                asked.sent(now);
            } else if let Some(known) = self.known_mut(address) {
                known.sent(now);
            }
        }
        self.due = next.or_else(|| {
            let known = self.peers.values().chain(self.strangers.values());
            let known = known.map(|known| known.due().unwrap_or(Duration::MAX).min(known.touched + FORGET));
            let asked = self.asked.values().map(|asked| asked.due.min(asked.used + FORGET));
            known.chain(asked).min().map(|due| due.max(now + LOOK))
        });
        sent
    }

    /// When [`poll`](Self::poll) has something to do next; `None`: not before something is heard or sent.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Does what time has decided: forgets entries that are old, and settles questions that nobody answered.
    fn expire(&mut self, now: Duration) {
        let fresh = |touched: Duration| now.saturating_sub(touched) < FORGET;
        self.asked.retain(|_, asked| fresh(asked.used));
        for asked in self.asked.values_mut() {
            asked.rest(now);
        }
        let (mut gone, mut moved) = (Vec::new(), Vec::new());
        for (part, are_peers) in [(&mut self.peers, true), (&mut self.strangers, false)] {
            part.retain(|&address, known| {
                let verdict = known.settle_unanswered(now);
                match verdict {
                    Verdict::Moved { old } if are_peers => moved.push((address, old, known.mac)),
                    Verdict::Gone if now.saturating_sub(known.touched) <= IN_USE => gone.push(address),
                    _ => {}
                }
                self.counters.moved += u64::from(matches!(verdict, Verdict::Moved { .. }));
                verdict != Verdict::Gone && fresh(known.touched)
            });
        }
        gone.into_iter().for_each(|address| self.ask_for(address, now));
        moved.into_iter().for_each(|(address, old, new)| self.tell(Event::Moved { address, old, new }));
    }

    /// Who is to be asked now, the most important first: pinned ones, peers, those who never answered,
    /// strangers.
    fn due_questions(&self, now: Duration) -> Vec<(u8, Duration, u32)> {
        let is_due = |due: Option<Duration>| due.filter(|&due| due <= now);
        let rank = |address: &u32, rank: u8| if self.pinned.contains(address) { 0 } else { rank };
        let peers = self.peers.iter().filter_map(|(a, known)| Some((rank(a, 1), is_due(known.due())?, *a)));
        let asked =
            self.asked.iter().filter_map(|(a, asked)| Some((rank(a, 2), is_due(Some(asked.due))?, *a)));
        let strangers = self.strangers.iter().filter_map(|(a, known)| Some((3, is_due(known.due())?, *a)));
        let mut all: Vec<_> = peers.chain(asked).chain(strangers).collect();
        all.sort_unstable();
        all
    }

    /// The frame that asks for a neighbour: all nodes, if it is not known, else the one that had the address.
    fn question(&self, address: u32) -> [u8; MIN_FRAME] {
        let to = self.lookup(address);
        let (mac, sender) = (self.mac, self.address);
        let target_mac = to.unwrap_or_default();
        let arp = Arp { operation: Arp::REQUEST, sender_mac: mac, sender, target_mac, target: address };
        marked(arp.frame(to.unwrap_or(BROADCAST)))
    }

    fn known_mut(&mut self, address: u32) -> Option<&mut Known> {
        self.peers.get_mut(&address).or_else(|| self.strangers.get_mut(&address))
    }

    /// A place among peers, at the cost of the one that was not used for longest, unless that is in use; else
    /// it comes back.
    fn admit_peer(&mut self, address: u32, known: Known, now: Duration) -> Option<(u32, Known)> {
        if self.peers.len() >= self.limits.peers {
            let idle = |known: &Known| now.saturating_sub(known.touched) > IN_USE;
            let candidates = self.peers.iter().filter(|(a, k)| !self.pinned.contains(a) && idle(k));
            match candidates.min_by_key(|(a, k)| (k.touched, **a)).map(|(&a, _)| a) {
                Some(oldest) => self.counters.evicted += u64::from(self.peers.remove(&oldest).is_some()),
                None if !self.pinned.contains(&address) => return Some((address, known)),
                None => {}
            }
        }
        self.peers.insert(address, known);
        None
    }

    /// A place among strangers, at the cost of the one that was not heard of for longest.
    fn admit_stranger(&mut self, address: u32, known: Known) {
        if self.strangers.len() >= self.limits.strangers
            && let Some((&oldest, _)) = self.strangers.iter().min_by_key(|(a, k)| (k.touched, **a))
        {
            self.counters.evicted += u64::from(self.strangers.remove(&oldest).is_some());
        }
        self.strangers.insert(address, known);
    }

    /// An address is asked for, at the cost of the question that nobody has needed for longest.
    fn ask_for(&mut self, address: u32, now: Duration) {
        if self.asked.len() >= self.limits.asked {
            let candidates = self.asked.iter().filter(|(a, _)| !self.pinned.contains(a));
            match candidates.min_by_key(|(a, asked)| (asked.used, **a)).map(|(&a, _)| a) {
                Some(oldest) => self.counters.evicted += u64::from(self.asked.remove(&oldest).is_some()),
                None if !self.pinned.contains(&address) => return,
                None => {}
            }
        }
        self.asked.insert(address, Asked::new(now));
        self.wake(now);
    }

    /// An entry is due then.
    fn wake(&mut self, then: Duration) {
        // The first look of all waits for nothing.
        let soon = if self.looked.is_zero() { then } else { then.max(self.looked + LOOK) };
        self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < EVENTS {
            self.events.push_back(event);
        }
    }
}

/// Whether one node can have this hardware address.
fn is_station(mac: Mac) -> bool {
    mac[0] & 1 == 0 && mac != [0; 6]
}

/// Whether one node on a wire can have this address.
fn is_host(address: u32) -> bool {
    let ip = Ipv4Addr::from_bits(address);
    !(ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() || ip.is_loopback())
}
