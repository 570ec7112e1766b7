//! A simple model of the table: one list that is searched from end to end, and a list of the questions with
//! their times. A property test compares the table with the model after every step.

use std::time::Duration;

use super::{ArpCounters, BURST, COST, FORGET, IN_USE, Limits, PAUSE, REACHABLE, Resolution};
use crate::wire::{Arp, Mac};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Peer,
    Stranger,
    Asked,
}

#[derive(Clone, Debug)]
struct Entry {
    address: u32,
    part: Part,
    mac: Mac,
    lm: bool,
    touched: Duration,
    confirmed: Option<Duration>,
    claim: Option<(Mac, bool)>,
    /// A round of questions: from when on, and when each was sent.
    round: Option<(Duration, Vec<Duration>)>,
    quiet: Duration,
}

impl Entry {
    fn new(address: u32, part: Part, mac: Mac, touched: Duration) -> Self {
        let round = (part == Part::Asked).then(|| (touched, Vec::new()));
        Self {
            address,
            part,
            mac,
            lm: false,
            touched,
            confirmed: None,
            claim: None,
            round,
            quiet: Duration::ZERO,
        }
    }

    /// When the next question of the round is due, or its end.
    fn due(&self) -> Option<Duration> {
        let (from, sent) = self.round.as_ref()?;
        let Some(&last) = sent.last() else { return Some(*from) };
        let pause = match (self.part, self.claim) {
            (Part::Asked, _) if sent.len() < 4 => 50,
            (Part::Asked, _) | (_, None) => 1000,
            (_, Some(_)) => 333,
        };
        Some((last + Duration::from_millis(pause)).max(*from))
    }
}

pub(super) struct Model {
    us: (Mac, u32),
    limits: Limits,
    pinned: Vec<u32>,
    all: Vec<Entry>,
    spent: Duration,
    pub(super) counters: ArpCounters,
}

impl Model {
    pub(super) fn new(mac: Mac, address: u32, limits: Limits, pinned: Vec<u32>) -> Self {
        let (all, counters) = (Vec::new(), ArpCounters::default());
        Self { us: (mac, address), limits, pinned, all, spent: Duration::ZERO, counters }
    }

    fn find(&mut self, address: u32) -> Option<&mut Entry> {
        self.all.iter_mut().find(|e| e.address == address)
    }

    pub(super) fn lookup(&self, address: u32) -> Option<Mac> {
        self.all.iter().find(|e| e.address == address && e.part != Part::Asked).map(|e| e.mac)
    }

    pub(super) fn is_lm(&self, address: u32) -> Option<bool> {
        self.all.iter().find(|e| e.address == address && e.part != Part::Asked).map(|e| e.lm)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Makes room in a part; whether there is any.
    fn room(&mut self, part: Part, address: u32, now: Duration) -> bool {
        let limit = match part {
            Part::Peer => self.limits.peers,
            Part::Stranger => self.limits.strangers,
            Part::Asked => self.limits.asked,
        };
        if self.all.iter().filter(|e| e.part == part).count() < limit {
            return true;
        }
        let may_go = |e: &&Entry| {
            e.part == part
                && (part == Part::Stranger || !self.pinned.contains(&e.address))
                && (part != Part::Peer || now.saturating_sub(e.touched) > IN_USE)
        };
        let oldest = self.all.iter().filter(may_go).min_by_key(|e| (e.touched, e.address));
        if let Some(oldest) = oldest.map(|e| e.address) {
            self.all.retain(|e| e.address != oldest);
            self.counters.evicted += 1;
            return true;
        }
        self.pinned.contains(&address)
    }

    pub(super) fn resolve(&mut self, address: u32, now: Duration) -> Resolution {
        if address == self.us.1 {
            return Resolution::Nobody;
        }
        match self.find(address).map(|e| e.part) {
            None => {
                if self.room(Part::Asked, address, now) {
                    self.all.push(Entry::new(address, Part::Asked, [0; 6], now));
                }
                return Resolution::Asked(None);
            }
            Some(Part::Asked) => {
                let e = self.find(address).expect("found");
                e.touched = now;
                return Resolution::Asked(e.round.as_ref().and_then(|(_, sent)| sent.first().copied()));
            }
            Some(Part::Stranger) => {
                if self.room(Part::Peer, address, now) {
                    self.find(address).expect("found").part = Part::Peer;
                }
            }
            Some(Part::Peer) => {}
        }
        let e = self.find(address).expect("found");
        e.touched = now;
        if e.round.is_none() && e.confirmed.is_none_or(|then| now.saturating_sub(then) >= REACHABLE) {
            e.round = Some((now, Vec::new()));
        }
        Resolution::Known(e.mac)
    }

    /// A packet that is well formed and from another node; whether it is answered.
    pub(super) fn hear(&mut self, arp: &Arp, lm: bool, now: Duration) -> bool {
        let asks_us = arp.operation == Arp::REQUEST && arp.target == self.us.1;
        if arp.sender == 0 {
            return asks_us;
        }
        if arp.sender == self.us.1 {
            self.counters.conflicts += 1;
            return false;
        }
        let for_us = arp.target == self.us.1;
        let (address, mac) = (arp.sender, arp.sender_mac);
        let mut claims = 0;
        match self.find(address) {
            None => {
                if asks_us && self.room(Part::Stranger, address, now) {
                    self.all.push(Entry { lm, ..Entry::new(address, Part::Stranger, mac, now) });
                }
            }
            Some(e) if e.part == Part::Asked => {
                if for_us || arp.target == address {
                    let asked = e.round.as_ref().is_some_and(|(_, sent)| !sent.is_empty());
                    let answered = asked && for_us && arp.operation == Arp::REPLY;
                    let mut known = Entry::new(address, Part::Peer, mac, e.touched);
                    (known.confirmed, known.lm) = (answered.then_some(now), lm);
                    self.all.retain(|e| e.address != address);
                    if !self.room(Part::Peer, address, now) {
                        known.part = Part::Stranger;
                        assert!(self.room(Part::Stranger, address, now), "strangers always make room");
                    }
                    self.all.push(known);
                }
            }
            Some(e) if e.mac == mac => {
                e.lm = lm;
                if e.round.as_ref().is_some_and(|(_, sent)| !sent.is_empty()) {
                    e.confirmed = Some(now);
                    e.round = None;
                    if e.claim.take().is_some() {
                        e.quiet = now + PAUSE;
                    }
                }
                if e.part == Part::Stranger && for_us {
                    e.touched = now;
                }
            }
            Some(e) => {
                claims = 1;
                if e.claim.is_none() {
                    e.round = Some((now.max(e.quiet), Vec::new()));
                }
                e.claim = Some((mac, lm));
            }
        }
        self.counters.claims += claims;
        asks_us
    }

    /// The addresses that are asked, in order; `can` says how many can be sent.
    pub(super) fn poll(&mut self, now: Duration, can: usize) -> Vec<u32> {
        self.all.retain(|e| now.saturating_sub(e.touched) < FORGET || e.part != Part::Asked);
        let mut again = Vec::new();
        for e in &mut self.all {
            let due = e.due().is_some_and(|due| due <= now);
            let asked = e.round.as_ref().map_or(0, |(_, sent)| sent.len());
            if e.part == Part::Asked {
                if due && now.saturating_sub(e.touched) > IN_USE {
                    e.round.as_mut().expect("a round").0 = now + Duration::from_secs(1);
                }
            } else if due && asked == 3 {
                e.round = None;
                if let Some((new, lm)) = e.claim.take() {
                    (e.mac, e.lm, e.confirmed, e.quiet) = (new, lm, None, now + PAUSE);
                    self.counters.moved += 1;
                } else {
                    e.mac = [0; 6];
                    if now.saturating_sub(e.touched) <= IN_USE {
                        again.push(e.address);
                    }
                }
            }
        }
        self.all
            .retain(|e| now.saturating_sub(e.touched) < FORGET && (e.part == Part::Asked || e.mac != [0; 6]));
        again.sort_unstable();
        for address in again {
            if self.room(Part::Asked, address, now) {
                self.all.push(Entry::new(address, Part::Asked, [0; 6], now));
            }
        }
        let mut due: Vec<_> = self
            .all
            .iter()
            .filter_map(|e| {
                let rank = match e.part {
                    Part::Stranger => 3,
                    _ if self.pinned.contains(&e.address) => 0,
                    Part::Peer => 1,
                    Part::Asked => 2,
                };
                Some((rank, e.due().filter(|&due| due <= now)?, e.address))
            })
            .collect();
        due.sort_unstable();
        let mut sent = Vec::new();
        for (_, _, address) in due {
            if self.spent.max(now) > now + BURST || sent.len() == can {
                break;
            }
            self.spent = self.spent.max(now) + COST;
            self.find(address).expect("due").round.as_mut().expect("a round").1.push(now);
            sent.push(address);
        }
        self.counters.asked += sent.len() as u64;
        sent
    }
}
