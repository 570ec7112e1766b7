//! Gives slots back to the pool, or into a hold. This consumes their token, so it happens only once.
//!
//! `lm-engine` calls these functions when the matcher is done with frames or has found a datagram. Slots of
//! another pool are never taken: `release` counts them, and the other functions return the token.

use super::LandingPool;
use crate::region::{CHUNK, HeldPiece, Hold};
use crate::slots::LandedSlots;

impl LandingPool {
    /// Gives back slots that are no longer needed. Slots of another pool are not taken, and are counted
    /// ([`PoolStats::refused`](crate::PoolStats::refused)).
    #[inline]
    pub fn release(&self, slots: LandedSlots) {
        let landing = self.landing();
        let ours = slots.is_of(self.number);
        let (lowest, n) = slots.into_parts();
        if ours {
            landing.return_slots(lowest, n);
        } else {
            landing.stats.refused += u64::from(n);
        }
    }

    /// Holds these slots, in which `reach` bytes have landed from the lowest payload on, until the hold is
    /// dropped. Any thread may drop it.
    ///
    /// # Errors
    /// The slots, if they are another pool's, have room for fewer bytes, or are more than any datagram takes.
    #[inline]
    pub fn hold(&self, slots: LandedSlots, reach: usize) -> Result<Hold, LandedSlots> {
        let room = if slots.is_overlapping() { slots.span() } else { self.separate_room };
        if reach == 0 || reach > room || room > CHUNK || !slots.is_of(self.number) {
            return Err(slots);
        }
        let Some(segment) = self.landing().segment_of(slots.lowest()) else { return Err(slots) };
        // SAFETY: the token has the slots, of this pool and of one segment, as slots of two are never a
        // stride apart; it ends here. A device has filled them, in the order in which it was given them: so
        // it is done with these and with those above, and in the slot below with all but what `Hold::bytes`
        // leaves out.
        Ok(unsafe { Hold::new(segment, slots.lowest(), slots.count(), self.config.stride, reach) })
    }

    /// Holds a separate slot, with the `len` bytes at `at` that have landed in it.
    ///
    /// # Errors
    /// The slot, if it overlaps others, is another pool's, or does not contain these bytes.
    #[inline]
    pub(crate) fn hold_piece(
        &self,
        slots: LandedSlots,
        at: usize,
        len: usize,
    ) -> Result<HeldPiece, LandedSlots> {
        let into = at.wrapping_sub(slots.lowest());
        let fits = into <= self.separate_room && len <= self.separate_room - into;
        if slots.is_overlapping() || !fits || !slots.is_of(self.number) {
            return Err(slots);
        }
        let Some(segment) = self.landing().segment_of(slots.lowest()) else { return Err(slots) };
        // SAFETY: the token has the slot, which is a separate one of this pool, with so much room; it ends
        // here. A device has filled it, in the order in which it was given them. No frame in another slot
        // reaches a separate one.
        Ok(unsafe { HeldPiece::new(segment, slots.lowest(), at, len) })
    }

    /// Makes one token of two, if the slots of the second lie right below those of the first. In a region
    /// that is mapped twice, either address of the slots counts.
    ///
    /// # Errors
    /// `below`, unchanged: its slots do not lie there, or are another pool's.
    #[inline]
    pub fn join(&self, above: &mut LandedSlots, below: LandedSlots) -> Result<(), LandedSlots> {
        match above.join(below, 0) {
            Err(below) if self.mirror() != 0 => self.join_lapped(above, below),
            joined => joined,
        }
    }

    /// [`LandingPool::join`] across the end of a region that is mapped twice.
    #[cold]
    fn join_lapped(&self, above: &mut LandedSlots, below: LandedSlots) -> Result<(), LandedSlots> {
        let (lap, len) = (self.mirror(), above.span());
        let lowest = above.lowest();
        // Its other address is in the same segment.
        let lapped = self.landing().segment_of(lowest).is_some_and(|g| g.covers(lowest + lap, len));
        if lapped && above.is_of(self.number) { above.join(below, lap) } else { Err(below) }
    }
}
