//! [`Span`]: a range of addresses, and a fast test whether some bytes lie in it.
//!
//! The mempool handler makes this test for every received frame. No address and no length makes it overflow.

use crate::region::Segment;

/// A range of addresses.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(super) base: usize,
    pub(super) len: usize,
}

impl Span {
    /// The addresses of a segment's memory: twice its length if it is mapped twice.
    pub(super) fn of(segment: &Segment) -> Self {
        Self { base: segment.memory.base(), len: segment.memory.span() }
    }

    #[inline]
    pub(crate) fn covers(self, at: usize, len: usize) -> bool {
        len <= self.len && at.wrapping_sub(self.base) <= self.len - len
    }
}
