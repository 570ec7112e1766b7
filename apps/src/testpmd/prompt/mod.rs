//! The prompt: commands, and where lines come from.
//!
//! - [`command`]: what a command is, and how its arguments are read;
//! - [`forwarding`], [`port`], [`show`], [`set`]: the commands, a list each;
//! - [`table`]: all lists, `help`, and how a line finds its command;
//! - [`line`]: where lines come from: a terminal or a pipe.
//!
//! A command is a function and its row in a list. A list of one's own is a file, and a line in [`table`].

mod command;
mod forwarding;
pub(crate) mod line;
mod port;
mod set;
mod show;
pub(crate) mod table;

pub(crate) use self::command::Hints;
