//! [`LandedSlots`]: the token of slots that frames landed in.
//!
//! A slot is in use from the moment when a device gets it until it is given back. After its frame was
//! received, exactly one token stands for it. The queue makes the token ([`feed`](crate::queue::feed)). A
//! token can be moved, split and joined, but not copied. Payload is read with a token, and giving the slot
//! back or holding it consumes the token. So safe code cannot give a slot back twice, hold a slot that it
//! does not have, or read a slot that it has given back.
//!
//! If a token is dropped, its slot never comes back. Its chunk is not used again as long as the pool lives,
//! and the memory of its region is not freed after that.

use lm_proto::frame::Slots;

/// Slots that frames were received in: one, or several overlapping ones that lie one stride apart.
///
/// Two words, so that a token stays in registers: it is made, joined and given away for each datagram.
#[derive(Debug)]
#[must_use = "slots that are neither released nor held never come back"]
pub struct LandedSlots {
    /// The address of the payload in the lowest slot, which was filled last.
    lowest: usize,
    /// From the lowest bit up: 32 bits with the number of the pool; 16 bits with the distance of the slots in
    /// bytes, or 0 for a separate slot, which is always alone; 16 bits with the number of slots.
    packed: u64,
}

/// The first bit of the distance.
const DISTANCE_SHIFT: u32 = 32;
/// The first bit of the number of slots.
const COUNT_SHIFT: u32 = 48;

impl LandedSlots {
    /// `n` overlapping slots, the highest at `top`.
    ///
    /// # Safety
    /// They are of the pool with this number, `stride` apart as it lays them, not more than 65,535, and a
    /// device has filled each of them. Nothing else has them, and they are not given back.
    #[inline]
    pub(crate) unsafe fn overlapping(pool: u32, top: usize, n: usize, stride: usize) -> Self {
        let packed = u64::from(pool) | (stride as u64) << DISTANCE_SHIFT | (n as u64) << COUNT_SHIFT;
        Self { lowest: top - (n - 1) * stride, packed }
    }

    /// One separate slot.
    ///
    /// # Safety
    /// As for [`LandedSlots::overlapping`].
    #[inline]
    pub(crate) unsafe fn separate(pool: u32, at: usize) -> Self {
        Self { lowest: at, packed: u64::from(pool) | 1 << COUNT_SHIFT }
    }

    /// The number of slots.
    #[inline]
    pub fn count(&self) -> usize {
        (self.packed >> COUNT_SHIFT) as usize
    }

    /// The address of the payload in the lowest slot, which was filled last.
    #[inline]
    pub fn lowest(&self) -> usize {
        self.lowest
    }

    /// Consumes the token. Returns the address of the payload in the lowest slot, and the number of slots.
    #[inline]
    pub(crate) fn into_parts(self) -> (usize, u32) {
        (self.lowest, (self.packed >> COUNT_SHIFT) as u32)
    }

    /// The distance from one slot to the next below it, in bytes.
    #[inline]
    fn stride(&self) -> usize {
        usize::from((self.packed >> DISTANCE_SHIFT) as u16)
    }

    /// Whether the slots belong to the pool with this number.
    #[inline]
    pub(crate) fn is_of(&self, pool: u32) -> bool {
        self.packed as u32 == pool
    }

    /// Whether these are overlapping slots, so that a frame in the slot below can reach their first bytes.
    #[inline]
    pub(crate) fn is_overlapping(&self) -> bool {
        self.stride() != 0
    }

    /// How many bytes overlapping slots span, from the lowest payload on.
    #[inline]
    pub(crate) fn span(&self) -> usize {
        self.count() * self.stride()
    }

    /// Joins overlapping slots that lie right below these. With a `lap`, they lie right below the address
    /// that is `lap` bytes above these, which is the other address of the same memory; the joined token has
    /// that address.
    ///
    /// # Errors
    /// `below`, as it was.
    #[inline]
    pub(crate) fn join(&mut self, below: Self, lap: usize) -> Result<(), Self> {
        let counted = below.packed >> COUNT_SHIFT << COUNT_SHIFT;
        // Pool and stride.
        let alike = (self.packed ^ below.packed) << (u64::BITS - COUNT_SHIFT) == 0 && self.is_overlapping();
        let touch = below.lowest.wrapping_add(below.span()) == self.lowest.wrapping_add(lap);
        match self.packed.checked_add(counted).filter(|_| alike && touch) {
            Some(packed) => {
                (self.packed, self.lowest) = (packed, below.lowest);
                Ok(())
            }
            None => Err(below),
        }
    }
}

impl Slots for LandedSlots {
    #[inline]
    fn split_behind(&mut self, n: usize) -> Option<Self> {
        let behind = self.count().checked_sub(n).filter(|&behind| behind > 0 && n > 0)?;
        // Both are fewer than there were.
        let below = Self { lowest: self.lowest, packed: self.packed - ((n as u64) << COUNT_SHIFT) };
        self.packed -= (behind as u64) << COUNT_SHIFT;
        self.lowest += below.span();
        Some(below)
    }
}

#[cfg(test)]
mod tests {
    use super::{LandedSlots, Slots};

    const STRIDE: usize = 1480;

    /// Of no pool: nothing can be done with them but what is tested here.
    fn slots(pool: u32, top: usize, n: usize) -> LandedSlots {
        // SAFETY: no pool has this number, so nobody takes the token.
        unsafe { LandedSlots::overlapping(pool, top, n, STRIDE) }
    }

    /// What a token says.
    fn told(slots: &LandedSlots) -> (usize, usize, usize) {
        (slots.lowest() + (slots.count() - 1) * STRIDE, slots.count(), slots.lowest())
    }

    #[test]
    fn what_is_split_is_the_same_slots_each_once() {
        let top = 1 << 40;
        for n in 1..=7 {
            let mut above = slots(0, top, 7);
            let below = above.split_behind(n);
            assert_eq!(told(&above), (top, n, top - (n - 1) * STRIDE));
            match below {
                Some(below) => {
                    assert_eq!(told(&below), (top - n * STRIDE, 7 - n, top - 6 * STRIDE));
                    assert!(above.join(below, 0).is_ok());
                }
                None => assert_eq!(n, 7),
            }
            assert_eq!(told(&above), (top, 7, top - 6 * STRIDE));
        }
        assert!(slots(0, top, 7).split_behind(0).is_none(), "who keeps none keeps all");
        assert!(slots(0, top, 7).split_behind(8).is_none());
    }

    #[test]
    fn only_what_lies_right_below_in_the_same_pool_is_joined() {
        let top = 1 << 40;
        let below = top - 3 * STRIDE;
        let refused = |mut above: LandedSlots, below: LandedSlots, lap: usize| {
            let before = (told(&above), told(&below));
            let below = above.join(below, lap).expect_err("not joined");
            assert_eq!((told(&above), told(&below)), before, "both are as they were");
        };
        for other in [below + 8, below - 8, below + STRIDE, below - STRIDE, top] {
            refused(slots(0, top, 3), slots(0, other, 2), 0);
        }
        refused(slots(0, top, 3), slots(1, below, 2), 0);
        refused(slots(0, top, 3), slots(0, below, usize::from(u16::MAX) - 2), 0);
        // SAFETY: as in `slots`.
        let separate = |at| unsafe { LandedSlots::separate(0, at) };
        refused(slots(0, top, 3), separate(below), 0);
        refused(separate(top), slots(0, top - STRIDE, 2), 0);
        refused(separate(top), separate(top), 0);
        refused(slots(0, top, 3), slots(0, below, 2), 1 << 22);
        let mut lapped = slots(0, top, 3);
        assert!(lapped.join(slots(0, below + (1 << 22), 2), 1 << 22).is_ok());
        assert_eq!(told(&lapped), ((1 << 22) + top, 5, (1 << 22) + top - 4 * STRIDE));
    }
}
