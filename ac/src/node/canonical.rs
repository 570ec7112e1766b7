//! Removes from a node's state everything on which its future behaviour does not depend, so that the model
//! checker treats states that behave alike as one. `mock::World::canonical` says why each step is correct.

use super::Node;
use super::roles::{Applicant, Landing};
use crate::event::Grant;
use crate::machine::State;
use crate::peers::Refusal;
use crate::time::Instant;
use crate::wire::{Message, NodeId};

/// A sequence number: whose, of which incarnation.
pub(crate) type Sequence<'a> = (NodeId, u64, &'a mut u64);

impl Node {
    /// Clears what no call will read again in this state, and orders what has no order.
    pub(crate) fn forget(&mut self, now: Instant) {
        let announce = self.config.announce;
        for l in &mut self.landings {
            forget_landing(l, announce);
        }
        for a in &mut self.applicants {
            forget_applicant(a);
        }
        self.applicants.sort_by_key(|a| a.to);
        self.list.sort();
        self.peers.each(|p| p.forget(announce, now));
    }

    /// Every moment; `due` ones are only ever compared with the present: those that have come are all alike.
    pub(crate) fn each_moment(
        &mut self,
        mut live: impl FnMut(&mut Instant),
        mut due: impl FnMut(&mut Instant),
    ) {
        for l in &mut self.landings {
            due(&mut l.timer);
            due(&mut l.announce_at);
            due(&mut l.stray_at);
            live(&mut l.opened);
            live(&mut l.lease_end);
        }
        for a in &mut self.applicants {
            due(&mut a.timer);
            due(&mut a.grant.until);
            a.each_sending(|_, at| live(at));
        }
        self.waiting.each(|w| due(&mut w.expires));
        self.list.each(|e| due(&mut e.expires));
        self.peers.each(|p| p.due().into_iter().for_each(&mut due));
        due(&mut self.renumber_at);
    }

    /// Every sequence number by which this node may answer, or date an answer.
    pub(crate) fn each_answerable(&mut self, mut f: impl FnMut(Sequence<'_>)) {
        self.waiting.each(|w| f((w.node, w.incarnation, &mut w.echo)));
    }

    /// The sequence numbers of requests that this node remembers to have sent; `false`: forget it.
    pub(crate) fn each_sent(&mut self, mut f: impl FnMut(&mut u64) -> bool) {
        for a in &mut self.applicants {
            a.each_sending(|sequence, at| {
                if *sequence != 0 && !f(sequence) {
                    (*sequence, *at) = (0, Instant::ZERO);
                }
            });
        }
    }

    /// Sets the number of the last message.
    pub(crate) fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// The number of the last message.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether this message is of the life that its sender has proven, and would be refused as seen before.
    pub(crate) fn has_seen(&self, message: &Message) -> bool {
        self.peers.clone().arrive(message, self.config.key.is_none()) == Err(Refusal::Seen)
    }

    /// Whether both have granted, asked and listed the same.
    pub(crate) fn grants_alike(&self, other: &Self, now: Instant) -> bool {
        let grants = |n: &Self| {
            let mut list = n.list.clone();
            list.expire(now);
            (n.landings.clone(), n.waiting.clone(), list, n.applicants.clone())
        };
        grants(self) == grants(other) && self.config.incarnation == other.config.incarnation
    }

    /// Makes a node known in this incarnation, and this node to it: as if both had proven theirs.
    pub fn meet(&mut self, node: NodeId, incarnation: u64) {
        if node != self.config.node {
            self.peers.meet(node, incarnation);
        }
    }

    /// Sets what is remembered of each peer's messages: the highest sequence number, and which at and below
    /// it were seen.
    pub(crate) fn set_seen(&mut self, mut f: impl FnMut(NodeId, u64) -> (u64, u64)) {
        self.peers.each(|p| {
            let (top, seen) = f(p.id(), p.incarnation());
            p.set_seen(top, seen);
        });
    }

    /// Gives nodes other names.
    pub(crate) fn rename(&mut self, name: impl Fn(NodeId) -> NodeId) {
        self.config.node = name(self.config.node);
        self.peers.rename(&name);
        self.list.each(|e| e.address = name(e.address));
        self.list.sort();
        for a in &mut self.applicants {
            a.to = name(a.to);
        }
        self.applicants.sort_by_key(|a| a.to);
        for l in &mut self.landings {
            l.holder = name(l.holder);
        }
        self.waiting.each(|w| w.node = name(w.node));
    }
}

fn forget_landing(l: &mut Landing, announce: bool) {
    // The answer to a renewal names the message that asked for it; `Waiting` has that of the next one.
    l.echo = 0;
    match l.state {
        State::Granted | State::Withdrawing => {
            l.timer = Instant::ZERO;
            l.guarded = false;
            if !announce || l.state == State::Withdrawing {
                l.announce_at = Instant::ZERO;
            }
        }
        State::Draining => {
            (l.opened, l.announce_at) = (Instant::ZERO, Instant::ZERO);
            // Rejections and announcements still tell how long this node is listed.
            if !announce {
                l.lease_end = Instant::ZERO;
            }
        }
        // Resting or closed: who held it last matters to nobody.
        _ => {
            let timer = if l.state == State::Resting { l.timer } else { Instant::ZERO };
            *l = Landing { state: l.state, ..Landing::new(l.queue, timer) };
        }
    }
    // No frame strays in the model.
    l.stray_at = Instant::ZERO;
}

fn forget_applicant(a: &mut Applicant) {
    match a.state {
        State::Holding => {}
        // Its `LM_ENDME` names the grant.
        State::Ending => {
            a.grant.until = Instant::ZERO;
            a.each_sending(|sequence, at| (*sequence, *at) = (0, Instant::ZERO));
        }
        _ => a.grant = Grant { until: Instant::ZERO, ..a.grant },
    }
}
