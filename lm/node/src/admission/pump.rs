//! [`Pump`]: the pumps of all ports on an lcore of their own (`--ac-lcore`). What joins them to the data lcore are the
//! channels of `ac::control`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::time::{Duration, Instant};

use ac::control::Control;
use rte::Eal;
use rte::lcore::{self, Join, LaunchError};

use super::{View, clock};

/// A pump away from its port.
pub struct Away {
    /// The number of the port's lane.
    pub lane: usize,
    pub(crate) control: Control,
    pub(crate) start: Instant,
}

/// The pumps at work.
pub struct Pump {
    join: Join<Vec<Away>>,
    stop: Arc<AtomicBool>,
    views: Sender<SyncSender<Vec<(usize, View)>>>,
}

impl Pump {
    /// Runs them on this worker lcore, which calls `begin` first, and which others may have between two turns after `patience`
    /// idle ones.
    ///
    /// # Errors
    /// It cannot be had. The pumps are gone with it.
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

    /// Where it runs.
    pub fn lcore(&self) -> u32 {
        self.join.lcore()
    }

    /// What there is to show, by lane.
    pub fn views(&self) -> Vec<(usize, View)> {
        let (answer, views) = sync_channel(1);
        // If it has ended there is nothing to show.
        let _ = self.views.send(answer);
        views.recv_timeout(Duration::from_secs(2)).unwrap_or_default()
    }

    /// Ends it and gives the pumps back.
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
