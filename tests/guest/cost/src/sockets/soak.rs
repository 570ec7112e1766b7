//! [`Soak`]: takes the time in which a processor has nothing to do, and counts it.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use crate::Failure;
use crate::end::yield_to_all;

/// Iterations between two counts.
const LOOP: u64 = 100;
/// Measurements of the loop's cost, of which the least is taken: the others were interrupted.
const TRIES: usize = 2000;

#[derive(Default)]
struct Shared {
    loops: AtomicU64,
    ending: AtomicBool,
}

/// A thread that runs when nothing else does.
pub(crate) struct Soak {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    /// Ticks of a loop.
    each: u64,
}

/// The time stamp counter. (`rte::ticks` is the same, and this program has nothing of DPDK.)
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// One loop, unless it is over. Returns whether it is not.
#[inline(never)]
fn once(shared: &Shared) -> bool {
    for i in 0..LOOP {
        black_box(i);
    }
    shared.loops.fetch_add(1, Ordering::Relaxed);
    !shared.ending.load(Ordering::Relaxed)
}

fn least(job: impl Fn()) -> u64 {
    let measured = (0..TRIES).map(|_| {
        let begin = ticks();
        job();
        ticks() - begin
    });
    measured.min().unwrap_or_default()
}

impl Soak {
    pub(crate) fn start() -> Result<Self, Failure> {
        let shared = Arc::new(Shared::default());
        let each = least(|| _ = once(&shared)).saturating_sub(least(|| ()));
        // What was measured is not idle time.
        shared.loops.store(0, Ordering::Relaxed);
        let theirs = Arc::clone(&shared);
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            let last = yield_to_all();
            let may = last.is_ok();
            _ = tell.send(last);
            while may && once(&theirs) {}
        });
        told.recv()??;
        Ok(Self { shared, thread, each })
    }

    /// Ticks that its loops have taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.shared.loops.load(Ordering::Relaxed) * self.each
    }

    pub(crate) fn stop(self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        drop(self.thread.join());
    }
}
