//! [`Event`]: what reaches the control thread, from signals, from the prompt and from the forwarding loop.
//!
//! The senders are threads of their own. [`super::control`] receives the events in the order in which they
//! were sent.

use std::sync::mpsc::SyncSender;

/// Something that happened outside the control thread.
#[derive(Debug)]
pub(crate) enum Event {
    /// SIGINT, SIGTERM or SIGHUP.
    Signal,
    /// A line at the prompt; the answer is awaited.
    Line(String, SyncSender<Next>),
    /// Enter, without a prompt.
    Enter,
    /// The forwarding loop of this number has ended.
    Finished(u64),
}

/// What comes after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next one.
    Command,
    /// The end.
    Quit,
}
