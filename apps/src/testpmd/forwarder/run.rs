//! The forwarding loop itself.
//!
//! [`super::Forwarder::start`] runs [`forward`] on a worker lcore or in a thread. The loop gives every link a
//! turn, and after at most 32 turns it looks at the clock and at its orders. At its end it tries for at most
//! half a second to send what waits, and then returns the links.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use lm_node::receive_mode::Idler;
use rustix::time::{ClockId, clock_gettime};

use super::limits::Limits;
use super::order::Order;
use super::work::Work;

/// Turns between two looks at the clock and the orders.
const PERIOD: u32 = 32;

/// Gives every link a turn, again and again, until an order, a limit or the engines end it. Returns the work.
pub(super) fn forward(mut work: Work, limits: Limits, inbox: &Receiver<Order>) -> Work {
    let mut active = Instant::now();
    let (began, mut idler, patience) = (thread_cpu(), limits.idler, limits.patience);
    let mut idle_turns = 0_u32;
    let sent_before = work.frames_sent();
    let (mut came_up, mut moved) = (false, work.frames_moved());
    'forwarding: loop {
        let mut done = 0;
        for _ in 0..PERIOD {
            let turn = work.turns();
            idle_turns = if turn > 0 { 0 } else { idle_turns.saturating_add(1) };
            done += turn;
            if idle_turns > patience || (turn == 0 && !idler.polls()) {
                break;
            }
            if turn > 0 && work.is_finished() {
                break 'forwarding;
            }
        }
        work.turn.now = Instant::now();
        loop {
            match inbox.try_recv() {
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => break 'forwarding,
                Ok(order) => work.apply(order),
                Err(TryRecvError::Empty) => break,
            }
        }
        if work.is_finished() {
            break;
        }
        if done > 0 {
            idler.worked();
        } else {
            done = sleep(&mut work, &mut idler);
        }
        let up = work.is_up();
        // While frames wait for a peer that is gone, the engines are busy but no frame moves. That is idle.
        let frames = if done > 0 { work.frames_moved() } else { moved };
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
        if idle_turns > patience || !idler.polls() {
            idle(&mut work, active);
        }
    }
    work.quiesce(sent_before);
    work.cpu = thread_cpu().saturating_sub(began);
    work
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Sleeps until frames come or an engine is due, if the loop may sleep. Returns how much was done then.
fn sleep(work: &mut Work, idler: &mut Idler) -> usize {
    if idler.polls() {
        return 0;
    }
    let Some(most) = work.rest() else { return 0 };
    let now = work.turn.now;
    idler.sleep(work, now, most).unwrap_or(0)
}

/// Yields the CPU while there is nothing to do. After 20 ms it also flushes the message log, so that others
/// can read it.
fn idle(work: &mut Work, active: Instant) {
    let long = work.turn.now.duration_since(active) > Duration::from_millis(20);
    if let Some(log) = work.turn.log.as_mut().filter(|_| long) {
        log.flush();
    }
    thread::yield_now();
}
