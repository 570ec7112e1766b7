//! The mempool handler of a landing queue: each mbuf gets its address at the moment a driver takes it to post
//! it.
//!
//! em, igb and the virtual devices refill one descriptor for each frame they hand over, in ring order, with the
//! next mbuf of the pool. So the order in which `Landing::dequeue` hands out addresses is the order in which
//! frames land: one stride below the other. The mbufs themselves are few and always the same, last in first
//! out, so that they stay in the cache; what descends is the address in them.

use std::ffi::{CStr, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use dpdk_sys::{rte_mbuf, rte_mempool};
use lm_proto::slot_memory::Below;
use lm_proto::wire::HEADERS;
use rte::mempool::{Handler, Order};
use rte::memzone::Memzone;

use crate::owed::Owed;
use crate::region::{CHUNK, Segment, let_go};
use crate::returns::SlotCounts;
use crate::sentinel::{Sentinel, read_behind};

/// Headroom that drivers leave in front of a frame.
pub const HEADROOM: usize = dpdk_sys::RTE_PKTMBUF_HEADROOM as usize;
/// From an mbuf's buffer to its slot's payload.
pub(crate) const TO_PAYLOAD: usize = HEADROOM + HEADERS;
/// Room below the lowest slot of a segment.
const FLOOR: usize = TO_PAYLOAD.next_multiple_of(64);

/// How slots are laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotLayout {
    /// One stride apart: each payload overwrites the headers above.
    Overlapping,
    /// Wider than any frame.
    Separate,
}

/// What a landing pool counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Times the cursor went from the region's bottom to its top.
    pub wraps: u64,
    /// Times it jumped over chunks that were in use.
    pub jumps: u64,
    /// Slots in bounce buffers: their frames would have crossed an IOVA break.
    pub bounced: u64,
    /// Requests that found no free chunk: the driver counts them as `nombuf`.
    pub starved: u64,
    /// Segments that were added while the application held messages.
    pub grown: u64,
}

/// Bounce slots of a pool: they go round, and a region of N breaks meets N of them a lap, so that a slot is
/// posted again many laps after its headers were needed.
pub(crate) const BOUNCES: usize = 64;

/// Breaks in a row that a separate slot steps over.
const STEPS: usize = 4;

/// What the handler is made from.
pub(crate) struct Setup {
    pub first: Mutex<Option<(Arc<Segment>, Memzone)>>,
    pub stride: usize,
    /// Bytes that a device may write into a slot.
    pub room: usize,
    pub layout: SlotLayout,
    /// No slot may cross a break, nor lie in a bounce buffer, which may.
    pub bounded: bool,
    /// Overlapping slots are marked, so that it can be told what a device has reached.
    pub marks: bool,
}

/// A range of addresses.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    base: usize,
    len: usize,
}

impl Span {
    #[inline(always)]
    pub(crate) fn covers(self, at: usize, len: usize) -> bool {
        len <= self.len && at.wrapping_sub(self.base) <= self.len - len
    }
}

/// What a received mbuf of an overlapping slot looks like when there is nothing special about it.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    buf_len: u16,
}

impl Plain {
    /// Whether this is one: one segment, with the usual headroom, in an overlapping slot.
    ///
    /// # Safety
    /// A valid mbuf, nobody else's.
    #[inline(always)]
    pub(crate) unsafe fn fits(self, mbuf: *const rte_mbuf) -> bool {
        // SAFETY: the caller's promise.
        unsafe { Self::single(mbuf).is_some() && (*mbuf).buf_len == self.buf_len }
    }

    /// What all mbufs of a queue have in common that are one segment, with the usual headroom, if this is one.
    ///
    /// # Safety
    /// As for [`Plain::fits`].
    #[inline(always)]
    pub(crate) unsafe fn single(mbuf: *const rte_mbuf) -> Option<Single> {
        const fn words(data_off: u16, nb_segs: u16) -> u64 {
            let (d, n) = (data_off.to_ne_bytes(), nb_segs.to_ne_bytes());
            u64::from_ne_bytes([d[0], d[1], 0, 0, n[0], n[1], 0, 0])
        }
        const MASK: u64 = words(u16::MAX, u16::MAX);
        const PLAIN: u64 = words(HEADROOM as u16, 1);
        // SAFETY: the caller's promise.
        let rearm = unsafe { rearm(mbuf) };
        (rearm & MASK == PLAIN).then_some(Single(rearm))
    }
}

/// data_off, refcnt, nb_segs and port of a [plain](Plain) mbuf: read as one word.
#[derive(Clone, Copy)]
pub(crate) struct Single(u64);

impl Single {
    /// Whether another one has the same.
    ///
    /// # Safety
    /// As for [`Plain::fits`].
    #[inline(always)]
    pub(crate) unsafe fn fits(self, mbuf: *const rte_mbuf) -> bool {
        // SAFETY: the caller's promise.
        unsafe { rearm(mbuf) == self.0 }
    }
}

/// The word of [`Single`].
///
/// # Safety
/// As for [`Plain::fits`].
#[inline(always)]
unsafe fn rearm(mbuf: *const rte_mbuf) -> u64 {
    // SAFETY: the caller's promise. DPDK lays data_off, refcnt, nb_segs and port side by side so that they can be
    // read together (`rearm_data`), aligned to 8 bytes.
    unsafe { (&raw const (*mbuf).rearm_data).cast::<u64>().read() }
}

/// A segment, and the lcore's counts of its slots.
pub(crate) struct CountedSegment {
    pub segment: Arc<Segment>,
    pub counts: Box<[SlotCounts]>,
}

impl CountedSegment {
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        let counts = vec![SlotCounts::default(); segment.returns.chunks()].into();
        Self { segment, counts }
    }

    fn is_idle(&self, chunk: usize) -> bool {
        let b = self.counts[chunk];
        b.issued == b.returned + self.segment.returns.returned(chunk)
    }

    pub(crate) fn all_idle(&self) -> bool {
        (0..self.counts.len()).all(|c| self.is_idle(c))
    }
}

/// The handler. Everything in it belongs to the queue's lcore.
pub(crate) struct Landing {
    // What every dequeue needs.
    stack: Vec<*mut rte_mbuf>,
    /// Payload address of the last slot cut.
    last: usize,
    /// Payloads at this address and above need no second thought; out of reach until the pool is ready.
    floor: usize,
    pitch: usize,
    /// IOVA minus address, in the current extent.
    delta: u64,
    buf_len: u16,
    /// The current chunk's counts.
    counts: *mut SlotCounts,
    /// The first segment's memory, where nearly everything is.
    first: Span,
    // What is needed at the edges.
    segment: usize,
    chunk: usize,
    pub stride: usize,
    room: usize,
    pub layout: SlotLayout,
    pub segments: Vec<CountedSegment>,
    bounded: bool,
    ready: bool,
    closing: bool,
    /// The bounce slots.
    pub bounces: Span,
    bounce: Memzone,
    bounce_len: usize,
    bounce_next: usize,
    /// Payload addresses of the frames in the bounce slots.
    targets: [usize; BOUNCES],
    /// What tells whether a device has come to a slot.
    pub sentinel: Sentinel,
    /// Slots cut so far.
    slots: u64,
    pub stats: PoolStats,
    /// Something is to be done before the next burst: the chunks ahead are in use, so the region may have to grow.
    pub pressed: bool,
    /// All mbufs, in the stack or out.
    pub mbufs: Vec<*mut rte_mbuf>,
    /// The port that the pool feeds has a share of it for as long as it can use it, and its driver never gives back what
    /// it has posted.
    pub keeps_posted: bool,
    /// What is counted as a device's, once the pool is gone.
    owed: Option<Owed>,
}

// SAFETY: the raw pointers point into the pool that owns the handler and into its own boxes; they move with it.
unsafe impl Send for Landing {}

impl Landing {
    /// Bytes of a bounce slot.
    pub(crate) fn bounce_len(stride: usize, room: usize) -> usize {
        (HEADROOM + room.max(stride + HEADERS)).next_multiple_of(64)
    }

    /// No more slots are cut: the pool is about to go. mbufs still come back; until they have, their memory is a device's.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.floor = usize::MAX;
        let out = self.out();
        if out > 0 {
            let bytes = self.segments.iter().map(|counted| counted.segment.len).sum();
            self.owed = Some(Owed::count(out, bytes));
        }
    }

    /// mbufs that a driver has.
    fn out(&self) -> usize {
        self.mbufs.len().saturating_sub(self.stack.len())
    }

    /// Of a pool that is gone: what a device had has come back, all of it or some. Messages may still hold the region.
    #[cold]
    fn settle_debt(&mut self) {
        let out = self.out();
        if let Some(owed) = &mut self.owed {
            owed.left(out);
        }
        if out == 0 && self.owed.take().is_some() {
            self.leave();
        }
    }

    /// Segments that messages hold outlive the pool.
    fn leave(&mut self) {
        for counted in self.segments.drain(..) {
            let_go(counted.segment, counted.counts);
        }
    }

    /// Bytes between separate slots.
    fn separate_pitch(&self) -> usize {
        (self.room + 2 * 64).next_multiple_of(8)
    }

    fn segment(&self) -> &Segment {
        &self.segments[self.segment].segment
    }

    /// Lays the next slots so.
    pub(crate) fn set_layout(&mut self, layout: SlotLayout) {
        self.sentinel.alone(self.last, self.slots);
        if layout == SlotLayout::Overlapping && self.layout == SlotLayout::Separate {
            // The headers above must survive the first payload below them.
            self.last -= HEADERS.next_multiple_of(8);
        }
        let next = self.last.wrapping_sub(self.pitch);
        self.layout = layout;
        // What lies ahead was judged by the other pitch: the next slot takes a second thought.
        self.floor = usize::MAX;
        match layout {
            SlotLayout::Overlapping => {
                self.pitch = self.stride;
                self.buf_len = self.overlapping_len();
            }
            SlotLayout::Separate => {
                self.pitch = self.separate_pitch();
                // Never the overlapping length, even if the room is the same: that is how a frame tells how
                // its slot lies.
                self.buf_len = ((HEADROOM + self.room) as u16).max(self.overlapping_len()) + 1;
            }
        }
        // SAFETY: once ready, the current chunk's counts.
        if self.ready && unsafe { (*self.counts).issued } == 0 {
            // The cursor came here for a slot of the other size.
            self.last = self.last.min(self.highest(next) + self.pitch);
        }
    }

    /// What `buf_len` says of a slot.
    pub(crate) fn is_overlapping(&self, buf_len: u16) -> bool {
        buf_len == self.overlapping_len()
    }

    /// What `buf_len` says of an overlapping slot.
    #[inline(always)]
    fn overlapping_len(&self) -> u16 {
        (TO_PAYLOAD + self.stride) as u16
    }

    /// What mbufs of overlapping slots look like.
    #[inline(always)]
    pub(crate) fn plain(&self) -> Plain {
        Plain { buf_len: self.overlapping_len() }
    }

    /// Whether an mbuf's buffer is a bounce slot: which, and where its payload belongs.
    #[inline(always)]
    pub(crate) fn bounced(&self, buf_addr: usize) -> Option<(usize, usize)> {
        self.bounces.covers(buf_addr, 1).then(|| {
            let index = (buf_addr - self.bounces.base) / self.bounce_len;
            (index, self.targets[index])
        })
    }

    /// Where a frame of `len` bytes starts, if it lies in the region, or within the bounce slot of this number (from 1).
    #[inline(always)]
    pub(crate) fn frame_start(&self, at: usize, len: usize, bounce: u16) -> Option<usize> {
        if bounce == 0 {
            let start = at.wrapping_sub(HEADERS);
            return self.covers(start, len).then_some(start);
        }
        let index = usize::from(bounce) - 1;
        let fits = index < BOUNCES && len <= self.bounce_len - HEADROOM;
        fits.then(|| self.bounces.base + index * self.bounce_len + HEADROOM)
    }

    /// Buffer address and IOVA of the next slot when it takes a second thought: another chunk, an IOVA break,
    /// the region's end. Nothing has changed on `None`.
    #[cold]
    #[inline(never)]
    fn edge(&mut self) -> Option<(usize, u64)> {
        if self.closing {
            return None;
        }
        let above = self.last;
        let at = if self.layout == SlotLayout::Separate { self.descend_clear()? } else { self.descend()? };
        let (start, end) = (at - HEADERS, at - HEADERS + self.frame_room());
        let segment = self.segment();
        let extent = segment.memory.extent(start);
        let chunk_base = segment.base + (at - segment.base) / CHUNK * CHUNK;
        let lowest = chunk_base.max(extent.lo + HEADERS).max(segment.base + FLOOR);
        self.last = at;
        if self.layout == SlotLayout::Overlapping {
            // SAFETY: the slot's place in the region, whether it is bounced or not; its chunk was entered.
            unsafe { self.sentinel.mark(at + self.stride, 1, self.stride) };
        }
        let bounced = end > extent.hi;
        if bounced || (at != above.wrapping_sub(self.stride) && !self.is_mirrored_below(at, above)) {
            self.sentinel.alone(above, self.slots);
        }
        // A slot that starts right below a break leaves the next one across it, too.
        self.floor = if end > extent.hi + self.pitch { at } else { lowest };
        self.delta = extent.delta;
        if end <= extent.hi {
            return Some((at - TO_PAYLOAD, ((at - TO_PAYLOAD) as u64).wrapping_add(extent.delta)));
        }
        let index = self.bounce_next;
        self.bounce_next = (index + 1) % BOUNCES;
        self.targets[index] = at;
        self.stats.bounced += 1;
        let buf = self.bounces.base + index * self.bounce_len;
        Some((buf, self.bounce.iova() + (index * self.bounce_len) as u64))
    }

    /// Whether a slot at `at` is right below `above` under the region's other address.
    fn is_mirrored_below(&self, at: usize, above: usize) -> bool {
        let segment = self.segment();
        segment.memory.is_mirrored() && at == above.wrapping_sub(self.stride) + segment.len
    }

    /// What is known of the slot below one of the newest that were handed over; slots are the same for as many as `window` that
    /// are cut behind them.
    #[inline]
    pub(crate) fn below(&self, at: usize, window: u64) -> Below {
        let Some(segment) = self.segment_of(at) else { return Below::Unknown };
        let place = self.sentinel.below(at, self.stride);
        let mirrored = place.wrapping_add(segment.len);
        let there = if segment.covers(place, 8) {
            Some(place)
        } else {
            Some(mirrored).filter(|&place| segment.memory.is_mirrored() && segment.covers(place, 8))
        };
        // SAFETY: in the region, whose memory is initialised.
        let word = there.filter(|place| place.is_multiple_of(8)).map(|place| unsafe { read_behind(place) });
        self.sentinel.tell(at, self.slots.saturating_sub(window), word, at == self.last)
    }

    /// Where the next slot goes that crosses no break: separate slots need no neighbours, so they step over it.
    fn descend_clear(&mut self) -> Option<usize> {
        let (before, room) = (self.last, self.frame_room());
        for _ in 0..STEPS {
            let Some(at) = self.descend() else { break };
            let extent = self.segment().memory.extent(at - HEADERS);
            if at - HEADERS + room <= extent.hi {
                return Some(at);
            }
            self.last = ((extent.hi - room + HEADERS) & !7) + self.pitch;
        }
        // Pieces too small for a frame: it is bounced, if it may be.
        self.last = before;
        if self.bounded { None } else { self.descend() }
    }

    /// Bytes that a device may write from a frame's start.
    fn frame_room(&self) -> usize {
        self.room.max(self.stride + HEADERS)
    }

    /// Where the next slot goes, its chunk being entered if it is another one.
    fn descend(&mut self) -> Option<usize> {
        let segment = self.segment();
        let mut at = self.last - self.pitch;
        let wraps = at < segment.base + FLOOR;
        if wraps && segment.memory.is_mirrored() {
            at += segment.len;
        }
        let chunk = segment.chunk_of(at.max(segment.base));
        let goes_on = !wraps || segment.memory.is_mirrored();
        let found = if goes_on && (chunk == self.chunk || self.enter(self.segment, chunk)) {
            Some(at)
        } else {
            self.jump()
        };
        self.stats.wraps += u64::from(wraps && found.is_some());
        found
    }

    /// Begins anew at the top of the next free chunk below, in whatever segment.
    fn jump(&mut self) -> Option<usize> {
        let (s, c) = self.chunks_below().into_iter().find(|&(s, c)| self.enter(s, c))?;
        self.stats.jumps += 1;
        Some(self.highest(self.segments[s].segment.base + c * CHUNK))
    }

    /// The highest slot of the chunk that `at` is in: the chunk above may be in use down to the headers of its lowest one.
    fn highest(&self, at: usize) -> usize {
        let base = self.segment().base;
        let top = base + ((at - base) / CHUNK + 1) * CHUNK;
        (top - 64 - self.frame_room()) & !7
    }

    /// All chunks in the order in which the cursor would come to them.
    fn chunks_below(&self) -> Vec<(usize, usize)> {
        let segments = self.segments.len();
        let mut order = Vec::new();
        order.extend((0..self.chunk).rev().map(|c| (self.segment, c)));
        for k in 1..segments {
            let s = (self.segment + k) % segments;
            order.extend((0..self.segments[s].counts.len()).rev().map(|c| (s, c)));
        }
        order.extend((self.chunk..self.segments[self.segment].counts.len()).rev().map(|c| (self.segment, c)));
        order
    }

    /// Moves the cursor to a chunk if nobody needs it, nor the one below, where its lowest headers go.
    fn enter(&mut self, s: usize, c: usize) -> bool {
        let counted = &self.segments[s];
        let chunks = counted.counts.len();
        let below =
            if c > 0 { Some(c - 1) } else { counted.segment.memory.is_mirrored().then(|| chunks - 1) };
        if !counted.is_idle(c) || below.is_some_and(|b| !counted.is_idle(b)) {
            return false;
        }
        let further = below.and_then(|b| if b > 0 { Some(b - 1) } else { None });
        self.pressed |= further.is_some_and(|f| !counted.is_idle(f));
        counted.segment.returns.enter(c);
        let counted = &mut self.segments[s];
        counted.counts[c] = SlotCounts::default();
        self.counts = &raw mut counted.counts[c];
        (self.segment, self.chunk) = (s, c);
        true
    }

    /// Adds a segment; the cursor goes there when it finds nothing free before.
    pub(crate) fn grow(&mut self, segment: Arc<Segment>) {
        self.segments.push(CountedSegment::new(segment));
        self.stats.grown += 1;
        // The counts moved with the vector, not their boxes: the pointer holds.
    }

    /// Takes added segments out that nobody uses.
    pub(crate) fn shrink(&mut self) -> Vec<CountedSegment> {
        let mut gone = Vec::new();
        let mut s = self.segments.len();
        while s > 1 {
            s -= 1;
            if s != self.segment && self.segments[s].all_idle() {
                gone.push(self.segments.remove(s));
                if self.segment > s {
                    self.segment -= 1;
                }
            }
        }
        gone
    }

    /// Whether `len` bytes at `at` lie in the first segment, where nearly everything is.
    #[inline(always)]
    pub(crate) fn home_covers(&self, at: usize, len: usize) -> bool {
        self.first.covers(at, len)
    }

    /// Whether `len` bytes at `at` lie in the region.
    #[inline(always)]
    pub(crate) fn covers(&self, at: usize, len: usize) -> bool {
        self.first.covers(at, len) || self.covers_elsewhere(at, len)
    }

    #[cold]
    fn covers_elsewhere(&self, at: usize, len: usize) -> bool {
        self.segments.iter().any(|g| g.segment.covers(at, len))
    }

    /// The segment that a slot is in.
    #[inline(always)]
    pub(crate) fn segment_of(&self, at: usize) -> Option<&Arc<Segment>> {
        // The first one is never taken out.
        let first = self.segments.first().filter(|_| self.first.covers(at, 1));
        first.or_else(|| self.segment_elsewhere(at)).map(|g| &g.segment)
    }

    #[cold]
    fn segment_elsewhere(&self, at: usize) -> Option<&CountedSegment> {
        self.segments.iter().find(|g| g.segment.covers(at, 1))
    }

    /// One slot is back, on the queue's lcore.
    #[inline(always)]
    pub(crate) fn return_slots(&mut self, at: usize, n: u32) {
        for counted in &mut self.segments {
            if counted.segment.covers(at, 1) {
                let here = counted.segment.in_lower_chunk(at, n, self.stride);
                counted.counts[counted.segment.chunk_of(at)].returned += here;
                if here < n {
                    let above = at + here as usize * self.stride;
                    counted.counts[counted.segment.chunk_of(above)].returned += n - here;
                }
                return;
            }
        }
    }

    /// Takes mbufs back whose slots are accounted for.
    ///
    /// # Safety
    /// The mbufs are of this pool, and nobody uses them any more.
    #[inline(always)]
    pub(crate) unsafe fn recycle(&mut self, mbufs: &[*mut rte_mbuf]) {
        // The capacity is the pool's size.
        self.stack.extend(mbufs.iter().rev());
    }

    /// The payload address of an mbuf's slot.
    #[inline(always)]
    pub(crate) fn payload_of(&self, buf_addr: usize) -> usize {
        self.bounced(buf_addr).map_or(buf_addr + TO_PAYLOAD, |(_, target)| target)
    }
}

/// An mbuf gets its slot.
///
/// # Safety
/// It is one of a landing pool's, and nobody else uses it.
#[inline(always)]
unsafe fn place(mbuf: *mut rte_mbuf, buf: usize, iova: u64, buf_len: u16) {
    // SAFETY: the caller's promise.
    unsafe {
        (*mbuf).buf_addr = buf as *mut c_void;
        (*mbuf).buf_iova = iova;
        (*mbuf).buf_len = buf_len;
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.leave();
    }
}

// SAFETY: the stack has what was enqueued and is not out; `dequeue` takes off it what it writes, and gives each a slot that
// nobody else has. Once `abandoned` says true, the port that had the mbufs is closed.
unsafe impl Handler for Landing {
    const NAME: &'static CStr = c"lm_landing";
    type Config = Setup;

    fn alloc(mp: *mut rte_mempool, setup: &Setup) -> Result<Self, i32> {
        let first = setup.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (segment, bounce) = first.ok_or(libc::EINVAL)?;
        // SAFETY: DPDK passes the pool that it creates, with its size.
        let size = unsafe { (*mp).size } as usize;
        let top = segment.base + segment.len;
        let bounce_len = Self::bounce_len(setup.stride, setup.room);
        let mut this = Self {
            stack: Vec::with_capacity(size),
            last: 0,
            floor: usize::MAX,
            pitch: 0,
            delta: 0,
            buf_len: 0,
            counts: std::ptr::null_mut(),
            first: Span { base: segment.memory.base(), len: segment.memory.span() },
            segment: 0,
            chunk: segment.returns.chunks() - 1,
            stride: setup.stride,
            room: setup.room,
            layout: SlotLayout::Overlapping,
            segments: vec![CountedSegment::new(segment)],
            bounded: setup.bounded,
            ready: false,
            closing: false,
            bounces: Span { base: bounce.ptr().as_ptr() as usize, len: bounce_len * BOUNCES },
            bounce,
            bounce_len,
            bounce_next: 0,
            targets: [0; BOUNCES],
            sentinel: Sentinel::new(setup.stride, setup.marks),
            slots: 0,
            stats: PoolStats::default(),
            // So that the first poll settles in the segment.
            pressed: true,
            mbufs: Vec::with_capacity(size),
            keeps_posted: false,
            owed: None,
        };
        this.set_layout(setup.layout);
        this.counts = &raw mut this.segments[0].counts[this.chunk];
        // The first slot leaves room above for a device that fills all it was given.
        this.last = (top - setup.room.next_multiple_of(64) - 64) & !7;
        Ok(this)
    }

    unsafe fn enqueue(this: *mut Self, objs: *const *mut c_void, n: u32) -> i32 {
        // SAFETY: Handler's contract: one call at a time, `n` objects.
        let (this, objs) = unsafe { (&mut *this, std::slice::from_raw_parts(objs, n as usize)) };
        for &object in objs {
            let mbuf = object.cast::<rte_mbuf>();
            if this.ready {
                // A driver gives a posted mbuf back: its slot will not be used.
                // SAFETY: once ready, all objects are mbufs of this pool, whose address `dequeue` set.
                let at = unsafe { this.payload_of((*mbuf).buf_addr as usize) };
                this.return_slots(at, 1);
            }
            this.stack.push(mbuf);
        }
        if this.owed.is_some() {
            this.settle_debt();
        }
        0
    }

    unsafe fn dequeue(this: *mut Self, objs: *mut *mut c_void, n: u32, order: Order) -> i32 {
        // SAFETY: Handler's contract: one call at a time, room for `n` objects.
        let (this, objs) = unsafe { (&mut *this, std::slice::from_raw_parts_mut(objs, n as usize)) };
        let Some(left) = this.stack.len().checked_sub(objs.len()) else { return -libc::ENOENT };
        if this.ready && !this.cut_above(left) {
            this.stats.starved += u64::from(order == Order::FirstFirst);
            this.pressed = true;
            return -libc::ENOENT;
        }
        for (to, mbuf) in objs.iter_mut().zip(&this.stack[left..]) {
            *to = mbuf.cast();
        }
        if order == Order::FirstFirst {
            objs.reverse();
        }
        this.stack.truncate(left);
        0
    }

    unsafe fn put_back(this: *mut Self, objs: *const *mut c_void, n: u32) {
        // SAFETY: Handler's contract: one call at a time, `n` objects.
        let (this, objs) = unsafe { (&mut *this, std::slice::from_raw_parts(objs, n as usize)) };
        // SAFETY: once ready, all objects are mbufs of this pool; these nobody used.
        let uncut =
            objs.iter().take_while(|object| this.ready && unsafe { this.uncut(object.cast()) }).count();
        this.stack.extend(objs[..uncut].iter().map(|object| object.cast::<rte_mbuf>()));
        // SAFETY: Handler's contract.
        unsafe { Self::enqueue(this, objs[uncut..].as_ptr(), n - uncut as u32) };
    }

    unsafe fn count(this: *const Self) -> u32 {
        // SAFETY: Handler's contract; a count may be off by what is under way.
        unsafe { &*this }.stack.len() as u32
    }

    unsafe fn abandoned(this: *mut Self) -> bool {
        // SAFETY: Handler's contract: nobody else looks at it.
        let this = unsafe { &mut *this };
        if this.keeps_posted {
            // SAFETY: the port had a share until it was closed, and frames of its queue were taken back at once.
            unsafe { this.reclaim() };
            this.settle_debt();
        }
        this.keeps_posted
    }
}

impl Landing {
    /// All objects are mbufs now, and slots can be cut.
    pub(crate) fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
    }

    /// The mbufs of the stack above `left` get their slots, from the top down; or none of them does.
    fn cut_above(&mut self, left: usize) -> bool {
        let before = (self.last, self.counts);
        let top = self.stack.len();
        let mut n = top;
        while n > left {
            // What is left of this stretch takes no second thought.
            let here = (self.last.saturating_sub(self.floor) / self.pitch).min(n - left);
            let (pitch, delta, buf_len) = (self.pitch, self.delta, self.buf_len);
            let mut buf = self.last - TO_PAYLOAD;
            for &mbuf in self.stack[n - here..n].iter().rev() {
                buf -= pitch;
                // SAFETY: one of the pool's mbufs, which nobody else uses, and a chunk has been entered.
                unsafe { place(mbuf, buf, (buf as u64).wrapping_add(delta), buf_len) };
            }
            if self.layout == SlotLayout::Overlapping {
                // SAFETY: these slots, of a chunk that has been entered.
                unsafe { self.sentinel.mark(self.last, here, pitch) };
            }
            self.last -= here * self.pitch;
            self.slots += here as u64;
            // SAFETY: the current chunk's entry in a box that lives as long as its segment.
            unsafe { (*self.counts).issued += here as u32 };
            n -= here;
            if n > left {
                let Some((buf, iova)) = self.edge() else {
                    self.undo(n..top, before);
                    return false;
                };
                n -= 1;
                self.slots += 1;
                // SAFETY: as above.
                unsafe {
                    place(self.stack[n], buf, iova, self.buf_len);
                    (*self.counts).issued += 1;
                }
            }
        }
        true
    }

    /// Some of the stack's mbufs got slots, beginning at `before`, which nobody will use. If they were all cut from the
    /// chunk that the cursor is in, their places are cut again next time; else they are never used.
    #[cold]
    fn undo(&mut self, cut: std::ops::Range<usize>, before: (usize, *mut SlotCounts)) {
        if cut.is_empty() {
            // Of a pool that is gone, there may be no counts any more.
            return;
        }
        if self.counts == before.1 {
            self.rewind(before.0, cut.len() as u32);
            return;
        }
        for i in cut {
            // SAFETY: an mbuf of this pool with the address that was just set.
            let at = self.payload_of(unsafe { (*self.stack[i]).buf_addr } as usize);
            self.return_slots(at, 1);
        }
    }

    /// Takes back the slot that was cut last, if it is this mbuf's and of the layout in force.
    ///
    /// # Safety
    /// An mbuf of this pool that was handed out, after all others that are out, and that nobody used or uses.
    unsafe fn uncut(&mut self, mbuf: *mut rte_mbuf) -> bool {
        // SAFETY: the caller's promise.
        let (buf, len) = unsafe { ((*mbuf).buf_addr as usize, (*mbuf).buf_len) };
        let at = self.payload_of(buf);
        let Some(s) = self.segments.iter().position(|g| g.segment.covers(at, 1)) else { return false };
        let c = self.segments[s].segment.chunk_of(at);
        // SAFETY: the current chunk's counts.
        let cut = unsafe { (*self.counts).issued };
        // If nothing of this chunk is out any more, the one cut before it is of the chunk before.
        let newest = if (s, c) == (self.segment, self.chunk) { at == self.last && cut > 0 } else { cut == 0 };
        if !newest || len != self.buf_len {
            return false;
        }
        (self.segment, self.chunk) = (s, c);
        self.counts = &raw mut self.segments[s].counts[c];
        self.rewind(at + self.pitch, 1);
        true
    }

    /// The cursor goes back over `n` slots of the chunk that it is in, which nobody has.
    fn rewind(&mut self, last: usize, n: u32) {
        self.last = last;
        // There may be an IOVA break between: the next slot takes a second thought.
        self.floor = usize::MAX;
        // SAFETY: the current chunk's counts, in a box that lives as long as its segment; these slots were cut from it.
        unsafe { (*self.counts).issued -= n };
    }

    /// Takes back those mbufs that are out.
    ///
    /// # Safety
    /// Nobody uses them.
    pub(crate) unsafe fn reclaim(&mut self) {
        let free: std::collections::HashSet<_> = self.stack.iter().copied().collect();
        let out: Vec<_> = self.mbufs.iter().copied().filter(|mbuf| !free.contains(mbuf)).collect();
        for mbuf in out {
            // SAFETY: the caller's promise; `cut` gave it its address.
            unsafe {
                let at = self.payload_of((*mbuf).buf_addr as usize);
                (*mbuf).next = std::ptr::null_mut();
                (*mbuf).nb_segs = 1;
                self.return_slots(at, 1);
            }
            self.stack.push(mbuf);
        }
    }

    /// Slots that are neither free nor posted: messages and frames that wait.
    pub(crate) fn held(&self) -> u64 {
        let out = self.segments.iter().flat_map(|g| {
            g.counts
                .iter()
                .enumerate()
                .map(|(c, b)| u64::from(b.issued - b.returned - g.segment.returns.returned(c)))
        });
        out.sum::<u64>().saturating_sub((self.stack.capacity() - self.stack.len()) as u64)
    }
}
