//! A frame that a device is writing while somebody reads.
//!
//! A card or another process writes whenever it likes: each read may find a little more of the frame than the
//! one before. Frames are written from their start, in aligned words of 8 bytes, and a word once written
//! stays.

use super::random::Random;
use std::cell::{Cell, OnceCell, RefCell};

/// Reads between two calls that change something, at most: so many different pictures of memory are kept.
const VIEWS: usize = 2048;

/// A picture of memory that was handed out.
struct View {
    start: usize,
    written: usize,
    bytes: Box<[u8]>,
}

/// A frame under way.
struct Under {
    start: usize,
    bytes: Vec<u8>,
    written: Cell<usize>,
}

/// At most one frame under way, and what readers saw of it.
pub(super) struct Flight {
    under: Option<Under>,
    views: Vec<OnceCell<View>>,
    used: Cell<usize>,
    random: RefCell<Random>,
}

impl Flight {
    pub(super) fn new() -> Self {
        Self { under: None, views: Vec::new(), used: Cell::new(0), random: RefCell::new(Random::new(0)) }
    }

    /// How much of a frame a read finds follows from this number.
    pub(super) fn reseed(&mut self, seed: u64) {
        self.random = RefCell::new(Random::new(seed));
    }

    /// The device begins to write a frame at `start`.
    pub(super) fn begin(&mut self, start: usize, bytes: Vec<u8>) {
        if self.views.is_empty() {
            self.views.resize_with(VIEWS, OnceCell::new);
        }
        self.under = Some(Under { start, bytes, written: Cell::new(0) });
    }

    /// The frame under way is written: where, and its bytes.
    pub(super) fn end(&mut self) -> Option<(usize, Vec<u8>)> {
        self.forget();
        self.under.take().map(|under| (under.start, under.bytes))
    }

    /// Nobody has a picture any more.
    pub(super) fn forget(&mut self) {
        let used = self.used.replace(0);
        for view in &mut self.views[..used] {
            view.take();
        }
    }

    /// How many bytes of the frame at `start` are written, a moment after what was read before; `None`: it is
    /// not under way.
    pub(super) fn written(&self, start: usize) -> Option<usize> {
        let under = self.under.as_ref().filter(|under| under.start == start)?;
        under.go_on(&mut self.random.borrow_mut());
        Some(under.written.get())
    }

    /// What a read of `memory[start..start + len]` finds; `mirror`: bytes between two mappings, or 0.
    pub(super) fn read<'a>(&'a self, memory: &'a [u8], start: usize, len: usize, mirror: usize) -> &'a [u8] {
        let plain = &memory[start..start + len];
        let Some(under) = &self.under else { return plain };
        let size = under.bytes.len();
        let meets = |at: usize| at < start + len && start < at + size;
        let places = [Some(under.start), Some(under.start + mirror), under.start.checked_sub(mirror)];
        if !places.into_iter().flatten().any(meets) {
            return plain;
        }
        under.go_on(&mut self.random.borrow_mut());
        let written = under.written.get();
        let used = self.used.get();
        let same = |view: &&View| view.start == start && view.bytes.len() == len && view.written == written;
        if let Some(view) = self.views[..used].iter().filter_map(OnceCell::get).find(same) {
            return &view.bytes;
        }
        let view = self.views.get(used).expect("more reads of a frame under way than the mock keeps");
        self.used.set(used + 1);
        let bytes = || {
            let mut bytes = plain.to_vec();
            for at in places.into_iter().flatten() {
                let (from, to) = (at.max(start), (at + written).min(start + len));
                if from < to {
                    bytes[from - start..to - start].copy_from_slice(&under.bytes[from - at..to - at]);
                }
            }
            View { start, written, bytes: bytes.into() }
        };
        &view.get_or_init(bytes).bytes
    }
}

impl Under {
    /// Time passes: nothing, a word, or a part of the rest is written.
    fn go_on(&self, random: &mut Random) {
        let (written, size) = (self.written.get(), self.bytes.len());
        let more = match random.below(8) {
            0..=3 => 0,
            4 | 5 => 8,
            6 => random.below(size - written + 1),
            _ => size - written,
        };
        let to = (written + more).min(size);
        // A word is written as a whole.
        let to = if to < size { to - to.min((self.start + to) % 8) } else { size };
        self.written.set(to.max(written));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_a_prefix_that_grows_word_by_word() {
        for seed in 0..200 {
            let mut flight = Flight::new();
            flight.reseed(seed);
            let memory = vec![1; 400];
            flight.begin(102, vec![2; 90]);
            let mut before = 0;
            for _ in 0..40 {
                let all = flight.read(&memory, 90, 200, 0);
                let written = all.iter().map(|b| usize::from(*b - 1)).sum::<usize>();
                assert!(written >= before, "a word once written stays");
                assert!(all[12..12 + written].iter().all(|&b| b == 2), "from the start");
                assert!(written == 0 || written == 90 || (102 + written).is_multiple_of(8), "{written}");
                before = written;
            }
            assert_eq!(flight.read(&memory, 0, 102, 0), &memory[..102], "nothing else changes");
            assert_eq!(flight.end(), Some((102, vec![2; 90])));
        }
    }

    #[test]
    fn both_mappings_show_it() {
        let mut flight = Flight::new();
        let memory = vec![1; 400];
        flight.begin(120, vec![2; 16]);
        // Each read finds as much or more.
        for _ in 0..60 {
            let low = flight.read(&memory, 120, 16, 200).to_vec();
            let high = flight.read(&memory, 320, 16, 200);
            assert!(low.iter().zip(high).all(|(l, h)| l <= h));
        }
        assert_eq!(flight.read(&memory, 320, 16, 200), &[2; 16]);
    }
}
