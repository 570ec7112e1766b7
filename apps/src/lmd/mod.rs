//! lmd: a DPDK port as an interface of the kernel's, on which datagrams are whole.
//!
//! The modules in the order of a run:
//!
//! - [`configuration`]: the command line and the file that it names; [`options`]: what they say;
//! - [`take_over`]: a card is moved from the kernel's driver, and given back;
//! - [`setup`]: the port and the interface are opened, and nothing is changed before both are there;
//! - [`daemon`]: the loop between the two;
//! - [`kernelward`]: what came from the wire, to the kernel, where [`joiner`] joins TCP's segments;
//!   [`wireward`]: what the kernel sends, to the wire, where [`cutter`] cuts long TCP and [`deferred`]
//!   has what waits for leave;
//! - [`tally`]: what was done, and what was lost and why; [`status`]: how it is shown to others; [`notify`]:
//!   what systemd is told.
//!
//! What becomes of a frame is decided in the crate `lm-crossing`; `lm-tap` has the interface. Exit codes are
//! lm-testpmd's.

mod configuration;
mod cutter;
mod daemon;
mod deferred;
mod joiner;
mod kernelward;
mod notify;
mod opened;
mod options;
mod setup;
mod status;
mod take_over;
mod tally;
mod wireward;

use std::process::ExitCode;

use lm_tap::{Tap, rights};

use self::configuration::Invocation;
use self::daemon::Daemon;
use self::notify::Supervisor;
use self::options::Options;
use self::take_over::Taken;
use crate::console::say;
use crate::start::{self, Failure};
use crate::{logging, no_port, signals};

const NAME: &str = "lmd";

/// The program.
pub(crate) fn main() -> ExitCode {
    start::run(NAME, begin)
}

/// Reads the command line, and does what it says.
fn begin(args: &[String]) -> Result<(), Failure> {
    if args.get(1).is_some_and(|word| word == status::WORD) {
        let words: Vec<_> = args.iter().take(1).chain(&args[2..]).cloned().collect();
        return Ok(status::print(&words)?);
    }
    let Invocation { words, check } = Invocation::of(args)?;
    let Some((eal_args, options)) = start::options(NAME, &words, Options::of)? else { return Ok(()) };
    if let Some(card) = options.give_back.as_ref().filter(|_| !check) {
        return take_over::give_back(card, &options);
    }
    let (mut eal_args, mut options) = (eal_args.to_vec(), options);
    let card = options.take_over.clone().filter(|_| options.give_back.is_none());
    if let Some(card) = card.as_ref().filter(|_| options.dry_run) {
        return Ok(take_over::print_plan(card, &options)?);
    }
    if check {
        start::check(&eal_args)?;
        card.iter().try_for_each(|card| take_over::check(card, &eal_args, &options))?;
        say!("{}: what lmd is told is right, as far as can be seen before EAL starts", options.interface);
        return Ok(());
    }
    logging::begin(eal_args.iter().any(|arg| arg.starts_with("--log-level")));
    let flaws = start::look(&eal_args, None)?;
    signals::watch(|| {}).map_err(|e| format!("signals cannot be watched: {e}"))?;
    card.iter().try_for_each(|card| {
        take_over::check(card, &eal_args, &options).and_then(|()| take_over::is_free(card))
    })?;
    // What cannot be had without rights is found missing before a card is touched.
    let tap = setup::tap(&options)?;
    let mut taken = match &card {
        Some(card) => Some(Taken::begin(card, &mut eal_args, &mut options)?),
        None => None,
    };
    let ended = serve(tap, &eal_args, &options, taken.as_mut());
    let ended = ended.and_then(|()| flaws.into_result());
    match taken {
        Some(taken) => Err(taken.give_back(ended)),
        None => ended,
    }
}

/// Opens the port and the interface, and moves frames until a signal comes. Nothing of EAL is left then.
fn serve(tap: Tap, eal_args: &[String], options: &Options, taken: Option<&mut Taken>) -> Result<(), Failure> {
    let eal = start::eal(NAME, eal_args)?;
    start::show(&eal);
    status::offer(&eal);
    no_port::check(&eal, eal_args)?;
    let opened = setup::port(&eal, &tap, options).and_then(|port| setup::interface(tap, port, options));
    let mut opened = opened.map_err(|why| {
        let told = logging::complaints();
        if told.is_empty() { why } else { format!("{why}: {told}") }
    })?;
    taken.map_or(Ok(()), Taken::serve)?;
    logging::release();
    let said = std::mem::take(&mut opened.said);
    let supervisor = Supervisor::of_environment();
    let mut daemon = Daemon::new(&eal, opened, options)?;
    // What is left to do needs rights over the interface and its routes alone.
    rights::keep_only(&[rights::NET_ADMIN]).map_err(|e| format!("capabilities cannot be given up: {e}"))?;
    daemon.keep_interface()?;
    said.iter().for_each(|line| say!("{line}"));
    supervisor.ready(&format!("{} is there", options.interface));
    let ended = daemon.run(&eal);
    supervisor.stopping();
    daemon.report().iter().for_each(|line| say!("{line}"));
    say!("{}", daemon.close());
    start::end(eal);
    ended.map_err(|why| Failure::Failed(vec![why]))
}
