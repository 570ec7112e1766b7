//! [`Message`]: a datagram that is whole.

use std::fmt;
use std::ops::Deref;

use lm_landing::Payload;
use rte::Mbuf;
use rte::mempool::Mempool;

use lm_proto::policy::{Whole, WholeBy};
use lm_proto::wire::Flow;

/// A delivered datagram: its UDP payload, contiguous, where it landed (or, if it was copied, in a buffer).
///
/// Any thread may have it. Its memory goes back to the landing region when it is dropped, so one that is kept
/// for long makes the region grow, and exhausts it in the end.
pub struct Message {
    whole: Whole,
    payload: Payload,
}

impl Message {
    pub(crate) fn new(whole: Whole, payload: Payload) -> Self {
        Self { whole, payload }
    }

    /// Who sent it to whom.
    pub fn flow(&self) -> Flow {
        self.whole.flow
    }

    /// How it is known to be whole.
    pub fn whole_by(&self) -> WholeBy {
        self.whole.by
    }

    /// In how many fragments it came.
    pub fn fragments(&self) -> usize {
        self.whole.fragments.into()
    }

    /// Bytes that were copied to make it whole: none, or all.
    pub fn copied(&self) -> usize {
        if self.payload.is_copied() { self.whole.len } else { 0 }
    }

    /// The payload as an mbuf of one segment from `pool`, which any thread may use, without a copy, head- or
    /// tailroom. Its memory goes back when the mbuf is freed.
    ///
    /// # Errors
    /// The message, if the pool is empty, or if it lies across a break that devices can't cross.
    pub fn into_mbuf(self, pool: &Mempool) -> Result<Mbuf, Self> {
        let whole = self.whole;
        self.payload.into_mbuf(pool).map_err(|payload| Self { whole, payload })
    }

    pub(crate) fn into_parts(self) -> (Whole, Payload) {
        (self.whole, self.payload)
    }
}

impl Deref for Message {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.payload.bytes()
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("whole", &self.whole).field("copied", &self.copied()).finish()
    }
}
