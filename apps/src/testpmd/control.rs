//! The control thread: it owns the ports, and everything that happens reaches it as an [`Event`].

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use crate::console::{complain, say};
use crate::testpmd::prompt;
use crate::testpmd::report;
use crate::testpmd::session::Session;

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

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As planned.
    Planned,
    /// By a signal.
    Signal,
}

/// How often links that are down are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often filters are looked at that may not steer.
const WATCH: Duration = Duration::from_millis(50);

/// Runs until a command, a signal, Enter or the end of forwarding ends it. `period` is that of statistics.
pub(crate) fn run(session: &mut Session, events: &Receiver<Event>, period: Option<Duration>) -> End {
    let interactive = session.options.interactive;
    let mut next_show = period.map(|p| Instant::now() + p);
    loop {
        let mut pause = Duration::from_secs(3600);
        if session.look_at_steering() {
            pause = WATCH;
        }
        if session.look_at_links() {
            pause = LOOK;
        }
        if let (Some(period), Some(show)) = (period, &mut next_show) {
            let now = Instant::now();
            if now >= *show {
                report::periodic(session);
                *show = now + period;
            }
            pause = pause.min(show.saturating_duration_since(now));
        }
        match events.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::Signal) => {
                say!("\nSignal received, preparing to exit...");
                return End::Signal;
            }
            Ok(Event::Enter) | Err(RecvTimeoutError::Disconnected) => return End::Planned,
            Ok(Event::Line(line, answer)) => {
                let next = command(session, &line);
                // The prompt may be gone: then so are we.
                if answer.send(next).is_err() || next == Next::Quit {
                    return End::Planned;
                }
            }
            // Of an earlier loop that was told to stop: nothing new.
            Ok(Event::Finished(run)) if !session.is_forwarding(run) => {}
            Ok(Event::Finished(_)) => {
                session.stop_forwarding();
                if !interactive {
                    return End::Planned;
                }
            }
        }
    }
}

/// Runs one command, and says why if it fails.
pub(crate) fn command(session: &mut Session, line: &str) -> Next {
    prompt::run(session, line).unwrap_or_else(|e| {
        complain(&e);
        Next::Command
    })
}
