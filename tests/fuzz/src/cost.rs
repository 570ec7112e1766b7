//! Measures what streams of frames cost the matcher, by counting its work: first the known attacks, then what
//! a random search finds in the given time. It fails if a stream costs more than its bound.

use lm_proto::mock::cost::{self, BOUNDS, Found, NAMES};
use lm_proto::mock::random::Random;
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn print(found: &Found) {
    let Found { name, recipe, setup, cost, ratio, bound } = found;
    let counts: Vec<String> =
        NAMES.iter().zip(cost.worst).map(|(name, mean)| format!("{name} {mean:.2}")).collect();
    println!("{ratio:7.3} of the bound of {bound}: {name}; {setup}");
    println!("        {}; {:.0} ns, {} delivered", counts.join(", "), cost.ns, cost.delivered);
    if *name == "found" {
        println!("        {:?}", recipe.0);
    }
}

/// The known attacks, and then what a search finds in so many seconds.
pub(crate) fn search(seconds: u64, seed: u64) -> ExitCode {
    println!("mean per frame over {} frames at most; bounds {BOUNDS:?}; --seed {seed}", cost::WINDOW);
    let mut worst = 0.0_f64;
    let known = match cost::known(true) {
        Ok(known) => known,
        Err(e) => {
            println!("FAILED: {e}");
            return ExitCode::FAILURE;
        }
    };
    for found in &known {
        print(found);
        worst = worst.max(found.ratio);
    }
    println!("searching for {seconds} s");
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let result = cost::search(
        &mut Random::new(seed),
        || Instant::now() < deadline,
        |found| {
            print(found);
            worst = worst.max(found.ratio);
        },
    );
    if let Err(e) = result {
        println!("FAILED: {e}");
        return ExitCode::FAILURE;
    }
    println!("the worst is {worst:.3} of its bound");
    if worst > 1.0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
