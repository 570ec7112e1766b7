//! [`SenderError`]: why there is no sender; [`WouldBlock`]: what could not be sent now.

use std::fmt;

/// There can be no sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SenderError {
    /// A buffer of the pool is too short for a datagram.
    Buffers {
        /// Bytes of one.
        len: usize,
        /// Bytes that it must have: [`Geometry::buffer_len`](lm_proto::layout::Geometry::buffer_len).
        needed: usize,
    },
    /// An mbuf for headers has too little room.
    Headers {
        /// Bytes of room, headroom included.
        room: usize,
        /// Bytes that it must have.
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
                    "mbufs with {room} bytes of room are too short for headers: make it {needed} or more"
                )
            }
        }
    }
}

impl std::error::Error for SenderError {}

/// The queue is full, or mbufs are short: what was to be sent comes back. Call
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
