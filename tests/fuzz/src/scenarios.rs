//! Runs scenarios that are made out of bytes: random bytes, earlier scenarios with a few bytes changed, or
//! files. An input that the search finds is shortened before it is printed.

use lm_proto::mock::random::Random;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a scenario of it achieved, or what went wrong; and what that is called.
pub(crate) type Target = (fn(&[u8]) -> Result<usize, String>, &'static str);

/// The matcher.
pub(crate) const LM: Target =
    (lm_proto::mock::scenario::run, "datagrams delivered, every one of them as it was sent");
/// Admission control.
pub(crate) const AC: Target = (ac::mock::scenario::run, "grants, none of them of a queue that another held");

fn fails((target, _): Target, input: &[u8]) -> Option<String> {
    match catch_unwind(|| target(input)) {
        Ok(Ok(_)) => None,
        Ok(Err(e)) => Some(e),
        Err(_) => Some("a panic".to_owned()),
    }
}

/// The shortest part of `input` found that still fails.
fn shorten(target: Target, mut input: Vec<u8>) -> Vec<u8> {
    let mut step = input.len() / 2;
    while step > 0 {
        let mut at = 0;
        while at + step <= input.len() {
            let mut less = input.clone();
            less.drain(at..at + step);
            if fails(target, &less).is_some() {
                input = less;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
    input
}

fn report(target: Target, input: Vec<u8>, why: &str) -> ExitCode {
    eprintln!("FAILED: {why}");
    let short = shorten(target, input);
    eprintln!("shortest input found ({} bytes): {short:?}", short.len());
    ExitCode::FAILURE
}

/// Scenarios for so many seconds.
pub(crate) fn fuzz(target: Target, seconds: Option<u64>, seed: u64) -> ExitCode {
    let seconds = seconds.unwrap_or_default();
    println!("scenarios out of bytes for {seconds} s, --seed {seed}");
    let mut random = Random::new(seed);
    let mut corpus: Vec<Vec<u8>> = Vec::new();
    let (start, mut runs, mut achieved) = (Instant::now(), 0_u64, 0_usize);
    while start.elapsed() < Duration::from_secs(seconds) {
        let n = 1 + random.below(600);
        let mut input = random.bytes(n);
        if !corpus.is_empty() && random.once_in(2) {
            // A scenario that achieved something, with a few bytes changed.
            input.clone_from(&corpus[random.below(corpus.len())]);
            for _ in 0..=random.below(8) {
                let at = random.below(input.len());
                input[at] = (random.word() >> 24) as u8;
            }
        }
        match catch_unwind(|| target.0(&input)) {
            Ok(Ok(n)) => {
                achieved += n;
                if n > 2 && corpus.len() < 500 {
                    corpus.push(input);
                }
            }
            Ok(Err(e)) => return report(target, input, &e),
            Err(_) => return report(target, input, "a panic"),
        }
        runs += 1;
    }
    println!("{runs} scenarios, {achieved} {}", target.1);
    ExitCode::SUCCESS
}

/// Scenarios out of files.
pub(crate) fn run(target: Target, files: &[String]) -> ExitCode {
    for file in files {
        match std::fs::read(file) {
            Ok(input) => {
                if let Some(why) = fails(target, &input) {
                    eprintln!("{file}: {why}");
                    return ExitCode::FAILURE;
                }
            }
            Err(e) => {
                eprintln!("lm-fuzz: {file}: {e}");
                return ExitCode::from(2);
            }
        }
    }
    println!("{} passed, 0 failed", files.len());
    ExitCode::SUCCESS
}
