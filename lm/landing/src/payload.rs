//! [`Payload`]: the bytes of a delivered datagram, in held slots of a region or in a buffer that they were
//! copied to.
//!
//! `lm-engine` makes a message of it, and its sender transmits it from where it lies.

use std::ops::Range;

use rte::Mbuf;
use rte::mempool::Mempool;

use crate::pool::LandingPool;
use crate::region::{FRONT, Hold};
use crate::send::{Contiguous, Cut, Record, SendSlot, show};
use crate::slots::LandedSlots;

/// A delivered datagram's bytes. Dropping it, on any thread, gives the memory back.
pub struct Payload {
    storage: Storage,
    /// Address in landed memory; offset in a buffer.
    at: usize,
    len: usize,
}

enum Storage {
    Landed(Hold),
    Copied(SendSlot),
}

impl Payload {
    /// `len` bytes at address `at`, landed in these slots, which are held from now on.
    ///
    /// # Errors
    /// The slots, if [`LandingPool::hold`] does not hold them up to the last byte, or the first one is among
    /// those that the frame below may reach.
    #[inline]
    pub fn landed(
        pool: &LandingPool,
        slots: LandedSlots,
        at: usize,
        len: usize,
    ) -> Result<Self, LandedSlots> {
        let into = at.wrapping_sub(slots.lowest());
        if into < FRONT {
            return Err(slots);
        }
        let hold = pool.hold(slots, into.saturating_add(len))?;
        debug_assert!(hold.bytes(at, len).is_some(), "a hold has all that was landed in it");
        Ok(Self { storage: Storage::Landed(hold), at, len })
    }

    /// `len` bytes from `start` on of a buffer; `None`, and it is given back, if it is shorter.
    pub fn copied(buffer: SendSlot, start: usize, len: usize) -> Option<Self> {
        buffer.bytes().get(start..)?.get(..len)?;
        Some(Self { storage: Storage::Copied(buffer), at: start, len })
    }

    /// Whether it was copied.
    #[inline]
    pub fn is_copied(&self) -> bool {
        matches!(self.storage, Storage::Copied(_))
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let bytes = match &self.storage {
            Storage::Landed(hold) => hold.bytes(self.at, self.len),
            Storage::Copied(buffer) => buffer.bytes().get(self.at..).and_then(|rest| rest.get(..self.len)),
        };
        // They are there: it was looked when this was made.
        bytes.unwrap_or_default()
    }

    /// The bytes, to be changed: nobody else has them.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (at, len) = (self.at, self.len);
        let bytes = match &mut self.storage {
            Storage::Landed(hold) => hold.bytes_mut(at, len),
            Storage::Copied(buffer) => buffer.bytes_mut().get_mut(at..).and_then(|rest| rest.get_mut(..len)),
        };
        // They are there: it was looked when this was made.
        bytes.unwrap_or_default()
    }

    /// Whether a device can read these of the bytes at one go where they lie.
    #[inline]
    pub fn is_readable(&self, part: Range<usize>) -> bool {
        part.end <= self.len && self.iova(part.start, part.len()).is_some()
    }

    /// The bytes as an mbuf of one segment from `pool`, without a copy, head- or tailroom: the bytes around
    /// belong to others. They go back when the mbuf is freed.
    ///
    /// # Errors
    /// The payload, if the pool is empty or the bytes are not contiguous for devices.
    pub fn into_mbuf(self, pool: &Mempool) -> Result<Mbuf, Self> {
        let mut packets = Vec::with_capacity(1);
        let len = self.len;
        // One mbuf of the caller's pool, which may be a pool of mbufs without room.
        show(self, std::iter::once(0..len), &mut Cut::default(), Record::Allocated, pool, &mut packets)?;
        packets.pop().ok_or_else(|| unreachable!("show made one packet"))
    }
}

// SAFETY: landed memory stays where it is and unwritten while held; a buffer's bytes lie in a memzone and
// this is their only owner, who gives mutable access to nobody once it was given away. The IOVA is what DPDK told of the very address.
unsafe impl Contiguous for Payload {
    fn payload(&self) -> &[u8] {
        self.bytes()
    }

    fn iova(&self, offset: usize, len: usize) -> Option<u64> {
        match &self.storage {
            Storage::Landed(hold) => hold.iova(self.at + offset, len),
            Storage::Copied(buffer) => Some(buffer.iova(self.at + offset)),
        }
    }
}
