//! [`Progress`]: lines on standard error that say how far a run has come.
//!
//! The initiator calls [`Progress::step`] when all transports have finished a size, which is between two
//! measurements. A line is written at most every two seconds, and for the last size.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::options::Options;
use crate::console::complain;

/// The least time between two lines.
const PERIOD: Duration = Duration::from_secs(2);

/// How many of a run's sizes are done.
pub(crate) struct Progress {
    is_shown: bool,
    sizes: usize,
    done: usize,
    began: Instant,
    last_line: Instant,
}

impl Progress {
    /// A run over so many sizes begins. Lines are shown on a terminal, elsewhere with `--progress` only.
    pub(crate) fn new(options: &Options, sizes: usize) -> Self {
        let is_shown = options.progress || std::io::stderr().is_terminal();
        Self { is_shown, sizes, done: 0, began: Instant::now(), last_line: Instant::now() }
    }

    /// One more size is done.
    pub(crate) fn step(&mut self, size: usize) {
        self.done += 1;
        if self.is_shown && (self.last_line.elapsed() > PERIOD || self.done == self.sizes) {
            self.last_line = Instant::now();
            let left = self.began.elapsed() * (self.sizes - self.done) as u32 / self.done as u32;
            complain(&format!(
                "{} of {} sizes, {size} bytes last, {} s left",
                self.done,
                self.sizes,
                left.as_secs()
            ));
        }
    }
}
