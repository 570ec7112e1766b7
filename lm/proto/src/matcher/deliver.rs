//! Delivers and counts a datagram that lies whole in memory and is proven.
//!
//! `close` and `stream` call it when they have proven a run. It checks no proof of its own. Each slot of the
//! datagram goes to the application with the message, or back to the memory, exactly once.

use super::Matcher;
use crate::counters::{Counters, Reason};
use crate::frame::Slots;
use crate::policy::Whole;
use crate::slot_memory::SlotMemory;
use crate::wire;

/// Delivers a datagram where it landed. Its lowest slot is at `lowest`.
#[inline]
pub(super) fn hand_over<M: SlotMemory>(
    whole: &Whole,
    lowest: usize,
    slots: M::Slots,
    counters: &mut Counters,
    memory: &mut M,
) {
    counters.datagrams += 1;
    counters.bytes += whole.len as u64;
    memory.landed(*whole, lowest + wire::UDP, slots);
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Delivers the datagram of the frames `log[first..]` where it landed. Its lowest slot is at `lowest`.
    #[inline]
    pub(super) fn hand_over_from<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        first: usize,
        whole: &Whole,
        lowest: usize,
        memory: &mut M,
    ) {
        let moment = self.moment();
        match self.log.take_one_from(first, moment) {
            Some(slots) => hand_over(whole, lowest, slots, &mut self.counters, memory),
            None => self.hand_over_joined(first, whole, lowest, memory),
        }
        self.done_from();
    }

    /// The same for a datagram whose slots belong to several tokens, which are joined first.
    #[inline(never)]
    fn hand_over_joined<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        first: usize,
        whole: &Whole,
        lowest: usize,
        memory: &mut M,
    ) {
        let moment = self.moment();
        let mut tokens = self.log.take_from(first, moment);
        let Some(mut slots) = tokens.next() else { return };
        match tokens.find_map(|below| memory.join(&mut slots, below).err()) {
            None => hand_over(whole, lowest, slots, &mut self.counters, memory),
            Some(apart) => {
                // The caller has checked that the slots lie side by side, so this would be an error in LM.
                self.counters.drop_one(Reason::LostFrame);
                memory.release(slots);
                memory.release(apart);
                tokens.for_each(|slots| memory.release(slots));
            }
        }
    }

    /// Gives the slots of `log[first..]` back. The rest of the run goes on waiting.
    pub(super) fn release_from<M: SlotMemory<Buf = B, Slots = S>>(&mut self, first: usize, memory: &mut M) {
        let moment = self.moment();
        self.log.take_from(first, moment).for_each(|slots| memory.release(slots));
        self.done_from();
    }

    /// Notes that the newest frames were taken out of the log.
    #[inline]
    fn done_from(&mut self) {
        self.folded = 0;
        self.open_gap();
    }
}
