//! [`Span`]: a range of addresses with a fast test, which is made for every frame.

use crate::region::Segment;

/// A range of addresses.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(super) base: usize,
    pub(super) len: usize,
}

impl Span {
    /// Where a segment's memory is, under all its addresses.
    pub(super) fn of(segment: &Segment) -> Self {
        Self { base: segment.memory.base(), len: segment.memory.span() }
    }

    #[inline]
    pub(crate) fn covers(self, at: usize, len: usize) -> bool {
        len <= self.len && at.wrapping_sub(self.base) <= self.len - len
    }
}
