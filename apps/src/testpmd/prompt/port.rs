//! The commands `port start`, `port stop` and `port reset`.
//!
//! [`super::table`] has this list. Each command takes a port's number or `all`, and stops at the first port
//! that fails.

use super::command::{Command, chosen, one, ports};
use crate::console::say;
use crate::testpmd::event::Next;
use crate::testpmd::session::Session;

pub(super) const COMMANDS: &[Command] = &[
    Command { name: "port start", args: "<port|all>", help: "start ports", complete: ports, run: start },
    Command { name: "port stop", args: "<port|all>", help: "stop ports", complete: ports, run: stop },
    Command {
        name: "port reset",
        args: "<port|all>",
        help: "reset the devices of stopped ports",
        complete: ports,
        run: reset,
    },
];

fn each(
    session: &mut Session,
    args: &[&str],
    act: fn(&mut Session, usize) -> Result<(), String>,
) -> Result<Next, String> {
    for index in chosen(session, one(args)?)? {
        act(session, index)?;
    }
    say!("Done");
    Ok(Next::Command)
}

fn start(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    each(session, args, Session::start_port)
}

fn stop(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    each(session, args, Session::stop_port)
}

fn reset(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    each(session, args, Session::reset_port)
}
