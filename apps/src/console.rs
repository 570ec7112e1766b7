//! Standard output and error: lines that nobody reads are no reason to fail, and the terminal is restored.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Writes a line to standard output.
macro_rules! say {
    ($($arg:tt)*) => { $crate::console::line(format_args!($($arg)*)) };
}
pub(crate) use say;

/// Writes a line to standard output; a closed pipe is ignored.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes to standard output at once, without a newline.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The program's name, as complaints begin.
static PROGRAM: OnceLock<&str> = OnceLock::new();

/// Says which program this is.
pub(crate) fn set_program(name: &'static str) {
    PROGRAM.get_or_init(|| name);
}

/// Writes a line to standard error; a closed pipe is ignored.
pub(crate) fn complain(text: &str) {
    let one_line = text.split('\n').map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
    let program = PROGRAM.get().copied().unwrap_or("lm");
    let _ = writeln!(io::stderr(), "{program}: {one_line}");
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
