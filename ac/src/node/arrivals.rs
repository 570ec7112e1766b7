//! Decides which input of the state machine an arriving message is.
//!
//! [`Node::handle`] is the entry for everything that comes off the network; [`crate::control`] calls it. A
//! message must be well formed, signed if there is a key, addressed to this node, of a life that its sender
//! has proven, and new. (Without a key, the first life that is heard of is believed.) Any other message is
//! refused with the reason. No input makes it panic.

use core::fmt;

use super::{EVENTS_OF_ONE, Node};
use crate::list::{Entry, Flag};
use crate::machine::{Input, Policy, State};
use crate::peers::{Number, Refusal};
use crate::time::Instant;
use crate::wire::{DecodeError, Kind, Message, NodeId, Reason};

/// Why a message was not taken. It is counted ([`Self::Backlog`] is not) and may be answered by a challenge.
/// Grants, requests and the list are as they were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HandleError {
    /// No message, or not signed with this node's key.
    Decode(DecodeError),
    /// For another node, or in this node's name, or it grants or lists an address that is not its sender's.
    Misdirected,
    /// Seen before, or too old to tell.
    Replayed,
    /// For this node before its restart.
    Stale,
    /// Of an incarnation that its sender has not proven: it is challenged to.
    Unproven,
    /// Of a node more than [`crate::Config::nodes`].
    Full,
    /// Too many events lie unfetched.
    Backlog,
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(e) => e.fmt(f),
            Self::Misdirected => f.write_str("the message is for another node, or not of the node it names"),
            Self::Replayed => f.write_str("the message was seen before, or is too old to tell"),
            Self::Stale => f.write_str("the message answers this node's life before its restart"),
            Self::Unproven => f.write_str("the sender has not proven the incarnation that the message names"),
            Self::Full => f.write_str("there is no room for another node; allow more nodes in the settings"),
            Self::Backlog => f.write_str("too many events wait; fetch them before the next message"),
        }
    }
}

impl core::error::Error for HandleError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Decode(e) => Some(e),
            _ => None,
        }
    }
}

impl Node {
    /// Takes in the UDP payload of a frame that came to [`crate::PORT`].
    ///
    /// # Errors
    /// [`HandleError`] says why the message was not taken. [`HandleError::Backlog`]: fetch events, and call
    /// this again with the same frame.
    pub fn handle(&mut self, frame: &[u8], now: Instant) -> Result<(), HandleError> {
        let most = EVENTS_OF_ONE + self.landings.len() + self.applicants.len();
        if self.events.len() + most > super::room(&self.config) {
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
        self.addressed(&message)?;
        match message.kind {
            Kind::Challenge => self.on_challenge(&message, now)?,
            _ => self.admit(&message, now)?,
        }
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
            // It was dealt with on its way in.
            Kind::Challenge => {}
        }
        self.settle(now);
        Ok(())
    }

    /// Whether the message is for this node.
    fn addressed(&mut self, message: &Message) -> Result<(), HandleError> {
        let to_all = matches!(message.kind, Kind::AppendAddr | Kind::RemoveAddr) && message.to == NodeId::ALL;
        let own = matches!(message.kind, Kind::AppendAddr | Kind::AcqOk) && message.address != message.from;
        if message.from == self.config.node || !(to_all || message.to == self.config.node) || own {
            self.counters.misdirected += 1;
            return Err(HandleError::Misdirected);
        }
        Ok(())
    }

    /// Whether the message is for this life, of the life that its sender has proven, and new.
    fn admit(&mut self, message: &Message, now: Instant) -> Result<(), HandleError> {
        let answer = matches!(message.kind, Kind::AcqOk | Kind::AcqRej)
            || (message.kind == Kind::RemoveAddr && message.to != NodeId::ALL);
        if answer && message.echo_incarnation != self.config.incarnation {
            self.counters.stale += 1;
            return Err(HandleError::Stale);
        }
        if let Err(why) = self.peers.arrive(message, self.config.key.is_none()) {
            if why == Refusal::Unproven {
                self.challenge(message.from, now);
            }
            return Err(self.refuse(why));
        }
        if answer && let Some(peer) = self.peers.find(message.from) {
            peer.knows_us = true;
        }
        Ok(())
    }

    /// Counts a refused message, and returns the error that says why.
    pub(super) fn refuse(&mut self, why: Refusal) -> HandleError {
        let (counter, error) = match why {
            Refusal::Seen => (&mut self.counters.replayed, HandleError::Replayed),
            Refusal::Unproven => (&mut self.counters.unproven, HandleError::Unproven),
            Refusal::Full => (&mut self.counters.strangers, HandleError::Full),
        };
        *counter += 1;
        error
    }

    fn on_req(&mut self, message: &Message, now: Instant) {
        // If the rest is over, it ends here too and not only by the timer: a node whose link has just come
        // up, or that had no CPU, may take in messages before its timers.
        for at in 0..self.landings.len() {
            let l = &self.landings[at];
            if l.state == State::Resting && l.timer <= now {
                self.step_landing(at, Input::Drained, None, now);
            }
        }
        let held = self.landings.iter().position(|l| l.is_held_by(message.from, message.incarnation));
        let (at, input) = if self.peers.is_over(message.from, Number::Request(message.request), now) {
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
        self.peers.end(message.from, message.incarnation, message.request, now, now + self.config.hold);
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
                let lease = message.lease().min(self.config.granted());
                let until = a.sent_at(message.echo_sequence).map(|t| t + self.config.usable(lease));
                let input = match a.state {
                    _ if a.has_given_back(message.incarnation, message.grant) => Input::OkStray,
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

    /// The sender lands, as an `LM_APPEND_ADDR`, a rejection or a grant to this node has shown. If this node
    /// has given a grant at the same time, the node with the lower number goes first: this node withdraws its
    /// grant if that is the sender.
    fn cross(&mut self, message: &Message, now: Instant) {
        if message.from < self.config.node && self.config.policy == Policy::Exclusive {
            for at in 0..self.landings.len() {
                self.step_landing(at, Input::Crossed, Some(message), now);
            }
        }
    }

    /// Lists the sender for as long as the message says, unless the message comes late. Returns whether the
    /// sender is listed.
    fn enlist(&mut self, message: &Message, now: Instant) -> bool {
        if !self.config.announce || self.peers.is_over(message.from, Number::Grant(message.grant), now) {
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
            expires: now + message.lease().min(self.listed_at_most()),
        });
        true
    }

    fn on_remove(&mut self, message: &Message, now: Instant) {
        // Only a node itself says that it lands no more.
        if message.address == message.from {
            self.list.remove(message.from, message.incarnation, message.grant);
            self.peers.remove(message.from, message.grant, now, now + self.config.hold);
        }
        let Some(at) = self.applicant(message.from) else { return };
        let a = &self.applicants[at];
        if (a.receiver, a.grant.number) == (message.incarnation, message.grant) {
            self.step_applicant(at, Input::Removed, Some(message), now);
        }
    }
}
