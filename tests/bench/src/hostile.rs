//! What a hostile frame costs the matcher, next to a good one: the streams of `lm/proto/tests/attacks`,
//! interleaved, in nanoseconds.
//!
//! ```text
//! hostile [--rounds N] [--mtu N]
//! ```
//!
//! A round is a block of 10,000 frames of each stream, one stream after the other; the median of all rounds
//! counts. Writing frames is the device's work and not timed, and what reading the clock takes is taken off;
//! a block in which the thread lost its CPU is measured again. The last line says whether none costs more
//! than ten times as much as LM's own datagrams of 7168 bytes do.

#[path = "shared/counting.rs"]
mod counting;
#[path = "shared/hand.rs"]
mod hand;
#[path = "shared/hostile.rs"]
mod streams;

use std::process::ExitCode;
use std::time::Instant;

use counting::{Counting, Token};
use lm_proto::frame::{Received, Slot};
use lm_proto::layout::Geometry;
use lm_proto::matcher::{Config, Matcher};
use lm_proto::mock::config;
use lm_proto::policy::Require;
use lm_proto::reassembler::Limits;
use lm_proto::wire::Flow;
use streams::{DEVICES, Device, Stream, good, hostile};

const VICTIM: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_00fe, src_port: 7000, dst_port: 9000 };
const SENDER: Flow = Flow { src: 0xc0a8_0042, dst: 0x0a00_00fe, src_port: 666, dst_port: 80 };

/// Frames of a block.
const BLOCK: usize = 10_000;
/// Nanoseconds a frame that an interruption doesn't explain.
const DEAR: f64 = 2000.0;
/// How often a block is measured that is interrupted.
const TRIES: usize = 8;
/// A hostile frame may cost so many good ones.
const MOST: f64 = 10.0;
/// Frames for which a datagram may wait: about as many as a region of 16 MiB lets.
const WINDOW: u64 = 6600;

const POLICIES: [(&str, Require); 3] = [
    ("headers,checksum", Require { headers: true, checksum: true, tags: false }),
    ("headers,checksum,tags", Require { headers: true, checksum: true, tags: true }),
    ("headers", Require { headers: true, checksum: false, tags: false }),
];

/// A stream on its way into a matcher of its own.
struct Run<'a> {
    frames: &'a [Vec<u8>],
    /// The next frame.
    at: usize,
    device: Device,
    memory: Counting,
    matcher: Matcher<Vec<u8>, Token>,
    now: u64,
    blocks: usize,
    /// Nanoseconds a frame, by block.
    samples: Vec<f64>,
}

/// Of one stream on one device, a frame.
#[derive(Clone, Copy)]
struct Cost {
    ns: f64,
    /// In the units that the tests count.
    work: f64,
}

impl<'a> Run<'a> {
    fn new(geometry: Geometry, require: Require, device: Device, stream: &'a Stream) -> Self {
        let limits = Limits { window: WINDOW, ..Limits::default() };
        let matcher = Matcher::new(Config { require, limits, ..config(geometry, device.synchronous) });
        let memory = Counting::new(geometry, device.slot, WINDOW);
        Self {
            frames: &stream.frames,
            at: 0,
            device,
            memory,
            matcher,
            now: 0,
            blocks: 0,
            samples: Vec::new(),
        }
    }

    /// A block that nobody interrupted, if one is to be had.
    fn block(&mut self, clock: f64) {
        let mut best = f64::INFINITY;
        for _ in 0..TRIES {
            let before = interruptions();
            let took = self.once(clock);
            // On a machine that is never quiet the shortest has to do.
            best = best.min(took);
            if interruptions() == before || took > DEAR {
                break;
            }
        }
        self.samples.push(best);
    }

    /// Nanoseconds a frame of a block; `clock`: what reading the clock takes.
    fn once(&mut self, clock: f64) -> f64 {
        let (mut spent, mut done) = (0.0, 0);
        let mut landed: Vec<Received<Token>> = Vec::with_capacity(self.device.burst);
        while done < BLOCK {
            for _ in 0..self.device.burst {
                landed.push(self.memory.arrive(&self.frames[self.at]));
                self.at = (self.at + 1) % self.frames.len();
            }
            let burst = landed.len();
            done += burst;
            self.now += 12_000 * burst as u64;
            let start = Instant::now();
            for frame in landed.drain(..) {
                self.matcher.push(frame, &mut self.memory);
            }
            self.matcher.look(self.now, burst, &mut self.memory);
            spent += start.elapsed().as_nanos() as f64 - clock;
        }
        self.blocks += 1;
        spent.max(0.0) / done as f64
    }

    fn cost(&mut self) -> Cost {
        let frames = (self.blocks * BLOCK) as f64;
        Cost { ns: median(&mut self.samples), work: 1.0 + self.memory.work() as f64 / frames }
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// How often this thread lost its CPU to another.
fn interruptions() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("nonvoluntary_ctxt_switches:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What reading the clock twice takes.
fn clock() -> f64 {
    let mut samples: Vec<f64> = (0..10_001)
        .map(|_| {
            let start = Instant::now();
            start.elapsed().as_nanos() as f64
        })
        .collect();
    median(&mut samples)
}

fn place(device: Device) -> String {
    let slots = if device.slot == Slot::Separate { "separate" } else { "overlapping" };
    let kind = if device.synchronous { "virtual" } else { "card" };
    format!("{kind}, {slots}, {}", device.burst)
}

/// Measures all streams of one MTU; the largest ratio.
fn measure(mtu: u16, rounds: usize) -> Result<f64, String> {
    let geometry = Geometry::new(mtu).map_err(|e| e.to_string())?;
    let mut all = vec![good(geometry)];
    all.extend(hostile(geometry));
    let clock = clock();
    let mut most: f64 = 0.0;
    for (policy, require) in POLICIES {
        let mut columns = Vec::new();
        for device in DEVICES {
            let mut runs: Vec<Run> = all.iter().map(|s| Run::new(geometry, require, device, s)).collect();
            // The first block warms.
            for round in 0..=rounds {
                for run in &mut runs {
                    run.block(clock);
                    if round == 0 {
                        run.samples.clear();
                    }
                }
            }
            if runs[0].memory.delivered == 0 && (require.checksum || device.slot == Slot::Separate) {
                return Err(format!("MTU {mtu}, {policy}: nothing of {} was delivered", all[0].name));
            }
            columns.push(runs.iter_mut().map(Run::cost).collect::<Vec<Cost>>());
        }
        println!(
            "\nMTU {mtu}, --require={policy}: ns a frame, how many times as much as LM's own, and work as it is counted"
        );
        let heads: Vec<String> = DEVICES.iter().map(|&d| format!("{:>28}", place(d))).collect();
        println!("{:<70}{}", "", heads.concat());
        for (i, stream) in all.iter().enumerate() {
            let cells = columns.iter().map(|c| {
                let Cost { ns, work } = c[i];
                let ratio = ns / c[0].ns.max(1.0);
                most = most.max(ratio);
                format!("{ns:>12.1} ({ratio:>6.1}) {work:>5.0}")
            });
            println!("{:<70} {}", stream.name, cells.collect::<Vec<_>>().join(" "));
        }
    }
    Ok(most)
}

fn run() -> Result<(), String> {
    let (mut rounds, mut mtus) = (15, vec![1500, 9000]);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let number = args.next().and_then(|v| v.parse::<u16>().ok()).filter(|&n| n > 0);
        let number = number.ok_or_else(|| format!("{arg} needs a number; hostile [--rounds N] [--mtu N]"))?;
        match arg.as_str() {
            "--rounds" => rounds = usize::from(number),
            "--mtu" => mtus = vec![number],
            _ => return Err(format!("unknown option {arg}; hostile [--rounds N] [--mtu N]")),
        }
    }
    let mut most: f64 = 0.0;
    for mtu in mtus {
        most = most.max(measure(mtu, rounds)?);
    }
    let verdict = if most > MOST { "missed" } else { "met" };
    // Time is printed and not tested: `lm/proto/tests/attacks/cost.rs` asserts the same of work that is
    // counted.
    println!(
        "\nthe most expensive stream costs {most:.1} times as much as LM's own; the goal of {MOST} is {verdict}"
    );
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("hostile: {e}");
            ExitCode::FAILURE
        }
    }
}
