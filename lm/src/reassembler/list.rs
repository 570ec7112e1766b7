//! A list of slot numbers that any of them can leave at once.

/// No slot.
const NONE: u16 = u16::MAX;

/// Slots 0 to `slots - 1` in an order, each once or not at all.
pub(super) struct List {
    /// Before and behind each slot; of the place behind all slots: the last and the first.
    links: Box<[(u16, u16)]>,
}

impl List {
    pub(super) fn new(slots: usize) -> Self {
        debug_assert!(slots < usize::from(NONE), "slots are counted in 16 bits");
        let mut links = vec![(NONE, NONE); slots + 1];
        links[slots] = (slots as u16, slots as u16);
        Self { links: links.into() }
    }

    /// The place that is both ends.
    fn end(&self) -> usize {
        self.links.len() - 1
    }

    /// The slot that was added before all others.
    #[inline]
    pub(super) fn first(&self) -> Option<usize> {
        Some(usize::from(self.links[self.end()].1)).filter(|&slot| slot != self.end())
    }

    /// The slot that was added behind all others.
    pub(super) fn last(&self) -> Option<usize> {
        self.before(self.end())
    }

    /// The slot before this one.
    pub(super) fn before(&self, slot: usize) -> Option<usize> {
        Some(usize::from(self.links[slot].0)).filter(|&slot| slot != self.end())
    }

    /// Adds a slot that is not in the list, behind all others.
    pub(super) fn push(&mut self, slot: usize) {
        let end = self.end();
        let last = usize::from(self.links[end].0);
        self.links[slot] = (last as u16, end as u16);
        self.links[last].1 = slot as u16;
        self.links[end].0 = slot as u16;
    }

    /// Takes a slot out that is in the list.
    pub(super) fn remove(&mut self, slot: usize) {
        let (before, behind) = self.links[slot];
        self.links[usize::from(before)].1 = behind;
        self.links[usize::from(behind)].0 = before;
    }
}
