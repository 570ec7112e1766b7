//! [`EngineTally`]: the counters of lm-testpmd's forwarding engines.
//!
//! Each engine returns one, which counts from the start of its run. The session adds the runs of a port. The
//! reports, the summary and the verdict on pings read the sums.

use std::collections::BTreeMap;

use crate::histogram::Histogram;

/// What engines count.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineTally {
    /// Received datagrams that the engine had no use for.
    pub(crate) ignored: u64,
    /// Datagrams that the engine gave up to send.
    pub(crate) tx_dropped: u64,
    /// Datagrams that the engine had to copy to send them.
    pub(crate) tx_copied: u64,
    /// Echoes that came after their time.
    pub(crate) late: u64,
    /// Round trips, by payload size.
    pub(crate) ping: BTreeMap<usize, PingTally>,
}

/// Round trips of one size.
#[derive(Clone, Debug, Default)]
pub(crate) struct PingTally {
    /// Round trips whose echo had the bytes that were sent, and how long they took.
    pub(crate) round_trips: Histogram,
    /// Pings without an echo in time.
    pub(crate) lost: u64,
    /// Pings whose echo had other bytes.
    pub(crate) mismatched: u64,
}

impl EngineTally {
    /// Adds the counters of another run or port.
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
