//! The initiator: sizes, blocks and transports in turn, and what came of them.
//!
//! A round trip lasts from before the payload is given to the transport until the poll that delivered the echo returns.
//! The payload is given from a buffer of the program's own, as to a socket, so sending copies once on every transport;
//! the responder sends back what it received. The transports take turns block by block, so that what disturbs the machine
//! disturbs all of them.

use std::time::{Duration, Instant};
use std::{io::IsTerminal as _, thread};

use super::meter::{Meter, Rate};
use super::options::{Options, Test};
use super::order::{Account, Order, Task};
use super::results::{Cell, Results};
use super::transport::{Then, Transport};
use crate::console::{complain, say};
use crate::histogram::Histogram;
use crate::pattern::Pattern;
use crate::signals;

/// Between two attempts to be heard.
const AGAIN: Duration = Duration::from_millis(50);
/// What the bucket holds that paces a stream, bytes on the wire: as much as a card's transmit ring, which goes on sending
/// while its sender is away.
const DEPTH: usize = 256 << 10;
/// Fewest round trips of a block, however long they take.
const LEAST: u64 = 3;

/// The initiator at work.
struct Initiator<'a> {
    options: &'a Options,
    rate: Rate,
    pattern: Pattern,
    round: u64,
    payload: Vec<u8>,
    number: u64,
}

/// Measures everything; what there is when a signal comes is what there is. Ends with an error if the responder does not
/// answer.
pub(crate) fn run(
    transports: &mut [Box<dyn Transport>],
    options: &Options,
    rate: Rate,
    results: &mut Results,
) -> Result<(), String> {
    // Rounds of another run are not ours.
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut initiator = Initiator {
        options,
        rate,
        pattern: Pattern::new(1),
        round: seed.as_nanos() as u64,
        payload: Vec::new(),
        number: 0,
    };
    let sizes = options.sizes();
    let mut progress = Progress::new(options, sizes.len());
    for &size in &sizes {
        for block in 0..options.blocks {
            for (i, transport) in transports.iter_mut().enumerate() {
                if size > transport.limit() {
                    continue;
                }
                for &test in &options.test {
                    if signals::is_ending() {
                        return Ok(());
                    }
                    let cell = results.cell(i, size);
                    transport.rest(false);
                    let done = match test {
                        Test::PingPong => initiator.ping_pong(transport.as_mut(), size, cell),
                        Test::Stream => initiator.stream(transport.as_mut(), size, cell),
                    };
                    transport.rest(true);
                    // A responder that was there and is gone ends the run, not what was measured.
                    if let Err(e) = done {
                        return Err(format!("{e}, at {size} bytes, block {}", block + 1));
                    }
                }
            }
        }
        progress.step(size);
    }
    for transport in transports.iter_mut() {
        for _ in 0..3 {
            Initiator::tell(transport.as_mut(), &Order::Bye);
        }
    }
    Ok(())
}

/// Lines on standard error, now and then.
struct Progress {
    on: bool,
    sizes: usize,
    done: usize,
    began: Instant,
    told: Instant,
}

impl Progress {
    fn new(options: &Options, sizes: usize) -> Self {
        let on = options.progress || std::io::stderr().is_terminal();
        Self { on, sizes, done: 0, began: Instant::now(), told: Instant::now() }
    }

    fn step(&mut self, size: usize) {
        self.done += 1;
        if self.on && (self.told.elapsed() > Duration::from_secs(2) || self.done == self.sizes) {
            self.told = Instant::now();
            let left = self.began.elapsed() * (self.sizes - self.done) as u32 / self.done as u32;
            complain(&format!(
                "{} of {} sizes, {size} bytes last, {} s left",
                self.done,
                self.sizes,
                left.as_secs()
            ));
        }
    }
}

impl Initiator<'_> {
    /// Sends an order if there is room for it soon.
    fn tell(transport: &mut dyn Transport, order: &Order) {
        let began = Instant::now();
        while !transport.send(&order.bytes()) && began.elapsed() < AGAIN {
            transport.poll(&mut |_| Then::Drop);
            thread::yield_now();
        }
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
        while began.elapsed() < patience && !(signals::is_ending() && began.elapsed() > 10 * AGAIN) {
            Self::tell(transport, order);
            let asked = Instant::now();
            while asked.elapsed() < AGAIN {
                let mut answer = None;
                let found = transport.poll(&mut |payload| {
                    answer = Order::parse(payload).and_then(&mut answered).or(answer.take());
                    Then::Drop
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
        Err(format!(
            "{name}: no answer within {s} s: start the responder with the same --transport, and see that the addresses match"
        ))
    }

    fn begin(&mut self, transport: &mut dyn Transport, task: Task) -> Result<(), String> {
        self.round = self.round.wrapping_add(1);
        let round = self.round;
        self.ask(transport, &Order::Begin(round, task), |answer| {
            (answer == Order::Ready(round)).then_some(())
        })
    }

    fn end(&self, transport: &mut dyn Transport) -> Result<Account, String> {
        let round = self.round;
        self.ask(transport, &Order::End(round), |answer| match answer {
            Order::Report(of, account) if of == round => Some(account),
            _ => None,
        })
    }

    fn fill(&mut self, size: usize) {
        let payload = &mut self.payload;
        payload.clear();
        self.pattern.write(self.round, size, |part| payload.extend_from_slice(part));
    }

    /// The next payload is known by its first bytes.
    fn stamp(&mut self) {
        self.number = self.number.wrapping_add(1);
        let n = self.payload.len().min(8);
        self.payload[..n].copy_from_slice(&self.number.to_le_bytes()[..n]);
    }

    /// One round trip: its ticks, or `None` if the echo is lost.
    #[inline]
    fn round_trip(
        &mut self,
        transport: &mut dyn Transport,
        meter: &mut Meter,
        trip: &mut Trip,
    ) -> Option<u64> {
        self.stamp();
        let patience = self.rate.ticks(Duration::from_millis(self.options.patience));
        let sent = meter.mark();
        while !transport.send(&self.payload) {
            let now = meter.lap(false);
            transport.poll(&mut |_| Then::Drop);
            if now - sent > patience {
                return None;
            }
            if meter.idle_for > self.options.yield_after() {
                thread::yield_now();
            }
        }
        meter.lap(true);
        let (payload, compare) = (&self.payload, trip.compare);
        let mut back = false;
        loop {
            let found = transport.poll(&mut |echo| {
                let same_start = echo.len() == payload.len()
                    && echo.iter().take(8).eq(payload.iter().take(8))
                    && echo.last() == payload.last();
                if !same_start {
                    trip.late += 1;
                } else if compare && echo != payload {
                    trip.wrong += 1;
                }
                back |= same_start;
                Then::Drop
            });
            let now = meter.lap(found > 0);
            if back {
                meter.received(1, payload.len() as u64, now);
                return Some(now - sent);
            }
            if now - sent > patience || (found == 0 && signals::is_ending()) {
                return None;
            }
            if meter.idle_for > self.options.yield_after() {
                thread::yield_now();
            }
        }
    }

    fn ping_pong(
        &mut self,
        transport: &mut dyn Transport,
        size: usize,
        cell: &mut Cell,
    ) -> Result<(), String> {
        self.begin(transport, Task::Echo)?;
        self.fill(size);
        let time = self.options.block_time();
        let mut trip = Trip { compare: true, ..Trip::default() };
        let mut warm = Meter::begin(self.rate);
        let began = Instant::now();
        let mut times = Vec::new();
        for i in 0..self.options.warm_up.max(1) {
            times.extend(self.round_trip(transport, &mut warm, &mut trip));
            if (i >= LEAST && began.elapsed() > time / 4) || signals::is_ending() {
                break;
            }
        }
        times.sort_unstable();
        let one = times.get(times.len() / 2).map_or(1, |&ticks| self.rate.ns(ticks).max(1));
        let fit = (time.as_nanos() as u64 / one).max(LEAST);
        let repetitions = self.options.block_repetitions().min(fit);
        // The warm-up is in the responder's account: a round of its own keeps it out.
        self.end(transport)?;
        self.begin(transport, Task::Echo)?;

        trip.compare = false;
        let copied = transport.copied();
        let mut meter = Meter::begin(self.rate);
        let mut block = Histogram::default();
        let began = Instant::now();
        let mut lost = 0;
        for i in 0..repetitions {
            match self.round_trip(transport, &mut meter, &mut trip) {
                Some(ticks) => block.add(self.rate.ns(ticks)),
                None if signals::is_ending() => break,
                None => lost += 1,
            }
            if i + 1 >= LEAST && i % 16 == 0 && began.elapsed() > 2 * time {
                break;
            }
        }
        let ours = meter.end(transport.copied() - copied);
        let theirs = self.end(transport)?;
        cell.ping.add(&block, lost, &trip, &ours, &theirs);
        Ok(())
    }

    fn stream(&mut self, transport: &mut dyn Transport, size: usize, cell: &mut Cell) -> Result<(), String> {
        self.begin(transport, Task::Sink)?;
        self.fill(size);
        let time = self.rate.ticks(self.options.block_time());
        // Ticks that a datagram takes on the paced wire.
        let on_wire = |bytes: usize| {
            let hz = u128::from(self.rate.hz);
            self.options.pace.map_or(0, |bits| (hz * bytes as u128 * 8 / u128::from(bits)) as u64)
        };
        let takes = on_wire(transport.wire_bytes(size));
        let depth = on_wire(DEPTH).max(takes);
        let copied = transport.copied();
        let mut meter = Meter::begin(self.rate);
        let began = meter.mark();
        let (mut due, mut sent, mut now) = (began, 0_u64, began);
        while now - began < time && !(sent.is_multiple_of(64) && signals::is_ending()) {
            if now < due {
                // A receive that waits would wait too long; who waits for frames need not wait for the clock with the CPU.
                if transport.is_polled() {
                    transport.poll(&mut |_| Then::Drop);
                } else {
                    thread::sleep(Duration::from_nanos(self.rate.ns(due - now)));
                }
                now = meter.lap(false);
                continue;
            }
            self.stamp();
            let mut refused = 0_u32;
            let mut gone = transport.send(&self.payload);
            while !gone {
                now = meter.lap(false);
                transport.poll(&mut |_| Then::Drop);
                refused += 1;
                if now - began > 4 * time || signals::is_ending() {
                    break;
                }
                if refused > self.options.yield_after() {
                    thread::yield_now();
                }
                gone = transport.send(&self.payload);
            }
            now = meter.lap(gone);
            sent += u64::from(gone);
            // A sender that is late catches up by what the bucket holds, no more.
            due = (due + takes).max(now.saturating_sub(depth));
        }
        let ours = meter.end(transport.copied() - copied);
        // What waits in a socket is still counted.
        let theirs = self.end(transport)?;
        cell.stream.add(size, sent, &ours, &theirs);
        Ok(())
    }
}

/// What went by beside the round trips that count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trip {
    /// Every byte is compared.
    compare: bool,
    /// Datagrams that were not the echo that was awaited.
    pub(crate) late: u64,
    /// Echoes with other bytes.
    pub(crate) wrong: u64,
}

/// Tells what was opened.
pub(crate) fn introduce(transports: &[Box<dyn Transport>], options: &Options) {
    for transport in transports {
        let kind = transport.kind();
        let limit = if transport.limit() < lm_proto::wire::MAX_PAYLOAD {
            format!(", up to {} bytes", transport.limit())
        } else {
            String::new()
        };
        say!("{}: {}; over {}{limit}", kind.name, kind.help, transport.wire());
    }
    if let Some(pace) = options.pace {
        say!("streams are paced at {} Mb/s on the wire", pace / 1_000_000);
    }
}
