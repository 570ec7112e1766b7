//! [`Work`]: what a matcher asks of its slot memory, counted.
//!
//! The mock counts, and the tests of what a frame may cost read it. Counts do not depend on the machine or
//! its load, as times do.

use std::cell::Cell;
use std::ops::Sub;

/// The work since a mock was made. If the mean per frame grows with the number of frames that wait, a sender
/// can choose what a frame costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Frames handed to the matcher.
    pub frames: u64,
    /// Headers read: calls of `headers`, `front` and `frame`.
    pub headers: u64,
    /// Bytes of payload handed out by `bytes`, to be summed or copied.
    pub bytes: u64,
    /// Calls of `bytes`.
    pub reads: u64,
    /// Bytes of whole frames handed out by `frame`. No more than these are parsed or copied into the
    /// reassembler.
    pub whole: u64,
    /// Buffers taken.
    pub takes: u64,
    /// Bytes of datagrams delivered by a copy.
    pub copied: u64,
}

impl Sub for Work {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            frames: self.frames - before.frames,
            headers: self.headers - before.headers,
            bytes: self.bytes - before.bytes,
            reads: self.reads - before.reads,
            whole: self.whole - before.whole,
            takes: self.takes - before.takes,
            copied: self.copied - before.copied,
        }
    }
}

impl Work {
    /// The mean over this many frames, with names.
    pub fn per_frame(&self, frames: u64) -> [(&'static str, f64); 6] {
        let n = frames.max(1) as f64;
        [
            ("headers", self.headers as f64 / n),
            ("bytes", self.bytes as f64 / n),
            ("reads", self.reads as f64 / n),
            ("whole", self.whole as f64 / n),
            ("takes", self.takes as f64 / n),
            ("copied", self.copied as f64 / n),
        ]
    }
}

/// The counters of [`Work`], which can be changed through `&self`.
#[derive(Default)]
pub(super) struct Meter(Cell<Work>);

impl Meter {
    pub(super) fn count(&self, change: impl FnOnce(&mut Work)) {
        let mut work = self.0.get();
        change(&mut work);
        self.0.set(work);
    }

    pub(super) fn work(&self) -> Work {
        self.0.get()
    }
}
