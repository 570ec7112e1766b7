//! [`Partial`]: an incomplete datagram, which of its bytes have arrived, and whether another fragment fits.
//!
//! The reassembler has one for each entry. It writes no bytes itself: it says how a fragment fits, and keeps
//! the account. A datagram counts as whole when its last fragment and as many bytes as its length have
//! arrived, none of them twice.

use super::Limits;
use super::bitmap::{Bitmap, UNIT};
use crate::counters::Reason;
use crate::service::Service;

/// How a fragment fits with those before it.
pub(super) enum Fit {
    /// None of its bytes has arrived yet.
    New,
    /// A fragment with the same offset, length and flag has arrived before.
    Again,
    /// It contradicts what has arrived.
    Conflict(Reason),
}

/// An incomplete datagram.
pub(super) struct Partial<B> {
    /// `None`: a tombstone, or not in use.
    pub(super) buf: Option<B>,
    /// The length of the datagram in bytes, once its last fragment has arrived.
    end: Option<usize>,
    /// The end of the fragment that reaches furthest.
    reach: usize,
    /// How many bytes have arrived.
    pub(super) filled: usize,
    pub(super) fragments: u16,
    /// Marks of explicit congestion notification that fragments had, a bit for each of the four.
    pub(super) marks: u8,
    /// What the header of the first fragment says.
    first: Service,
    /// Which units have arrived. They lie elsewhere, so that a look at all datagrams does not load them into
    /// the cache.
    maps: Box<Maps>,
}

#[derive(Default)]
struct Maps {
    /// Units that have arrived.
    units: Bitmap,
    /// Units that a fragment begins with.
    starts: Bitmap,
}

/// Marks that exclude each other (RFC 3168, section 5.3). 0b00 says that the sender does not use them, and
/// 0b11 says that a router met congestion and that the sender uses them.
const CONFLICT: u8 = 1 << 0b00 | 1 << 0b11;

impl<B> Partial<B> {
    pub(super) fn new() -> Self {
        Self {
            buf: None,
            end: None,
            reach: 0,
            filled: 0,
            fragments: 0,
            marks: 0,
            first: Service::default(),
            maps: Box::default(),
        }
    }

    /// Begins a new datagram. Clearing what the last one left takes no more work than that one took.
    pub(super) fn begin(&mut self, buf: B) {
        self.buf = Some(buf);
        self.end = None;
        (self.reach, self.filled, self.fragments, self.marks) = (0, 0, 0, 0);
        self.maps.units.clear();
        self.maps.starts.clear();
    }

    /// Notes the service of a fragment at this offset, also of a duplicate.
    #[inline]
    pub(super) fn mark(&mut self, offset: usize, service: Service) {
        self.marks |= 1 << (service.tos & 3);
        if offset == 0 {
            self.first = service;
        }
    }

    /// The service of the whole datagram.
    pub(super) fn service(&self) -> Service {
        self.first.with_marks(self.marks)
    }

    /// Whether fragments had marks that exclude each other.
    pub(super) fn marks_conflict(&self) -> bool {
        self.marks & CONFLICT == CONFLICT
    }

    /// How a fragment of `len` bytes fits. The caller has checked that it has at least one byte, ends within
    /// 65,515 bytes, and consists of whole units if `more`.
    pub(super) fn fit(&self, offset: usize, more: bool, len: usize) -> Fit {
        let end = offset + len;
        let (first, beyond) = (offset / UNIT, end.div_ceil(UNIT));
        let known = self.maps.units.any(first, beyond);
        let again = known
            && self.maps.starts.get(first)
            && self.maps.units.all(first, beyond)
            && !self.maps.starts.any(first + 1, beyond)
            && (self.maps.starts.get(beyond) || !self.maps.units.get(beyond));
        let agrees = match (more, self.end) {
            (true, None) => true,
            (true, Some(known)) => end < known,
            (false, None) => end > self.reach,
            (false, Some(known)) => end == known,
        };
        match (agrees, known, again) {
            (false, _, _) => Fit::Conflict(Reason::Inconsistent),
            (true, true, true) => Fit::Again,
            (true, true, false) => Fit::Conflict(Reason::Overlap),
            (true, false, _) if self.fragments >= Limits::MAX_FRAGMENTS => Fit::Conflict(Reason::TooMany),
            (true, false, _) => Fit::New,
        }
    }

    /// The offset of the first byte that has arrived.
    pub(super) fn lowest(&self) -> Option<usize> {
        self.maps.units.lowest().map(|unit| unit * UNIT)
    }

    /// Notes a new fragment. Returns whether the datagram is whole.
    pub(super) fn add(&mut self, offset: usize, more: bool, len: usize) -> bool {
        let end = offset + len;
        self.maps.units.set(offset / UNIT, end.div_ceil(UNIT));
        self.maps.starts.set(offset / UNIT, offset / UNIT + 1);
        self.filled += len;
        self.fragments += 1;
        self.reach = self.reach.max(end);
        if !more {
            self.end = Some(end);
        }
        self.end == Some(self.filled)
    }
}
