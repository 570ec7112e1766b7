//! Repairs datagrams of LM whose frames have all arrived but did not land in one piece, with one copy.
//!
//! A repair is tried when a first fragment arrives and enough frames wait to complete its datagram, with
//! strangers' frames in between. The last fragment is the one whose tag agrees. Of the frames between the
//! two, those that are not full are strangers'. Full frames may also be strangers': one block of up to eight
//! of them is searched for. A choice is accepted only if the tag's digest proves the order and the UDP
//! checksum is correct. These are 72 bits together, however many choices were tried. Each frame is summed
//! once, and the total work is bounded ([`super::effort`]).

use super::close::identity;
use super::{Matcher, effort};
use crate::carried::Carried;
use crate::checksum::{self, Digest, Piece};
use crate::counters::Reason;
use crate::frame::{Slot, Slots};
use crate::layout::{Geometry, Layout, TAG};
use crate::packet::Packet;
use crate::policy::{Whole, WholeBy};
use crate::slot_memory::SlotMemory;
use crate::tag::{Identity, Tag};
use crate::wire::{self, Flow, Udp};

/// Strangers in one block that are looked for inside a datagram.
const BLOCK: usize = 8;

/// Frames as long as its last fragment that are tried where no tag tells which it is.
const LASTS: usize = 4;

/// A datagram that may be among the frames of the log.
pub(super) struct Wanted {
    pub(super) packet: Packet,
    pub(super) udp: Udp,
    pub(super) identity: Identity,
    pub(super) layout: Layout,
    /// Where its first fragment is, or would be.
    pub(super) z: usize,
}

impl Wanted {
    /// The datagram, proven by its checksum and by the order that its tag tells, or its identification where
    /// a tag has no room.
    pub(super) fn whole(&self, geometry: Geometry, order: Option<u32>) -> Whole {
        let (len, fragments) = (self.layout.udp_len() - wire::UDP, self.layout.fragments() as u16);
        let order = order.unwrap_or(self.identity.ip_id.into());
        let carried = Carried::new(geometry, &self.udp, Some(order));
        Whole { flow: self.identity.flow, len, fragments, by: WholeBy::Checksum, carried }
    }
}

/// Frames that are chosen to be a datagram, kept so that choosing needs no memory each time.
#[derive(Default)]
pub(super) struct Choice {
    /// The log's indices of full frames that may be its middle, newest first, and what each sums up to.
    middle: Vec<(usize, Piece)>,
    /// Frames that may be its last fragment, newest first, and the order that their tag tells.
    lasts: Vec<(usize, Option<u32>)>,
    /// The log's indices of the fragments, first fragment first.
    chosen: Vec<usize>,
}

impl Choice {
    /// The first fragment, the middle without `extra` frames behind the newest `skip`, and the last.
    fn choose(&mut self, first: usize, skip: usize, extra: usize, last: usize) {
        let (newer, older) = self.middle.split_at(skip);
        let middle = newer.iter().chain(older.get(extra..).unwrap_or_default()).map(|&(i, _)| i);
        self.chosen.clear();
        self.chosen.extend(std::iter::once(first).chain(middle).chain([last]));
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// The newest frame is an intact first fragment that closed nothing: finds the rest of its datagram among
    /// the frames that wait. True: it is done with.
    pub(super) fn assemble<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        packet: &Packet,
        memory: &mut M,
    ) -> bool {
        let Some(wanted) = self.wanted(packet) else { return false };
        let mut choice = std::mem::take(&mut self.choice);
        let found = self.choose(&wanted, &mut choice, memory);
        if found {
            // Chosen are the newest first; they are met oldest first.
            let mut next = choice.chosen.iter().rev().peekable();
            let oldest = next.peek().map_or(0, |&&i| i);
            self.log.take_out(oldest, |i, frame, _| {
                if next.next_if(|&&c| c == i).is_none() {
                    return Some(frame.slots);
                }
                memory.release(frame.slots);
                None
            });
            self.leave();
        }
        self.choice = choice;
        found
    }

    fn wanted(&self, packet: &Packet) -> Option<Wanted> {
        let z = self.log.len() - 1;
        let newest = &self.log[z];
        if !self.config.require.checksum || newest.len != self.full || newest.slot != Slot::Overlapping {
            return None;
        }
        let wanted = self.wanted_by(packet, packet.udp()?, z)?;
        (z + 1 >= wanted.layout.fragments()).then_some(wanted)
    }

    /// A datagram with a checksum that is taken here, by its first fragment's headers.
    pub(super) fn wanted_by(&self, packet: &Packet, udp: Udp, z: usize) -> Option<Wanted> {
        let key = packet.key();
        let len = usize::from(udp.len);
        let flow = Flow { src: key.src, dst: key.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        if !(wire::UDP..=wire::MAX_IP_PAYLOAD).contains(&len)
            || udp.checksum == 0
            || !self.config.accept.takes(&flow)
        {
            return None;
        }
        let layout = Layout::of_udp(self.config.geometry, len);
        let identity = identity(flow, key.id, &udp);
        (layout.fragments() > 1).then_some(Wanted { packet: *packet, udp, identity, layout, z })
    }

    /// Whether frame `index` may be fragment `position` of `wanted`.
    pub(super) fn may_be(&self, index: usize, position: usize, wanted: &Wanted) -> bool {
        let frame = &self.log[index];
        let layout = &wanted.layout;
        let last = position + 1 == layout.fragments();
        let fits = if last { layout.ends_with(frame.len.into()) } else { frame.len == self.full };
        fits && frame.slot == Slot::Overlapping
            && self.is_of(index, wanted.identity.ip_id)
            && self.log.packet(index).is_none_or(|header| {
                let offset = position * self.config.geometry.stride();
                header.is_piece(&wanted.packet.key(), offset, layout.ip_fragment_len(position), !last)
            })
    }

    /// Chooses the fragments, if a choice can be proven, and delivers them.
    fn choose<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        wanted: &Wanted,
        choice: &mut Choice,
        memory: &mut M,
    ) -> bool {
        if !self.can_afford(2 * effort::looking(wanted.z)) {
            return false;
        }
        self.find_lasts(wanted, &mut choice.lasts, memory);
        let n = wanted.layout.fragments();
        let blocks = if wanted.layout.tag().is_some() { BLOCK } else { 0 };
        for at in 0..choice.lasts.len() {
            let (last, order) = choice.lasts[at];
            if !self.find_middle(wanted, last, blocks, &mut choice.middle) {
                continue;
            }
            let extra = choice.middle.len() - (n - 2);
            let found = if extra == 0 {
                self.take_all(wanted, last, order, choice, memory)
            } else {
                self.search(wanted, last, order, choice, memory)
            };
            if found {
                return true;
            }
        }
        false
    }

    /// All of the full frames are the datagram's middle: they are copied and summed in one pass.
    fn take_all<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        wanted: &Wanted,
        last: usize,
        order: Option<u32>,
        choice: &mut Choice,
        memory: &mut M,
    ) -> bool {
        choice.choose(wanted.z, choice.middle.len(), 0, last);
        let (n, chosen) = (wanted.layout.fragments(), &choice.chosen);
        if !(1..n - 1).all(|place| self.may_be(chosen[place], place, wanted)) || !self.can_sum(n) {
            return false;
        }
        let copied = self.copy_and_sum(&wanted.layout, |i| chosen[i], None, memory);
        let Some((buf, digest)) = copied else { return false };
        if !is_ordered(wanted, order, &digest) {
            memory.give(buf);
            return false;
        }
        if self.marks_of_choice_clash(wanted, &choice.chosen) {
            self.counters.drop_one(Reason::Ecn);
            memory.give(buf);
        } else {
            self.deliver_buffer(&wanted.whole(self.config.geometry, order), buf, memory);
        }
        true
    }

    /// Some of the full frames are strangers', in one block: each place of it is tried.
    fn search<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        wanted: &Wanted,
        last: usize,
        order: Option<u32>,
        choice: &mut Choice,
        memory: &mut M,
    ) -> bool {
        let (n, stride) = (wanted.layout.fragments(), self.config.geometry.stride());
        let extra = choice.middle.len() - (n - 2);
        // Each frame is summed, and what is chosen is copied. Each place costs a step for each fragment, and
        // where the tag has a fragment of its own one more sum.
        if !self.can_sum(choice.middle.len() + 2 + n)
            || !self.can_afford((n - 1) * (2 * n + effort::summing(stride)))
        {
            return false;
        }
        for (i, piece) in &mut choice.middle {
            *piece = checksum::piece(self.log.piece(*i, 0..stride, memory));
        }
        let ends = [(wanted.z, 0), (last, n - 1)].map(|(i, place)| self.sum(wanted, i, place, memory));
        for skip in 0..n - 1 {
            let (newer, older) = choice.middle.split_at(skip);
            let middle = || newer.iter().chain(older.get(extra..).unwrap_or_default());
            if middle().zip(1..).all(|(&(i, _), place)| self.may_be(i, place, wanted))
                && self.is_proven(wanted, order, ends, middle(), memory)
            {
                choice.choose(wanted.z, skip, extra, last);
                let chosen = &choice.chosen;
                if self.marks_of_choice_clash(wanted, chosen) {
                    self.counters.drop_one(Reason::Ecn);
                } else {
                    let whole = wanted.whole(self.config.geometry, order);
                    self.copy_out(&whole, &wanted.layout, |i| chosen[i], memory);
                }
                return true;
            }
        }
        false
    }

    /// The frames that may be its last fragment: those whose tag agrees, or, where there is no room for one,
    /// the newest few of its length.
    fn find_lasts<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        wanted: &Wanted,
        lasts: &mut Vec<(usize, Option<u32>)>,
        memory: &M,
    ) {
        let (n, stride) = (wanted.layout.fragments(), self.config.geometry.stride());
        let candidates = (0..wanted.z).rev().filter(|&i| self.may_be(i, n - 1, wanted));
        let agree = candidates.filter_map(|i| {
            let Some(at) = wanted.layout.tag() else { return Some((i, None)) };
            let from = at - (n - 1) * stride;
            let tag =
                self.log.piece(i, from..from + TAG, memory).first_chunk::<TAG>().copied().unwrap_or_default();
            match wanted.identity.check(tag) {
                Some(Tag::Ordered(order)) => Some((i, Some(order))),
                _ => None,
            }
        });
        lasts.clear();
        lasts.extend(agree.take(LASTS));
    }

    /// Full frames between the last fragment and the first one; false: there are not as many as are wanted,
    /// or too many.
    fn find_middle(
        &self,
        wanted: &Wanted,
        last: usize,
        blocks: usize,
        middle: &mut Vec<(usize, Piece)>,
    ) -> bool {
        let n = wanted.layout.fragments();
        let key = wanted.packet.key();
        let fits = |i: &usize| {
            self.log[*i].len == self.full
                && self.log.packet(*i).is_none_or(|header| header.key() == key)
                && self.is_of(*i, key.id)
        };
        middle.clear();
        middle
            .extend((last + 1..wanted.z).rev().filter(fits).map(|i| (i, Piece::default())).take(n + blocks));
        let found = middle.len();
        // Where none may be skipped, the newest are taken.
        middle.truncate(if blocks == 0 { n - 2 } else { found });
        middle.len() >= n - 2 && found <= n - 2 + BLOCK
    }

    /// Whether the ECN marks of the chosen frames, as far as their headers are known, exclude each other.
    fn marks_of_choice_clash(&self, wanted: &Wanted, chosen: &[usize]) -> bool {
        let known = chosen.iter().filter_map(|&i| self.log.packet(i)).map(Packet::ecn);
        wire::marks_clash(known.fold(1 << wanted.packet.ecn(), |all, ecn| all | 1 << ecn))
    }

    /// What the piece at `place` sums up to if it lies in frame `index`.
    fn sum<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        wanted: &Wanted,
        index: usize,
        place: usize,
        memory: &M,
    ) -> Piece {
        checksum::piece(self.log.piece(index, wanted.layout.piece(place), memory))
    }

    /// Whether these frames are the middle of the datagram with these ends.
    fn is_proven<'c, M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        wanted: &Wanted,
        order: Option<u32>,
        [first, last]: [Piece; 2],
        middle: impl Iterator<Item = &'c (usize, Piece)>,
        memory: &M,
    ) -> bool {
        let stride = self.config.geometry.stride();
        let mut digest = Digest::new();
        digest.push(first);
        for (&(i, piece), place) in middle.zip(1..) {
            let whole = wanted.layout.piece(place).len() == stride;
            digest.push(if whole { piece } else { self.sum(wanted, i, place, memory) });
        }
        digest.push(last);
        is_ordered(wanted, order, &digest)
    }
}

/// Whether the order of its fragments is that of the tag, or of the identification where a tag has no room;
/// and its sum is that of the UDP checksum.
pub(super) fn is_ordered(wanted: &Wanted, order: Option<u32>, digest: &Digest) -> bool {
    let ordered = match order {
        Some(order) => order == digest.finish(),
        None => wanted.identity.ip_id == digest.finish16(),
    };
    ordered && checksum::udp_ok(&wanted.identity.flow, &wanted.udp, digest.sum())
}
