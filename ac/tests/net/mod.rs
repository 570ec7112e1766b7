//! [`Net`]: a few nodes, and a wire on which messages lie until the test delivers, changes or drops them.
//!
//! The tests of the protocol's rules use it (`paper.rs`, `holes.rs`, `per_receiver.rs` and others). Time goes
//! on only when the test says so.
#![allow(dead_code, reason = "each test uses its part")]

use std::time::Duration;

use ac::wire::Message;
use ac::{Config, Event, HandleError, Instant, Key, Kind, MAX_LENGTH, Node, NodeId, Policy};

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The identifier of a node.
pub(crate) fn node(n: usize) -> NodeId {
    NodeId(n as u64 + 1)
}

/// How many grants this node was told of.
pub(crate) fn granted(events: &[(usize, Event)], who: usize) -> usize {
    events.iter().filter(|(n, e)| *n == who && matches!(e, Event::Granted { .. })).count()
}

/// Whether this node was told such a thing.
pub(crate) fn has(events: &[(usize, Event)], who: usize, what: impl Fn(&Event) -> bool) -> bool {
    events.iter().any(|(n, e)| *n == who && what(e))
}

/// Settings in round numbers: lease 100 ms, guard 5, flight 5, drain 1, retry 1, announcements every 25.
pub(crate) fn config(policy: Policy) -> Config {
    Config { drift_ppm: 0, drain: ms(1), nodes: 8, ..Config::new(NodeId(1), 1, policy) }
}

pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Instant,
    pub(crate) key: Option<Key>,
    /// What was sent and not yet delivered: to whom (by index), and the bytes.
    pub(crate) wire: Vec<(usize, Vec<u8>)>,
    /// What every node told.
    pub(crate) told: Vec<(usize, Event)>,
    /// A node has come back, or somebody has lied: messages may be refused.
    pub(crate) refusals: bool,
}

impl Net {
    /// Nodes that have rested.
    pub(crate) fn new(config: &Config, nodes: u64) -> Self {
        let node = |n| {
            let config = Config { node: NodeId(n), ..config.clone() };
            Node::new(config, Instant::ZERO).expect("settings")
        };
        let mut net = Self {
            nodes: (1..=nodes).map(node).collect(),
            now: Instant::ZERO,
            key: config.key.clone(),
            wire: Vec::new(),
            told: Vec::new(),
            refusals: false,
        };
        net.wait(config.lease);
        net.introduce();
        net
    }

    /// All have met: each has proven its life to the others.
    pub(crate) fn introduce(&mut self) {
        let lives: Vec<_> = self.nodes.iter().map(|n| (n.config().node, n.config().incarnation)).collect();
        for node in &mut self.nodes {
            lives.iter().for_each(|&(other, life)| node.meet(other, life));
        }
    }

    pub(crate) fn fetch(&mut self) {
        let count = self.nodes.len();
        for (n, node) in self.nodes.iter_mut().enumerate() {
            let mut bytes = [0; MAX_LENGTH];
            while let Some(t) = node.poll_transmit(&mut bytes) {
                for to in (0..count).filter(|&to| to != n) {
                    if t.to == NodeId::ALL || t.to == NodeId(to as u64 + 1) {
                        self.wire.push((to, bytes[..t.length].to_vec()));
                    }
                }
            }
            while let Some(e) = node.poll_event() {
                self.told.push((n, e));
            }
        }
    }

    pub(crate) fn request(&mut self, from: usize, to: usize) -> u64 {
        let number = self.nodes[from].request(NodeId(to as u64 + 1), 65_536, 0, self.now).expect("a request");
        self.fetch();
        number
    }

    pub(crate) fn release(&mut self, from: usize, to: usize) {
        assert!(self.nodes[from].release(NodeId(to as u64 + 1), self.now));
        self.fetch();
    }

    pub(crate) fn handle(&mut self, to: usize, bytes: &[u8]) -> Result<(), HandleError> {
        let result = self.nodes[to].handle(bytes, self.now);
        self.fetch();
        result
    }

    /// Delivers until the wire is empty.
    pub(crate) fn deliver(&mut self) {
        for _ in 0..10_000 {
            if self.wire.is_empty() {
                return;
            }
            let (to, bytes) = self.wire.remove(0);
            match self.handle(to, &bytes) {
                // The sender is asked to prove its life, and sends again.
                Ok(()) | Err(HandleError::Unproven) => {}
                // Two answers to one challenge: the second says nothing.
                Err(HandleError::Replayed) if self.read(&bytes).kind == Kind::Challenge => {}
                Err(HandleError::Replayed | HandleError::Stale) if self.refusals => {}
                Err(why) => panic!("{why}: {:?}", self.read(&bytes)),
            }
        }
        panic!("messages without end");
    }

    /// Takes every message of this kind off the wire.
    pub(crate) fn take(&mut self, kind: Kind) -> Vec<(usize, Vec<u8>)> {
        let (taken, left) = self.wire.drain(..).partition(|(_, bytes)| bytes[3] == kind as u8);
        self.wire = left;
        taken
    }

    pub(crate) fn kinds(&self) -> Vec<(usize, Kind)> {
        self.wire.iter().map(|(to, b)| (*to, self.read(b).kind)).collect()
    }

    pub(crate) fn read(&self, bytes: &[u8]) -> Message {
        Message::decode(bytes, self.key.as_ref()).expect("a message")
    }

    /// Lets time pass, timers and all, delivering what they send if `deliver`.
    pub(crate) fn pass(&mut self, time: Duration, deliver: bool) {
        let end = self.now + time;
        if deliver {
            self.deliver();
        }
        while let Some(due) = self.nodes.iter().filter_map(Node::poll_timeout).min().filter(|t| *t <= end) {
            self.now = self.now.max(due);
            for node in &mut self.nodes {
                node.handle_timeout(self.now);
            }
            self.fetch();
            if deliver {
                self.deliver();
            }
        }
        self.now = end;
    }

    /// Lets time pass and delivers.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.pass(time, true);
    }

    /// What was told since the last call.
    pub(crate) fn events(&mut self) -> Vec<(usize, Event)> {
        std::mem::take(&mut self.told)
    }

    /// Node `n` crashes and comes back: an incarnation later, as if nothing had been.
    pub(crate) fn restart(&mut self, n: usize) {
        self.restart_as(n, self.nodes[n].config().incarnation + 1);
    }

    /// The same, under this number.
    pub(crate) fn restart_as(&mut self, n: usize, incarnation: u64) {
        self.refusals = true;
        let old = self.nodes[n].config().clone();
        let Config { secret, .. } = Config::new(old.node, incarnation, old.policy);
        self.nodes[n] = Node::new(Config { incarnation, secret, ..old }, self.now).expect("settings");
    }
}
