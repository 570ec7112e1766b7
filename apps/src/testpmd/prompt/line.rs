//! The sources of input lines: a terminal with history and completion, or a pipe.
//!
//! [`crate::testpmd::work`] starts one of them, in a thread of its own. A line is sent to the control thread,
//! and the next one is read when that line was run. The end of input is `quit` at the prompt, and means
//! nothing without a prompt.

use std::io::{self, BufRead, IsTerminal as _};
use std::sync::mpsc::{Sender, sync_channel};
use std::thread;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::command::Hints;
use super::table;
use crate::console;
use crate::signals;
use crate::testpmd::event::{Event, Next};

/// The prompt of dpdk-testpmd.
const PROMPT: &str = "testpmd> ";

/// Reads lines in a thread of its own, and hands them to the control thread one by one. The end of input is
/// `quit`.
pub(crate) fn interactive(events: Sender<Event>, hints: Hints) -> io::Result<()> {
    thread::Builder::new()
        .name("lm-prompt".into())
        .spawn(move || {
            if io::stdin().is_terminal() {
                terminal(&events, hints);
            } else {
                pipe(&events);
            }
        })
        .map(drop)
}

/// Waits for Enter in a thread of its own. The end of input means nothing: there may be no input at all.
pub(crate) fn wait_for_enter(events: Sender<Event>) -> io::Result<()> {
    thread::Builder::new()
        .name("lm-enter".into())
        .spawn(move || {
            if io::stdin().lock().read_line(&mut String::new()).is_ok_and(|n| n > 0) {
                let _ = events.send(Event::Enter);
            }
        })
        .map(drop)
}

/// Sends a line to the control thread, and waits until it was run. Returns whether another one is to be read.
fn submit(events: &Sender<Event>, line: &str) -> bool {
    let (answer, next) = sync_channel(1);
    events.send(Event::Line(line.to_owned(), answer)).is_ok() && next.recv() == Ok(Next::Command)
}

/// Reads lines from a pipe. Each one is printed behind the prompt, so that the output reads as on a terminal.
fn pipe(events: &Sender<Event>) {
    for line in lines(io::stdin().lock()) {
        console::print(&format!("{PROMPT}{line}\n"));
        if !submit(events, &line) {
            return;
        }
    }
    submit(events, "quit");
}

/// The lines of an input. Bytes that are not UTF-8 do not end the input: no command has any, so their line is
/// refused as one.
fn lines(input: impl BufRead) -> impl Iterator<Item = String> {
    input.split(b'\n').map_while(Result::ok).map(|line| {
        let text = String::from_utf8_lossy(&line);
        text.strip_suffix('\r').unwrap_or(&text).to_owned()
    })
}

/// Reads lines from a terminal.
fn terminal(events: &Sender<Event>, hints: Hints) {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        // Another thread may have to restore the terminal's modes while a line is read. Bracketed paste would
        // stay on, because only an escape sequence turns it off.
        .bracketed_paste(false)
        .auto_add_history(true)
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = match Editor::<Words, MemHistory>::with_history(config, history) {
        Ok(editor) => editor,
        Err(e) => {
            log::warn!(
                "this terminal allows no editing ({e}): lines are read without history and completion"
            );
            return pipe(events);
        }
    };
    editor.set_helper(Some(Words(hints)));
    loop {
        match editor.readline(PROMPT) {
            Ok(line) if submit(events, &line) => {}
            Ok(_) => return,
            Err(ReadlineError::Interrupted) => return signals::interrupt(),
            Err(_) => {
                submit(events, "quit");
                return;
            }
        }
    }
}

/// Completes words.
struct Words(Hints);

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, words) = table::complete(&self.0, line.get(..at).unwrap_or_default());
        Ok((start, words.into_iter().map(|word| word + " ").collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_text_does_not_end_the_input() {
        let all: Vec<_> = lines(&b"start\r\n\xff\xfe\n\nstop"[..]).collect();
        assert_eq!(all, ["start", "\u{fffd}\u{fffd}", "", "stop"]);
    }
}
