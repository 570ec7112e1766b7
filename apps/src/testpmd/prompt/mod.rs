//! Commands: a table, found by the longest name that a line begins with.
//!
//! - [`basic`]: to start, stop, quit, to get help, to start and stop ports;
//! - [`show`]: show and clear;
//! - [`set`]: settings, and when they count;
//! - [`line`]: where lines come from: a terminal, a pipe, a file.

mod basic;
pub(crate) mod line;
mod set;
mod show;

use crate::testpmd::control::Next;
use crate::testpmd::session::Session;

/// What a command does with the words behind its name; an error is one line.
type Run = fn(&mut Session, &[&str]) -> Result<Next, String>;

/// A command.
pub(crate) struct Command {
    /// The words that it begins with.
    name: &'static str,
    /// The words that follow.
    args: &'static str,
    /// What it does.
    help: &'static str,
    /// What may stand as the first word behind its name.
    complete: fn(&Hints) -> Vec<String>,
    run: Run,
}

/// What completion knows of the session.
#[derive(Clone, Debug)]
pub(crate) struct Hints {
    /// The ports' numbers.
    pub(crate) ports: Vec<u16>,
}

impl Hints {
    /// What completion needs to know.
    pub(crate) fn of(session: &Session) -> Self {
        Self { ports: session.ports.iter().map(|port| port.id().0).collect() }
    }
}

/// Nothing to complete.
fn nothing(_: &Hints) -> Vec<String> {
    Vec::new()
}

/// A port, or all.
fn ports(hints: &Hints) -> Vec<String> {
    hints.ports.iter().map(u16::to_string).chain(["all".to_owned()]).collect()
}

/// All commands, in the order of `help`.
fn commands() -> impl Iterator<Item = &'static Command> {
    basic::COMMANDS.iter().chain(show::COMMANDS).chain(set::COMMANDS)
}

/// How many words of `words` are the command's name; `None` if they are others.
fn name_len(command: &Command, words: &[&str]) -> Option<usize> {
    let name: Vec<_> = command.name.split(' ').collect();
    words.starts_with(&name).then_some(name.len())
}

/// Runs a line. Empty ones and comments do nothing.
pub(crate) fn run(session: &mut Session, line: &str) -> Result<Next, String> {
    let words: Vec<_> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    if words.is_empty() {
        return Ok(Next::Command);
    }
    let found = commands().filter_map(|c| Some((c, name_len(c, &words)?))).max_by_key(|&(_, n)| n);
    let Some((command, n)) = found else {
        return Err(format!("Command not found: {}; help lists the commands", words.join(" ")));
    };
    (command.run)(session, &words[n..]).map_err(|e| {
        if e == USAGE {
            format!("Bad arguments; {} {}: {}", command.name, command.args, command.help)
        } else {
            e
        }
    })
}

/// The error of a command whose arguments are not what its help says.
const USAGE: &str = "usage";

fn usage<T>() -> Result<T, String> {
    Err(USAGE.to_owned())
}

/// No arguments.
fn none(args: &[&str]) -> Result<(), String> {
    if args.is_empty() { Ok(()) } else { usage() }
}

/// The one argument.
fn one<'a>(args: &[&'a str]) -> Result<&'a str, String> {
    match args {
        [arg] => Ok(arg),
        _ => usage(),
    }
}

/// The indices of the ports that an argument means.
fn chosen(session: &Session, arg: &str) -> Result<Vec<usize>, String> {
    if arg == "all" {
        return Ok((0..session.ports.len()).collect());
    }
    match arg.parse() {
        Ok(number) => session.port(number).map(|index| vec![index]),
        Err(_) => usage(),
    }
}

/// What may stand where `line` ends, as whole words; the last, unfinished word begins at the returned place.
pub(crate) fn complete(hints: &Hints, line: &str) -> (usize, Vec<String>) {
    let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let (before, last): (Vec<_>, _) = (line[..start].split_whitespace().collect(), &line[start..]);
    let mut found: Vec<String> = Vec::new();
    for command in commands() {
        let name: Vec<_> = command.name.split(' ').collect();
        if name.len() > before.len() && name.starts_with(&before) {
            found.push(name[before.len()].to_owned());
        } else if name == before {
            found.extend((command.complete)(hints));
        }
    }
    found.retain(|word| word.starts_with(last));
    found.sort();
    found.dedup();
    (start, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_helped() {
        let all: Vec<_> = commands().collect();
        for (i, c) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other.name != c.name), "{}", c.name);
            assert!(!c.help.is_empty());
        }
    }

    #[test]
    fn every_word_can_be_completed() {
        let hints = Hints { ports: vec![0, 1] };
        let words = |line| complete(&hints, line).1;
        assert_eq!(words("sho"), ["show"]);
        assert_eq!(words("show "), ["ac", "config", "lm", "port"]);
        assert_eq!(words("show port st"), ["stats"]);
        assert_eq!(words("show port stats "), ["0", "1", "all"]);
        assert_eq!(words("set fwd "), ["echo", "ping", "rx", "tx"]);
        assert_eq!(words("set lm "), ["require", "slots"]);
        assert_eq!(complete(&hints, "port start al"), (11, vec!["all".to_owned()]));
        assert_eq!(words("quit x"), Vec::<String>::new());
        assert_eq!(words("gibberish "), Vec::<String>::new());
    }
}
