//! The mempool handler of a landing queue. It gives each mbuf its address when a driver takes the mbuf to
//! post it.
//!
//! The drivers on which frames land refill one descriptor for each frame that they hand over, in ring order,
//! with the next mbuf of the pool (`pmd-e1000` knows which drivers do). So the order in which
//! `Landing::dequeue` hands out addresses is the order in which frames land: each one stride below the one
//! before. The pool reuses a few mbufs, last in first out, so that they stay in the cache. Only the addresses
//! in them descend.
//!
//! DPDK calls the handler through [`rte::mempool`], and [`LandingPool`](crate::LandingPool) calls the rest.
//! `cursor` finds the place of the next slot. `issue` gives mbufs their slots and takes them back. `lookup`
//! finds where an address lies. `plain` recognises ordinary mbufs quickly. `counted_segment` knows which
//! chunks are free.

mod counted_segment;
mod cursor;
mod issue;
mod lookup;
mod plain;
mod span;

use std::ffi::{CStr, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use dpdk_sys::{rte_mbuf, rte_mempool};
use lm_proto::wire::HEADERS;
use rte::mempool::Handler;
use rte::memzone::Memzone;

use crate::owed::Owed;
use crate::region::{Segment, let_go};
use crate::returns::SlotCounts;
use crate::sentinel::Sentinel;

pub(crate) use self::counted_segment::CountedSegment;
pub(crate) use self::cursor::separate_pitch;
pub(crate) use self::issue::AHEAD;
pub(crate) use self::plain::{Plain, Single};
pub(crate) use self::span::Span;

/// Headroom that drivers leave in front of a frame.
pub const HEADROOM: usize = dpdk_sys::RTE_PKTMBUF_HEADROOM as usize;
/// The distance from an mbuf's buffer to its slot's payload.
pub(crate) const TO_PAYLOAD: usize = HEADROOM + HEADERS;
/// Bytes that are kept free below the lowest slot of a segment.
const FLOOR: usize = TO_PAYLOAD.next_multiple_of(64);

/// How slots are laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotLayout {
    /// One stride apart: each payload overwrites the headers of the frame above.
    Overlapping,
    /// Farther apart than any frame is long.
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
    /// Slots that were given back to another pool than their own, which is an error in the program.
    pub refused: u64,
}

impl PoolStats {
    /// Adds what another pool counted.
    pub fn add(&mut self, other: &Self) {
        // Without `..`, so that a new counter cannot be forgotten.
        let Self { wraps, jumps, bounced, starved, grown, refused } = *other;
        self.wraps += wraps;
        self.jumps += jumps;
        self.bounced += bounced;
        self.starved += starved;
        self.grown += grown;
        self.refused += refused;
    }
}

/// The number of bounce slots of a pool. They are used in turn. A lap of the region uses one for each break,
/// so a bounce slot is used again many laps after its headers were needed. One that an mbuf still has is
/// passed over.
pub(crate) const BOUNCES: usize = 64;

const _: () = assert!(BOUNCES == u64::BITS as usize, "a bit for each");

/// The most breaks in a row that a separate slot is moved past.
const STEPS: usize = 4;

/// What the handler is made from.
pub(crate) struct Setup {
    pub first: Mutex<Option<(Arc<Segment>, Memzone)>>,
    pub stride: usize,
    /// Bytes that a device may write into a slot.
    pub room: usize,
    pub layout: SlotLayout,
    /// No slot may cross a break. Then bounce slots are not used either, because they may cross one.
    pub bounded: bool,
    /// Overlapping slots are marked, so that it is known which of them a device has reached.
    pub marks: bool,
}

/// The handler. Everything in it belongs to the queue's lcore.
pub(crate) struct Landing {
    // What every dequeue needs.
    /// mbufs that have their slots and that no driver has: the last one goes out next.
    ahead: Vec<*mut rte_mbuf>,
    stack: Vec<*mut rte_mbuf>,
    /// Payload address of the slot that was issued last.
    last: usize,
    /// Slots down to this payload address are at no edge. `usize::MAX`: the next one has to be looked at.
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
    /// Where the memory of each segment is, so that one look finds the segment of an address.
    spans: Vec<Span>,
    bounded: bool,
    ready: bool,
    closing: bool,
    /// The bounce slots.
    pub bounces: Span,
    bounce: Memzone,
    bounce_len: usize,
    bounce_next: usize,
    /// The bounce slots that mbufs have which were handed out, a bit for each.
    pub bounces_out: u64,
    /// Payload addresses of the frames in the bounce slots.
    targets: [usize; BOUNCES],
    /// The marks that show whether a device has come to a slot.
    pub sentinel: Sentinel,
    /// Slots issued so far.
    slots: u64,
    pub stats: PoolStats,
    /// The chunks ahead are in use, so the region may have to grow before the next burst.
    pub pressed: bool,
    /// All mbufs, in the stack or out.
    pub mbufs: Vec<*mut rte_mbuf>,
    /// The driver never gives back what it has posted, and the port that the pool feeds keeps the pool alive
    /// for as long as it can use it.
    pub keeps_posted: bool,
    /// What is counted as owed by the device, once the pool is gone.
    owed: Option<Owed>,
}

// SAFETY: the raw pointers point into the pool that owns the handler and into its own boxes; they move with
// it.
unsafe impl Send for Landing {}

impl Landing {
    /// Bytes of a bounce slot.
    pub(crate) fn bounce_len(stride: usize, room: usize) -> usize {
        (HEADROOM + room.max(stride + HEADERS)).next_multiple_of(64)
    }

    /// Issues no more slots, since the pool is about to be dropped. mbufs still come back, and until they
    /// have, their memory belongs to the device.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.floor = usize::MAX;
        let out = self.out();
        if out > 0 {
            let bytes = self.segments.iter().map(|counted| counted.segment.len).sum();
            self.owed = Some(Owed::count(out, bytes));
        }
    }

    /// How many mbufs a driver has.
    fn out(&self) -> usize {
        self.mbufs.len().saturating_sub(self.free())
    }

    /// How many mbufs no driver has.
    fn free(&self) -> usize {
        self.stack.len() + self.ahead.len()
    }

    /// Notes that a device has given back some or all of its mbufs after the pool was dropped. Messages may
    /// still hold the region.
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

    /// Lets the segments go. A segment that messages hold lives on until they are dropped.
    fn leave(&mut self) {
        self.spans.clear();
        for counted in self.segments.drain(..) {
            let_go(counted.segment, counted.counts);
        }
    }

    /// All objects are mbufs now, and slots can be issued.
    pub(crate) fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
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

    fn segment(&self) -> &Segment {
        &self.segments[self.segment].segment
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.leave();
    }
}

// SAFETY: the stack has what was enqueued and is not out; `dequeue` takes off it what it writes, and gives
// each a slot that nobody else has. Once `abandoned` says true, the port that had the mbufs is closed.
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
            ahead: Vec::with_capacity(AHEAD as usize),
            stack: Vec::with_capacity(size),
            last: 0,
            floor: usize::MAX,
            pitch: 0,
            delta: 0,
            buf_len: 0,
            counts: std::ptr::null_mut(),
            first: Span::of(&segment),
            segment: 0,
            chunk: segment.returns.chunks() - 1,
            stride: setup.stride,
            room: setup.room,
            layout: SlotLayout::Overlapping,
            spans: vec![Span::of(&segment)],
            segments: vec![CountedSegment::new(segment)],
            bounded: setup.bounded,
            ready: false,
            closing: false,
            bounces: Span { base: bounce.ptr().as_ptr() as usize, len: bounce_len * BOUNCES },
            bounce,
            bounce_len,
            bounce_next: 0,
            bounces_out: 0,
            targets: [0; BOUNCES],
            sentinel: Sentinel::new(setup.stride, setup.marks),
            slots: 0,
            stats: PoolStats::default(),
            // The first poll looks at the segment.
            pressed: true,
            mbufs: Vec::with_capacity(size),
            keeps_posted: false,
            owed: None,
        };
        this.set_layout(setup.layout);
        this.counts = &raw mut this.segments[0].counts[this.chunk];
        // The first slot leaves room above it for a device that writes as much as it was told a slot has.
        this.last = (top - setup.room.next_multiple_of(64) - 64) & !7;
        Ok(this)
    }

    unsafe fn enqueue(this: *mut Self, objs: *const *mut c_void, n: u32) -> i32 {
        // SAFETY: Handler's contract: one call at a time, `n` objects.
        let (this, objs) = unsafe { (&mut *this, std::slice::from_raw_parts(objs, n as usize)) };
        for &object in objs {
            // A driver gives a posted mbuf back, or DPDK a new object.
            // SAFETY: once ready, all objects are mbufs of this pool, whose address `dequeue` set.
            unsafe { this.take_unused(object.cast()) };
        }
        if this.owed.is_some() {
            this.settle_debt();
        }
        0
    }

    #[inline]
    unsafe fn dequeue(this: *mut Self, objs: *mut *mut c_void, n: u32) -> i32 {
        // SAFETY: Handler's contract: one call at a time, room for `n` objects.
        let (this, objs) = unsafe { (&mut *this, std::slice::from_raw_parts_mut(objs, n as usize)) };
        if let [to] = objs
            && let Some(mbuf) = this.ahead.pop()
        {
            *to = mbuf.cast();
            return 0;
        }
        if this.hand_out(objs) { 0 } else { -libc::ENOENT }
    }

    unsafe fn count(this: *const Self) -> u32 {
        // SAFETY: Handler's contract; a count may be off by what is under way.
        unsafe { &*this }.free() as u32
    }

    unsafe fn abandoned(this: *mut Self) -> bool {
        // SAFETY: Handler's contract: nobody else looks at it.
        let this = unsafe { &mut *this };
        if this.keeps_posted {
            // SAFETY: the port had a share until it was closed, and frames of its queue were taken back at
            // once.
            unsafe { this.reclaim() };
            this.settle_debt();
        }
        this.keeps_posted
    }
}
