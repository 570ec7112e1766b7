//! The fuzz harness: scenarios out of random bytes, for a bounded time, on one core.
//!
//! `lm-fuzz --seconds S [--seed N]` runs [`lm::mock::scenario::run`] on inputs that it makes and mutates; `lm-fuzz FILE…`
//! runs it on files. With `--ac` it is [`ac::mock::scenario::run`]. A failure prints the input, made as short as it can be, for
//! `REGRESSIONS` of the same file.
#![forbid(unsafe_code)]

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Numbers enough to fuzz with (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n.max(1)
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| (self.next() >> 40) as u8).collect()
    }
}

/// A ground: what a scenario of it achieved, or what went wrong.
type Ground = fn(&[u8]) -> Result<usize, String>;

fn fails(ground: Ground, input: &[u8]) -> Option<String> {
    match catch_unwind(|| ground(input)) {
        Ok(Ok(_)) => None,
        Ok(Err(e)) => Some(e),
        Err(_) => Some("a panic".to_owned()),
    }
}

/// The shortest part of `input` found that still fails.
fn shorten(ground: Ground, mut input: Vec<u8>) -> Vec<u8> {
    let mut step = input.len() / 2;
    while step > 0 {
        let mut at = 0;
        while at + step <= input.len() {
            let mut less = input.clone();
            less.drain(at..at + step);
            if fails(ground, &less).is_some() {
                input = less;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
    input
}

fn report(ground: Ground, input: Vec<u8>, why: &str) -> ExitCode {
    eprintln!("FAILED: {why}");
    let short = shorten(ground, input);
    eprintln!("shortest input found ({} bytes): {short:?}", short.len());
    ExitCode::FAILURE
}

fn fuzz(ground: Ground, what: &str, seconds: u64, seed: u64) -> ExitCode {
    println!("fuzzing for {seconds} s, --seed {seed}");
    let mut random = Random(seed | 1);
    let mut corpus: Vec<Vec<u8>> = Vec::new();
    let (start, mut runs, mut delivered) = (Instant::now(), 0_u64, 0_usize);
    while start.elapsed() < Duration::from_secs(seconds) {
        let n = 1 + random.below(600);
        let mut input = random.bytes(n);
        if !corpus.is_empty() && random.below(2) == 0 {
            // A scenario that delivered something, with a few bytes changed.
            input.clone_from(&corpus[random.below(corpus.len())]);
            for _ in 0..=random.below(8) {
                let at = random.below(input.len());
                input[at] = (random.next() >> 24) as u8;
            }
        }
        match catch_unwind(|| ground(&input)) {
            Ok(Ok(n)) => {
                delivered += n;
                if n > 2 && corpus.len() < 500 {
                    corpus.push(input);
                }
            }
            Ok(Err(e)) => return report(ground, input, &e),
            Err(_) => return report(ground, input, "a panic"),
        }
        runs += 1;
    }
    println!("{runs} scenarios, {delivered} {what}");
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let all = args.len();
    args.retain(|a| a != "--ac");
    let (ground, what): (Ground, _) = if args.len() < all {
        (ac::mock::scenario::run, "grants, none of them of a queue that another held")
    } else {
        (lm::mock::scenario::run, "datagrams delivered, every one of them as it was sent")
    };
    let value = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seconds) = value("--seconds") {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        return fuzz(ground, what, seconds, value("--seed").unwrap_or(clock.as_nanos() as u64));
    }
    if args.is_empty() || args[0].starts_with('-') {
        eprintln!("lm-fuzz: say [--ac] --seconds S [--seed N], or name files");
        return ExitCode::from(2);
    }
    for file in &args {
        match std::fs::read(file) {
            Ok(input) => {
                if let Some(why) = fails(ground, &input) {
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
    println!("{} passed, 0 failed", args.len());
    ExitCode::SUCCESS
}
