//! [`CountedSegment`]: a segment of the region, and which of its chunks are free.
//!
//! The mempool handler has one for each segment. It counts the slots of each chunk that it issues and that
//! come back on its lcore; `returns` counts those that come back from other threads. A chunk is free when all
//! its slots have come back.

use std::sync::Arc;

use crate::region::Segment;
use crate::returns::SlotCounts;

/// A segment, and what the queue's lcore has counted of its slots.
pub(crate) struct CountedSegment {
    pub segment: Arc<Segment>,
    pub counts: Box<[SlotCounts]>,
}

impl CountedSegment {
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        let counts = vec![SlotCounts::default(); segment.returns.chunks()].into();
        Self { segment, counts }
    }

    pub(super) fn is_idle(&self, chunk: usize) -> bool {
        let here = self.counts[chunk];
        here.issued == here.returned + self.segment.returns.returned(chunk)
    }

    pub(crate) fn all_idle(&self) -> bool {
        (0..self.counts.len()).all(|c| self.is_idle(c))
    }
}
