//! [`Rounds`]: the initiator's side of a round, for every kind of measurement.
//!
//! [`super::ping_pong`] and [`super::stream`] use it. [`Rounds::begin`] and [`Rounds::end`] send messages of
//! [`super::order`] until the responder answers, or `--await-peer` is over. [`Payload`] is sent in between.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::meter::Rate;
use super::options::Options;
use super::order::{Account, Order, Task};
use super::transport::{Action, Transport};
use crate::pattern::Pattern;
use crate::signals;

/// Between two attempts to be heard.
const RETRY: Duration = Duration::from_millis(50);

/// The rounds of a run.
pub(crate) struct Rounds<'a> {
    /// The command line.
    pub(crate) options: &'a Options,
    /// Ticks in time.
    pub(crate) rate: Rate,
    /// What is sent.
    pub(crate) payload: Payload,
    /// The number of the present round.
    round: u64,
}

/// The payload: a buffer of the program's own, as a program that sends by a socket has one.
pub(crate) struct Payload {
    pattern: Pattern,
    bytes: Vec<u8>,
    number: u64,
}

impl<'a> Rounds<'a> {
    /// Rounds with numbers that no other run has: they begin at the time of day.
    pub(crate) fn new(options: &'a Options, rate: Rate) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let payload = Payload { pattern: Pattern::new(1), bytes: Vec::new(), number: 0 };
        Self { options, rate, payload, round: now.as_nanos() as u64 }
    }

    /// Begins another round. An error: the responder does not answer.
    pub(crate) fn begin(&mut self, transport: &mut dyn Transport, task: Task) -> Result<(), String> {
        self.round = self.round.wrapping_add(1);
        let round = self.round;
        self.ask(transport, &Order::Begin(round, task), |answer| {
            (answer == Order::Ready(round)).then_some(())
        })
    }

    /// Receives once; how many datagrams of the present round have come, if the responder told.
    pub(crate) fn credit(&self, transport: &mut dyn Transport) -> Option<u64> {
        let (round, mut came) = (self.round, None);
        transport.poll(&mut |payload| {
            if let Some(Order::Credit(of, datagrams)) = Order::parse(payload)
                && of == round
            {
                came = came.max(Some(datagrams));
            }
            Action::Drop
        });
        came
    }

    /// Makes the payload one of `size` bytes, which depend on the present round's number.
    pub(crate) fn fill(&mut self, size: usize) {
        self.payload.fill(self.round, size);
    }

    /// Ends the present round: what the responder saw of it.
    pub(crate) fn end(&self, transport: &mut dyn Transport) -> Result<Account, String> {
        let round = self.round;
        self.ask(transport, &Order::End(round), |answer| match answer {
            Order::Report(of, account) if of == round => Some(account),
            _ => None,
        })
    }

    /// Sends an order until `answered` says that an answer is the one.
    fn ask<T>(
        &self,
        transport: &mut dyn Transport,
        order: &Order,
        mut answered: impl FnMut(Order) -> Option<T>,
    ) -> Result<T, String> {
        let (began, mut empty) = (Instant::now(), 0_u32);
        let patience = Duration::from_secs(self.options.await_peer);
        while began.elapsed() < patience && !(signals::is_ending() && began.elapsed() > 10 * RETRY) {
            tell(transport, order);
            let asked = Instant::now();
            while asked.elapsed() < RETRY {
                let mut answer = None;
                let found = transport.poll(&mut |payload| {
                    answer = Order::parse(payload).and_then(&mut answered).or(answer.take());
                    Action::Drop
                });
                if let Some(answer) = answer {
                    return Ok(answer);
                }
                empty = if found > 0 { 0 } else { empty.saturating_add(1) };
                if empty > self.options.yield_after() {
                    thread::yield_now();
                }
            }
        }
        let (name, s) = (transport.kind().name, self.options.await_peer);
        let waited = began.elapsed();
        if waited < patience {
            let ms = waited.as_millis();
            return Err(format!(
                "{name}: ended by a signal after {ms} ms without an answer of the responder"
            ));
        }
        Err(format!(
            "{name}: no answer within {s} s: start the responder with the same --transport, \
             and see that the addresses match"
        ))
    }
}

/// Sends an order if there is room for it soon.
pub(crate) fn tell(transport: &mut dyn Transport, order: &Order) {
    let began = Instant::now();
    while !transport.send(&order.bytes()) && began.elapsed() < RETRY {
        transport.poll(&mut |_| Action::Drop);
        thread::yield_now();
    }
}

impl Payload {
    /// The bytes to send.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The payload of a round.
    fn fill(&mut self, round: u64, size: usize) {
        let bytes = &mut self.bytes;
        bytes.clear();
        self.pattern.write(round, size, |part| bytes.extend_from_slice(part));
    }

    /// Writes the next datagram's number into the first bytes.
    #[inline]
    pub(crate) fn stamp(&mut self) {
        self.number = self.number.wrapping_add(1);
        let n = self.bytes.len().min(8);
        self.bytes[..n].copy_from_slice(&self.number.to_le_bytes()[..n]);
    }
}
