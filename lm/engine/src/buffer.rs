//! [`SendBuffer`]: a payload in blocks, behind holes where the headers go.

use std::io;

use bytes::BufMut;
use bytes::buf::UninitSlice;
use lm_landing::SendSlot;

use lm_proto::alf::{Blocks, ChecksumMode, Sums};
use lm_proto::layout::Geometry;
use lm_proto::service::Service;

/// A buffer for one datagram, in DPDK's memory. Fill it with [`io::Write`], with [`BufMut`], or in place with
/// [`SendBuffer::room`] and [`SendBuffer::advance`]; then send it. `Send`; dropping it gives it back.
pub struct SendBuffer {
    pub(crate) slot: SendSlot,
    pub(crate) blocks: Blocks,
    pub(crate) mode: ChecksumMode,
    pub(crate) service: Service,
}

impl SendBuffer {
    pub(crate) fn new(slot: SendSlot, geometry: Geometry, sums: Sums, mode: ChecksumMode) -> Self {
        Self { slot, blocks: Blocks::reusing(geometry, sums), mode, service: Service::default() }
    }

    /// Bytes of payload so far.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// No payload yet.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Bytes that still fit, up to 65,507 in all.
    pub fn remaining(&self) -> usize {
        self.blocks.remaining()
    }

    /// The type of service and the time to live of the datagram, instead of the default.
    pub fn set_service(&mut self, service: Service) {
        self.service = service;
    }

    /// Forgets the payload.
    pub fn clear(&mut self) {
        self.blocks.clear();
    }

    /// The rest of the payload block that comes next, to be filled from its start; empty when nothing fits.
    pub fn room(&mut self) -> &mut [u8] {
        let room = self.blocks.room();
        &mut self.slot.bytes_mut()[room]
    }

    /// `n` bytes of [`SendBuffer::room`] were filled; more than it has are not counted.
    pub fn advance(&mut self, n: usize) {
        self.blocks.advance(n);
    }

    /// Copies `data` in, as much as fits; bytes taken.
    pub fn fill(&mut self, data: &[u8]) -> usize {
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
