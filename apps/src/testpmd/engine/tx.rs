//! `tx`: sends datagrams whose every byte depends on the seed, the datagram's number and its place.

use lm::{SendBuffer, WouldBlock};

use super::{Engine, Kind, Plan};
use crate::link::{Link, Turn};
use crate::pattern::Pattern;
use crate::tally::EngineTally;
use crate::testpmd::sizes::Cycle;

pub(super) const KIND: Kind =
    Kind { name: "tx", help: "send datagrams", make: |plan| Box::new(Tx::new(&plan)) };

struct Tx {
    pattern: Pattern,
    sizes: Cycle,
    left: Option<u64>,
    number: u64,
    /// Filled, but the queue was full.
    held: Option<SendBuffer>,
    tally: EngineTally,
}

impl Tx {
    fn new(plan: &Plan) -> Self {
        Self {
            pattern: Pattern::new(plan.seed),
            sizes: plan.sizes.cycle(plan.seed),
            left: plan.count,
            number: 0,
            held: None,
            tally: EngineTally::default(),
        }
    }

    /// The next datagram, if there is a buffer for it.
    fn next(&mut self, link: &mut Link) -> Option<SendBuffer> {
        if self.held.is_some() {
            return self.held.take();
        }
        let mut buffer = link.outlet.sender.buffer()?;
        self.pattern.write(self.number, self.sizes.next_size(), |part| {
            buffer.fill(part);
        });
        self.number += 1;
        Some(buffer)
    }
}

impl Engine for Tx {
    fn turn(&mut self, link: &mut Link, turn: &mut Turn) -> usize {
        let ignored = &mut self.tally.ignored;
        let mut work = link.receive(turn, |_, _| *ignored += 1);
        let flow = link.outlet.ours();
        let Some(ends) = link.outlet.ends(flow, turn.now) else { return work };
        // A turn sends about as many frames as it receives at most.
        let mut bytes = 0;
        while self.left != Some(0) && bytes < turn.burst * link.outlet.sender.config().geometry.stride() {
            let Some(buffer) = self.next(link) else { break };
            let len = buffer.len();
            if let Err(WouldBlock(buffer)) = link.outlet.sender.send(buffer, &ends) {
                self.held = Some(buffer);
                break;
            }
            bytes += len.max(64);
            work += 1;
            self.left = self.left.map(|n| n - 1);
        }
        work + usize::from(link.outlet.sender.flush() > 0)
    }

    fn is_finished(&self, _: &Link) -> bool {
        self.left == Some(0)
    }

    fn tally(&self) -> EngineTally {
        self.tally.clone()
    }
}
