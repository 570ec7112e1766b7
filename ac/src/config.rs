//! [`Config`]: the settings of a node.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::time::Duration;

use crate::mac::Key;
use crate::machine::Policy;
use crate::wire::{HardwareAddress, NodeId, is_one_station};

/// Settings of a node. The policy, the times and the key are the cluster's: the same on every node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// This node: the identity that its messages carry in their payload.
    pub node: NodeId,
    /// This life's number, other than in any earlier life of this node: one more than the last, kept on disk,
    /// or [`Config::any_incarnation`]. A number that was used before is noticed, and costs one more exchange.
    pub incarnation: u64,
    /// What the nonces of this life's challenges are made of: nobody else's, and another one in each life.
    pub secret: Key,
    /// How grants are given.
    pub policy: Policy,
    /// Landing queues of this node, 1 … 64. `Exclusive` uses the first.
    pub queues: u8,
    /// Where frames for each of them go, if that is not where messages go: behind steering. One a queue, or
    /// none.
    pub landing: Vec<HardwareAddress>,
    /// Whether grants are announced to all nodes. A queue with steering of its own need not be (`PerReceiver`
    /// only).
    pub announce: bool,
    /// The cluster key, if there is one.
    pub key: Option<Key>,
    /// The longest that a holder which dies keeps a queue from the others. A grant is good for
    /// [`Config::granted`] of it.
    pub lease: Duration,
    /// What a receiver waits at the end of a lease before the queue is anybody else's: the part that is not
    /// granted.
    pub guard: Duration,
    /// A holder's frame is in the receiver's ring before this has passed since the call that sends it.
    pub flight: Duration,
    /// How far two nodes' clocks may run apart, in millionths, together.
    pub drift_ppm: u32,
    /// The longest that one request may hold a queue, renewals included.
    pub hold: Duration,
    /// What a receiver waits behind `LM_ENDME` for frames and overlapping slots to be out, unless it is told
    /// sooner by [`crate::Node::drained`]. At least `flight` where the data can be overtaken by `LM_ENDME`.
    pub drain: Duration,
    /// What an applicant waits for an answer before it repeats; doubled each time, up to 16 times as much.
    pub retry: Duration,
    /// How often a message is sent before the applicant gives up.
    pub tries: u8,
    /// What lies between two announcements of one grant. Who missed one hears the next.
    pub announce_every: Duration,
    /// Minimum-size frames that a holder sends before its data and behind its `LM_ENDME`: this node's ring is
    /// then through.
    pub flush: u16,
    /// Nodes that are remembered at most.
    pub nodes: usize,
    /// An extension, off in the paper: wait until the list is null instead of being cancelled.
    pub wait_when_listed: bool,
    /// An extension, off in the paper: begin in the ordinary way before the answer.
    pub start_early: bool,
}

impl Config {
    /// The defaults, for a node of a gigabit cluster on one switch.
    pub fn new(node: NodeId, incarnation: u64, policy: Policy) -> Self {
        Self {
            node,
            incarnation,
            secret: Key::unique(),
            policy,
            queues: 1,
            landing: Vec::new(),
            announce: true,
            key: None,
            lease: Duration::from_millis(100),
            guard: Duration::from_millis(5),
            flight: Duration::from_millis(5),
            drift_ppm: 200,
            hold: Duration::from_secs(1),
            drain: Duration::from_micros(50),
            retry: Duration::from_millis(1),
            tries: 24,
            announce_every: Duration::from_millis(25),
            flush: 0,
            nodes: 256,
            wait_when_listed: false,
            start_early: false,
        }
    }

    /// A number for a life of which nothing is known: drawn at random, without a clock.
    pub fn any_incarnation() -> u64 {
        Key::unique().nonce([0; 3])
    }

    /// Refuses what would not be safe, or not be live.
    ///
    /// ```
    /// use ac::{Config, NodeId, Policy};
    /// let mut config = Config::new(NodeId(1), Config::any_incarnation(), Policy::Exclusive);
    /// assert!(config.check().is_ok());
    /// config.nodes = 0;
    /// println!("{}", config.check().unwrap_err());
    /// ```
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.node == NodeId::ALL {
            return Err(ConfigError::Node);
        }
        if self.queues == 0 || self.queues > 64 || (self.policy == Policy::Exclusive && self.queues != 1) {
            return Err(ConfigError::Queues);
        }
        let told = self.landing.len();
        if told != 0 && (told != usize::from(self.queues) || !self.landing.iter().all(is_one_station)) {
            return Err(ConfigError::Landing);
        }
        if self.policy == Policy::Exclusive && !self.announce {
            return Err(ConfigError::Announce);
        }
        if self.nodes == 0 || self.nodes > 1 << 16 || self.tries == 0 || self.retry.is_zero() {
            return Err(ConfigError::Bounds);
        }
        let fits = self.lease.as_micros() <= u128::from(u32::MAX);
        if !fits || self.usable(self.granted()) <= self.retry {
            return Err(ConfigError::Lease);
        }
        if self.hold < self.lease || self.announce_every.is_zero() {
            return Err(ConfigError::Lease);
        }
        Ok(())
    }

    /// What a grant is good for before it must be renewed, as `LM_ACQ_OK` says it: lease − guard.
    pub fn granted(&self) -> Duration {
        self.lease.saturating_sub(self.guard)
    }

    /// What a holder may use of what it was granted: granted × (1 − drift) − flight.
    pub fn usable(&self, granted: Duration) -> Duration {
        let ppm = u128::from(1_000_000 - self.drift_ppm.min(1_000_000));
        let nanos = granted.as_nanos() * ppm / 1_000_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).saturating_sub(self.flight)
    }
}

/// Settings, but for the incarnation, never change in a node's life: they tell no two states of it apart.
impl Hash for Config {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.node, self.incarnation).hash(state);
    }
}

/// What is wrong with a [`Config`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The node's number stands for all nodes.
    Node,
    /// No landing queue, more than 64, or more than one under `Exclusive`.
    Queues,
    /// Hardware addresses that are not one for each landing queue, or not one station's.
    Landing,
    /// `Exclusive` without announcements.
    Announce,
    /// A table, a repetition or a number of tries that is zero or too large.
    Bounds,
    /// The lease leaves nothing to use, does not fit its field, or is longer than the hold; or announcements
    /// without pause.
    Lease,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "0 is no node's number",
            Self::Queues => "1 to 64 landing queues, one under the exclusive policy",
            Self::Landing => "one hardware address for each landing queue, none of them a group's",
            Self::Announce => "the exclusive policy must announce",
            Self::Bounds => "nodes, tries or the retry interval out of bounds",
            Self::Lease => {
                "the lease leaves nothing to use after guard, drift, flight and a retry, or exceeds the hold"
            }
        })
    }
}

impl core::error::Error for ConfigError {}
