//! What the matcher knows of the ground that datagrams land on.
//!
//! The matcher never sees an mbuf, a ring or a pool. It sees [`Frame`]s, one for each slot that the device
//! filled, in ring order, and asks its [`Ground`] for bytes. On DPDK the ground is a landing pool; in tests
//! it is [`crate::mock`].

use crate::packet::Head;
use crate::reassembler::Store;
use crate::wire::{Flow, HEADERS};
use crate::words::HeaderWords;

/// How the slot of a frame was laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// One stride below the one before: the frame's payload overwrites that one's headers.
    Overlapping,
    /// Wider than any frame: nothing reaches its headers.
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
    /// Bytes of frame.
    pub len: u16,
    /// How the slot lies.
    pub slot: Slot,
    /// 0: the frame is in place. Else it was received in that bounce slot, where its headers still are, and
    /// its payload was copied into place.
    pub bounce: u16,
}

impl Frame {
    /// Bytes behind the headers.
    #[inline(always)]
    pub fn payload_len(&self) -> usize {
        usize::from(self.len).saturating_sub(HEADERS)
    }

    /// Whether this frame, received right after `above`, reached its headers.
    #[inline(always)]
    pub fn reaches(&self, above: &Self) -> bool {
        above.bounce == 0 && self.at < above.at && self.at + self.payload_len() > above.at - HEADERS
    }
}

/// How a datagram is known to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WholeBy {
    /// Every fragment's header was seen.
    Headers,
    /// The UDP checksum agrees, and so does what proves the fragments' order.
    Checksum,
    /// The end tag ties the last fragment to the first, on a queue that is kept clean.
    Tags,
}

impl WholeBy {
    /// Its name in logs and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Checksum => "checksum",
            Self::Tags => "tags",
        }
    }
}

/// What counts as proof that a datagram is whole: any one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Require {
    /// Every header seen (and the UDP checksum good where there is one).
    pub headers: bool,
    /// UDP checksum and order digest.
    pub checksum: bool,
    /// End tags; only on a granted or steered queue.
    pub tags: bool,
}

impl Default for Require {
    fn default() -> Self {
        Self { headers: true, checksum: true, tags: false }
    }
}

/// Whose datagrams a receiver takes; what it doesn't take is a stranger's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    /// Only this destination address.
    pub address: Option<u32>,
    /// Only this destination port.
    pub port: Option<u16>,
}

impl Accept {
    /// Whether a datagram of this flow is taken.
    #[inline(always)]
    pub fn takes(&self, flow: &Flow) -> bool {
        self.address.is_none_or(|a| a == flow.dst) && self.port.is_none_or(|p| p == flow.dst_port)
    }
}

/// A datagram that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Who sent it to whom.
    pub flow: Flow,
    /// Bytes of UDP payload.
    pub len: usize,
    /// In how many fragments it came.
    pub fragments: u16,
    /// How that is known.
    pub by: WholeBy,
}

/// Frames of a burst that are not taken yet, in ring order.
pub trait Frames {
    /// How many of the next frames are *plain*, in place in overlapping slots, and lie one `stride` below the other, the first
    /// with its payload at `at`, and are of these lengths: `ahead` frames of `full` bytes and one of `last`, and then again
    /// and again `behind` full ones and one of `last`. They are not taken.
    fn march(&self, at: usize, stride: usize, full: u16, ahead: usize, last: u16, behind: usize) -> usize;

    /// Takes the next `n` frames; there are as many.
    fn skip(&mut self, n: usize);

    /// Takes the next frame if it is plain.
    fn next(&mut self) -> Option<Frame>;
}

/// One plain frame.
impl Frames for Option<Frame> {
    fn march(&self, at: usize, _: usize, full: u16, ahead: usize, last: u16, _: usize) -> usize {
        let len = if ahead > 0 { full } else { last };
        usize::from(self.is_some_and(|frame| (frame.at, frame.len) == (at, len)))
    }

    fn skip(&mut self, n: usize) {
        if n > 0 {
            *self = None;
        }
    }

    fn next(&mut self) -> Option<Frame> {
        self.take()
    }
}

/// What is known of the slot below a frame's, the only one from which its headers can be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Below {
    /// No device had reached the middle of that slot yet, or no slot is there: what was read of the frame's headers
    /// *before* this was asked was intact.
    Untouched,
    /// A frame is there, or on its way.
    Touched,
    /// Nothing is known.
    Unknown,
}

/// The memory under the frames, and where decisions go.
///
/// The matcher hands back every slot exactly once: with [`Ground::landed`] or with [`Ground::release`].
pub trait Ground: Store {
    /// `len` bytes of landed IP payload at `at`, which the matcher knows to lie inside frames it was given
    /// and has not handed back. No device writes them.
    fn bytes(&self, at: usize, len: usize) -> &[u8];

    /// What stands in front of the frame's payload now: its headers or something else, the matcher decides.
    fn headers(&self, frame: &Frame) -> HeaderWords;

    /// The same, all of it, and the payload's first bytes.
    fn head(&self, frame: &Frame) -> Head;

    /// What is known now of the slot below the newest frame's.
    fn below(&self, newest: &Frame) -> Below {
        let _ = newest;
        Below::Unknown
    }

    /// What stands in front of a payload at `at` and the payload's first 8 bytes, little-endian, in place.
    fn front(&self, at: usize) -> Option<(HeaderWords, u64)>;

    /// A datagram lies whole at `payload`; the slots from the one whose payload is at `lowest` upwards,
    /// `whole.fragments` of them, are its own from now on. One in a separate slot may be longer than a stride.
    fn landed(&mut self, whole: Whole, payload: usize, lowest: usize);

    /// A datagram was made whole by a copy; its UDP payload starts `start` bytes into `buf`.
    fn copied(&mut self, whole: Whole, buf: Self::Buf, start: usize);

    /// A frame that isn't LM's: it begins with `head`, and the rest is its payload; false if it could not be taken.
    fn stranger(&mut self, frame: &Frame, head: &Head) -> bool;

    /// The same of a frame that lies in no slot.
    fn stranger_copy(&mut self, bytes: &[u8]) -> bool;

    /// The frame's slot is no longer needed.
    fn release(&mut self, frame: &Frame);
}
