//! [`Pump`]: admission control of all ports on an lcore of its own (`--ac-lcore`).
//!
//! The loop that drives a node's state machine (`ac::control`) usually runs on the data lcore, between two
//! polls. A program can move it here. Then the channels of `ac::control` connect it to the data lcore.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::time::{Duration, Instant};

use ac::control::Control;
use rte::Eal;
use rte::lcore::{self, Join, LaunchError};

use super::{View, clock};

/// The pump of one port, while it is not with the port. [`Admission::send_away`](super::Admission::send_away)
/// makes it.
pub struct Away {
    /// The number of the port's lane, as the caller counts lanes.
    pub lane: usize,
    pub(crate) control: Control,
    pub(crate) start: Instant,
}

/// The pumps at work on a worker lcore.
pub struct Pump {
    join: Join<Vec<Away>>,
    stop: Arc<AtomicBool>,
    views: Sender<SyncSender<Vec<(usize, View)>>>,
}

impl Pump {
    /// Runs the pumps on this worker lcore, which calls `begin` first. After `patience` idle turns in a row
    /// it gives its CPU to others between two turns.
    ///
    /// # Errors
    /// [`LaunchError`]: the lcore is no worker, or it is busy. The pumps are dropped then.
    pub fn start(
        eal: &Eal,
        lcore: u32,
        patience: u32,
        pumps: Vec<Away>,
        begin: impl FnOnce() + Send + 'static,
    ) -> Result<Self, LaunchError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (views, asked) = channel();
        let told = Arc::clone(&stop);
        let join = lcore::launch(eal, lcore, move || {
            begin();
            run(pumps, patience, &told, &asked)
        })?;
        Ok(Self { join, stop, views })
    }

    /// The lcore that the pumps run on.
    pub fn lcore(&self) -> u32 {
        self.join.lcore()
    }

    /// What there is to show of each pump, with its lane. Waits 2 s at most; empty if the pumps do not
    /// answer.
    pub fn views(&self) -> Vec<(usize, View)> {
        let (answer, views) = sync_channel(1);
        // Sending fails if the lcore's work has ended. Then there is nothing to show.
        let _ = self.views.send(answer);
        views.recv_timeout(Duration::from_secs(2)).unwrap_or_default()
    }

    /// Ends the pumps' work, waits for that, and gives them back.
    pub fn stop(self) -> Vec<Away> {
        self.stop.store(true, Ordering::Release);
        self.join.join()
    }
}

fn run(
    mut pumps: Vec<Away>,
    patience: u32,
    stop: &AtomicBool,
    asked: &Receiver<SyncSender<Vec<(usize, View)>>>,
) -> Vec<Away> {
    ac::control::run(stop, patience, || {
        let now = Instant::now();
        let done = pumps.iter_mut().map(|p| p.control.turn(clock(p.start, now))).sum();
        match asked.try_recv() {
            Ok(answer) => {
                let views = pumps.iter().map(|p| (p.lane, View::of(&p.control, clock(p.start, now))));
                let _ = answer.send(views.collect());
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        done
    });
    pumps
}
