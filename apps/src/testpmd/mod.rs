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
pub(crate) mod control;
pub(crate) mod engine;
pub(crate) mod forwarder;
pub(crate) mod options;
pub(crate) mod prompt;
pub(crate) mod report;
pub(crate) mod session;
pub(crate) mod sizes;
pub(crate) mod summary;

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::console::say;
use crate::message_log::MessageLog;
use crate::start;
use crate::tally::Tally;
use crate::testpmd::control::{End, Event, Next};
use crate::testpmd::options::Options;
use crate::testpmd::session::Session;
use crate::testpmd::summary::SummaryFile;
use crate::{console, logging, signals};

/// The program.
pub(crate) fn main() -> ExitCode {
    start::run("lm-testpmd", begin)
}

/// Reads the command line; what is wrong with it, or with the files that it names, is told before EAL starts.
fn begin(args: &[String]) -> Result<(), String> {
    let Some((eal_args, options)) = start::options("lm-testpmd", args, Options::of)? else { return Ok(()) };
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
    let first = events.clone();
    // The control thread may be gone: then the process ends by itself.
    signals::watch(move || drop(first.send(Event::Signal)))
        .map_err(|e| format!("signals cannot be watched: {e}"))?;
    let eal = start::eal("lm-testpmd", eal_args)?;
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
