//! The table of other nodes: the incarnation that each has proven, and which of its messages were seen.
//!
//! [`Node`](crate::Node) asks it whether an arriving message is of the present life of its sender, and new.
//! Each message is taken at most once: one that is 64 or more behind the latest counts as seen. The table has
//! [`Config::nodes`](crate::Config::nodes) places and never grows. It never drops a node for another: when it
//! is full, a new node is refused.

use crate::time::Instant;
#[cfg(any(test, feature = "mock"))]
use crate::wire::Kind;
use crate::wire::{Message, NodeId};

/// One node heard.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Peer {
    id: NodeId,
    incarnation: u64,
    /// The highest sequence number seen, and a bit for each of the 64 below and at it.
    top: u64,
    seen: u64,
    /// Its latest request that is over. An `LM_REQ` that names it or an earlier one has come late.
    ended: u64,
    /// Its latest grant that was removed. An `LM_APPEND_ADDR` that names it or an earlier one has come late.
    removed: u64,
    /// When both are forgotten.
    over_until: Instant,
    /// How often it has sent back a nonce of this node. Each nonce is good once.
    proofs: u64,
    /// Whether it has answered a message of this node's present life, and so knows that life.
    pub(crate) knows_us: bool,
    /// When it may next be challenged, or be sent again what it has not taken.
    exchange_at: Instant,
}

impl Peer {
    fn new(message: &Message) -> Self {
        Self {
            id: message.from,
            incarnation: message.incarnation,
            top: message.sequence,
            seen: 1,
            ended: 0,
            removed: 0,
            over_until: Instant::ZERO,
            proofs: 0,
            knows_us: false,
            exchange_at: Instant::ZERO,
        }
    }
}

impl Peer {
    /// Forgets requests and grants that have been over for so long that no message can come that late. A
    /// number that a member made up must not count for ever.
    fn expire(&mut self, now: Instant) {
        if self.over_until <= now {
            (self.ended, self.removed, self.over_until) = (0, 0, Instant::ZERO);
        }
    }
}

#[cfg(feature = "mock")]
impl Peer {
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    pub(crate) fn set_seen(&mut self, top: u64, seen: u64) {
        (self.top, self.seen) = (top, seen);
    }

    /// Clears what makes no difference any more: the number of nonces, and what is over for good or was never
    /// announced.
    pub(crate) fn forget(&mut self, announce: bool, now: Instant) {
        self.proofs = 0;
        self.expire(now);
        if !announce {
            self.removed = 0;
        }
    }

    /// Moments that are only ever compared with the present.
    pub(crate) fn due(&mut self) -> [&mut Instant; 2] {
        [&mut self.exchange_at, &mut self.over_until]
    }
}

/// Why a message is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// Its sequence number was seen, or lies 64 and more below the highest.
    Seen,
    /// Of an incarnation that its sender has not proven.
    Unproven,
    /// No room for one more node.
    Full,
}

/// What a message can come too late for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Number {
    /// A request, by its applicant's number.
    Request(u64),
    /// A grant, by its receiver's.
    Grant(u64),
}

/// The nodes heard, sorted by their numbers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Peers {
    room: usize,
    peers: Vec<Peer>,
}

impl Peers {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, peers: Vec::with_capacity(room) }
    }

    /// Takes note of `message`, which is fresh only once. Where the protocol is `open`, the first message of
    /// an unknown node is taken without a proof.
    pub(crate) fn arrive(&mut self, message: &Message, open: bool) -> Result<(), Refusal> {
        let at = match self.peers.binary_search_by_key(&message.from, |p| p.id) {
            Ok(at) => at,
            Err(_) if self.peers.len() == self.room => return Err(Refusal::Full),
            Err(_) if !open => return Err(Refusal::Unproven),
            Err(at) => {
                self.peers.insert(at, Peer::new(message));
                return Ok(());
            }
        };
        let peer = &mut self.peers[at];
        // A larger number does not show a later life: clocks go back, disks are restored, and members lie.
        if message.incarnation != peer.incarnation {
            return Err(Refusal::Unproven);
        }
        if message.sequence > peer.top {
            let by = message.sequence - peer.top;
            peer.seen = if by < 64 { peer.seen << by | 1 } else { 1 };
            peer.top = message.sequence;
            return Ok(());
        }
        let below = peer.top - message.sequence;
        if below >= 64 || peer.seen >> below & 1 == 1 {
            return Err(Refusal::Seen);
        }
        peer.seen |= 1 << below;
        Ok(())
    }

    /// The sender of `message` has proven its incarnation by it. Nothing that it sent before is taken any
    /// more: that may be a recording. There is room for it, as [`Peers::arrive`] said.
    pub(crate) fn adopt(&mut self, message: &Message) {
        let proven = |proofs| Peer { seen: u64::MAX, proofs, ..Peer::new(message) };
        match self.peers.binary_search_by_key(&message.from, |p| p.id) {
            Ok(at) => self.peers[at] = proven(self.peers[at].proofs + 1),
            Err(at) => self.peers.insert(at, proven(1)),
        }
    }

    /// Notes that `id` has sent back a nonce of this node, which is then used up.
    pub(crate) fn use_up(&mut self, id: NodeId) {
        if let Some(peer) = self.find(id) {
            peer.proofs += 1;
        }
    }

    /// How often `id` has sent back a nonce.
    pub(crate) fn proofs(&self, id: NodeId) -> u64 {
        self.get(id).map_or(0, |p| p.proofs)
    }

    /// What is known of `id`: its incarnation, and the highest sequence number; zeros if nothing is.
    pub(crate) fn known(&self, id: NodeId) -> (u64, u64) {
        self.get(id).map_or((0, 0), |p| (p.incarnation, p.top))
    }

    /// Whether it is time to challenge `id`, or to send again what it has not taken. If so, and if `id` is
    /// known, the next time is at `next`.
    pub(crate) fn may_exchange(&mut self, id: NodeId, now: Instant, next: Instant) -> bool {
        self.find(id).is_none_or(|peer| {
            let due = now >= peer.exchange_at;
            if due {
                peer.exchange_at = next;
            }
            due
        })
    }

    /// Notes that this node has taken another number, by which no other node knows it.
    pub(crate) fn forget_us(&mut self) {
        self.peers.iter_mut().for_each(|p| p.knows_us = false);
    }

    fn get(&self, id: NodeId) -> Option<&Peer> {
        let at = self.peers.binary_search_by_key(&id, |p| p.id).ok()?;
        self.peers.get(at)
    }

    /// The node, if it was heard.
    pub(crate) fn find(&mut self, id: NodeId) -> Option<&mut Peer> {
        let at = self.peers.binary_search_by_key(&id, |p| p.id).ok()?;
        self.peers.get_mut(at)
    }

    /// Notes that `request` of this incarnation of `id` is over, until `until`.
    pub(crate) fn end(&mut self, id: NodeId, incarnation: u64, request: u64, now: Instant, until: Instant) {
        if let Some(peer) = self.find(id).filter(|p| p.incarnation == incarnation) {
            peer.expire(now);
            peer.ended = peer.ended.max(request);
            peer.over_until = peer.over_until.max(until);
        }
    }

    /// Notes that `grant` of `id` is over, until `until`.
    pub(crate) fn remove(&mut self, id: NodeId, grant: u64, now: Instant, until: Instant) {
        if let Some(peer) = self.find(id) {
            peer.expire(now);
            peer.removed = peer.removed.max(grant);
            peer.over_until = peer.over_until.max(until);
        }
    }

    /// Whether `number` of `id` is over. A message that asks for it or announces it has come late.
    pub(crate) fn is_over(&mut self, id: NodeId, number: Number, now: Instant) -> bool {
        let Some(peer) = self.find(id) else { return false };
        peer.expire(now);
        match number {
            Number::Request(request) => request <= peer.ended,
            Number::Grant(grant) => grant <= peer.removed,
        }
    }
}

#[cfg(feature = "mock")]
impl Peers {
    pub(crate) fn each(&mut self, f: impl FnMut(&mut Peer)) {
        self.peers.iter_mut().for_each(f);
    }

    /// Makes `id` known in this incarnation, and this node to it.
    pub(crate) fn meet(&mut self, id: NodeId, incarnation: u64) {
        let hello = Message { incarnation, ..Message::new(Kind::Challenge, id, NodeId::ALL) };
        let met = Peer { knows_us: true, ..Peer::new(&hello) };
        if let Err(at) = self.peers.binary_search_by_key(&id, |p| p.id) {
            self.peers.insert(at, met);
        }
    }

    pub(crate) fn rename(&mut self, name: impl Fn(NodeId) -> NodeId) {
        self.each(|p| p.id = name(p.id));
        self.peers.sort_by_key(|p| p.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn message(incarnation: u64, sequence: u64) -> Message {
        Message { incarnation, sequence, ..Message::new(Kind::Req, NodeId(1), NodeId(2)) }
    }

    proptest! {
        /// The window against a set of everything ever seen; no number of an incarnation is above another.
        #[test]
        fn every_message_is_fresh_once(
            open: bool, arrivals in prop::collection::vec((0_u64..4, 0_u64..200, any::<bool>()), 1..300),
        ) {
            let numbers = [1, u64::MAX, 2, 1 << 50];
            let mut peers = Peers::new(4);
            let (mut known, mut seen, mut top) = (None, HashSet::new(), 0);
            for (incarnation, sequence, proves) in arrivals {
                let incarnation = numbers[incarnation as usize];
                let got = peers.arrive(&message(incarnation, sequence), open);
                let want = if known.is_none() && open {
                    (known, top, seen) = (Some(incarnation), sequence, HashSet::from([sequence]));
                    Ok(())
                } else if known != Some(incarnation) {
                    Err(Refusal::Unproven)
                } else if sequence + 64 <= top || !seen.insert(sequence) {
                    Err(Refusal::Seen)
                } else {
                    top = top.max(sequence);
                    Ok(())
                };
                prop_assert_eq!(got, want);
                if got == Err(Refusal::Unproven) && proves {
                    let before = peers.proofs(NodeId(1));
                    peers.adopt(&message(incarnation, sequence));
                    prop_assert_eq!(peers.proofs(NodeId(1)), before + 1, "the nonce is used up");
                    (known, top, seen) = (Some(incarnation), sequence, (0..=sequence).collect());
                }
                prop_assert_eq!(peers.known(NodeId(1)), (known.unwrap_or(0), top));
            }
        }
    }

    #[test]
    fn a_stranger_too_many_is_refused_and_costs_nobody() {
        let mut peers = Peers::new(1);
        assert_eq!(peers.arrive(&message(1, 1), true), Ok(()));
        let mut other = message(1, 1);
        other.from = NodeId(9);
        assert_eq!(peers.arrive(&other, true), Err(Refusal::Full));
        assert_eq!(peers.arrive(&message(1, 2), true), Ok(()));
    }

    #[test]
    fn what_is_over_is_forgotten_for_good() {
        let at = Instant::from_nanos;
        let mut peers = Peers::new(1);
        peers.adopt(&message(1, 1));
        let id = NodeId(1);
        peers.end(id, 1, u64::MAX, at(0), at(10));
        assert!(peers.is_over(id, Number::Request(u64::MAX), at(9)));
        peers.end(id, 2, 9, at(10), at(20));
        assert!(!peers.is_over(id, Number::Request(9), at(10)), "of another life");
        peers.end(id, 1, 3, at(10), at(20));
        assert!(peers.is_over(id, Number::Request(3), at(19)), "this one is");
        assert!(!peers.is_over(id, Number::Request(4), at(19)), "and not that of before, anew");
        peers.remove(id, 7, at(19), at(30));
        assert!(peers.is_over(id, Number::Grant(7), at(29)) && !peers.is_over(id, Number::Grant(8), at(29)));
        assert!(!peers.is_over(id, Number::Grant(7), at(30)));
    }

    #[test]
    fn who_is_known_is_challenged_now_and_then() {
        let (now, later) = (Instant::from_nanos(5), Instant::from_nanos(9));
        let mut peers = Peers::new(1);
        assert!(peers.may_exchange(NodeId(1), now, later) && peers.may_exchange(NodeId(1), now, later));
        peers.adopt(&message(1, 1));
        assert!(peers.may_exchange(NodeId(1), now, later));
        assert!(!peers.may_exchange(NodeId(1), now, later), "just now");
        assert!(peers.may_exchange(NodeId(1), later, later));
    }
}
