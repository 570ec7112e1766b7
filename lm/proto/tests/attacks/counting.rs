//! Slot memory in which slots descend, and which counts what the matcher asks of it.
//!
//! `cost.rs` uses it. It does not check what is delivered, so long streams run fast.

use lm_proto::frame::{Frame, Head, Received, Slot, Slots};
use lm_proto::layout::Geometry;
use lm_proto::policy::Whole;
use lm_proto::raw_headers::{RAW_HEADERS, RawHeaders};
use lm_proto::reassembler::Store;
use lm_proto::slot_memory::{Below, SlotMemory};
use lm_proto::wire::{HEADERS, MIN_FRAME};
use std::cell::Cell;

/// Room above the highest slot and below the lowest.
const MARGIN: usize = 20_000;

/// The token of slots one below the other: where the lowest is, how many there are, and how many bytes one
/// has.
pub(crate) struct Token {
    lowest: usize,
    n: usize,
    stride: usize,
}

impl Slots for Token {
    fn split_behind(&mut self, n: usize) -> Option<Self> {
        let behind = self.n.checked_sub(n).filter(|&behind| behind > 0)?;
        let below = Self { n: behind, ..*self };
        (self.n, self.lowest) = (n, self.lowest + behind * self.stride);
        Some(below)
    }
}

pub(crate) struct Counting {
    mem: Vec<u8>,
    geometry: Geometry,
    last: usize,
    pub(crate) slot: Slot,
    /// Headers that were looked at.
    headers: Cell<u64>,
    /// Bytes of payload that were asked for, to be summed, compared or copied.
    bytes: Cell<u64>,
    /// Buffers that came back.
    spare: Vec<Vec<u8>>,
    pub(crate) delivered: u64,
    /// Frames that were not handed back.
    pub(crate) out: i64,
}

impl Counting {
    /// Memory for a matcher that lets `window` frames wait.
    pub(crate) fn new(geometry: Geometry, slot: Slot, window: u64) -> Self {
        let slots = 1200 + if slot == Slot::Separate { window as usize } else { 0 };
        let len = slots * (usize::from(geometry.mtu()) + 700) + 2 * MARGIN;
        Self {
            mem: vec![0; len],
            geometry,
            last: len - MARGIN,
            slot,
            headers: Cell::new(0),
            bytes: Cell::new(0),
            spare: Vec::new(),
            delivered: 0,
            out: 0,
        }
    }

    /// The device writes a frame into the next slot.
    pub(crate) fn arrive(&mut self, frame: &[u8]) -> Received<Token> {
        let pitch = match self.slot {
            Slot::Separate => (self.geometry.full_frame() + 700) & !7,
            _ => self.geometry.stride(),
        };
        if self.last < MARGIN {
            self.last = self.mem.len() - MARGIN;
        }
        self.last -= pitch;
        let at = self.last - HEADERS;
        self.mem[at..at + frame.len()].copy_from_slice(frame);
        let len = frame.len().max(MIN_FRAME);
        self.mem[at + frame.len()..at + len].fill(0);
        self.out += 1;
        let frame = Frame { at: self.last, len: len as u16, slot: self.slot, bounce: 0 };
        Received { frame, slots: Token { lowest: self.last, n: 1, stride: pitch }, word: 0 }
    }

    /// The work so far, in units of about a nanosecond. A header counts as much as 512 bytes of payload,
    /// because it may be a cache miss, and sums are computed by vector instructions.
    pub(crate) fn work(&self) -> u64 {
        self.headers.get() * 16 + self.bytes.get() / 32
    }

    fn look(&self, headers: u64, bytes: usize) {
        self.headers.set(self.headers.get() + headers);
        self.bytes.set(self.bytes.get() + bytes as u64);
    }
}

impl Store for Counting {
    type Buf = Vec<u8>;
    fn take(&mut self) -> Option<Vec<u8>> {
        // Buffers are used again, because to allocate one costs more than what is measured.
        Some(self.spare.pop().unwrap_or_else(|| vec![0; 65_536]))
    }
    fn give(&mut self, buf: Vec<u8>) {
        self.spare.push(buf);
    }
}

impl SlotMemory for Counting {
    type Slots = Token;

    fn bytes<'a>(&'a self, slots: &'a Token, at: usize, len: usize) -> &'a [u8] {
        if at + len > slots.lowest + slots.n * slots.stride {
            return &[];
        }
        // To ask for any costs something.
        self.look(0, len.max(RAW_HEADERS));
        &self.mem[at..at + len]
    }
    fn join(&self, above: &mut Token, below: Token) -> Result<(), Token> {
        if below.lowest + below.n * below.stride != above.lowest {
            return Err(below);
        }
        (above.lowest, above.n) = (below.lowest, above.n + below.n);
        Ok(())
    }
    fn headers(&self, frame: &Frame) -> RawHeaders {
        self.look(1, 0);
        RawHeaders::of(*self.mem[frame.at - RAW_HEADERS..].first_chunk().expect("margin"))
    }
    fn head(&self, frame: &Frame) -> Head {
        self.look(1, 0);
        *self.mem[frame.at - HEADERS..].first_chunk().expect("margin")
    }
    fn below(&self, _: &Frame) -> Below {
        // A word of the slot below is read.
        self.look(1, 0);
        Below::Untouched
    }
    fn front(&self, at: usize) -> Option<(RawHeaders, u64)> {
        self.look(1, 0);
        let words = RawHeaders::of(*self.mem[at - RAW_HEADERS..].first_chunk()?);
        Some((words, u64::from_le_bytes(*self.mem[at..].first_chunk()?)))
    }
    fn eight(&self, at: usize) -> Option<[u8; 8]> {
        self.look(0, RAW_HEADERS);
        self.mem[at..].first_chunk().copied()
    }
    fn landed(&mut self, _: Whole, _: usize, slots: Token) {
        self.delivered += 1;
        self.release(slots);
    }
    fn in_pieces(&mut self, _: Whole, pieces: impl Iterator<Item = (Token, usize, usize)>) {
        self.delivered += 1;
        pieces.for_each(|(slots, ..)| {
            self.look(1, 0);
            self.release(slots);
        });
    }
    fn copied(&mut self, _: Whole, buf: Vec<u8>, _: usize) {
        self.delivered += 1;
        self.spare.push(buf);
    }
    fn stranger(&mut self, frame: Received<&Token>, _: &Head) -> bool {
        self.look(0, frame.len.into());
        true
    }
    fn stranger_copy(&mut self, bytes: &[u8]) -> bool {
        self.look(0, bytes.len());
        true
    }
    fn release(&mut self, slots: Token) {
        self.out -= slots.n as i64;
    }
}
