//! [`Rings`]: which landing queues are changing back to separate slots.
//!
//! A change of the layout affects slots that are posted later. Slots that are already in the ring keep their
//! layout until frames have filled them. [`Admission`](super::Admission) ends a drain when this has happened.

/// Landing queues at most: [`ac::Config::queues`].
const QUEUES: usize = 64;

/// The rings of a port's landing queues, which all have the same length.
#[derive(Debug)]
pub(crate) struct Rings {
    length: u64,
    /// For each queue that is not through yet: the frames that it had received when its layout changed.
    since: [Option<u64>; QUEUES],
    /// How many entries of `since` are not `None`.
    waiting: usize,
    through: u64,
}

impl Rings {
    /// Rings of `length` descriptors.
    pub(crate) fn new(length: u16) -> Self {
        Self { length: length.into(), since: [None; QUEUES], waiting: 0, through: 0 }
    }

    /// The layout of a queue changes, after it has received so many frames. `None`: nobody waits for the
    /// queue any more.
    pub(crate) fn begin(&mut self, queue: usize, frames: Option<u64>) {
        if let Some(since) = self.since.get_mut(queue) {
            self.waiting -= usize::from(since.is_some());
            self.waiting += usize::from(frames.is_some());
            *since = frames;
        }
    }

    /// Calls `through` once for each queue that is through: every descriptor of its ring was filled once
    /// since its layout changed. `frames` says how many frames a queue has received.
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

    /// How often a ring has got through so far.
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
