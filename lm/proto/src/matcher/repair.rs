//! Repairs datagrams of LM whose frames have all arrived but did not land in one piece, with one copy.
//!
//! A repair is tried when a first fragment arrives and enough frames wait to complete its datagram, with
//! strangers' frames in between. The last fragment is the one whose tag agrees. Of the frames between the
//! two, those that are not full are strangers'. Full frames may also be strangers': one block of up to eight
//! of them is searched for.
//!
//! A choice is accepted only if the tag's digest proves the order and the UDP checksum is good. For a wrong
//! choice, the 32 bits of the digest and the 16 bits of the checksum would have to agree by accident. For a
//! wrong last fragment, 24 more bits of its tag would have to. Where no tag has room, the identification is a
//! digest of 16 bits, and no block is searched for. Each last fragment that is tried costs about one sum over
//! the frames, and the total work is bounded ([`super::effort`]).

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

/// The most full frames of strangers that are looked for inside a datagram. They have to lie in one block.
const BLOCK: usize = 8;

/// The most frames that are tried as the last fragment. Where no tag has room, every frame of the right
/// length may be it.
const LASTS: usize = 4;

/// A datagram that may be among the frames of the log.
pub(super) struct Wanted {
    pub(super) packet: Packet,
    pub(super) udp: Udp,
    pub(super) identity: Identity,
    pub(super) layout: Layout,
    /// The log's index of its first fragment, or the index behind the log if it was taken out.
    pub(super) z: usize,
}

impl Wanted {
    /// The datagram, proven by its checksum and its order. `order` is the digest in its tag. `None`: a tag
    /// has no room, and the identification is the digest.
    pub(super) fn whole(&self, geometry: Geometry, order: Option<u32>) -> Whole {
        let (len, fragments) = (self.layout.udp_len() - wire::UDP, self.layout.fragments() as u16);
        let order = order.unwrap_or(self.identity.ip_id.into());
        let carried = Carried::new(geometry, &self.udp, Some(order));
        Whole { flow: self.identity.flow, len, fragments, by: WholeBy::Checksum, carried }
    }
}

/// Frames that are chosen to be a datagram. The matcher keeps one, so that a choice allocates no memory.
#[derive(Default)]
pub(super) struct Choice {
    /// The log's indices of full frames that may be its middle, newest first, each with the sum of its
    /// payload.
    middle: Vec<(usize, Piece)>,
    /// The log's indices of frames that may be its last fragment, newest first, each with the digest in its
    /// tag.
    lasts: Vec<(usize, Option<u32>)>,
    /// The log's indices of the fragments, first fragment first.
    chosen: Vec<usize>,
}

impl Choice {
    /// Chooses the first fragment, the middle frames, and the last fragment. Of the middle frames, the newest
    /// `skip` are chosen, the next `extra` are left out, and all others are chosen.
    fn choose(&mut self, first: usize, skip: usize, extra: usize, last: usize) {
        let (newer, older) = self.middle.split_at(skip);
        let middle = newer.iter().chain(older.get(extra..).unwrap_or_default()).map(|&(i, _)| i);
        self.chosen.clear();
        self.chosen.extend(std::iter::once(first).chain(middle).chain([last]));
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Finds the rest of a datagram among the frames that wait, when the newest frame is its intact first
    /// fragment and closed nothing. Returns true if the datagram was delivered or dropped.
    pub(super) fn assemble<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        packet: &Packet,
        memory: &mut M,
    ) -> bool {
        let Some(wanted) = self.wanted(packet) else { return false };
        let mut choice = std::mem::take(&mut self.choice);
        let found = self.choose(&wanted, &mut choice, memory);
        if found {
            // The newest frame is the first one in `chosen`, and `take_out` begins with the oldest.
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

    /// The datagram of the newest frame, if a repair of it may be tried.
    fn wanted(&self, packet: &Packet) -> Option<Wanted> {
        let z = self.log.len() - 1;
        let newest = &self.log[z];
        if !self.config.require.checksum || newest.len != self.full || newest.slot != Slot::Overlapping {
            return None;
        }
        let wanted = self.wanted_by(packet, packet.udp()?, z)?;
        (z + 1 >= wanted.layout.fragments()).then_some(wanted)
    }

    /// The datagram with these headers of its first fragment, whose index in the log is `z`. `None`: it is in
    /// one frame, has no checksum, claims a length that no datagram has, or is not taken here.
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

    /// Chooses the fragments. If a choice can be proven, the datagram is delivered, or dropped and counted,
    /// and the result is true.
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

    /// Tries the only choice, if there are just as many full frames as the middle needs. They are copied and
    /// summed in one pass.
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

    /// Tries each choice, if some of the full frames are strangers'. They are taken to lie in one block,
    /// whose place is searched for.
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
        // Each frame is summed, and the chosen ones are copied. Each place costs a step for each fragment,
        // and one more sum if the tag has a fragment of its own: then the UDP datagram ends in the middle.
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

    /// Finds the frames that may be the last fragment, the newest [`LASTS`] of them. They have the last
    /// fragment's length and, where a tag has room, a tag that agrees and has a digest.
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

    /// Finds the full frames between the last fragment and the first one. Returns false if there are fewer
    /// than the middle needs, or too many.
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
        // If none may be left out, the newest ones are taken.
        middle.truncate(if blocks == 0 { n - 2 } else { found });
        middle.len() >= n - 2 && found <= n - 2 + BLOCK
    }

    /// Whether the ECN marks of the chosen frames, as far as their headers are known, exclude each other.
    fn marks_of_choice_clash(&self, wanted: &Wanted, chosen: &[usize]) -> bool {
        let known = chosen.iter().filter_map(|&i| self.log.packet(i)).map(Packet::ecn);
        wire::marks_clash(known.fold(1 << wanted.packet.ecn(), |all, ecn| all | 1 << ecn))
    }

    /// The sum of the datagram's piece `place`, if frame `index` has it.
    fn sum<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        wanted: &Wanted,
        index: usize,
        place: usize,
        memory: &M,
    ) -> Piece {
        checksum::piece(self.log.piece(index, wanted.layout.piece(place), memory))
    }

    /// Whether these frames are proven to be the middle of the datagram with these sums of its ends.
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

/// Whether the digest proves the order of the fragments, and the UDP checksum is good. `order` is the digest
/// in the tag. `None`: a tag has no room, and the identification is the digest.
pub(super) fn is_ordered(wanted: &Wanted, order: Option<u32>, digest: &Digest) -> bool {
    let ordered = match order {
        Some(order) => order == digest.finish(),
        None => wanted.identity.ip_id == digest.finish16(),
    };
    ordered && checksum::udp_ok(&wanted.identity.flow, &wanted.udp, digest.sum())
}
