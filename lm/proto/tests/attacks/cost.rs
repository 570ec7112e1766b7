//! What a frame may cost: no stream of frames costs more than ten times what LM's own costs, over any 10,000
//! of them.
//!
//! Work is counted and not timed: headers looked at, bytes asked for, frames. `make bench` has the
//! nanoseconds.

use crate::counting::Counting;
use crate::hostile::{DEVICES, Device, good, hostile};
use crate::stage::Policy;
use lm_proto::frame::Slot;
use lm_proto::layout::Geometry;
use lm_proto::matcher::{Config, Matcher};
use lm_proto::mock::config;
use lm_proto::reassembler::Limits;

/// Frames over which the mean is taken.
const SPAN: usize = 10_000;
/// And frames of each stream.
const FRAMES: usize = 20_000;
/// A mean is taken from here, and from each of these steps on.
const STEP: usize = 2000;

/// Frames for which a datagram may wait in separate slots: some that a small region lets, about as many as
/// one of 16 MiB lets, and all.
const WINDOWS: [u64; 3] = [256, 6600, 8192];

/// Work a frame, of the worst span; and datagrams delivered.
fn work(g: Geometry, require: Policy, device: Device, window: u64, frames: &[Vec<u8>]) -> (f64, u64) {
    let mut memory = Counting::new(g, device.slot, window);
    let limits = Limits { window, ..Limits::default() };
    let setup = Config { require: require.into(), limits, ..config(g, device.synchronous) };
    let mut matcher = Matcher::new(setup);
    let mut done = vec![0];
    let (mut now, mut n) = (0, 0);
    let mut sent = frames.iter().cycle();
    while n < FRAMES {
        let landed: Vec<_> = sent.by_ref().take(device.burst).map(|f| memory.arrive(f)).collect();
        let burst = landed.len();
        // Time goes as at a gigabit per second.
        now += 12_000 * burst as u64;
        n += burst;
        landed.into_iter().for_each(|frame| matcher.push(frame, &mut memory));
        matcher.look(now, burst, &mut memory);
        if n / STEP >= done.len() {
            done.push(memory.work() + n as u64);
        }
    }
    let worst = done.windows(SPAN / STEP + 1).map(|w| w[SPAN / STEP] - w[0]).max().expect("a span");
    for _ in 0..12 {
        now += 250_000_000;
        matcher.look(now, 0, &mut memory);
    }
    matcher.clear(&mut memory);
    assert_eq!(memory.out, 0, "every slot comes back");
    (worst as f64 / SPAN as f64, memory.delivered)
}

/// Times as much as LM's own costs, at most. Ten is missed by tags at MTU 9000: a stranger's single frame of
/// 9000 bytes has to be summed over its payload, while of LM's own only the tag is read.
fn most(mtu: u16, require: Policy) -> f64 {
    if mtu > 1500 && require.tags { 16.0 } else { 10.0 }
}

fn bounded(mtu: u16) {
    let g = Geometry::new(mtu).expect("an MTU");
    let attacks = hostile(g);
    let good = good(g);
    let mut faults = Vec::new();
    let policies = [
        (true, true, false),
        (true, false, false),
        (false, true, false),
        (false, false, true),
        (true, true, true),
    ];
    // Large frames take long to make: of them, the default and all at once.
    let policies = if mtu > 1500 { vec![policies[0], policies[4]] } else { policies.to_vec() };
    for (headers, checksum, tags) in policies {
        let require = Policy { headers, checksum, tags };
        let separate = |device: &Device| device.slot == Slot::Separate;
        let runs = DEVICES.into_iter().flat_map(|device| {
            let windows = if separate(&device) { &WINDOWS[..] } else { &WINDOWS[..1] };
            windows.iter().map(move |&window| (device, window))
        });
        for (device, window) in runs {
            let (base, delivered) = work(g, require, device, window, &good.frames);
            let fine = separate(&device) || checksum || tags;
            assert!(delivered > 0 || !fine, "{}: nothing delivered, {require:?}, {device:?}", good.name);
            for attack in &attacks {
                let (cost, _) = work(g, require, device, window, &attack.frames);
                if cost > most(mtu, require) * base {
                    faults.push(format!(
                        "{}: {cost:.0} a frame, {:.1} times as much as {base:.0}, {require:?}, {device:?}, \
                         window {window}",
                        attack.name,
                        cost / base
                    ));
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} streams cost too much at MTU {mtu}:\n  {}",
        faults.len(),
        faults.join("\n  ")
    );
}

#[test]
fn is_bounded() {
    bounded(1500);
}

#[test]
fn is_bounded_in_small_frames() {
    bounded(576);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes many minutes without optimisation")]
fn is_bounded_in_large_frames() {
    bounded(9000);
}
