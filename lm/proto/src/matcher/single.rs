//! A datagram in the one frame of its run, the most frequent of all: its headers are looked at where they were
//! read, once. Whatever is not plain is left to [`Matcher::examine`], which takes any frame.

use super::Matcher;
use crate::frame::{Head, Slot, Slots};
use crate::packet;
use crate::raw_headers::RawHeaders;
use crate::reassembler::Key;
use crate::slot_memory::SlotMemory;
use crate::wire::{self, ETHERNET, IPV4, PROTO_UDP, Udp};

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// [`Self::close`] for headers without more to come: those of a first fragment that closes nothing, but
    /// may be a datagram of its own. True: it was the run's one frame, and is done with.
    #[inline]
    pub(super) fn close_single<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        headers: RawHeaders,
        head: &Head,
        memory: &mut M,
    ) -> bool {
        if self.run_len() != 1 {
            return false;
        }
        if !self.take_single(headers, head, memory) {
            self.examine(head, memory);
        }
        true
    }

    /// Delivers or drops the newest frame if it is a plain datagram that is taken here and ends in its slot;
    /// else false, and nothing has happened.
    #[inline]
    fn take_single<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        headers: RawHeaders,
        head: &Head,
        memory: &mut M,
    ) -> bool {
        let z = self.log.len() - 1;
        let (slot, bounce, frame_len) = (self.log[z].slot, self.log[z].bounce, usize::from(self.log[z].len));
        let Some(total) = headers.whole() else { return false };
        let len = total.saturating_sub(IPV4);
        let plain = slot == Slot::Overlapping && bounce == 0 && ETHERNET + total <= frame_len;
        if !plain || !(wire::UDP..=self.config.geometry.stride()).contains(&len) {
            return false;
        }
        let key = Key { src: headers.src(), dst: headers.dst(), id: headers.id(), protocol: PROTO_UDP };
        let udp = Udp::parse(&packet::front(head));
        let checked = self.check_udp(&key, udp.zip(Some(self.log.piece(z, wire::UDP..len, memory))));
        if matches!(checked, Ok(None)) {
            return false;
        }
        let Some(frame) = self.log.pop() else { return false };
        self.open_gap();
        match checked {
            Ok(Some(whole)) => {
                self.counters.datagrams += 1;
                self.counters.bytes += whole.len as u64;
                memory.landed(whole, frame.at + wire::UDP, frame.slots);
            }
            Ok(None) => memory.release(frame.slots),
            Err(reason) => {
                self.counters.drop_one(reason);
                memory.release(frame.slots);
            }
        }
        true
    }
}
