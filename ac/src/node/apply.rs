//! Carries out the actions of a transition. The table says which actions these are.
//!
//! [`Node::request`] calls `ask`; arriving messages, time-outs and restarts call `step_applicant` and
//! `step_landing`. An input that the table does not have changes nothing, and is counted as ignored if a
//! message caused it. Nothing here allocates: messages and events go into queues of fixed size.

use core::time::Duration;

use super::Node;
use super::roles::Applicant;
use crate::event::{Event, Grant};
use crate::list::{Entry, Flag};
use crate::machine::{Action, Input, Policy, State, transition};
use crate::peers::Number;
use crate::time::Instant;
use crate::waiting::Waiting;
use crate::wire::{Kind, Message, NodeId, Reason};

/// The most flush frames that this node sends, whatever a message asks for. No ring of a gigabit card is
/// longer.
const MOST_FLUSH: u16 = 8192;

/// An entry that only a message removes.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

impl Node {
    /// The place of the applicant's role towards `to`, if it is not idle.
    pub(super) fn applicant(&self, to: NodeId) -> Option<usize> {
        self.applicants.iter().position(|a| a.to == to)
    }

    pub(super) fn new_applicant(&mut self, to: NodeId) -> usize {
        self.applicants.push(Applicant::new(to));
        self.applicants.len() - 1
    }

    /// Begins a request, if the table lets it. If the table refuses it at once, the event has the request's
    /// number.
    pub(super) fn ask(&mut self, at: usize, request: u64, input: Input, now: Instant) {
        let stays = transition(self.config.policy, self.applicants[at].state, input)
            .is_none_or(|t| t.to == self.applicants[at].state);
        if stays && self.applicants[at].state == State::Ending {
            // The old grant is still being ended. Only the refusal has the new number.
            let old = core::mem::replace(&mut self.applicants[at].request, request);
            self.step_applicant(at, input, None, now);
            self.applicants[at].request = old;
        } else {
            self.applicants[at].begin(request);
            self.step_applicant(at, input, None, now);
        }
    }

    /// Moves the applicant's role at `at`. One that becomes idle is dropped: the last one takes its place.
    pub(super) fn step_applicant(&mut self, at: usize, input: Input, cause: Option<&Message>, now: Instant) {
        match transition(self.config.policy, self.applicants[at].state, input) {
            Some(transition) => {
                self.applicants[at].state = transition.to;
                for &action in transition.actions {
                    self.act_as_applicant(at, action, cause, now);
                }
            }
            None => self.counters.ignored += u64::from(cause.is_some()),
        }
        if self.applicants[at].state == State::Idle {
            self.applicants.swap_remove(at);
        }
    }

    fn act_as_applicant(&mut self, at: usize, action: Action, cause: Option<&Message>, now: Instant) {
        let a = &self.applicants[at];
        let (to, request) = (a.to, a.request);
        match action {
            Action::SendReq => {
                // No answer yet. Perhaps the receiver does not know this node's present life and drops its
                // messages, or this node does not know the receiver's.
                let known = self.peers.find(to).is_some_and(|p| p.knows_us);
                if a.tries > u8::from(known) {
                    self.send_challenge(to, true, 0);
                }
                let a = &self.applicants[at];
                let req = Message {
                    priority: a.priority,
                    address: to,
                    size: a.size,
                    request,
                    lease: micros(self.config.granted()),
                    ..Message::new(Kind::Req, self.config.node, to)
                };
                let sequence = self.send(req);
                self.applicants[at].note_sent(sequence, now);
                self.back_off(at, now);
            }
            Action::SendEnd => {
                self.list.mark(to, Flag::Foreign);
                let end = Message {
                    echo_incarnation: a.receiver,
                    address: to,
                    request,
                    grant: a.grant.number,
                    // Only once: when `LM_ENDME` is repeated, somebody else may hold the ring already.
                    flush: if a.tries == 0 { a.grant.flush } else { 0 },
                    ..Message::new(Kind::EndMe, self.config.node, to)
                };
                self.send(end);
                self.back_off(at, now);
            }
            Action::SendEndStray => {
                let Some(ok) = cause else { return };
                self.send(Message {
                    echo_incarnation: ok.incarnation,
                    echo_sequence: ok.sequence,
                    address: to,
                    request: ok.request,
                    grant: ok.grant,
                    ..Message::new(Kind::EndMe, self.config.node, to)
                });
                let a = &mut self.applicants[at];
                if a.state == State::Deferred && ok.request == request {
                    // The request will be sent again, and other messages that give this grant may come then.
                    (a.receiver, a.grant.number) = (ok.incarnation, ok.grant);
                }
            }
            Action::TakeLease => {
                if let Some(ok) = cause {
                    self.take_lease(at, ok, now);
                }
            }
            Action::Rearm => {
                let wait = if a.state == State::Deferred { self.config.hold } else { self.config.lease / 4 };
                let a = &mut self.applicants[at];
                a.tries = 0;
                a.timer = now + wait;
            }
            Action::TellGranted => {
                self.counters.granted += 1;
                self.tell(Event::Granted { to, request, grant: self.applicants[at].grant });
            }
            Action::TellRenewed => {
                self.tell(Event::Renewed { to, request, until: self.applicants[at].grant.until });
            }
            Action::StartEarly if !self.config.start_early => {}
            Action::StartEarly | Action::TellOrdinary => self.tell(Event::Ordinary { to, request }),
            Action::TellCancelled => self.tell(Event::Cancelled { to, request }),
            Action::TellQueued => {
                let position = cause.map_or(0, |m| m.position);
                self.tell(Event::Queued { to, request, position });
            }
            Action::TellUnanswered => self.tell(Event::Unanswered { to, request }),
            Action::TellRevoked => self.tell(Event::Revoked { to, request }),
            Action::TellLapsed => self.tell(Event::Lapsed { to, request }),
            _ => unreachable_in(action),
        }
    }

    /// Counts one more message without an answer, and sets the time of its repetition. The applicant
    /// waits `retry` before the first repetition, and twice as long before each next one, up to 16 times
    /// `retry`.
    fn back_off(&mut self, at: usize, now: Instant) {
        let a = &mut self.applicants[at];
        a.timer = now + self.config.retry * (1 << a.tries.min(4));
        a.tries = a.tries.saturating_add(1);
    }

    /// Takes the lease of an `LM_ACQ_OK`. The lease counts from the moment at which the answered `LM_REQ` was
    /// sent. The receiver cannot have granted before that moment, however late its answer comes.
    fn take_lease(&mut self, at: usize, ok: &Message, now: Instant) {
        let a = &mut self.applicants[at];
        let Some(sent) = a.sent_at(ok.echo_sequence) else { return };
        let until = (sent + self.config.usable(ok.lease().min(self.config.granted()))).max(a.grant.until);
        let left = until.since(now);
        // At the end of a hold the lease grows no more, and renewing it would go on for ever, in ever smaller
        // steps. How much this answer adds does not show that: if the message was repeated, the second answer
        // adds next to nothing.
        let renew = self.config.hold > self.config.lease && left >= self.config.granted() / 4;
        a.timer = if renew { now + left / 2 } else { until };
        a.tries = 0;
        a.receiver = ok.incarnation;
        let (landing, flush) = (ok.landing(), ok.flush.min(MOST_FLUSH));
        a.grant = Grant { number: ok.grant, queue: ok.queue, landing, flush, until };
        let to = a.to;
        if self.config.announce && !self.peers.is_over(to, Number::Grant(ok.grant), now) {
            let expires = now + ok.lease().min(self.config.granted()) + self.config.guard + self.config.drain;
            let (incarnation, grant) = (ok.incarnation, ok.grant);
            self.list.append(Entry { address: to, flag: Flag::Sending, incarnation, grant, expires });
            self.list.mark(to, Flag::Sending);
        }
    }

    /// Moves the receiver's role for the landing queue at `at`.
    pub(super) fn step_landing(&mut self, at: usize, input: Input, cause: Option<&Message>, now: Instant) {
        let Some(transition) = transition(self.config.policy, self.landings[at].state, input) else {
            self.counters.ignored += u64::from(cause.is_some());
            return;
        };
        self.landings[at].state = transition.to;
        for &action in transition.actions {
            self.act_as_receiver(at, action, input, cause, now);
        }
    }

    fn act_as_receiver(
        &mut self,
        at: usize,
        action: Action,
        input: Input,
        cause: Option<&Message>,
        now: Instant,
    ) {
        let (holder, queue) = (self.landings[at].holder, self.landings[at].queue);
        match (action, cause) {
            (Action::Activate, _) => self.activate(at, cause, now),
            (Action::SendAppend, _) => {
                self.landings[at].announce_at = now + self.config.announce_every;
                if self.config.announce {
                    self.send(self.announcement(NodeId::ALL, now));
                }
            }
            (Action::SendAppendTo, Some(stray)) if self.config.announce => {
                self.counters.strays += 1;
                self.send(self.announcement(stray.from, now));
            }
            (Action::SendAppendTo, _) => {}
            (Action::SendOk, _) => self.send_to_holder(at, Kind::AcqOk, now),
            (Action::SendWithdrawn, _) => {
                self.counters.withdrawn += u64::from(input == Input::Crossed);
                self.send_to_holder(at, Kind::AcqRej, now);
            }
            (Action::RenewLease, _) => {
                let l = &mut self.landings[at];
                let end = (now + self.config.granted()).min(l.opened + self.config.hold);
                l.lease_end = l.lease_end.max(end);
            }
            (Action::SendRej, Some(req)) => {
                let landing = self.config.policy == Policy::Exclusive
                    && !matches!(self.landings[at].state, State::Resting | State::Closed);
                let reason = match input {
                    Input::ReqOver => Reason::Over,
                    _ if landing => Reason::Landing,
                    _ => Reason::Busy,
                };
                self.reject(req, reason, 0, now);
            }
            (Action::Queue, Some(req)) => self.queue(req, now),
            (Action::Deactivate, _) => self.tell(Event::Closed { queue }),
            (Action::StartDrain, _) => {
                self.landings[at].guarded = false;
                self.end_grant(at, now, now + self.config.drain);
            }
            (Action::StartGuard, _) => {
                let wait = self.config.drain.max(self.config.guard).max(self.config.flight);
                self.landings[at].guarded = true;
                self.end_grant(at, now, now + wait);
            }
            (Action::AwaitLease, _) => {
                self.landings[at].guarded = true;
                self.end_grant(at, now, self.landings[at].lease_end + self.config.guard);
            }
            (Action::Rest, _) => self.landings[at].timer = now + self.config.lease,
            (Action::EndGrant, _) => self.end_grant(at, now, now),
            (Action::TellExpired, _) => {
                self.counters.expired += 1;
                self.tell(Event::Expired { queue, holder });
            }
            (Action::SendRemove, _) => self.send_remove(at),
            (Action::SendRemoveTo, Some(end)) => {
                self.send(Message {
                    echo_incarnation: end.incarnation,
                    echo_sequence: end.sequence,
                    request: end.request,
                    grant: end.grant,
                    ..Message::new(Kind::RemoveAddr, self.config.node, end.from)
                });
            }
            _ => unreachable_in(action),
        }
    }

    /// A new holder: the applicant whose `LM_REQ` it is, or the next of those that wait.
    fn activate(&mut self, at: usize, cause: Option<&Message>, now: Instant) {
        let (holder, incarnation, request, echo) = match cause {
            Some(req) => (req.from, req.incarnation, req.request, req.sequence),
            None => match self.waiting.pop() {
                Some(w) => (w.node, w.incarnation, w.request, w.echo),
                None => return,
            },
        };
        self.waiting.withdraw(holder, incarnation, request);
        self.grants += 1;
        self.counters.opened += 1;
        let grant = self.grants;
        let l = &mut self.landings[at];
        (l.holder, l.incarnation, l.request, l.echo, l.grant) = (holder, incarnation, request, echo, grant);
        l.opened = now;
        l.lease_end = now + self.config.granted();
        l.stray_at = now;
        let queue = l.queue;
        if self.config.announce {
            let (address, incarnation) = (self.config.node, self.config.incarnation);
            self.list.append(Entry { address, flag: Flag::Local, incarnation, grant, expires: NEVER });
        }
        self.tell(Event::Opened { queue, holder, grant });
    }

    /// `LM_APPEND_ADDR` of this node. It lists the node for as long as any of its grants lasts, with guard
    /// and drain.
    fn announcement(&self, to: NodeId, now: Instant) -> Message {
        Message {
            address: self.config.node,
            grant: self.grants,
            lease: micros(self.listed_for(now)),
            ..Message::new(Kind::AppendAddr, self.config.node, to)
        }
    }

    /// The longest that an announcement of any node may list it.
    pub(super) fn listed_at_most(&self) -> Duration {
        self.config.granted() + self.config.guard + self.config.drain
    }

    fn listed_for(&self, now: Instant) -> Duration {
        let active = self.landings.iter().filter(|l| !matches!(l.state, State::Resting | State::Closed));
        let left = active.map(|l| l.lease_end.since(now)).max().unwrap_or_default();
        left + self.config.guard + self.config.drain
    }

    /// `LM_ACQ_OK` with the lease that is left, or the `LM_ACQ_REJ` that withdraws it.
    fn send_to_holder(&mut self, at: usize, kind: Kind, now: Instant) {
        let l = &self.landings[at];
        let rejected = kind == Kind::AcqRej;
        let landing = self.config.landing.get(usize::from(l.queue)).filter(|_| !rejected);
        self.send(Message {
            reason: if rejected { Reason::Withdrawn } else { Reason::Busy },
            queue: l.queue,
            echo_incarnation: l.incarnation,
            echo_sequence: l.echo,
            address: self.config.node,
            size: Message::of_landing(landing),
            request: l.request,
            grant: l.grant,
            lease: if rejected { 0 } else { micros(l.lease_end.since(now)) },
            flush: if rejected { 0 } else { self.config.flush },
            ..Message::new(kind, self.config.node, l.holder)
        });
    }

    fn queue(&mut self, req: &Message, now: Instant) {
        let waiting = Waiting {
            node: req.from,
            incarnation: req.incarnation,
            request: req.request,
            echo: req.sequence,
            priority: req.priority,
            passed: 0,
            expires: now + self.config.lease,
        };
        match self.waiting.push(waiting) {
            Some(position) => {
                self.counters.queued += 1;
                self.reject(req, Reason::Queued, position as u16, now);
            }
            None => self.reject(req, Reason::Full, 0, now),
        }
    }

    fn reject(&mut self, req: &Message, reason: Reason, position: u16, now: Instant) {
        let landing = reason == Reason::Landing;
        self.send(Message {
            reason,
            echo_incarnation: req.incarnation,
            echo_sequence: req.sequence,
            address: self.config.node,
            request: req.request,
            grant: if landing { self.grants } else { 0 },
            lease: if landing { micros(self.listed_for(now)) } else { 0 },
            position,
            ..Message::new(Kind::AcqRej, self.config.node, req.from)
        });
        if reason != Reason::Queued {
            self.counters.refused += 1;
            self.tell(Event::Refused { applicant: req.from, reason });
        }
    }

    /// Notes that the request is over, so that a late repetition of it is told so. The drain ends at
    /// `drained`.
    fn end_grant(&mut self, at: usize, now: Instant, drained: Instant) {
        let l = &mut self.landings[at];
        l.timer = if l.timer > drained && l.state == State::Draining { l.timer } else { drained };
        let (holder, incarnation, request) = (l.holder, l.incarnation, l.request);
        self.peers.end(holder, incarnation, request, now, drained + self.config.hold);
    }

    /// Tells that the queue is free. If no queue is held any more, the message goes to all nodes, and also
    /// answers the last holder.
    fn send_remove(&mut self, at: usize) {
        self.landings[at].guarded = false;
        let (node, l) = (self.config.node, &self.landings[at]);
        let remove = Message {
            echo_incarnation: l.incarnation,
            request: l.request,
            grant: l.grant,
            ..Message::new(Kind::RemoveAddr, node, l.holder)
        };
        let last = self.landings.iter().all(|l| matches!(l.state, State::Closed | State::Resting));
        if self.config.announce && last {
            self.list.remove(node, self.config.incarnation, self.grants);
            let all = Message {
                address: node,
                grant: self.grants,
                ..Message::new(Kind::RemoveAddr, node, NodeId::ALL)
            };
            self.send(all);
            if remove.grant == self.grants {
                return;
            }
        }
        self.send(remove);
    }
}

/// Microseconds, rounded down, as they fit the field.
fn micros(d: Duration) -> u32 {
    u32::try_from(d.as_micros()).unwrap_or(u32::MAX)
}

/// The table gives no role an action of the other (`tests/table.rs`).
fn unreachable_in(action: Action) {
    debug_assert!(false, "{action:?} in the wrong role, or without its message");
}
