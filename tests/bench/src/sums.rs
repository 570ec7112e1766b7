//! What a payload's sums cost by themselves: checksum and order digest of fragments that are in the cache, as
//! the receiver takes them, next to the checksum alone and to a copy that is summed.
//!
//! ```text
//! sums [--rounds N]
//! ```
//!
//! A round goes over 0.5 MB in fragments of 1480 bytes, as `receive` does in its set *hot*. The median of all
//! rounds counts, and the quickest is next to it: TSC cycles a frame, and what that is in the core's own
//! cycles, which a chain of dependent multiplications measures in between. So there is no card, no matcher
//! and no message in these figures: what they lack of `receive`'s is the rest of the way.

use std::hint::black_box;
use std::process::ExitCode;

use lm_proto::checksum::{self, Digest};
use lm_proto::layout::{Geometry, Layout};

/// As many as `receive` posts in its set *hot*.
const FRAMES: usize = 354;
/// A payload's first byte lies behind 8 bytes of UDP header.
const FIRST: usize = 8;

fn cycles() -> u64 {
    // SAFETY: reads a counter.
    unsafe { dpdk_sys::rte_rdtsc_precise() }
}

/// TSC cycles in a cycle of the core: a multiplication and a rotation that wait for each other take 4.
fn core_cycle() -> f64 {
    const N: u32 = 2500;
    let chain = || {
        let start = cycles();
        let x = (0..N)
            .fold(black_box(3_u64), |x, _| black_box(x.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(7));
        black_box(x);
        cycles() - start
    };
    (0..200).map(|_| chain()).min().unwrap_or(1) as f64 / (4 * N) as f64
}

/// Median and minimum of what a frame takes.
fn measure(rounds: usize, frames: usize, mut pass: impl FnMut()) -> (f64, f64) {
    let mut samples: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = cycles();
            pass();
            (cycles() - start) as f64 / frames as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    (samples[samples.len() / 2], samples[0])
}

fn row(name: &str, (median, least): (f64, f64), core: f64) {
    println!(
        "  {name:32} {median:6.1} (least {least:6.1}) TSC cycles a frame = {:6.1} of the core's",
        median / core
    );
}

fn digest(payload: &[u8], layout: &Layout) -> Digest {
    let mut digest = Digest::new();
    let mut rest = payload;
    for i in 0..layout.fragments() {
        let (piece, behind) = rest.split_at(layout.piece(i).len());
        digest.push(checksum::piece(piece));
        rest = behind;
    }
    digest
}

fn run(rounds: usize) -> Option<()> {
    let stride = Geometry::ETHERNET.stride();
    let bytes: Vec<u8> =
        (0..(FRAMES * stride + 4096) as u64).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    // Where a line of the cache begins, so that every run has the same.
    let landed = bytes.get(bytes.as_ptr().align_offset(64)..)?;
    let mut copy = vec![0; 16 * stride];
    let core = core_cycle();
    println!("a cycle of the core is {core:.2} of the TSC; {rounds} rounds of {FRAMES} frames");

    for len in [1472, stride, 1256] {
        println!("{len} bytes a frame");
        let frames = || landed.chunks_exact(stride).take(FRAMES).filter_map(|frame| frame.get(..len));
        let sum =
            measure(rounds, FRAMES, || frames().for_each(|f| _ = black_box(checksum::sum(black_box(f)))));
        row("checksum", sum, core);
        let piece =
            measure(rounds, FRAMES, || frames().for_each(|f| _ = black_box(checksum::piece(black_box(f)))));
        row("checksum and digest", piece, core);
        let copied = measure(rounds, FRAMES, || {
            for (i, f) in frames().enumerate() {
                black_box(checksum::copy_piece(&mut copy[i % 16 * stride..][..len], black_box(f)));
            }
        });
        row("copy, checksum and digest", copied, core);
    }
    for size in [7168, 16_384, 65_507] {
        let layout = Layout::new(Geometry::ETHERNET, size)?;
        let n = FRAMES / layout.fragments();
        let frames = n * layout.fragments();
        let whole = measure(rounds, frames, || {
            for i in 0..n {
                let payload = &landed[FIRST + i * layout.fragments() * stride..][..size];
                black_box(digest(black_box(payload), &layout).finish());
            }
        });
        row(&format!("a datagram of {size} bytes"), whole, core);
    }
    Some(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rounds = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Some(400),
        ["--rounds", n] => n.parse().ok().filter(|&n| n > 0),
        _ => None,
    };
    if rounds.and_then(run).is_some() {
        ExitCode::SUCCESS
    } else {
        eprintln!("sums [--rounds N]");
        ExitCode::FAILURE
    }
}
