//! Remembers datagrams that cannot become whole, because one of their fragments was refused.
//!
//! Their other fragments would use an entry in vain, which another datagram could use.

use super::chains::Chains;
use super::{Key, work};
use crate::counters::Reason;

/// Keys that are remembered for each datagram that may be incomplete. Twice as many would help against
/// senders that are more than five times too many, and no flood.
pub(super) const KEYS_PER_DATAGRAM: usize = 4;

#[derive(Clone, Copy)]
struct Refusal {
    key: Key,
    hash: u32,
    until: u64,
    reason: Reason,
}

/// A bounded set of keys; the oldest is forgotten when it is full.
pub(super) struct Refused {
    chains: Chains,
    /// A ring.
    refusals: Box<[Refusal]>,
    oldest: usize,
    len: usize,
}

impl Refused {
    pub(super) fn new(keys: usize) -> Self {
        let none = Refusal { key: Key::default(), hash: 0, until: 0, reason: Reason::Discarded };
        Self { chains: Chains::new(keys), refusals: vec![none; keys].into(), oldest: 0, len: 0 }
    }

    /// Whether nothing is remembered.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Why fragments of this datagram are refused, if they are at this time.
    #[inline]
    pub(super) fn find(&mut self, key: &Key, hash: u32, now: u64) -> Option<Reason> {
        while self.len > 0 && self.refusals[self.oldest].until <= now {
            self.forget();
        }
        if self.len == 0 {
            return None;
        }
        let at = self.chains.find(hash, |at| self.refusals[at].key == *key)?;
        Some(self.refusals[at].reason)
    }

    /// Remembers a key that is not in the set; times don't run backwards.
    pub(super) fn add(&mut self, key: Key, hash: u32, until: u64, reason: Reason) {
        if self.len == self.refusals.len() {
            self.forget();
        }
        let at = (self.oldest + self.len) % self.refusals.len();
        self.refusals[at] = Refusal { key, hash, until, reason };
        self.chains.add(hash, at);
        self.len += 1;
    }

    pub(super) fn clear(&mut self) {
        while self.len > 0 {
            self.forget();
        }
    }

    /// Forgets the oldest.
    fn forget(&mut self) {
        work::step();
        self.chains.remove(self.refusals[self.oldest].hash, self.oldest);
        self.oldest = (self.oldest + 1) % self.refusals.len();
        self.len -= 1;
    }
}
