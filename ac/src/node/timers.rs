//! Time-outs: the inputs that come from the clock.
//!
//! The caller asks [`Node::poll_timeout`] for the next moment, and calls [`Node::handle_timeout`] when it has
//! come. A call that comes too early does nothing. Messages, requests and drained rings call `settle`, which
//! does what follows from them at once.

use super::Node;
use super::roles::{Applicant, Landing};
use crate::machine::{Input, Policy, State};
use crate::time::Instant;

impl Node {
    /// When to call [`handle_timeout`](Self::handle_timeout) next, if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let applicants = self.applicants.iter().map(|a| match a.state {
            State::Holding => a.timer.min(a.grant.until),
            _ => a.timer,
        });
        let landings = self.landings.iter().filter_map(|l| match l.state {
            State::Resting | State::Draining => Some(l.timer),
            State::Granted if self.config.announce => {
                Some(l.announce_at.min(l.lease_end + self.config.guard))
            }
            State::Granted | State::Withdrawing => Some(l.lease_end + self.config.guard),
            _ => None,
        });
        let deferred = self.applicants.iter().any(|a| a.state == State::Deferred);
        let listed = self.list.next_expiry().filter(|_| deferred);
        applicants.chain(landings).chain(listed).chain(self.waiting.next_expiry()).min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.list.expire(now);
        self.waiting.expire(now);
        for at in 0..self.landings.len() {
            if let Some(input) = self.due_landing(&self.landings[at], now) {
                self.step_landing(at, input, None, now);
            }
        }
        // An applicant that becomes idle leaves its place to the last one: from the end, none is missed.
        for at in (0..self.applicants.len()).rev() {
            if let Some(input) = self.due_applicant(&self.applicants[at], now) {
                self.step_applicant(at, input, None, now);
            }
        }
        self.settle(now);
    }

    fn due_applicant(&self, a: &Applicant, now: Instant) -> Option<Input> {
        match a.state {
            State::Holding if a.grant.until <= now => Some(Input::Lapse),
            _ if a.timer > now => None,
            State::Holding => Some(Input::Renew),
            State::Deferred => Some(Input::GiveUp),
            _ if a.tries >= self.config.tries => Some(Input::GiveUp),
            _ => Some(Input::Retry),
        }
    }

    fn due_landing(&self, l: &Landing, now: Instant) -> Option<Input> {
        let expired = l.lease_end + self.config.guard <= now;
        match l.state {
            State::Granted | State::Withdrawing if expired => Some(Input::Expired),
            State::Granted if self.config.announce && l.announce_at <= now => Some(Input::Announce),
            _ => None,
        }
    }

    /// Does what follows at once from what has happened: drains that are over end, a free queue goes to the
    /// next request that waits, and deferred requests are sent if the list is null.
    pub(super) fn settle(&mut self, now: Instant) {
        for at in 0..self.landings.len() {
            let l = &self.landings[at];
            if matches!(l.state, State::Resting | State::Draining) && l.timer <= now {
                self.step_landing(at, Input::Drained, None, now);
            }
            if self.config.policy == Policy::PerReceiver
                && self.landings[at].is_closed()
                && !self.waiting.is_empty()
            {
                self.step_landing(at, Input::Next, None, now);
            }
        }
        if self.list.is_empty() && self.may_defer() {
            for at in (0..self.applicants.len()).rev() {
                self.step_applicant(at, Input::ListNull, None, now);
            }
        }
    }
}
