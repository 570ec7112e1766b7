//! A few nodes, one clock, and a wire on which anything may happen.
//!
//! A world offers the acts that can happen next and carries one out. It is judged by *frames*: a holder is
//! taken to send data frames at every moment until its grant's last, each on its way for any time below the
//! flight time. If one of them can reach a landing queue while another holds it, that is a violation,
//! whatever anybody believes.
//!
//! `act` names what can happen, `check` says what must not have happened.

mod act;
mod check;

pub use self::act::{Act, Faults, Lie, Number};

use core::time::Duration;

use crate::config::{Config, ConfigError};
use crate::event::Event;
use crate::mac::Key;
use crate::machine::State;
use crate::node::Node;
use crate::time::Instant;
use crate::wire::{MAX_LENGTH, Message, NodeId};

#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct Packet {
    pub(super) to: usize,
    pub(super) length: usize,
    pub(super) bytes: [u8; MAX_LENGTH],
}

/// A request that an application makes once, and what became of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Want {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) priority: u8,
    pub(super) asked: Option<u64>,
    pub(super) answered: bool,
    /// Where its data frames go, and the latest moment at which one can arrive.
    pub(super) frames: Option<(u8, Instant)>,
    pub(super) void: bool,
    /// It was given up without an answer.
    pub(super) unanswered: bool,
    /// It may be: a message was lost, or its receiver was gone.
    pub(super) excused: bool,
}

/// The nodes and what is between them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub(super) config: Config,
    /// What frames really take; what the nodes believe is in their settings.
    pub(super) flight: Duration,
    pub(super) nodes: Vec<Option<Node>>,
    pub(super) incarnations: Vec<u64>,
    pub(super) now: Instant,
    pub(super) wire: Vec<Packet>,
    pub(super) wants: Vec<Want>,
    pub(super) faults: Faults,
    /// No message was lost and no node crashed so far.
    pub(super) unharmed: bool,
    pub(super) grants: usize,
    /// Who comes back asks again.
    pub(super) returning: bool,
    /// What was delivered, while it can be played again.
    pub(super) recorded: Vec<Packet>,
    pub(super) violation: Option<&'static str>,
}

impl World {
    /// `nodes` nodes of these settings (numbered from 1), rested, and requests (from, to, priority) to be
    /// made in any order.
    ///
    /// # Errors
    /// [`ConfigError`]: [`Config::check`] refuses the settings.
    pub fn new(
        config: &Config,
        nodes: usize,
        requests: &[(usize, usize, u8)],
        faults: Faults,
    ) -> Result<Self, ConfigError> {
        let config = &Config { secret: Key::new([0; 32]), ..config.clone() };
        let now = Instant::ZERO + config.lease;
        let start = |n: usize| {
            let mut node =
                Node::new(Config { node: id(n), incarnation: FIRST, ..config.clone() }, Instant::ZERO)?;
            node.handle_timeout(now);
            (0..nodes).for_each(|other| node.meet(id(other), FIRST));
            Ok(Some(node))
        };
        let want = |&(from, to, priority): &(usize, usize, u8)| Want {
            from,
            to,
            priority,
            asked: None,
            answered: false,
            frames: None,
            void: false,
            unanswered: false,
            excused: false,
        };
        Ok(Self {
            config: config.clone(),
            flight: config.flight,
            nodes: (0..nodes).map(start).collect::<Result<_, _>>()?,
            incarnations: vec![FIRST; nodes],
            now,
            wire: Vec::new(),
            wants: requests.iter().map(want).collect(),
            faults,
            unharmed: true,
            grants: 0,
            returning: false,
            recorded: Vec::new(),
            violation: None,
        })
    }

    /// The same world, where frames take longer (or less long) than the nodes believe.
    pub fn with_flight(self, flight: Duration) -> Self {
        Self { flight, ..self }
    }

    /// The same world, where who comes back asks again, and is to be served.
    pub fn with_returning(self) -> Self {
        Self { returning: true, ..self }
    }

    /// What can happen next without a fault. When nothing can, the world is at rest.
    pub fn progress(&self, acts: &mut Vec<Act>) {
        for (w, want) in self.wants.iter().enumerate() {
            let Some(node) = &self.nodes[want.from] else { continue };
            if want.asked.is_none() && !want.void && node.state(id(want.to)) != State::Holding {
                acts.push(Act::Ask(w));
            }
            if want.asked.is_some() && node.grant(id(want.to)).is_some() {
                acts.push(Act::Release(w));
            }
        }
        acts.extend((0..self.wire.len()).map(Act::Deliver));
        if (self.wire.is_empty() || self.faults.late > 0) && self.next_moment().is_some() {
            acts.push(Act::Wait);
        }
    }

    /// The faults that can happen next.
    pub fn mishaps(&self, acts: &mut Vec<Act>) {
        if self.faults.losses > 0 {
            acts.extend((0..self.wire.len()).map(Act::Lose));
        }
        if self.faults.duplicates > 0 {
            acts.extend((0..self.wire.len()).map(Act::Duplicate));
        }
        for (n, node) in self.nodes.iter().enumerate() {
            match node {
                Some(_) if self.faults.crashes > 0 => acts.push(Act::Crash(n)),
                None if self.faults.restarts > 0 => acts.push(Act::Restart(n)),
                _ => {}
            }
        }
        if self.faults.lies > 0 {
            acts.extend(self.lies().into_iter().map(Act::Lie));
        }
        if self.faults.replays > 0 {
            acts.extend((0..self.recorded.len()).map(Act::Replay));
        }
    }

    /// The next timer.
    fn next_moment(&self) -> Option<Instant> {
        Some(self.nodes.iter().flatten().filter_map(Node::poll_timeout).min()?.max(self.now))
    }

    /// Until `then` every holder sends, as far as its grant goes.
    pub(super) fn send(&mut self, then: Instant) {
        let tick = Duration::from_nanos(1);
        for want in &mut self.wants {
            let grant = self.nodes[want.from].as_ref().and_then(|n| n.grant(id(want.to)));
            if let Some(grant) = grant.filter(|g| self.now < g.until && want.asked.is_some()) {
                let arrived = then.min(grant.until - tick) + self.flight - tick;
                want.frames = Some((grant.queue, arrived));
            }
            want.frames = want.frames.filter(|(_, arrived)| *arrived >= then);
        }
    }

    /// Carries `act` out; it must be one that is offered.
    pub fn act(&mut self, act: Act) {
        let then = if act == Act::Wait { self.next_moment().unwrap_or(self.now) } else { self.now };
        self.send(then);
        match act {
            Act::Ask(w) => {
                let (from, to, priority) = (self.wants[w].from, id(self.wants[w].to), self.wants[w].priority);
                let now = self.now;
                if let Some(node) = &mut self.nodes[from] {
                    match node.request(to, 65_536, priority, now) {
                        Ok(number) => self.wants[w].asked = Some(number),
                        Err(_) => self.wants[w].void = true,
                    }
                }
                self.fetch(from);
            }
            Act::Release(w) => {
                let (from, to) = (self.wants[w].from, id(self.wants[w].to));
                if let Some(node) = &mut self.nodes[from] {
                    node.release(to, self.now);
                }
                self.fetch(from);
            }
            Act::Deliver(p) => {
                let packet = self.wire.remove(p);
                let taken = self.deliver(packet.to, &packet.bytes[..packet.length]);
                // One that was refused may still be new when it comes again, as a late one is.
                if self.faults.replays > 0
                    && taken
                    && let Err(at) = self.recorded.binary_search(&packet)
                {
                    self.recorded.insert(at, packet);
                }
            }
            Act::Lose(p) => {
                self.wire.remove(p);
                self.faults.losses -= 1;
                self.unharmed = false;
                self.excuse(|_| true);
            }
            Act::Duplicate(p) => {
                // A copy that is made any sooner is of no other use.
                let packet = self.wire[p].clone();
                self.faults.duplicates -= 1;
                self.deliver(packet.to, &packet.bytes[..packet.length]);
            }
            Act::Wait => {
                let Some(next) = self.next_moment() else { return };
                self.now = next;
                if !self.wire.is_empty() {
                    self.faults.late -= 1;
                    self.excuse(|_| true);
                }
                for n in 0..self.nodes.len() {
                    if let Some(node) = &mut self.nodes[n]
                        && node.poll_timeout().is_some_and(|t| t <= next)
                    {
                        node.handle_timeout(next);
                        self.fetch(n);
                    }
                }
            }
            Act::Crash(n) => self.crash(n),
            Act::Restart(n) => self.restart(n),
            Act::Lie(lie) => self.lie(lie),
            Act::Replay(r) => self.replay(r),
        }
        self.judge_frames();
        self.judge();
    }

    fn crash(&mut self, n: usize) {
        self.faults.crashes -= 1;
        self.unharmed = false;
        self.nodes[n] = None;
        self.incarnations[n] = match self.faults.number {
            Number::Lower => self.incarnations[n] - 1,
            Number::Higher => self.incarnations[n] + 1,
            Number::Same => self.incarnations[n],
        };
        self.excuse(|w| w.to == n);
        // What it asked will never be answered, what it has not asked will never be.
        for want in self.wants.iter_mut().filter(|w| w.from == n) {
            want.void = true;
        }
    }

    fn restart(&mut self, n: usize) {
        self.faults.restarts -= 1;
        // No two lives draw the same secret.
        let secret = Key::new([1 + self.faults.restarts; 32]);
        let config = Config { node: id(n), incarnation: self.incarnations[n], secret, ..self.config.clone() };
        self.nodes[n] = Node::new(config, self.now).ok();
        if self.returning {
            for want in self.wants.iter_mut().filter(|w| w.from == n && w.void) {
                (want.asked, want.answered, want.void) = (None, false, false);
            }
        }
    }

    /// Requests that may be left without an answer.
    fn excuse(&mut self, which: impl Fn(&Want) -> bool) {
        self.wants.iter_mut().filter(|w| which(w)).for_each(|w| w.excused = true);
    }

    /// Hands bytes to a node, as its UDP port would: whether it has taken them. Refused messages are part of
    /// the game.
    pub fn deliver(&mut self, to: usize, bytes: &[u8]) -> bool {
        let Some(node) = &mut self.nodes[to] else { return false };
        let taken = node.handle(bytes, self.now).is_ok();
        self.fetch(to);
        taken
    }

    /// Takes a node's messages and events.
    pub(super) fn fetch(&mut self, n: usize) {
        let count = self.nodes.len();
        let Some(node) = &mut self.nodes[n] else { return };
        let mut bytes = [0; MAX_LENGTH];
        while let Some(transmit) = node.poll_transmit(&mut bytes) {
            for to in (0..count).filter(|&to| to != n) {
                if transmit.to == NodeId::ALL || transmit.to == id(to) {
                    let packet = Packet { to, length: transmit.length, bytes };
                    let at = self.wire.partition_point(|p| *p < packet);
                    self.wire.insert(at, packet);
                }
            }
        }
        while let Some(event) = node.poll_event() {
            let (request, granted) = match event {
                Event::Granted { request, .. } => (request, true),
                Event::Ordinary { request, .. }
                | Event::Cancelled { request, .. }
                | Event::Unanswered { request, .. } => (request, false),
                _ => continue,
            };
            let unanswered = matches!(event, Event::Unanswered { .. });
            self.grants += usize::from(granted);
            let mut mine = self.wants.iter_mut().filter(|w| w.from == n && w.asked == Some(request));
            if let Some(want) = mine.next() {
                want.answered = true;
                want.unanswered |= unanswered;
            }
        }
        node.take_counters();
    }

    /// Grants that applicants were told of.
    pub fn grants(&self) -> usize {
        self.grants
    }

    /// Requests that applications make.
    pub fn requests(&self) -> usize {
        self.wants.len()
    }

    /// Control messages on the wire: to whom, and what.
    pub fn wire(&self) -> impl Iterator<Item = (NodeId, Message)> {
        self.wire.iter().filter_map(|p| {
            let message = Message::decode(&p.bytes[..p.length], self.config.key.as_ref()).ok()?;
            Some((id(p.to), message))
        })
    }

    /// Control messages on the wire.
    pub fn in_flight(&self) -> usize {
        self.wire.len()
    }

    /// Faults that may still happen.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// The clock.
    pub fn now(&self) -> Instant {
        self.now
    }
}

/// The incarnation in which all begin.
const FIRST: u64 = 8;

pub(super) fn id(n: usize) -> NodeId {
    NodeId(n as u64 + 1)
}
