//! [`Counters`] of a node. Every reason to drop a message has one.

/// Counters of a node since they were last taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Counters {
    /// Messages taken.
    pub received: u64,
    /// Messages put out.
    pub sent: u64,
    /// Messages that could not be put out because nobody fetched those before: lost, as a network loses them.
    pub unsent: u64,
    /// Datagrams that were no message of this version.
    pub malformed: u64,
    /// Messages whose MAC was wrong, or missing, or unwanted.
    pub forged: u64,
    /// Messages for another node, or this node's own messages.
    pub misdirected: u64,
    /// Messages seen before, or too old to tell.
    pub replayed: u64,
    /// Answers to a life of this node before its restart.
    pub stale: u64,
    /// Messages of an incarnation that its node has not proven to this one: most are answered by a challenge.
    pub unproven: u64,
    /// Incarnations that nodes have proven.
    pub proven: u64,
    /// How often this node took another number, because an earlier life had used the one that it had.
    pub renumbered: u64,
    /// Messages of a node too many.
    pub strangers: u64,
    /// Messages that the state at hand ignores.
    pub ignored: u64,
    /// Requests granted to this node.
    pub granted: u64,
    /// Grants given by this node.
    pub opened: u64,
    /// Requests that came while no queue was free and wait. Each repetition counts.
    pub queued: u64,
    /// Frames of nodes without a grant that were answered by an announcement.
    pub strays: u64,
    /// Requests that this node refused.
    pub refused: u64,
    /// Grants that ran out because the holder never ended them.
    pub expired: u64,
    /// Grants withdrawn because another's crossed them.
    pub withdrawn: u64,
}

impl Counters {
    /// Every counter with its name.
    pub fn named(&self) -> [(&'static str, u64); 20] {
        [
            ("received", self.received),
            ("sent", self.sent),
            ("unsent", self.unsent),
            ("malformed", self.malformed),
            ("forged", self.forged),
            ("misdirected", self.misdirected),
            ("replayed", self.replayed),
            ("stale", self.stale),
            ("unproven", self.unproven),
            ("proven", self.proven),
            ("renumbered", self.renumbered),
            ("strangers", self.strangers),
            ("ignored", self.ignored),
            ("granted", self.granted),
            ("opened", self.opened),
            ("queued", self.queued),
            ("strays", self.strays),
            ("refused", self.refused),
            ("expired", self.expired),
            ("withdrawn", self.withdrawn),
        ]
    }
}
