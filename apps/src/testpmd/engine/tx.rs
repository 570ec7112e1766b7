//! `tx`: sends datagrams whose every byte depends on the seed, the datagram's number and its place.
//!
//! Several destinations (`--tx-to`) take turns of [`RUN`] datagrams. A destination that does not admit this
//! node is passed over after [`PATIENCE`].

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lm_engine::{SendBuffer, WouldBlock};
use lm_proto::wire::Flow;

use super::interface::{Engine, Kind, Plan};
use crate::engine_tally::EngineTally;
use crate::pattern::Pattern;
use crate::testpmd::sizes::Cycle;
use crate::testpmd::turn::Turn;
use lm_node::Link;

pub(super) const KIND: Kind =
    Kind { name: "tx", help: "send datagrams", make: |plan| Box::new(Tx::new(&plan)) };

/// Datagrams in a row to one of several destinations.
const RUN: u32 = 8;
/// How long a destination may keep the others waiting. It is longer than the time after which a destination
/// is asked again.
const PATIENCE: Duration = Duration::from_millis(25);

struct Tx {
    /// The addresses to send to; empty: the port's peer.
    to: Vec<u32>,
    /// The destination whose turn it is, since when it could not be sent to, and how many datagrams it got in
    /// this turn.
    turn: (usize, Option<Instant>, u32),
    /// The least time between two datagrams.
    interval: Duration,
    due: Option<Instant>,
    /// Go on receiving when all is sent.
    stay: bool,
    pattern: Pattern,
    sizes: Cycle,
    left: Option<u64>,
    number: u64,
    /// A filled buffer for which the queue had no room.
    held: Option<SendBuffer>,
    tally: EngineTally,
}

impl Tx {
    fn new(plan: &Plan) -> Self {
        Self {
            to: plan.to.clone(),
            turn: (0, None, 0),
            interval: plan.interval,
            due: None,
            stay: plan.stay,
            pattern: Pattern::new(plan.seed),
            sizes: plan.sizes.cycle(plan.seed),
            left: plan.count,
            number: 0,
            held: None,
            tally: EngineTally::default(),
        }
    }

    /// The addresses and ports of the next datagram.
    fn flow(&self, ours: Flow) -> Flow {
        self.to.get(self.turn.0).map_or(ours, |&dst| Flow { dst, ..ours })
    }

    /// Gives the turn to the next destination, and releases the grant of this one.
    fn pass(&mut self, link: &mut Link, dst: u32) {
        if self.to.len() > 1 {
            link.outlet.release(Ipv4Addr::from_bits(dst));
            self.turn = ((self.turn.0 + 1) % self.to.len(), None, 0);
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
        let mut work = turn.receive(link, |_, _| *ignored += 1);
        if self.left == Some(0) {
            return work + usize::from(link.outlet.sender.flush() > 0);
        }
        let now = if self.interval.is_zero() { turn.now } else { Instant::now() };
        if self.due.is_some_and(|due| now < due) {
            return work;
        }
        let flow = self.flow(link.outlet.ours());
        let Some(ends) = link.ends(flow, now) else {
            let late = now.saturating_duration_since(*self.turn.1.get_or_insert(now)) > PATIENCE;
            if late && !link.outlet.is_flushing(Ipv4Addr::from_bits(flow.dst)) {
                self.pass(link, flow.dst);
            }
            return work;
        };
        // A turn sends about as many frames as one poll receives at most.
        let mut bytes = 0;
        while self.left != Some(0) && bytes < turn.burst * link.outlet.sender.config().geometry.stride() {
            let Some(buffer) = self.next(link) else { break };
            let len = buffer.len();
            if let Err(WouldBlock(buffer)) = link.outlet.send(buffer, &ends) {
                self.held = Some(buffer);
                break;
            }
            bytes = bytes.saturating_add(len.max(64));
            work += 1;
            self.left = self.left.map(|n| n - 1);
            self.turn.2 += 1;
            if self.turn.2 >= RUN && self.to.len() > 1 {
                self.pass(link, flow.dst);
                bytes = usize::MAX;
            }
            if !self.interval.is_zero() {
                self.due = Some(now + self.interval);
                bytes = usize::MAX;
            }
        }
        work + usize::from(link.outlet.sender.flush() > 0)
    }

    fn is_finished(&self, _: &Link) -> bool {
        self.left == Some(0) && !self.stay
    }

    fn rest(&self, now: Instant) -> Option<Duration> {
        match self.due {
            _ if self.left == Some(0) => Some(Duration::MAX),
            Some(due) if self.held.is_none() => Some(due.saturating_duration_since(now)),
            _ => None,
        }
    }

    fn tally(&self) -> EngineTally {
        self.tally.clone()
    }
}
