//! [`Cluster`]: many nodes in virtual time. The wire loses, doubles and delays messages, and clocks run at
//! different speeds.
//!
//! `tests/cluster.rs` drives one and measures safety, latency and fairness. The same seed and the same calls
//! give the same run. No real clock is read.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;

use super::Random;
use crate::config::{Config, ConfigError};
use crate::event::Event;
use crate::node::{Node, RequestError};
use crate::time::Instant;
use crate::wire::{MAX_LENGTH, NodeId};

/// What happens to control messages on their way.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// How many of a million messages are lost.
    pub loss_ppm: u32,
    /// How many of a million messages arrive twice.
    pub duplicate_ppm: u32,
    /// The shortest time on the way.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
}

/// Something that happened, for the driver of the cluster.
#[derive(Clone, Copy, Debug)]
pub enum Happening {
    /// A node has an event.
    Event {
        /// The node.
        node: usize,
        /// The event.
        event: Event,
    },
    /// A data frame has arrived.
    Frame {
        /// The node where it arrived.
        node: usize,
        /// The node that sent it.
        from: usize,
        /// The number that the sender gave it.
        tag: u64,
    },
    /// A moment that the driver asked for.
    Alarm {
        /// The node it was asked for.
        node: usize,
        /// The number that the driver gave it.
        tag: u64,
    },
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Pending {
    Message { to: usize, length: usize, bytes: [u8; MAX_LENGTH] },
    Frame { to: usize, from: usize, tag: u64 },
    Alarm { node: usize, tag: u64 },
    Timeout { node: usize },
}

struct Member {
    config: Config,
    node: Option<Node>,
    /// How many millionths its clock runs fast.
    drift_ppm: i64,
    /// The timeout that is pending, in true time.
    timeout: Option<u64>,
}

/// Nodes numbered from 0 (on the wire, from 1), and everything that is on its way.
pub struct Cluster {
    members: Vec<Member>,
    wire: Wire,
    now: u64,
    serial: u64,
    pending: BinaryHeap<Reverse<(u64, u64, Pending)>>,
    told: std::collections::VecDeque<(usize, Event)>,
    random: Random,
    messages: u64,
}

impl Cluster {
    /// `nodes` nodes with these settings, whose clocks run up to half of the allowed drift fast or slow.
    ///
    /// # Errors
    /// [`ConfigError`]: [`Config::check`] refuses the settings.
    pub fn new(config: &Config, nodes: usize, wire: Wire, seed: u64) -> Result<Self, ConfigError> {
        let mut random = Random::new(seed);
        let half = i64::from(config.drift_ppm / 2);
        let member = |n: usize| {
            let config = Config { node: NodeId(n as u64 + 1), incarnation: 1, ..config.clone() };
            let drift_ppm = random.below(2 * half as u64 + 1) as i64 - half;
            let node = Some(Node::new(config.clone(), Instant::ZERO)?);
            Ok(Member { config, node, drift_ppm, timeout: None })
        };
        let mut cluster = Self {
            members: (0..nodes).map(member).collect::<Result<_, _>>()?,
            wire,
            now: 0,
            serial: 0,
            pending: BinaryHeap::new(),
            told: std::collections::VecDeque::new(),
            random: Random::new(seed ^ 0x5eed),
            messages: 0,
        };
        (0..nodes).for_each(|n| cluster.fetch(n));
        Ok(cluster)
    }

    /// The true time, in nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What a node's clock shows.
    pub fn clock(&self, node: usize) -> Instant {
        Instant::from_nanos(skew(self.now, self.members[node].drift_ppm))
    }

    /// The node, unless it has crashed.
    pub fn node(&self, node: usize) -> Option<&Node> {
        self.members[node].node.as_ref()
    }

    /// Control messages sent so far; a broadcast counts once.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The generator of random numbers, for the driver to use too.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Requests on behalf of a node; `None` if it has crashed.
    pub fn request(
        &mut self,
        node: usize,
        to: usize,
        size: u64,
        priority: u8,
    ) -> Option<Result<u64, RequestError>> {
        let now = self.clock(node);
        let answer = self.members[node].node.as_mut()?.request(NodeId(to as u64 + 1), size, priority, now);
        self.fetch(node);
        Some(answer)
    }

    /// Releases on behalf of a node.
    pub fn release(&mut self, node: usize, to: usize) {
        let now = self.clock(node);
        if let Some(n) = &mut self.members[node].node {
            n.release(NodeId(to as u64 + 1), now);
        }
        self.fetch(node);
    }

    /// Sends a data frame that arrives `after` from now.
    pub fn send_frame(&mut self, from: usize, to: usize, tag: u64, after: Duration) {
        self.push(after, Pending::Frame { to, from, tag });
    }

    /// Sets an alarm for `after` from now.
    pub fn alarm(&mut self, node: usize, tag: u64, after: Duration) {
        self.push(after, Pending::Alarm { node, tag });
    }

    /// The node crashes, and all that it knew is lost.
    pub fn crash(&mut self, node: usize) {
        self.members[node].node = None;
        self.members[node].timeout = None;
    }

    /// The node is back, in a new incarnation.
    pub fn restart(&mut self, node: usize) {
        let now = self.clock(node);
        let member = &mut self.members[node];
        member.config.incarnation += 1;
        member.node = Node::new(member.config.clone(), now).ok();
        self.fetch(node);
    }

    /// The next thing to happen before `end`; `None` when that has come.
    pub fn next(&mut self, end: u64) -> Option<Happening> {
        loop {
            if let Some((node, event)) = self.told.pop_front() {
                return Some(Happening::Event { node, event });
            }
            if self.pending.peek().is_none_or(|Reverse((at, ..))| *at > end) {
                self.now = end;
                return None;
            }
            let Reverse((at, _, what)) = self.pending.pop()?;
            self.now = at;
            match what {
                Pending::Frame { to, from, tag } => return Some(Happening::Frame { node: to, from, tag }),
                Pending::Alarm { node, tag } => return Some(Happening::Alarm { node, tag }),
                Pending::Message { to, length, bytes } => {
                    let now = self.clock(to);
                    if let Some(node) = &mut self.members[to].node {
                        // A doubled or late message is refused, as it should be.
                        let _ = node.handle(&bytes[..length], now);
                        self.fetch(to);
                    }
                }
                Pending::Timeout { node } => {
                    let now = self.clock(node);
                    let member = &mut self.members[node];
                    if member.timeout == Some(at) {
                        member.timeout = None;
                        if let Some(node) = &mut member.node {
                            node.handle_timeout(now);
                        }
                        self.fetch(node);
                    }
                }
            }
        }
    }

    fn push(&mut self, after: Duration, what: Pending) {
        self.serial += 1;
        self.pending.push(Reverse((self.now + after.as_nanos() as u64, self.serial, what)));
    }

    /// Polls a node as its contract says.
    fn fetch(&mut self, n: usize) {
        let mut bytes = [0; MAX_LENGTH];
        while let Some(transmit) =
            self.members[n].node.as_mut().and_then(|node| node.poll_transmit(&mut bytes))
        {
            self.messages += 1;
            let to_all = transmit.to == NodeId::ALL;
            let to = if to_all { 0..self.members.len() } else { one(transmit.to) };
            for to in to.filter(|&to| to != n) {
                let copies = 1 + u32::from(self.random.happens(self.wire.duplicate_ppm));
                for _ in 0..copies {
                    if !self.random.happens(self.wire.loss_ppm) {
                        let spread = self.wire.most.saturating_sub(self.wire.least).as_nanos() as u64;
                        let after = self.wire.least + Duration::from_nanos(self.random.below(spread + 1));
                        self.push(after, Pending::Message { to, length: transmit.length, bytes });
                    }
                }
            }
        }
        let member = &mut self.members[n];
        let Some(node) = &mut member.node else { return };
        while let Some(event) = node.poll_event() {
            self.told.push_back((n, event));
        }
        let Some(due) = node.poll_timeout() else {
            member.timeout = None;
            return;
        };
        let mut at = unskew(due.nanos(), member.drift_ppm);
        while skew(at, member.drift_ppm) < due.nanos() {
            at += 1;
        }
        let at = at.max(self.now);
        if member.timeout != Some(at) {
            member.timeout = Some(at);
            let after = Duration::from_nanos(at - self.now);
            self.push(after, Pending::Timeout { node: n });
        }
    }
}

fn one(id: NodeId) -> core::ops::Range<usize> {
    let n = id.0 as usize - 1;
    n..n + 1
}

fn skew(true_time: u64, ppm: i64) -> u64 {
    (i128::from(true_time) + i128::from(true_time) * i128::from(ppm) / 1_000_000) as u64
}

fn unskew(clock: u64, ppm: i64) -> u64 {
    (i128::from(clock) * 1_000_000 / i128::from(1_000_000 + ppm)) as u64
}
