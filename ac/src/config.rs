//! [`Config`]: the settings of a node.
//!
//! A program fills one in and passes it to [`Node::new`](crate::Node::new), which calls [`Config::check`]. So
//! no node runs with settings that contradict each other, or under which no grant could ever be used. The
//! settings never change in a node's life, except for the incarnation.

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
    /// The number of this life, different from that of every earlier life of this node: either one more than
    /// the last, which was kept on disk, or [`Config::any_incarnation`]. A number that was used before is
    /// noticed, and costs one more exchange.
    pub incarnation: u64,
    /// The key that the nonces of this life's challenges are made with. No other node has it, and each life
    /// has a new one.
    pub secret: Key,
    /// How grants are given.
    pub policy: Policy,
    /// Landing queues of this node, 1 … 64. `Exclusive` uses the first.
    pub queues: u8,
    /// The hardware address of each landing queue, where steering gives each queue one of its own. Either one
    /// for each queue, or none: then frames go to the address that messages go to.
    pub landing: Vec<HardwareAddress>,
    /// Whether grants are announced to all nodes. A queue with steering of its own need not be (`PerReceiver`
    /// only).
    pub announce: bool,
    /// The cluster key, if there is one.
    pub key: Option<Key>,
    /// How long a holder that has died keeps a queue from the others at most. [`Config::granted`] says how
    /// much of it is granted.
    pub lease: Duration,
    /// How long a receiver waits at the end of a lease before it grants the queue to somebody else. This part
    /// of the lease is not granted.
    pub guard: Duration,
    /// The longest time from the call that sends a frame until the frame is in the receiver's ring.
    pub flight: Duration,
    /// How far the clocks of two nodes may run apart, in millionths: the error of one plus that of the other.
    pub drift_ppm: u32,
    /// The longest that one request may hold a queue, renewals included.
    pub hold: Duration,
    /// How long a receiver waits after `LM_ENDME` until no frame is on its way and no overlapping slot is
    /// posted, unless [`crate::Node::drained`] tells it sooner. At least `flight`, where `LM_ENDME` can
    /// overtake the data.
    pub drain: Duration,
    /// How long an applicant waits for an answer before it repeats its message for the first time. Each
    /// further wait is twice as long as the one before, up to 16 times this value.
    pub retry: Duration,
    /// How often a message is sent before the applicant gives up.
    pub tries: u8,
    /// The time between two announcements of one grant. A node that missed one hears the next.
    pub announce_every: Duration,
    /// Frames of minimum size that a holder sends before its data, and again after its `LM_ENDME`: as many as
    /// use up all slots that are posted in this node's ring.
    pub flush: u16,
    /// The most other nodes that this node keeps a record of: 1 … 65,536.
    pub nodes: usize,
    /// An extension, off in the paper: wait until the list is null instead of being cancelled.
    pub wait_when_listed: bool,
    /// An extension, off in the paper: send the ordinary way until the answer comes.
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

    /// A random number, for a node that does not know the number of its last life. It needs no clock.
    pub fn any_incarnation() -> u64 {
        Key::unique().nonce([0; 3])
    }

    /// Refuses settings that would not be safe, or under which no grant could ever be used.
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

    /// How long a grant lasts unless it is renewed, as `LM_ACQ_OK` says it: lease − guard.
    pub fn granted(&self) -> Duration {
        self.lease.saturating_sub(self.guard)
    }

    /// How much of the `granted` time a holder may use: granted × (1 − drift) − flight.
    pub fn usable(&self, granted: Duration) -> Duration {
        let ppm = u128::from(1_000_000 - self.drift_ppm.min(1_000_000));
        let nanos = granted.as_nanos() * ppm / 1_000_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).saturating_sub(self.flight)
    }
}

/// Only the incarnation changes in a node's life, so the other settings do not distinguish two of its states.
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
            Self::Node => "node number 0 stands for all nodes; give this node another number",
            Self::Queues => {
                "a node needs 1 to 64 landing queues, and exactly one of them under the exclusive policy"
            }
            Self::Landing => {
                "each landing queue needs a hardware address of one station, not of a group; give one for \
                 each queue, or none"
            }
            Self::Announce => "the exclusive policy does not work without announcements; switch them on",
            Self::Bounds => {
                "the most nodes must be 1 to 65536, and the tries and the retry interval more than 0"
            }
            Self::Lease => {
                "the lease must be longer than guard, drift, flight and one retry together, and no longer \
                 than the hold or 71 minutes; announcements need an interval of more than 0"
            }
        })
    }
}

impl core::error::Error for ConfigError {}
