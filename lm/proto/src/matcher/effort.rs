//! [`Effort`]: the budget for work that goes beyond the constant cost of a frame.
//!
//! Most frames cost a constant amount of work. Frames that do not fit may cost more: the matcher searches the
//! waiting frames, sums their payloads, and tries one choice after the other. Each received frame adds the
//! same small amount to a budget for this, and unused budget is saved up to a bound. If a sender makes the
//! matcher search and sum in vain, the budget is soon used up. Then datagrams that need a repair are lost and
//! counted, and all others are still delivered.

use crate::layout::Geometry;
use crate::policy::Require;

/// A unit is about a nanosecond on a machine of today: a comparison, or what a sum over 32 bytes costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How many units a frame earns.
    earned: u64,
    saved: u64,
    /// Units spent so far.
    spent: u64,
    /// How many frames had been received when units were last earned.
    frames: u64,
}

impl Effort {
    /// The fewest units that a frame earns.
    const LEAST: usize = 8;
    /// The units that a frame earns where no payload is summed, however long it is.
    const UNSUMMED: usize = 80;
    /// The most units that are saved. They are enough to put a few of the largest datagrams together.
    pub(crate) const SAVED: u64 = 40_000;

    /// A frame earns in proportion to what a good one costs: less than one sum over it, or two sums where
    /// payloads are summed anyway. Some units are there at the start.
    pub(crate) fn new(geometry: Geometry, require: Require) -> Self {
        let sum = summing(geometry.stride());
        let summed = require.checksum && !require.tags;
        let earned = Self::LEAST + if summed { 2 * sum } else { (sum * 3 / 4).min(Self::UNSUMMED) };
        Self { earned: earned as u64, saved: Self::SAVED, spent: 0, frames: 0 }
    }

    /// Takes `units` for a piece of work, with `frames` received so far. Returns false if there are not so
    /// many.
    pub(crate) fn spend(&mut self, units: usize, frames: u64) -> bool {
        let earned = frames.saturating_sub(self.frames).min(Self::SAVED).saturating_mul(self.earned);
        self.saved = (self.saved + earned).min(Self::SAVED);
        self.frames = frames;
        match self.saved.checked_sub(units as u64) {
            Some(left) => {
                self.saved = left;
                self.spent += units as u64;
                true
            }
            None => false,
        }
    }

    /// Takes `units`, or all that there are, for a piece of work that is done and whose cost was not known
    /// before.
    pub(crate) fn pay(&mut self, units: usize) {
        let paid = self.saved.min(units as u64);
        self.saved -= paid;
        self.spent += paid;
    }

    /// Gives back the units that a delivered datagram has cost. So a stream of good datagrams does not use up
    /// what repairs need, in whatever order they come. This is bounded, because each frame is delivered at
    /// most once.
    pub(crate) fn refund(&mut self, units: usize) {
        self.saved = (self.saved + units as u64).min(Self::SAVED);
    }

    /// Units spent so far.
    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }
}

/// The units for a look at this many frames that wait. What is known of their headers has to be found.
pub(crate) const fn looking(frames: usize) -> usize {
    4 * frames
}

/// The units for a sum over this many bytes.
pub(crate) const fn summing(bytes: usize) -> usize {
    bytes / 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: Require = Require { headers: true, checksum: true, tags: true };

    #[test]
    fn no_stream_of_frames_can_spend_more_than_it_earns() {
        let frames = if cfg!(miri) { 1_000 } else { 10_000 };
        for require in [TAGS, Require::default()] {
            let mut effort = Effort::new(Geometry::ETHERNET, require);
            for frame in 0..frames {
                while effort.spend(7, frame) {}
            }
            let most = Effort::SAVED + frames * effort.earned;
            assert!(
                effort.spent() <= most && effort.spent() >= most - 2 * Effort::SAVED,
                "{}",
                effort.spent()
            );
        }
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let mut effort = Effort::new(Geometry::ETHERNET, TAGS);
        assert!(!effort.spend(Effort::SAVED as usize + 1, u64::MAX));
        assert!(effort.spend(Effort::SAVED as usize, u64::MAX));
        assert!(!effort.spend(1, u64::MAX));
    }

    #[test]
    fn where_payloads_are_summed_a_frame_earns_more() {
        let earned = |require| Effort::new(Geometry::ETHERNET, require).earned;
        assert_eq!((earned(TAGS), earned(Require::default())), (8 + 34, 8 + 2 * 46));
    }
}
