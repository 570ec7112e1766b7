//! The control thread's loop: it handles one [`Event`] after another, and in between does periodic work.
//!
//! [`super::work`] calls [`run`] when the ports are started. The loop receives no frames: it runs commands,
//! shows statistics, and looks at links and filters that are not ready. All of [`Session`] belongs to this
//! thread.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::console::say;
use crate::testpmd::event::{Event, Next};
use crate::testpmd::prompt::table;
use crate::testpmd::report;
use crate::testpmd::session::Session;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As planned.
    Planned,
    /// By a signal.
    Signal,
}

/// The time between two looks at links that are down.
const LINK_PERIOD: Duration = Duration::from_millis(5);
/// The time between two looks at filters of which it is not known yet whether they steer.
const STEERING_PERIOD: Duration = Duration::from_millis(50);

/// Runs until a command, a signal, Enter or the end of forwarding ends it. `period` is that of statistics.
pub(crate) fn run(session: &mut Session, events: &Receiver<Event>, period: Option<Duration>) -> End {
    let interactive = session.options.interactive;
    let mut next_show = period.map(|p| Instant::now() + p);
    loop {
        let mut pause = Duration::from_secs(3600);
        if session.look_at_steering() {
            pause = STEERING_PERIOD;
        }
        if session.look_at_links() {
            pause = LINK_PERIOD;
        }
        if let (Some(period), Some(show)) = (period, &mut next_show) {
            let now = Instant::now();
            if now >= *show {
                show_statistics(session);
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
                let next = table::run(session, &line);
                // A prompt that is gone sends no more lines: the program ends.
                if answer.send(next).is_err() || next == Next::Quit {
                    return End::Planned;
                }
            }
            // This is the end of an earlier loop, which was stopped: there is nothing to do.
            Ok(Event::Finished(run)) if !session.is_forwarding(run) => {}
            Ok(Event::Finished(_)) => {
                if let Some(runs) = session.stop_forwarding() {
                    report::forwarding(&runs);
                }
                if !interactive {
                    return End::Planned;
                }
            }
        }
    }
}

/// What `--stats-period` shows.
fn show_statistics(session: &mut Session) {
    session.ports.iter_mut().for_each(report::nic);
    for (port, (tally, _)) in session.ports.iter().zip(session.tallies()) {
        report::lm(port.id(), &tally);
    }
}
