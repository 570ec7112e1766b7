//! The commands `start`, `stop` and `quit`: they start and stop forwarding, and end the program.
//!
//! [`super::table`] has this list. The session does the work, and refuses what does not fit its state in one
//! line.

use super::command::{Command, none, nothing};
use crate::console::say;
use crate::testpmd::event::Next;
use crate::testpmd::report;
use crate::testpmd::session::Session;

pub(super) const COMMANDS: &[Command] = &[
    Command { name: "start", args: "", help: "begin forwarding", complete: nothing, run: start },
    Command {
        name: "stop",
        args: "",
        help: "end forwarding and show statistics",
        complete: nothing,
        run: stop,
    },
    Command {
        name: "quit",
        args: "",
        help: "stop everything, and end the program",
        complete: nothing,
        run: quit,
    },
];

fn start(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args)?;
    session.start_forwarding().map(|()| Next::Command)
}

fn stop(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args)?;
    let runs = session.stop_forwarding().ok_or("Packet forwarding not started")?;
    report::forwarding(&runs);
    say!("\nDone.");
    Ok(Next::Command)
}

fn quit(_: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args).map(|()| Next::Quit)
}
