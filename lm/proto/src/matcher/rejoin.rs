//! Slots were laid anew in the midst of a datagram of LM's.
//!
//! One part of it is in separate slots, and so in the reassembler; the other lies in overlapping ones, side
//! by side, with one header left. That one says where they all belong, which is a guess until checksum and
//! digest agree.

use super::Matcher;
use super::repair::{Wanted, is_ordered};
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

/// Where frames of the log belong in a datagram: the first of them, how many, and the position of the newest
/// of them.
struct Part {
    from: usize,
    count: usize,
    position: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// `frame`, which is in the log no more, is the intact first fragment of a datagram: if slots were laid
    /// anew while it arrived, one part of it is in the reassembler and the other in the log. True: it was put
    /// together, or given up and counted.
    #[cold]
    #[inline(never)]
    pub(super) fn rejoin<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<&S>,
        packet: &Packet,
        memory: &mut M,
    ) -> bool {
        let key = packet.key();
        if self.log.is_empty() || !self.config.require.checksum || !self.reassembler.contains(&key) {
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
        let outcome = self.add_part(frame, &wanted, &part, memory);
        let mut proven = None;
        if let Outcome::Whole(a) = outcome {
            proven = prove(&wanted, &a.buf.as_ref()[..a.len]);
            if let Some(order) = proven {
                let whole = wanted.whole(self.config.geometry, order);
                let whole = Whole { fragments: a.fragments, ..whole };
                self.count_copied(whole.len);
                memory.copied(whole, a.buf, wire::UDP);
            } else {
                memory.give(a.buf);
            }
        }
        if proven.is_none() {
            self.reassembler.discard(&key, &mut self.scratch);
            self.counters.drop_one(Reason::LostFrame);
        }
        self.scratch.empty(memory);
        let part = part.from..part.from + part.count;
        self.log.remove(part).for_each(|slots| memory.release(slots));
        self.leave();
        true
    }

    /// The part first, then the frame, as long as that leaves something to be desired.
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
        for i in 0..=part.count {
            let (data, position, service) = if i < part.count {
                let position = part.position + part.count - 1 - i;
                let len = wanted.layout.ip_fragment_len(position);
                let known = self.log.packet(part.from + i).map_or(service, Packet::service);
                (self.log.piece(part.from + i, 0..len, memory), position, known)
            } else {
                (wanted.packet.mended(frame, &mut self.room, memory), 0, service)
            };
            let fragment =
                Fragment { offset: (position * stride) as u32, more: position + 1 < n, service, data };
            let outcome = self.reassembler.insert(self.now, key, fragment, &mut self.scratch);
            if !matches!(outcome, Outcome::Pending | Outcome::Duplicate) {
                return outcome;
            }
        }
        Outcome::Pending
    }

    /// Frames at the end of the log that lie side by side and can be the part of `wanted` that is missing
    /// elsewhere.
    fn part(&self, frame: &Frame, wanted: &Wanted) -> Option<Part> {
        let (stride, n) = (self.config.geometry.stride(), wanted.layout.fragments());
        let beside =
            |from: usize, to: usize| (from..to).all(|i| self.log[i].at == self.log[i + 1].at + stride);
        let part = if frame.slot == Slot::Overlapping {
            // It came to overlapping slots: those above it are full.
            let count = (self.log.run()..self.log.len())
                .rev()
                .zip(1..n)
                .take_while(|&(i, p)| self.log[i].at == frame.at + p * stride && self.may_be(i, p, wanted));
            let count = count.count();
            Part { from: self.log.len() - count, count, position: 1 }
        } else {
            // It came to a separate one: the last that came to an overlapping one still has its header.
            let key = wanted.packet.key();
            let &(at, header) = self.log.seen_from(0).iter().rfind(|(_, h)| h.key() == key)?;
            let (at, position) = (at as usize, header.ip.offset as usize / stride);
            let count = n.checked_sub(position)?;
            Part { from: (at + 1).checked_sub(count)?, count, position }
        };
        let newest = (part.from + part.count).checked_sub(1)?;
        let fits = (0..part.count).all(|i| self.may_be(newest - i, part.position + i, wanted));
        (part.count > 0 && fits && beside(part.from, newest)).then_some(part)
    }
}

/// Whether this IP payload, put together by guess, is the datagram: its UDP checksum is good, and its tag, or
/// its identification where a tag has no room, proves the order. If so, the order that the tag tells.
fn prove(wanted: &Wanted, payload: &[u8]) -> Option<Option<u32>> {
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
            let tag = payload.get(at..).and_then(|rest| rest.first_chunk::<TAG>());
            match tag.and_then(|tag| wanted.identity.check(*tag)) {
                Some(Tag::Ordered(order)) => Some(order),
                Some(Tag::Ends) | None => return None,
            }
        }
    };
    is_ordered(wanted, order, &digest).then_some(order)
}
