//! Lives: which incarnation of another node is the present one.
//!
//! Numbers cannot show that: a clock can go back, a disk can be restored, a member can lie, and a recorded
//! message of an earlier life has a valid signature. So an incarnation is accepted only when it sends back a
//! nonce.

use super::{HandleError, Node};
use crate::machine::{Input, State};
use crate::peers::Refusal;
use crate::time::Instant;
use crate::wire::{Kind, Message, NodeId};

impl Node {
    /// The nonce that `from` has to send back to prove its life: good once, in this life of this node.
    pub(crate) fn nonce(&self, from: NodeId) -> u64 {
        self.config.secret.nonce([self.config.incarnation, from.0, self.peers.proofs(from)])
    }

    /// Asks `from` to prove its life, after a message of a life that is not proven. If many such messages
    /// come, it asks at most twice per `retry`.
    pub(super) fn challenge(&mut self, from: NodeId, now: Instant) {
        if self.peers.may_exchange(from, now, now + self.config.retry / 2) {
            self.send_challenge(from, true, 0);
        }
    }

    /// Sends `to` its nonce back as `response`, if there is one, and asks it to prove its life if `ask`. The
    /// message also tells what this node knows of `to`. If `to` has begun anew under a number that an earlier
    /// life of its used, it learns that from it.
    pub(super) fn send_challenge(&mut self, to: NodeId, ask: bool, response: u64) {
        let (echo_incarnation, echo_sequence) = self.peers.known(to);
        self.send(Message {
            echo_incarnation,
            echo_sequence,
            size: if ask { self.nonce(to) } else { 0 },
            request: response,
            ..Message::new(Kind::Challenge, self.config.node, to)
        });
    }

    /// `LM_CHALLENGE`: the sender proves its life, or asks for a proof of ours, or both.
    pub(super) fn on_challenge(&mut self, message: &Message, now: Instant) -> Result<(), HandleError> {
        let (from, wanted, response) = (message.from, message.size, message.request);
        let proves = response != 0 && response == self.nonce(from);
        if wanted == 0 && !proves {
            // The nonce that was sent back was used before, or this node never sent it. And the sender asks
            // nothing.
            return Err(self.refuse(Refusal::Seen));
        }
        let mut anew = false;
        let (known, fresh) = match self.peers.arrive(message, self.config.key.is_none()) {
            Ok(()) => (true, true),
            // Nobody can have sent the nonce back before: whatever its sequence number is, this is new.
            Err(Refusal::Seen) => (true, proves),
            Err(Refusal::Unproven) if proves => {
                anew = true;
                (true, true)
            }
            Err(Refusal::Unproven) => (false, false),
            Err(Refusal::Full) => return Err(self.refuse(Refusal::Full)),
        };
        if anew {
            self.peers.adopt(message);
            self.counters.proven += 1;
            self.on_restart(message, now);
        } else if proves {
            self.peers.use_up(from);
        }
        let names_us = fresh && message.echo_incarnation == self.config.incarnation;
        // The sender has seen a later message of this incarnation than this life has sent. So an earlier life
        // had the same number.
        let beyond = names_us && message.echo_sequence > self.sequence;
        let used = beyond && now >= self.renumber_at;
        if used {
            self.renumber(now);
        } else if names_us
            && !beyond
            && let Some(peer) = self.peers.find(from)
        {
            peer.knows_us = true;
        }
        if wanted != 0 {
            self.send_challenge(from, !known, wanted);
        }
        // The sender refused what this node sent before the proof. So that is sent again, but at most twice
        // per `retry`, because messages that overtake the proof are challenged, too.
        let again = fresh && wanted != 0 && self.peers.may_exchange(from, now, now + self.config.retry / 2);
        if used {
            // From the end: one that becomes idle leaves its place to the last.
            for at in (0..self.applicants.len()).rev() {
                self.step_applicant(at, Input::Restarted, Some(message), now);
            }
        } else if let Some(at) = self.applicant(from).filter(|_| anew || again) {
            let input = if anew { Input::Restarted } else { Input::Challenged };
            self.step_applicant(at, input, Some(message), now);
        }
        if again {
            self.announce_again(message, now);
        }
        if fresh {
            return Ok(());
        }
        // The challenge was answered, because its sender may need the answer. But nothing in it is believed.
        Err(self.refuse(if known { Refusal::Seen } else { Refusal::Unproven }))
    }

    /// Sends this node's announcement again to a node that asked for a proof. Such a node has refused the
    /// broadcast, too.
    fn announce_again(&mut self, message: &Message, now: Instant) {
        let lands = |l: &super::Landing| matches!(l.state, State::Granted | State::Draining);
        if let Some(at) = self.landings.iter().position(|l| lands(l) && l.holder != message.from) {
            self.step_landing(at, Input::Stray, Some(message), now);
        }
    }

    /// The sender has lost all that it knew: what it asked, held and granted is over.
    fn on_restart(&mut self, message: &Message, now: Instant) {
        self.waiting.forget(message.from, message.incarnation);
        if self.list.find(message.from).is_some_and(|e| e.incarnation != message.incarnation) {
            self.list.remove(message.from, message.incarnation, 0);
        }
        for at in 0..self.landings.len() {
            let l = &self.landings[at];
            if l.holder == message.from && l.incarnation != message.incarnation {
                self.step_landing(at, Input::HolderRestarted, Some(message), now);
            }
        }
    }

    /// An earlier life of this node had its number, too. It takes the next one, at most once per
    /// [`crate::Config::hold`]; the sequence goes on. For the others that is a restart, and so it is for what
    /// this node has granted.
    fn renumber(&mut self, now: Instant) {
        self.counters.renumbered += 1;
        self.config.incarnation = self.config.incarnation.checked_add(1).unwrap_or(1);
        self.renumber_at = now + self.config.hold;
        self.peers.forget_us();
        self.list.remove(self.config.node, self.config.incarnation, u64::MAX);
        for at in 0..self.landings.len() {
            self.step_landing(at, Input::Renumbered, None, now);
        }
    }
}
