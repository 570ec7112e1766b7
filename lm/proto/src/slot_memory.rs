//! [`SlotMemory`]: the memory that frames land in, as the matcher asks for it, and where its decisions go.
//!
//! A landing pool implements it in `lm-engine`, and in tests `mock` does. The matcher calls it with
//! frames that it was given and has not handed back, and hands each of them back once.

use crate::frame::Frame;
use crate::frame::Head;
use crate::policy::Whole;
use crate::raw_headers::RawHeaders;
use crate::reassembler::Store;

/// What is known of the slot below a frame's, the only one from which its headers can be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Below {
    /// No device had reached the middle of that slot yet, or no slot is there: what was read of the frame's
    /// headers *before* this was asked was intact.
    Untouched,
    /// A frame is there, or on its way.
    Touched,
    /// Nothing is known.
    Unknown,
}

/// The memory under the frames, and where decisions go.
///
/// The matcher hands back every slot exactly once: with [`SlotMemory::landed`] or with
/// [`SlotMemory::release`].
pub trait SlotMemory: Store {
    /// `len` bytes of landed IP payload at `at`, which the matcher knows to lie inside frames it was given
    /// and has not handed back. No device writes them.
    fn bytes(&self, at: usize, len: usize) -> &[u8];

    /// What stands in front of the frame's payload now: its headers or something else, the matcher decides.
    fn headers(&self, frame: &Frame) -> RawHeaders;

    /// The same, all of it, and the payload's first bytes.
    fn head(&self, frame: &Frame) -> Head;

    /// What is known now of the slot below the newest frame's.
    fn below(&self, newest: &Frame) -> Below {
        let _ = newest;
        Below::Unknown
    }

    /// What stands in front of a payload at `at` and the payload's first 8 bytes, little-endian, in place.
    fn front(&self, at: usize) -> Option<(RawHeaders, u64)>;

    /// A datagram lies whole at `payload`; the slots from the one whose payload is at `lowest` upwards,
    /// `whole.fragments` of them, are its own from now on. One in a separate slot may be longer than a
    /// stride.
    fn landed(&mut self, whole: Whole, payload: usize, lowest: usize);

    /// A datagram was made whole by a copy; its UDP payload starts `start` bytes into `buf`.
    fn copied(&mut self, whole: Whole, buf: Self::Buf, start: usize);

    /// A frame that isn't LM's: it begins with `head`, and the rest is its payload; false if it could not be
    /// taken.
    fn stranger(&mut self, frame: &Frame, head: &Head) -> bool;

    /// The same of a frame that lies in no slot.
    fn stranger_copy(&mut self, bytes: &[u8]) -> bool;

    /// The frame's slot is no longer needed.
    fn release(&mut self, frame: &Frame);
}
