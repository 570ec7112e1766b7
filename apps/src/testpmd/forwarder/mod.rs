//! [`Forwarder`]: the loop that runs the engine of every link in turn, on a worker lcore if EAL has one.
//!
//! - [`work`]: the links and their engines, which the loop owns while it runs and returns at its end;
//! - [`order`]: commands to the running loop; [`limits`]: when it ends by itself; [`ending`]: how it reports
//!   its end;
//! - [`run`]: the loop.

mod ending;
mod limits;
mod order;
mod run;
mod work;

use std::sync::mpsc::{Sender, channel, sync_channel};
use std::time::Duration;
use std::{io, thread};

use rte::Eal;
use rte::lcore::{self, Join, LaunchError};

use self::run::forward;
use crate::console;
use lm_node::admission::pump::Pump;

pub(crate) use self::ending::Ending;
pub(crate) use self::limits::{Limits, PATIENCE};
pub(crate) use self::order::{Order, Report};
pub(crate) use self::work::{Lane, Work};

/// A forwarding loop that runs.
pub(crate) struct Forwarder {
    orders: Sender<Order>,
    place: Place,
    /// Admission control, if it has an lcore of its own.
    pump: Option<Pump>,
}

/// Where it runs.
enum Place {
    Lcore(Join<Work>),
    Thread(thread::JoinHandle<Work>),
}

/// Why there is no loop.
#[derive(Debug)]
pub(crate) enum ForwardError {
    /// The lcore cannot run the loop.
    Lcore(LaunchError),
    /// No thread could be started.
    Thread(io::Error),
}

impl std::fmt::Display for ForwardError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lcore(e) => write!(f, "forwarding cannot begin: {e}"),
            Self::Thread(e) => {
                write!(
                    f,
                    "forwarding cannot begin: its thread cannot be started: {e}; raise the limit (ulimit -u)"
                )
            }
        }
    }
}

impl Forwarder {
    /// Starts the loop on the first worker lcore that is not `pump`'s. If there is none, the loop runs in a
    /// thread that shares the main lcore's CPUs. When the loop ends, `ending` tells the control thread.
    pub(crate) fn start(
        eal: &Eal,
        mut work: Work,
        limits: Limits,
        pump: Option<u32>,
        ending: Ending,
    ) -> Result<Self, ForwardError> {
        let (orders, inbox) = channel();
        let pump =
            pump.map(|lcore| Pump::start(eal, lcore, limits.patience, work.send_away(), console::never_wait));
        let pump = pump.transpose().map_err(ForwardError::Lcore)?;
        let go = move || {
            let _guard = ending;
            console::never_wait();
            forward(work, limits, &inbox)
        };
        let taken = pump.as_ref().map(Pump::lcore);
        let place = if let Some(&worker) = eal.worker_lcores().iter().find(|&&lcore| Some(lcore) != taken) {
            Place::Lcore(lcore::launch(eal, worker, go).map_err(ForwardError::Lcore)?)
        } else {
            let eal = eal.clone();
            let registered = move || {
                let guard = lcore::register_thread(&eal);
                if let Err(e) = &guard {
                    log::warn!("{e}; forwarding goes on without mbuf caches");
                }
                go()
            };
            let thread = thread::Builder::new().name("lm-forward".into()).spawn(registered);
            Place::Thread(thread.map_err(ForwardError::Thread)?)
        };
        Ok(Self { orders, place, pump })
    }

    /// Where the loop runs, in words.
    pub(crate) fn place(&self) -> String {
        let place = match &self.place {
            Place::Lcore(join) => format!("lcore {}", join.lcore()),
            Place::Thread(_) => "a thread beside the main lcore".to_owned(),
        };
        let pump = self.pump.as_ref().map(|pump| format!(", admission control on lcore {}", pump.lcore()));
        place + &pump.unwrap_or_default()
    }

    /// Sends an order to the loop. A loop that has ended meanwhile ignores it.
    pub(crate) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// What has been counted so far; `None` if the loop has ended.
    pub(crate) fn report(&self) -> Option<Vec<Report>> {
        let (answer, report) = sync_channel(1);
        self.order(Order::Report(answer));
        let mut reports = report.recv_timeout(Duration::from_secs(2)).ok()?;
        for (lane, mut view) in self.pump.as_ref().map(Pump::views).unwrap_or_default() {
            if let Some(report) = reports.get_mut(lane) {
                view.add(report.admission.take().unwrap_or_default());
                report.admission = Some(view);
            }
        }
        Some(reports)
    }

    /// Ends the loop and takes the links back.
    pub(crate) fn stop(self) -> Work {
        self.order(Order::Stop);
        let mut work = match self.place {
            Place::Lcore(join) => join.join(),
            Place::Thread(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        };
        for away in self.pump.map(Pump::stop).unwrap_or_default() {
            work.take_back(away);
        }
        work
    }
}
