//! What is remembered of every node heard: its incarnation, and which of its messages were seen.

use crate::wire::{Kind, Message, NodeId};

/// One node heard.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Peer {
    id: NodeId,
    incarnation: u64,
    /// The highest sequence number seen, and a bit for each of the 64 below and at it.
    top: u64,
    seen: u64,
    /// Its latest request that is over: a later `LM_REQ` of it is a late one.
    pub(crate) ended: u64,
    /// Its latest grant that was removed: an `LM_APPEND_ADDR` of it is a late one.
    pub(crate) removed: u64,
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
}

/// How a message fits what was heard before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// New.
    Fresh,
    /// New, and the first of a new incarnation of a node known before.
    Restarted,
}

/// Why a message is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// Its sequence number was seen, or lies 64 and more below the highest.
    Seen,
    /// From before its sender's restart.
    Stale,
    /// No room for one more node.
    Full,
}

/// The nodes heard, sorted; as many as there is room for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Peers {
    room: usize,
    peers: Vec<Peer>,
}

impl Peers {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, peers: Vec::with_capacity(room) }
    }

    /// Takes note of `message`: each is fresh once.
    pub(crate) fn arrive(&mut self, message: &Message) -> Result<Arrival, Refusal> {
        let fresh = Peer {
            id: message.from,
            incarnation: message.incarnation,
            top: message.sequence,
            seen: 1,
            ended: 0,
            removed: 0,
        };
        match self.peers.binary_search_by_key(&message.from, |p| p.id) {
            Err(_) if self.peers.len() == self.room => Err(Refusal::Full),
            Err(at) => {
                self.peers.insert(at, fresh);
                Ok(Arrival::Fresh)
            }
            Ok(at) => {
                let peer = &mut self.peers[at];
                if message.incarnation > peer.incarnation {
                    *peer = fresh;
                    return Ok(Arrival::Restarted);
                }
                if message.incarnation < peer.incarnation {
                    return Err(Refusal::Stale);
                }
                if message.sequence > peer.top {
                    let by = message.sequence - peer.top;
                    peer.seen = if by < 64 { peer.seen << by | 1 } else { 1 };
                    peer.top = message.sequence;
                    return Ok(Arrival::Fresh);
                }
                let below = peer.top - message.sequence;
                if below >= 64 || peer.seen >> below & 1 == 1 {
                    return Err(Refusal::Seen);
                }
                peer.seen |= 1 << below;
                Ok(Arrival::Fresh)
            }
        }
    }

    /// The node, if it was heard.
    pub(crate) fn find(&mut self, id: NodeId) -> Option<&mut Peer> {
        let at = self.peers.binary_search_by_key(&id, |p| p.id).ok()?;
        self.peers.get_mut(at)
    }

    /// Notes that `request` of this incarnation of `id` is over.
    pub(crate) fn end(&mut self, id: NodeId, incarnation: u64, request: u64) {
        if let Some(peer) = self.find(id).filter(|p| p.incarnation == incarnation) {
            peer.ended = peer.ended.max(request);
        }
    }

    /// Whether what `message` asks for or announces is over: it comes late.
    pub(crate) fn is_over(&mut self, message: &Message) -> bool {
        self.find(message.from).is_some_and(|p| match message.kind {
            Kind::AppendAddr => message.grant <= p.removed,
            _ => message.request <= p.ended,
        })
    }
}

#[cfg(feature = "mock")]
impl Peers {
    pub(crate) fn each(&mut self, f: impl FnMut(&mut Peer)) {
        self.peers.iter_mut().for_each(f);
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
        /// The window against a set of everything ever seen.
        #[test]
        fn every_message_is_fresh_once(arrivals in prop::collection::vec((1_u64..4, 0_u64..200), 1..300)) {
            let mut peers = Peers::new(4);
            let (mut newest, mut seen, mut top) = (0, HashSet::new(), 0);
            for (incarnation, sequence) in arrivals {
                let got = peers.arrive(&message(incarnation, sequence));
                let want = if incarnation < newest {
                    Err(Refusal::Stale)
                } else if incarnation > newest {
                    let first = newest == 0;
                    (newest, top) = (incarnation, sequence);
                    seen = HashSet::from([sequence]);
                    Ok(if first { Arrival::Fresh } else { Arrival::Restarted })
                } else if sequence + 64 <= top || !seen.insert(sequence) {
                    Err(Refusal::Seen)
                } else {
                    top = top.max(sequence);
                    Ok(Arrival::Fresh)
                };
                prop_assert_eq!(got, want);
            }
        }
    }

    #[test]
    fn a_stranger_too_many_is_refused_and_costs_nobody() {
        let mut peers = Peers::new(1);
        assert_eq!(peers.arrive(&message(1, 1)), Ok(Arrival::Fresh));
        let mut other = message(1, 1);
        other.from = NodeId(9);
        assert_eq!(peers.arrive(&other), Err(Refusal::Full));
        assert_eq!(peers.arrive(&message(1, 2)), Ok(Arrival::Fresh));
    }
}
