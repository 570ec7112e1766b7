//! The protocol by which held slots come back to their segment from any thread, and by which a segment whose
//! pool is gone is freed.
//!
//! Most messages are dropped on the lcore that polls the queue. A locked addition there would cost as much as
//! matching three frames. So one thread, the segment's *owner*, has counters of its own, which no other
//! thread writes. The owner is the thread that polled the queue first. It remains the owner even if the queue
//! moves to another thread; slots then come back by atomic addition.
//!
//! | who | does, in this order |
//! |---|---|
//! | a holder on the owner | reads the slots; stores its count (release); [`light`]; looks for orphans |
//! | a holder elsewhere | reads the slots; adds to the common count (a full barrier); looks for orphans |
//! | the pool, while it lives | loads both counts (acquire); gives the slots out again only if all are back |
//! | the pool, at its end | lists the segment as an orphan; [`heavy`]; frees it if all are back |
//! | a thread that sees orphans | frees those whose slots are all back |
//!
//! Either the holder sees the orphan, or the thread that listed it sees that the slots have come back. So the
//! later of the two frees the segment. After its last addition a holder does not touch the segment, and has
//! no live reference to it, because another thread may free it at that moment.
//!
//! This file is compiled three times: here, with the machine's atomics, and by `tests/returns`, under the
//! model checker and under Miri. So it uses nothing but [`platform`](super::platform).

use std::sync::PoisonError;

use super::platform::{
    AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering, add, current, fence, heavy, light, number,
};

/// How many slots of a chunk came back with holds.
#[derive(Default)]
#[repr(align(64))]
struct Chunk {
    /// Those from any thread but the owner.
    remote: AtomicU32,
    /// Those from the owner. Only that thread writes this count while a slot is out.
    local: AtomicU32,
}

/// What the queue's lcore counts of a chunk's slots.
#[derive(Clone, Copy, Default)]
pub(crate) struct SlotCounts {
    /// Slots issued since the chunk was entered.
    pub issued: u32,
    /// Slots that came back on the queue's lcore.
    pub returned: u32,
}

/// The number of no thread.
const NOBODY: u64 = u64::MAX;

/// The number of the one thread that counts without locked additions; [`NOBODY`] until a thread has polled.
struct OwnerThread(AtomicU64);

impl OwnerThread {
    /// Makes this thread the owner, unless there is one already.
    fn claim(&self) {
        let _ = self.0.compare_exchange(NOBODY, number(), Ordering::Relaxed, Ordering::Relaxed);
    }

    #[inline]
    fn is_current(&self) -> bool {
        self.0.load(Ordering::Relaxed) == current()
    }

    /// Whether a thread other than this one is the owner.
    fn is_another(&self) -> bool {
        let owner = self.0.load(Ordering::Relaxed);
        owner != NOBODY && owner != current()
    }
}

/// What came back of a segment, chunk by chunk.
pub(crate) struct Returns {
    chunks: Box<[Chunk]>,
    owner: OwnerThread,
}

impl Returns {
    pub(crate) fn new(chunks: usize) -> Self {
        Self {
            chunks: (0..chunks).map(|_| Chunk::default()).collect(),
            owner: OwnerThread(AtomicU64::new(NOBODY)),
        }
    }

    /// How many chunks there are.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Makes this thread the owner, if there is none. [`heavy`] has been made possible before.
    pub(crate) fn claim(&self) {
        self.owner.claim();
    }

    /// Slots that came back with holds since the chunk was entered.
    #[inline]
    pub(crate) fn returned(&self, chunk: usize) -> u32 {
        let Chunk { remote, local } = &self.chunks[chunk];
        // Acquire: what the holder read of the slots happened before they are given out again.
        remote.load(Ordering::Acquire) + local.load(Ordering::Acquire)
    }

    /// Sets the counts of a chunk to zero.
    pub(crate) fn enter(&self, chunk: usize) {
        // No slot is out, so nobody else writes these.
        self.chunks[chunk].remote.store(0, Ordering::Relaxed);
        self.chunks[chunk].local.store(0, Ordering::Relaxed);
    }

    /// Whether every issued slot is back.
    fn are_all_back(&self, counts: &[SlotCounts]) -> bool {
        counts.iter().enumerate().all(|(i, b)| b.issued == b.returned + self.returned(i))
    }

    /// `n` slots of the chunk `below` come back, and `rest` slots of the chunk `above`, if any. The caller
    /// then looks for orphans: [`Orphans::look`].
    ///
    /// # Safety
    /// `this` is alive, both chunks are its own, and the slots are out and given back by nobody else. It may
    /// be gone when this returns. (So this takes no reference, which would have to be valid until then.)
    #[inline]
    pub(crate) unsafe fn give_back(this: *const Self, below: usize, n: u32, above: usize, rest: u32) {
        // SAFETY: alive, as the slots are out; the references end here.
        let (chunks, on_owner) = unsafe { ((*this).chunks.as_ptr(), (*this).owner.is_current()) };
        let count = |chunk: usize, n: u32| {
            // SAFETY: one of its chunks, alive until the last addition. A reference to an atomic alone may
            // outlive what it refers to by the rest of the call that it was passed to.
            unsafe {
                let chunk = chunks.add(chunk);
                if on_owner {
                    // Not a read-modify-write: there is one writer.
                    let local = &raw const (*chunk).local;
                    let sum = (*local).load(Ordering::Relaxed) + n;
                    (*local).store(sum, Ordering::Release);
                } else {
                    add(&(*chunk).remote, n);
                }
            }
        };
        if rest > 0 {
            count(above, rest);
        }
        // After this, another thread that looks for orphans may free the segment.
        count(below, n);
        light();
    }
}

/// A share of a segment.
pub(crate) trait Share {
    /// The counts of what came back of the segment.
    fn returns(&self) -> &Returns;
}

/// A segment whose pool is gone.
pub(crate) struct Orphan<S> {
    segment: S,
    counts: Box<[SlotCounts]>,
    /// Its owner counts without barriers, and [`heavy`] has not been called since it was listed.
    unfenced: bool,
}

/// Segments whose pools are gone while slots of them are held.
pub(crate) struct Orphans<S> {
    pub list: Mutex<Vec<Orphan<S>>>,
    /// How many there are.
    pub count: AtomicUsize,
}

impl<S: Share> Orphans<S> {
    /// Lets a segment of a pool go. It is freed now, or when the last hold on it is dropped.
    pub(crate) fn let_go(&self, segment: S, counts: Box<[SlotCounts]>) {
        let unfenced = segment.returns().owner.is_another();
        self.sweep(Some(Orphan { segment, counts, unfenced }));
    }

    /// Is called by a thread that has just given slots back.
    #[inline]
    pub(crate) fn look(&self) {
        if self.count.load(Ordering::SeqCst) != 0 {
            self.sweep(None);
        }
    }

    /// Frees the orphans that nobody holds any more. Returns how many are left.
    #[cold]
    #[inline(never)]
    pub(crate) fn sweep(&self, added: Option<Orphan<S>>) -> usize {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.extend(added);
        self.count.store(list.len(), Ordering::SeqCst);
        // Either this thread sees slots that are being given back, or the thread that gives them back sees
        // the count and looks too.
        fence(Ordering::SeqCst);
        if list.iter().any(|orphan| orphan.unfenced) && heavy() {
            list.iter_mut().for_each(|orphan| orphan.unfenced = false);
        }
        let (free, held) = list.drain(..).partition::<Vec<_>, _>(|orphan| {
            !orphan.unfenced && orphan.segment.returns().are_all_back(&orphan.counts)
        });
        *list = held;
        let left = list.len();
        self.count.store(left, Ordering::SeqCst);
        drop(list);
        // Not under the lock: this may take long, and end EAL.
        drop(free);
        left
    }
}
