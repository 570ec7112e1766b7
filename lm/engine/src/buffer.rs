//! [`SendBuffer`]: a payload in blocks, behind holes where the headers go.
//!
//! [`Sender::buffer`](crate::Sender::buffer) makes one, the application fills it, and
//! [`Sender::send`](crate::Sender::send) writes the headers and sends it. A payload never becomes longer than
//! 65,507 bytes: what does not fit is not taken. A checksum that a message came with is kept only if the
//! whole payload is a copy of that message.

use std::io;

use bytes::BufMut;
use bytes::buf::UninitSlice;
use lm_landing::SendSlot;

use lm_proto::alf::{self, Blocks, ChecksumMode, Ends};
use lm_proto::carried::{Carried, Claims};
use lm_proto::layout::{Geometry, Layout};
use lm_proto::service::Service;
use lm_proto::wire::Flow;

use crate::message::Message;

/// A buffer for one datagram, in DPDK's memory. Fill it with [`io::Write`], with [`BufMut`], or in place with
/// [`SendBuffer::room`] and [`SendBuffer::advance`], and then send it. It may be filled on any thread.
/// Dropping it gives it back.
pub struct SendBuffer {
    pub(crate) slot: SendSlot,
    pub(crate) blocks: Blocks,
    pub(crate) mode: ChecksumMode,
    pub(crate) service: Service,
    /// The checksum and the digest of a message, and its addresses, if the payload is a copy of that
    /// message's.
    pub(crate) carried: Option<(Carried, Flow)>,
}

impl SendBuffer {
    pub(crate) fn new(slot: SendSlot, geometry: Geometry, mode: ChecksumMode) -> Self {
        Self { slot, blocks: Blocks::new(geometry), mode, service: Service::default(), carried: None }
    }

    /// Copies a message in, together with the checksum and digest that it came with.
    pub(crate) fn copy_message(&mut self, message: &Message) {
        self.clear();
        let mode = if message.carried().is_some() { ChecksumMode::Zero } else { self.mode };
        for piece in message.pieces() {
            self.blocks.fill(self.slot.bytes_mut(), piece, mode);
        }
        self.carried = message.carried().map(|carried| (*carried, message.flow()));
    }

    /// Writes headers and tag around the payload.
    pub(crate) fn seal(&mut self, ends: &Ends, id: u16) -> Layout {
        let (bytes, geometry) = (self.slot.bytes_mut(), self.blocks.geometry());
        let claims = match (self.mode, &self.carried) {
            (ChecksumMode::Zero, _) => Claims::NONE,
            (ChecksumMode::Full, None) => self.blocks.claims(bytes, &ends.flow),
            (ChecksumMode::Full, Some((carried, from))) => {
                let layout = self.blocks.layout();
                Claims::carried(carried, [from, &ends.flow], geometry, &layout, || self.blocks.digest(bytes))
            }
        };
        let layout = self.blocks.seal_as(bytes, ends, id, claims);
        if self.service != Service::default() {
            (0..layout.fragments())
                .for_each(|i| self.service.stamp(&mut bytes[alf::frame(geometry, &layout, i)]));
        }
        layout
    }

    /// The number of bytes of payload so far.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether it has no payload yet.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The number of bytes that still fit. A payload has at most 65,507.
    pub fn remaining(&self) -> usize {
        self.blocks.remaining()
    }

    /// The type of service and the time to live of the datagram, instead of the default.
    pub fn set_service(&mut self, service: Service) {
        self.service = service;
    }

    /// Forgets the payload.
    pub fn clear(&mut self) {
        self.carried = None;
        self.blocks.clear();
    }

    /// The rest of the present payload block, to be filled from its start. It is empty if nothing fits.
    pub fn room(&mut self) -> &mut [u8] {
        self.carried = None;
        let room = self.blocks.room();
        &mut self.slot.bytes_mut()[room]
    }

    /// Says that `n` bytes of [`SendBuffer::room`] were filled. A larger `n` counts as the length of the
    /// room.
    pub fn advance(&mut self, n: usize) {
        self.carried = None;
        self.blocks.advance(n);
    }

    /// Copies as much of `data` as fits. Returns the number of bytes copied.
    pub fn fill(&mut self, data: &[u8]) -> usize {
        self.carried = None;
        self.blocks.fill(self.slot.bytes_mut(), data, self.mode)
    }
}

impl io::Write for SendBuffer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(self.fill(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// SAFETY: `chunk_mut` is the room that `advance_mut` moves past, and `remaining_mut` what is left in all;
// they change by the same bookkeeping.
#[allow(unsafe_code)]
unsafe impl BufMut for SendBuffer {
    fn remaining_mut(&self) -> usize {
        self.remaining()
    }

    unsafe fn advance_mut(&mut self, n: usize) {
        self.advance(n);
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        UninitSlice::new(self.room())
    }
}
