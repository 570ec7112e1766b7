//! The cursor: the place of the next slot.
//!
//! It descends by one pitch (the distance of two slots) for each slot. At a break in the IO addresses it uses
//! a bounce slot, at the end of a chunk it enters another chunk, and at the end of the region it continues at
//! the other end. It enters a chunk only when all slots of the chunk have come back, so no slot is given out
//! twice.

use std::sync::Arc;

use lm_proto::wire::HEADERS;

use super::{BOUNCES, CountedSegment, FLOOR, HEADROOM, Landing, STEPS, SlotLayout, Span, TO_PAYLOAD};
use crate::region::{CHUNK, Segment};
use crate::returns::SlotCounts;

/// Bytes between separate slots of so much room: whole cache lines.
pub(crate) fn separate_pitch(room: usize) -> usize {
    (room + 2 * 64).next_multiple_of(64)
}

/// The highest address up to `at` that lies 40 bytes behind the start of a cache line. A payload there shares
/// the line with its headers, so a fragment that is not summed touches no other line.
fn in_one_line(at: usize) -> usize {
    const WITHIN: usize = (HEADERS + 6).next_multiple_of(8);
    at.wrapping_sub(WITHIN) / 64 * 64 + WITHIN
}

impl Landing {
    /// Bytes between separate slots.
    fn separate_pitch(&self) -> usize {
        separate_pitch(self.room)
    }

    /// Sets the layout of the slots that are issued next.
    pub(crate) fn set_layout(&mut self, layout: SlotLayout) {
        self.sentinel.note_gap_below(self.last, self.slots);
        if layout == SlotLayout::Overlapping && self.layout == SlotLayout::Separate {
            // The headers above must survive the first payload below them.
            self.last -= HEADERS.next_multiple_of(8);
        }
        if layout == SlotLayout::Separate {
            self.last = in_one_line(self.last);
        }
        let next = self.last.wrapping_sub(self.pitch);
        self.layout = layout;
        // The floor was found for the other pitch, so the next slot has to be looked at.
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
            // The cursor has entered this chunk for a slot of the other layout, and has issued none. The
            // first slot of this layout may have to lie lower.
            self.last = self.last.min(self.highest(next) + self.pitch);
        }
    }

    /// Buffer address and IOVA of the next slot at an edge: another chunk, an IOVA break, the region's end.
    /// On `None` nothing has changed.
    #[cold]
    #[inline(never)]
    pub(super) fn edge(&mut self) -> Option<(usize, u64)> {
        if self.closing {
            return None;
        }
        let above = self.last;
        let no_bounce = self.bounces_out == u64::MAX;
        let clear = no_bounce || self.layout == SlotLayout::Separate;
        let at = if clear { self.descend_clear()? } else { self.descend()? };
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
            self.sentinel.note_gap_below(above, self.slots);
        }
        // A slot that reaches more than one pitch beyond the break is followed by another one that crosses
        // it. So the next slot has to be looked at, too.
        self.floor = if end > extent.hi + self.pitch { at } else { lowest };
        self.delta = extent.delta;
        if end <= extent.hi {
            return Some((at - TO_PAYLOAD, ((at - TO_PAYLOAD) as u64).wrapping_add(extent.delta)));
        }
        // The next one that no mbuf has; there is one.
        let out = self.bounces_out.rotate_right(self.bounce_next as u32);
        let index = (self.bounce_next + out.trailing_ones() as usize) % BOUNCES;
        self.bounce_next = (index + 1) % BOUNCES;
        self.bounces_out |= 1 << index;
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

    /// The place of the next slot that crosses no break. Separate slots need no neighbours, so they are moved
    /// past a break; so are others when all bounce slots are out.
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
        // The pieces are too small for a frame, so it gets a bounce slot, if that is allowed.
        self.last = before;
        if self.bounded || self.bounces_out == u64::MAX { None } else { self.descend() }
    }

    /// How many bytes a device may write from a frame's start.
    fn frame_room(&self) -> usize {
        self.room.max(self.stride + HEADERS)
    }

    /// The place of the next slot. If it is in another chunk, that chunk is entered.
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

    /// Goes on at the top of the next free chunk below, in any segment.
    fn jump(&mut self) -> Option<usize> {
        let (s, c) = self.chunks_below().into_iter().find(|&(s, c)| self.enter(s, c))?;
        self.stats.jumps += 1;
        Some(self.highest(self.segments[s].segment.base + c * CHUNK))
    }

    /// The highest slot of the chunk that `at` is in. It stays clear of the headers of the lowest slot in the
    /// chunk above, which may be in use.
    fn highest(&self, at: usize) -> usize {
        let base = self.segment().base;
        let top = base + ((at - base) / CHUNK + 1) * CHUNK;
        let at = (top - 64 - self.frame_room()) & !7;
        if self.layout == SlotLayout::Separate { in_one_line(at) } else { at }
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

    /// Moves the cursor to a chunk, if that chunk is free and the one below too, where the headers of the
    /// lowest slot go.
    fn enter(&mut self, s: usize, c: usize) -> bool {
        let counted = &self.segments[s];
        let chunks = counted.counts.len();
        let below =
            if c > 0 { Some(c - 1) } else { counted.segment.memory.is_mirrored().then(|| chunks - 1) };
        if !counted.is_idle(c) || below.is_some_and(|b| !counted.is_idle(b)) {
            return false;
        }
        // Below the lowest chunk the cursor goes on at the top.
        let further = below.unwrap_or(chunks).checked_sub(1).unwrap_or(chunks - 1);
        self.pressed |= !counted.is_idle(further);
        counted.segment.returns.enter(c);
        let counted = &mut self.segments[s];
        counted.counts[c] = SlotCounts::default();
        self.counts = &raw mut counted.counts[c];
        (self.segment, self.chunk) = (s, c);
        true
    }

    /// Adds a segment. The cursor enters it when no chunk that comes before it is free.
    pub(crate) fn grow(&mut self, segment: Arc<Segment>) {
        self.spans.push(Span::of(&segment));
        self.segments.push(CountedSegment::new(segment));
        self.stats.grown += 1;
        // The vector may have moved. The counts are in boxes, which do not move, so the pointer to them stays
        // valid.
    }

    /// Whether there is a segment that nobody uses.
    pub(crate) fn has_idle(&self) -> bool {
        let others = self.segments.iter().enumerate().filter(|(s, _)| *s != self.segment);
        others.into_iter().any(|(_, counted)| counted.all_idle())
    }

    /// Removes added segments that nobody uses.
    pub(crate) fn shrink(&mut self) -> Vec<CountedSegment> {
        let mut gone = Vec::new();
        let mut s = self.segments.len();
        while s > 1 {
            s -= 1;
            if s != self.segment && self.segments[s].all_idle() {
                self.spans.remove(s);
                gone.push(self.segments.remove(s));
                if self.segment > s {
                    self.segment -= 1;
                }
            }
        }
        gone
    }
}
