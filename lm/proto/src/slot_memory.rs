//! [`SlotMemory`]: the trait through which the matcher reads landed frames and reports its decisions.
//!
//! `lm-engine` implements it with a landing pool, and `mock` implements it for tests. Payload is read through
//! the token of its slots, and giving a slot back consumes its token. So the matcher cannot read a slot that
//! it has given back, nor give a slot back twice.

use crate::frame::{Frame, Head, Received, Slots};
use crate::policy::Whole;
use crate::raw_headers::RawHeaders;
use crate::reassembler::Store;
use crate::service::Service;

/// The state of the slot below a frame's slot. Only a frame there can overwrite the frame's headers.
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

/// The memory in which frames landed, and what receives the matcher's decisions.
///
/// The matcher hands back every slot: with [`SlotMemory::landed`], [`SlotMemory::in_pieces`] or
/// [`SlotMemory::release`].
pub trait SlotMemory: Store {
    /// The token of slots of this memory.
    type Slots: Slots;

    /// `len` bytes of landed IP payload at `at`, inside these slots. No device writes them.
    fn bytes<'a>(&'a self, slots: &'a Self::Slots, at: usize, len: usize) -> &'a [u8];

    /// Makes one token of two, of slots that lie right below the others; an error if they do
    /// not.
    ///
    /// # Errors
    /// `below`, as it was.
    fn join(&self, above: &mut Self::Slots, below: Self::Slots) -> Result<(), Self::Slots>;

    /// The bytes in front of the frame's payload as they are now. The matcher decides whether they are its
    /// headers.
    fn headers(&self, frame: &Frame) -> RawHeaders;

    /// All bytes in front of the frame's payload as they are now, and the payload's first bytes.
    fn head(&self, frame: &Frame) -> Head;

    /// The present state of the slot below the newest frame's.
    fn below(&self, newest: &Frame) -> Below {
        let _ = newest;
        Below::Unknown
    }

    /// The bytes in front of a payload at `at`, and the payload's first 8 bytes as a little-endian word.
    fn front(&self, at: usize) -> Option<(RawHeaders, u64)>;

    /// The 8 bytes at `at`, in place, as they are now.
    fn eight(&self, at: usize) -> Option<[u8; 8]>;

    /// A datagram lies whole at `payload`; these slots, `whole.fragments` of them, are its own from now on.
    /// One in a separate slot may be longer than a stride.
    fn landed(&mut self, whole: Whole, payload: usize, slots: Self::Slots);

    /// The datagram that is given out next had this in its header. It is not called for a datagram whose
    /// header was overwritten.
    fn came_with(&mut self, _service: Service) {}

    /// A datagram is whole, and its fragments lie where they landed. Each piece of its payload comes, in
    /// order, with the token of its slot, its address and its length. If the length is 0, the slot is not
    /// needed any more. The implementation has to take all pieces.
    fn in_pieces(&mut self, whole: Whole, pieces: impl Iterator<Item = (Self::Slots, usize, usize)>);

    /// A datagram was made whole by a copy; its UDP payload starts `start` bytes into `buf`.
    fn copied(&mut self, whole: Whole, buf: Self::Buf, start: usize);

    /// A frame that isn't LM's: it begins with `head`, and the rest is its payload; false if it could not be
    /// taken.
    fn stranger(&mut self, frame: Received<&Self::Slots>, head: &Head) -> bool;

    /// The same of a frame that lies in no slot.
    fn stranger_copy(&mut self, bytes: &[u8]) -> bool;

    /// These slots are no longer needed.
    fn release(&mut self, slots: Self::Slots);
}
