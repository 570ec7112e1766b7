//! The judgement of a [`World`]: what must never have happened in it, and what should have happened once
//! nothing more can.
//!
//! `World` calls the judges after its acts; the model checker, the property tests and the fuzz harness ask
//! [`World::violation`] for the result. A violation once found is kept.

use super::{World, id};
use crate::machine::{Policy, State};
use crate::node::Node;

impl World {
    /// No frame can reach a queue that another holds.
    pub(super) fn judge_frames(&mut self) {
        for want in &self.wants {
            let Some((queue, _)) = want.frames else { continue };
            if let Some((State::Granted, Some(holder))) =
                self.nodes[want.to].as_ref().and_then(|n| n.landing(queue))
                && holder != id(want.from)
            {
                self.violation = Some("a frame can land in a queue that another holds");
            }
        }
    }

    /// Never two active receivers under `Exclusive`, once everybody has heard.
    pub(in crate::mock) fn judge(&mut self) {
        let active = |n: &&Node| n.landing(0).is_some_and(|(s, _)| s == State::Granted);
        let exclusive = |n: &&Node| n.config().policy == Policy::Exclusive;
        if !self.wire.is_empty() {
            return;
        }
        let active: Vec<&Node> = self.nodes.iter().flatten().filter(exclusive).filter(active).collect();
        let heard = |a: &Node, b: &Node| a.list().find(b.config().node).is_some();
        for (i, a) in active.iter().enumerate() {
            for b in &active[i + 1..] {
                if self.unharmed || (heard(a, b) && heard(b, a)) {
                    self.violation = Some("two active receivers in a settled cluster");
                }
            }
        }
    }

    /// What must never have happened, if it has; and at rest, what should have.
    pub fn violation(&self) -> Option<&'static str> {
        if self.violation.is_some() {
            return self.violation;
        }
        let mut acts = Vec::new();
        self.progress(&mut acts);
        if !acts.is_empty() {
            return None;
        }
        if self.wants.iter().any(|w| !w.void && !w.answered) {
            return Some("a request was never answered");
        }
        if self.returning && self.wants.iter().any(|w| !w.void && w.unanswered && !w.excused) {
            return Some("a node that nobody had lost was not served");
        }
        let closed = |n: &Node| n.landing(0).is_some_and(|(s, _)| s == State::Closed);
        if !self.nodes.iter().flatten().all(|n| closed(n) && n.waiting() == 0) {
            return Some("a landing queue never closed");
        }
        None
    }
}
