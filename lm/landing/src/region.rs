//! The memory of a landing queue: segments that are divided into chunks, with counts of the slots in use.
//!
//! A slot belongs to the chunk in which its payload starts. A chunk is entered again only when every slot
//! issued from it has come back. Slots come back on the queue's lcore, which counts them, or with a [`Hold`]
//! that some thread drops, by the protocol of `returns`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lm_proto::frame::FRONT;
use rte::Eal;

use crate::memory::Memory;
use crate::returns::{Orphans, Returns, Share, SlotCounts};

/// Bytes of a chunk, the unit of reuse.
pub const CHUNK: usize = 128 << 10;
const SHIFT: u32 = CHUNK.trailing_zeros();

/// A contiguous piece of landing region.
pub(crate) struct Segment {
    pub memory: Memory,
    /// The first address of chunk 0.
    pub base: usize,
    /// Bytes of all chunks. If there are two mappings, this is their distance.
    pub len: usize,
    pub returns: Returns,
    /// Counts the bytes of datagrams in pieces that were copied together.
    joined: Arc<JoinedCount>,
    _eal: Eal,
}

/// Datagrams that were delivered in pieces, and copied together because somebody wanted one slice.
#[derive(Debug, Default)]
pub struct JoinedCount {
    datagrams: AtomicU64,
    bytes: AtomicU64,
}

impl JoinedCount {
    /// Counts one more datagram, of this many bytes.
    fn add(&self, bytes: usize) {
        self.datagrams.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The number of datagrams so far, and their bytes.
    pub fn so_far(&self) -> (u64, u64) {
        (self.datagrams.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl Segment {
    pub(crate) fn new(eal: &Eal, memory: Memory, joined: Arc<JoinedCount>) -> Self {
        let (base, len) = (memory.base(), memory.len() / CHUNK * CHUNK);
        Self { memory, base, len, returns: Returns::new(len / CHUNK), joined, _eal: eal.clone() }
    }

    /// Whether `len` bytes at `at` lie in the memory, under either of its addresses.
    #[inline]
    pub(crate) fn covers(&self, at: usize, len: usize) -> bool {
        at.wrapping_sub(self.memory.base()) <= self.memory.span().wrapping_sub(len)
            && len <= self.memory.span()
    }

    /// How far a slot's payload lies above the first chunk's start, whichever of its addresses this is.
    #[inline]
    fn offset(&self, at: usize) -> usize {
        let offset = at - self.base;
        if offset >= self.len { offset - self.len } else { offset }
    }

    /// The chunk in which a slot's payload starts.
    #[inline]
    pub(crate) fn chunk_of(&self, at: usize) -> usize {
        self.offset(at) >> SHIFT
    }

    /// How many of `n` slots, `stride` apart upwards from `lowest`, lie in the chunk of the lowest.
    #[inline]
    pub(crate) fn in_lower_chunk(&self, lowest: usize, n: u32, stride: usize) -> u32 {
        let offset = lowest - self.base;
        let top = (offset >> SHIFT << SHIFT) + CHUNK;
        let span = (n as usize - 1) * stride;
        if offset + span < top { n } else { ((top - offset - 1) / stride + 1) as u32 }
    }

    /// Takes back `n` slots, `stride` apart upwards from `lowest`.
    ///
    /// # Safety
    /// The segment is alive; these slots of it are out, and nobody else gives them back. It may be gone when
    /// this returns.
    #[inline]
    unsafe fn give_back(this: *const Self, lowest: usize, n: u32, stride: usize) {
        // SAFETY: alive, as slots are out; the reference ends before the first of them is given back.
        let (below, here, above) = unsafe { (*this).chunks_of(lowest, n, stride) };
        // SAFETY: as above, and the caller's promise.
        unsafe { Returns::give_back(&raw const (*this).returns, below, here, above, n - here) };
    }

    /// The chunk of the lowest of `n` slots, how many are in it, and the chunk of the others.
    #[inline]
    fn chunks_of(&self, lowest: usize, n: u32, stride: usize) -> (usize, u32, usize) {
        let offset = self.offset(lowest);
        let below = offset >> SHIFT;
        // Nearly always all slots lie in one chunk.
        if (offset + (n as usize - 1) * stride) >> SHIFT == below {
            return (below, n, below);
        }
        let here = self.in_lower_chunk(lowest, n, stride);
        (below, here, self.chunk_of(lowest + here as usize * stride))
    }
}

impl Share for Arc<Segment> {
    fn returns(&self) -> &Returns {
        &self.returns
    }
}

/// Slots of a delivered datagram. Dropping it, on any thread, gives them back to their region, which lives as
/// long as a hold on it does.
pub struct Hold {
    segment: *const Segment,
    lowest: usize,
    /// Bytes from there on that were landed.
    reach: u32,
    n: u32,
    stride: u32,
}

// SAFETY: a hold only reads its segment's layout and adds to its atomics; the segment lives until every slot
// is back (see `Orphans`), whatever thread that happens on.
unsafe impl Send for Hold {}
// SAFETY: nothing can be done with a shared hold.
unsafe impl Sync for Hold {}

impl Hold {
    /// `n` slots, `stride` apart upwards from `lowest`, in which `reach` bytes were landed.
    ///
    /// # Safety
    /// The slots are the segment's, with room for as many bytes, and take no more than a chunk's. They were
    /// landed whole, nobody else gives them back, and no device writes these bytes any more, but for the
    /// first [`FRONT`].
    #[inline]
    pub(crate) unsafe fn new(
        segment: &Arc<Segment>,
        lowest: usize,
        n: usize,
        stride: usize,
        reach: usize,
    ) -> Self {
        debug_assert!(segment.covers(lowest, n * stride) && segment.covers(lowest, reach));
        let (reach, n, stride) = (reach as u32, n as u32, stride as u32);
        Self { segment: Arc::as_ptr(segment), lowest, reach, n, stride }
    }

    /// `len` bytes at `at`, if they have landed in the held slots behind a UDP header. (The UDP header is not
    /// given out, because the frame in the slot below may reach it.)
    #[inline]
    pub fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        self.landed(at, len)?;
        // SAFETY: inside slots that were landed whole and are held: nobody writes them, and their memory
        // lives.
        Some(unsafe { std::slice::from_raw_parts(at as *const u8, len) })
    }

    /// The same bytes, which may be changed.
    pub fn bytes_mut(&mut self, at: usize, len: usize) -> Option<&mut [u8]> {
        self.landed(at, len)?;
        // SAFETY: as above. This is the only hold on these slots, and it is borrowed mutably. What was landed
        // in overlapping slots ends where they do (`LandingPool::hold`), so that nobody who has the slot
        // above has these bytes, too; who has the one below has none from `FRONT` on.
        Some(unsafe { std::slice::from_raw_parts_mut(at as *mut u8, len) })
    }

    /// `Some` if these bytes have landed in the held slots.
    #[inline]
    fn landed(&self, at: usize, len: usize) -> Option<()> {
        let into = at.checked_sub(self.lowest).filter(|&into| into >= FRONT)?;
        if len > (self.reach as usize).checked_sub(into)? {
            return None;
        }
        Some(())
    }

    /// The address for devices of `len` bytes at `at`, if devices can read them at one go.
    pub fn iova(&self, at: usize, len: usize) -> Option<u64> {
        // SAFETY: the segment lives while a slot of it is held.
        let memory = unsafe { &(*self.segment).memory };
        memory.sendable(at, len)
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the segment lives until the last of its slots is back, and these are not.
        unsafe { Segment::give_back(self.segment, self.lowest, self.n, self.stride as usize) };
        ORPHANS.look();
    }
}

/// One separate slot, and the bytes in it that are a piece of a datagram. Dropping it, on any thread, gives
/// the slot back to its region, which lives as long as that.
pub(crate) struct HeldPiece {
    segment: *const Segment,
    /// Where the slot's payload is.
    slot: usize,
    at: usize,
    len: usize,
}

// SAFETY: as for `Hold`.
unsafe impl Send for HeldPiece {}
// SAFETY: what can be done with a shared one is to read bytes that nobody writes.
unsafe impl Sync for HeldPiece {}

impl HeldPiece {
    /// `len` bytes at `at` in the slot whose payload is at `slot`.
    ///
    /// # Safety
    /// A separate slot of the segment, with these bytes in it. A device has filled it, and writes it no more.
    /// Nobody else gives it back.
    #[inline]
    pub(crate) unsafe fn new(segment: &Arc<Segment>, slot: usize, at: usize, len: usize) -> Self {
        debug_assert!(segment.covers(at, len) && at >= slot);
        Self { segment: Arc::as_ptr(segment), slot, at, len }
    }

    /// The bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: inside a slot that was landed whole and is held: nobody writes it, and its memory lives.
        unsafe { std::slice::from_raw_parts(self.at as *const u8, self.len) }
    }

    /// The address for devices of `len` bytes from `from` on, if devices can read them at one go.
    pub(crate) fn iova(&self, from: usize, len: usize) -> Option<u64> {
        // SAFETY: the segment lives while a slot of it is held.
        let memory = unsafe { &(*self.segment).memory };
        memory.sendable(self.at + from, len)
    }

    /// Counts that this many bytes, with this piece among them, were copied together.
    pub(crate) fn count_joined(&self, bytes: usize) {
        // SAFETY: as above.
        unsafe { &(*self.segment).joined }.add(bytes);
    }
}

impl Drop for HeldPiece {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the segment lives until the last of its slots is back, and this is not.
        unsafe { Segment::give_back(self.segment, self.slot, 1, 0) };
        ORPHANS.look();
    }
}

static ORPHANS: Orphans<Arc<Segment>> = Orphans { list: Mutex::new(Vec::new()), count: AtomicUsize::new(0) };

/// Lets a segment of a pool go. It is freed now, or when the last hold on it is dropped.
pub(crate) fn let_go(segment: Arc<Segment>, counts: Box<[SlotCounts]>) {
    ORPHANS.let_go(segment, counts);
}

/// How many segments live only because messages in them do.
pub fn orphans() -> usize {
    ORPHANS.sweep(None)
}
