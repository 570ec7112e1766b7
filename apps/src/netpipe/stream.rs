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
use crate::signals;

/// Bytes on the wire that a paced sender may send at once after a pause. A card's transmit ring holds about
/// as much, and the card sends it while its sender has no CPU.
const BUCKET: usize = 256 << 10;

/// How many datagrams of a stream are in flight, and may be.
pub(crate) struct Window {
    /// At most.
    most: u64,
    /// Datagrams that arrived, by the responder's last message, and datagrams that are given up.
    gone: u64,
    /// When that number last changed, in ticks.
    heard: u64,
}

impl Window {
    /// A window of as many datagrams as fit into so many frames, and of one at least.
    pub(crate) fn of(frames: u16, fragments: usize) -> Self {
        Self { most: (u64::from(frames) / fragments.max(1) as u64).max(1), gone: 0, heard: 0 }
    }

    /// The responder reports each time that so many more have arrived. Half a window is often enough: a
    /// sender with a full window hears of its first half.
    fn every(&self) -> u64 {
        self.most.div_ceil(2)
    }

    /// Whether `sent` datagrams fill it.
    fn is_full(&self, sent: u64) -> bool {
        sent.saturating_sub(self.gone) >= self.most
    }

    /// Takes the responder's message that `came` datagrams have arrived, or none. After `patience` ticks
    /// without progress, all that is in flight counts as lost.
    fn hear(&mut self, came: Option<u64>, sent: u64, now: u64, patience: u64) {
        match came {
            Some(came) if came > self.gone => (self.gone, self.heard) = (came, now),
            _ if now.saturating_sub(self.heard) > patience => (self.gone, self.heard) = (sent, now),
            _ => {}
        }
    }
}

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
        window.heard = began;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_what_fits_into_the_ring() {
        for (frames, fragments, most) in [(512, 5, 102), (512, 45, 11), (32, 45, 1), (1, 1, 1), (0, 0, 1)] {
            assert_eq!(Window::of(frames, fragments).most, most, "{frames} {fragments}");
        }
    }

    #[test]
    fn a_window_opens_by_what_came_or_is_given_up() {
        let mut window = Window::of(4, 1);
        assert!(!window.is_full(3) && window.is_full(4));
        // A sender with a full window is told of something before it waits for ever.
        assert!(window.every() <= window.most);
        window.hear(None, 4, 10, 100);
        assert!(window.is_full(4), "nothing came");
        window.hear(Some(2), 4, 10, 100);
        assert!(!window.is_full(5) && window.is_full(6));
        window.hear(Some(1), 6, 20, 100);
        assert!(window.is_full(6), "what is told late opens nothing");
        window.hear(None, 6, 111, 100);
        assert!(!window.is_full(6), "given up");
        assert!(!window.is_full(9) && window.is_full(10));
    }
}
