//! A stream: datagrams one way, as fast as the transport takes them, or as `--pace` allows.

use std::thread;
use std::time::Duration;

use super::meter::Meter;
use super::order::Task;
use super::results::Stream;
use super::rounds::Rounds;
use super::transport::{Action, Transport};
use crate::signals;

/// What the bucket holds that paces a stream, bytes on the wire. It is as much as a card's transmit ring,
/// which goes on sending while its sender is away.
const BUCKET: usize = 256 << 10;

/// Measures a block of a stream with payloads of `size` bytes. An error: the responder does not answer.
pub(crate) fn measure(
    rounds: &mut Rounds<'_>,
    transport: &mut dyn Transport,
    size: usize,
    results: &mut Stream,
) -> Result<(), String> {
    let (options, rate) = (rounds.options, rounds.rate);
    rounds.begin(transport, Task::Sink)?;
    rounds.fill(size);
    let time = rate.ticks(options.block_time());
    // Ticks that so many bytes take on the paced wire.
    let on_wire = |bytes: usize| {
        let hz = u128::from(rate.hz);
        options.pace.map_or(0, |bits| (hz * bytes as u128 * 8 / u128::from(bits)) as u64)
    };
    let takes = on_wire(transport.wire_bytes(size));
    let depth = on_wire(BUCKET).max(takes);
    let copied = transport.copied();
    let mut meter = Meter::begin(rate);
    let began = meter.mark();
    let (mut due, mut sent, mut now) = (began, 0_u64, began);
    while now - began < time && !(sent.is_multiple_of(64) && signals::is_ending()) {
        if now < due {
            // A receive that waits would wait too long. A transport that waits for frames need not wait for
            // the clock with the CPU either.
            if transport.is_polled() {
                transport.poll(&mut |_| Action::Drop);
            } else {
                thread::sleep(Duration::from_nanos(rate.ns(due - now)));
            }
            now = meter.lap(false);
            continue;
        }
        rounds.payload.stamp();
        let payload = rounds.payload.bytes();
        let mut refused = 0_u32;
        let mut is_sent = transport.send(payload);
        while !is_sent {
            now = meter.lap(false);
            transport.poll(&mut |_| Action::Drop);
            refused += 1;
            if now - began > 4 * time || signals::is_ending() {
                break;
            }
            if refused > options.yield_after() {
                thread::yield_now();
            }
            is_sent = transport.send(payload);
        }
        now = meter.lap(is_sent);
        sent += u64::from(is_sent);
        // A sender that is late catches up by what the bucket holds, no more.
        due = (due + takes).max(now.saturating_sub(depth));
    }
    let ours = meter.end(transport.copied() - copied);
    // What waits in a socket is still counted.
    let theirs = rounds.end(transport)?;
    results.add(size, sent, &ours, &theirs);
    Ok(())
}
