//! The fair queue of requests that wait for a landing queue, under the policy `PerReceiver`.
//!
//! [`Node`](crate::Node) puts requests in, and takes one out when a landing queue is free. An applicant has
//! one place, and keeps it when it repeats its request. Each grant to somebody else raises the urgency of
//! those that wait by one, so no priority starves another. The queue never grows beyond
//! [`Config::nodes`](crate::Config::nodes) places; a request without a place is refused.

use crate::time::Instant;
use crate::wire::NodeId;

/// The highest priority.
pub const TOP_PRIORITY: u8 = 7;

/// A request that waits: one per applicant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Waiting {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) request: u64,
    /// The sequence number of the `LM_REQ` that came last, for the answer to name.
    pub(crate) echo: u64,
    pub(crate) priority: u8,
    /// Grants that went to others since it came.
    pub(crate) passed: u32,
    /// When it is forgotten unless it is repeated.
    pub(crate) expires: Instant,
}

impl Waiting {
    /// Each grant to another applicant raises it by one, so that no priority starves another.
    fn urgency(&self) -> u32 {
        u32::from(self.priority).saturating_add(self.passed)
    }
}

/// Requests in the order in which they came.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct WaitingRequests {
    room: usize,
    waiting: Vec<Waiting>,
}

impl WaitingRequests {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, waiting: Vec::with_capacity(room) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Queues the request, or renews the applicant's place. Returns how many requests go before it, `None` if
    /// there is no room.
    pub(crate) fn push(&mut self, new: Waiting) -> Option<usize> {
        if let Some(old) = self.waiting.iter_mut().find(|w| w.node == new.node) {
            *old = Waiting { passed: old.passed, ..new };
        } else if self.waiting.len() < self.room {
            self.waiting.push(new);
        } else {
            return None;
        }
        let at = self.waiting.iter().position(|w| w.node == new.node)?;
        let mine = self.waiting[at].urgency();
        Some(
            self.waiting
                .iter()
                .enumerate()
                .filter(|&(i, w)| w.urgency() > mine || (w.urgency() == mine && i < at))
                .count(),
        )
    }

    /// The next request: the most urgent, the first of equals.
    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        let most = self.waiting.iter().map(Waiting::urgency).max()?;
        let at = self.waiting.iter().position(|w| w.urgency() == most)?;
        let next = self.waiting.remove(at);
        for w in &mut self.waiting {
            w.passed = w.passed.saturating_add(1);
        }
        Some(next)
    }

    /// Takes `node`'s request out, if it is not later than this one.
    pub(crate) fn withdraw(&mut self, node: NodeId, incarnation: u64, request: u64) {
        self.waiting.retain(|w| w.node != node || w.incarnation != incarnation || w.request > request);
    }

    /// Takes out what another incarnation of `node` asked for.
    pub(crate) fn forget(&mut self, node: NodeId, incarnation: u64) {
        self.waiting.retain(|w| w.node != node || w.incarnation == incarnation);
    }

    /// Drops requests that were not repeated in time.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.waiting.retain(|w| w.expires > now);
    }

    #[cfg(feature = "mock")]
    pub(crate) fn each(&mut self, f: impl FnMut(&mut Waiting)) {
        self.waiting.iter_mut().for_each(f);
    }

    /// When the next one is dropped.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.waiting.iter().map(|w| w.expires).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiting(node: u64, priority: u8) -> Waiting {
        let expires = Instant::from_nanos(1);
        Waiting { node: NodeId(node), incarnation: 1, request: 1, echo: 1, priority, passed: 0, expires }
    }

    #[test]
    fn equals_are_served_in_their_order() {
        let mut queue = WaitingRequests::new(8);
        assert_eq!(queue.push(waiting(1, 0)), Some(0));
        assert_eq!(queue.push(waiting(2, 0)), Some(1));
        assert_eq!(queue.push(waiting(1, 0)), Some(0), "who repeats keeps its place");
        assert_eq!(queue.pop().map(|w| w.node), Some(NodeId(1)));
        assert_eq!(queue.push(waiting(1, 0)), Some(1), "who comes again stands behind");
        assert_eq!(queue.pop().map(|w| w.node), Some(NodeId(2)));
    }

    #[test]
    fn a_full_queue_says_so() {
        let mut queue = WaitingRequests::new(1);
        assert_eq!(queue.push(waiting(1, 0)), Some(0));
        assert_eq!(queue.push(waiting(2, 7)), None);
        assert_eq!(queue.push(waiting(1, 3)), Some(0));
    }

    proptest! {
        /// A bystander of priority 0 is granted before the eighth of those who come after it, whatever their
        /// priority.
        #[test]
        fn nobody_starves(before in 0_usize..20, later in prop::collection::vec(0_u8..=7, 60)) {
            let mut queue = WaitingRequests::new(100);
            for n in 0..before {
                queue.push(waiting(100 + n as u64, 7));
            }
            queue.push(waiting(1, 0));
            let mut overtaken = 0;
            for (n, priority) in later.into_iter().enumerate() {
                queue.push(waiting(1000 + n as u64, priority));
                let next = queue.pop().expect("not empty").node.0;
                if next == 1 {
                    prop_assert!(overtaken <= 7);
                    return Ok(());
                }
                overtaken += usize::from(next >= 1000);
            }
            prop_assert!(before > 0, "starved");
            prop_assert!(overtaken <= 7);
        }
    }
}
