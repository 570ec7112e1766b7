//! [`Engine`]: the trait of what runs on a link. [`Kind`]: how an engine is chosen. [`Plan`]: what it is made
//! from.
//!
//! The session makes one engine for each started port. The forwarding loop then calls it in its own thread.
//! An engine never waits: what it cannot send now, it keeps for its next turn.

use std::time::{Duration, Instant};

use crate::engine_tally::EngineTally;
use crate::testpmd::sizes::Sizes;
use crate::testpmd::turn::Turn;
use lm_node::Link;

/// What runs on a link. The forwarding loop calls [`Engine::turn`] until all engines have finished, or it is
/// told to stop.
pub(crate) trait Engine: Send {
    /// Receives a burst, sends what is due, and says how much it did: frames received and datagrams sent.
    fn turn(&mut self, link: &mut Link, turn: &mut Turn) -> usize;

    /// Whether it has done what `--count` asks for.
    fn is_finished(&self, link: &Link) -> bool;

    /// After a turn that did nothing: how long, from `now` on, it has nothing to do unless something is
    /// received. `None`: its next turn is due at once.
    fn rest(&self, now: Instant) -> Option<Duration>;

    /// What it counted since it was made.
    fn tally(&self) -> EngineTally;
}

/// What an engine is made from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Payload sizes.
    pub(crate) sizes: Sizes,
    /// What payloads are made from.
    pub(crate) seed: u64,
    /// End after so many datagrams.
    pub(crate) count: Option<u64>,
    /// The addresses to send to in turn; empty: the port's peer.
    pub(crate) to: Vec<u32>,
    /// The least time between two datagrams.
    pub(crate) interval: Duration,
    /// Go on receiving when `count` is sent.
    pub(crate) stay: bool,
    /// Datagrams that the link's receiver had delivered before this run.
    pub(crate) received: u64,
}

/// An engine that can be chosen.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name in options and commands.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
    /// Makes one.
    pub(crate) make: fn(Plan) -> Box<dyn Engine>,
}
