//! What receiving a datagram costs: LM's own pool, matcher and tag check, next to what else a DPDK
//! application could do, interleaved in one run.
//!
//! ```text
//! receive [--seconds N | --rounds N] [--no-huge] [--cpu N] [--output FILE]
//!         [--set NAME] [--size BYTES] [--variants A,B] [--touch] [--senders]
//! receive --polls VARIANT,SIZE,N | --sends FORM,SIZE,N
//! ```
//!
//! A *round*: the simulated card receives as many datagrams as the ring holds (not measured), then the
//! variant takes them, in bursts of 32, until the queue is empty (measured): the driver's loop with
//! allocation and its writes into mbufs, matching or copying, delivery, release. A *block*: some rounds of
//! one variant, the first ones to warm up; the mean of the others is a sample. Blocks of all variants take
//! turns; the median of the samples counts, those apart during which the core was slower because of others.
//! Before that, each variant delivers rounds of datagrams that all differ, and every byte of them is
//! compared.
//!
//! - [`ffi`]: the card, the driver and the peers, in C;
//! - [`traffic`]: the frames;
//! - [`variant`]: a variant with queue, pool and mbufs;
//! - [`report`]: medians, table, JSON, ratios;
//! - [`polls`]: single polls, to have their instructions counted;
//! - [`sends`]: single datagrams that are sent, likewise;
//! - [`senders`]: datagrams in forward order, of many senders, measured behind all that; `--senders`: alone.
//!
//! It is a benchmark, not a timed test: it fails only when a datagram is not delivered as it was sent.

mod ffi;
mod polls;
mod report;
mod senders;
mod sends;
mod traffic;
mod variant;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rte::Eal;

use crate::ffi::{Mode, Sink, cycles, gauge};
use crate::polls::Polls;
use crate::report::{Report, Row, Sample};
use crate::sends::Sends;
use crate::traffic::{Cut, Traffic, fragments};
use crate::variant::{Failure, Kind, SETS, Set, VARIANTS, Variant, named};

/// Bytes of payload: the issue's. `--size` takes any other, too.
const SIZES: [usize; 3] = [7168, 16_384, 65_507];
/// Rounds of a block that are not measured, and that are.
const WARM: usize = 3;
const MEASURED: usize = 6;

struct Options {
    /// For everything; blocks are repeated until it is over.
    time: Duration,
    /// Blocks of each variant; overrides the time.
    blocks: Option<usize>,
    huge: bool,
    cpu: usize,
    /// Where to write; without, the usual place if everything was measured.
    output: Option<PathBuf>,
    sets: Vec<Set>,
    variants: Vec<(&'static str, Kind)>,
    sizes: Vec<usize>,
    reads: &'static [bool],
    /// Single polls instead.
    polls: Option<Polls>,
    /// Single datagrams that are sent instead.
    sends: Option<Sends>,
    /// Only datagrams in forward order.
    senders: bool,
}

const USAGE: &str = "receive [--seconds N | --rounds N] [--no-huge] [--cpu N] [--output FILE] \
                     [--set NAME] [--size BYTES] [--variants A,B] [--touch] [--senders]";

fn options() -> Result<Options, Failure> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut o = Options {
        time: Duration::from_secs(90),
        blocks: None,
        huge: free_hugepages() >= 160,
        cpu: cpus - 1,
        output: None,
        sets: SETS.to_vec(),
        variants: VARIANTS.to_vec(),
        sizes: SIZES.to_vec(),
        reads: &[false, true],
        polls: None,
        sends: None,
        senders: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value; {USAGE}"));
        match arg.as_str() {
            "--seconds" => o.time = Duration::from_secs_f64(value()?.parse()?),
            "--rounds" => o.blocks = Some(value()?.parse::<usize>()?.max(1)),
            "--cpu" => o.cpu = value()?.parse()?,
            "--output" => o.output = Some(value()?.into()),
            "--no-huge" => o.huge = false,
            "--polls" => o.polls = Some(Polls::parse(&value()?)?),
            "--sends" => o.sends = Some(Sends::parse(&value()?)?),
            "--senders" => o.senders = true,
            "--touch" => o.reads = &[false],
            "--size" => {
                let size = value()?.parse()?;
                o.sizes.retain(|&s| s == size);
                if o.sizes.is_empty() && (1..=65_507).contains(&size) {
                    o.sizes.push(size);
                }
            }
            "--set" => {
                let name = value()?;
                o.sets.retain(|s| s.name == name);
            }
            "--variants" => {
                let names = value()?;
                o.variants = named().filter(|(name, _)| names.split(',').any(|n| n == *name)).collect();
            }
            _ => return Err(format!("unknown option {arg}; {USAGE}").into()),
        }
    }
    if o.sets.is_empty() || o.sizes.is_empty() || o.variants.is_empty() {
        return Err(format!("nothing of that name or size is measured; {USAGE}").into());
    }
    Ok(o)
}

impl Options {
    fn measures_all(&self) -> bool {
        let all = SETS.len() * SIZES.len() * VARIANTS.len() * 2;
        self.sets.len() * self.sizes.len() * self.variants.len() * self.reads.len() == all
    }
}

/// Of 2 MiB.
fn free_hugepages() -> usize {
    let text = std::fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    text.ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0)
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn main() -> ExitCode {
    match options().and_then(|o| run(&o)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("receive: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    // Addresses for devices are virtual ones: the card is a memcpy.
    let mut args =
        vec!["receive".to_owned(), "--no-pci".into(), "--iova-mode=va".into(), "--no-telemetry".into()];
    args.extend(["-l".into(), options.cpu.to_string(), "--log-level=error".into()]);
    if options.huge {
        args.push("--in-memory".into());
    } else {
        args.extend(["--no-huge".into(), "-m".into(), "512".into(), "--no-shconf".into()]);
    }
    if options.sends.is_some() {
        args.push(sends::DEVICE.into());
    }
    let (eal, _) = Eal::init(args)?;
    if let Some(sends) = options.sends {
        return sends.run(&eal);
    }
    if let Some(polls) = options.polls {
        return polls.run(&eal);
    }
    // SAFETY: EAL is initialised.
    let hz = unsafe { dpdk_sys::rte_get_tsc_hz() };
    println!(
        "TSC {:.2} GHz, CPU {}, {}, bursts of 32; policy of lm: headers, checksum or tags (a tag suffices)",
        hz as f64 / 1e9,
        options.cpu,
        if eal.has_hugepages() { "hugepages" } else { "no hugepages (--no-huge): expect TLB misses" },
    );
    // A quarter of the time is theirs.
    let time = if options.senders { options.time } else { options.time / 4 };
    let forward = senders::Options { time, blocks: options.blocks, sizes: options.sizes.clone() };
    if options.senders {
        print!("{}", senders::run(&eal, &forward)?);
        return Ok(());
    }
    let mut report = Report { sizes: options.sizes.clone(), rows: Vec::new() };
    for set in &options.sets {
        let mut variants = Vec::new();
        for &(name, kind) in &options.variants {
            variants.push(Variant::new(&eal, name, kind, set)?);
        }
        for &size in &options.sizes {
            measure(options, set, size, &mut variants, &mut report)?;
        }
        for variant in variants {
            variant.close()?;
        }
    }
    println!("{}", report.keep_quiet());
    print!("{}", report.table());
    print!("{}", report.ratios());
    if options.measures_all() {
        print!("{}", senders::run(&eal, &forward)?);
    }
    let usual = options.measures_all().then(|| workspace().join("target/bench/receive.json"));
    let Some(output) = options.output.clone().or(usual) else {
        println!("\nnot written, as a part was measured: --output FILE");
        return Ok(());
    };
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&output, report.json())?;
    println!("\nwritten: {}", output.display());
    Ok(())
}

/// All variants at one size in one set.
fn measure(
    options: &Options,
    set: &Set,
    size: usize,
    variants: &mut [Variant],
    report: &mut Report,
) -> Result<(), Failure> {
    let datagrams = usize::from(set.descriptors) / fragments(size);
    let cuts = [Cut::Lm, Cut::Plain];
    let [lm, plain] = cuts.map(|cut| Traffic::new(cut, size, datagrams, false));
    let traffic = |kind: Kind| if kind.cut() == Cut::Lm { &lm } else { &plain };
    verify(cuts.map(|cut| Traffic::new(cut, size, datagrams, true)), set, variants)?;

    let mut rows: Vec<(usize, Row)> = Vec::new();
    for &read in options.reads {
        for (v, variant) in variants.iter().enumerate().filter(|(_, v)| v.kind.takes(fragments(size))) {
            let fragments = traffic(variant.kind).frames() / datagrams;
            let (name, samples) = (variant.name, Vec::new());
            rows.push((
                v,
                Row { size, set: set.name, variant: name, read, fragments, samples, copied: None },
            ));
        }
    }
    let before: Vec<_> = variants.iter().map(Variant::copied).collect();
    let share = options.time * 3 / 4 / (options.sets.len() * options.sizes.len()).max(1) as u32;
    let start = Instant::now();
    let mut done = 0;
    while options.blocks.map_or(start.elapsed() < share, |n| done < n) || done == 0 {
        for (v, row) in &mut rows {
            let variant = &mut variants[*v];
            let mode = if row.read { Mode::Read } else { Mode::Touch };
            let traffic = traffic(variant.kind);
            let before = gauge();
            let cycles = block(variant, set, traffic, mode)? / traffic.frames() as f64;
            row.samples.push(Sample { cycles, gauge: before.max(gauge()) });
        }
        done += 1;
    }
    for (v, mut row) in rows {
        let (then, now) = (before[v], variants[v].copied());
        row.copied = then.zip(now).map(|((c0, d0), (c1, d1))| (c1 - c0, d1 - d0));
        report.rows.push(row);
    }
    Ok(())
}

/// Cycles of a round: the mean of a block.
fn block(variant: &mut Variant, set: &Set, traffic: &Traffic, mode: Mode) -> Result<f64, Failure> {
    let mut spent = 0;
    for round in 0..WARM + MEASURED {
        let mut sink = Sink::new(mode, traffic);
        variant.dma(traffic, set.flush);
        let start = cycles();
        variant.run(&mut sink, traffic);
        let end = cycles();
        if round >= WARM {
            spent += end - start;
        }
        check(variant, &sink, traffic)?;
    }
    Ok(spent as f64 / MEASURED as f64)
}

/// Every variant delivers datagrams that all differ; every byte is compared.
fn verify(traffic: [Traffic; 2], set: &Set, variants: &mut [Variant]) -> Result<(), Failure> {
    let [lm, plain] = traffic;
    for variant in variants {
        let traffic = if variant.kind.cut() == Cut::Lm { &lm } else { &plain };
        if !variant.kind.takes(traffic.frames() / traffic.datagrams()) {
            continue;
        }
        for _ in 0..4 {
            let mut sink = Sink::new(Mode::Verify, traffic);
            variant.dma(traffic, set.flush);
            variant.run(&mut sink, traffic);
            check(variant, &sink, traffic)?;
            if sink.bad != 0 {
                return Err(format!("{}: {} datagrams of wrong bytes", variant.name, sink.bad).into());
            }
        }
    }
    Ok(())
}

/// All frames were received, and all datagrams delivered.
fn check(variant: &Variant, sink: &Sink<'_>, traffic: &Traffic) -> Result<(), Failure> {
    let datagrams = if variant.kind.delivers() { traffic.datagrams() as u64 } else { 0 };
    let want = (traffic.frames() as u64, datagrams, datagrams * traffic.size() as u64);
    let got = (sink.frames, sink.datagrams, sink.bytes);
    if got == want {
        return Ok(());
    }
    Err(format!(
        "{}: {} bytes: frames, datagrams, bytes are {got:?}, not {want:?}",
        variant.name,
        traffic.size()
    )
    .into())
}
