//! [`Effort`]: how much work the frames that came so far have earned.
//!
//! What a frame costs most often is constant. What does not fit may cost more: to look through the frames that wait, to sum
//! their payloads, to try one choice after the other. Each frame earns the same small sum for that, and what is not spent
//! is saved up to a bound. Who sends frames so that each of them is searched and summed for in vain soon finds that the
//! matcher has stopped trying: then datagrams that need a repair are lost, and counted, and all others go on.

/// A unit is about a nanosecond on a machine of today: a comparison, or what a sum over 32 bytes costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    saved: u64,
    /// Frames received when it was counted last.
    frames: u64,
}

impl Effort {
    /// Units that a frame earns.
    pub(crate) const EARNED: u64 = 160;
    /// Units that are saved at most: what it takes to put a dozen of the largest datagrams together.
    pub(crate) const SAVED: u64 = 100_000;

    /// To begin with there is some to spare.
    pub(crate) fn new() -> Self {
        Self { saved: Self::SAVED, frames: 0 }
    }

    /// Takes `units` for a piece of work, with `frames` received so far; false: there are not as many.
    pub(crate) fn spend(&mut self, units: usize, frames: u64) -> bool {
        let earned = frames.saturating_sub(self.frames).min(Self::SAVED).saturating_mul(Self::EARNED);
        self.saved = (self.saved + earned).min(Self::SAVED);
        self.frames = frames;
        match self.saved.checked_sub(units as u64) {
            Some(left) => {
                self.saved = left;
                true
            }
            None => false,
        }
    }
}

/// What it takes to sum so many bytes.
pub(crate) const fn summing(bytes: usize) -> usize {
    bytes / 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stream_of_frames_can_spend_more_than_it_earns() {
        let (mut effort, mut spent) = (Effort::new(), 0);
        for frame in 0..10_000_u64 {
            while effort.spend(7, frame) {
                spent += 7;
            }
        }
        assert!(spent <= Effort::SAVED + 10_000 * Effort::EARNED, "{spent}");
        assert!(spent >= 9_990 * Effort::EARNED, "{spent}");
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let mut effort = Effort::new();
        assert!(!effort.spend(Effort::SAVED as usize + 1, u64::MAX));
        assert!(effort.spend(Effort::SAVED as usize, u64::MAX));
        assert!(!effort.spend(1, u64::MAX));
    }
}
