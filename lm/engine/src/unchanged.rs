//! [`Unchanged`]: a payload, with the checksum and digest that it arrived with, until the payload may have
//! been changed.
//!
//! A [`Message`](crate::Message) contains one, and the sender asks it when the message is sent on. Checksum
//! and digest never belong to other bytes than those that arrived.

use lm_landing::Payload;
use lm_proto::carried::Carried;

/// A delivered payload with the checksum and digest that it came with. The fields are private, and whoever
/// asks for mutable bytes loses checksum and digest. So they never belong to other bytes.
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

    /// The checksum and digest that it came with. `None`: there were none, or it may have been changed since.
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

    /// Forgets checksum and digest.
    pub(crate) fn forget(&mut self) {
        self.carried = None;
    }

    /// Returns the payload, and the checksum and digest.
    #[inline]
    pub(crate) fn into_parts(self) -> (Payload, Option<Carried>) {
        (self.payload, self.carried)
    }
}
