//! Standard output and error, and the terminal. A closed pipe is not an error.
//!
//! As in any program, a thread that writes waits for a slow reader. Threads that forward must not wait, so
//! they call [`never_wait`]. Their lines then go through a bounded queue to another thread, which writes
//! them. A line that finds the queue full is lost and counted.

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use std::{fmt, thread};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Writes a line to standard output.
macro_rules! say {
    ($($arg:tt)*) => { $crate::console::line(format_args!($($arg)*)) };
}
pub(crate) use say;

/// Lines of threads that never wait, at most.
const QUEUE: usize = 1024;
/// How long the end of the program waits for those lines.
const PATIENCE: Duration = Duration::from_secs(1);

thread_local! {
    /// This thread never waits for a reader.
    static NEVER_WAITS: Cell<bool> = const { Cell::new(false) };
}

/// A line of a thread that never waits.
enum Line {
    Out(String),
    Err(String),
    /// All before this one are written.
    Mark(SyncSender<()>),
}

static LINES: OnceLock<Option<SyncSender<Line>>> = OnceLock::new();
/// Lines for which there was no room.
static LOST: AtomicU64 = AtomicU64::new(0);
/// Why standard output cannot be written.
static OUT_ERROR: Mutex<Option<io::Error>> = Mutex::new(None);

/// Starts the thread that writes for those that never wait. Call it before EAL starts, or the thread is on an
/// lcore's CPU.
pub(crate) fn begin() {
    OUT_IS_TERMINAL.store(io::stdout().is_terminal(), Ordering::Relaxed);
    LINES.get_or_init(|| {
        let (lines, queue) = sync_channel(QUEUE);
        thread::Builder::new().name("lm-lines".into()).spawn(move || write_lines(&queue)).ok().map(|_| lines)
    });
}

/// This thread never waits for a reader from now on.
pub(crate) fn never_wait() {
    NEVER_WAITS.set(true);
}

fn write_lines(queue: &Receiver<Line>) {
    for line in queue {
        match line {
            Line::Out(text) => out(&text),
            Line::Err(text) => err(&text),
            // The thread that waited may have given up.
            Line::Mark(reached) => drop(reached.try_send(())),
        }
    }
}

/// If this thread never waits: puts a line into the queue, or counts it as lost. Returns whether this thread
/// never waits.
fn queue_if_never_waits(line: impl FnOnce() -> Line) -> bool {
    let never_waits = NEVER_WAITS.get();
    if never_waits {
        let sent = LINES.get().and_then(Option::as_ref).is_some_and(|lines| lines.try_send(line()).is_ok());
        LOST.fetch_add(u64::from(!sent), Ordering::Relaxed);
    }
    never_waits
}

/// Waits until the lines of threads that never wait are written, but not for long.
pub(crate) fn settle() {
    let Some(Some(lines)) = LINES.get() else { return };
    let (reached, mark) = sync_channel(1);
    if lines.try_send(Line::Mark(reached)).is_ok() {
        let _ = mark.recv_timeout(PATIENCE);
    }
}

/// Writes what is left at the program's end. An error: standard output could not be written.
pub(crate) fn finish() -> Result<(), String> {
    settle();
    let lost = LOST.swap(0, Ordering::Relaxed);
    if lost > 0 {
        complain(&format!("{lost} lines about datagrams are not shown: their reader was too slow"));
    }
    match OUT_ERROR.lock().unwrap_or_else(PoisonError::into_inner).take() {
        None => Ok(()),
        Some(e) => Err(format!("standard output cannot be written: {e}; make room and start again")),
    }
}

/// Writes a line to standard output; a closed pipe is ignored, any other error is told at the end.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if !queue_if_never_waits(|| Line::Out(text.to_string())) {
        out(&text.to_string());
    }
}

fn out(text: &str) {
    let mut out = io::stdout();
    note(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Writes to standard output at once, without a newline.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout();
    note(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Whether standard output was a terminal at the start. A terminal that was closed fails with EIO, which is
/// no error here.
static OUT_IS_TERMINAL: AtomicBool = AtomicBool::new(false);

/// Remembers the first error, unless it means that the reader has gone.
fn note(written: io::Result<()>) {
    if let Err(e) = written
        && e.kind() != io::ErrorKind::BrokenPipe
        && !OUT_IS_TERMINAL.load(Ordering::Relaxed)
    {
        OUT_ERROR.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
    }
}

/// The program's name, as complaints begin.
static PROGRAM: OnceLock<&str> = OnceLock::new();

/// Says which program this is.
pub(crate) fn set_program(name: &'static str) {
    PROGRAM.get_or_init(|| name);
}

/// One line of this text, without characters that act on a terminal or cannot be seen.
fn one_line(text: &str) -> String {
    visible(&text.split('\n').map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" "))
}

/// This text without characters that act on a terminal or cannot be seen: a user, a file, a peer or another
/// program may have written a part of it.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\t' {
            shown.push(' ');
        } else if c.is_control() || INVISIBLE.contains(&c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Characters that show nothing: the byte order mark, spaces without width, and changes of direction.
const INVISIBLE: &[char] = &[
    '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}',
    '\u{202d}', '\u{202e}', '\u{2060}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{feff}',
];

/// Writes a line to standard error; a closed pipe is ignored.
pub(crate) fn complain(text: &str) {
    let one_line = one_line(text);
    let program = PROGRAM.get().copied().unwrap_or("lm");
    if !queue_if_never_waits(|| Line::Err(format!("{program}: {one_line}"))) {
        err(&format!("{program}: {one_line}"));
    }
}

/// Writes a line to standard error. An error is ignored: it could be told nowhere else.
fn err(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// How the terminal was at the start.
static TERMINAL: OnceLock<Option<Termios>> = OnceLock::new();

/// Remembers how the terminal is.
pub(crate) fn remember_terminal() {
    TERMINAL.get_or_init(|| tcgetattr(io::stdin()).ok());
}

/// Makes the terminal what it was, also if a thread is reading a line from it.
pub(crate) fn restore_terminal() {
    if let Some(Some(terminal)) = TERMINAL.get() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, terminal);
    }
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn complaints_are_one_line_that_can_be_seen() {
        assert_eq!(one_line("a\n  b\tc\n"), "a b c");
        assert_eq!(one_line("\u{1b}[2Jx\0\r"), "\\u{1b}[2Jx\\u{0}");
        assert_eq!(one_line("\u{feff}start \"ü\" \u{fffd}"), "\\u{feff}start \"ü\" \u{fffd}");
    }
}
