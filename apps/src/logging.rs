//! The log, on standard error. Records are held back until the start has succeeded.
//!
//! The three programs call [`begin`] when their options are parsed, and [`release`] when their ports are
//! ready. If the start fails, the one line that says so has DPDK's warnings, which [`complaints`] returns. At
//! most 1,000 records are held back; the oldest are dropped first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::console;

static LOGGER: Logger =
    Logger { state: Mutex::new(State { held: Some(VecDeque::new()), dpdk: Level::Warn }) };

/// Records held back at most.
const HELD: usize = 1000;

struct Logger {
    state: Mutex<State>,
}

struct State {
    /// `None`: records go out at once.
    held: Option<VecDeque<Held>>,
    /// The least important level of DPDK's own log that is shown.
    dpdk: Level,
}

struct Held {
    level: Level,
    dpdk: bool,
    text: String,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info && !metadata.target().starts_with("rustyline")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let dpdk = record.target().strip_prefix("dpdk").map(|t| t.trim_start_matches(':'));
        let mut state = self.lock();
        // Telemetry warns at each start that an old interface is not in use.
        let usual = dpdk == Some("telemetry") && record.level() == Level::Warn;
        if dpdk.is_some() && (record.level() > state.dpdk || usual && state.dpdk == Level::Warn) {
            return;
        }
        let text = match dpdk {
            Some(part) if !part.is_empty() => format!("{}: {}", part.to_uppercase(), record.args()),
            _ => record.args().to_string(),
        };
        let Some(held) = &mut state.held else {
            // A slow reader of standard error must not hold up threads that only wait for this lock.
            drop(state);
            return console::complain(&text);
        };
        // An attempt that is repeated complains again with the same text.
        if held.back().is_none_or(|last| last.text != text) {
            if held.len() == HELD {
                held.pop_front();
            }
            held.push_back(Held { level: record.level(), dpdk: dpdk.is_some(), text });
        }
    }

    fn flush(&self) {}
}

impl Logger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to hold records back. `verbose`: show all that DPDK lets through, not only its warnings.
pub(crate) fn begin(verbose: bool) {
    if verbose {
        LOGGER.lock().dpdk = Level::Info;
    }
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// The start has succeeded: writes what was held back, and the rest at once from now on.
pub(crate) fn release() {
    let held = LOGGER.lock().held.take();
    held.into_iter().flatten().for_each(|record| console::complain(&record.text));
}

/// DPDK's warnings and errors so far, oldest first, each once. Empty after [`release`].
pub(crate) fn complaints() -> String {
    let state = LOGGER.lock();
    let mut texts: Vec<&str> = Vec::new();
    for held in state.held.iter().flatten().filter(|r| r.dpdk && r.level <= Level::Warn) {
        if rte::log::explains(&held.text) && !texts.contains(&held.text.as_str()) {
            texts.push(&held.text);
        }
    }
    texts.join("; ")
}
