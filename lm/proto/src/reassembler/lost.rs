//! [`Lost`]: the datagrams that lost their entries, until the caller takes the list.
//!
//! The reassembler adds to it, and the matcher takes it and counts the datagrams. Each is reported once. The
//! list has a fixed length; beyond it only the numbers are kept, so no traffic makes it grow.

use super::Key;
use crate::counters::Reason;

/// The keys of what was lost, up to a bound, and the number of those beyond it.
pub(super) struct Lost {
    /// Never longer than its capacity.
    named: Vec<(Key, Reason)>,
    bound: usize,
    /// Datagrams beyond the bound whose time was up, and those that were evicted: the last key, and how many.
    overdue: (Key, u64),
    evicted: (Key, u64),
}

impl Lost {
    pub(super) fn new(bound: usize) -> Self {
        let none = (Key::default(), 0);
        Self { named: Vec::with_capacity(bound), bound, overdue: none, evicted: none }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Notes a datagram that was lost, because its time was up or for another reason.
    pub(super) fn add(&mut self, key: Key, reason: Reason) {
        if self.named.len() < self.bound {
            self.named.push((key, reason));
            return;
        }
        let beyond = if reason == Reason::Timeout { &mut self.overdue } else { &mut self.evicted };
        *beyond = (key, beyond.1 + 1);
    }

    /// Reports each, and forgets them.
    pub(super) fn drain(&mut self, mut report: impl FnMut(Key, Reason)) {
        for (key, reason) in self.named.drain(..) {
            report(key, reason);
        }
        for (beyond, reason) in [(&mut self.overdue, Reason::Timeout), (&mut self.evicted, Reason::Evicted)] {
            let (key, times) = std::mem::take(beyond);
            (0..times).for_each(|_| report(key, reason));
        }
    }
}
