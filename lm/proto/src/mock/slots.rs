//! The mock's tokens, and the burst that gives them out.
//!
//! As with a real receive queue, each frame's slot has one token, which is moved and joined but never copied.

use super::Mock;
use crate::frame::{self, Frame, Frames, Next, Received, Slot};
use std::collections::VecDeque;

/// The token of slots of a mock.
#[derive(Debug)]
pub struct Slots {
    /// The address of the payload in the highest slot.
    top: usize,
    n: usize,
    /// The distance from one slot to the next below it, in bytes.
    stride: usize,
}

impl Slots {
    /// The token of a frame. It is made only once for each frame.
    fn of(frame: &Frame) -> Self {
        Self { top: frame.at, n: 1, stride: 0 }
    }

    /// The address of the payload in each slot, the lowest first.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        let Self { top, n, stride } = *self;
        (0..n).rev().map(move |i| top - i * stride)
    }
}

impl frame::Slots for Slots {
    fn split_behind(&mut self, n: usize) -> Option<Self> {
        let behind = self.n.checked_sub(n).filter(|&behind| behind > 0)?;
        self.n = n;
        Some(Self { top: self.top - n * self.stride, n: behind, stride: self.stride })
    }
}

impl Mock {
    /// Makes one token of two, if the slots lie side by side.
    pub(super) fn join_slots(&self, above: &mut Slots, below: Slots) -> Result<(), Slots> {
        let stride = self.geometry.stride();
        let under = above.top.wrapping_sub(above.n * stride);
        let mirrored = self.mirror != 0 && below.top == under.wrapping_add(self.mirror);
        if below.top != under && !mirrored {
            return Err(below);
        }
        if mirrored {
            above.top += self.mirror;
        }
        (above.n, above.stride) = (above.n + below.n, stride);
        Ok(())
    }
}

/// Frames that the driver handed over.
pub(super) struct Burst {
    /// Each with what the card says of it.
    frames: VecDeque<(Frame, u32)>,
    /// How many frames were counted last and are not taken yet, and the distance between two of them.
    counted: (usize, usize),
}

impl Burst {
    pub(super) fn new(frames: VecDeque<(Frame, u32)>) -> Self {
        Self { frames, counted: (0, 0) }
    }

    /// Takes the next frame, whatever it is.
    pub(super) fn pop(&mut self) -> Option<Received<Slots>> {
        self.counted.0 = 0;
        let (frame, word) = self.frames.pop_front()?;
        Some(Received { frame, slots: Slots::of(&frame), word })
    }

    fn is_plain(f: &Frame) -> bool {
        f.slot == Slot::Overlapping && f.bounce == 0
    }
}

impl Frames for Burst {
    type Slots = Slots;

    fn peek(&self) -> Next {
        match self.frames.front() {
            None => Next::Nothing,
            Some((f, _)) if Self::is_plain(f) => Next::Plain { at: f.at, len: f.len },
            Some(_) => Next::Other,
        }
    }

    fn count_contiguous(
        &mut self,
        at: usize,
        stride: usize,
        full: u16,
        ahead: usize,
        last: u16,
        behind: usize,
    ) -> usize {
        let len_of = |i: usize| match i.checked_sub(ahead) {
            Some(i) if i.is_multiple_of(behind + 1) => last,
            _ => full,
        };
        let goes_on = |(i, (f, _)): &(usize, &(Frame, u32))| {
            Self::is_plain(f) && f.at + i * stride == at && f.len == len_of(*i)
        };
        let n = self.frames.iter().enumerate().take_while(goes_on).count();
        self.counted = (n, stride);
        n
    }

    fn append_words(&self, n: usize, words: &mut Vec<u32>) {
        words.extend(self.frames.iter().take(n).map(|(_, word)| word));
    }

    fn take_counted(&mut self, n: usize) -> Option<Slots> {
        let (counted, stride) = self.counted;
        let top = self.frames.front().filter(|_| (1..=counted).contains(&n))?.0.at;
        self.counted.0 -= n;
        self.frames.drain(..n);
        Some(Slots { top, n, stride })
    }

    fn next(&mut self) -> Option<Received<Slots>> {
        self.frames.front().filter(|(f, _)| f.bounce == 0 && f.slot != Slot::Damaged)?;
        self.pop()
    }
}
