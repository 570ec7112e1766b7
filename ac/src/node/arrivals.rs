//! A message arrives: which input it is.

use core::fmt;

use super::{EVENTS_OF_ONE, Node};
use crate::list::{Entry, Flag};
use crate::machine::{Input, Policy, State};
use crate::peers::{Arrival, Refusal};
use crate::time::Instant;
use crate::wire::{DecodeError, Kind, Message, NodeId, Reason};

/// Why a message was not taken. Nothing has changed but a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HandleError {
    /// No message, or not signed with this node's key.
    Decode(DecodeError),
    /// For another node, or of this one.
    Misdirected,
    /// Seen before, or too old to tell.
    Replayed,
    /// From before a restart, of its sender or of this node.
    Stale,
    /// Of a node more than [`crate::Config::nodes`].
    Full,
    /// Too many events lie unfetched.
    Backlog,
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(e) => e.fmt(f),
            Self::Misdirected => f.write_str("a message for another node"),
            Self::Replayed => f.write_str("a message seen before"),
            Self::Stale => f.write_str("a message from before a restart"),
            Self::Full => f.write_str("a message of a node too many"),
            Self::Backlog => f.write_str("too many events lie unfetched"),
        }
    }
}

impl core::error::Error for HandleError {}

impl Node {
    /// Takes in the UDP payload of a frame that came to [`crate::PORT`].
    pub fn handle(&mut self, frame: &[u8], now: Instant) -> Result<(), HandleError> {
        if self.events.len() + EVENTS_OF_ONE + self.landings.len() > super::room(&self.config) {
            return Err(HandleError::Backlog);
        }
        let message = Message::decode(frame, self.config.key.as_ref()).map_err(|e| {
            *(if e == DecodeError::Mac {
                &mut self.counters.forged
            } else {
                &mut self.counters.malformed
            }) += 1;
            HandleError::Decode(e)
        })?;
        self.admit(&message, now)?;
        self.counters.received += 1;
        self.list.expire(now);
        self.waiting.expire(now);
        match message.kind {
            Kind::Req => self.on_req(&message, now),
            Kind::EndMe => self.on_end(&message, now),
            Kind::AcqOk => self.on_ok(&message, now),
            Kind::AcqRej => self.on_rej(&message, now),
            Kind::AppendAddr => self.on_append(&message, now),
            Kind::RemoveAddr => self.on_remove(&message, now),
        }
        self.settle(now);
        Ok(())
    }

    /// Whether the message is for this node, in this life, of its sender's latest, and new.
    fn admit(&mut self, message: &Message, now: Instant) -> Result<(), HandleError> {
        let to_all = matches!(message.kind, Kind::AppendAddr | Kind::RemoveAddr) && message.to == NodeId::ALL;
        let own = matches!(message.kind, Kind::AppendAddr | Kind::AcqOk) && message.address != message.from;
        if message.from == self.config.node || !(to_all || message.to == self.config.node) || own {
            self.counters.misdirected += 1;
            return Err(HandleError::Misdirected);
        }
        let answer = matches!(message.kind, Kind::AcqOk | Kind::AcqRej)
            || (message.kind == Kind::RemoveAddr && message.to != NodeId::ALL);
        if answer && message.echo_incarnation != self.config.incarnation {
            self.counters.stale += 1;
            return Err(HandleError::Stale);
        }
        match self.peers.arrive(message) {
            Ok(Arrival::Fresh) => Ok(()),
            Ok(Arrival::Restarted) => {
                self.on_restart(message, now);
                Ok(())
            }
            Err(Refusal::Seen) => {
                self.counters.replayed += 1;
                Err(HandleError::Replayed)
            }
            Err(Refusal::Stale) => {
                self.counters.stale += 1;
                Err(HandleError::Stale)
            }
            Err(Refusal::Full) => {
                self.counters.strangers += 1;
                Err(HandleError::Full)
            }
        }
    }

    /// The sender has lost all that it knew: what it asked, held and granted is over.
    fn on_restart(&mut self, message: &Message, now: Instant) {
        self.waiting.forget(message.from, message.incarnation);
        if self.list.find(message.from).is_some_and(|e| e.incarnation < message.incarnation) {
            self.list.remove(message.from, message.incarnation, 0);
        }
        for at in 0..self.landings.len() {
            let l = &self.landings[at];
            if l.holder == message.from && l.incarnation < message.incarnation {
                self.step_landing(at, Input::HolderRestarted, Some(message), now);
            }
        }
        if let Some(at) = self.applicant(message.from) {
            self.step_applicant(at, Input::Restarted, Some(message), now);
        }
    }

    fn on_req(&mut self, message: &Message, now: Instant) {
        let held = self.landings.iter().position(|l| l.is_held_by(message.from, message.incarnation));
        let (at, input) = if self.peers.is_over(message) {
            (0, Input::ReqOver)
        } else if let Some(at) = held {
            let holds = self.landings[at].request;
            if message.request < holds {
                self.counters.ignored += 1;
                return;
            }
            if message.request == holds {
                self.landings[at].echo = message.sequence;
                (at, Input::ReqHolder)
            } else {
                (at, Input::ReqAnew)
            }
        } else {
            let barred = self.config.policy == Policy::Exclusive && !self.list.is_empty();
            match self.landings.iter().position(|l| l.is_closed() && !barred) {
                Some(at) => (at, Input::ReqFree),
                None => (0, Input::ReqBusy),
            }
        };
        self.step_landing(at, input, Some(message), now);
    }

    fn on_end(&mut self, message: &Message, now: Instant) {
        let mine = message.echo_incarnation == self.config.incarnation || message.echo_incarnation == 0;
        self.peers.end(message.from, message.incarnation, message.request);
        self.waiting.withdraw(message.from, message.incarnation, message.request);
        let named = |l: &super::Landing| {
            mine && (l.holder, l.incarnation, l.request)
                == (message.from, message.incarnation, message.request)
        };
        if let Some(at) = self.landings.iter().position(|l| named(l) && !l.is_closed()) {
            self.step_landing(at, Input::End, Some(message), now);
        } else if message.grant != 0 {
            self.step_landing(0, Input::EndStray, Some(message), now);
        }
    }

    fn on_ok(&mut self, message: &Message, now: Instant) {
        let known = self.applicant(message.from).filter(|&at| self.applicants[at].request == message.request);
        let (at, input) = match known {
            None => (
                self.applicant(message.from).unwrap_or_else(|| self.new_applicant(message.from)),
                Input::OkStray,
            ),
            Some(at) => {
                let a = &self.applicants[at];
                let until = a.sent_at(message.echo_sequence).map(|t| t + self.config.usable(message.lease()));
                let input = match a.state {
                    State::Holding if a.grant.number != message.grant => Input::OkStray,
                    State::Asking | State::Waiting | State::Holding => match until {
                        Some(until) if until > now => Input::Ok,
                        _ if a.tries < self.config.tries => Input::OkLate,
                        _ => return,
                    },
                    // Its `LM_ENDME` is out and says it already.
                    State::Ending => return,
                    _ => Input::OkStray,
                };
                (at, input)
            }
        };
        self.step_applicant(at, input, Some(message), now);
        if input == Input::Ok && self.list.find(message.from).is_some() {
            self.cross(message, now);
        }
    }

    fn on_rej(&mut self, message: &Message, now: Instant) {
        let known = self.applicant(message.from).filter(|&at| self.applicants[at].request == message.request);
        if message.reason == Reason::Landing && self.enlist(message, now) {
            self.cross(message, now);
        }
        let Some(at) = known else {
            self.counters.ignored += 1;
            return;
        };
        let input = match message.reason {
            Reason::Queued => Input::RejQueued,
            Reason::Withdrawn => Input::Withdrawn,
            _ => match self.list.find(message.from) {
                None => Input::RejUnlisted,
                Some(_) if self.may_defer() => Input::RejDefer,
                Some(_) => Input::RejListed,
            },
        };
        self.step_applicant(at, input, Some(message), now);
    }

    fn on_append(&mut self, message: &Message, now: Instant) {
        if self.enlist(message, now) {
            self.cross(message, now);
        }
    }

    /// The sender lands. If it goes before this node, whose grant has crossed its own, this one withdraws. Whatever tells of it
    /// counts: `LM_APPEND_ADDR`, a rejection, or a grant to this node itself.
    fn cross(&mut self, message: &Message, now: Instant) {
        if message.from < self.config.node && self.config.policy == Policy::Exclusive {
            for at in 0..self.landings.len() {
                self.step_landing(at, Input::Crossed, Some(message), now);
            }
        }
    }

    /// Lists the sender for as long as the message says, unless it comes late: whether it is listed.
    fn enlist(&mut self, message: &Message, now: Instant) -> bool {
        if !self.config.announce || self.peers.find(message.from).is_some_and(|p| message.grant <= p.removed)
        {
            self.counters.ignored += 1;
            return false;
        }
        let sending =
            self.applicant(message.from).is_some_and(|at| self.applicants[at].state == State::Holding);
        self.list.append(Entry {
            address: message.from,
            flag: if sending { Flag::Sending } else { Flag::Foreign },
            incarnation: message.incarnation,
            grant: message.grant,
            expires: now + message.lease(),
        });
        true
    }

    fn on_remove(&mut self, message: &Message, now: Instant) {
        // Only a node itself says that it lands no more.
        if message.address == message.from {
            self.list.remove(message.from, message.incarnation, message.grant);
            if let Some(peer) = self.peers.find(message.from) {
                peer.removed = peer.removed.max(message.grant);
            }
        }
        let Some(at) = self.applicant(message.from) else { return };
        let a = &self.applicants[at];
        if (a.receiver, a.grant.number) == (message.incarnation, message.grant) {
            self.step_applicant(at, Input::Removed, Some(message), now);
        }
    }
}
