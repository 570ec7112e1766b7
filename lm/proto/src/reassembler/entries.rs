//! [`Entries`]: the index of the incomplete datagrams, by key, by deadline, by progress, and by source.
//!
//! The reassembler asks it which datagram a fragment belongs to, which one is overdue, and which one may make
//! room. The number of entries is fixed, and nothing is allocated after it was made.

use super::Key;
use super::chains::{Chains, Seeds};
use super::list::Lists;
use super::sources::Sources;
use super::work;

/// The state of a datagram that has an entry, without its bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Entry {
    pub(super) key: Key,
    hash: u32,
    /// The number of its source.
    source: u16,
    /// When its time is up.
    pub(super) deadline: u64,
    /// When its last new fragment came.
    pub(super) progress: u64,
    /// How many datagrams of its source had become whole at that time.
    whole: u32,
}

/// Entries in slots. Each operation takes a constant number of steps; for look-ups that is the expected
/// number.
pub(super) struct Entries {
    seeds: Seeds,
    chains: Chains,
    slots: Box<[Entry]>,
    free: Vec<u16>,
    by_deadline: Lists,
    by_progress: Lists,
    /// A list for each source, in the order of progress.
    by_source: Lists,
    sources: Sources,
}

impl Entries {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            seeds: Seeds::new(),
            chains: Chains::new(slots),
            slots: vec![Entry::default(); slots].into(),
            free: (0..slots as u16).rev().collect(),
            by_deadline: Lists::new(slots, 1),
            by_progress: Lists::new(slots, 1),
            by_source: Lists::new(slots, slots),
            sources: Sources::new(slots),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    #[inline]
    pub(super) fn hash(&self, key: &Key) -> u32 {
        self.seeds.hash([key.src, key.dst, u32::from(key.id) << 8 | u32::from(key.protocol)])
    }

    /// The slot of this key's entry.
    #[inline]
    pub(super) fn find(&self, key: &Key, hash: u32) -> Option<usize> {
        self.chains.find(hash, |slot| self.slots[slot].key == *key)
    }

    pub(super) fn entry(&self, slot: usize) -> &Entry {
        &self.slots[slot]
    }

    pub(super) fn hash_of(&self, slot: usize) -> u32 {
        self.slots[slot].hash
    }

    /// The entry whose time is up first.
    #[inline]
    pub(super) fn oldest(&self) -> Option<(usize, &Entry)> {
        self.by_deadline.first(0).map(|slot| (slot, &self.slots[slot]))
    }

    /// The entry that has been without progress for the longest time.
    pub(super) fn stillest(&self) -> Option<(usize, &Entry)> {
        self.by_progress.first(0).map(|slot| (slot, &self.slots[slot]))
    }

    /// Adds a key that has no entry, if a slot is free. Times and deadlines must not go back.
    pub(super) fn add(&mut self, key: Key, hash: u32, now: u64, deadline: u64) -> Option<usize> {
        let slot = usize::from(*self.free.last()?);
        let source = self.sources.add(key.src)?;
        self.free.pop();
        self.slots[slot] =
            Entry { key, hash, source, deadline, progress: now, whole: self.sources.whole(source) };
        self.chains.add(hash, slot);
        self.by_deadline.push(0, slot);
        self.by_progress.push(0, slot);
        self.by_source.push(source.into(), slot);
        Some(slot)
    }

    /// Frees a slot that is in use.
    pub(super) fn remove(&mut self, slot: usize) {
        let Entry { hash, source, .. } = self.slots[slot];
        self.chains.remove(hash, slot);
        self.by_deadline.remove(slot);
        self.by_progress.remove(slot);
        self.by_source.remove(slot);
        self.sources.remove(source);
        self.free.push(slot as u16);
    }

    /// Notes that a new fragment came.
    #[inline]
    pub(super) fn progress(&mut self, slot: usize, now: u64) {
        let source = self.slots[slot].source;
        (self.slots[slot].progress, self.slots[slot].whole) = (now, self.sources.whole(source));
        self.by_progress.remove(slot);
        self.by_progress.push(0, slot);
        self.by_source.remove(slot);
        self.by_source.push(source.into(), slot);
    }

    /// Notes that a datagram is whole, and frees its slot.
    pub(super) fn complete(&mut self, slot: usize) {
        self.sources.count_whole(self.slots[slot].source);
        self.remove(slot);
    }

    /// The entry of this source that has been without progress for the longest time, and how many datagrams
    /// of the source became whole since.
    pub(super) fn overtaken(&self, source: u32) -> Option<(usize, u32)> {
        let source = self.sources.find(source)?;
        let slot = self.by_source.first(source)?;
        Some((slot, self.sources.whole(source as u16).wrapping_sub(self.slots[slot].whole)))
    }

    /// The slots that a datagram of this source may take over: those of the sources that have the most
    /// entries, the newest first. There are none if this source has its share, or if nobody has more than a
    /// share.
    pub(super) fn newest_displaceable(&self, source: u32) -> impl Iterator<Item = usize> + '_ {
        let newest = if self.sources.may_displace(source) { self.by_deadline.last(0) } else { None };
        std::iter::successors(newest, |&slot| self.by_deadline.before(slot)).filter(|&slot| {
            work::step();
            self.sources.has_most(self.slots[slot].source)
        })
    }
}
