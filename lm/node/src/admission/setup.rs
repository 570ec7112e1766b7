//! [`Setup`]: the properties of a port that admission control needs, and the protocol's settings that follow.
//!
//! [`NodePort`](crate::NodePort) makes it. Private functions here compute the number of flush frames for a
//! ring, the longest drain, and the length of leases.

use std::net::Ipv4Addr;
use std::time::Duration;

use ac::{Config, Key, NodeId, Policy};
use lm_proto::wire::Mac;

use super::pace::Pace;

/// What admission control of a port is told.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The node's address.
    pub address: Ipv4Addr,
    /// The number of the node's life. Each start takes a new one, whatever the clock says.
    pub life: u64,
    /// How grants are given.
    pub policy: Policy,
    /// The cluster's key. `None`: control messages are not signed.
    pub key: Option<Key>,
    /// The MAC addresses of the landing queues, where frames are steered. Empty: one queue, at the node's own
    /// address.
    pub landing: Vec<Mac>,
    /// Descriptors of each landing queue.
    pub ring: u16,
    /// Frames that one poll takes of a queue.
    pub burst: u16,
    /// Whether the device lets slots overlap.
    pub overlap: bool,
    /// `--ac-drain`: how long a drain lasts. `None`: until the ring is through.
    pub drain: Option<Duration>,
    /// `--ac-flush-gap`: the pause between two lots of flush frames. The other nodes have the same.
    pub gap: Duration,
}

impl Setup {
    /// Flush frames that the holder of a queue sends: as many as the ring has descriptors, and those of one
    /// poll. A receiver obeys `LM_ENDME` only when the poll that took it is over.
    pub(super) fn flush(&self) -> u16 {
        if self.overlap { self.ring.saturating_add(self.burst) } else { 0 }
    }

    /// How long a drain lasts if the ring does not get through. It is the sum of what the flush frames take
    /// at 1 Gbit/s (0.67 µs for one of minimum size), the pauses between their lots, and an allowance for the
    /// way.
    pub(super) fn drain(&self) -> Duration {
        let flush = self.flush();
        let own = || Duration::from_micros(50 + u64::from(flush)) + Pace::lasts(self.gap, flush);
        self.drain.unwrap_or_else(own)
    }

    /// The protocol's settings.
    pub(super) fn config(self) -> Config {
        let (flush, drain) = (self.flush(), self.drain());
        // Under `PerReceiver`, senders ask before each grant and need no announcements. Every broadcast would
        // get in between other nodes' fragments.
        let announce = self.policy == Policy::Exclusive;
        let queues = u8::try_from(self.landing.len().max(1)).unwrap_or(u8::MAX);
        let (key, landing) = (self.key, self.landing);
        let of_gigabit = Config::new(NodeId(self.address.to_bits().into()), self.life, self.policy);
        // The user's drain says how late a frame can be. It can be as late after a lease that ran out.
        let longer = self.drain.unwrap_or_default().saturating_sub(of_gigabit.guard);
        let lease = of_gigabit.lease + longer;
        Config {
            key,
            queues,
            landing,
            flush,
            drain,
            announce,
            lease,
            guard: of_gigabit.guard + longer,
            hold: of_gigabit.hold.max(lease),
            ..of_gigabit
        }
    }
}
