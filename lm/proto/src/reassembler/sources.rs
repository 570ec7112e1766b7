//! [`Sources`]: counts the entries of each source, to know whether a source has more than its share.
//!
//! [`super::entries`] adds and removes. There are never more sources than entries, so the table has a fixed
//! size. Each operation takes a constant number of steps, look-ups an expected one.

use super::chains::{Chains, Seeds};

/// A source with entries.
#[derive(Clone, Copy, Default)]
struct Source {
    address: u32,
    entries: u16,
    /// How many of its datagrams became whole since it has had entries.
    whole: u32,
}

/// The sources that have entries.
pub(super) struct Sources {
    seeds: Seeds,
    chains: Chains,
    known: Box<[Source]>,
    free: Vec<u16>,
    /// For each number of entries, how many sources have it.
    with: Box<[u16]>,
    /// The most entries that a source has.
    most: u16,
}

impl Sources {
    pub(super) fn new(entries: usize) -> Self {
        Self {
            seeds: Seeds::new(),
            chains: Chains::new(entries),
            known: vec![Source::default(); entries].into(),
            free: (0..entries as u16).rev().collect(),
            with: vec![0; entries + 1].into(),
            most: 0,
        }
    }

    fn hash(&self, address: u32) -> u32 {
        self.seeds.hash([address, 0, 0])
    }

    /// The number of a source that has entries.
    pub(super) fn find(&self, address: u32) -> Option<usize> {
        self.chains.find(self.hash(address), |s| self.known[s].address == address)
    }

    /// Counts one entry more for this source. Returns the number of the source, which it has until its last
    /// entry goes. `None`: there is no room for another source.
    pub(super) fn add(&mut self, address: u32) -> Option<u16> {
        let slot = self.find(address).or_else(|| self.begin(address))?;
        let entries = &mut self.known[slot].entries;
        if *entries > 0 {
            self.with[usize::from(*entries)] -= 1;
        }
        *entries += 1;
        self.with[usize::from(*entries)] += 1;
        self.most = self.most.max(*entries);
        Some(slot as u16)
    }

    /// Gives a place to a source that has no entries yet.
    fn begin(&mut self, address: u32) -> Option<usize> {
        let slot = usize::from(self.free.pop()?);
        self.known[slot] = Source { address, entries: 0, whole: 0 };
        self.chains.add(self.hash(address), slot);
        Some(slot)
    }

    /// Counts one entry less for the source of this number.
    pub(super) fn remove(&mut self, slot: u16) {
        let slot = usize::from(slot);
        let Source { address, entries, .. } = self.known[slot];
        let left = entries - 1;
        self.known[slot].entries = left;
        self.with[usize::from(entries)] -= 1;
        if left == 0 {
            self.chains.remove(self.hash(address), slot);
            self.free.push(slot as u16);
        } else {
            self.with[usize::from(left)] += 1;
        }
        if self.with[usize::from(self.most)] == 0 {
            self.most -= 1;
        }
    }

    /// Whether this source may take over an entry of another one: it has less than its share, and another has
    /// more. A share is the number of entries divided by the number of sources, with the one that asks, and
    /// at least one.
    pub(super) fn may_displace(&self, address: u32) -> bool {
        let found = self.find(address);
        let sources = self.known.len() - self.free.len() + usize::from(found.is_none());
        let share = (self.known.len() / sources.max(1)).max(1);
        let has = found.map_or(0, |slot| usize::from(self.known[slot].entries));
        has < share && usize::from(self.most) > share
    }

    /// Notes that a datagram of the source of this number became whole.
    pub(super) fn count_whole(&mut self, slot: u16) {
        let whole = &mut self.known[usize::from(slot)].whole;
        *whole = whole.wrapping_add(1);
    }

    /// How many datagrams of this source became whole so far, modulo 2^32.
    #[inline]
    pub(super) fn whole(&self, slot: u16) -> u32 {
        self.known[usize::from(slot)].whole
    }

    /// Whether no source has more entries than the one of this number.
    #[inline]
    pub(super) fn has_most(&self, slot: u16) -> bool {
        self.known[usize::from(slot)].entries == self.most
    }
}
