//! [`Frame`]: one received frame in its slot. [`Frames`]: the frames of a burst that were not taken yet.
//!
//! A receive queue makes them from its driver's mbufs, in ring order, and the matcher takes them. The matcher
//! never sees an mbuf, a ring or a pool. It knows a frame's address, its length and the layout of its slot,
//! and asks [`SlotMemory`](crate::slot_memory::SlotMemory) for the bytes.
//!
//! A [`Frame`] is plain data, which anybody can copy or make. The right to the slot is a *token*,
//! [`Received::slots`]. Only the slot memory makes tokens. A token can be moved but not copied, and giving
//! the slot back consumes it.

use std::ops::Deref;

use crate::wire::{HEADERS, UDP};

/// The bytes that a frame begins with, as they were at one moment: Ethernet, IPv4 and UDP headers, if they
/// were intact.
pub type Head = [u8; HEAD];

/// Bytes at the start of an overlapping slot's payload that the frame in the slot below may overwrite at any
/// time. A datagram that landed has its UDP header there, which nobody needs any more, so no message begins
/// before their end. By so many bytes a frame may be longer than its slot.
pub const FRONT: usize = UDP;
/// Bytes of a head.
pub const HEAD: usize = HEADERS + FRONT;

/// The layout of a frame's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// The slot lies one stride below the one before, so that the frame's payload overwrites that one's
    /// headers.
    Overlapping,
    /// The slot is longer than any frame, so that nothing reaches its headers.
    Separate,
    /// Part of a frame that does not fit its slot: bytes around may be damaged.
    Damaged,
}

/// A frame in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Address of the IP payload (of a packet without options): the slot's identity. The frame starts
    /// [`HEADERS`] bytes below.
    pub at: usize,
    /// The length of the frame in bytes.
    pub len: u16,
    /// The layout of the slot.
    pub slot: Slot,
    /// 0: the frame is in place. Else it was received in that bounce slot, where its headers still are, and
    /// its payload was copied into place.
    pub bounce: u16,
}

impl Frame {
    /// Bytes behind the headers.
    #[inline]
    pub fn payload_len(&self) -> usize {
        usize::from(self.len).saturating_sub(HEADERS)
    }

    /// Whether this frame, received right after `above`, reached its headers.
    #[inline]
    pub fn reaches(&self, above: &Self) -> bool {
        above.bounce == 0 && self.at < above.at && self.at + self.payload_len() > above.at - HEADERS
    }
}

/// The token of slots that frames were received in: one slot, or several that lie one stride apart. Whoever
/// has the token has the slots. Only the memory that the frames landed in makes tokens, and they cannot be
/// copied.
pub trait Slots: Sized {
    /// Keeps the `n` slots that were filled first, and returns the token of the others, if there are any.
    fn split_behind(&mut self, n: usize) -> Option<Self>;
}

/// A frame, and the token of its slot, or a reference to that.
#[derive(Clone, Copy, Debug)]
pub struct Received<S> {
    /// Its properties.
    pub frame: Frame,
    /// The token, perhaps with the slots of other frames.
    pub slots: S,
    /// What the card says of it ([`Words`](crate::card::Words)); 0: nothing.
    pub word: u32,
}

impl<S> Received<S> {
    /// The same, and the token stays where it is.
    #[inline]
    pub fn by_ref(&self) -> Received<&S> {
        Received { frame: self.frame, slots: &self.slots, word: self.word }
    }
}

impl<S> Deref for Received<S> {
    type Target = Frame;
    #[inline]
    fn deref(&self) -> &Frame {
        &self.frame
    }
}

/// What was received right behind a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the frame is the newest.
    Nothing,
    /// A plain frame in an overlapping slot, with its payload at `at`, of `len` bytes.
    Plain {
        /// Address of its payload.
        at: usize,
        /// Bytes of frame.
        len: u16,
    },
    /// Another frame, or it is not known.
    Other,
}

/// Frames of a burst that are not taken yet, in ring order. A *plain* frame lies in place in its slot.
pub trait Frames {
    /// The token of these frames' slots.
    type Slots;

    /// The next frame, which is not taken.
    fn peek(&self) -> Next;

    /// How many of the next frames continue a stream. They are plain and in overlapping slots, each one
    /// `stride` below the one before, the first with its payload at `at`. The frames' lengths are `ahead`
    /// times `full` and then `last`, and after that, again and again, `behind` times `full` and then
    /// `last`. The frames are not taken.
    fn count_contiguous(
        &mut self,
        at: usize,
        stride: usize,
        full: u16,
        ahead: usize,
        last: u16,
        behind: usize,
    ) -> usize;

    /// Appends what the card says of each of the next `n` frames, as many as were counted last at most.
    fn append_words(&self, n: usize, words: &mut Vec<u32>);

    /// Takes the next `n` frames of those that were counted last, and returns the token of their slots. If
    /// `n` is 0, or more than were counted and are not taken yet, nothing is taken, and the result is `None`.
    fn take_counted(&mut self, n: usize) -> Option<Self::Slots>;

    /// Takes the next frame if it is plain: in place, in a slot of either layout.
    fn next(&mut self) -> Option<Received<Self::Slots>>;
}

/// One plain frame.
impl<S> Frames for Option<Received<S>> {
    type Slots = S;

    fn peek(&self) -> Next {
        // Of a frame that was given alone nobody says what comes behind it.
        Next::Other
    }

    fn count_contiguous(
        &mut self,
        at: usize,
        _: usize,
        full: u16,
        ahead: usize,
        last: u16,
        _: usize,
    ) -> usize {
        let len = if ahead > 0 { full } else { last };
        usize::from(self.as_ref().is_some_and(|frame| (frame.at, frame.len) == (at, len)))
    }

    fn append_words(&self, n: usize, words: &mut Vec<u32>) {
        words.extend(self.iter().take(n).map(|frame| frame.word));
    }

    fn take_counted(&mut self, n: usize) -> Option<S> {
        if n == 1 { self.take().map(|frame| frame.slots) } else { None }
    }

    fn next(&mut self) -> Option<Received<S>> {
        self.take()
    }
}
