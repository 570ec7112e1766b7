//! What an attacker does in a [`World`]: a member of the cluster that lies, and somebody who plays recorded
//! messages again.
//!
//! `World` offers these acts to its driver, as many as its [`Faults`](super::Faults) still allow. A lie is
//! signed with the cluster's key if there is one; a recording arrives as it was. With a key, a recording that
//! changes what is granted, asked or listed is a violation.

use super::World;
use super::world::{Lie, Packet, id};
use crate::wire::{Kind, MAX_LENGTH, Message, NodeId};

impl World {
    /// The lies that are possible now.
    pub(super) fn lies(&self) -> Vec<Lie> {
        let mut lies = Vec::new();
        let alive = |n: &usize| self.nodes[*n].is_some();
        for to in (0..self.nodes.len()).filter(alive) {
            for of in (0..self.nodes.len()).filter(|&of| of != to) {
                lies.extend([Lie::LastLife { of, to }, Lie::LastNumbers { of, to }, Lie::Known { of, to }]);
            }
        }
        let asks =
            |packet: &Packet| self.decode(packet).is_some_and(|m| m.kind == Kind::Challenge && m.size != 0);
        lies.extend((0..self.wire.len()).filter(|&p| asks(&self.wire[p])).map(Lie::Overheard));
        lies
    }

    /// The lie is sent, and arrives at once.
    pub(super) fn lie(&mut self, lie: Lie) {
        self.faults.lies -= 1;
        self.unharmed = false;
        let last = |kind, of: usize, to: usize| Message {
            incarnation: u64::MAX,
            sequence: u64::MAX,
            address: id(to),
            ..Message::new(kind, id(of), id(to))
        };
        let (to, message) = match lie {
            Lie::LastLife { of, to } => (to, Message { request: u64::MAX, ..last(Kind::Req, of, to) }),
            Lie::LastNumbers { of, to } => {
                let incarnation = self.life(of);
                (to, Message { incarnation, request: u64::MAX, grant: 1, ..last(Kind::EndMe, of, to) })
            }
            Lie::Known { of, to } => {
                let (incarnation, echo_incarnation) = (self.life(of), self.life(to));
                let known = Message {
                    echo_incarnation,
                    echo_sequence: u64::MAX,
                    size: 1,
                    ..last(Kind::Challenge, of, to)
                };
                (to, Message { incarnation, ..known })
            }
            Lie::Overheard(p) => {
                let Some(asked) = self.decode(&self.wire[p]) else { return };
                let (of, to) = (self.wire[p].to, index(asked.from));
                (to, Message { request: asked.size, ..last(Kind::Challenge, of, to) })
            }
        };
        let mut bytes = [0; MAX_LENGTH];
        let length = message.encode(self.config.key.as_ref(), &mut bytes);
        self.deliver(to, &bytes[..length]);
    }

    /// A recording arrives. With a key nothing may come of it but an exchange of challenges.
    pub(super) fn replay(&mut self, recording: usize) {
        self.faults.replays -= 1;
        let packet = self.recorded[recording].clone();
        let before = self.nodes[packet.to].clone();
        if let Some(node) = &mut self.nodes[packet.to] {
            // A recording may be refused: the comparison below is what matters.
            let _ = node.handle(&packet.bytes[..packet.length], self.now);
        }
        let after = self.nodes[packet.to].as_ref();
        let alike = before.zip(after).is_none_or(|(before, after)| before.grants_alike(after, self.now));
        if self.config.key.is_some() && !alike {
            self.violation = Some("a recording changed what is granted, asked or listed");
        }
        self.fetch(packet.to);
    }

    /// The node's present incarnation, or the next one if it has crashed.
    pub(super) fn life(&self, n: usize) -> u64 {
        self.nodes[n].as_ref().map_or(self.incarnations[n], |node| node.config().incarnation)
    }

    pub(super) fn decode(&self, packet: &Packet) -> Option<Message> {
        Message::decode(&packet.bytes[..packet.length], self.config.key.as_ref()).ok()
    }
}

/// The node's index in the world.
pub(super) fn index(node: NodeId) -> usize {
    (node.0 as usize).wrapping_sub(1)
}
