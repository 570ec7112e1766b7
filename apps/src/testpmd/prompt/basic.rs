//! start, stop, quit, help, and starting and stopping ports.

use super::{Command, chosen, commands, none, nothing, one, ports};
use crate::console::say;
use crate::testpmd::control::Next;
use crate::testpmd::session::Session;

pub(super) const COMMANDS: &[Command] = &[
    Command { name: "start", args: "", help: "begin forwarding", complete: nothing, run: start },
    Command {
        name: "stop",
        args: "",
        help: "end forwarding and show what was done",
        complete: nothing,
        run: stop,
    },
    Command { name: "quit", args: "", help: "stop everything and end", complete: nothing, run: quit },
    Command { name: "help", args: "", help: "list the commands", complete: nothing, run: help },
    Command { name: "port start", args: "<port|all>", help: "start ports", complete: ports, run: port_start },
    Command { name: "port stop", args: "<port|all>", help: "stop ports", complete: ports, run: port_stop },
    Command {
        name: "port reset",
        args: "<port|all>",
        help: "reset the devices of stopped ports",
        complete: ports,
        run: port_reset,
    },
];

fn start(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args)?;
    session.start_forwarding().map(|()| Next::Command)
}

fn stop(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args)?;
    if !session.stop_forwarding() {
        return Err("Packet forwarding not started".to_owned());
    }
    say!("\nDone.");
    Ok(Next::Command)
}

fn quit(_: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args).map(|()| Next::Quit)
}

fn help(_: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args)?;
    for command in commands() {
        let usage = format!("{} {}", command.name, command.args);
        say!("  {usage:<44} {}", command.help);
    }
    Ok(Next::Command)
}

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

fn port_start(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    each(session, args, Session::start_port)
}

fn port_stop(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    each(session, args, Session::stop_port)
}

fn port_reset(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    each(session, args, Session::reset_port)
}
