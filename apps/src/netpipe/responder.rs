//! The responder: waits for a round on any transport, and then polls only that transport until the round
//! ends.
//!
//! [`super::begin`] calls [`run`] with `--role=responder`. The responder keeps the report of the last round
//! of each transport, and repeats it if the initiator asks again. A round whose initiator is silent ends
//! after three seconds and twice `--patience`.

use std::thread;
use std::time::Duration;

use super::meter::{Meter, Rate};
use super::options::Options;
use super::order::{Account, Order, Task};
use super::transport::{Action, Transport};
use crate::console::say;
use crate::signals;

/// A round is over when nothing was received for so long, and twice as long as an echo is awaited.
const SILENCE: Duration = Duration::from_secs(3);
/// How often an answer is tried until it finds room.
const ATTEMPTS: u32 = 10_000;

/// What follows a round.
enum Next {
    /// Another one begins.
    Begin(u64, Task),
    /// Nothing: the round is over.
    Rest,
    /// The initiator said good-bye: the run is over.
    Bye,
}

/// Serves until a signal, or with `--once` until the initiator says good-bye.
pub(crate) fn run(transports: &mut [Box<dyn Transport>], options: &Options, rate: Rate) {
    let names: Vec<_> = transports.iter().map(|t| t.kind().name).collect();
    say!("ready to answer on {}", names.join(", "));
    let mut last = vec![None; transports.len()];
    let mut idle = 0_u32;
    loop {
        for (transport, last) in transports.iter_mut().zip(&mut last) {
            let mut heard = None;
            if transport.poll(&mut |payload| take(payload, &mut heard)) > 0 {
                idle = 0;
            }
            let mut next = match heard {
                Some(Order::Begin(round, task)) => Next::Begin(round, task),
                Some(Order::Bye) => Next::Bye,
                // The initiator asks again: the report was lost.
                Some(Order::End(round)) => {
                    if let Some(report) = last.filter(|&(of, _)| of == round) {
                        answer(transport.as_mut(), &Order::Report(report.0, report.1));
                    }
                    Next::Rest
                }
                _ => Next::Rest,
            };
            while let Next::Begin(round, task) = next {
                transport.set_in_round(true);
                next = serve(transport.as_mut(), round, task, options, rate, last);
                transport.set_in_round(false);
            }
            if matches!(next, Next::Bye) && options.once {
                return;
            }
        }
        idle = idle.saturating_add(1);
        if idle > options.yield_after() {
            // Between two runs there is no hurry.
            thread::sleep(Duration::from_micros(if idle > 1 << 20 { 1000 } else { 0 }));
        }
        if signals::is_ending() {
            return;
        }
    }
}

fn take(payload: &[u8], heard: &mut Option<Order>) -> Action {
    *heard = Order::parse(payload).or(*heard);
    Action::Drop
}

/// Sends an answer, if there is room for it soon.
fn answer(transport: &mut dyn Transport, order: &Order) {
    for _ in 0..ATTEMPTS {
        if transport.send(&order.bytes()) {
            break;
        }
        transport.flush();
    }
    transport.flush();
}

/// What a sender with a window is told: how many of its datagrams have come.
struct Credit {
    /// The sender is told each time that so many more have come; 0: never.
    every: u64,
    came: u64,
    told: u64,
}

impl Credit {
    fn of(task: Task) -> Self {
        Self { every: if let Task::Credit(every) = task { every.max(1) } else { 0 }, came: 0, told: 0 }
    }

    fn came(&mut self, datagrams: u64) {
        self.came += datagrams;
    }

    /// Tells the sender, if it is time to. A message that finds no room is tried again at the next call.
    fn tell(&mut self, transport: &mut dyn Transport, round: u64) {
        if self.every > 0
            && self.came - self.told >= self.every
            && transport.send(&Order::Credit(round, self.came).bytes())
        {
            self.told = self.came;
        }
    }
}

fn serve(
    transport: &mut dyn Transport,
    round: u64,
    task: Task,
    options: &Options,
    rate: Rate,
    last: &mut Option<(u64, Account)>,
) -> Next {
    answer(transport, &Order::Ready(round));
    let then = match task {
        Task::Echo => Action::Echo,
        Task::EchoAnew => Action::EchoAnew,
        Task::Sink | Task::Credit(_) => Action::Drop,
    };
    let mut credit = Credit::of(task);
    let copied = transport.copied();
    let mut meter = Meter::begin(rate);
    let (mut heard, silence) =
        (meter.mark(), rate.ticks(SILENCE + 2 * Duration::from_millis(options.patience)));
    loop {
        let mut order = None;
        let (mut datagrams, mut bytes) = (0, 0);
        let found = transport.poll(&mut |payload| match Order::parse(payload) {
            None => {
                datagrams += 1;
                bytes += payload.len() as u64;
                then
            }
            some => {
                order = some;
                Action::Drop
            }
        });
        let now = meter.lap(found > 0);
        if datagrams > 0 {
            meter.received(datagrams, bytes, now);
            credit.came(datagrams);
        }
        credit.tell(transport, round);
        if found > 0 {
            heard = now;
        } else if meter.idle_for > options.yield_after() || !transport.is_polled() {
            if now.wrapping_sub(heard) > silence || signals::is_ending() {
                *last = Some((round, meter.end(transport.copied() - copied)));
                return Next::Rest;
            }
            thread::yield_now();
        }
        match order {
            // The initiator asks again: the answer was lost.
            Some(Order::Begin(again, _)) if again == round => answer(transport, &Order::Ready(round)),
            Some(Order::Begin(other, task)) => return Next::Begin(other, task),
            Some(Order::End(of)) if of == round => {
                let account = meter.end(transport.copied() - copied);
                *last = Some((round, account));
                answer(transport, &Order::Report(round, account));
                return Next::Rest;
            }
            Some(Order::Bye) => return Next::Bye,
            _ => {}
        }
    }
}
