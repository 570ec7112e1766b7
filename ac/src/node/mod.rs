//! [`Node`]: a node of the cluster, with its state and its calls.
//!
//! [`crate::control`] drives one beside a port; the mocks and the tests drive several in virtual time.
//! `arrivals` and `timers` turn messages and the clock into inputs of the state machine, `apply` carries out
//! its actions, `lives` decides which life of another node is the present one, and `roles` has the state per
//! destination and per landing queue. [`Node`] says what is guaranteed.

mod apply;
mod arrivals;
#[cfg(feature = "mock")]
mod canonical;
mod lives;
mod roles;
mod timers;

use std::collections::VecDeque;

use crate::config::{Config, ConfigError};
use crate::counters::Counters;
use crate::event::{Event, Grant};
use crate::list::ReceiverList;
use crate::machine::{Input, Policy, State};
use crate::peers::Peers;
use crate::time::Instant;
use crate::waiting::{TOP_PRIORITY, WaitingRequests};
use crate::wire::{HardwareAddress, Kind, MAX_LENGTH, Message, NodeId};
pub use arrivals::HandleError;
use core::fmt;
use roles::{Applicant, Landing};

/// Admission control of one node, sans-IO: it reads no clock, sends nothing and starts no thread.
///
/// # Calls
/// The caller owns it and drives it from one thread:
///
/// 1. It hands in what happened: [`handle`](Self::handle) for the UDP payload of a frame to [`crate::PORT`],
///    [`request`](Self::request) and [`release`](Self::release) for the application, [`stray`](Self::stray)
///    and [`drained`](Self::drained) for the engine, [`handle_timeout`](Self::handle_timeout) when the moment
///    that [`poll_timeout`](Self::poll_timeout) named has come (earlier does nothing, later is late).
/// 2. After each such call it polls, each until `None`: [`poll_transmit`](Self::poll_transmit) for messages
///    to send, [`poll_event`](Self::poll_event) for answers and orders, and then `poll_timeout` once.
///
/// `now` comes from one monotonic clock and never goes back. Events that are not fetched are kept, but
/// `handle` refuses messages ([`HandleError::Backlog`]) until they are. A message to send that is not fetched
/// in time is lost, as a network loses it, and counted.
///
/// # Guarantees
/// No call blocks, or panics on input. [`new`](Self::new) allocates all tables; `handle`, the polls and the
/// timers allocate nothing (`tests/allocation.rs`). Two applicants never hold one landing queue at once, as
/// long as the network and the clocks keep to the times in [`Config`] (`tests/model.rs`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    config: Config,
    /// Numbers of the last message, the last request and the last grant.
    sequence: u64,
    requests: u64,
    grants: u64,
    peers: Peers,
    list: ReceiverList,
    applicants: Vec<Applicant>,
    landings: Vec<Landing>,
    waiting: WaitingRequests,
    outbox: VecDeque<Message>,
    events: VecDeque<Event>,
    counters: Counters,
    /// When this node may take another number for this life, should one be needed.
    renumber_at: Instant,
}

/// A message to send, in the buffer that [`Node::poll_transmit`] was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// The node to send it to; [`NodeId::ALL`]: to all, as one Ethernet broadcast or one frame to each.
    pub to: NodeId,
    /// What it is.
    pub kind: Kind,
    /// Its bytes: the UDP payload.
    pub length: usize,
    /// The hardware address of a landing queue, if it has one of its own. With `LM_ENDME`, the flush frames
    /// go to it. With `LM_ACQ_OK` it is this node's: the message is sent from it, so that switches learn
    /// where it is.
    pub landing: Option<HardwareAddress>,
    /// How many frames of minimum size to send right after it, to the same node. They use up the overlapping
    /// slots in its ring.
    pub flush: u16,
}

/// The most messages, and the most events, that wait to be fetched: as many as one time-out can cause.
fn room(config: &Config) -> usize {
    2 * config.nodes + 2 * usize::from(config.queues) + 16
}

/// The most events that one call to `handle` can cause, besides one for each queue and each destination.
const EVENTS_OF_ONE: usize = 4;

impl Node {
    /// A node that has just started. It rests for one lease before it grants, because a grant of its last
    /// life may still be in use.
    ///
    /// # Errors
    /// [`ConfigError`]: [`Config::check`] refuses the settings.
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let room = config.nodes;
        let rested = now + config.lease;
        Ok(Self {
            sequence: 0,
            requests: 0,
            grants: 0,
            peers: Peers::new(room),
            list: ReceiverList::new(room),
            // One more than destinations: an answer that nobody waits for needs a place for a moment.
            applicants: Vec::with_capacity(room + 1),
            landings: (0..config.queues).map(|q| Landing::new(q, rested)).collect(),
            waiting: WaitingRequests::new(room),
            outbox: VecDeque::with_capacity(self::room(&config)),
            events: VecDeque::with_capacity(self::room(&config)),
            counters: Counters::default(),
            renumber_at: Instant::ZERO,
            config,
        })
    }

    /// Asks to send `size` bytes to `to` for landing, and returns the request's number at once. The answer is
    /// an [`Event`] (section 3.3: "the data transfer is not delayed at the sender side").
    ///
    /// `priority` is 0 … 7, and 7 goes first; `Exclusive` ignores it. A grant is good for any number of
    /// datagrams until it is released.
    ///
    /// # Errors
    /// [`RequestError`]: `to` is not a destination, a request to it is in progress, or there are too many.
    pub fn request(
        &mut self,
        to: NodeId,
        size: u64,
        priority: u8,
        now: Instant,
    ) -> Result<u64, RequestError> {
        if to == self.config.node || to == NodeId::ALL {
            return Err(RequestError::Destination);
        }
        self.list.expire(now);
        let at = match self.applicant(to) {
            Some(at) if self.applicants[at].state != State::Ending => return Err(RequestError::InProgress),
            Some(at) => at,
            None if self.applicants.len() >= self.config.nodes => return Err(RequestError::Full),
            None => self.new_applicant(to),
        };
        self.requests += 1;
        let request = self.requests;
        let applicant = &mut self.applicants[at];
        applicant.size = size;
        applicant.priority = priority.min(TOP_PRIORITY);
        let input = match (self.list.is_empty(), self.list.find(to)) {
            (true, _) => Input::RequestNull,
            (false, None) => Input::RequestOther,
            (false, Some(_)) if self.may_defer() => Input::RequestDefer,
            (false, Some(_)) => Input::RequestListed,
        };
        self.ask(at, request, input, now);
        self.settle(now);
        Ok(request)
    }

    /// Ends the grant for `to`, or takes the request back. Returns whether there was one. [`Transmit::flush`]
    /// says how many frames follow `LM_ENDME`.
    pub fn release(&mut self, to: NodeId, now: Instant) -> bool {
        let Some(at) = self.applicant(to) else { return false };
        if self.applicants[at].state == State::Ending {
            return false;
        }
        self.step_applicant(at, Input::Release, None, now);
        true
    }

    /// Tells that a frame of `from` has reached a landing queue that somebody else holds. The sender has
    /// missed the announcement, so it is repeated to the sender, at most once per [`Config::retry`].
    pub fn stray(&mut self, from: NodeId, now: Instant) {
        let lands = |l: &Landing| matches!(l.state, State::Granted | State::Draining);
        let Some(at) = self.landings.iter().position(|l| lands(l) && l.holder != from) else { return };
        if self.landings[at].stray_at > now || from == NodeId::ALL || from == self.config.node {
            return;
        }
        self.landings[at].stray_at = now + self.config.retry;
        let cause = Message::new(Kind::Req, from, self.config.node);
        self.step_landing(at, Input::Stray, Some(&cause), now);
    }

    /// Tells that no overlapping slot is posted in the ring of `queue` any more, and that no more frames of a
    /// holder that sent `LM_ENDME` can arrive.
    pub fn drained(&mut self, queue: u8, now: Instant) {
        let drains = |l: &Landing| l.queue == queue && l.state == State::Draining && !l.guarded;
        if let Some(at) = self.landings.iter().position(drains) {
            self.landings[at].timer = now;
            self.settle(now);
        }
    }

    /// The next message to send, written to `out`.
    pub fn poll_transmit(&mut self, out: &mut [u8; MAX_LENGTH]) -> Option<Transmit> {
        let message = self.outbox.pop_front()?;
        let length = message.encode(self.config.key.as_ref(), out);
        let (to, kind) = (message.to, message.kind);
        let (landing, flush) = match kind {
            Kind::EndMe => {
                let ended = self.applicant(to).and_then(|at| self.applicants[at].grant.landing);
                (ended, message.flush)
            }
            Kind::AcqOk => (message.landing(), 0),
            _ => (None, 0),
        };
        Some(Transmit { to, kind, length, landing, flush })
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The LM_RECV_ADDR list. Entries that have expired since the last call are still on it.
    pub fn list(&self) -> &ReceiverList {
        &self.list
    }

    /// What this node holds for `to`.
    pub fn grant(&self, to: NodeId) -> Option<Grant> {
        let at = self.applicant(to)?;
        (self.applicants[at].state == State::Holding).then(|| self.applicants[at].grant)
    }

    /// The state as applicant at `to`.
    pub fn state(&self, to: NodeId) -> State {
        self.applicant(to).map_or(State::Idle, |at| self.applicants[at].state)
    }

    /// The state of a landing queue and who holds it, if it is there.
    pub fn landing(&self, queue: u8) -> Option<(State, Option<NodeId>)> {
        let l = self.landings.get(usize::from(queue))?;
        let held = matches!(l.state, State::Granted | State::Withdrawing);
        Some((l.state, held.then_some(l.holder)))
    }

    /// Requests that wait for a landing queue of this node.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The counters, which begin again at zero.
    pub fn take_counters(&mut self) -> Counters {
        core::mem::take(&mut self.counters)
    }

    fn may_defer(&self) -> bool {
        self.config.wait_when_listed && self.config.policy == Policy::Exclusive
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < room(&self.config) {
            self.events.push_back(event);
        }
    }

    /// Puts `message` out under the next sequence number, which it returns.
    fn send(&mut self, message: Message) -> u64 {
        self.sequence += 1;
        if self.outbox.len() >= room(&self.config) {
            self.counters.unsent += 1;
        } else {
            self.counters.sent += 1;
            let (incarnation, sequence) = (self.config.incarnation, self.sequence);
            self.outbox.push_back(Message { incarnation, sequence, ..message });
        }
        self.sequence
    }
}

/// Why a request was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The destination is this node, or nobody.
    Destination,
    /// A request to this destination is in progress, or granted: one grant serves any number of datagrams.
    InProgress,
    /// As many requests as [`Config::nodes`] are in progress.
    Full,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Destination => "the destination is this node itself or all nodes; name one other node",
            Self::InProgress => "a request to this destination is in progress or granted; release it first",
            Self::Full => "as many requests are in progress as there may be nodes; release one of them first",
        })
    }
}

impl core::error::Error for RequestError {}
