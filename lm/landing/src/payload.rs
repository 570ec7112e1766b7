//! [`Payload`]: the bytes of a delivered datagram, in held slots of a region, in one piece or in several, or
//! in a buffer that they were copied to.
//!
//! `lm-engine` makes a message of it, and its sender transmits it from where it lies.

use lm_proto::frame::FRONT;
use rte::Mbuf;
use rte::mempool::Mempool;

use crate::pieces::Pieces;
use crate::pool::LandingPool;
use crate::region::{HeldPiece, Hold};
use crate::send::{Contiguous, SendSlot, show};
use crate::slots::LandedSlots;

/// A delivered datagram's bytes. Dropping it, on any thread, gives the memory back.
pub struct Payload {
    storage: Storage,
    /// An address in landed memory, or an offset in a buffer.
    at: usize,
    len: usize,
}

enum Storage {
    Landed(Hold),
    Pieces(Pieces),
    Copied(SendSlot),
    /// Pieces that were copied together, because somebody wanted one slice.
    Joined(Vec<u8>),
}

/// The pieces of a payload, in order.
struct Iter<'a> {
    one: Option<&'a [u8]>,
    several: std::slice::Iter<'a, HeldPiece>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.one.take().or_else(|| self.several.next().map(HeldPiece::bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n = usize::from(self.one.is_some()) + self.several.len();
        (n, Some(n))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl Payload {
    /// The payload of `len` bytes at address `at`, which has landed in these slots. They are held from now
    /// on.
    ///
    /// # Errors
    /// The slots, if [`LandingPool::hold`] refuses them, or if the frame below may reach the first byte.
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

    /// The payload of `len` bytes from `start` on in a buffer. If the buffer is shorter, it is given back,
    /// and the result is `None`.
    pub fn copied(buffer: SendSlot, start: usize, len: usize) -> Option<Self> {
        buffer.bytes().get(start..)?.get(..len)?;
        Some(Self { storage: Storage::Copied(buffer), at: start, len })
    }

    /// The payload in several separate slots. Each piece comes with the token of its slot, its address and
    /// its length, in order. The slots are held from now on. Slots without a byte of the payload are
    /// released.
    ///
    /// If one cannot be held, because it is no separate slot of this pool or does not contain so many bytes,
    /// all are released, and the result is `None`.
    #[inline]
    pub fn in_pieces(
        pool: &LandingPool,
        pieces: impl Iterator<Item = (LandedSlots, usize, usize)>,
    ) -> Option<Self> {
        let pieces = Pieces::hold(pool, pieces)?;
        let len = pieces.as_slice().iter().map(|piece| piece.bytes().len()).sum();
        Some(Self { storage: Storage::Pieces(pieces), at: 0, len })
    }

    /// The length of the payload in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it was copied.
    #[inline]
    pub fn is_copied(&self) -> bool {
        matches!(self.storage, Storage::Copied(_) | Storage::Joined(_))
    }

    /// The bytes where they lie, in order, no slice empty.
    #[inline]
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        match &self.storage {
            Storage::Pieces(pieces) => Iter { one: None, several: pieces.as_slice().iter() },
            _ => Iter { one: self.as_slice().filter(|bytes| !bytes.is_empty()), several: [].iter() },
        }
    }

    /// The bytes, if they lie in one piece.
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        match &self.storage {
            // The hold has the bytes: that was checked when this value was made.
            Storage::Landed(hold) => Some(hold.bytes(self.at, self.len).unwrap_or_default()),
            _ => self.as_slice_elsewhere(),
        }
    }

    /// The same of bytes that did not land in one piece.
    #[inline(never)]
    fn as_slice_elsewhere(&self) -> Option<&[u8]> {
        let bytes = match &self.storage {
            Storage::Landed(hold) => hold.bytes(self.at, self.len),
            Storage::Pieces(pieces) => match pieces.as_slice() {
                [] => Some(&[][..]),
                [one] => Some(one.bytes()),
                _ => return None,
            },
            Storage::Copied(buffer) => buffer.bytes().get(self.at..).and_then(|rest| rest.get(..self.len)),
            Storage::Joined(bytes) => Some(&bytes[..]),
        };
        // The bytes are there: that was checked when this value was made.
        Some(bytes.unwrap_or_default())
    }

    /// The bytes in one piece. Several pieces are copied together, once, into memory that is allocated for
    /// them, and their slots go back.
    #[inline]
    pub fn contiguous(&mut self) -> &[u8] {
        if !matches!(self.storage, Storage::Landed(_)) {
            self.join();
        }
        self.as_slice().unwrap_or_default()
    }

    /// Copies several pieces together.
    #[inline(never)]
    fn join(&mut self) {
        if let Storage::Pieces(pieces) = &self.storage
            && pieces.as_slice().len() > 1
        {
            self.storage = Storage::Joined(pieces.join(self.len));
        }
    }

    /// The bytes, which may be changed, because nobody else has them. Pieces are copied together, as by
    /// [`contiguous`](Self::contiguous).
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (at, len) = (self.at, self.len);
        if let Storage::Pieces(pieces) = &self.storage {
            self.storage = Storage::Joined(pieces.join(len));
        }
        let bytes = match &mut self.storage {
            Storage::Landed(hold) => hold.bytes_mut(at, len),
            Storage::Joined(bytes) => Some(&mut bytes[..]),
            // It was joined just now.
            Storage::Pieces(_) => None,
            Storage::Copied(buffer) => buffer.bytes_mut().get_mut(at..).and_then(|rest| rest.get_mut(..len)),
        };
        // The bytes are there: that was checked when this value was made.
        bytes.unwrap_or_default()
    }

    /// The bytes as an mbuf of one segment from `pool`, without a copy. The mbuf has no headroom and no
    /// tailroom, because the bytes around belong to others. The memory goes back when the mbuf is freed.
    ///
    /// # Errors
    /// The payload, if the pool is empty, or if devices cannot read the bytes as one buffer. That is so if
    /// they lie in several pieces, were copied together from several, or cross a break.
    pub fn into_mbuf(self, pool: &Mempool) -> Result<Mbuf, Self> {
        // The pool is the caller's, and may be one of mbufs without room.
        show(self, pool)
    }
}

// SAFETY: landed memory does not move, and nobody writes it while it is held. The bytes of a buffer lie in a
// memzone, and this value is their only owner; nobody can change them once it was given away. The address for
// devices is what DPDK told of that very byte. A payload in several pieces shows no bytes, and neither it nor
// a joined one has an address for devices.
unsafe impl Contiguous for Payload {
    #[inline]
    fn payload(&self) -> &[u8] {
        self.as_slice().unwrap_or_default()
    }

    #[inline]
    fn iova(&self, offset: usize, len: usize) -> Option<u64> {
        match &self.storage {
            Storage::Landed(hold) => hold.iova(self.at + offset, len),
            Storage::Pieces(pieces) => match pieces.as_slice() {
                [one] => one.iova(offset, len),
                _ => None,
            },
            Storage::Copied(buffer) => Some(buffer.iova(self.at + offset)),
            Storage::Joined(_) => None,
        }
    }
}
