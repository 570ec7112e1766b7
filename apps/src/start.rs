//! How the three programs start. The command line is split and parsed, EAL starts without output, and a
//! failure is one line.
//!
//! [`run`] is called by each program's `main`, and calls back into the program. [`options`], [`look`] and
//! [`eal`] are the steps of a start, in this order. Wrong options, devices and files are refused before EAL
//! starts. The exit code is 2 if the program could not begin, and 1 if it failed later.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser;
use rte::hugefiles::{self, Dead};
use rte::{Eal, EalError, mempool};

use crate::console::{self, complain, say};
use crate::quiet::Quiet;
use crate::vdevs::Vdevs;
use crate::{dead_sockets, file_uses};

pub(crate) use crate::file_uses::FileUse;

/// Why a program does not end well.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It could not begin: one line, exit code [`REFUSED`].
    Refused(String),
    /// It began, and did not do what it should: a line each, exit code 1.
    Failed(Vec<String>),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Refused(why)
    }
}

/// The exit code of a program that could not begin.
const REFUSED: u8 = 2;

/// Runs a program, and returns its exit code. The code is 0 if the program did what it should, else that of
/// the [`Failure`]. If the program's standard output could not be written, the code is not 0.
pub(crate) fn run(program: &'static str, begin: fn(&[String]) -> Result<(), Failure>) -> ExitCode {
    console::set_program(program);
    console::begin();
    ExitCode::from(conclude(text_of(std::env::args_os()).and_then(|args| begin(&args))))
}

/// Writes what is left at the program's end, and why it does not end well. Returns its exit code.
pub(crate) fn conclude(ended: Result<(), Failure>) -> u8 {
    let (mut told, mut code) = match ended {
        Ok(()) => (Vec::new(), 0),
        Err(Failure::Refused(why)) => (vec![why], REFUSED),
        Err(Failure::Failed(why)) => (why, 1),
    };
    if let Err(why) = console::finish() {
        told.push(why);
        code = code.max(1);
    }
    told.iter().for_each(|why| complain(why));
    code
}

/// The command line as text. Words that are not UTF-8 are refused: converted, they could name another file.
fn text_of(args: impl Iterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    let word = |arg: OsString| {
        arg.into_string().map_err(|arg| {
            Failure::Refused(format!("the argument {} is not UTF-8: write it in UTF-8", arg.display()))
        })
    };
    args.map(word).collect()
}

/// Captures that will not be received to their end.
#[derive(Debug, Default)]
pub(crate) struct Flaws(Vec<String>);

impl Flaws {
    /// A failure if there are any: a program that has ended well did not receive all that there was.
    pub(crate) fn into_result(self) -> Result<(), Failure> {
        if self.0.is_empty() { Ok(()) } else { Err(Failure::Failed(self.0)) }
    }
}

/// Looks at the devices that EAL is to make and at the files that the program names, before either is
/// touched. An error refuses them. Flaws that are not refused are logged and returned.
pub(crate) fn look(eal_args: &[String], ours: impl IntoIterator<Item = FileUse>) -> Result<Flaws, String> {
    let Vdevs { mut files, flaws, sockets } = Vdevs::of(eal_args)?;
    files.extend(ours);
    file_uses::check(&files)?;
    for socket in sockets.iter().filter(|socket| dead_sockets::remove(socket)) {
        log::warn!("the socket {} of a run that had ended was removed", socket.display());
    }
    flaws.iter().for_each(|flaw| log::warn!("{flaw}"));
    Ok(Flaws(flaws))
}

/// Looks at the devices that EAL is to make, and changes nothing.
pub(crate) fn check(eal_args: &[String]) -> Result<(), String> {
    file_uses::check(&Vdevs::of(eal_args)?.files)
}

/// Splits the command line into EAL's part, the program's name included, and ours.
fn split(args: &[String]) -> (&[String], &[String]) {
    match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[]),
    }
}

/// What to do with a command line that gives no options to run with.
#[derive(Debug)]
pub(crate) enum NoOptions {
    /// Print this and end well: help or version.
    Text(String),
    /// It is wrong: one line that says why.
    Wrong(String),
}

/// Reads the command line: EAL's part, and the options that `parse` reads behind `--`. `None`: help or the
/// version was asked for, and is printed.
pub(crate) fn options<'a, O>(
    program: &str,
    args: &'a [String],
    parse: fn(&[String]) -> Result<O, NoOptions>,
) -> Result<Option<(&'a [String], O)>, String> {
    let (eal_args, our_args) = split(args);
    if eal_args.iter().any(|arg| arg == "--version") {
        say!("{program} {}", env!("CARGO_PKG_VERSION"));
        return Ok(None);
    }
    let help = eal_args.iter().any(|arg| arg == "-h" || arg == "--help");
    let ours = if help { &["--help".to_owned()] } else { our_args };
    match parse(ours) {
        Ok(options) => Ok(Some((eal_args, options))),
        Err(NoOptions::Text(text)) => {
            say!("{}", text.trim_end());
            // EAL prints its part and ends the process.
            if help { Eal::init(eal_args).map(|_| None).map_err(|e| e.to_string()) } else { Ok(None) }
        }
        Err(NoOptions::Wrong(why)) => Err(why),
    }
}

/// Parses what stands behind `--`.
pub(crate) fn parse<O: Parser>(program: &str, args: &[String]) -> Result<O, NoOptions> {
    let args = std::iter::once(program).chain(args.iter().map(String::as_str));
    O::try_parse_from(args).map_err(|e| match e.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => {
            NoOptions::Text(e.to_string())
        }
        _ => NoOptions::Wrong(one_line(program, &e.to_string())),
    })
}

/// What Rust says of text that is no number, and what a user can do with.
const NO_NUMBERS: [(&str, &str); 4] = [
    ("cannot parse integer from empty string", "give a whole number"),
    ("invalid digit found in string", "give a whole number, in digits alone"),
    ("number too large to fit in target type", "the number is too large"),
    ("number too small to fit in target type", "the number is too small"),
];

/// clap's message in one line: what is wrong, without usage and empty lines.
fn one_line(program: &str, text: &str) -> String {
    let text = &NO_NUMBERS.iter().fold(text.to_owned(), |text, (rust, ours)| text.replace(rust, ours));
    let lines =
        text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more"));
    let text = lines.filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{}; {program} -- --help lists the options", text.trim_start_matches("error: "))
}

/// Initialises EAL, silently. Hugepages that dead processes still hold are named.
pub(crate) fn eal(program: &str, args: &[String]) -> Result<Eal, String> {
    let places = hugepages(args);
    let before = hugefiles::dead(&places);
    let started = eal_alone(program, args);
    if before.is_empty() {
        return started;
    }
    let after = hugefiles::dead(&places);
    let (left, taken): (Vec<_>, Vec<_>) =
        before.iter().partition(|dead| after.iter().any(|a| a.stem == dead.stem));
    let names = |dead: &[&Dead]| dead.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if !taken.is_empty() {
        log::warn!(
            "hugepages of runs that had ended without removing them were taken back: {}",
            names(&taken)
        );
    }
    let holding =
        format!("hugepages are held by files of no living process: {}; remove them (rm)", names(&left));
    match started {
        Err(why) if !left.is_empty() => Err(format!("{why}; {holding}")),
        started => {
            if !left.is_empty() {
                log::warn!("{holding}");
            }
            started
        }
    }
}

/// Cleans EAL up. If a driver is known to keep memory, EAL stays until the process ends, and nothing is said.
pub(crate) fn end(eal: Eal) {
    if let Err((eal, e)) = eal.cleanup() {
        if !mempool::driver_keeps_any() {
            log::warn!("{e}");
        }
        eal.leave();
    }
}

/// Shows the program's ports to DPDK's telemetry.
pub(crate) fn show(eal: &Eal) {
    if let Err(e) = lm_node::watch::register(eal) {
        log::warn!("{e}");
    }
}

/// Where EAL looks for hugepages with these arguments; nowhere if it is to do without.
fn hugepages(args: &[String]) -> Vec<PathBuf> {
    if args.iter().any(|arg| arg == "--no-huge") {
        return Vec::new();
    }
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(rest) = arg.strip_prefix("--huge-dir") else { continue };
        return rest
            .strip_prefix('=')
            .or(args.next().map(String::as_str))
            .map(PathBuf::from)
            .into_iter()
            .collect();
    }
    hugefiles::mounts()
}

fn eal_alone(program: &str, args: &[String]) -> Result<Eal, String> {
    lm_landing::pool::register().map_err(|e| e.to_string())?;
    // If EAL ends the process itself, `ended` is called and this function never returns from `init_or`. So
    // the two share what is to be restored, and the first one takes it.
    let quiet = Arc::new(Mutex::new(Quiet::begin()));
    let (silence, words) = (Arc::clone(&quiet), args.to_vec());
    let ended = move |e: EalError| {
        complain(&explained(&words, e.to_string(), take(&silence)));
        REFUSED
    };
    let started =
        Eal::init_or(args, ended).map_err(|e| e.to_string()).and_then(|(eal, rest)| match rest.first() {
            None => Ok(eal),
            Some(stray) => {
                Err(format!("EAL takes no argument {stray:?}: write the options of {program} behind --"))
            }
        });
    match started {
        Ok(eal) => {
            if let Some(quiet) = take(&quiet) {
                quiet.end();
            }
            Ok(eal)
        }
        Err(why) => Err(explained(args, why, take(&quiet))),
    }
}

fn take(quiet: &Mutex<Option<Quiet>>) -> Option<Quiet> {
    quiet.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Why EAL has not started. If EAL printed a line about a wrong option, that line comes first.
fn explained(args: &[String], why: String, quiet: Option<Quiet>) -> String {
    match quiet.and_then(|quiet| offence(args, &quiet.fail())) {
        Some(option) => format!("{option}; {why}"),
        None => why,
    }
}

/// The line that getopt, which EAL uses, has printed about a wrong option.
fn offence(args: &[String], text: &str) -> Option<String> {
    let program = args.first()?;
    let mut told = text.lines().filter_map(|line| line.strip_prefix(program.as_str())?.strip_prefix(": "));
    told.find(|line| line.contains("option")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    #[test]
    fn our_options_stand_behind_the_first_dashes() {
        let args = words("lm-testpmd -l 0 -- -i -- x");
        let (eal, ours) = split(&args);
        assert_eq!((eal, ours), (&args[..3], &args[4..]));
        assert_eq!(split(&args[..3]), (&args[..3], &args[..0]));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let line = |bytes: &[u8]| text_of([OsString::from_vec(bytes.to_vec())].into_iter());
        assert_eq!(line("--summary=\u{fc}".as_bytes()), Ok(vec!["--summary=\u{fc}".to_owned()]));
        assert!(matches!(line(b"--summary=\xff"), Err(Failure::Refused(why)) if why.contains("--summary=")));
    }

    #[test]
    fn hugepages_are_looked_for_where_eal_does() {
        assert_eq!(hugepages(&words("x --no-huge -m 64")), Vec::<PathBuf>::new());
        assert_eq!(hugepages(&words("x --huge-dir=/a -l 0")), [PathBuf::from("/a")]);
        assert_eq!(hugepages(&words("x --huge-dir /b")), [PathBuf::from("/b")]);
        assert_eq!(hugepages(&words("x -l 0")), hugefiles::mounts());
    }

    #[test]
    fn getopt_names_the_wrong_option() {
        let text = "usage\n./lm-testpmd: unrecognized option '--bad'\nEAL: FATAL\n";
        let told = offence(&words("./lm-testpmd --bad"), text);
        assert_eq!(told.as_deref(), Some("unrecognized option '--bad'"));
        assert_eq!(offence(&words("other"), text), None);
    }
}
