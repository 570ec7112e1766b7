//! The fuzz harness, for a bounded time, on one core. `docs/fuzzing.md` says what it makes and what it
//! asserts.
//!
//! `lm-fuzz [--seconds S] [--frames N] [--seed N]` runs the cases of `lm_proto::mock::grammar` one after the
//! other, from case N on, and what the byte scenarios of `lm_proto::mock::scenario` make between them; it
//! ends at the first failure, which is made as small as it can be and printed, with the number that `--case
//! N` runs again. `--keep-going` counts failures by kind and goes on. `--search-cost --seconds S` counts the
//! work per frame of known attacks and looks for worse ones. `--ac` is `ac::mock::scenario` in the same way;
//! `lm-fuzz [--ac] FILE…` runs byte scenarios out of files.
#![forbid(unsafe_code)]

mod cost;
mod options;
mod scenarios;

use lm_proto::mock::case::{Case, Outcome};
use lm_proto::mock::grammar;
use options::{Doing, Options};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a case came to, a panic being a failure like others.
fn outcome(case: &Case) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| case.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Err(format!("a panic: {}", text.unwrap_or_default()))
    })
}

/// A failure without its numbers: failures of one kind look alike.
fn kind(why: &str) -> String {
    let mut text = String::new();
    let head = why.split(": Counters").next().unwrap_or(why);
    let head = head.split("Counters {").next().unwrap_or(head);
    for c in head.chars() {
        match c {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            c => text.push(c),
        }
    }
    text.truncate(text.char_indices().nth(160).map_or(text.len(), |(i, _)| i));
    text
}

/// The smallest part of a case that fails in the same way.
fn small(case: Case, why: &str) -> Case {
    let sort = kind(why);
    let deadline = Instant::now() + Duration::from_secs(60);
    case.shrink(|less| Instant::now() < deadline && outcome(less).is_err_and(|e| kind(&e) == sort))
}

fn fail(seed: u64, why: &str, shrink: bool) -> ExitCode {
    println!("FAILED: case {seed}: {why}");
    if shrink {
        let case = small(grammar::generate(seed), why);
        println!("as small as it was made: {}", case.describe());
        println!("which fails so: {:?}", outcome(&case).map(|_| ()));
    }
    println!("again: lm-fuzz --case {seed}");
    ExitCode::FAILURE
}

/// Cases one after the other.
fn fuzz(options: &Options) -> ExitCode {
    let (start, mut seed, mut total) = (Instant::now(), options.seed, Outcome::default());
    let (mut cases, mut failures, mut reported) = (0_u64, BTreeMap::<String, (u64, u64)>::new(), 0);
    println!("fuzzing from case {seed} on");
    while options.seconds.is_none_or(|s| start.elapsed() < Duration::from_secs(s))
        && options.frames.is_none_or(|n| total.frames < n)
    {
        match outcome(&grammar::generate(seed)) {
            Ok(done) => {
                total.frames += done.frames;
                total.tally.sent += done.tally.sent;
                total.tally.joined += done.tally.joined;
            }
            Err(why) if options.keep_going => {
                let known = failures.entry(kind(&why)).or_insert((0, seed));
                known.0 += 1;
                if known.0 == 1 {
                    println!("case {seed}: {why}");
                }
            }
            Err(why) => return fail(seed, &why, true),
        }
        (cases, seed) = (cases + 1, seed + 1);
        if total.frames / 10_000_000 > reported {
            reported = total.frames / 10_000_000;
            println!("{} frames in {cases} cases, {} s", total.frames, start.elapsed().as_secs());
        }
    }
    println!(
        "{cases} cases, {} frames, {} datagrams delivered as they were sent, {} joined where nothing told them apart, {:.0} s",
        total.frames,
        total.tally.sent,
        total.tally.joined,
        start.elapsed().as_secs_f64()
    );
    let mut all: Vec<_> = failures.into_iter().collect();
    all.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
    for (kind, (n, first)) in &all {
        println!("{n:8} failures, the first is case {first}: {kind}");
    }
    if all.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One case again.
fn again(seed: u64) -> ExitCode {
    match outcome(&grammar::generate(seed)) {
        Err(why) => fail(seed, &why, true),
        Ok(done) => {
            println!("case {seed} passes: {done:?}");
            ExitCode::SUCCESS
        }
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(e) => {
            eprintln!("lm-fuzz: {e}");
            return ExitCode::from(2);
        }
    };
    // A panic is a failure that is printed once.
    std::panic::set_hook(Box::new(|_| {}));
    match &options.doing {
        Doing::Fuzz if options.ac => scenarios::fuzz(scenarios::AC, options.seconds, options.seed),
        Doing::Fuzz => {
            // A tenth for scenarios out of bytes, which change what was found before.
            let some = options.seconds.map(|s| s.div_ceil(10));
            let whole = fuzz(&options);
            if whole == ExitCode::SUCCESS && some.is_some() {
                return scenarios::fuzz(scenarios::LM, some, options.seed);
            }
            whole
        }
        Doing::Cost => cost::search(options.seconds.unwrap_or_default(), options.seed),
        Doing::Again(seed) => again(*seed),
        Doing::Files(files) => scenarios::run(if options.ac { scenarios::AC } else { scenarios::LM }, files),
    }
}
