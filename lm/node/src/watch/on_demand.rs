//! [`OnDemand`]: where a loop shows something to whoever asks for it.
//!
//! A port's [`StatusBoard`](super::StatusBoard) has one for DPDK's telemetry, and lmd has one for its status.
//! The loop never waits for a reader. A reader waits for at most 100 ms, and then gets what was shown last.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a reader waits for the loop.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often it looks meanwhile.
const PAUSE: Duration = Duration::from_micros(200);

/// What a loop shows on demand, and when it showed it last. The loop looks at one flag in each turn, and
/// takes a lock only if nobody has it, so that it never waits for a reader.
#[derive(Debug, Default)]
pub struct OnDemand<T> {
    wanted: AtomicBool,
    seen: Mutex<Option<(Instant, Arc<T>)>>,
}

impl<T> OnDemand<T> {
    /// Nothing is shown yet.
    pub const fn new() -> Self {
        Self { wanted: AtomicBool::new(false), seen: Mutex::new(None) }
    }

    /// Whether somebody waits.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Shows this. If a reader has the lock at this moment, nothing changes, and the reader is served in the
    /// next turn.
    pub fn put(&self, shown: T) {
        let mut place = match self.seen.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        *place = Some((Instant::now(), Arc::new(shown)));
        self.wanted.store(false, Ordering::Relaxed);
    }

    /// Asks the loop to show something, and returns it with the time at which it was shown. If the loop shows
    /// nothing within 100 ms, this is what it showed last. `None`: it has never shown anything.
    pub fn look(&self) -> Option<(Instant, Arc<T>)> {
        let begun = Instant::now();
        self.wanted.store(true, Ordering::Relaxed);
        loop {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if seen.as_ref().is_some_and(|(at, _)| *at >= begun) || begun.elapsed() > PATIENCE {
                return seen;
            }
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_what_is_shown_after_it_asked() {
        let on_demand = OnDemand::new();
        on_demand.put(1);
        thread::scope(|scope| {
            let reader = scope.spawn(|| on_demand.look());
            while !on_demand.is_wanted() {
                thread::yield_now();
            }
            // The reader may have the lock at one moment, but not at each.
            while on_demand.is_wanted() {
                on_demand.put(2);
            }
            assert_eq!(reader.join().expect("no panic").map(|(_, shown)| *shown), Some(2));
        });
    }

    #[test]
    fn a_loop_that_stands_still_is_waited_for_in_vain() {
        let on_demand = OnDemand::new();
        assert!(on_demand.look().is_none());
        on_demand.put(1);
        let (at, shown) = on_demand.look().expect("the last one");
        assert!(at.elapsed() >= PATIENCE && *shown == 1, "nobody shows another one");
        // A reader that has the lock does not stop the loop.
        let held = on_demand.seen.lock().expect("nobody panicked");
        on_demand.put(2);
        drop(held);
        assert!(on_demand.is_wanted(), "the next turn shows it");
    }
}
