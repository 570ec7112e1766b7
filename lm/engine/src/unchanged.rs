//! [`Unchanged`]: a payload, with the checksum and digest that it arrived with, until the payload may have
//! been changed.

use lm_landing::Payload;
use lm_proto::carried::Carried;

/// A delivered payload with what its sender said of it. Its fields are nobody else's, and the one way to
/// mutable bytes makes what was said void: so it can never stand for other bytes.
pub(crate) struct Unchanged {
    payload: Payload,
    carried: Option<Carried>,
}

impl Unchanged {
    /// As it was received.
    #[inline]
    pub(crate) fn new(payload: Payload, carried: Option<Carried>) -> Self {
        Self { payload, carried }
    }

    /// The payload, to be read.
    #[inline]
    pub(crate) fn payload(&self) -> &Payload {
        &self.payload
    }

    /// What its sender said of it; `None`: nothing, or it may have been changed since.
    #[inline]
    pub(crate) fn carried(&self) -> Option<&Carried> {
        self.carried.as_ref()
    }

    /// The bytes in one piece, to be read: they are the same ones.
    #[inline]
    pub(crate) fn contiguous(&mut self) -> &[u8] {
        self.payload.contiguous()
    }

    /// The bytes, to be changed.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.forget();
        self.payload.bytes_mut()
    }

    /// What its sender said counts no more.
    pub(crate) fn forget(&mut self) {
        self.carried = None;
    }

    /// Both.
    #[inline]
    pub(crate) fn into_parts(self) -> (Payload, Option<Carried>) {
        (self.payload, self.carried)
    }
}
