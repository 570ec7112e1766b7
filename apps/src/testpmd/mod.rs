//! lm-testpmd: sends, receives, echoes and measures UDP datagrams of up to 65,507 bytes on DPDK ports.
//!
//! It is started as dpdk-testpmd is: `lm-testpmd [EAL options] -- [options]`. The modules, from the top down:
//!
//! - [`control`]: the loop of the control thread;
//! - [`prompt`]: the table of commands, and the sources of input lines;
//! - [`report`], [`summary`]: statistics on standard output, and the summary as JSON;
//! - [`session`]: the ports, settings and the forwarding loop, all owned by the control thread;
//!   [`session_error`]: why a session cannot start;
//! - [`control_port`]: one port of the session;
//! - [`forwarder`]: the forwarding loop, on a worker lcore;
//! - [`event`]: events for the control thread, from the prompt, the forwarding loop and signals;
//! - [`options`]: the command line; [`verdict`]: whether enough pings came back;
//! - [`engine`]: the forwarding engines, one per file; [`sizes`]: the payload sizes that they send;
//! - [`turn`]: what the forwarding loop shares with its engines; [`tally`]: the counters.
//!
//! Exit codes:
//!
//! - 0: the program ended in order, possibly because of a first signal;
//! - 1: it ran, but failed in part, and a line says how: a file or standard output could not be written, a
//!   capture was truncated, no ping came back, or more pings were lost than `--max-loss` allows;
//! - 2: it could not start, and one line says what to do;
//! - 129, 130 and 143: a second SIGHUP, SIGINT or SIGTERM ended it.

pub(crate) mod control;
pub(crate) mod control_port;
pub(crate) mod engine;
pub(crate) mod event;
pub(crate) mod forwarder;
pub(crate) mod options;
pub(crate) mod prompt;
pub(crate) mod report;
pub(crate) mod session;
pub(crate) mod session_error;
pub(crate) mod sizes;
pub(crate) mod summary;
pub(crate) mod tally;
pub(crate) mod turn;
pub(crate) mod verdict;

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::console::say;
use crate::message_log::MessageLog;
use crate::start::{self, Failure, FileUse};
use crate::testpmd::control::End;
use crate::testpmd::event::{Event, Next};
use crate::testpmd::options::Options;
use crate::testpmd::session::Session;
use crate::testpmd::summary::SummaryFile;
use crate::testpmd::tally::Tally;
use crate::{console, logging, no_port, regular_file, signals};

/// Bytes of a command file at most.
const MOST_COMMANDS: u64 = 16 << 20;

/// The program.
pub(crate) fn main() -> ExitCode {
    start::run("lm-testpmd", begin)
}

/// Reads the command line, starts EAL and the ports, and runs the session. Errors in the command line, and in
/// the files that it names, are reported before EAL starts.
fn begin(args: &[String]) -> Result<(), Failure> {
    let Some((eal_args, options)) = start::options("lm-testpmd", args, Options::of)? else { return Ok(()) };
    logging::begin(eal_args.iter().any(|arg| arg.starts_with("--log-level")));
    let flaws = start::look(eal_args, files(&options))?;
    let log = options.message_log.as_deref().map(MessageLog::create);
    let summary = options.summary.as_deref().map(SummaryFile::create);
    let commands = options.cmdline_file.as_deref().map(|path| {
        let text = regular_file::text(path, MOST_COMMANDS);
        text.map_err(|e| {
            format!("--cmdline-file={} cannot be read: {e}; name a file of commands", path.display())
        })
    });
    let commands = commands.transpose()?;
    let (log, summary) = (log.transpose()?, summary.transpose()?);

    console::remember_terminal();
    let (events, inbox) = channel();
    let first = events.clone();
    // The control thread may be gone. Then the process ends anyway.
    signals::watch(move || drop(first.send(Event::Signal)))
        .map_err(|e| format!("signals cannot be watched: {e}"))?;
    let eal = start::eal("lm-testpmd", eal_args)?;
    start::show(&eal);
    no_port::check(&eal, eal_args)?;
    let mut session = Session::open(eal, options, log, events.clone()).map_err(|e| e.to_string())?;
    let started = session.start_ports();
    if let (Err(e), false) = (&started, signals::is_ending()) {
        return Err(Failure::Refused(match logging::complaints() {
            told if told.is_empty() => e.clone(),
            told => format!("{e}: {told}"),
        }));
    }
    logging::release();
    let commands = commands.as_deref().unwrap_or_default();
    let ended =
        if signals::is_ending() { Ok(End::Signal) } else { work(&mut session, commands, &events, &inbox) };
    finish(session, summary, ended)?;
    flaws.into_result()
}

/// The files that the options name.
fn files(options: &Options) -> Vec<FileUse> {
    let named = |option: &str, path: &Path| format!("{option}={}", path.display());
    let read = |option, path: &Path| FileUse::read(named(option, path), path);
    let written = |option, path: &Path| FileUse::written(named(option, path), path);
    let all = [
        options.cmdline_file.as_deref().map(|path| read("--cmdline-file", path)),
        options.port.ac_key_file.as_deref().map(|path| read("--ac-key-file", path)),
        options.port.ac_state.as_deref().map(|path| written("--ac-state", path)),
        options.message_log.as_deref().map(|path| written("--message-log", path)),
        options.summary.as_deref().map(|path| written("--summary", path)),
    ];
    all.into_iter().flatten().collect()
}

/// Runs the session: first the command file, then forwarding or the prompt, until something ends it.
fn work(
    session: &mut Session,
    commands: &str,
    events: &Sender<Event>,
    inbox: &Receiver<Event>,
) -> Result<End, String> {
    let options = session.options.clone();
    if prompt::table::run_all(session, commands) == Next::Quit {
        return Ok(End::Planned);
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
) -> Result<(), Failure> {
    console::restore_terminal();
    match session.stop_forwarding() {
        Some(runs) => report::forwarding(&runs),
        None if matches!(ended, Ok(End::Signal)) => {
            let mut all = Tally::default();
            session.tallies().iter().for_each(|(tally, _)| all.add(tally));
            report::accumulated(&all);
        }
        None => {}
    }
    let (mode, max_loss) = (session.options.forward_mode.name, session.options.max_loss);
    let log = session.take_log();
    let closed = session.close();
    let files = [
        log.map_or(Ok(()), MessageLog::finish),
        summary.map_or(Ok(()), |summary| summary.write(mode, &closed)),
    ];
    let mut failures: Vec<_> = files.into_iter().filter_map(Result::err).collect();
    // The prompt may have begun another line since, which changes the terminal again.
    console::restore_terminal();
    let planned = ended? == End::Planned;
    let mut all = Tally::default();
    closed.iter().for_each(|port| all.add(&port.total));
    // A signal may have come before the first ping could be sent.
    let began = mode == "ping"
        && (all.sent.datagrams > 0 || planned && !closed.iter().all(|port| port.elapsed.is_zero()));
    failures.extend(verdict::of_pings(&all.engine, began, max_loss));
    say!("\nBye...");
    if failures.is_empty() { Ok(()) } else { Err(Failure::Failed(failures)) }
}
