//! [`Turns`]: how DPDK's interrupt thread waits for the end of the bursts that are under way.
//!
//! When a peer of net_memif goes away, the interrupt thread marks the port as not connected, and then unmaps
//! the peer's memory. The driver's burst functions look at the mark when they begin. So a burst that began
//! before touches memory that is gone, and the process ends by SIGSEGV (all releases from 22.11 to 26.07).
//! Each burst of net_memif is therefore a *turn*, which [`RxQueue`](super::RxQueue) and
//! [`TxQueue`](super::TxQueue) begin and end. [`let_turns_end`] waits for those that have begun. A program
//! calls it before it unmaps, by an own munmap(2) (`crate::unmap`).
//!
//! A turn costs two stores, because the waiting side alone pays for the [barrier].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::PortId;
use super::info::driver_of;
use crate::barrier;

/// The turns of one queue: an odd number while a burst is under way.
#[derive(Debug, Default)]
pub(super) struct Turns(AtomicUsize);

/// The queues whose bursts are turns.
static ALL: Mutex<Vec<Weak<Turns>>> = Mutex::new(Vec::new());

/// How long the interrupt thread waits at most. A burst takes microseconds, but its thread can lose its
/// processor.
const LONGEST: Duration = Duration::from_secs(5);

impl Turns {
    /// For a queue of this port. `None`: its driver unmaps nothing while bursts are under way, or this kernel
    /// has no membarrier(2).
    pub(super) fn of(id: PortId) -> Option<Arc<Self>> {
        let unmaps = driver_of(id)? == "net_memif";
        if !unmaps {
            return None;
        }
        if let Err(e) = barrier::register() {
            log::debug!("bursts of net_memif are no turns, as membarrier(2) cannot be registered: {e}");
            return None;
        }
        Some(Self::new())
    }

    fn new() -> Arc<Self> {
        let turns = Arc::new(Self::default());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|turns| turns.strong_count() > 0);
        all.push(Arc::downgrade(&turns));
        turns
    }

    /// Does `burst` as a turn. One thread at a time calls this.
    #[inline]
    pub(super) fn during<T>(&self, burst: impl FnOnce() -> T) -> T {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(1), Ordering::Relaxed);
        barrier::light();
        let result = burst();
        self.0.store(before.wrapping_add(2), Ordering::Release);
        result
    }

    /// Waits until the turn that is under way, if there is one, has ended. False: it has not by `deadline`.
    fn wait(&self, deadline: Instant) -> bool {
        let seen = self.0.load(Ordering::Acquire);
        while seen % 2 == 1 && self.0.load(Ordering::Acquire) == seen {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        true
    }
}

/// On DPDK's interrupt thread: waits until all bursts of net_memif that have begun have ended. On any other
/// thread it does nothing.
pub fn let_turns_end() {
    // SAFETY: compares the calling thread with the interrupt thread.
    if unsafe { dpdk_sys::rte_thread_is_intr() } != 0 {
        wait_for_all();
    }
}

/// Whether all turns that had begun have ended.
fn wait_for_all() -> bool {
    // From here on, either this thread sees the turn of a burst, or the burst sees what this thread did.
    if let Err(e) = barrier::heavy() {
        log::debug!("no burst of net_memif is waited for, as membarrier(2) fails: {e}");
        return false;
    }
    let turns: Vec<_> = {
        let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    };
    let deadline = Instant::now() + LONGEST;
    let ended = turns.iter().all(|turns| turns.wait(deadline));
    if !ended {
        log::error!("a burst of net_memif has lasted for {LONGEST:?}, and its peer's memory goes now");
    }
    ended
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_turn_under_way_is_waited_for_and_the_next_one_is_not() {
        barrier::register().unwrap();
        let turns = Turns::new();
        assert!(wait_for_all(), "none is under way");
        let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|threads| {
            threads.spawn(|| {
                turns.during(|| {
                    begun.store(true, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(50));
                    over.store(true, Ordering::SeqCst);
                });
                turns.during(|| std::thread::sleep(Duration::from_millis(50)));
            });
            while !begun.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            assert!(wait_for_all() && over.load(Ordering::SeqCst));
        });
        assert!(!{
            turns.0.fetch_add(1, Ordering::SeqCst);
            turns.wait(Instant::now())
        });
        drop(turns);
        assert!(wait_for_all(), "a queue that is gone has none");
    }
}
