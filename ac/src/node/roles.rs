//! The state of a node per destination (as applicant) and per landing queue (as receiver).
//!
//! [`Node`](super::Node) keeps a list of each. An [`Applicant`] is in the list only while it is not idle.
//! There are at most [`Config::nodes`](crate::Config::nodes) of them, and one more for a moment while an
//! answer is handled that nobody waits for. Each landing queue has one [`Landing`], always.

use crate::event::Grant;
use crate::machine::State;
use crate::time::Instant;
use crate::wire::NodeId;

/// Sendings of `LM_REQ` that are remembered, so that an answer to any of them can be dated.
const REMEMBERED: usize = 4;

/// The applicant's role towards one destination. An applicant that is [`State::Idle`] is dropped.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Applicant {
    pub(super) to: NodeId,
    pub(super) state: State,
    pub(super) request: u64,
    pub(super) size: u64,
    pub(super) priority: u8,
    /// Sequence numbers and moments of the latest `LM_REQ`, the newest first.
    sent: [(u64, Instant); REMEMBERED],
    /// Messages sent without an answer.
    pub(super) tries: u8,
    /// When to repeat, to renew, or to give up waiting.
    pub(super) timer: Instant,
    /// The receiver's incarnation that granted.
    pub(super) receiver: u64,
    /// The grant that is held or being ended. Without one, its number is that of a grant which this request
    /// was given and which was given back, because nobody wanted it then.
    pub(super) grant: Grant,
}

impl Applicant {
    pub(super) fn new(to: NodeId) -> Self {
        Self {
            to,
            state: State::Idle,
            request: 0,
            size: 0,
            priority: 0,
            sent: [(0, Instant::ZERO); REMEMBERED],
            tries: 0,
            timer: Instant::ZERO,
            receiver: 0,
            grant: Grant::NONE,
        }
    }

    /// Begins the request with this number, which has no tries, no sendings and no grant yet.
    pub(super) fn begin(&mut self, request: u64) {
        self.request = request;
        self.tries = 0;
        self.sent = [(0, Instant::ZERO); REMEMBERED];
        self.grant = Grant::NONE;
    }

    /// Notes an `LM_REQ` sent at `now`.
    pub(super) fn note_sent(&mut self, sequence: u64, now: Instant) {
        self.sent.rotate_right(1);
        self.sent[0] = (sequence, now);
    }

    /// Every sending of `LM_REQ` that is remembered.
    #[cfg(feature = "mock")]
    pub(super) fn each_sending(&mut self, mut f: impl FnMut(&mut u64, &mut Instant)) {
        for (sequence, at) in &mut self.sent {
            f(sequence, at);
        }
    }

    /// Whether this is a grant that was given back.
    pub(super) fn has_given_back(&self, receiver: u64, grant: u64) -> bool {
        matches!(self.state, State::Asking | State::Waiting)
            && (self.receiver, self.grant.number) == (receiver, grant)
    }

    /// When the `LM_REQ` with this sequence number was sent.
    pub(super) fn sent_at(&self, sequence: u64) -> Option<Instant> {
        self.sent.iter().find(|(s, _)| *s == sequence && sequence != 0).map(|&(_, at)| at)
    }
}

/// The receiver's role for one landing queue.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Landing {
    pub(super) queue: u8,
    pub(super) state: State,
    pub(super) holder: NodeId,
    pub(super) incarnation: u64,
    pub(super) request: u64,
    /// The sequence number of the holder's latest `LM_REQ`.
    pub(super) echo: u64,
    pub(super) grant: u64,
    pub(super) opened: Instant,
    pub(super) lease_end: Instant,
    /// When the rest or the drain is over.
    pub(super) timer: Instant,
    /// Whether the drain also waits for frames on their way. Then it does not end early when the ring is used
    /// up.
    pub(super) guarded: bool,
    pub(super) announce_at: Instant,
    /// When the next stray frame is answered.
    pub(super) stray_at: Instant,
}

impl Landing {
    pub(super) fn new(queue: u8, rested: Instant) -> Self {
        Self {
            queue,
            state: State::Resting,
            holder: NodeId::ALL,
            incarnation: 0,
            request: 0,
            echo: 0,
            grant: 0,
            opened: Instant::ZERO,
            lease_end: Instant::ZERO,
            timer: rested,
            guarded: false,
            announce_at: Instant::ZERO,
            stray_at: Instant::ZERO,
        }
    }

    /// Whether this is a free queue.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether `holder` in this incarnation holds the queue, withdrawn or not.
    pub(super) fn is_held_by(&self, holder: NodeId, incarnation: u64) -> bool {
        matches!(self.state, State::Granted | State::Withdrawing)
            && (self.holder, self.incarnation) == (holder, incarnation)
    }
}
