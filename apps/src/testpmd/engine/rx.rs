//! The engine `rx`: receives datagrams and drops them.
//!
//! The forwarding loop calls it. The datagrams were counted, and logged if that was asked for, before the
//! engine drops them. It never sends.

use std::time::{Duration, Instant};

use super::interface::{Engine, Kind, Plan};
use crate::engine_tally::EngineTally;
use crate::testpmd::turn::Turn;
use lm_node::Link;

pub(super) const KIND: Kind =
    Kind { name: "rx", help: "receive datagrams and drop them", make: |plan| Box::new(Rx { plan }) };

struct Rx {
    plan: Plan,
}

impl Engine for Rx {
    fn turn(&mut self, link: &mut Link, turn: &mut Turn) -> usize {
        turn.receive(link, |message, _| drop(message))
    }

    fn is_finished(&self, link: &Link) -> bool {
        self.plan.count.is_some_and(|n| link.datagrams() - self.plan.received >= n)
    }

    fn rest(&self, _: Instant) -> Option<Duration> {
        Some(Duration::MAX)
    }

    fn tally(&self) -> EngineTally {
        EngineTally::default()
    }
}
