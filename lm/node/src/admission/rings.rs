//! [`Rings`]: which landing queues are on their way back to separate slots, and when they are there.

/// Landing queues at most: [`ac::Config::queues`].
const QUEUES: usize = 64;

/// Rings of one length.
#[derive(Debug)]
pub(crate) struct Rings {
    length: u64,
    /// Frames that a queue had received when it was laid anew, where it is not through yet.
    since: [Option<u64>; QUEUES],
    /// How many there are.
    waiting: usize,
    through: u64,
}

impl Rings {
    /// Rings of so many descriptors.
    pub(crate) fn new(length: u16) -> Self {
        Self { length: length.into(), since: [None; QUEUES], waiting: 0, through: 0 }
    }

    /// A queue is laid anew after so many frames; `None`: nobody waits for it any more.
    pub(crate) fn begin(&mut self, queue: usize, frames: Option<u64>) {
        if let Some(since) = self.since.get_mut(queue) {
            self.waiting -= usize::from(since.is_some());
            self.waiting += usize::from(frames.is_some());
            *since = frames;
        }
    }

    /// Tells of each queue that is through: every descriptor of its ring was filled once since. `frames` is what it has
    /// received.
    pub(crate) fn look(&mut self, frames: impl Fn(usize) -> Option<u64>, mut through: impl FnMut(u8)) {
        if self.waiting == 0 {
            return;
        }
        for (queue, since) in self.since.iter_mut().enumerate() {
            if let Some(from) = *since
                && frames(queue).is_some_and(|now| now.wrapping_sub(from) >= self.length)
            {
                *since = None;
                self.waiting -= 1;
                self.through += 1;
                through(queue as u8);
            }
        }
    }

    /// Rings that have got through so far.
    pub(crate) fn through(&self) -> u64 {
        self.through
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_through_once_and_after_its_length() {
        let mut rings = Rings::new(8);
        let look = |rings: &mut Rings, frames| {
            let mut told = Vec::new();
            rings.look(|_| Some(frames), |queue| told.push(queue));
            told
        };
        assert!(look(&mut rings, 100).is_empty());
        rings.begin(1, Some(100));
        rings.begin(2, Some(103));
        assert!(look(&mut rings, 107).is_empty());
        assert_eq!(look(&mut rings, 108), [1]);
        rings.begin(2, None);
        assert!(look(&mut rings, 200).is_empty());
        // Without overlapping slots there is nothing to wait for.
        let mut none = Rings::new(0);
        none.begin(0, Some(5));
        assert_eq!(look(&mut none, 5), [0]);
        assert_eq!((rings.through(), none.through()), (1, 1));
        rings.begin(QUEUES, Some(0));
    }
}
