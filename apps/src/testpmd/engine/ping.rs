//! `ping`: sends a datagram, waits for its echo, compares every byte.
//!
//! A round trip lasts from before the payload is written into the send buffer until the echo is delivered;
//! the comparison is not part of it. An echo that is not there after [`PATIENCE`] is lost.

use std::time::{Duration, Instant};

use lm_engine::{Message, SendBuffer, WouldBlock};

use super::interface::{Engine, Kind, Plan};
use crate::engine_tally::EngineTally;
use crate::pattern::Pattern;
use crate::testpmd::sizes::Cycle;
use crate::testpmd::turn::Turn;
use lm_node::{Link, Outlet};

pub(super) const KIND: Kind = Kind {
    name: "ping",
    help: "send a datagram, wait for its echo, compare it and measure the round trip",
    make: |plan| Box::new(Ping::new(&plan)),
};

/// How long an echo may take.
const PATIENCE: Duration = Duration::from_secs(1);

struct Ping {
    /// The least time between two pings.
    interval: Duration,
    due: Option<Instant>,
    pattern: Pattern,
    sizes: Cycle,
    left: Option<u64>,
    number: u64,
    state: State,
    /// Lost pings of less than 8 bytes, which carry no number. Their echoes may still come.
    unknown: u64,
    tally: EngineTally,
}

enum State {
    /// The next datagram has this size.
    Idle { size: usize },
    /// The next datagram is filled in, but the queue was full.
    Filled { size: usize, since: Instant, buffer: SendBuffer },
    /// A ping was sent, and its echo is awaited.
    Waiting { size: usize, since: Instant },
}

impl Ping {
    fn new(plan: &Plan) -> Self {
        let mut sizes = plan.sizes.cycle(plan.seed);
        Self {
            interval: plan.interval,
            due: None,
            pattern: Pattern::new(plan.seed),
            state: State::Idle { size: sizes.next_size() },
            sizes,
            left: plan.count,
            number: 0,
            unknown: 0,
            tally: EngineTally::default(),
        }
    }

    /// Takes a received datagram: the echo that is awaited, a late one, or none.
    fn take(&mut self, mut message: Message, outlet: &Outlet) {
        let arrived = Instant::now();
        if message.flow() != outlet.ours().reversed() {
            self.tally.ignored += 1;
            return;
        }
        let State::Waiting { size, since } = self.state else {
            self.tally.late += 1;
            return;
        };
        let payload = message.contiguous();
        let ping = self.tally.ping.entry(size).or_default();
        if payload.len() == size && self.pattern.matches(self.number, payload) {
            ping.round_trips.add(arrived.duration_since(since).as_nanos() as u64);
        } else if Pattern::number(payload).is_some_and(|n| n < self.number) {
            self.tally.late += 1;
            return;
        } else if payload.len() < 8 && self.unknown > 0 {
            self.unknown -= 1;
            self.tally.late += 1;
            return;
        } else {
            ping.mismatched += 1;
        }
        self.finish();
    }

    /// Ends this ping, answered or not, and chooses the next one's size.
    fn finish(&mut self) {
        self.number += 1;
        self.left = self.left.map(|n| n.saturating_sub(1));
        self.state = State::Idle { size: self.sizes.next_size() };
    }

    /// Sends the next datagram if it is time. Returns how many were sent.
    fn send(&mut self, link: &mut Link, now: Instant) -> usize {
        if self.due.is_some_and(|due| now < due) {
            return 0;
        }
        let flow = link.outlet.ours();
        let Some(ends) = link.ends(flow, now) else { return 0 };
        let outlet = &mut link.outlet;
        let (size, since, buffer) = match std::mem::replace(&mut self.state, State::Idle { size: 0 }) {
            State::Idle { size } => {
                let since = Instant::now();
                let Some(mut buffer) = outlet.sender.buffer() else {
                    self.state = State::Idle { size };
                    return 0;
                };
                self.pattern.write(self.number, size, |part| {
                    buffer.fill(part);
                });
                (size, since, buffer)
            }
            State::Filled { size, since, buffer } => (size, since, buffer),
            waiting @ State::Waiting { .. } => {
                self.state = waiting;
                return 0;
            }
        };
        match outlet.send(buffer, &ends) {
            Ok(()) => {
                self.state = State::Waiting { size, since };
                self.due = (!self.interval.is_zero()).then(|| since + self.interval);
                1
            }
            Err(WouldBlock(buffer)) => {
                self.state = State::Filled { size, since, buffer };
                0
            }
        }
    }
}

impl Engine for Ping {
    fn turn(&mut self, link: &mut Link, turn: &mut Turn) -> usize {
        let mut work = turn.receive(link, |message, outlet| self.take(message, outlet));
        if let State::Waiting { size, since } = self.state {
            link.outlet.sender.flush();
            if turn.now.saturating_duration_since(since) > PATIENCE {
                self.tally.ping.entry(size).or_default().lost += 1;
                self.unknown += u64::from(size < 8);
                self.finish();
            }
        } else if self.left != Some(0) {
            work += self.send(link, turn.now);
        }
        work
    }

    fn is_finished(&self, _: &Link) -> bool {
        self.left == Some(0)
    }

    fn rest(&self, now: Instant) -> Option<Duration> {
        match (&self.state, self.due) {
            (State::Waiting { since, .. }, _) => Some((*since + PATIENCE).saturating_duration_since(now)),
            (State::Idle { .. }, Some(due)) => Some(due.saturating_duration_since(now)),
            _ => None,
        }
    }

    fn tally(&self) -> EngineTally {
        self.tally.clone()
    }
}
