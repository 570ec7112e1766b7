//! [`ScratchBuffers`]: buffers for the reassembler to take while it reads what landed.
//!
//! `standalone`, `keep` and `rejoin` fill it before they pass a fragment to the reassembler, and empty it
//! afterwards. No buffer is lost: each one is given back to the memory, or belongs to a datagram.

use crate::reassembler::Store;

/// A buffer for the reassembler to take, and those that came back meanwhile. While a fragment is read, the
/// memory that it is read from is borrowed, and can neither give nor take a buffer. So a buffer is taken
/// before, and what comes back is given back afterwards.
pub(super) struct ScratchBuffers<B> {
    spare: Option<B>,
    back: Vec<B>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> ScratchBuffers<B> {
    pub(super) fn new() -> Self {
        Self { spare: None, back: Vec::with_capacity(4) }
    }

    /// Takes a spare buffer, if the store has one.
    pub(super) fn fill(&mut self, store: &mut impl Store<Buf = B>) {
        if self.spare.is_none() {
            self.spare = store.take();
        }
    }

    /// Gives the store the buffers that came back.
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
