//! Forwarding engines: what is done with a link, turn by turn.
//!
//! - [`rx`]: receives, and drops what it received;
//! - [`tx`]: sends datagrams of known contents;
//! - [`ping`]: sends one, waits for its echo, compares and measures;
//! - [`echo`]: sends each datagram back to where it came from;

mod echo;
mod ping;
mod rx;
mod tx;

use std::time::{Duration, Instant};

use crate::engine_tally::EngineTally;
use crate::testpmd::sizes::Sizes;
use crate::testpmd::turn::Turn;
use lm_node::Link;

/// What runs on a link. The forwarding loop calls `turn` until it has finished or is told to stop.
pub(crate) trait Engine: Send {
    /// Receives a burst, sends what is due, and says how much it did: frames received and datagrams sent.
    fn turn(&mut self, link: &mut Link, turn: &mut Turn) -> usize;

    /// Whether it has done what `--count` asks for.
    fn is_finished(&self, link: &Link) -> bool;

    /// How long it has nothing to do unless something is received, at `now`, after a turn that did nothing; `None`: it is to
    /// be called at once.
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
    /// Whom to send to, in turn; nobody: the port's peer.
    pub(crate) to: Vec<u32>,
    /// What lies between two datagrams at least.
    pub(crate) interval: Duration,
    /// Go on receiving when `count` is sent.
    pub(crate) stay: bool,
    /// Datagrams that the link's receiver had delivered before.
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

/// All of them.
pub(crate) static KINDS: [Kind; 4] = [rx::KIND, tx::KIND, ping::KIND, echo::KIND];

/// The engine of this name.
pub(crate) fn kind(name: &str) -> Result<&'static Kind, String> {
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        format!("give one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_found_by_name() {
        for one in &KINDS {
            assert_eq!(kind(one.name).expect("a name").name, one.name);
        }
        assert_eq!(kind("io").expect_err("testpmd's"), "give one of rx, tx, ping, echo");
    }
}
