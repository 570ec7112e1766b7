//! A datagram that lies whole in memory, and is proven, is handed over and counted.

use crate::counters::Counters;
use crate::policy::Whole;
use crate::slot_memory::SlotMemory;
use crate::wire;

/// Delivers a datagram in place.
#[inline(always)]
pub(super) fn hand_over<M: SlotMemory>(
    whole: &Whole,
    lowest: usize,
    counters: &mut Counters,
    memory: &mut M,
) {
    counters.datagrams += 1;
    counters.bytes += whole.len as u64;
    memory.landed(*whole, lowest + wire::UDP, lowest);
}
