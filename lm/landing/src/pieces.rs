//! [`Pieces`]: a datagram that lies in several separate slots, each of which is held.
//!
//! [`crate::payload`] makes one for a datagram of several fragments. Either all slots of the datagram are
//! held, or all are released. Any thread may drop it, and each slot can then be used again.

use std::cell::RefCell;

use crate::pool::LandingPool;
use crate::region::HeldPiece;
use crate::slots::LandedSlots;

/// The pieces of a datagram, in order, none of them empty.
///
/// The list is memory too. The thread that drops a datagram keeps its list for the next datagram that it
/// delivers. So a thread that delivers and drops datagrams allocates nothing.
pub(crate) struct Pieces(Vec<HeldPiece>);

/// The most lists that a thread keeps.
const KEPT: usize = 64;
/// The number of pieces of the longest datagram at an MTU of 1500. A new list has room for this many.
const USUAL: usize = 45;

thread_local! {
    static KEEP: RefCell<Vec<Vec<HeldPiece>>> = const { RefCell::new(Vec::new()) };
}

impl Pieces {
    /// Holds slots, each with the address and the number of the datagram's bytes in it. Slots with none of
    /// the datagram's bytes are released. If one cannot be held, all are released, and the result is `None`.
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

    /// Copies all pieces into one. This is counted.
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
        // This fails in a thread that ends. Then the list is freed.
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
