//! Fragments in separate slots wait where they landed, and their datagram is delivered in pieces.
//!
//! That is how any other stack's datagrams come: first fragment first, from a kernel. Each header is intact,
//! nothing reaches a separate slot, and the payload is summed as it arrives. So when the last missing
//! fragment is here nothing is copied, and no payload is read again. What the table of those that
//! [wait](crate::reassembler::waiting) cannot have goes on in the reassembler: then its pieces are copied
//! there, each once.

use super::Matcher;
use crate::checksum;
use crate::counters::Reason;
use crate::frame::{FRONT, Frame, Received, Slot, Slots};
use crate::layout::{Layout, TAG};
use crate::packet::Packet;
use crate::policy::Whole;
use crate::raw_headers::RawHeaders;
use crate::reassembler::piece::{Piece, Place, Shape};
use crate::reassembler::waiting::{WaitingInfo, has_checksum};
use crate::reassembler::{Fragment, Key, Outcome, Reassembler};
use crate::service::Service;
use crate::slot_memory::SlotMemory;
use crate::wire::{self, Udp};

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// A frame in a separate slot, when nothing else waits for it: a fragment with a plain header, which is
    /// what nearly all are, waits.
    ///
    /// # Errors
    /// Any other frame.
    #[inline]
    pub(super) fn keep_plain<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<S>,
        memory: &mut M,
    ) -> Result<(), Received<S>> {
        if !self.is_alone(&frame) || !self.waiting.is_open() {
            return Err(frame);
        }
        let headers = memory.headers(&frame);
        let Some((key, shape, service)) = headers.fragment(frame.payload_len()) else { return Err(frame) };
        if self.is_for_another(&frame, memory) {
            return Err(frame);
        }
        let Some(slot) = self.wait_of(&key, memory) else { return Err(frame) };
        let number = match self.waiting.place(slot, &shape) {
            Place::New(number) if self.waiting.has_room(slot, number) => number,
            _ => return Err(frame),
        };
        // From here on the frame is handled here.
        self.note_kept(&key, &shape, frame.word);
        self.reverse = self.note_fragment(frame.by_ref(), key, &shape, 0, memory);
        let kept = self.wait_at((slot, number), frame, (&shape, 0, service), Some(headers), memory);
        self.reverse = false;
        kept
    }

    /// Takes a frame in a separate slot, and any other that is not plain. If it can be, it is taken by the
    /// words of its header alone.
    #[inline]
    pub(super) fn push_separate<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<S>,
        memory: &mut M,
    ) {
        let taken = if self.is_alone(&frame) {
            let headers = memory.headers(&frame);
            if headers.look_first() && !headers.have_more() {
                self.take_separate(headers, frame, memory)
            } else {
                self.keep_expected(headers, frame, memory)
            }
        } else {
            Err(frame)
        };
        if let Err(frame) = taken {
            self.push_unexpected(frame, memory);
        }
    }

    /// [`Self::keep_plain`] for the fragment that is expected next of its datagram, which
    /// [is alone](Self::is_alone). Its headers are known, so there is less to do.
    ///
    /// # Errors
    /// Any other frame: nothing has happened.
    #[inline]
    fn keep_expected<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        headers: RawHeaders,
        frame: Received<S>,
        memory: &mut M,
    ) -> Result<(), Received<S>> {
        if !self.waiting.expected.is_on() {
            return Err(frame);
        }
        let Some((slot, number, len)) = self.waiting.find_expected(headers, self.now) else {
            return Err(frame);
        };
        if frame.payload_len() < len.into() || self.is_for_another(&frame, memory) {
            return Err(frame);
        }
        let shape = Shape { offset: number * usize::from(len), more: true, len: len.into() };
        let data = memory.bytes(&frame.slots, frame.at, shape.len);
        let sum = if self.waiting.sums(slot) { checksum::sum(data) } else { 0 };
        let Received { frame, slots, word } = frame;
        let piece = Piece { slots, at: frame.at, len, service: headers.service() };
        if let Err(Piece { slots, .. }) = self.waiting.add_expected((slot, number), headers, piece, sum) {
            return Err(Received { frame, slots, word });
        }
        self.fresh = true;
        self.counters.frames += 1;
        let key = headers.key();
        self.note_kept(&key, &shape, word);
        if let Some(auto) = &mut self.auto {
            auto.fragment(key, &shape);
        }
        Ok(())
    }

    /// Whether a frame is in place in a separate slot, and nothing waits in the log.
    #[inline]
    pub(super) fn is_alone(&self, frame: &Frame) -> bool {
        #[cfg(test)]
        if self.waiting.expected.off {
            return false;
        }
        frame.slot == Slot::Separate && frame.bounce == 0 && self.log.is_empty()
    }

    /// Whether a frame is for another station on the link, as far as that matters.
    #[inline]
    fn is_for_another<M: SlotMemory<Buf = B, Slots = S>>(&self, frame: &Frame, memory: &M) -> bool {
        self.config.accept.mac.is_some() && self.config.accept.is_for_another(&memory.head(frame))
    }

    /// Notes of a fragment with a plain header what `standalone` notes of other frames.
    #[inline]
    fn note_kept(&mut self, key: &Key, shape: &Shape, word: u32) {
        self.separate = Some(self.counters.frames);
        self.mtu_check.observe(key.src, shape.len as u16, shape.more);
        if self.log.keeps_words() {
            self.hear(Some(word), key.id);
        }
    }

    /// A fragment in a separate slot, with an intact header.
    pub(super) fn keep<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<S>,
        packet: &Packet,
        memory: &mut M,
    ) {
        let (key, shape) = (packet.key(), packet.shape());
        if let Some(reason) = Reassembler::<B>::refusal(shape.offset, shape.more, shape.len) {
            self.counters.drop_one(reason);
            memory.release(frame.slots);
            return;
        }
        let Some(slot) = self.wait_of(&key, memory) else { return self.copy_in(frame, packet, memory) };
        match self.waiting.place(slot, &shape) {
            Place::New(number) => {
                let what = (&shape, packet.skew, packet.service());
                if let Err(frame) = self.wait_at((slot, number), frame, what, None, memory) {
                    self.copy_in(frame, packet, memory);
                }
            }
            Place::Again(number) if self.is_same(slot, number, frame.by_ref(), packet, memory) => {
                self.waiting.mark(slot, number, packet.service());
                self.counters.duplicates += 1;
                memory.release(frame.slots);
            }
            Place::Again(_) | Place::Odd => self.copy_in(frame, packet, memory),
        }
    }

    /// A fragment waits at its new place, and its datagram is delivered if it was the last one missing. Its
    /// payload begins `skew` bytes behind the slot's. `headers` are those in front of it if they have no
    /// options.
    ///
    /// # Errors
    /// The frame: there is no room.
    #[inline]
    fn wait_at<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        (slot, number): (usize, usize),
        frame: Received<S>,
        (shape, skew, service): (&Shape, usize, Service),
        headers: Option<RawHeaders>,
        memory: &mut M,
    ) -> Result<(), Received<S>> {
        let Received { frame, slots, word } = frame;
        let at = frame.at + skew;
        let data = memory.bytes(&slots, at, shape.len);
        let (front, behind) = match data.first_chunk::<FRONT>() {
            Some(front) if number == 0 => (*front, &data[FRONT..]),
            _ => ([0; FRONT], data),
        };
        let sums = if number == 0 { has_checksum(&front) } else { self.waiting.sums(slot) };
        let sum = if sums { checksum::sum(behind) } else { 0 };
        let piece = Piece { slots, at, len: shape.len as u16, service };
        match self.waiting.add((slot, number), shape, headers, piece, (sum, front)) {
            Ok(false) => {}
            Ok(true) => self.finish(slot, memory),
            Err(Piece { slots, .. }) => return Err(Received { frame, slots, word }),
        }
        Ok(())
    }

    /// The entry of a fragment's datagram; `None`: it cannot wait here.
    #[inline]
    fn wait_of<M: SlotMemory<Buf = B, Slots = S>>(&mut self, key: &Key, memory: &mut M) -> Option<usize> {
        if let Some(slot) = self.waiting.find_again(key)
            && !self.waiting.is_over(slot, self.now)
        {
            debug_assert!(!self.reassembler.contains(key), "a datagram waits, or is copied");
            return Some(slot);
        }
        if !self.waiting.is_open() || self.reassembler.knows(key) {
            return None;
        }
        let hash = self.waiting.hash(key);
        match self.waiting.find(key, hash) {
            Some(slot) if !self.waiting.is_over(slot, self.now) => {
                self.waiting.expect(slot);
                return Some(slot);
            }
            Some(slot) => self.drop_waiting(slot, Reason::Timeout, memory),
            None => {}
        }
        let stride = self.config.geometry.stride() as u16;
        self.waiting.begin(*key, hash, self.now, self.counters.frames, stride)
    }

    /// Whether a fragment that waits already has the same bytes.
    fn is_same<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        slot: usize,
        number: usize,
        frame: Received<&S>,
        packet: &Packet,
        memory: &M,
    ) -> bool {
        let data = packet.payload(frame, memory);
        let there = self.waiting.piece(slot, number);
        there.is_some_and(|there| memory.bytes(&there.slots, there.at, there.len.into()) == data)
    }

    /// Gives a fragment to the reassembler, together with the fragments of its datagram that wait.
    #[cold]
    #[inline(never)]
    fn copy_in<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<S>,
        packet: &Packet,
        memory: &mut M,
    ) {
        self.reassemble(frame.by_ref(), packet, memory);
        memory.release(frame.slots);
    }

    /// Gives the fragments of a datagram that wait to the reassembler.
    #[inline]
    pub(super) fn copy_waiting<M: SlotMemory<Buf = B, Slots = S>>(&mut self, key: &Key, memory: &mut M) {
        if !self.waiting.is_empty()
            && let Some(slot) = self.waiting.find(key, self.waiting.hash(key))
        {
            self.copy_out_of(slot, memory);
        }
    }

    /// [`Self::copy_waiting`] for the datagram in this entry. Each fragment is copied. If one is refused, the
    /// others are not needed.
    #[cold]
    #[inline(never)]
    fn copy_out_of<M: SlotMemory<Buf = B, Slots = S>>(&mut self, slot: usize, memory: &mut M) {
        let mut info = self.waiting.remove(slot);
        let mut refused = false;
        while let Some((number, piece)) = self.waiting.next_piece(&mut info) {
            if !refused {
                self.scratch.fill(memory);
                let data = memory.bytes(&piece.slots, piece.at, piece.len.into());
                let (offset, more) = ((number * info.unit) as u32, info.last != Some(number));
                let service = if number == 0 { info.first } else { piece.service };
                let fragment = Fragment { offset, more, service, data };
                let outcome = self.reassembler.insert(self.now, info.key, fragment, &mut self.scratch);
                self.scratch.empty(memory);
                refused = matches!(outcome, Outcome::Dropped(_));
                self.obey(outcome, memory);
            }
            memory.release(piece.slots);
        }
        // Duplicates are not copied, but their marks count.
        self.reassembler.mark(&info.key, info.marks);
    }

    /// Ends the wait of datagrams that have waited too long. A datagram whose time is over is given up. One
    /// that has waited for too many frames is copied, so that its slots come back.
    #[inline]
    pub(super) fn end_waiting<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        while let Some((slot, late)) = self.waiting.overdue(self.now, self.counters.frames) {
            if late {
                self.drop_waiting(slot, Reason::Timeout, memory);
            } else {
                self.copy_out_of(slot, memory);
            }
        }
    }

    /// How many fragments one [`Self::relieve`] copies. They are a few bursts, so it ends soon.
    pub const RELIEF: usize = 256;

    /// Copies what has waited longest, so that its slots come back, because there are none left to post. It
    /// stops with the datagram that makes [`Self::RELIEF`] fragments. If that did not help, the caller calls
    /// it again.
    #[cold]
    pub fn relieve<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        let enough = self.waiting.frames().saturating_sub(Self::RELIEF);
        while self.waiting.frames() > enough
            && let Some(slot) = self.waiting.oldest()
        {
            self.copy_out_of(slot, memory);
        }
    }

    /// Gives up everything that waits, and counts it as late.
    pub(super) fn clear_waiting<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        while let Some(slot) = self.waiting.oldest() {
            self.drop_waiting(slot, Reason::Timeout, memory);
        }
    }

    /// Drops a datagram, and gives its slots back.
    #[cold]
    #[inline(never)]
    fn drop_waiting<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        slot: usize,
        reason: Reason,
        memory: &mut M,
    ) {
        self.counters.drop_one(reason);
        let mut info = self.waiting.remove(slot);
        while let Some((_, piece)) = self.waiting.next_piece(&mut info) {
            memory.release(piece.slots);
        }
    }

    /// Delivers or drops a datagram whose fragments are all there.
    fn finish<M: SlotMemory<Buf = B, Slots = S>>(&mut self, slot: usize, memory: &mut M) {
        let info = self.waiting.info(slot);
        match self.check_waiting(slot, &info, memory) {
            Ok(whole) => {
                if self.reverse {
                    self.note_reverse(self.could_land_waiting(slot, &info, memory));
                }
                let mut info = self.waiting.remove(slot);
                let (whole, len) = (Whole { fragments: info.fragments(), ..whole }, whole.len);
                self.counters.datagrams += 1;
                self.counters.bytes += len as u64;
                self.counters.pieces += 1;
                let (waiting, end, service) = (&mut self.waiting, wire::UDP + len, info.service());
                let pieces = std::iter::from_fn(|| {
                    let (number, Piece { slots, at, len, .. }) = waiting.next_piece(&mut info)?;
                    let start = number * info.unit;
                    let skip = wire::UDP.saturating_sub(start);
                    let beyond = (start + usize::from(len)).min(end).saturating_sub(start);
                    Some((slots, at + skip, beyond.saturating_sub(skip)))
                });
                memory.came_with(service);
                memory.in_pieces(whole, pieces);
            }
            Err(reason) => self.drop_waiting(slot, reason, memory),
        }
    }

    /// What the policy takes as proof of a datagram that waits and is all there.
    fn check_waiting<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        slot: usize,
        info: &WaitingInfo,
        memory: &M,
    ) -> Result<Whole, Reason> {
        if wire::marks_clash(info.marks) {
            return Err(Reason::Ecn);
        }
        let udp = Udp::parse(&info.front).ok_or(Reason::BadUdpLength)?;
        // What lies behind the UDP datagram was summed with it.
        let sum = |layout: &Layout, _| {
            let len = layout.udp_len();
            let sum = if len == info.len {
                info.sum
            } else {
                self.sum_waiting(slot, info, len - wire::UDP, memory)
            };
            (sum, None)
        };
        let tag = |at: usize| match self.bytes_waiting((slot, info), at, TAG, memory) {
            Some(bytes) => bytes.first_chunk::<TAG>().copied(),
            None => self.tag_waiting(slot, info, at, memory),
        };
        let Key { src, dst, id, .. } = info.key;
        self.check_wherever([src, dst], id, &udp, info.len, tag, sum)?.ok_or(Reason::NotOurs)
    }

    /// Bytes of the IP payload of a datagram that waits, if they are there and lie in one fragment.
    fn bytes_waiting<'m, M: SlotMemory<Buf = B, Slots = S>>(
        &'m self,
        (slot, info): (usize, &WaitingInfo),
        at: usize,
        len: usize,
        memory: &'m M,
    ) -> Option<&'m [u8]> {
        let number = at / info.unit.max(1);
        let piece = self.waiting.piece(slot, number)?;
        let from = at - number * info.unit;
        (from + len <= piece.len.into()).then(|| memory.bytes(&piece.slots, piece.at + from, len))
    }

    /// What is at this place of the IP payload of a datagram that waits, if it lies in two fragments or more:
    /// it was cut in another way than LM cuts.
    #[cold]
    fn tag_waiting<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        slot: usize,
        info: &WaitingInfo,
        at: usize,
        memory: &M,
    ) -> Option<[u8; TAG]> {
        let mut tag = [0; TAG];
        for (at, to) in (at..).zip(&mut tag) {
            *to = *self.bytes_waiting((slot, info), at, 1, memory)?.first()?;
        }
        Some(tag)
    }

    /// Whether a datagram that waits and is all there [could land](Self::could_land).
    #[cold]
    fn could_land_waiting<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        slot: usize,
        info: &WaitingInfo,
        memory: &M,
    ) -> bool {
        let bytes = |at: usize, len: usize| self.bytes_waiting((slot, info), at, len, memory);
        Udp::parse(&info.front).is_some_and(|udp| self.could_land(&info.key, &udp, bytes))
    }

    /// The sum of the first `len` bytes of payload behind the UDP header.
    #[cold]
    fn sum_waiting<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        slot: usize,
        info: &WaitingInfo,
        len: usize,
        memory: &M,
    ) -> u64 {
        let (end, mut sum) = (wire::UDP + len, 0);
        for number in 0..info.fragments().into() {
            let Some(piece) = self.waiting.piece(slot, number) else { continue };
            let start = number * info.unit;
            let skip = wire::UDP.saturating_sub(start);
            let beyond = usize::from(piece.len).min(end.saturating_sub(start));
            let bytes = memory.bytes(&piece.slots, piece.at + skip, beyond.saturating_sub(skip));
            sum += checksum::sum(bytes);
        }
        sum
    }
}
