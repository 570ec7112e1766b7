//! [`Event`]: what a node reports to the application that made a request, and to the engine that receives.
//!
//! [`Node::poll_event`](crate::Node::poll_event) returns events in the order in which they happened.
//! [`crate::control`] fetches them: it turns those for the engine into orders for the data lcore, and those
//! for an application into answers. An event is plain data, and its [`Grant`] may be used on any thread.

use crate::time::Instant;
use crate::wire::{HardwareAddress, NodeId, Reason};

/// Permission to send for landing. It is plain data: a data lcore keeps a copy, and compares
/// [`until`](Self::until) with its clock before each datagram.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Grant {
    /// The number that the receiver gave it.
    pub number: u64,
    /// The receiver's landing queue.
    pub queue: u8,
    /// The hardware address that all frames for that queue go to. `None`: the address that messages go to.
    pub landing: Option<HardwareAddress>,
    /// How many frames of minimum size to send before the data, and again after `LM_ENDME`.
    pub flush: u16,
    /// No frame may be sent at or after this moment of the applicant's clock.
    pub until: Instant,
}

impl Grant {
    /// Nothing is granted.
    pub(crate) const NONE: Self = Self { number: 0, queue: 0, landing: None, flush: 0, until: Instant::ZERO };
}

/// What has happened. The first group answers requests, the second is for the receiver's engine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Permission was given: send the flush frames, then the data, and then call [`crate::Node::release`].
    Granted {
        /// The destination.
        to: NodeId,
        /// The request's number.
        request: u64,
        /// What was granted.
        grant: Grant,
    },
    /// The grant is good for longer.
    Renewed {
        /// The destination.
        to: NodeId,
        /// The request's number.
        request: u64,
        /// The new end.
        until: Instant,
    },
    /// Send the ordinary way, without a grant.
    Ordinary {
        /// The destination.
        to: NodeId,
        /// The request's number.
        request: u64,
    },
    /// The destination is listed, because it lands for another sender: nothing may be sent.
    Cancelled {
        /// The destination.
        to: NodeId,
        /// The request's number.
        request: u64,
    },
    /// The receiver has queued the request.
    Queued {
        /// The destination.
        to: NodeId,
        /// The request's number.
        request: u64,
        /// Requests that go before it.
        position: u16,
    },
    /// No answer came, although the request was sent [`crate::Config::tries`] times in a row.
    Unanswered {
        /// The destination.
        to: NodeId,
        /// The request's number.
        request: u64,
    },
    /// Stop: the receiver has withdrawn the grant, or restarted.
    Revoked {
        /// The destination.
        to: NodeId,
        /// The request's number.
        request: u64,
    },
    /// Stop: the lease has run out and was not renewed.
    Lapsed {
        /// The destination.
        to: NodeId,
        /// The request's number.
        request: u64,
    },
    /// This queue now lands for `holder`: overlapping slots.
    Opened {
        /// The landing queue.
        queue: u8,
        /// Who may send to it.
        holder: NodeId,
        /// The grant's number.
        grant: u64,
    },
    /// Nobody may send to this queue any more: post separate slots, and call [`crate::Node::drained`] when no
    /// overlapping slot is posted any more.
    Closed {
        /// The landing queue.
        queue: u8,
    },
    /// The lease ran out, and the holder has not said that it is done.
    Expired {
        /// The landing queue.
        queue: u8,
        /// Who held it.
        holder: NodeId,
    },
    /// An applicant was refused.
    Refused {
        /// Who asked.
        applicant: NodeId,
        /// Why not.
        reason: Reason,
    },
}
