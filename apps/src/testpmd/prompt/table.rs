//! All commands: a table, found by the longest name that a line begins with.
//!
//! [`crate::testpmd::control`] calls [`run`] for each line of the prompt, and [`crate::testpmd::work`] calls
//! [`run_all`] for a command file. The prompt's thread calls [`complete`]. A command that fails is told in
//! one line, and the program goes on.

use super::command::{Command, Hints, USAGE, none, nothing};
use crate::console::{complain, say};
use crate::testpmd::event::Next;
use crate::testpmd::session::Session;

/// The lists of commands, in the order of `help`.
static TABLE: &[&[Command]] = &[
    super::forwarding::COMMANDS,
    &[Command { name: "help", args: "", help: "list the commands", complete: nothing, run: help }],
    super::port::COMMANDS,
    super::show::COMMANDS,
    super::set::COMMANDS,
];

/// All commands.
fn commands() -> impl Iterator<Item = &'static Command> {
    TABLE.iter().copied().flatten()
}

/// The command's name, and what follows it.
fn usage(command: &Command) -> String {
    format!("{} {}", command.name, command.args).trim_end().to_owned()
}

fn help(_: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args)?;
    for command in commands() {
        say!("  {:<44} {}", usage(command), command.help);
    }
    Ok(Next::Command)
}

/// Runs a line. If it fails, the reason is printed.
pub(crate) fn run(session: &mut Session, line: &str) -> Next {
    try_run(session, line).unwrap_or_else(|e| {
        complain(&e);
        Next::Command
    })
}

/// Runs the commands of a file. [`Next::Quit`] if one of them is `quit`; those behind it are not run.
pub(crate) fn run_all(session: &mut Session, text: &str) -> Next {
    let quits = text.lines().any(|line| run(session, line) == Next::Quit);
    if quits { Next::Quit } else { Next::Command }
}

/// Runs a line. Empty lines and comments do nothing.
fn try_run(session: &mut Session, line: &str) -> Result<Next, String> {
    let words: Vec<_> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    if words.is_empty() {
        return Ok(Next::Command);
    }
    let found = commands().filter_map(|c| Some((c, name_len(c, &words)?))).max_by_key(|&(_, n)| n);
    let Some((command, n)) = found else {
        return Err(format!("Command not found: {}; help lists the commands", words.join(" ")));
    };
    (command.run)(session, &words[n..]).map_err(|e| {
        if e == USAGE { format!("Bad arguments; {}: {}", usage(command), command.help) } else { e }
    })
}

/// How many words the command's name has, if `words` begin with it.
fn name_len(command: &Command, words: &[&str]) -> Option<usize> {
    let name: Vec<_> = command.name.split(' ').collect();
    words.starts_with(&name).then_some(name.len())
}

/// The words that can complete `line`, whose last word is unfinished. That word begins at the returned place.
pub(super) fn complete(hints: &Hints, line: &str) -> (usize, Vec<String>) {
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
            assert!(usage(c).ends_with(if c.args.is_empty() { c.name } else { c.args }));
        }
    }

    #[test]
    fn every_word_of_every_name_can_be_completed() {
        let hints = Hints { ports: vec![0, 1] };
        for name in commands().map(|command| command.name) {
            for (at, _) in name.char_indices() {
                let (start, words) = complete(&hints, &name[..at]);
                let whole = name[start..].split(' ').next().expect("a word");
                assert!(words.iter().any(|word| word == whole), "{name:?} at {at}: {words:?}");
                assert!(words.is_sorted_by(|a, b| a < b), "{words:?}");
            }
        }
    }

    #[test]
    fn arguments_can_be_completed() {
        let hints = Hints { ports: vec![0, 1] };
        let words = |line| complete(&hints, line).1;
        assert_eq!(words("show port stats "), ["0", "1", "all"]);
        assert_eq!(words("set fwd e"), ["echo"]);
        assert_eq!(words("set lm slots "), ["auto", "overlapping", "separate"]);
        assert_eq!(complete(&hints, "port start al"), (11, vec!["all".to_owned()]));
        assert_eq!(words("quit x"), Vec::<String>::new());
        assert_eq!(words("gibberish "), Vec::<String>::new());
    }
}
