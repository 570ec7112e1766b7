//! The protocol on real threads, with memory that is really freed: Miri sees whoever touches it, or only
//! refers to it, behind that.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use platform::{AtomicUsize, Mutex, number};
use returns::{Orphans, Returns, Share, SlotCounts};

#[path = "../../../lm/landing/src/returns.rs"]
#[allow(dead_code, reason = "the pool's side is not all used here")]
mod returns;

/// What the protocol takes from the machine. Where another thread may free the segment, this one gives it the
/// time.
mod platform {
    use std::cell::Cell;
    pub(crate) use std::sync::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
    use std::thread;

    thread_local! {
        static CURRENT: Cell<u64> = const { Cell::new(0) };
    }

    pub(crate) fn current() -> u64 {
        CURRENT.with(Cell::get)
    }

    pub(crate) fn number() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        CURRENT.with(|current| {
            if current.get() == 0 {
                current.set(NEXT.fetch_add(1, Ordering::Relaxed));
            }
            current.get()
        })
    }

    pub(crate) fn add(counter: &AtomicU32, n: u32) {
        counter.fetch_add(n, Ordering::SeqCst);
        (0..20).for_each(|_| thread::yield_now());
    }

    pub(crate) fn light() {
        fence(Ordering::SeqCst);
        (0..20).for_each(|_| thread::yield_now());
    }

    pub(crate) fn heavy() -> bool {
        fence(Ordering::SeqCst);
        true
    }
}

const ROUNDS: usize = if cfg!(miri) { 10 } else { 2_000 };

struct Segment {
    returns: Returns,
    memory: Box<[u8]>,
    live: Arc<AtomicUsize>,
}

impl Share for Arc<Segment> {
    fn returns(&self) -> &Returns {
        &self.returns
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.memory.fill(0);
        self.live.fetch_sub(1, SeqCst);
    }
}

/// Slots of a message.
struct Hold {
    segment: *const Segment,
    n: u32,
    rest: u32,
    orphans: Arc<Orphans<Arc<Segment>>>,
}

// SAFETY: as that of the landing region: the segment lives until the last of its slots is back.
unsafe impl Send for Hold {}

impl Drop for Hold {
    fn drop(&mut self) {
        // SAFETY: alive, as its slots are not back.
        let bytes = unsafe { &(&(*self.segment).memory)[..] };
        assert!(bytes.iter().all(|&byte| byte == 7), "a held slot was overwritten");
        // SAFETY: as above; they are given back once.
        unsafe { Returns::give_back(&raw const (*self.segment).returns, 0, self.n, 1, self.rest) };
        self.orphans.look();
    }
}

/// The pool goes when its last slot has just come back, or a moment before, on a thread that is the owner or
/// is not.
#[test]
fn the_last_holder_and_the_pool_race() {
    let live = Arc::new(AtomicUsize::new(0));
    for round in 0..ROUNDS {
        let orphans = Arc::new(Orphans { list: Mutex::new(Vec::new()), count: AtomicUsize::new(0) });
        live.fetch_add(1, SeqCst);
        let segment = Arc::new(Segment {
            returns: Returns::new(2),
            memory: vec![7; 64].into(),
            live: Arc::clone(&live),
        });
        let hold = |rest| Hold { segment: Arc::as_ptr(&segment), n: 1, rest, orphans: Arc::clone(&orphans) };
        let holds = [hold(0), hold(1), hold(0)];
        let counts = [SlotCounts { issued: 3, returned: 0 }, SlotCounts { issued: 1, returned: 0 }];
        // One of the droppers is on the owner thread in every other round, the pool in the others.
        let dropper_is_owner = round % 2 == 0;
        if !dropper_is_owner {
            number();
            segment.returns.claim();
        }
        let settled = Arc::new(AtomicUsize::new(0));
        let mut droppers = Vec::new();
        for (i, hold) in holds.into_iter().enumerate() {
            let settled = Arc::clone(&settled);
            let segment = Arc::clone(&segment);
            droppers.push(thread::spawn(move || {
                if i == 0 && dropper_is_owner {
                    segment.returns.claim();
                }
                drop(segment);
                settled.fetch_add(1, SeqCst);
                while settled.load(SeqCst) < 3 {
                    thread::yield_now();
                }
                drop(hold);
            }));
        }
        while settled.load(SeqCst) < 3
            || (round % 3 == 0 && segment.returns.returned(0) + segment.returns.returned(1) < 4)
        {
            thread::yield_now();
        }
        orphans.let_go(segment, counts.into());
        droppers.into_iter().for_each(|dropper| dropper.join().expect("the dropper"));
        assert_eq!(live.load(SeqCst), 0, "round {round}: the segment is freed, once");
        assert_eq!(orphans.sweep(None), 0);
    }
}
