//! [`Piece`]: a fragment that waits where it landed. [`Shape`] and [`Place`]: where it belongs in its
//! datagram.

use crate::service::Service;

/// Where a fragment belongs in its datagram, by an IPv4 header that was checked: it has at least one byte,
/// whole units of 8 bytes if `more` follow, and ends within 65,515 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) offset: usize,
    pub(crate) more: bool,
    pub(crate) len: usize,
}

/// A fragment where it landed: the token of its slot, the address and length of its payload, and its service.
#[derive(Debug)]
pub(crate) struct Piece<S> {
    pub(crate) slots: S,
    pub(crate) at: usize,
    pub(crate) len: u16,
    pub(crate) service: Service,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The fragment has this number, and is the first to come with it.
    New(usize),
    /// The fragment has this number, and one of the same shape is there already.
    Again(usize),
    /// The fragment was not cut as those that are there, or contradicts them.
    Odd,
}
