//! [`Forwarder`]: the loop that gives every link's engine its turn, on an lcore of its own if EAL has one.

use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use lm_landing::SlotLayout;
use lm_proto::policy::Require;
use rte::lcore::{self, Join, LaunchError};
use rte::port::RxInterrupt;
use rte::{Burst, Eal};
use rustix::time::{ClockId, clock_gettime};

use crate::console;
use crate::testpmd::control::Event;
use crate::testpmd::engine::Engine;
use crate::testpmd::tally::Tally;
use crate::testpmd::turn::Turn;
use lm_node::Link;
use lm_node::admission::View;
use lm_node::admission::pump::{Away, Pump};
use lm_node::receive_mode::{Idler, Sleeper};
use lm_node::tally::PoolView;

/// A link and what runs on it.
pub(crate) struct Lane {
    /// The link.
    pub(crate) link: Link,
    /// Its engine.
    pub(crate) engine: Box<dyn Engine>,
}

/// What the loop works with, and gives back at its end.
pub(crate) struct Work {
    /// One for each started port.
    pub(crate) lanes: Vec<Lane>,
    /// What they share.
    pub(crate) turn: Turn,
    /// CPU time that the loop has used.
    pub(crate) cpu: Duration,
}

impl Work {
    /// A turn of every lane; how much it did.
    #[inline]
    fn turns(&mut self) -> usize {
        let turn = &mut self.turn;
        self.lanes.iter_mut().map(|lane| lane.engine.turn(&mut lane.link, turn)).sum()
    }

    /// How long nothing but received frames would give anybody something to do.
    fn rest(&mut self) -> Option<Duration> {
        let now = self.turn.now;
        let rests = self.lanes.iter_mut().map(|lane| Some(lane.link.rest()?.min(lane.engine.rest(now)?)));
        rests.min().flatten()
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

/// When the loop ends by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Nothing was received or sent for so long.
    pub(crate) idle: Option<Duration>,
    /// When it may sleep meanwhile.
    pub(crate) idler: Idler,
    /// Idle turns after which it, and admission control on an lcore of its own, let others have the CPU between two turns.
    pub(crate) patience: u32,
}

impl Limits {
    /// Whether the loop ends that has done nothing for this time.
    fn is_idle(&self, time: Duration, up: bool) -> bool {
        let late = if up { Duration::ZERO } else { LATE };
        self.idle.is_some_and(|limit| time >= limit.saturating_add(late))
    }
}

/// [`Limits::patience`], if the user does not say.
pub(crate) const PATIENCE: u32 = 256;

/// What the loop is told while it runs.
pub(crate) enum Order {
    /// End.
    Stop,
    /// Say what has been counted.
    Report(SyncSender<Vec<Report>>),
    /// Frames that a poll takes.
    Burst(usize),
    /// Whether received datagrams are shown.
    Verbose(u8),
    /// How slots are laid from now on.
    Layout(SlotLayout),
    /// What proves a datagram.
    Require(Require),
}

/// What a lane has done so far.
pub(crate) struct Report {
    /// What was counted since the port's start; by the engine, since it was made.
    pub(crate) tally: Tally,
    /// The landing pool.
    pub(crate) pool: Option<PoolView>,
    /// Admission control, with `--ac`.
    pub(crate) admission: Option<View>,
}

/// The loop at work.
pub(crate) struct Forwarder {
    orders: Sender<Order>,
    place: Place,
    /// Admission control, if it has an lcore of its own.
    pump: Option<Pump>,
}

enum Place {
    Lcore(Join<Work>),
    Thread(thread::JoinHandle<Work>),
}

/// Why there is no loop.
#[derive(Debug)]
pub(crate) enum ForwardError {
    /// The lcore cannot be had.
    Lcore(LaunchError),
    /// There is no other thread.
    Thread(io::Error),
}

impl std::fmt::Display for ForwardError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lcore(e) => write!(f, "forwarding cannot begin: {e}"),
            Self::Thread(e) => {
                write!(f, "forwarding cannot begin: no thread for it: {e}; raise the limit (ulimit -u)")
            }
        }
    }
}

impl Forwarder {
    /// Starts the loop on the first worker lcore that is not `pump`'s, or in a thread that shares the main lcore's CPUs if there is none.
    /// When it ends by itself `ending` says so.
    pub(crate) fn start(
        eal: &Eal,
        mut work: Work,
        limits: Limits,
        pump: Option<u32>,
        ending: Ending,
    ) -> Result<Self, ForwardError> {
        let (orders, inbox) = channel();
        let pump = pump
            .map(|lcore| Pump::start(eal, lcore, limits.patience, send_away(&mut work), console::never_wait));
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

    /// Where it runs.
    pub(crate) fn place(&self) -> String {
        let place = match &self.place {
            Place::Lcore(join) => format!("lcore {}", join.lcore()),
            Place::Thread(_) => "a thread beside the main lcore".to_owned(),
        };
        let pump = self.pump.as_ref().map(|pump| format!(", admission control on lcore {}", pump.lcore()));
        place + &pump.unwrap_or_default()
    }

    /// Tells the loop something; it may have ended meanwhile.
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
            let admission =
                work.lanes.get_mut(away.lane).and_then(|lane| lane.link.outlet.admission.as_mut());
            if let Some(admission) = admission {
                admission.take_back(away);
            }
        }
        work
    }
}

/// The pumps of all lanes, taken from them.
fn send_away(work: &mut Work) -> Vec<Away> {
    let admissions = work.lanes.iter_mut().enumerate();
    let away = admissions.filter_map(|(i, lane)| lane.link.outlet.admission.as_mut()?.send_away(i));
    away.collect()
}

/// Says that the loop has ended, also when it panics: [`Event::Finished`] with the number `run`.
pub(crate) struct Ending {
    events: Sender<Event>,
    run: u64,
}

impl Ending {
    /// For the loop of this number.
    pub(crate) fn new(events: Sender<Event>, run: u64) -> Self {
        Self { events, run }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // The control thread may be gone: then nobody cares.
        let _ = self.events.send(Event::Finished(self.run));
    }
}

/// Turns between two looks at the clock and the orders.
const PERIOD: u32 = 32;
/// How much longer than idle links may be that have not come up: a cable is slow, and a peer may be late.
const LATE: Duration = Duration::from_secs(5);
/// How long the last frames may take to leave.
const FLUSH: Duration = Duration::from_millis(500);
/// How long a peer that shares our rings has to take them.
const LINGER: Duration = Duration::from_millis(100);

fn forward(mut work: Work, limits: Limits, inbox: &Receiver<Order>) -> Work {
    let mut active = Instant::now();
    let (began, mut idler, patience) = (thread_cpu(), limits.idler, limits.patience);
    let mut sleepy = 0_u32;
    let sent_before = frames_sent(&work);
    let (mut came_up, mut moved) = (false, frames_moved(&work));
    'forwarding: loop {
        let mut done = 0;
        for _ in 0..PERIOD {
            let turn = work.turns();
            sleepy = if turn > 0 { 0 } else { sleepy.saturating_add(1) };
            done += turn;
            if sleepy > patience || (turn == 0 && !idler.polls()) {
                break;
            }
            if turn > 0 && is_finished(&work) {
                break 'forwarding;
            }
        }
        work.turn.now = Instant::now();
        loop {
            match inbox.try_recv() {
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => break 'forwarding,
                Ok(order) => obey(&mut work, order),
                Err(TryRecvError::Empty) => break,
            }
        }
        if is_finished(&work) {
            break;
        }
        if done > 0 {
            idler.worked();
        } else {
            done = sleep(&mut work, &mut idler);
        }
        let up = work.lanes.iter().any(|lane| lane.link.outlet.is_up());
        // Frames that wait for a peer that has gone are work, but nothing is sent.
        let frames = if done > 0 { frames_moved(&work) } else { moved };
        if frames != moved || up && !came_up {
            (active, moved) = (work.turn.now, frames);
            came_up |= up;
            continue;
        }
        if limits.is_idle(work.turn.now.saturating_duration_since(active), up) {
            if !up {
                log::warn!("no link has come up: is there a peer, and a cable?");
            }
            break;
        }
        if sleepy > patience || !idler.polls() {
            idle(&mut work, active);
        }
    }
    for lane in &mut work.lanes {
        lane.link.release_grants();
    }
    quiesce(&mut work, sent_before);
    work.cpu = thread_cpu().saturating_sub(began);
    work
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Sleeps until frames come or somebody is due, if it may; what was done then.
fn sleep(work: &mut Work, idler: &mut Idler) -> usize {
    if idler.polls() {
        return 0;
    }
    let Some(most) = work.rest() else { return 0 };
    let now = work.turn.now;
    idler.sleep(work, now, most)
}

/// Nothing to do: others may need the CPU, and readers what was logged.
fn idle(work: &mut Work, active: Instant) {
    let long = work.turn.now.duration_since(active) > Duration::from_millis(20);
    if let Some(log) = work.turn.log.as_mut().filter(|_| long) {
        log.flush();
    }
    thread::yield_now();
}

fn is_finished(work: &Work) -> bool {
    work.lanes.iter().all(|lane| lane.engine.is_finished(&lane.link))
}

fn frames_sent(work: &Work) -> u64 {
    work.lanes.iter().map(|lane| lane.link.outlet.sender.stats().frames).sum()
}

/// Frames received and sent so far.
fn frames_moved(work: &Work) -> u64 {
    work.lanes.iter().map(|lane| lane.link.frames()).sum()
}

fn obey(work: &mut Work, order: Order) {
    match order {
        Order::Stop => {}
        Order::Report(answer) => {
            let reports = work.lanes.iter().map(|lane| {
                let tally = Tally { port: lane.link.tally(), engine: lane.engine.tally() };
                let admission = lane.link.outlet.admission.as_ref().map(|admission| admission.view());
                Report { tally, pool: lane.link.pool(), admission }
            });
            let _ = answer.send(reports.collect());
        }
        Order::Burst(burst) => work.turn.burst = burst,
        Order::Verbose(verbose) => work.turn.verbose = verbose,
        Order::Layout(layout) => receivers(work).for_each(|receiver| receiver.set_layout(layout)),
        Order::Require(set) => receivers(work).for_each(|receiver| receiver.set_require(set)),
    }
}

fn receivers(work: &mut Work) -> impl Iterator<Item = &mut lm_engine::Receiver> {
    work.lanes.iter_mut().flat_map(|lane| &mut lane.link.receivers)
}

/// Sends what the queues have not taken yet, and leaves a peer with whom rings are shared the time to take it.
fn quiesce(work: &mut Work, sent_before: u64) {
    let start = Instant::now();
    while work.lanes.iter_mut().map(|lane| lane.link.outlet.sender.flush()).sum::<usize>() > 0 {
        if start.elapsed() > FLUSH {
            log::warn!(
                "the last frames found no room in the transmit queue and are lost: is the peer there?"
            );
            break;
        }
        thread::yield_now();
    }
    while frames_sent(work) != sent_before && start.elapsed() < LINGER {
        thread::sleep(Duration::from_millis(1));
        // Drivers give sent mbufs back when they are asked to send, if only nothing.
        for lane in &mut work.lanes {
            lane.link.outlet.sender.queue().send(&mut Burst::<1>::new());
        }
    }
    if let Some(log) = &mut work.turn.log {
        log.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm_node::receive_mode::RxMode;

    #[test]
    fn a_link_that_never_came_up_is_no_reason_to_stay() {
        let ms = Duration::from_millis;
        let idler = Idler::new(RxMode::Poll, ms(1));
        let limits = |idle| Limits { idle, idler, patience: u32::MAX };
        assert!(
            limits(Some(ms(300))).is_idle(ms(300), true) && !limits(Some(ms(300))).is_idle(ms(299), true)
        );
        assert!(
            !limits(Some(ms(300))).is_idle(ms(5299), false) && limits(Some(ms(300))).is_idle(ms(5300), false)
        );
        assert!(!limits(None).is_idle(Duration::MAX, false));
        assert!(!limits(Some(Duration::MAX)).is_idle(ms(1), false));
    }
}
