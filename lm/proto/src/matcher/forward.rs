//! Datagrams whose fragments came in forward order, as kernels send them, into overlapping slots.
//!
//! Each fragment overwrites only the header of the fragment before it. So all payloads survive, one above the
//! other, the first one on top. They are copied into order if something proves the order. There are two
//! cases:
//!
//! - The last fragment's header is intact ([`Matcher::forward`]). Then all other headers have to be known,
//!   and have to agree. One may be unknown if there are two or three fragments whose lengths allow only one
//!   order, and if what is left of it does not contradict.
//! - The next datagram's first fragment has overwritten the last fragment's header
//!   ([`Matcher::find_forward`]). Then there have to be two or three fragments whose lengths allow only one
//!   order. The header of the fragment before the last tells who sent them.
//!
//! In both cases the datagram has to have a UDP checksum, which has to be good.

use super::Matcher;
use crate::carried::Carried;
use crate::checksum;
use crate::counters::Reason;
use crate::frame::{Slot, Slots};
use crate::layout::Layout;
use crate::packet::{Packet, Remains};
use crate::policy::{Whole, WholeBy};
use crate::slot_memory::SlotMemory;
use crate::wire::{self, Flow, HEADERS, Udp};

/// How many fragments a datagram may have whose order their lengths prove.
pub(super) const FORCED: std::ops::RangeInclusive<usize> = 2..=3;

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Looks for a datagram in forward order, when the newest frame is its last fragment and has an intact
    /// header. Returns true if the frames before it are the rest, and were delivered or dropped with it.
    pub(super) fn forward<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        last: &Packet,
        memory: &mut M,
    ) -> bool {
        let before = self.log.len().checked_sub(2);
        if !before.is_some_and(|before| self.is_full(before)) {
            return false;
        }
        let mut room = std::mem::take(&mut self.room);
        let done = self.forward_in(last, &mut room, memory);
        self.room = room;
        done
    }

    /// [`Self::forward`], with `room` for the last fragment's payload.
    fn forward_in<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        last: &Packet,
        room: &mut Vec<u8>,
        memory: &mut M,
    ) -> bool {
        let stride = self.config.geometry.stride();
        let (offset, z) = (last.ip.offset as usize, self.log.len() - 1);
        let (n, end) = (offset / stride + 1, offset + usize::from(last.ip.payload_len));
        if z + 1 < n || n < 2 || !self.config.require.checksum {
            return false;
        }
        let first = z + 1 - n;
        let Some(udp) = self.udp_of_first(first, end, memory) else { return false };
        let flow =
            Flow { src: last.ip.src, dst: last.ip.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        if !self.config.accept.takes(&flow) || !self.can_sum(n) {
            return false;
        }
        let (mut unseen, mut marks) = (0, 1 << last.ecn());
        for i in first..z {
            let place = (i - first) * stride;
            match self.log.packet(i) {
                Some(packet) if packet.is_piece(&last.key(), place, stride, true) => {
                    marks |= 1 << packet.ecn();
                }
                Some(_) => return false,
                None => {
                    unseen += 1;
                    let contradicts =
                        |left: Remains| !left.may_be_of(last, place as u32, stride as u16, true);
                    if self.remains(i, memory).is_some_and(contradicts) {
                        return false;
                    }
                }
            }
            if !self.is_full(i) || !self.is_of(i, last.ip.id) {
                return false;
            }
        }
        let layout = Layout::plain(self.config.geometry, end);
        last.mended(self.log.received(z), room, memory);
        let copied = self.copy_and_sum(&layout, |i| first + i, Some(room), memory);
        let Some((buf, digest)) = copied else { return false };
        if !checksum::udp_ok(&flow, &udp, digest.sum()) {
            memory.give(buf);
            return false;
        }
        if wire::marks_clash(marks) {
            self.counters.drop_one(Reason::Ecn);
            memory.give(buf);
        } else if unseen > usize::from(self.is_order_forced(n, z)) {
            self.counters.drop_one(Reason::OrderUnproven);
            memory.give(buf);
        } else {
            let (len, by) = (end - wire::UDP, WholeBy::Checksum);
            let carried = Carried::summed(self.config.geometry, &layout, &udp, &digest);
            let whole = Whole { flow, len, fragments: n as u16, by, carried };
            self.deliver_buffer(&whole, buf, memory);
            self.sum_was_good(n);
        }
        self.note_foreign(n);
        self.release_from(first, memory);
        true
    }

    /// Delivers a datagram in forward order, if one ends with the frame that the run begins with. The header
    /// of that frame is lost.
    pub(super) fn find_forward<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        let last = self.log.run();
        if last == 0
            || !self.log.has_run()
            || !self.config.require.checksum
            || self.log.packet(last).is_some()
        {
            return;
        }
        for n in FORCED {
            let Some(first) = (last + 1).checked_sub(n) else { return };
            if !self.is_full(first) {
                return;
            }
            if let Some((whole, buf)) = self.forward_of(first, last, memory) {
                self.deliver_buffer(&whole, buf, memory);
                self.sum_was_good(n);
                self.note_foreign(n);
                self.log.remove(first..last + 1).for_each(|slots| memory.release(slots));
                return;
            }
        }
    }

    /// The datagram of which `log[first..=last]` are the fragments, in forward order, if that can be proven.
    fn forward_of<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        first: usize,
        last: usize,
        memory: &mut M,
    ) -> Option<(Whole, B)> {
        let stride = self.config.geometry.stride();
        let n = last + 1 - first;
        let udp = Udp::parse(self.log.piece(first, 0..wire::UDP, memory))?;
        let len = usize::from(udp.len);
        let layout = Layout::plain(self.config.geometry, len.min(wire::MAX_IP_PAYLOAD));
        let fits = udp.checksum != 0
            && len > (n - 1) * stride
            && layout.fragments() == n
            && layout.ends_with(self.log[last].len.into())
            // Anything else may be a tag. Then the datagram is one of LM's, which LM does not send in forward
            // order.
            && self.is_padded_with_zeroes(&layout, last, memory);
        if !fits || !self.is_order_forced(n, last) {
            return None;
        }
        // The fragment before the last names the source. Its header is intact as far as the last one, which
        // may be short, does not reach it.
        let place = (n - 2) * stride;
        let known = self.log.packet(last - 1).copied();
        let left = if known.is_none() { self.remains(last - 1, memory) } else { None };
        let (end, rest) = ((n - 1) * stride, len - (n - 1) * stride);
        let left_of_last = self.remains(last, memory);
        if left.is_some_and(|left| !left.may_be_at(place as u32, stride as u16, true))
            || left_of_last.is_some_and(|left| !left.may_be_at(end as u32, rest as u16, false))
        {
            return None;
        }
        let known = known.or_else(|| left?.packet(self.log[last - 1].len.into()));
        let (src, dst) = match &known {
            Some(packet) if packet.is_piece(&packet.key(), place, stride, true) => {
                (packet.ip.src, packet.ip.dst)
            }
            Some(_) => return None,
            None => left?.addresses()?,
        };
        if let (Some(packet), Some(left)) = (&known, left_of_last)
            && !left.may_be_of(packet, end as u32, rest as u16, false)
        {
            return None;
        }
        let agrees = |i: usize| match (self.log.packet(i), &known) {
            (None, _) => true,
            (Some(other), Some(packet)) => other.is_piece(&packet.key(), (i - first) * stride, stride, true),
            (Some(_), None) => false,
        };
        let id = known.map(|packet| packet.ip.id).or(self.log.word(first).map(|word| word as u16));
        if id.is_some_and(|id| !(first..=last).all(|i| self.is_of(i, id))) {
            return None;
        }
        let flow = Flow { src, dst, src_port: udp.src_port, dst_port: udp.dst_port };
        if !(first..last - 1).all(agrees) || !self.config.accept.takes(&flow) || !self.can_sum(n) {
            return None;
        }
        let (buf, digest) = self.copy_and_sum(&layout, |i| first + i, None, memory)?;
        if !checksum::udp_ok(&flow, &udp, digest.sum()) {
            memory.give(buf);
            return None;
        }
        let (len, by) = (len - wire::UDP, WholeBy::Checksum);
        let carried = Carried::summed(self.config.geometry, &layout, &udp, &digest);
        Some((Whole { flow, len, fragments: n as u16, by, carried }, buf))
    }

    /// The UDP header at the start of `log[first]`, if it is that of a datagram of `end` bytes with a
    /// checksum.
    fn udp_of_first<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        first: usize,
        end: usize,
        memory: &M,
    ) -> Option<Udp> {
        let udp = Udp::parse(self.log.piece(first, 0..self.log[first].payload_len().min(wire::UDP), memory))?;
        (usize::from(udp.len) == end && udp.checksum != 0).then_some(udp)
    }

    /// Whether a frame is a full one in an overlapping slot.
    fn is_full(&self, index: usize) -> bool {
        self.log[index].len == self.full && self.log[index].slot == Slot::Overlapping
    }

    /// Whether a frame landed right below the one that is before it in the log.
    fn follows(&self, index: usize) -> bool {
        self.log[index].slot == Slot::Overlapping
            && self.config.touches(&self.log[index], &self.log[index - 1])
    }

    /// What is left of a frame's headers after the next frame landed below it. `None`: that is not known, as
    /// the next frame in the log lies elsewhere, or there is none.
    fn remains<M: SlotMemory<Buf = B, Slots = S>>(&self, index: usize, memory: &M) -> Option<Remains> {
        let frame = &self.log[index];
        if frame.bounce == 0 && (index + 1 >= self.log.len() || !self.follows(index + 1)) {
            return None;
        }
        let gone = if frame.bounce == 0 {
            let room = self.config.geometry.stride() - HEADERS;
            self.log[index + 1].payload_len().saturating_sub(room)
        } else {
            0
        };
        Some(Remains::new(memory.head(frame), gone))
    }
}
