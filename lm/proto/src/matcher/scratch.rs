//! [`ScratchBuffers`]: buffers for the reassembler to take while it reads what landed.

use crate::reassembler::Store;

/// A buffer to be taken, and those that came back meanwhile. The landed memory that a fragment is read from
/// cannot give buffers at the same time, so one is taken out before, and what comes back is handed over
/// behind it.
pub(super) struct ScratchBuffers<B> {
    spare: Option<B>,
    back: Vec<B>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> ScratchBuffers<B> {
    pub(super) fn new() -> Self {
        Self { spare: None, back: Vec::with_capacity(4) }
    }

    /// Has a spare buffer, if there is one to be had.
    pub(super) fn fill(&mut self, store: &mut impl Store<Buf = B>) {
        if self.spare.is_none() {
            self.spare = store.take();
        }
    }

    /// Gives back what came back.
    pub(super) fn empty(&mut self, store: &mut impl Store<Buf = B>) {
        for buf in self.back.drain(..) {
            store.give(buf);
        }
    }

    /// Gives everything back.
    pub(super) fn clear(&mut self, store: &mut impl Store<Buf = B>) {
        self.back.extend(self.spare.take());
        self.empty(store);
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Store for ScratchBuffers<B> {
    type Buf = B;
    fn take(&mut self) -> Option<B> {
        self.spare.take()
    }
    fn give(&mut self, buf: B) {
        self.back.push(buf);
    }
}
