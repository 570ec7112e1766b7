//! lm-testpmd: sends, receives, echoes and measures UDP datagrams of up to 65,507 bytes on DPDK ports.
//!
//! Started as dpdk-testpmd is: `lm-testpmd [EAL options] -- [options]`. The modules, from the outside in:
//!
//! - [`options`], [`parse`], [`sizes`]: the command line;
//! - [`console`], [`logging`], [`quiet`], [`signals`]: the process's streams, terminal and signals;
//! - [`control`]: the thread that everything is reported to, and that owns the [`session`]: ports, settings, and the
//!   forwarding loop;
//! - [`prompt`]: a table of commands, and where lines come from;
//! - [`forwarder`]: the loop, on an lcore; [`link`] is a port as it sees it, [`arp`] finds MAC addresses, [`ordinary`] is
//!   the queue that nothing lands on, [`admission`] asks who may send, and
//!   [`engine`] is what is done with them; [`pattern`] makes payloads;
//! - [`tally`], [`report`], [`summary`], [`message_log`]: what was done.
//!
//! Exit codes: 0 when it ended in order, also by a first signal; 2 when it could not begin, with one line that says
//! what to do; 130 and 143 by a second SIGINT or SIGTERM.
#![forbid(unsafe_code)]

mod admission;
mod arp;
mod console;
mod control;
mod engine;
mod exit;
mod forwarder;
mod link;
mod logging;
mod message_log;
mod options;
mod ordinary;
mod parse;
mod pattern;
mod prompt;
mod quiet;
mod report;
mod session;
mod signals;
mod sizes;
mod summary;
mod tally;

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rte::Eal;

use crate::console::{complain, say};
use crate::control::{End, Event, Next};
use crate::message_log::MessageLog;
use crate::options::{NoOptions, Options};
use crate::quiet::Quiet;
use crate::session::Session;
use crate::summary::SummaryFile;
use crate::tally::Tally;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match begin(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::from(2)
        }
    }
}

/// Splits the command line into EAL's part, the program's name included, and ours.
fn split(args: &[String]) -> (&[String], &[String]) {
    match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[]),
    }
}

/// Reads the command line; what is wrong with it, or with the files that it names, is told before EAL starts.
fn begin(args: &[String]) -> Result<(), String> {
    let (eal_args, our_args) = split(args);
    if eal_args.iter().any(|arg| arg == "--version") {
        say!("lm-testpmd {}", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    let help = eal_args.iter().any(|arg| arg == "-h" || arg == "--help");
    let ours = if help { &["--help".to_owned()] } else { our_args };
    let options = match Options::of(ours) {
        Ok(options) => options,
        Err(NoOptions::Text(text)) => {
            say!("{}", text.trim_end());
            // EAL prints its part and ends the process.
            return if help { Eal::init(eal_args).map(drop).map_err(|e| e.to_string()) } else { Ok(()) };
        }
        Err(NoOptions::Wrong(why)) => return Err(why),
    };
    let cannot_write = |path: &Path, e: std::io::Error| {
        format!("{} cannot be written: {e}; choose another file", path.display())
    };
    let log = options
        .message_log
        .as_deref()
        .map(|path| MessageLog::create(path).map_err(|e| cannot_write(path, e)));
    let summary =
        options.summary.as_deref().map(|path| SummaryFile::create(path).map_err(|e| cannot_write(path, e)));
    if let Some(path) = &options.cmdline_file {
        std::fs::File::open(path).map_err(|e| {
            format!("--cmdline-file={} cannot be read: {e}; name a file of commands", path.display())
        })?;
    }
    let (log, summary) = (log.transpose()?, summary.transpose()?);

    console::remember_terminal();
    logging::begin(eal_args.iter().any(|arg| arg.starts_with("--log-level")));
    let (events, inbox) = channel();
    signals::watch(events.clone()).map_err(|e| format!("signals cannot be watched: {e}"))?;
    let eal = start_eal(eal_args)?;
    let complaints = logging::complaints();
    let mut session =
        Session::open(eal, options, log, events.clone(), &complaints).map_err(|e| e.to_string())?;
    let started = session.start_ports();
    if let (Err(e), false) = (&started, signals::is_ending()) {
        return Err(match logging::complaints() {
            told if told.is_empty() => e.to_string(),
            told => format!("{e}: {told}"),
        });
    }
    logging::release();
    let ended = if signals::is_ending() { Ok(End::Signal) } else { work(&mut session, &events, &inbox) };
    finish(session, summary, ended)
}

/// Initialises EAL, silently.
fn start_eal(args: &[String]) -> Result<Eal, String> {
    let quiet = Quiet::begin();
    let started = Eal::init(args).map_err(|e| e.to_string()).and_then(|(eal, rest)| match rest.first() {
        None => Ok(eal),
        Some(stray) => Err(format!("EAL does not take {stray:?}: options of lm-testpmd stand behind --")),
    });
    match (quiet, started) {
        (Some(quiet), Ok(eal)) => {
            quiet.end();
            Ok(eal)
        }
        (Some(quiet), Err(why)) => Err(match offence(args, &quiet.fail()) {
            Some(option) => format!("{option}; {why}"),
            None => why,
        }),
        (None, started) => started,
    }
}

/// What getopt, which EAL uses, has written about a wrong option.
fn offence(args: &[String], text: &str) -> Option<String> {
    let program = args.first()?;
    let mut told = text.lines().filter_map(|line| line.strip_prefix(program.as_str())?.strip_prefix(": "));
    told.find(|line| line.contains("option")).map(str::to_owned)
}

/// The part between the start and the end.
fn work(session: &mut Session, events: &Sender<Event>, inbox: &Receiver<Event>) -> Result<End, String> {
    let options = session.options.clone();
    if let Some(path) = &options.cmdline_file {
        let next = prompt::line::file(session, path);
        if next.map_err(|e| format!("--cmdline-file={} cannot be read: {e}", path.display()))? == Next::Quit {
            return Ok(End::Planned);
        }
    }
    if (!options.interactive || options.auto_start) && !session.is_busy() {
        session.start_forwarding()?;
    }
    let listen = if options.interactive {
        prompt::line::interactive(events.clone(), prompt::Hints::of(session))
    } else {
        prompt::line::wait_for_enter(events.clone())
    };
    listen.map_err(|e| format!("standard input cannot be read: {e}"))?;
    let period = options.stats_period.filter(|_| !options.interactive).map(Duration::from_secs);
    Ok(control::run(session, inbox, period))
}

/// Stops forwarding and ports, and shows and writes what was done.
fn finish(
    mut session: Session,
    summary: Option<SummaryFile>,
    ended: Result<End, String>,
) -> Result<(), String> {
    console::restore_terminal();
    let shown = session.stop_forwarding();
    if matches!(ended, Ok(End::Signal)) && !shown {
        let mut all = Tally::default();
        session.tallies().iter().for_each(|(tally, _)| all.add(tally));
        report::accumulated(&all);
    }
    let mode = session.options.forward_mode.name;
    let path = session.options.summary.clone();
    let closed = session.close();
    if let Some(summary) = summary {
        summary.write(mode, &closed).map_err(|e| {
            format!(
                "{} cannot be written: {e}; make room and start again",
                path.unwrap_or_default().display()
            )
        })?;
    }
    // The prompt may have begun another line since.
    console::restore_terminal();
    ended.map(|_| say!("\nBye..."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn our_options_stand_behind_the_first_dashes() {
        let args = words("lm-testpmd -l 0 -- -i -- x");
        let (eal, ours) = split(&args);
        assert_eq!((eal, ours), (&args[..3], &args[4..]));
        assert_eq!(split(&args[..3]), (&args[..3], &args[..0]));
    }

    #[test]
    fn getopt_names_the_wrong_option() {
        let text = "usage\n./lm-testpmd: unrecognized option '--bad'\nEAL: FATAL\n";
        let told = offence(&words("./lm-testpmd --bad"), text);
        assert_eq!(told.as_deref(), Some("unrecognized option '--bad'"));
        assert_eq!(offence(&words("other"), text), None);
    }
}
