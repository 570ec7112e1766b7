//! [`Setup`]: how admission control of a port is set up, and what follows from it for the protocol.

use std::time::Duration;

use ac::{Config, Key, NodeId, Policy};
use lm_proto::wire::Mac;

use super::pace::Pace;

/// How admission control of a port is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The node's address.
    pub address: u32,
    /// The number of its life: a new one for each start, whatever the clock says.
    pub life: u64,
    /// How grants are given.
    pub policy: Policy,
    /// The cluster's key.
    pub key: Option<Key>,
    /// The addresses of the landing queues behind steering; none: one queue, at the node's.
    pub landing: Vec<Mac>,
    /// Descriptors of each landing queue.
    pub ring: u16,
    /// Frames that one poll takes.
    pub burst: u16,
    /// Whether the device lets slots overlap.
    pub overlap: bool,
    /// `--ac-drain`.
    pub drain: Option<Duration>,
    /// `--ac-flush-gap`: the other nodes' as well as ours.
    pub gap: Duration,
}

impl Setup {
    /// Flush frames that a holder sends. `LM_ENDME` is obeyed when the poll that took it is over: a poll's frames more.
    pub(super) fn flush(&self) -> u16 {
        if self.overlap { self.ring.saturating_add(self.burst) } else { 0 }
    }

    /// How long a drain lasts if the ring does not get through: what the flush frames take at 1 Gbit/s, a minimum-size
    /// one 0.67 µs, and what lies between them, and something for the way.
    pub(super) fn drain(&self) -> Duration {
        let flush = self.flush();
        let own = || Duration::from_micros(50 + u64::from(flush)) + Pace::lasts(self.gap, flush);
        self.drain.unwrap_or_else(own)
    }

    /// The node's settings.
    pub(super) fn config(self) -> Config {
        let (flush, drain) = (self.flush(), self.drain());
        // Who asks before each grant needs no announcements, and every broadcast gets in between others' fragments.
        let announce = self.policy == Policy::Exclusive;
        let queues = u8::try_from(self.landing.len().max(1)).unwrap_or(u8::MAX);
        let (key, landing) = (self.key, self.landing);
        let of_gigabit = Config::new(NodeId(self.address.into()), self.life, self.policy);
        // Where the user says how late a frame can be, it can be behind a lease that ran out, too.
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
