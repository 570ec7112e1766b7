//! [`EngineTally`]: the counters of a forwarding engine.

use std::collections::BTreeMap;

use crate::histogram::Histogram;

/// What engines count.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineTally {
    /// Received datagrams that the engine had no use for.
    pub(crate) ignored: u64,
    /// Datagrams that it wanted to send and gave up.
    pub(crate) tx_dropped: u64,
    /// Datagrams that it had to copy to send them.
    pub(crate) tx_copied: u64,
    /// Echoes that came after their time.
    pub(crate) late: u64,
    /// Round trips, by payload size.
    pub(crate) ping: BTreeMap<usize, PingTally>,
}

/// Round trips of one size.
#[derive(Clone, Debug, Default)]
pub(crate) struct PingTally {
    /// Echoes that were what was sent, and how long they took.
    pub(crate) round_trips: Histogram,
    /// No echo in time.
    pub(crate) lost: u64,
    /// An echo with other bytes.
    pub(crate) mismatched: u64,
}

impl EngineTally {
    /// Adds what another one did.
    pub(crate) fn add(&mut self, other: &Self) {
        self.ignored += other.ignored;
        self.tx_dropped += other.tx_dropped;
        self.tx_copied += other.tx_copied;
        self.late += other.late;
        for (&size, ping) in &other.ping {
            let mine = self.ping.entry(size).or_default();
            mine.round_trips.merge(&ping.round_trips);
            mine.lost += ping.lost;
            mine.mismatched += ping.mismatched;
        }
    }
}
