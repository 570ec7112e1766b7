//! The prompt: the commands, and the sources of input lines.
//!
//! - [`command`]: the type of a command, and how its arguments are parsed;
//! - [`forwarding`], [`port`], [`show`], [`set`]: the commands, one list in each file;
//! - [`table`]: all lists, `help`, and the search for the command of a line;
//! - [`mod@line`]: the sources of lines: a terminal or a pipe.
//!
//! To add a command, write a function and a row in a list. To add a list, write a file, and add a line to
//! [`table`].

mod command;
mod forwarding;
pub(crate) mod line;
mod port;
mod set;
mod show;
pub(crate) mod table;

pub(crate) use self::command::Hints;
