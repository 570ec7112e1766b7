//! Frames that stand alone: their headers are known to be intact, so each says what it is without its
//! neighbours.
//!
//! They come from separate slots, or out of the log when their run closed nothing. A datagram in one frame is
//! delivered where it lies; a fragment waits where it landed (`keep`), or joins its datagram in the
//! [`Reassembler`](crate::reassembler); the rest is a stranger's, or broken.

use super::Matcher;
use crate::counters::Reason;
use crate::frame::{Head, Received, Slot, Slots};
use crate::packet::{Kind, Packet, classify, classify_bytes};
use crate::policy::Whole;
use crate::reassembler::{Fragment, Key, Outcome};
use crate::service::Service;
use crate::slot_memory::SlotMemory;
use crate::wire::{self, HEADERS, Udp};

/// After this many frames a datagram that lies in both layouts is whole or lost. They are two of the largest
/// rings.
const LATELY: u64 = 8192;

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Handles the newest frame of the log, whose headers are these and intact, and which closes nothing.
    pub(super) fn examine<M: SlotMemory<Buf = B, Slots = S>>(&mut self, head: &Head, memory: &mut M) {
        let z = self.log.len() - 1;
        let frame = self.log[z];
        let kind = classify(head, self.log.received(z), memory);
        if let Kind::Fragment(Packet { ip, skew, .. }) = kind {
            self.mtu_check.observe_header(&ip);
            self.hear(self.log.word(z).filter(|_| skew == 0), ip.id);
        }
        match kind {
            Kind::Fragment(packet)
                if frame.slot == Slot::Overlapping
                    && !self.config.accept.is_for_another(head)
                    && packet.can_land(self.config.geometry.stride())
                    && (!self.has_part(&packet.key()) || self.crosses(&packet)) =>
            {
                self.log.note(z, packet);
                let done = match (packet.ip.offset, packet.ip.more) {
                    (0, _) => self.assemble(&packet, memory),
                    (_, true) => false,
                    (_, false) => self.forward(&packet, memory),
                };
                if !done && self.is_out_of_order(z, &packet) {
                    self.gather(&packet.key(), memory);
                }
            }
            kind => {
                if let Some(frame) = self.log.pop() {
                    self.open_gap();
                    self.standalone(frame, kind, head, memory);
                }
                if let Kind::Fragment(packet) = kind
                    && self.has_seen(&packet.key())
                {
                    self.gather(&packet.key(), memory);
                }
            }
        }
    }

    /// Whether a part of this datagram is in the reassembler, or waits to be given out in pieces.
    pub(super) fn has_part(&self, key: &Key) -> bool {
        self.reassembler.contains(key) || self.waiting.contains(key)
    }

    /// Whether the newest frame of the run has to wait for the first fragment of its datagram, of which there
    /// is a part elsewhere. The frames above this one have lost their headers, and may be of the same
    /// datagram ([`super::rejoin`]).
    fn crosses(&self, packet: &Packet) -> bool {
        let headless = self.log.seen_from(self.log.run()).len() + 1 < self.log.len() - self.log.run();
        self.was_separate() && packet.ip.more && packet.ip.offset != 0 && headless
    }

    /// Whether slots may have been laid anew lately, so that one datagram can lie in both layouts.
    pub(super) fn was_separate(&self) -> bool {
        self.separate.is_some_and(|then| self.counters.frames.saturating_sub(then) <= LATELY)
    }

    /// Is called when the run is over. Frames of it that waited for a first fragment go to the part of their
    /// datagram that came to separate slots.
    #[cold]
    pub(super) fn gather_crossing<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        if !self.was_separate() {
            return;
        }
        let known = self.log.seen_from(self.log.run()).last().map(|(_, packet)| packet.key());
        if let Some(key) = known.filter(|key| self.has_part(key)) {
            self.gather(&key, memory);
        }
    }

    /// Whether the header of a frame in the log is known to be one of this datagram's.
    fn has_seen(&mut self, key: &Key) -> bool {
        self.log.alike(key) > 0 && self.knows(0, |_, other| other.key() == *key)
    }

    /// Whether `wanted` holds for one of the known headers. They are tried from the newest on, without the
    /// newest `skip`.
    fn knows(&mut self, skip: usize, wanted: impl Fn(usize, &Packet) -> bool) -> bool {
        if !self.can_afford(1) {
            return false;
        }
        let seen = self.log.seen_from(0).iter().rev().skip(skip);
        let found = seen.clone().position(|(i, other)| wanted(*i as usize, other));
        let steps = found.unwrap_or(seen.len());
        self.effort.pay(steps);
        found.is_some()
    }

    /// Handles a frame that was taken out of the log, by its intact headers: delivers it, gives it to the
    /// reassembler, or gives it out as a stranger's.
    pub(super) fn standalone<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<S>,
        kind: Kind,
        head: &Head,
        memory: &mut M,
    ) {
        let separate = frame.slot == Slot::Separate;
        if separate {
            self.separate = Some(self.counters.frames);
        }
        match kind {
            Kind::Single(_) if self.config.accept.fragmented => self.hand_out(frame.by_ref(), head, memory),
            Kind::Single(_) | Kind::Fragment(_) if self.config.accept.is_for_another(head) => {
                self.hand_out(frame.by_ref(), head, memory);
            }
            Kind::Single(packet) => return self.single(frame, &packet, head, memory),
            Kind::Fragment(packet) => {
                if separate {
                    let (ip, shape) = (&packet.ip, packet.shape());
                    self.mtu_check.observe_header(ip);
                    let heard = self.log.keeps_words() && packet.skew == 0;
                    self.hear(heard.then_some(frame.word), ip.id);
                    self.reverse =
                        self.note_fragment(frame.by_ref(), packet.key(), &shape, packet.skew, memory);
                }
                if packet.ip.offset != 0 || !self.rejoin(frame.by_ref(), &packet, memory) {
                    if separate {
                        self.keep(frame, &packet, memory);
                        self.reverse = false;
                        return;
                    }
                    self.reassemble(frame.by_ref(), &packet, memory);
                }
            }
            Kind::Stranger => self.hand_out(frame.by_ref(), head, memory),
            Kind::Bad => self.counters.drop_one(Reason::BadHeader),
        }
        if separate && matches!(kind, Kind::Stranger | Kind::Bad) {
            self.note_stranger();
        }
        self.reverse = false;
        memory.release(frame.slots);
    }

    /// Handles a frame that lies in no slot. `bytes` has all of it.
    pub(super) fn standalone_bytes<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        bytes: &[u8],
        memory: &mut M,
    ) {
        match classify_bytes(bytes, bytes.len()) {
            Kind::Single(_) if self.config.accept.fragmented => self.hand_out_bytes(bytes, memory),
            Kind::Single(_) | Kind::Fragment(_) if self.config.accept.is_for_another(bytes) => {
                self.hand_out_bytes(bytes, memory);
            }
            Kind::Single(packet) => {
                let start = (HEADERS + packet.skew).min(bytes.len());
                let payload = &bytes[start..bytes.len().min(start + usize::from(packet.ip.payload_len))];
                let split = Udp::parse(payload).map(|udp| (udp, &payload[wire::UDP..]));
                match self.check_udp(&packet.key(), split) {
                    Ok(Some(whole)) => {
                        let data = &payload[wire::UDP..wire::UDP + whole.len];
                        self.deliver_copy(whole, data, packet.service(), memory);
                    }
                    Ok(None) => self.hand_out_bytes(bytes, memory),
                    Err(reason) => self.counters.drop_one(reason),
                }
            }
            Kind::Fragment(packet) => {
                let start = (HEADERS + packet.skew).min(bytes.len());
                let payload = &bytes[start..bytes.len().min(start + usize::from(packet.ip.payload_len))];
                let (offset, more, service) = (packet.ip.offset, packet.ip.more, packet.service());
                let fragment = Fragment { offset, more, service, data: payload };
                self.copy_waiting(&packet.key(), memory);
                self.scratch.fill(memory);
                let outcome = self.reassembler.insert(self.now, packet.key(), fragment, &mut self.scratch);
                self.scratch.empty(memory);
                self.obey(outcome, memory);
                // It lies in no slot, so its datagram cannot land: those that wait for it follow it.
                if self.log.seen() > 0 {
                    self.gather(&packet.key(), memory);
                }
            }
            Kind::Stranger => self.hand_out_bytes(bytes, memory),
            Kind::Bad => self.counters.drop_one(Reason::BadHeader),
        }
    }

    pub(super) fn hand_out<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<&S>,
        head: &Head,
        memory: &mut M,
    ) {
        let taken = memory.stranger(frame, head);
        self.count_stranger(taken);
    }

    fn hand_out_bytes<M: SlotMemory<Buf = B, Slots = S>>(&mut self, bytes: &[u8], memory: &mut M) {
        let taken = memory.stranger_copy(bytes);
        self.count_stranger(taken);
    }

    fn count_stranger(&mut self, taken: bool) {
        if taken {
            self.counters.foreign += 1;
        } else {
            self.counters.drop_one(Reason::StrangerLost);
        }
    }

    /// Delivers a datagram in one frame, gives it out as a stranger's, or drops it. Its slot goes with the
    /// message, or back.
    fn single<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<S>,
        packet: &Packet,
        head: &Head,
        memory: &mut M,
    ) {
        let mut room = std::mem::take(&mut self.room);
        let checked = self.check_udp(&packet.key(), packet.split_udp(frame.by_ref(), &mut room, memory));
        self.room = room;
        match checked {
            Ok(None) => self.hand_out(frame.by_ref(), head, memory),
            Ok(Some(whole)) => {
                let len = whole.len;
                let start = packet.skew + wire::UDP;
                if frame.slot == Slot::Overlapping && start + len > self.config.geometry.stride() {
                    // Its end lies in the slot above, which may be given out again while the message is held.
                    self.copy_single(whole, frame.by_ref(), packet, memory);
                } else {
                    self.counters.datagrams += 1;
                    self.counters.bytes += len as u64;
                    memory.came_with(packet.service());
                    return memory.landed(whole, frame.at + start, frame.slots);
                }
            }
            Err(reason) => self.counters.drop_one(reason),
        }
        memory.release(frame.slots);
    }

    #[cold]
    fn copy_single<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        whole: Whole,
        frame: Received<&S>,
        packet: &Packet,
        memory: &mut M,
    ) {
        let Some(mut buf) = memory.take() else {
            self.counters.drop_one(Reason::NoBuffer);
            return;
        };
        let from = memory.bytes(frame.slots, frame.at + packet.skew + wire::UDP, whole.len);
        buf.as_mut()[..from.len()].copy_from_slice(from);
        self.count_copied(whole.len);
        memory.came_with(packet.service());
        memory.copied(whole, buf, 0);
    }

    #[cold]
    fn deliver_copy<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        whole: Whole,
        payload: &[u8],
        service: Service,
        memory: &mut M,
    ) {
        let Some(mut buf) = memory.take() else {
            self.counters.drop_one(Reason::NoBuffer);
            return;
        };
        buf.as_mut()[..payload.len()].copy_from_slice(payload);
        self.count_copied(whole.len);
        memory.came_with(service);
        memory.copied(whole, buf, 0);
    }

    /// Whether a frame's header shows that its datagram does not land. That is so if the first fragment came
    /// before this one. It is also so if this is the first fragment, and another fragment that has been seen
    /// does not lie where it would have landed.
    fn is_out_of_order(&mut self, z: usize, packet: &Packet) -> bool {
        let (run, stride, key) = (self.log.run(), self.config.geometry.stride(), packet.key());
        let in_place = |i: usize, other: &Packet| {
            i >= run && other.ip.offset as usize == packet.ip.offset as usize + (z - i) * stride
        };
        // In a datagram that lands it is the one before that was seen last.
        if packet.ip.offset != 0
            && let [.., (i, other), (_, _)] = self.log.seen_from(0)
            && other.key() == key
            && in_place(*i as usize, other)
        {
            return false;
        }
        // In forward order what was asked of the one before holds for this one, too: where the first fragment
        // lies.
        if packet.ip.offset != 0
            && packet.ip.more
            && let [.., (i, other), (_, _)] = self.log.seen_from(0)
            && (*i as usize) + 1 == z
            && other.key() == key
            && other.ip.offset as usize + stride == packet.ip.offset as usize
        {
            return false;
        }
        if self.log.alike(&key) < 2 {
            return false;
        }
        if packet.ip.offset == 0 {
            return self.knows(1, |i, other| other.key() == key && !in_place(i, other));
        }
        // In forward order, too, its first fragment lies where the last one will look for it.
        let first = z.checked_sub(packet.ip.offset as usize / stride).filter(|_| packet.ip.more);
        self.knows(1, |i, other| other.ip.offset == 0 && other.key() == key && first != Some(i))
    }

    /// Moves all frames of a datagram whose headers are intact to the reassembler.
    fn gather<M: SlotMemory<Buf = B, Slots = S>>(&mut self, key: &Key, memory: &mut M) {
        if !self.can_afford(self.log.len()) {
            return;
        }
        // Older frames stay as they are. Nearly always that is most of the log.
        let Some(&(oldest, _)) = self.log.seen_from(0).iter().find(|(_, packet)| packet.key() == *key) else {
            self.leave();
            return;
        };
        // The log is taken out of the matcher meanwhile, because the reassembler needs the rest of the
        // matcher.
        let mut log = std::mem::replace(&mut self.log, super::Log::empty());
        log.take_out(oldest as usize, |_, frame, packet| match packet {
            Some(packet) if packet.key() == *key => {
                self.reassemble(frame.by_ref(), packet, memory);
                memory.release(frame.slots);
                None
            }
            _ => Some(frame.slots),
        });
        self.log = log;
        self.leave();
    }

    /// Gives a fragment with an intact header to the reassembler.
    pub(super) fn reassemble<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<&S>,
        packet: &Packet,
        memory: &mut M,
    ) {
        self.copy_waiting(&packet.key(), memory);
        self.scratch.fill(memory);
        // The frame below may have overwritten the first bytes of the payload. A device that writes at any
        // time may do so even now. They were kept with the header.
        let reached = frame.slot != Slot::Separate && (self.reached || !self.config.synchronous);
        let data = if reached {
            packet.mended(frame, &mut self.room, memory)
        } else {
            packet.payload(frame, memory)
        };
        let Packet { ip, .. } = packet;
        let fragment = Fragment { offset: ip.offset, more: ip.more, service: packet.service(), data };
        let outcome = self.reassembler.insert(self.now, packet.key(), fragment, &mut self.scratch);
        self.scratch.empty(memory);
        self.obey(outcome, memory);
    }

    /// What the reassembler made of a fragment whose header was seen, as all others of its datagram.
    pub(super) fn obey<M: SlotMemory<Buf = B, Slots = S>>(&mut self, outcome: Outcome<B>, memory: &mut M) {
        match outcome {
            Outcome::Pending => {}
            Outcome::Duplicate => self.counters.duplicates += 1,
            Outcome::Dropped(reason) => self.counters.drop_one(reason),
            Outcome::Whole(a) => {
                let checked = match a.buf.as_ref().get(..a.len) {
                    Some(payload) => {
                        self.check_udp(&a.key, Udp::parse(payload).map(|udp| (udp, &payload[wire::UDP..])))
                    }
                    None => Err(Reason::TooLong),
                };
                match checked {
                    Ok(Some(whole)) => {
                        if self.reverse {
                            let payload = a.buf.as_ref().get(..a.len).unwrap_or_default();
                            self.note_reverse(self.could_land_copied(&a.key, payload));
                        }
                        let whole = Whole { fragments: a.fragments, ..whole };
                        self.count_copied(whole.len);
                        memory.came_with(a.service);
                        memory.copied(whole, a.buf, wire::UDP);
                    }
                    Ok(None) => {
                        self.counters.drop_one(Reason::NotOurs);
                        memory.give(a.buf);
                    }
                    Err(reason) => {
                        self.counters.drop_one(reason);
                        memory.give(a.buf);
                    }
                }
            }
        }
    }
}
