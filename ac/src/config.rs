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

/// The most landing queues of a node.
const MOST_QUEUES: u8 = 64;
/// The most nodes that a node can keep a record of.
const MOST_NODES: usize = 1 << 16;
/// The longest lease: messages carry it in 32 bits, in microseconds.
const LONGEST_LEASE: Duration = Duration::from_micros(u32::MAX as u64);

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
    /// How long an applicant waits for an answer before it repeats its message for the first time. The
    /// applicant waits twice as long before each next repetition, up to 16 times this value.
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
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is wrong, with its value and its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.node == NodeId::ALL {
            return Err(ConfigError::Node);
        }
        let (queues, policy) = (self.queues, self.policy);
        if queues == 0 || queues > MOST_QUEUES || (policy == Policy::Exclusive && queues != 1) {
            return Err(ConfigError::Queues { queues, policy });
        }
        let addresses = self.landing.len();
        if addresses != 0 && addresses != usize::from(queues) {
            return Err(ConfigError::Landing { addresses, queues });
        }
        if let Some(&group) = self.landing.iter().find(|address| !is_one_station(address)) {
            return Err(ConfigError::Station(group));
        }
        if policy == Policy::Exclusive && !self.announce {
            return Err(ConfigError::Announce);
        }
        if self.nodes == 0 || self.nodes > MOST_NODES {
            return Err(ConfigError::Nodes(self.nodes));
        }
        if self.tries == 0 {
            return Err(ConfigError::Tries);
        }
        if self.retry.is_zero() {
            return Err(ConfigError::Retry);
        }
        let (lease, guard, flight, hold) = (self.lease, self.guard, self.flight, self.hold);
        if lease.as_micros() > LONGEST_LEASE.as_micros() {
            return Err(ConfigError::LongLease(lease));
        }
        let (drift_ppm, retry, usable) = (self.drift_ppm, self.retry, self.usable(self.granted()));
        if usable <= retry {
            return Err(ConfigError::ShortLease { lease, guard, flight, drift_ppm, usable, retry });
        }
        if hold < lease {
            return Err(ConfigError::Hold { hold, lease });
        }
        if self.announce_every.is_zero() {
            return Err(ConfigError::AnnounceEvery);
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
    Queues {
        /// [`Config::queues`].
        queues: u8,
        /// [`Config::policy`].
        policy: Policy,
    },
    /// Hardware addresses, but not one for each landing queue.
    Landing {
        /// How many [`Config::landing`] has.
        addresses: usize,
        /// [`Config::queues`].
        queues: u8,
    },
    /// A landing queue's hardware address that is a group's, or zero.
    Station(HardwareAddress),
    /// `Exclusive` without announcements.
    Announce,
    /// [`Config::nodes`] is 0 or too large.
    Nodes(usize),
    /// [`Config::tries`] is 0.
    Tries,
    /// [`Config::retry`] is 0.
    Retry,
    /// [`Config::lease`] does not fit the field of a message that it is sent in.
    LongLease(Duration),
    /// The lease does not leave more than one retry to use.
    ShortLease {
        /// [`Config::lease`].
        lease: Duration,
        /// [`Config::guard`].
        guard: Duration,
        /// [`Config::flight`].
        flight: Duration,
        /// [`Config::drift_ppm`].
        drift_ppm: u32,
        /// What these leave of the lease: [`Config::usable`].
        usable: Duration,
        /// [`Config::retry`].
        retry: Duration,
    },
    /// The hold is shorter than the lease.
    Hold {
        /// [`Config::hold`].
        hold: Duration,
        /// [`Config::lease`].
        lease: Duration,
    },
    /// [`Config::announce_every`] is 0.
    AnnounceEvery,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Node => {
                let NodeId(all) = NodeId::ALL;
                write!(f, "node number {all} stands for all nodes; give this node another number")
            }
            Self::Queues { queues, policy: Policy::Exclusive } => {
                write!(f, "{queues} landing queues, but the exclusive policy needs exactly 1; set 1")
            }
            Self::Queues { queues, policy: Policy::PerReceiver } => {
                write!(f, "{queues} landing queues, but a node has 1 to {MOST_QUEUES}; set a number of these")
            }
            Self::Landing { addresses, queues } => write!(
                f,
                "{addresses} hardware addresses for {queues} landing queues; give one for each queue, or none"
            ),
            Self::Station([a, b, c, d, e, g]) => write!(
                f,
                "a landing queue has the hardware address {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}, \
                 which is not one station's; give it one that is neither zero nor a group's"
            ),
            Self::Announce => {
                f.write_str("the exclusive policy does not work without announcements; switch them on")
            }
            Self::Nodes(nodes) => {
                write!(
                    f,
                    "a record of {nodes} nodes, but it may have 1 to {MOST_NODES}; set a number of these"
                )
            }
            Self::Tries => f.write_str("0 tries, but each message is sent at least once; set 1 or more"),
            Self::Retry => {
                f.write_str("a retry interval of 0 leaves no time for an answer; set a longer one")
            }
            Self::LongLease(lease) => {
                write!(f, "a lease of {lease:?} does not fit a message; set {LONGEST_LEASE:?} at most")
            }
            Self::ShortLease { lease, guard, flight, drift_ppm, usable, retry } => write!(
                f,
                "a lease of {lease:?} leaves {usable:?} to use (guard {guard:?}, flight {flight:?}, drift \
                 {drift_ppm} ppm), which is not more than one retry ({retry:?}); set a longer lease"
            ),
            Self::Hold { hold, lease } => write!(
                f,
                "a hold of {hold:?} is shorter than the lease, {lease:?}; set a longer hold or a shorter \
                 lease"
            ),
            Self::AnnounceEvery => {
                f.write_str("0 between two announcements, so they would have no pause; set a longer time")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What is said of a node's default settings once `change` has been made to them.
    fn told(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::new(NodeId(7), 1, Policy::PerReceiver);
        change(&mut config);
        config.check().expect_err("a setting is wrong").to_string()
    }

    #[test]
    fn the_largest_settings_are_taken() {
        let config = Config {
            queues: 64,
            landing: vec![[2, 0, 0, 0, 0, 1]; 64],
            nodes: 65_536,
            lease: Duration::from_micros(u64::from(u32::MAX)),
            hold: Duration::from_micros(u64::from(u32::MAX)),
            ..Config::new(NodeId(7), 1, Policy::PerReceiver)
        };
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_value() {
        let (one, group) = ([2, 0, 0, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 0xab]);
        let long = Duration::from_micros(u64::from(u32::MAX) + 1);
        for (said, values) in [
            (told(|c| c.node = NodeId::ALL), &["node number 0"][..]),
            (told(|c| c.queues = 0), &["0 landing queues", "1 to 64"]),
            (told(|c| c.queues = 65), &["65 landing queues", "1 to 64"]),
            (told(|c| (c.policy, c.queues) = (Policy::Exclusive, 2)), &["2 landing queues", "exactly 1"]),
            (told(|c| c.landing = vec![one; 2]), &["2 hardware addresses", "1 landing queues"]),
            (told(|c| c.landing = vec![group]), &["33:33:00:00:00:ab"]),
            (told(|c| (c.policy, c.announce) = (Policy::Exclusive, false)), &["announcements"]),
            (told(|c| c.nodes = 0), &["0 nodes", "1 to 65536"]),
            (told(|c| c.nodes = 65_537), &["65537 nodes", "1 to 65536"]),
            (told(|c| c.tries = 0), &["0 tries"]),
            (told(|c| c.retry = Duration::ZERO), &["retry interval of 0"]),
            (told(|c| (c.lease, c.hold) = (long, long)), &["4294.967296s", "4294.967295s"]),
            (told(|c| c.lease = c.guard), &["5ms leaves 0ns", "guard 5ms", "200 ppm", "(1ms)"]),
            (told(|c| c.lease = 2 * SECOND), &["hold of 1s", "lease, 2s"]),
            (told(|c| c.announce_every = Duration::ZERO), &["0 between two announcements"]),
        ] {
            for value in values {
                assert!(said.contains(value), "no {value:?}: {said}");
            }
        }
    }
}
