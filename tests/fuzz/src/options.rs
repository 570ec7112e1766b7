//! The command line of lm-fuzz. Every error is one line that contains the usage, and a search without a bound
//! is refused.

use std::time::{SystemTime, UNIX_EPOCH};

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Cases until a bound is reached.
    Fuzz,
    /// One case again.
    Again(u64),
    /// Byte scenarios out of files.
    Files(Vec<String>),
    /// What known attacks cost, and others that are looked for.
    Cost,
}

/// How it is done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) doing: Doing,
    /// Admission control instead of the matcher.
    pub(crate) ac: bool,
    /// For so long at most.
    pub(crate) seconds: Option<u64>,
    /// So many frames at most.
    pub(crate) frames: Option<u64>,
    /// The first case.
    pub(crate) seed: u64,
    /// Failures are counted.
    pub(crate) keep_going: bool,
}

const USAGE: &str = "say [--ac] --seconds S, --frames N or both, [--seed N] [--keep-going]; or --case N; or --search-cost --seconds S; or name files";

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        let mut options = Self {
            doing: Doing::Fuzz,
            ac: false,
            seconds: None,
            frames: None,
            seed: clock,
            keep_going: false,
        };
        let mut files = Vec::new();
        while let Some(arg) = args.next() {
            let mut number = || {
                let value = args.next().ok_or_else(|| format!("{arg} lacks its number; {USAGE}"))?;
                value.parse::<u64>().map_err(|e| format!("{arg} {value}: {e}; {USAGE}"))
            };
            match &arg[..] {
                "--search-cost" => options.doing = Doing::Cost,
                "--ac" => options.ac = true,
                "--keep-going" => options.keep_going = true,
                "--seconds" => options.seconds = Some(number()?),
                "--frames" => options.frames = Some(number()?),
                "--seed" => options.seed = number()?,
                "--case" => options.doing = Doing::Again(number()?),
                _ if arg.starts_with('-') => return Err(format!("{arg} is no option; {USAGE}")),
                _ => files.push(arg),
            }
        }
        if !files.is_empty() {
            options.doing = Doing::Files(files);
        }
        if options.doing == Doing::Cost && options.seconds.is_none() {
            return Err(format!("--search-cost needs --seconds; {USAGE}"));
        }
        let bounded = options.seconds.is_some() || (options.frames.is_some() && !options.ac);
        if options.doing == Doing::Fuzz && !bounded {
            return Err(format!("nothing says when to end; {USAGE}"));
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_said_is_done_and_what_makes_no_sense_is_refused() {
        let options = parse("--seconds 20 --seed 1").expect("good");
        assert_eq!((options.seconds, options.seed, options.doing), (Some(20), 1, Doing::Fuzz));
        assert_eq!(parse("--case 7").expect("good").doing, Doing::Again(7));
        let files = Doing::Files(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(parse("--ac a b").expect("good").doing, files);
        for bad in [
            "",
            "--seed 1",
            "--seconds",
            "--seconds x",
            "--frames -1",
            "--what",
            "--ac --frames 9",
            "--search-cost",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
