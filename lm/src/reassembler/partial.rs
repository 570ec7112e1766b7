//! A datagram in the making: which of its bytes are here, and whether another fragment fits them.

use super::Limits;
use super::bitmap::{Bitmap, UNIT};
use crate::counters::Reason;

/// How a fragment fits with those before it.
pub(super) enum Fit {
    New,
    /// The same offset, length and flag as one before.
    Again,
    Conflict(Reason),
}

/// A datagram in the making.
pub(super) struct Partial<B> {
    /// `None`: a tombstone.
    pub(super) buf: Option<B>,
    /// Bytes of the datagram, once its last fragment is here.
    end: Option<usize>,
    /// Where the fragment that reaches furthest ends.
    reach: usize,
    /// Bytes that are here.
    pub(super) filled: usize,
    pub(super) fragments: u16,
    /// Units that are here.
    units: Bitmap,
    /// Units that a fragment begins with.
    starts: Bitmap,
}

impl<B> Partial<B> {
    pub(super) fn new(buf: Option<B>) -> Self {
        let (units, starts) = (Bitmap::default(), Bitmap::default());
        Self { buf, end: None, reach: 0, filled: 0, fragments: 0, units, starts }
    }

    /// How a fragment of `len` bytes, at least one, fits: within 65,515 bytes, and in whole units if `more`.
    pub(super) fn fit(&self, offset: usize, more: bool, len: usize) -> Fit {
        let end = offset + len;
        let (first, beyond) = (offset / UNIT, end.div_ceil(UNIT));
        let known = self.units.any(first, beyond);
        let again = known
            && self.starts.get(first)
            && self.units.all(first, beyond)
            && !self.starts.any(first + 1, beyond)
            && (self.starts.get(beyond) || !self.units.get(beyond));
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

    /// Marks a new fragment; true: the datagram is whole.
    pub(super) fn add(&mut self, offset: usize, more: bool, len: usize) -> bool {
        let end = offset + len;
        self.units.set(offset / UNIT, end.div_ceil(UNIT));
        self.starts.set(offset / UNIT, offset / UNIT + 1);
        self.filled += len;
        self.fragments += 1;
        self.reach = self.reach.max(end);
        if !more {
            self.end = Some(end);
        }
        self.end == Some(self.filled)
    }
}
