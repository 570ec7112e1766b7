//! Holders, pools and orphans, in every order of their steps.
//!
//! A segment's memory is a cell that the checker watches: holders read it before they give slots back; who
//! frees the segment, or gives its slots out again, writes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as Tally, Ordering::Relaxed};

use loom::cell::UnsafeCell;
use loom::thread;

use crate::platform::{AtomicUsize, Mutex, be};
use crate::returns::{Orphans, Returns, Share, SlotCounts};

/// The thread that polled the queue first.
const OWNER: u64 = 1;

struct Segment {
    returns: Returns,
    memory: UnsafeCell<u8>,
    freed: Tally,
}

// SAFETY: the cell is what other threads reach; that they do so one behind the other is what the checker is
// asked.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

/// The pool's share of it. (The memory itself stays, so that the model can look at what became of it.)
struct Pools(Arc<Segment>);

impl Share for Pools {
    fn returns(&self) -> &Returns {
        &self.0.returns
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        self.0.overwrite();
        self.0.freed.fetch_add(1, Relaxed);
    }
}

impl Segment {
    fn new(chunks: usize) -> Arc<Self> {
        let returns = Returns::new(chunks);
        be(OWNER);
        returns.claim();
        be(0);
        Arc::new(Self { returns, memory: UnsafeCell::new(0), freed: Tally::new(0) })
    }

    fn overwrite(&self) {
        // SAFETY: a byte of ours; that nobody reads it meanwhile is what the checker is asked.
        self.memory.with_mut(|byte| unsafe { *byte += 1 });
    }

    /// What a message's reader does.
    fn read(&self) {
        // SAFETY: as above.
        self.memory.with(|byte| unsafe { std::hint::black_box(*byte) });
    }
}

fn orphanage() -> Arc<Orphans<Pools>> {
    Arc::new(Orphans { list: Mutex::new(Vec::new()), count: AtomicUsize::new(0) })
}

/// Slots of a message: `n` in chunk 0, `rest` in chunk 1.
struct Hold {
    segment: Arc<Segment>,
    n: u32,
    rest: u32,
}

impl Hold {
    /// Dropped on a thread of this number.
    fn drop_on(self, number: u64, orphans: &Arc<Orphans<Pools>>) -> thread::JoinHandle<()> {
        let orphans = Arc::clone(orphans);
        thread::spawn(move || {
            be(number);
            self.segment.read();
            let above = usize::from(self.rest > 0);
            // SAFETY: it lives as long as `self`, and the slots are this hold's.
            unsafe { Returns::give_back(&raw const self.segment.returns, 0, self.n, above, self.rest) };
            orphans.look();
        })
    }
}

/// The pool goes, on this thread, while messages are dropped on others: the segment is freed once, behind all
/// reads. `holds`: where each is dropped, and its slots in two chunks. `here`: the number of the pool's
/// thread.
fn pool_goes(here: u64, holds: &'static [(u64, u32, u32)], preemptions: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(move || {
        let segment = Segment::new(2);
        let orphans = orphanage();
        be(here);
        let droppers: Vec<_> = holds
            .iter()
            .map(|&(on, n, rest)| Hold { segment: Arc::clone(&segment), n, rest }.drop_on(on, &orphans))
            .collect();
        let sum = |f: fn(&(u64, u32, u32)) -> u32| holds.iter().map(f).sum();
        let counts = [
            SlotCounts { issued: sum(|h| h.1) + 1, returned: 1 },
            SlotCounts { issued: sum(|h| h.2), returned: 0 },
        ];
        orphans.let_go(Pools(Arc::clone(&segment)), counts.into());
        droppers.into_iter().for_each(|dropper| dropper.join().expect("the dropper"));
        assert_eq!(segment.freed.load(Relaxed), 1, "freed once, and without anybody who comes to look");
        assert_eq!(orphans.sweep(None), 0, "nothing is left");
    });
}

/// A message is dropped on the owner thread, where no barrier is paid, while the pool goes elsewhere.
pub(crate) fn dropped_on_the_owner_thread() {
    pool_goes(2, &[(OWNER, 1, 0)], None);
}

/// A message is dropped elsewhere while the pool goes on the owner thread.
pub(crate) fn dropped_elsewhere() {
    pool_goes(OWNER, &[(3, 1, 0)], None);
}

/// Messages are dropped in both places, and one lies over two chunks.
pub(crate) fn dropped_everywhere() {
    pool_goes(2, &[(OWNER, 2, 1), (3, 1, 0)], Some(3));
}

/// Slots come back on the owner thread and elsewhere while the pool lives: they are given out again only
/// behind all reads.
pub(crate) fn slots_are_used_again() {
    loom::model(|| {
        let segment = Segment::new(1);
        let orphans = orphanage();
        be(2);
        let hold = || Hold { segment: Arc::clone(&segment), n: 1, rest: 0 };
        let droppers = [hold().drop_on(OWNER, &orphans), hold().drop_on(3, &orphans)];
        let entered = segment.returns.returned(0) == 2;
        if entered {
            segment.returns.enter(0);
            segment.overwrite();
        }
        droppers.into_iter().for_each(|dropper| dropper.join().expect("the dropper"));
        assert_eq!(segment.returns.returned(0), if entered { 0 } else { 2 });
    });
}

/// Two pools go at once, on two threads, while a message of each is dropped on the owner thread.
pub(crate) fn two_pools_go() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let segments = [Segment::new(1), Segment::new(1)];
        let orphans = orphanage();
        let [first, second] = segments.each_ref().map(|s| Hold { segment: Arc::clone(s), n: 1, rest: 0 });
        let counts = || [SlotCounts { issued: 1, returned: 0 }].into();
        let (a, b) = (Pools(Arc::clone(&segments[0])), Pools(Arc::clone(&segments[1])));
        let dropper = {
            let orphans = Arc::clone(&orphans);
            thread::spawn(move || {
                be(OWNER);
                for hold in [first, second] {
                    hold.segment.read();
                    // SAFETY: as in `drop_on`.
                    unsafe { Returns::give_back(&raw const hold.segment.returns, 0, 1, 0, 0) };
                    orphans.look();
                }
            })
        };
        let other = {
            let orphans = Arc::clone(&orphans);
            thread::spawn(move || {
                be(3);
                orphans.let_go(a, counts());
            })
        };
        be(2);
        orphans.let_go(b, counts());
        dropper.join().expect("the dropper");
        other.join().expect("the other pool");
        assert!(segments.iter().all(|s| s.freed.load(Relaxed) == 1), "each is freed once");
    });
}
