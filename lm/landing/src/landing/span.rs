//! [`Span`]: a range of addresses with a fast test, which is made for every frame.

/// A range of addresses.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(super) base: usize,
    pub(super) len: usize,
}

impl Span {
    #[inline]
    pub(crate) fn covers(self, at: usize, len: usize) -> bool {
        len <= self.len && at.wrapping_sub(self.base) <= self.len - len
    }
}
