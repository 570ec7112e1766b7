//! Finds where an address lies: in which segment, in a bounce slot, or nowhere.
//!
//! Every read of landed bytes checks its address here first, so that an invalid address never reaches memory.

use std::sync::Arc;

use lm_proto::slot_memory::Below;
use lm_proto::wire::HEADERS;

use super::{BOUNCES, HEADROOM, Landing, Plain, TO_PAYLOAD};
use crate::region::Segment;
use crate::sentinel::read_behind;

impl Landing {
    /// What `buf_len` says of a slot.
    pub(crate) fn is_overlapping(&self, buf_len: u16) -> bool {
        buf_len == self.overlapping_len()
    }

    /// What `buf_len` says of an overlapping slot.
    #[inline]
    pub(super) fn overlapping_len(&self) -> u16 {
        (TO_PAYLOAD + self.stride) as u16
    }

    /// What mbufs of overlapping slots look like.
    #[inline]
    pub(crate) fn plain(&self) -> Plain {
        Plain { buf_len: self.overlapping_len() }
    }

    /// Whether an mbuf's buffer is a bounce slot: which, and where its payload belongs.
    #[inline]
    pub(crate) fn bounced(&self, buf_addr: usize) -> Option<(usize, usize)> {
        self.bounces.covers(buf_addr, 1).then(|| {
            let index = (buf_addr - self.bounces.base) / self.bounce_len;
            (index, self.targets[index])
        })
    }

    /// Where a frame of `len` bytes starts, if it lies in the region, or within the bounce slot of this
    /// number (from 1).
    #[inline]
    pub(crate) fn frame_start(&self, at: usize, len: usize, bounce: u16) -> Option<usize> {
        if bounce == 0 {
            let start = at.wrapping_sub(HEADERS);
            return self.covers(start, len).then_some(start);
        }
        let index = usize::from(bounce) - 1;
        let fits = index < BOUNCES && len <= self.bounce_len - HEADROOM;
        fits.then(|| self.bounces.base + index * self.bounce_len + HEADROOM)
    }

    /// What is known of the slot below the one at `at`, which has to be among the `window` slots that were
    /// issued last.
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

    /// Whether `len` bytes at `at` lie in the first segment, where nearly everything is.
    #[inline]
    pub(crate) fn first_covers(&self, at: usize, len: usize) -> bool {
        self.first.covers(at, len)
    }

    /// Whether `len` bytes at `at` lie in the region.
    #[inline]
    pub(crate) fn covers(&self, at: usize, len: usize) -> bool {
        self.first.covers(at, len) || self.covers_elsewhere(at, len)
    }

    #[cold]
    #[inline(never)]
    fn covers_elsewhere(&self, at: usize, len: usize) -> bool {
        self.spans.iter().any(|span| span.covers(at, len))
    }

    /// The number of the segment that a slot is in, as long as there are any.
    #[inline]
    pub(super) fn number_of(&self, at: usize) -> Option<usize> {
        // The first one is never taken out. Slots of two segments are never a stride apart: there is room at
        // their ends.
        if self.first.covers(at, 1) { Some(0) } else { self.number_elsewhere(at) }
    }

    #[cold]
    #[inline(never)]
    fn number_elsewhere(&self, at: usize) -> Option<usize> {
        self.spans.iter().position(|span| span.covers(at, 1))
    }

    /// The segment that a slot is in.
    #[inline]
    pub(crate) fn segment_of(&self, at: usize) -> Option<&Arc<Segment>> {
        self.number_of(at).and_then(|s| self.segments.get(s)).map(|g| &g.segment)
    }

    /// The payload address of an mbuf's slot.
    #[inline]
    pub(crate) fn payload_of(&self, buf_addr: usize) -> usize {
        self.bounced(buf_addr).map_or(buf_addr + TO_PAYLOAD, |(_, target)| target)
    }

    /// The same of an mbuf that has come back. If it has a bounce slot, another one may have that from now
    /// on.
    #[inline]
    pub(crate) fn payload_of_returned(&mut self, buf_addr: usize) -> usize {
        match self.bounced(buf_addr) {
            Some((index, target)) => {
                self.bounces_out &= !(1 << index);
                target
            }
            None => buf_addr + TO_PAYLOAD,
        }
    }
}
