//! [`ArpCounters`]: the counters of a table of neighbours.

/// What a table counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArpCounters {
    /// Packets of other nodes that say that our address is theirs.
    pub conflicts: u64,
    /// Packets that name another hardware address than the one we know.
    pub claims: u64,
    /// Addresses that a claim has moved, as the old owner was silent.
    pub moved: u64,
    /// Packets whose sender no node can be: a group's, nobody's or a broadcast address.
    pub malformed: u64,
    /// Entries that gave their place to others.
    pub evicted: u64,
    /// Questions sent.
    pub asked: u64,
}

impl ArpCounters {
    /// Names and values, as reports have them.
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

    /// Counter by counter: both, by `f`.
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
