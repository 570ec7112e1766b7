//! One world for all that behave alike: what makes the model checker's search end.
//!
//! Two worlds behave alike if every act that one of them offers leads to worlds that behave alike again, and
//! the judges say the same of both. [`World::canonical`] changes a world only in ways that keep that:
//!
//! - *Dead messages go*: those that their addressee refuses now and will refuse ever after. A node may forget
//!   what it has seen only if it can still crash and come back; what answers an earlier life of it is dead in
//!   any case. Delivering such a message changes nothing, and losing it only costs a loss. A search must not
//!   go on with one ([`World::bury`]): what delivers it leads to a world that is known, and behind that
//!   nobody looks.
//! - *Dead fields go*: what the state at hand never reads again, such as the last holder of a closed queue.
//! - *Sequence numbers* are compared for equality only, but for the window of 64, which no run of the model
//!   gets near (it is checked). So the numbers that something still names become 1, 2, 3 … in their order,
//!   and the window says of each whether it was seen.
//! - *Frames* of holders of grants are on their way now. Every act begins by sending them, so each act that
//!   follows would have them on their way, too.
//! - *Time* counts from now. A moment that has come and that is only ever compared with the present is now.
//! - *Nodes* are renamed under `PerReceiver`, where names decide nothing. Only those renamings are used that
//!   map the set of requests to itself.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::World;
use super::attacker::index;
use super::world::{Packet, id};
use crate::machine::Policy;
use crate::time::Instant;
use crate::wire::{Kind, MAX_LENGTH, Message, NodeId};

/// Where time begins: later than anything that is remembered is long ago.
const NOW: Instant = Instant::from_nanos(1 << 40);

/// The window of sequence numbers (`peers`).
const WINDOW: u64 = 64;

impl World {
    /// The world that stands for all worlds that behave as this one does.
    pub fn canonical(&self) -> Self {
        let mut world = self.clone();
        // As every act begins.
        world.send(world.now);
        let mut wire = world.living();
        for node in world.nodes.iter_mut().flatten() {
            node.forget(self.now);
        }
        world.renumber(&mut wire);
        world.rebase();
        world.grants = 0;
        world.unharmed |= self.config.policy == Policy::PerReceiver;
        for want in &mut world.wants {
            want.answered |= want.void;
        }
        world.renamings(&wire).into_iter().min_by_key(hash).unwrap_or(world)
    }

    /// Takes the dead messages off the wire.
    pub fn bury(&mut self) {
        let mut dead =
            self.wire.iter().map(|packet| self.read(packet).is_none()).collect::<Vec<_>>().into_iter();
        let before = self.wire.len();
        self.wire.retain(|_| !dead.next().unwrap_or(false));
        if self.wire.len() < before {
            self.judge();
        }
    }

    /// A canonical world in two parts: a hash of everything but the faults that cost nothing but themselves,
    /// and these faults: the losses and duplicates that are left, and whether nothing was lost so far. A
    /// world with more of them can do more, or is judged more strictly.
    pub fn form(&self) -> (u64, [u8; 3]) {
        let mut world = self.clone();
        let left = [world.faults.losses, world.faults.duplicates, world.unharmed.into()];
        (world.faults.losses, world.faults.duplicates, world.unharmed) = (0, 0, false);
        (hash(&world), left)
    }

    /// The messages on the wire that can still do something, without what nobody reads in them.
    fn living(&self) -> Vec<(usize, Message)> {
        let living = self.wire.iter().filter_map(|packet| Some((packet.to, self.read(packet)?)));
        let without = |(to, m): (usize, Message)| {
            let echo_sequence = if m.kind == Kind::AcqOk { m.echo_sequence } else { 0 };
            let m = Message { echo_sequence, position: 0, ..m };
            (to, if m.kind == Kind::Challenge { self.without_nonces(m) } else { m })
        };
        living.map(without).collect()
    }

    /// The message, if it can still do something.
    fn read(&self, packet: &Packet) -> Option<Message> {
        let m = self.decode(packet)?;
        let answer = match m.kind {
            Kind::AcqOk | Kind::AcqRej => true,
            Kind::RemoveAddr => m.to != NodeId::ALL,
            Kind::Req | Kind::EndMe | Kind::AppendAddr | Kind::Challenge => false,
        };
        let stale = answer && m.echo_incarnation != self.life(packet.to);
        let dead = match &self.nodes[packet.to] {
            None => self.faults.restarts == 0,
            Some(node) if m.kind == Kind::Challenge => {
                !self.forgets() && m.size == 0 && m.request != node.nonce(m.from)
            }
            // If another life is proven, what was seen of the one before is not seen but challenged.
            Some(node) => !self.forgets() && self.stays(&m) && node.has_seen(&m),
        };
        (!stale && !dead).then_some(m)
    }

    /// Whether a node can still lose what it knows.
    fn forgets(&self) -> bool {
        self.faults.crashes > 0 && self.faults.restarts > 0
    }

    /// Whether the sender's life is its last.
    fn stays(&self, m: &Message) -> bool {
        let from = index(m.from);
        match &self.nodes[from] {
            Some(_) => m.incarnation == self.life(from),
            None => self.faults.restarts == 0,
        }
    }

    /// The message with its nonces made equal where they behave alike: 1 for the nonce that its maker waits
    /// for. Any other is 2 if it asks for a proof, and 0 if it is sent back in vain.
    fn without_nonces(&self, m: Message) -> Message {
        let wants = |who: NodeId, of: NodeId, nonce: u64| {
            nonce != 0 && self.nodes[index(who)].as_ref().is_some_and(|n| n.nonce(of) == nonce)
        };
        let size = match m.size {
            0 => 0,
            nonce => 2 - u64::from(wants(m.from, m.to, nonce)),
        };
        Message { size, request: wants(m.to, m.from, m.request).into(), ..m }
    }

    fn renumber(&mut self, wire: &mut [(usize, Message)]) {
        let mut named: BTreeMap<(NodeId, u64), BTreeSet<u64>> = BTreeMap::new();
        let mut name = |whose: NodeId, life: u64, sequence: u64| {
            named.entry((whose, life)).or_default().insert(sequence);
        };
        for (_, m) in wire.iter() {
            name(m.from, m.incarnation, m.sequence);
            if m.kind == Kind::AcqOk {
                name(m.to, m.echo_incarnation, m.echo_sequence);
            }
        }
        for node in self.nodes.iter_mut().flatten() {
            node.each_answerable(|(whose, life, sequence)| name(whose, life, *sequence));
        }
        let rank = |whose: NodeId, life: u64, sequence: u64| {
            let known = named.get(&(whose, life)).filter(|known| known.contains(&sequence))?;
            Some(known.range(..=sequence).count() as u64)
        };
        // What was seen, while the numbers are still those that were seen.
        let seen: BTreeSet<(usize, NodeId, u64, u64)> = wire
            .iter()
            .filter(|(to, m)| self.nodes[*to].as_ref().is_some_and(|node| node.has_seen(m)))
            .map(|(to, m)| (*to, m.from, m.incarnation, m.sequence))
            .collect();
        for (n, node) in self.nodes.iter_mut().enumerate() {
            let Some(node) = node else { continue };
            assert!(node.sequence() < WINDOW, "the model is too large for its window of sequence numbers");
            let (me, life) = (id(n), self.incarnations[n]);
            node.set_sequence(named.get(&(me, life)).map_or(0, |known| known.len() as u64));
            node.each_answerable(|(whose, life, sequence)| {
                *sequence = rank(whose, life, *sequence).unwrap_or(0);
            });
            node.each_sent(|sequence| {
                let rank = rank(me, life, *sequence);
                *sequence = rank.unwrap_or(*sequence);
                rank.is_some()
            });
            node.set_seen(|whose, life| {
                let top = named.get(&(whose, life)).map_or(0, |known| known.len() as u64);
                let of_this = seen.iter().filter(|(to, from, of, _)| (*to, *from, *of) == (n, whose, life));
                let bits = of_this.filter_map(|&(_, _, _, sequence)| rank(whose, life, sequence));
                (top, bits.fold(0, |bits, rank| bits | 1 << (top - rank)))
            });
        }
        for (_, m) in wire.iter_mut() {
            if m.kind == Kind::AcqOk {
                m.echo_sequence = rank(m.to, m.echo_incarnation, m.echo_sequence).unwrap_or(0);
            }
            m.sequence = rank(m.from, m.incarnation, m.sequence).unwrap_or(0);
        }
    }

    fn rebase(&mut self) {
        let now = self.now;
        let live = |t: &mut Instant| {
            if *t != Instant::ZERO {
                *t = Instant::from_nanos(t.nanos() + NOW.nanos() - now.nanos());
            }
        };
        let due = |t: &mut Instant| {
            *t = NOW + t.since(now);
        };
        for node in self.nodes.iter_mut().flatten() {
            node.each_moment(live, due);
        }
        for (_, arrived) in self.wants.iter_mut().filter_map(|w| w.frames.as_mut()) {
            live(arrived);
        }
        self.now = NOW;
    }

    /// This world with these messages, under every order of names that leaves the requests as they are.
    fn renamings(&self, wire: &[(usize, Message)]) -> Vec<Self> {
        let names = if self.config.policy == Policy::PerReceiver {
            orders(self.nodes.len())
        } else {
            vec![(0..self.nodes.len()).collect()]
        };
        names.iter().filter_map(|names| self.renamed(names, wire)).collect()
    }

    fn renamed(&self, names: &[usize], wire: &[(usize, Message)]) -> Option<Self> {
        let mut world = self.clone();
        for (place, w) in world.wants.iter_mut().enumerate() {
            let (from, to, priority) = (w.from, w.to, w.priority);
            let old = self
                .wants
                .iter()
                .find(|o| (names[o.from], names[o.to], o.priority) == (from, to, priority))?;
            debug_assert!(place < self.wants.len());
            *w = old.clone();
            (w.from, w.to) = (from, to);
        }
        let name = |node: NodeId| match names.get(index(node)) {
            Some(&n) => id(n),
            None => node,
        };
        for (old, &new) in names.iter().enumerate() {
            world.incarnations[new] = self.incarnations[old];
            world.nodes[new].clone_from(&self.nodes[old]);
            if let Some(node) = &mut world.nodes[new] {
                node.rename(name);
            }
        }
        world.wire.clear();
        for (to, m) in wire {
            let m = Message { from: name(m.from), to: name(m.to), address: name(m.address), ..*m };
            let mut bytes = [0; MAX_LENGTH];
            let length = m.encode(None, &mut bytes);
            world.wire.push(Packet { to: names[*to], length, bytes });
        }
        world.wire.sort();
        Some(world)
    }
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// All orders of `n` names.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let with = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, n - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..n).map(move |at| with(order, at))).collect()
}
