//! [`Work`]: the links and their engines, and the operations of the forwarding loop on all of them.
//!
//! The session puts a [`Work`] together, [`super::run`] owns it while it forwards, and the session gets it
//! back. So a link has one owner at any time.

use std::thread;
use std::time::{Duration, Instant};

use rte::Burst;
use rte::port::RxInterrupt;

use super::order::{Order, Report};
use crate::testpmd::engine::Engine;
use crate::testpmd::tally::Tally;
use crate::testpmd::turn::Turn;
use lm_node::Link;
use lm_node::admission::pump::Away;
use lm_node::receive_mode::Sleeper;

/// How long the last frames may take to leave.
const FLUSH: Duration = Duration::from_millis(500);
/// How long a peer that shares our rings has to take the last frames.
const LINGER: Duration = Duration::from_millis(100);

/// A link and what runs on it.
pub(crate) struct Lane {
    /// The link.
    pub(crate) link: Link,
    /// Its engine.
    pub(crate) engine: Box<dyn Engine>,
}

/// What the loop works with, and gives back at its end.
pub(crate) struct Work {
    /// A link and an engine for each started port.
    pub(crate) lanes: Vec<Lane>,
    /// What they share.
    pub(crate) turn: Turn,
    /// CPU time that the loop has used.
    pub(crate) cpu: Duration,
}

impl Work {
    /// Gives every engine a turn. Returns how much they did.
    #[inline]
    pub(super) fn turns(&mut self) -> usize {
        let turn = &mut self.turn;
        self.lanes.iter_mut().map(|lane| lane.engine.turn(&mut lane.link, turn)).sum()
    }

    /// How long only received frames could give an engine something to do; `None`: there is something to do
    /// now.
    pub(super) fn rest(&mut self) -> Option<Duration> {
        let now = self.turn.now;
        let rests = self.lanes.iter_mut().map(|lane| Some(lane.link.rest()?.min(lane.engine.rest(now)?)));
        rests.min().flatten()
    }

    /// Whether every engine has done what `--count` asks for.
    pub(super) fn is_finished(&self) -> bool {
        self.lanes.iter().all(|lane| lane.engine.is_finished(&lane.link))
    }

    /// Whether any link has come up.
    pub(super) fn is_up(&self) -> bool {
        self.lanes.iter().any(|lane| lane.link.outlet.is_up())
    }

    /// Frames sent so far.
    pub(super) fn frames_sent(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.link.outlet.sender.stats().frames).sum()
    }

    /// Frames received and sent so far.
    pub(super) fn frames_moved(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.link.frames()).sum()
    }

    /// Does what an order says. [`Order::Stop`] is left to the loop.
    pub(super) fn apply(&mut self, order: Order) {
        match order {
            Order::Stop => {}
            Order::Report(answer) => {
                let reports = self.lanes.iter().map(|lane| {
                    let tally = Tally { port: lane.link.tally(), engine: lane.engine.tally() };
                    let admission = lane.link.outlet.admission.as_ref().map(|admission| admission.view());
                    Report { tally, pool: lane.link.pool(), admission }
                });
                let _ = answer.send(reports.collect());
            }
            Order::Burst(burst) => self.turn.burst = burst,
            Order::Verbose(verbose) => self.turn.verbose = verbose,
            Order::Slots(slots) => self.receivers().for_each(|receiver| slots.lay(receiver)),
            Order::Require(set) => self.receivers().for_each(|receiver| receiver.set_require(set)),
        }
    }

    fn receivers(&mut self) -> impl Iterator<Item = &mut lm_engine::Receiver> {
        self.lanes.iter_mut().flat_map(|lane| &mut lane.link.receivers)
    }

    /// Ends forwarding in order: gives grants back, and sends what the queues have not taken yet. If frames
    /// were sent in this run, it then waits, so that a peer that shares our rings can take the last ones.
    /// `sent_before` is how many frames had been sent when the run began.
    pub(super) fn quiesce(&mut self, sent_before: u64) {
        for lane in &mut self.lanes {
            lane.link.release_grants();
        }
        let start = Instant::now();
        while self.lanes.iter_mut().map(|lane| lane.link.outlet.sender.flush()).sum::<usize>() > 0 {
            if start.elapsed() > FLUSH {
                log::warn!(
                    "the last frames found no room in the transmit queue and are lost: is the peer there?"
                );
                break;
            }
            thread::yield_now();
        }
        while self.frames_sent() != sent_before && start.elapsed() < LINGER {
            thread::sleep(Duration::from_millis(1));
            // Drivers release sent mbufs when they are called to send, even if nothing is sent.
            for lane in &mut self.lanes {
                lane.link.outlet.sender.queue().send(&mut Burst::<1>::new());
            }
        }
        if let Some(log) = &mut self.turn.log {
            log.flush();
        }
    }

    /// Takes admission control out of all lanes, to be run elsewhere.
    pub(super) fn send_away(&mut self) -> Vec<Away> {
        let lanes = self.lanes.iter_mut().enumerate();
        lanes.filter_map(|(i, lane)| lane.link.outlet.admission.as_mut()?.send_away(i)).collect()
    }

    /// Puts admission control back into its lane.
    pub(super) fn take_back(&mut self, away: Away) {
        let lane = self.lanes.get_mut(away.lane);
        if let Some(admission) = lane.and_then(|lane| lane.link.outlet.admission.as_mut()) {
            admission.take_back(away);
        }
    }
}

impl Sleeper for Work {
    fn interrupts(&mut self) -> impl Iterator<Item = &mut RxInterrupt> {
        self.lanes.iter_mut().flat_map(|lane| &mut lane.link.interrupts)
    }

    fn look(&mut self) -> usize {
        self.turn.now = Instant::now();
        self.turns()
    }
}
