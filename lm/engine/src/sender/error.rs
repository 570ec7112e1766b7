//! [`SenderError`]: why a sender cannot be made. [`WouldBlock`]: a buffer that could not be sent now.
//! [`Unsent`]: a message that could not be sent now, or can never be sent from where it lies.
//!
//! [`Sender`](super::Sender) returns them. What could not be sent comes back in the error, unchanged.

use std::fmt;

/// Why there can be no sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SenderError {
    /// The buffers of the pool are too short for a datagram.
    Buffers {
        /// The length of a buffer in bytes.
        len: usize,
        /// The length that is needed: [`Geometry::buffer_len`](lm_proto::layout::Geometry::buffer_len).
        needed: usize,
    },
    /// The mbufs for headers have too little room.
    Headers {
        /// The room in bytes, with the headroom.
        room: usize,
        /// The room that is needed.
        needed: usize,
    },
}

impl fmt::Display for SenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffers { len, needed } => {
                write!(
                    f,
                    "send buffers of {len} bytes are too short: make them {needed} or more for this MTU"
                )
            }
            Self::Headers { room, needed } => {
                write!(
                    f,
                    "mbufs with {room} bytes of room are too short for headers: give them {needed} or more"
                )
            }
        }
    }
}

impl std::error::Error for SenderError {}

/// The queue is full, or there is no free mbuf. What was to be sent comes back. Call
/// [`Sender::flush`](super::Sender::flush) and try again.
pub struct WouldBlock<T>(pub T);

impl<T> fmt::Debug for WouldBlock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WouldBlock")
    }
}

impl<T> fmt::Display for WouldBlock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the transmit queue is full: flush the sender and send again")
    }
}

impl<T> std::error::Error for WouldBlock<T> {}

/// A payload was not sent from where it lies. It comes back.
pub enum Unsent<T> {
    /// The queue is full, or there is no free mbuf. Call [`Sender::flush`](super::Sender::flush) and try
    /// again.
    NotNow(T),
    /// The device cannot read the payload where it lies. Waiting does not help: send a copy.
    NotFromHere(T),
}

impl<T> Unsent<T> {
    /// What was to be sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::NotNow(it) | Self::NotFromHere(it) => it,
        }
    }

    /// Applies `f` to what was to be sent.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Unsent<U> {
        match self {
            Self::NotNow(it) => Unsent::NotNow(f(it)),
            Self::NotFromHere(it) => Unsent::NotFromHere(f(it)),
        }
    }
}

impl<T> fmt::Debug for Unsent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNow(_) => "NotNow",
            Self::NotFromHere(_) => "NotFromHere",
        })
    }
}

impl<T> fmt::Display for Unsent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNow(_) => "the transmit queue is full: flush the sender and send again",
            Self::NotFromHere(_) => "devices cannot read the payload where it lies: send a copy of it",
        })
    }
}

impl<T> std::error::Error for Unsent<T> {}
