//! [`Event`]: what a node reports to the application that made a request, and to the engine that receives.

use crate::time::Instant;
use crate::wire::{HardwareAddress, NodeId, Reason};

/// Permission to send for landing. Plain data: a data lcore keeps its own copy and asks nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Grant {
    /// The receiver's number of it.
    pub number: u64,
    /// The receiver's landing queue.
    pub queue: u8,
    /// Where all frames for that queue go; `None`: where messages go.
    pub landing: Option<HardwareAddress>,
    /// Minimum-size frames to send before the data, and again behind `LM_ENDME`.
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
    /// Send the flush frames, then the data; [`crate::Node::release`] when done.
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
    /// Send the ordinary way: the receiver copies once.
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
    /// No answer came, however often it was asked.
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
    /// Nobody may send to this queue any more: separate slots; [`crate::Node::drained`] when the ring is
    /// through.
    Closed {
        /// The landing queue.
        queue: u8,
    },
    /// The holder never said that it was done: the lease ran out.
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
