//! A stream: datagrams one way, as fast as the transport takes them, or as `--pace` allows, or with no more
//! in flight than the receiver's ring takes ([`Window`]).
//!
//! The initiator calls [`measure`] for each block. The rate is what the responder received. A sender with a
//! window that hears nothing for `--patience` takes all that is in flight for lost and goes on.

use std::thread;
use std::time::Duration;

use super::meter::Meter;
use super::order::Task;
use super::results::Stream;
use super::rounds::Rounds;
use super::transport::{Action, Transport};
use super::window::Window;
use crate::signals;

/// Bytes on the wire that a paced sender may send at once after a pause. A card's transmit ring holds about
/// as much, and the card sends it while its sender has no CPU.
const BUCKET: usize = 256 << 10;

/// Measures a block of a stream with payloads of `size` bytes. An error: the responder does not answer.
pub(crate) fn measure(
    rounds: &mut Rounds<'_>,
    transport: &mut dyn Transport,
    size: usize,
    mut window: Option<Window>,
    results: &mut Stream,
) -> Result<(), String> {
    let (options, rate) = (rounds.options, rounds.rate);
    let task = window.as_ref().map_or(Task::Sink, |window| Task::Credit(window.every()));
    rounds.begin(transport, task)?;
    rounds.fill(size);
    let time = rate.ticks(options.block_time());
    let patience = rate.ticks(Duration::from_millis(options.patience));
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
    let (mut due, mut sent, mut now, mut vain) = (began, 0_u64, began, 0_u32);
    if let Some(window) = &mut window {
        window.begin(began);
    }
    while now - began < time && !(sent.is_multiple_of(64) && signals::is_ending()) {
        if let Some(window) = window.as_mut().filter(|window| window.is_full(sent)) {
            let came = rounds.credit(transport);
            now = meter.lap(came.is_some());
            window.hear(came, sent, now, patience);
            vain = if came.is_some() { 0 } else { vain.saturating_add(1) };
            if vain > options.yield_after() && transport.is_polled() {
                thread::yield_now();
            }
            if vain.is_multiple_of(64) && signals::is_ending() {
                break;
            }
            continue;
        }
        if now < due {
            // A poll that waits for frames could miss the time to send. A transport that is not polled saves
            // CPU time, so it sleeps until then.
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
        // A sender that is late may catch up, but by no more than BUCKET.
        due = (due + takes).max(now.saturating_sub(depth));
    }
    let ours = meter.end(transport.copied() - copied);
    // What waits in a socket is still counted.
    let theirs = rounds.end(transport)?;
    results.add(size, sent, &ours, &theirs);
    Ok(())
}
