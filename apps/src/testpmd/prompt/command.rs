//! [`Command`]: a command of the prompt, and how its arguments are parsed.
//!
//! The files of commands list their commands as values of this type, and [`super::table`] finds and runs
//! them. A command that gets wrong arguments returns [`USAGE`], and the table then shows how it is used.

use crate::testpmd::event::Next;
use crate::testpmd::session::Session;

/// A command.
pub(super) struct Command {
    /// The words that it begins with.
    pub(super) name: &'static str,
    /// The words that follow, as help shows them.
    pub(super) args: &'static str,
    /// What it does.
    pub(super) help: &'static str,
    /// The words that completion offers behind its name.
    pub(super) complete: fn(&Hints) -> Vec<String>,
    /// The function that runs it.
    pub(super) run: Run,
}

/// The function of a command. It gets the words behind the name; an error is one line.
pub(super) type Run = fn(&mut Session, &[&str]) -> Result<Next, String>;

/// What completion knows of the session. It is a copy: completion runs in the prompt's thread.
#[derive(Clone, Debug)]
pub(crate) struct Hints {
    /// The ports' numbers.
    pub(crate) ports: Vec<u16>,
}

impl Hints {
    /// Copies what completion needs from the session.
    pub(crate) fn of(session: &Session) -> Self {
        Self { ports: session.ports.iter().map(|port| port.id().0).collect() }
    }
}

/// Completes nothing.
pub(super) fn nothing(_: &Hints) -> Vec<String> {
    Vec::new()
}

/// Completes a port's number, or all.
pub(super) fn ports(hints: &Hints) -> Vec<String> {
    hints.ports.iter().map(u16::to_string).chain(["all".to_owned()]).collect()
}

/// The error of a command that got arguments other than its help says. The table replaces it by the help.
pub(super) const USAGE: &str = "usage";

/// Refuses the arguments, so that the command's help is shown.
pub(super) fn usage<T>() -> Result<T, String> {
    Err(USAGE.to_owned())
}

/// Checks that there are no arguments.
pub(super) fn none(args: &[&str]) -> Result<(), String> {
    if args.is_empty() { Ok(()) } else { usage() }
}

/// The only argument; none or several are refused.
pub(super) fn one<'a>(args: &[&'a str]) -> Result<&'a str, String> {
    match args {
        [arg] => Ok(arg),
        _ => usage(),
    }
}

/// The only argument; `all` if there is none.
pub(super) fn one_or_all<'a>(args: &[&'a str]) -> Result<&'a str, String> {
    if args.is_empty() { Ok("all") } else { one(args) }
}

/// The indices of the ports that an argument names: one port's number, or `all`.
pub(super) fn chosen(session: &Session, arg: &str) -> Result<Vec<usize>, String> {
    if arg == "all" {
        return Ok((0..session.ports.len()).collect());
    }
    match arg.parse() {
        Ok(number) => session.port(number).map(|index| vec![index]),
        Err(_) => usage(),
    }
}
