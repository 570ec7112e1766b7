//! Gives mbufs their slots, and takes mbufs back.
//!
//! `dequeue` and `enqueue` of the handler call this. A slot is counted when it is issued and when it comes
//! back, so that the cursor knows which chunks are free.
//!
//! Most drivers ask for one mbuf at a time. Finding a slot for each would cost as much as matching a frame.
//! So some mbufs get their slots *ahead*. DPDK's own cache of a pool is not used for that: what it does with
//! freed mbufs differs between releases, and the order of landing must not depend on it.

use std::ffi::c_void;

use dpdk_sys::rte_mbuf;

use super::{HEADROOM, Landing, SlotLayout, TO_PAYLOAD};
use crate::returns::SlotCounts;

/// Gives an mbuf its slot.
///
/// # Safety
/// It is one of a landing pool's, and nobody else uses it.
#[inline]
unsafe fn place(mbuf: *mut rte_mbuf, buf: usize, iova: u64, buf_len: u16) {
    // SAFETY: the caller's promise.
    unsafe {
        (*mbuf).buf_addr = buf as *mut c_void;
        (*mbuf).buf_iova = iova;
        (*mbuf).buf_len = buf_len;
    }
}

/// mbufs that get their slots ahead of a driver that asks for one at a time.
pub(crate) const AHEAD: u32 = 32;

impl Landing {
    /// Fills `objs` with mbufs. The first one has the slot that comes next. If there are not enough mbufs or
    /// slots, none is handed out.
    pub(super) fn hand_out(&mut self, objs: &mut [*mut c_void]) -> bool {
        if objs.len() == 1 && self.ahead.is_empty() {
            self.place_ahead();
        }
        let ready = objs.len().min(self.ahead.len());
        let Some(left) = (self.stack.len() + ready).checked_sub(objs.len()) else { return false };
        if self.ready && !self.issue_above(left) {
            self.stats.starved += 1;
            self.pressed = true;
            return false;
        }
        let kept = self.ahead.len() - ready;
        let next = self.ahead.drain(kept..).rev().chain(self.stack.drain(left..).rev());
        for (to, mbuf) in objs.iter_mut().zip(next) {
            *to = mbuf.cast();
        }
        true
    }

    /// Gives some mbufs their slots ahead, if there are enough mbufs and slots.
    fn place_ahead(&mut self) {
        let left = self.stack.len().saturating_sub(AHEAD as usize);
        if self.ready && self.issue_above(left) {
            self.ahead.extend(self.stack.drain(left..));
        }
    }

    /// Takes back the mbufs that got their slots ahead. Slots that are the newest are issued again.
    pub(crate) fn take_back_ahead(&mut self) {
        let mut newest = true;
        for mbuf in std::mem::take(&mut self.ahead) {
            // SAFETY: of this pool, and nobody else has it. The first has the slot that was issued last.
            newest = newest && unsafe { self.take_back_newest(mbuf) };
            if newest {
                self.stack.push(mbuf);
            } else {
                // SAFETY: as above.
                unsafe { self.take_unused(mbuf) };
            }
        }
    }

    /// Takes back an mbuf whose slot will not be used, if it has one.
    ///
    /// # Safety
    /// An object of this pool that nobody uses; an mbuf with the address that `issue_above` gave it, once the
    /// pool is ready.
    pub(super) unsafe fn take_unused(&mut self, mbuf: *mut rte_mbuf) {
        if self.ready {
            // SAFETY: the caller's promise.
            let at = self.payload_of_returned(unsafe { (*mbuf).buf_addr } as usize);
            self.return_slots(at, 1);
        }
        self.stack.push(mbuf);
    }

    /// Gives the mbufs of the stack above `left` their slots, from the top down. Either all get one, or none.
    #[inline]
    pub(super) fn issue_above(&mut self, left: usize) -> bool {
        let before = (self.last, self.counts);
        let top = self.stack.len();
        let mut n = top;
        while n > left {
            // The slots down to the floor are in one chunk and cross no break.
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

    /// Takes back slots that some of the stack's mbufs got, beginning at `before`, and that nobody will use.
    /// If all were issued from the chunk that the cursor is in, they are issued again next time. Otherwise
    /// they count as returned.
    #[cold]
    fn undo(&mut self, issued: std::ops::Range<usize>, before: (usize, *mut SlotCounts)) {
        if issued.is_empty() {
            // A pool that was dropped may have no counts any more.
            return;
        }
        if self.counts == before.1 {
            self.rewind(before.0, issued.len() as u32);
            for i in issued {
                // SAFETY: an mbuf of this pool with the address that was just set.
                self.payload_of_returned(unsafe { (*self.stack[i]).buf_addr } as usize);
            }
            return;
        }
        for i in issued {
            // SAFETY: an mbuf of this pool with the address that was just set.
            let at = self.payload_of_returned(unsafe { (*self.stack[i]).buf_addr } as usize);
            self.return_slots(at, 1);
        }
    }

    /// Takes back the slot that was issued last, if it is this mbuf's and of the layout in force.
    ///
    /// # Safety
    /// An mbuf of this pool that was handed out, after all others that are out, and that nobody used or uses.
    unsafe fn take_back_newest(&mut self, mbuf: *mut rte_mbuf) -> bool {
        // SAFETY: the caller's promise.
        let (buf, len) = unsafe { ((*mbuf).buf_addr as usize, (*mbuf).buf_len) };
        let at = self.payload_of(buf);
        let Some(s) = self.segments.iter().position(|g| g.segment.covers(at, 1)) else { return false };
        let c = self.segments[s].segment.chunk_of(at);
        // SAFETY: the current chunk's counts.
        let issued = unsafe { (*self.counts).issued };
        // If nothing of this chunk is out any more, the one issued before it is of the chunk before.
        let newest =
            if (s, c) == (self.segment, self.chunk) { at == self.last && issued > 0 } else { issued == 0 };
        if !newest || len != self.buf_len {
            return false;
        }
        (self.segment, self.chunk) = (s, c);
        self.counts = &raw mut self.segments[s].counts[c];
        self.rewind(at + self.pitch, 1);
        self.payload_of_returned(buf);
        true
    }

    /// Moves the cursor back over `n` slots of the chunk that it is in, which nobody has.
    fn rewind(&mut self, last: usize, n: u32) {
        self.last = last;
        // There may be an IOVA break between, so the next slot has to be looked at.
        self.floor = usize::MAX;
        // SAFETY: the current chunk's counts, in a box that lives as long as its segment; these slots were
        // issued from it.
        unsafe { (*self.counts).issued -= n };
    }

    /// The mbufs that are out.
    fn mbufs_out(&self) -> Vec<*mut rte_mbuf> {
        let free: std::collections::HashSet<_> = self.stack.iter().chain(&self.ahead).copied().collect();
        self.mbufs.iter().copied().filter(|mbuf| !free.contains(mbuf)).collect()
    }

    /// Where frames begin, as devices see it, in the mbufs that are out.
    pub(crate) fn posted(&self) -> Vec<u64> {
        // SAFETY: the pool's mbufs live as long as the pool, and drivers do not change where one has its
        // buffer.
        let start = |mbuf: *mut rte_mbuf| unsafe { (*mbuf).buf_iova } + HEADROOM as u64;
        self.mbufs_out().into_iter().map(start).collect()
    }

    /// Takes back those mbufs that are out.
    ///
    /// # Safety
    /// Nobody uses them.
    pub(crate) unsafe fn reclaim(&mut self) {
        self.take_back_ahead();
        for mbuf in self.mbufs_out() {
            // SAFETY: the caller's promise; `issue_above` gave it its address.
            unsafe {
                let at = self.payload_of_returned((*mbuf).buf_addr as usize);
                (*mbuf).next = std::ptr::null_mut();
                (*mbuf).nb_segs = 1;
                self.return_slots(at, 1);
            }
            self.stack.push(mbuf);
        }
    }

    /// Counts `n` slots as returned, on the queue's lcore. They lie a stride apart, upwards from `lowest`.
    #[inline]
    pub(crate) fn return_slots(&mut self, lowest: usize, n: u32) {
        let Some(s) = self.number_of(lowest) else { return };
        let Some(counted) = self.segments.get_mut(s) else { return };
        let (mut at, mut left) = (lowest, n);
        while left > 0 {
            let here = counted.segment.in_lower_chunk(at, left, self.stride);
            counted.counts[counted.segment.chunk_of(at)].returned += here;
            at += here as usize * self.stride;
            left -= here;
        }
    }

    /// Takes back mbufs, without their slots, which come back by their tokens.
    ///
    /// # Safety
    /// The mbufs are of this pool, and nobody uses them any more.
    #[inline]
    pub(crate) unsafe fn recycle(&mut self, mbufs: &[*mut rte_mbuf]) {
        // The capacity is the pool's size.
        self.stack.extend(mbufs.iter().rev());
    }
}
