//! [`Refusal`]: when a frame is given up that the device never takes.
//!
//! Some drivers give back a frame that cannot be sent in the same way as one for which there is no room at
//! the moment ([`SenderConfig::refuses`](super::SenderConfig::refuses)). If such a frame was kept, nothing
//! behind it would ever be sent. The sender asks here each time that the device took nothing.

/// How often a frame is given to the device in vain. Each attempt is a system call, and the programs poll
/// between two, so this is a millisecond or more, in which a queue that is full has room again.
const ATTEMPTS: u32 = 1000;
/// The same for a frame that is as long as one that was refused, or longer.
const FEW: u32 = 8;

/// What is known of the frames that the device does not take.
#[derive(Debug)]
pub(super) struct Refusal {
    /// How often the frame that waits was given in vain.
    vain: u32,
    /// The shortest frame that was refused since one as long was taken.
    shortest: u32,
}

impl Default for Refusal {
    fn default() -> Self {
        Self { vain: 0, shortest: u32::MAX }
    }
}

impl Refusal {
    /// The device was given frames, the first one of this length, and took that or not. Returns whether it
    /// is to be given up.
    pub(super) fn is_over(&mut self, len: u32, taken: bool) -> bool {
        if taken {
            self.vain = 0;
            if len >= self.shortest {
                self.shortest = u32::MAX;
            }
            return false;
        }
        self.vain += 1;
        let over = self.vain >= if len >= self.shortest { FEW } else { ATTEMPTS };
        if over {
            self.vain = 0;
            self.shortest = self.shortest.min(len);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many attempts a frame of this length is given up.
    fn attempts(refusal: &mut Refusal, len: u32) -> u32 {
        (1..=ATTEMPTS).find(|_| refusal.is_over(len, false)).unwrap_or_default()
    }

    #[test]
    fn a_frame_is_given_up_after_many_attempts_and_its_like_after_few() {
        let refusal = &mut Refusal::default();
        assert_eq!(attempts(refusal, 1522), ATTEMPTS);
        assert_eq!((attempts(refusal, 1522), attempts(refusal, 1523)), (FEW, FEW));
        assert_eq!(attempts(refusal, 1518), ATTEMPTS, "a shorter one may have room");
        assert_eq!(attempts(refusal, 1518), FEW);
    }

    #[test]
    fn what_was_taken_is_believed() {
        let refusal = &mut Refusal::default();
        for _ in 1..ATTEMPTS {
            assert!(!refusal.is_over(60, false));
        }
        assert!(!refusal.is_over(60, true), "the queue was full");
        assert_eq!(attempts(refusal, 60), ATTEMPTS);
        assert!(!refusal.is_over(59, true), "which says nothing of longer ones");
        assert_eq!(attempts(refusal, 60), FEW);
        assert!(!refusal.is_over(1514, true), "the interface is up again");
        assert_eq!(attempts(refusal, 60), ATTEMPTS);
    }
}
