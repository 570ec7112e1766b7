//! Puts a datagram of LM's together if the layout of the slots changed in its midst.
//!
//! One part of such a datagram came to separate slots. It waits there, or is in the reassembler. The other
//! part lies in overlapping slots of the log, and only one of its headers is left. Shorter frames of
//! strangers may lie in between. The header that is left tells where all frames of that part belong. This is
//! a guess until the checksum and the digest agree.

use super::repair::{Wanted, is_ordered};
use super::{Matcher, effort};
use crate::checksum::{self, Digest};
use crate::counters::Reason;
use crate::frame::{Frame, Received, Slot, Slots};
use crate::layout::TAG;
use crate::packet::Packet;
use crate::policy::Whole;
use crate::reassembler::{Fragment, Outcome};
use crate::slot_memory::SlotMemory;
use crate::tag::Tag;
use crate::wire::{self, Udp};

/// Frames of the log that belong to a datagram, oldest first: the log's index and the number of the fragment.
type Part = Vec<(usize, usize)>;

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Tries to put the datagram together of which `frame` is the intact first fragment. `frame` is in the
    /// log no more. If the layout of the slots changed while the datagram arrived, one part of it waits in
    /// separate slots or is in the reassembler, and the other part is in the log. Returns true if the
    /// datagram was delivered, or given up and counted.
    #[cold]
    #[inline(never)]
    pub(super) fn rejoin<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<&S>,
        packet: &Packet,
        memory: &mut M,
    ) -> bool {
        let key = packet.key();
        if !self.was_separate() || self.log.is_empty() || !self.config.require.checksum {
            return false;
        }
        if !self.has_part(&key) {
            return false;
        }
        let mut room = std::mem::take(&mut self.room);
        let udp = Udp::parse(packet.mended(frame, &mut room, memory));
        self.room = room;
        let Some(udp) = udp else { return false };
        let Some(wanted) = self.wanted_by(packet, udp, self.log.len()) else { return false };
        let Some(part) = self.part(&frame, &wanted) else { return false };
        if !self.can_sum(2 * wanted.layout.fragments()) {
            return false;
        }
        self.copy_waiting(&key, memory);
        if !self.reassembler.contains(&key) {
            return false; // The reassembler refused the part that waited, and that is counted.
        }
        let trailer = self.trailer_of(&wanted, &part, memory);
        let frames = self.reassembler.fragments(&key) + part.len() as u64 + 1;
        let again = self.counters.duplicates;
        let outcome = self.add_part(frame, &wanted, &part, memory);
        let mut proven = None;
        if let Outcome::Whole(a) = outcome {
            proven = prove(&wanted, &a.buf.as_ref()[..a.len], trailer);
            if let Some(order) = proven {
                let whole = wanted.whole(self.config.geometry, order);
                let whole = Whole { fragments: a.fragments, ..whole };
                self.count_copied(whole.len);
                // Some of its headers were overwritten. So, as for a datagram that landed, nobody is told
                // what they said.
                memory.copied(whole, a.buf, wire::UDP);
            } else {
                memory.give(a.buf);
            }
        }
        if proven.is_none() {
            self.reassembler.discard(&key, &mut self.scratch);
            self.counters.drop_many(Reason::LostFrame, frames - (self.counters.duplicates - again));
        }
        self.scratch.empty(memory);
        let mut next = part.iter().peekable();
        self.log.take_out(part.first().map_or(0, |&(i, _)| i), |i, frame, _| {
            if next.next_if(|&&(chosen, _)| chosen == i).is_none() {
                return Some(frame.slots);
            }
            memory.release(frame.slots);
            None
        });
        self.leave();
        true
    }

    /// The bytes at the place of a tag that lies behind the IP packet. The reassembler does not have them, as
    /// it keeps IP payload alone. `None`: the tag lies elsewhere, or the bytes are not known.
    fn trailer_of<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        wanted: &Wanted,
        part: &Part,
        memory: &M,
    ) -> Option<[u8; TAG]> {
        let at = wanted.layout.tag().filter(|&at| at >= wanted.layout.ip_len())?;
        let last = wanted.layout.fragments() - 1;
        if let Some(&(i, _)) = part.first().filter(|&&(_, position)| position == last) {
            let from = at - last * self.config.geometry.stride();
            return self.log.piece(i, from..from + TAG, memory).first_chunk().copied();
        }
        self.trailer.filter(|(key, _)| *key == wanted.packet.key()).map(|(_, trailer)| trailer)
    }

    /// Gives the part to the reassembler, fragment by fragment, and then the frame. It stops when the
    /// datagram is whole, or was dropped, and returns that outcome.
    fn add_part<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<&S>,
        wanted: &Wanted,
        part: &Part,
        memory: &mut M,
    ) -> Outcome<B> {
        self.scratch.fill(memory);
        let (n, stride) = (wanted.layout.fragments(), self.config.geometry.stride());
        let (key, service) = (wanted.packet.key(), wanted.packet.service());
        for i in 0..=part.len() {
            let (data, position, service) = if let Some(&(index, position)) = part.get(i) {
                let len = wanted.layout.ip_fragment_len(position);
                let known = self.log.packet(index).map_or(service, Packet::service);
                (self.log.piece(index, 0..len, memory), position, known)
            } else {
                (wanted.packet.mended(frame, &mut self.room, memory), 0, service)
            };
            let fragment =
                Fragment { offset: (position * stride) as u32, more: position + 1 < n, service, data };
            let outcome = self.reassembler.insert(self.now, key, fragment, &mut self.scratch);
            match outcome {
                Outcome::Pending => {}
                Outcome::Duplicate => self.counters.duplicates += 1,
                outcome => return outcome,
            }
        }
        Outcome::Pending
    }

    /// The frames of the log that can be the part of `wanted` that did not come to separate slots.
    fn part(&mut self, frame: &Frame, wanted: &Wanted) -> Option<Part> {
        let (stride, n, key) =
            (self.config.geometry.stride(), wanted.layout.fragments(), wanted.packet.key());
        let part: Part = if frame.slot == Slot::Overlapping {
            // The first fragment came to an overlapping slot, so the slots were separate before. The end of
            // the datagram came to those, from fragment `missing` on. The fragments between came to
            // overlapping slots before the first one. A frame that can be none of them is a stranger's.
            let lowest = self.reassembler.lowest(&key).or_else(|| self.waiting.lowest(&key));
            let missing = lowest? / stride;
            if !self.can_afford(effort::looking(self.log.len())) {
                return None;
            }
            let mut part = Part::new();
            for i in (0..self.log.len()).rev() {
                let position = part.len() + 1;
                if position >= missing.min(n) {
                    break;
                }
                if self.may_be(i, position, wanted) {
                    part.push((i, position));
                }
            }
            part.reverse();
            if part.len() + 1 == missing { part } else { return None }
        } else {
            // The first fragment came to a separate slot, so the slots were overlapping before. Of the frames
            // that came to those, the newest one still has its header.
            let &(newest, header) = self.log.seen_from(0).iter().rfind(|(_, h)| h.key() == key)?;
            let (newest, position) = (newest as usize, header.ip.offset as usize / stride);
            let count = n.checked_sub(position)?;
            let from = (newest + 1).checked_sub(count)?;
            let beside = (from..newest).all(|i| self.log[i].at == self.log[i + 1].at + stride);
            if !beside {
                return None;
            }
            (from..=newest).map(|i| (i, position + newest - i)).collect()
        };
        let fits = part.iter().all(|&(i, position)| self.may_be(i, position, wanted));
        (!part.is_empty() && fits).then_some(part)
    }
}

/// Proves that this IP payload, which was put together by guess, is the datagram: its UDP checksum is good,
/// and the digest in its tag, or its identification where a tag has no room, proves the order. Returns the
/// digest in the tag, if it has one. `None`: it is not proven. `trailer` are the bytes behind the IP packet.
fn prove(wanted: &Wanted, payload: &[u8], trailer: Option<[u8; TAG]>) -> Option<Option<u32>> {
    let layout = &wanted.layout;
    if payload.len() < layout.ip_len().min(layout.udp_len()) {
        return None;
    }
    let mut digest = Digest::new();
    let mut at = 0;
    for i in 0..layout.fragments() {
        let piece = layout.piece(i);
        match payload.get(at + piece.start..at + piece.end) {
            Some(bytes) => digest.push(checksum::piece(bytes)),
            None => return None,
        }
        at += layout.ip_fragment_len(i);
    }
    let order = match layout.tag() {
        None => None,
        Some(at) => {
            let tag = trailer.or_else(|| payload.get(at..)?.first_chunk::<TAG>().copied());
            match tag.and_then(|tag| wanted.identity.check(tag)) {
                Some(Tag::Ordered(order)) => Some(order),
                Some(Tag::Ends) | None => return None,
            }
        }
    };
    is_ordered(wanted, order, &digest).then_some(order)
}
