//! [`Pieces`]: a datagram that lies in several separate slots, each of which is held.

use std::cell::RefCell;

use crate::pool::LandingPool;
use crate::region::HeldPiece;
use crate::slots::LandedSlots;

/// The pieces of a datagram, in order, none of them empty.
///
/// The list itself is memory too. Who drops a datagram keeps its list for the next one that the same thread
/// delivers, so that a thread which takes and drops them allocates nothing.
pub(crate) struct Pieces(Vec<HeldPiece>);

/// Lists that a thread keeps at most.
const KEPT: usize = 64;
/// Pieces of the longest datagram over an MTU of 1500: a list has room for so many from the start.
const USUAL: usize = 45;

thread_local! {
    static KEEP: RefCell<Vec<Vec<HeldPiece>>> = const { RefCell::new(Vec::new()) };
}

impl Pieces {
    /// Holds each of these slots, and of what landed there so many bytes at this address. Slots with none of
    /// the datagram's bytes are released. `None`, and all are released, if one cannot be held.
    pub(crate) fn hold(
        pool: &LandingPool,
        pieces: impl Iterator<Item = (LandedSlots, usize, usize)>,
    ) -> Option<Self> {
        let kept = KEEP.try_with(|keep| keep.borrow_mut().pop()).ok().flatten();
        let mut list = Self(kept.unwrap_or_else(|| Vec::with_capacity(USUAL)));
        let mut all = true;
        for (slots, at, len) in pieces {
            if len == 0 || !all {
                pool.release(slots);
                continue;
            }
            match pool.hold_piece(slots, at, len) {
                Ok(piece) => list.0.push(piece),
                Err(slots) => {
                    pool.release(slots);
                    all = false;
                }
            }
        }
        all.then_some(list)
    }

    pub(crate) fn as_slice(&self) -> &[HeldPiece] {
        &self.0
    }

    /// All of them in one; counted.
    #[cold]
    pub(crate) fn join(&self, len: usize) -> Vec<u8> {
        let mut whole = Vec::with_capacity(len);
        self.0.iter().for_each(|piece| whole.extend_from_slice(piece.bytes()));
        if let Some(piece) = self.0.first() {
            piece.count_joined(whole.len());
        }
        whole
    }
}

impl Drop for Pieces {
    #[inline]
    fn drop(&mut self) {
        let mut list = std::mem::take(&mut self.0);
        list.clear();
        // A thread that ends keeps nothing.
        let _ = KEEP.try_with(|keep| {
            let mut keep = keep.borrow_mut();
            if keep.capacity() == 0 {
                keep.reserve_exact(KEPT);
            }
            if keep.len() < KEPT {
                keep.push(list);
            }
        });
    }
}
