//! The memory that a queue lands in: segments cut into chunks, each of which knows who still needs it.
//!
//! A slot belongs to the chunk in which its payload starts. A chunk is entered again only when every slot cut
//! from it has come back. Slots come back on the queue's lcore (in its books) or with a [`Hold`] that some thread
//! drops: one addition for each chunk it touches, and nothing afterwards, as the segment may be gone by then. The
//! addition is atomic but on one thread, the segment's [`home`](crate::home), which has a count of its own.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, compiler_fence, fence};
use std::sync::{Arc, Mutex, PoisonError};

use rte::Eal;

use crate::home::{Home, ThreadId};
use crate::memory::Memory;

/// Bytes of a chunk, the unit of reuse.
pub const CHUNK: usize = 128 << 10;
const SHIFT: u32 = CHUNK.trailing_zeros();

/// Who still needs a chunk.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Chunk {
    /// Slots that came back with holds, from any thread but the segment's home.
    remote: AtomicU32,
    /// Slots that came back with holds at home: only that thread writes it while a slot is out.
    local: AtomicU32,
}

/// The lcore's side of a chunk's books.
#[derive(Clone, Copy, Default)]
pub(crate) struct Books {
    /// Slots cut since the chunk was entered.
    pub cut: u32,
    /// Slots that came back on the queue's lcore.
    pub back: u32,
}

/// A contiguous piece of landing region.
pub(crate) struct Segment {
    pub memory: Memory,
    /// First address that belongs to chunk 0.
    pub base: usize,
    /// Bytes of all chunks; the distance of the two mappings if there are two.
    pub len: usize,
    pub chunks: Box<[Chunk]>,
    pub home: Home,
    _eal: Eal,
}

impl Segment {
    pub(crate) fn new(eal: &Eal, memory: Memory) -> Self {
        let (base, len) = (memory.base(), memory.len() / CHUNK * CHUNK);
        let chunks = (0..len / CHUNK).map(|_| Chunk::default()).collect();
        Self { memory, base, len, chunks, home: Home::default(), _eal: eal.clone() }
    }

    /// Whether `len` bytes at `at` lie in the memory, under either of its addresses.
    #[inline(always)]
    pub(crate) fn covers(&self, at: usize, len: usize) -> bool {
        at.wrapping_sub(self.memory.base()) <= self.memory.span().wrapping_sub(len)
            && len <= self.memory.span()
    }

    /// How far a slot's payload lies above the first chunk's start, whichever of its addresses this is.
    #[inline(always)]
    fn offset(&self, at: usize) -> usize {
        let offset = at - self.base;
        if offset >= self.len { offset - self.len } else { offset }
    }

    /// The chunk in which a slot's payload starts.
    #[inline(always)]
    pub(crate) fn chunk_of(&self, at: usize) -> usize {
        self.offset(at) >> SHIFT
    }

    /// Slots that came back with holds since the chunk was entered.
    #[inline]
    pub(crate) fn returned(&self, chunk: usize) -> u32 {
        let Chunk { remote, local } = &self.chunks[chunk];
        // Acquire: what the holder read of the slots happened before they are given out again.
        remote.load(Ordering::Acquire) + local.load(Ordering::Acquire)
    }

    pub(crate) fn enter(&self, chunk: usize) {
        // No slot is out, so nobody else writes these.
        self.chunks[chunk].remote.store(0, Ordering::Relaxed);
        self.chunks[chunk].local.store(0, Ordering::Relaxed);
    }

    /// How many of `n` slots, `stride` apart upwards from `lowest`, lie in the chunk of the lowest.
    #[inline(always)]
    pub(crate) fn in_lower_chunk(&self, lowest: usize, n: u32, stride: usize) -> u32 {
        let offset = lowest - self.base;
        let top = (offset >> SHIFT << SHIFT) + CHUNK;
        let span = (n as usize - 1) * stride;
        if offset + span < top { n } else { ((top - offset - 1) / stride + 1) as u32 }
    }

    #[inline(always)]
    fn give_back(&self, lowest: usize, n: u32, stride: usize) {
        let offset = self.offset(lowest);
        let chunk = offset >> SHIFT;
        // Nearly always: at home, and all in one chunk.
        if self.home.is_here() && (offset + (n as usize - 1) * stride) >> SHIFT == chunk {
            self.count_local(chunk, n);
        } else {
            self.give_back_apart(lowest, n, stride);
        }
        // What a fence would do is done by the barrier in `let_go`.
        compiler_fence(Ordering::SeqCst);
    }

    #[inline(never)]
    fn give_back_apart(&self, lowest: usize, n: u32, stride: usize) {
        let here = self.in_lower_chunk(lowest, n, stride);
        let (below, above) = (self.chunk_of(lowest), self.chunk_of(lowest + here as usize * stride));
        // After the last of these additions `self` may be freed by whoever sweeps the orphans. This thread's reads of
        // the slots happen before the pool gives them out again.
        if self.home.is_here() {
            if here < n {
                self.count_local(above, n - here);
            }
            self.count_local(below, here);
        } else {
            if here < n {
                self.chunks[above].remote.fetch_add(n - here, Ordering::SeqCst);
            }
            self.chunks[below].remote.fetch_add(here, Ordering::SeqCst);
        }
    }

    /// Not a read-modify-write: there is one writer.
    #[inline(always)]
    fn count_local(&self, chunk: usize, n: u32) {
        let local = &self.chunks[chunk].local;
        local.store(local.load(Ordering::Relaxed) + n, Ordering::Release);
    }
}

/// Slots of a delivered datagram. Dropping it, on any thread, gives them back to their region, which lives as
/// long as a hold on it does.
pub struct Hold {
    segment: *const Segment,
    lowest: usize,
    n: u32,
    stride: u32,
}

// SAFETY: a hold only reads its segment's layout and adds to its atomics; the segment lives until every slot
// is back (see `Orphan`), whatever thread that happens on.
unsafe impl Send for Hold {}
// SAFETY: nothing can be done with a shared hold.
unsafe impl Sync for Hold {}

impl Hold {
    pub(crate) fn new(segment: &Arc<Segment>, lowest: usize, n: u32, stride: usize) -> Self {
        Self { segment: Arc::as_ptr(segment), lowest, n, stride: stride as u32 }
    }

    /// `len` bytes at `at`, if they lie in the held slots.
    #[inline]
    pub fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        let end = self.lowest + self.n as usize * self.stride as usize;
        if at < self.lowest || len > end.saturating_sub(at) {
            return None;
        }
        // SAFETY: inside slots that were landed whole and are held: nobody writes them, and their memory lives.
        Some(unsafe { std::slice::from_raw_parts(at as *const u8, len) })
    }

    /// The address for devices of `len` bytes at `at`, if devices can read them at one go.
    pub fn iova(&self, at: usize, len: usize) -> Option<u64> {
        // SAFETY: the segment lives while a slot of it is held.
        let memory = unsafe { &(*self.segment).memory };
        memory.is_sendable(at, len).then(|| memory.iova(at)).flatten()
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the segment lives until the last of its slots is back, and these are not.
        unsafe { &*self.segment }.give_back(self.lowest, self.n, self.stride as usize);
        if ORPHANED.load(Ordering::SeqCst) != 0 {
            sweep();
        }
    }
}

/// A segment whose pool is gone while slots of it are held.
struct Orphan {
    segment: Arc<Segment>,
    books: Box<[Books]>,
}

static ORPHANS: Mutex<Vec<Orphan>> = Mutex::new(Vec::new());
static ORPHANED: AtomicUsize = AtomicUsize::new(0);

fn is_idle(segment: &Segment, books: &[Books]) -> bool {
    books.iter().enumerate().all(|(i, b)| b.cut == b.back + segment.returned(i))
}

/// The pool lets go of a segment: freed now, or when the last hold on it is dropped.
pub(crate) fn let_go(segment: Arc<Segment>, books: Box<[Books]>) {
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    let home = segment.home.thread();
    orphans.push(Orphan { segment, books });
    ORPHANED.store(orphans.len(), Ordering::SeqCst);
    drop(orphans);
    if home.is_some_and(|home| home != ThreadId::current()) {
        crate::home::barrier();
    }
    sweep();
}

/// Frees the orphans that nobody holds any more.
fn sweep() {
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    // Either this sees a hold that is being dropped, or its dropper sees ORPHANED and sweeps.
    fence(Ordering::SeqCst);
    let (free, held) = orphans.drain(..).partition(|o| is_idle(&o.segment, &o.books));
    *orphans = held;
    ORPHANED.store(orphans.len(), Ordering::SeqCst);
    drop(orphans);
    drop::<Vec<Orphan>>(free);
}

/// Regions that live only because messages in them do.
pub fn orphans() -> usize {
    sweep();
    ORPHANED.load(Ordering::SeqCst)
}
