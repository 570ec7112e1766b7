//! [`Lists`]: linked lists of entry numbers, from which any entry is removed in constant time.
//!
//! [`super::entries`] and the table of datagrams that wait in separate slots use them. They allocate only
//! when they are made. The caller makes sure that a number is in one list at most.

/// Slots 0 to `slots - 1`, each in one of the lists or in none, in the order in which they were added.
pub(super) struct Lists {
    /// The neighbours of each slot, before and behind it. After all slots there is a place for each list,
    /// which is both of its ends: the last slot is before it, and the first slot is behind it.
    links: Box<[(u16, u16)]>,
    slots: usize,
}

impl Lists {
    pub(super) fn new(slots: usize, lists: usize) -> Self {
        Self { links: (0..slots + lists).map(|at| (at as u16, at as u16)).collect(), slots }
    }

    fn slot(&self, at: u16) -> Option<usize> {
        Some(usize::from(at)).filter(|&at| at < self.slots)
    }

    /// The slot that was added to a list before all others.
    #[inline]
    pub(super) fn first(&self, list: usize) -> Option<usize> {
        self.slot(self.links[self.slots + list].1)
    }

    /// The slot that was added to a list behind all others.
    pub(super) fn last(&self, list: usize) -> Option<usize> {
        self.slot(self.links[self.slots + list].0)
    }

    /// The slot before this one.
    pub(super) fn before(&self, slot: usize) -> Option<usize> {
        self.slot(self.links[slot].0)
    }

    /// Adds a slot that is in no list, behind all others of this one.
    pub(super) fn push(&mut self, list: usize, slot: usize) {
        let end = self.slots + list;
        let last = usize::from(self.links[end].0);
        self.links[slot] = (last as u16, end as u16);
        self.links[last].1 = slot as u16;
        self.links[end].0 = slot as u16;
    }

    /// Takes a slot out of its list.
    pub(super) fn remove(&mut self, slot: usize) {
        let (before, behind) = self.links[slot];
        self.links[usize::from(before)].1 = behind;
        self.links[usize::from(behind)].0 = before;
    }
}
