//! [`Counters`]: what a node has counted.
//!
//! [`Node`](crate::Node) counts. The caller reads the counters by `Node::counters`, and `lm-node` shows them
//! by their names. Each reason to drop a message has a counter, with one exception: if the caller has not
//! fetched events, [`HandleError::Backlog`](crate::HandleError::Backlog) tells it so.

/// Counters of a node since they were last taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Counters {
    /// Messages taken.
    pub received: u64,
    /// Messages put out.
    pub sent: u64,
    /// Messages that were lost because the caller had not fetched the earlier ones in time.
    pub unsent: u64,
    /// Datagrams that were no message of this version.
    pub malformed: u64,
    /// Messages whose MAC was wrong or missing, or that had one although this node has no key.
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
    /// Messages of nodes for which there was no room ([`crate::Config::nodes`]).
    pub strangers: u64,
    /// Messages that mean nothing in the present state.
    pub ignored: u64,
    /// Requests granted to this node.
    pub granted: u64,
    /// Grants given by this node.
    pub opened: u64,
    /// Requests that were put into the queue because no landing queue was free. Each repetition counts.
    pub queued: u64,
    /// Frames of nodes without a grant that were answered by an announcement.
    pub strays: u64,
    /// Requests that this node refused.
    pub refused: u64,
    /// Grants that ran out because the holder never ended them.
    pub expired: u64,
    /// Grants withdrawn because another node gave a grant at the same time, and goes first.
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
