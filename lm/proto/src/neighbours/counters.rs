//! [`ArpCounters`]: the counters of a table of neighbours.
//!
//! [`Neighbours`](super::Neighbours) counts, and `lm-node` shows the counters by their names.

/// What a table of neighbours has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArpCounters {
    /// Packets of other nodes that claim this node's IP address.
    pub conflicts: u64,
    /// Packets that name another hardware address than the one in the table.
    pub claims: u64,
    /// Addresses that went to whoever claimed them, because the old owner did not answer.
    pub moved: u64,
    /// Packets whose sender address cannot be a node's: a group's, a broadcast address or all zeros.
    pub malformed: u64,
    /// Entries that gave their place to others.
    pub evicted: u64,
    /// Questions sent.
    pub asked: u64,
}

impl ArpCounters {
    /// Every counter with its name in reports.
    pub fn all(&self) -> [(&'static str, u64); 6] {
        [
            ("conflicts", self.conflicts),
            ("claims", self.claims),
            ("moved", self.moved),
            ("malformed", self.malformed),
            ("evicted", self.evicted),
            ("asked", self.asked),
        ]
    }

    /// Combines each counter with the other's by `f`.
    #[must_use]
    pub fn combine(&self, other: &Self, f: fn(u64, u64) -> u64) -> Self {
        Self {
            conflicts: f(self.conflicts, other.conflicts),
            claims: f(self.claims, other.claims),
            moved: f(self.moved, other.moved),
            malformed: f(self.malformed, other.malformed),
            evicted: f(self.evicted, other.evicted),
            asked: f(self.asked, other.asked),
        }
    }
}
