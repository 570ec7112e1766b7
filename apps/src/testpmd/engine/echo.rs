//! `echo`: sends each datagram back to where it came from, out of the memory that it landed in.
//!
//! While the transmit queue is full, nothing is received, so the peer meets a full ring. A datagram that
//! cannot be sent for [`PATIENCE`] is dropped and counted. A datagram that a device cannot send from where it
//! lies is copied, and counted too.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lm_engine::{Message, WouldBlock};
use lm_proto::wire::Flow;

use super::interface::{Engine, Kind, Plan};
use crate::engine_tally::EngineTally;
use crate::testpmd::turn::Turn;
use lm_node::{Link, Outlet};

pub(super) const KIND: Kind = Kind {
    name: "echo",
    help: "send each datagram back to where it came from",
    make: |plan| {
        Box::new(Echo { plan, waiting: VecDeque::new(), stuck: Stuck::Queue, tally: EngineTally::default() })
    },
};

/// How long a datagram may wait for a place in the queue, or for its receiver's MAC address.
const PATIENCE: Duration = Duration::from_millis(500);
/// Datagrams that wait for an address at most.
const LIMIT: usize = 32;
/// How long it is tried without a copy while the queue has room.
const COPY_AFTER: Duration = Duration::from_millis(2);

struct Echo {
    plan: Plan,
    waiting: VecDeque<(Message, Instant)>,
    /// What the first of them waits for.
    stuck: Stuck,
    tally: EngineTally,
}

/// Whether datagrams of this flow can be answered: from one node to one node.
fn is_answerable(flow: &Flow) -> bool {
    let one = |address| {
        let ip = Ipv4Addr::from_bits(address);
        !(ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified() || ip.is_loopback())
    };
    one(flow.src) && one(flow.dst) && flow.src_port != 0
}

/// Why a datagram was not sent back now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stuck {
    /// The queue is full: more of them would not help.
    Queue,
    /// Its receiver's MAC address is not known yet: the answer is among the frames to come.
    Address,
}

/// Sends a datagram back; gives it back if that cannot be done now.
fn answer(message: Message, outlet: &mut Outlet, now: Instant) -> Result<(), (Message, Stuck)> {
    match outlet.ends(message.flow().reversed(), now) {
        Some(ends) => {
            outlet.send_message(message, &ends).map_err(|WouldBlock(message)| (message, Stuck::Queue))
        }
        None => Err((message, Stuck::Address)),
    }
}

/// Sends a copy of a datagram back.
fn answer_copied(message: &Message, outlet: &mut Outlet, now: Instant) -> bool {
    let Some(ends) = outlet.ends(message.flow().reversed(), now) else { return false };
    outlet.send_copy(message, &ends)
}

impl Echo {
    /// Tries those that wait again, in order; how many are gone.
    fn retry(&mut self, outlet: &mut Outlet, now: Instant) -> usize {
        let before = self.waiting.len();
        while let Some((message, since)) = self.waiting.pop_front() {
            let Err((message, stuck)) = answer(message, outlet, now) else { continue };
            self.stuck = stuck;
            let waited = now.duration_since(since);
            if waited > COPY_AFTER && answer_copied(&message, outlet, now) {
                self.tally.tx_copied += 1;
            } else if waited > PATIENCE {
                self.tally.tx_dropped += 1;
            } else {
                self.waiting.push_front((message, since));
                break;
            }
        }
        before - self.waiting.len()
    }
}

impl Engine for Echo {
    fn turn(&mut self, link: &mut Link, turn: &mut Turn) -> usize {
        let now = turn.now;
        let mut work = self.retry(&mut link.outlet, now);
        if self.waiting.is_empty() || self.stuck == Stuck::Address {
            let (waiting, stuck, tally) = (&mut self.waiting, &mut self.stuck, &mut self.tally);
            work += turn.receive(link, |message, outlet| {
                if !is_answerable(&message.flow()) {
                    tally.ignored += 1;
                } else if waiting.len() >= LIMIT && *stuck == Stuck::Address {
                    tally.tx_dropped += 1;
                } else if !waiting.is_empty() {
                    waiting.push_back((message, now));
                } else if let Err((message, why)) = answer(message, outlet, now) {
                    *stuck = why;
                    waiting.push_back((message, now));
                }
            });
        }
        link.outlet.sender.flush();
        work
    }

    fn is_finished(&self, link: &Link) -> bool {
        let received = link.datagrams() - self.plan.received;
        self.waiting.is_empty() && self.plan.count.is_some_and(|n| received >= n)
    }

    fn rest(&self, _: Instant) -> Option<Duration> {
        self.waiting.is_empty().then_some(Duration::MAX)
    }

    fn tally(&self) -> EngineTally {
        self.tally.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_not_answered() {
        let flow = Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 9, dst_port: 9 };
        assert!(is_answerable(&flow));
        assert!(!is_answerable(&Flow { dst: 0xe000_00fb, ..flow }));
        assert!(!is_answerable(&Flow { dst: u32::MAX, ..flow }));
        assert!(!is_answerable(&Flow { src: 0x7f00_0001, ..flow }));
        assert!(!is_answerable(&Flow { src: 0, ..flow }) && !is_answerable(&Flow { src_port: 0, ..flow }));
    }
}
