//! Round trips: one datagram at a time, there and back.
//!
//! A round trip lasts from before the payload is given to the transport until the poll that delivered the
//! echo returns. The payload is given from a buffer of the program's own, as to a socket. So sending copies
//! once on every transport. The responder sends back what it received.
//!
//! A block begins with a warm-up, in a round of its own. It compares every byte, and it tells how many round
//! trips fit into the block's time.

use std::thread;
use std::time::{Duration, Instant};

use super::meter::Meter;
use super::order::Task;
use super::results::{Ping, PingBlock};
use super::rounds::Rounds;
use super::transport::{Action, Transport};
use crate::signals;

/// Fewest round trips of a block, however long they take.
const LEAST: u64 = 3;

/// Measures a block of round trips with payloads of `size` bytes; `task` says how they are sent back. An
/// error: the responder does not answer.
pub(crate) fn measure(
    rounds: &mut Rounds<'_>,
    transport: &mut dyn Transport,
    task: Task,
    size: usize,
    results: &mut Ping,
) -> Result<(), String> {
    let (options, rate) = (rounds.options, rounds.rate);
    rounds.begin(transport, task)?;
    rounds.fill(size);
    let time = options.block_time();
    let mut block = PingBlock::default();
    let mut warm = Meter::begin(rate);
    let began = Instant::now();
    let mut times = Vec::new();
    for i in 0..options.warm_up.max(1) {
        times.extend(round_trip(rounds, transport, &mut warm, &mut block, true));
        if (i >= LEAST && began.elapsed() > time / 4) || signals::is_ending() {
            break;
        }
    }
    times.sort_unstable();
    let one = times.get(times.len() / 2).map_or(1, |&ticks| rate.ns(ticks).max(1));
    let fit = (time.as_nanos() as u64 / one).max(LEAST);
    let repetitions = options.block_repetitions().min(fit);
    // The warm-up is in the responder's account: a round of its own keeps it out.
    rounds.end(transport)?;
    rounds.begin(transport, task)?;

    let copied = transport.copied();
    let mut meter = Meter::begin(rate);
    let began = Instant::now();
    for i in 0..repetitions {
        match round_trip(rounds, transport, &mut meter, &mut block, false) {
            Some(ticks) => block.trips.add(rate.ns(ticks)),
            None if signals::is_ending() => break,
            None => block.lost += 1,
        }
        if i + 1 >= LEAST && i % 16 == 0 && began.elapsed() > 2 * time {
            break;
        }
    }
    let ours = meter.end(transport.copied() - copied);
    let theirs = rounds.end(transport)?;
    results.add(&block, &ours, &theirs);
    Ok(())
}

/// Sends so many of the largest datagrams there and back before anything is measured: receivers lay their
/// slots by what arrives. An error: the responder does not answer.
pub(crate) fn warm_up(
    rounds: &mut Rounds<'_>,
    transport: &mut dyn Transport,
    trips: usize,
) -> Result<(), String> {
    rounds.begin(transport, Task::Echo)?;
    rounds.fill(transport.limit());
    let (mut meter, mut block) = (Meter::begin(rounds.rate), PingBlock::default());
    for _ in 0..trips {
        round_trip(rounds, transport, &mut meter, &mut block, false);
        if signals::is_ending() {
            break;
        }
    }
    rounds.end(transport).map(drop)
}

/// One round trip: its ticks, or `None` if the echo is lost. `compare`: every byte of the echo is looked at.
#[inline]
fn round_trip(
    rounds: &mut Rounds<'_>,
    transport: &mut dyn Transport,
    meter: &mut Meter,
    block: &mut PingBlock,
    compare: bool,
) -> Option<u64> {
    rounds.payload.stamp();
    let payload = rounds.payload.bytes();
    let patience = rounds.rate.ticks(Duration::from_millis(rounds.options.patience));
    let yield_after = rounds.options.yield_after();
    let sent = meter.mark();
    while !transport.send(payload) {
        let now = meter.lap(false);
        transport.poll(&mut |_| Action::Drop);
        if now - sent > patience {
            return None;
        }
        if meter.idle_for > yield_after {
            thread::yield_now();
        }
    }
    meter.lap(true);
    let mut back = false;
    loop {
        let found = transport.poll(&mut |echo| {
            let same_start = echo.len() == payload.len()
                && echo.iter().take(8).eq(payload.iter().take(8))
                && echo.last() == payload.last();
            if !same_start {
                block.late += 1;
            } else if compare && echo != payload {
                block.wrong += 1;
            }
            back |= same_start;
            Action::Drop
        });
        let now = meter.lap(found > 0);
        if back {
            meter.received(1, payload.len() as u64, now);
            return Some(now - sent);
        }
        if now - sent > patience || (found == 0 && signals::is_ending()) {
            return None;
        }
        if meter.idle_for > yield_after {
            thread::yield_now();
        }
    }
}
