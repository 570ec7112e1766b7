//! Delivers a run as a datagram (*closes* it) if its newest frame is a first fragment that makes the datagram
//! whole, and if something proves it.
//!
//! This is tried only if the newest header is known to be intact.

use super::card_proof::ethernet;
use super::forward::FORCED;
use super::proof::{Doubt, First, TagState};
use super::stream::Template;
use super::{Matcher, effort};
use crate::carried::Carried;
use crate::checksum::{self, Digest};
use crate::counters::Reason;
use crate::frame::{Head, Slots};
use crate::layout::{Layout, TAG};
use crate::packet::{self, Packet};
use crate::policy::{Whole, WholeBy};
use crate::raw_headers::RawHeaders;
use crate::slot_memory::SlotMemory;
use crate::tag::Identity;
use crate::wire::{self, ETHERNET, Flow, HEADERS, Ipv4, Udp};

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Closes the run if its newest frame, whose headers these are and which are intact, is a first fragment
    /// that makes a datagram whole.
    #[inline]
    pub(super) fn close<M: SlotMemory<Buf = B, Slots = S>>(&mut self, head: &Head, memory: &mut M) -> bool {
        // The cheapest test sorts out nearly all frames that are no first fragments.
        let headers = packet::raw_headers(head);
        if !headers.look_first() || self.config.accept.is_for_another(head) {
            return false;
        }
        if self.close_by_tag(headers, head, memory) {
            return true;
        }
        if !headers.have_more() {
            return self.close_single(headers, head, memory);
        }
        self.close_any(headers, head, memory)
    }

    /// [`Self::close`] in the simplest case: the whole run lies in place and is one datagram with a tag that
    /// agrees, and the tag, or the tag with the card's words, is proof enough. Otherwise it returns false,
    /// and nothing has happened.
    #[inline]
    pub(super) fn close_by_tag<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        headers: RawHeaders,
        head: &Head,
        memory: &mut M,
    ) -> bool {
        let (n, lowest) = (self.run_len(), self.newest());
        if n > 1 && self.card.went(FORCED.contains(&n)) {
            self.listen();
        }
        let require = self.config.require;
        // Nobody knows what a card says of a frame that is no fragment.
        let by_card = || {
            let (all, alone) = (self.card.can_prove(), self.card.sums_alone());
            let ordered = all && Self::keeps_order(headers.ttl());
            n > 1 && require.checksum && (ordered || alone && self.is_order_forced(n, self.log.run()))
        };
        if !(require.tags || by_card()) || self.split {
            return false;
        }
        let by = if require.tags { WholeBy::Tags } else { WholeBy::Checksum };
        let front = packet::front(head);
        let Some(udp) = Udp::parse(&front) else { return false };
        let len = usize::from(udp.len);
        let Some(tag) = Layout::fit_tag(self.config.geometry, len, n) else { return false };
        let run = self.log.run();
        let first = &self.log[run];
        let (from, frame) = (tag - (n - 1) * self.config.geometry.stride(), usize::from(first.len));
        let end = HEADERS + from + TAG;
        if len < wire::UDP || (frame != end && !(frame > end && frame <= wire::MIN_FRAME)) {
            return false;
        }
        let total = if n > 1 { self.config.geometry.stride() } else { from + TAG };
        if !headers.are_first(wire::IPV4 + total, n > 1) {
            return false;
        }
        let (src, dst) = (headers.src(), headers.dst());
        let flow = Flow { src, dst, src_port: udp.src_port, dst_port: udp.dst_port };
        let Some(tag) = self.log.piece(run, from..from + TAG, memory).first_chunk::<TAG>() else {
            return false;
        };
        let Some(agrees) = identity(flow, headers.id(), &udp).check(*tag) else { return false };
        if !self.config.accept.takes(&flow) {
            return false;
        }
        // Other headers that are known have to agree. The general way checks that.
        if !self.log.seen_from(run).is_empty() {
            return false;
        }
        let carried = Carried::new(self.config.geometry, &udp, agrees.order());
        let first_len = first.len;
        if n > 1 && self.log.keeps_words() {
            self.hear(self.log.word(run + n - 1), headers.id());
            let said = match by {
                // Sums are compared to begin with whatever the policy is, by the long way.
                WholeBy::Tags => {
                    !self.card.is_comparing() && self.card.allow(self.log.words_from(run), headers.id())
                }
                _ => self.is_proven_by_card(headers, (&flow, &udp), ethernet(head), memory),
            };
            if !said {
                return false;
            }
        }
        let whole = Whole { flow, len: len - wire::UDP, fragments: n as u16, by, carried };
        // If the next datagram has another Ethernet header, its sum does not fit, and it is left to `prove`.
        let ethernet = if self.card.sums_alone() { ethernet(head) } else { 0 };
        let headers = (ethernet, headers);
        self.template =
            Template::new(self.config.geometry, headers, front, first_len, from, whole, &self.card)
                // A template compares no hardware addresses.
                .filter(|_| self.config.accept.mac.is_none());
        self.card.proved(1);
        self.tagged.set(Some(src));
        self.hand_over_from(run, &whole, lowest.at, memory);
        true
    }

    /// [`Self::close`] for headers that look like a first fragment's, whatever the run is.
    #[inline(never)]
    fn close_any<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        headers: RawHeaders,
        head: &Head,
        memory: &mut M,
    ) -> bool {
        self.unfold();
        let z = self.log.len() - 1;
        let newest = self.log[z];
        let front = packet::front(head);
        let Some(udp) = Udp::parse(&front) else { return false };
        let ip = headers.ip();
        let Ok(parsed) = Ipv4::parse(&ip, usize::from(newest.len).saturating_sub(ETHERNET)) else {
            return false;
        };
        let packet = Packet { ip: parsed, tos: ip[1], skew: 0, front };
        let key = packet.key();
        let flow = Flow { src: key.src, dst: key.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        let identity = identity(flow, key.id, &udp);
        let Some((layout, tag)) = self.shape(&identity, memory) else { return false };
        let n = layout.fragments();
        // A frame that is a datagram of its own needs nothing but its headers.
        if n == 1 || !packet.is_piece(&key, 0, layout.ip_fragment_len(0), true) {
            return false;
        }
        if !self.config.accept.takes(&flow) {
            let reason = Reason::NotOurs;
            // Without a tag it is not known whether the others are of the same datagram.
            self.give_up(if matches!(tag, TagState::Good(_)) { z + 1 - n } else { z }, reason, memory);
            return true;
        }
        let ethernet = if self.log.keeps_words() { ethernet(head) } else { 0 };
        match self.prove(&First { packet, udp, identity, layout, tag, z, ethernet }, memory) {
            Ok((by, carried)) => {
                let fragments = n as u16;
                let whole = Whole { flow, len: layout.udp_len() - wire::UDP, fragments, by, carried };
                self.deliver(&whole, &layout, z, memory);
                true
            }
            // The frame that was taken for the last fragment may be a stranger's of the same length, right
            // behind it. So a repair is tried before the datagram is dropped.
            Err(Doubt::Certain(reason)) => {
                if !self.assemble(&packet, memory) {
                    self.note_drop(reason, n);
                    self.give_up(z + 1 - n, reason, memory);
                }
                true
            }
            Err(Doubt::Other) => false,
        }
    }

    /// Delivers the datagram that ends with `log[z]`: in place if its slots touch, else copied together.
    fn deliver<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        whole: &Whole,
        layout: &Layout,
        z: usize,
        memory: &mut M,
    ) {
        let first = z + 1 - layout.fragments();
        if self.split && !self.is_in_one_piece(first, z) {
            self.copy_out(whole, layout, |i| z - i, memory);
            self.release_from(first, memory);
        } else {
            self.hand_over_from(first, whole, self.log[z].at, memory);
        }
    }

    /// Whether `log[first..=z]` lie side by side although the run is split.
    fn is_in_one_piece(&self, first: usize, z: usize) -> bool {
        let span = self.log[first].at.wrapping_sub(self.log[z].at);
        span == (z - first) * self.config.geometry.stride()
    }

    /// Copies a datagram's pieces into a buffer and delivers it; piece `i` lies in the frame that `index`
    /// says.
    #[cold]
    #[inline(never)]
    pub(super) fn copy_out<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        whole: &Whole,
        layout: &Layout,
        index: impl Fn(usize) -> usize,
        memory: &mut M,
    ) {
        let Some(mut buf) = memory.take() else {
            self.counters.drop_one(Reason::NoBuffer);
            return;
        };
        let mut to = 0;
        for i in 0..layout.fragments() {
            let piece = layout.piece(i);
            let from = self.log.piece(index(i), piece, memory);
            buf.as_mut()[to..to + from.len()].copy_from_slice(from);
            to += from.len();
        }
        self.deliver_buffer(whole, buf, memory);
    }

    /// Copies a datagram's pieces into a buffer, and returns it with their sum. `None`: there is no buffer.
    /// Piece `i` lies in the frame that `index` says, the last one in `last` if that is given.
    pub(super) fn copy_and_sum<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        layout: &Layout,
        index: impl Fn(usize) -> usize,
        last: Option<&[u8]>,
        memory: &mut M,
    ) -> Option<(B, Digest)> {
        let Some(mut buf) = memory.take() else {
            self.counters.drop_one(Reason::NoBuffer);
            return None;
        };
        let (mut digest, mut to) = (Digest::new(), 0);
        for i in 0..layout.fragments() {
            let piece = layout.piece(i);
            let from = match last.filter(|_| i + 1 == layout.fragments()) {
                Some(last) => last.get(piece).unwrap_or_default(),
                None => self.log.piece(index(i), piece, memory),
            };
            digest.push(checksum::copy_piece(&mut buf.as_mut()[to..to + from.len()], from));
            to += from.len();
        }
        Some((buf, digest))
    }

    /// Delivers a datagram that was copied to the start of a buffer.
    pub(super) fn deliver_buffer<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        whole: &Whole,
        buf: B,
        memory: &mut M,
    ) {
        self.count_copied(whole.len);
        memory.copied(*whole, buf, 0);
    }

    pub(super) fn count_copied(&mut self, len: usize) {
        self.counters.datagrams += 1;
        self.counters.bytes += len as u64;
        self.counters.copied_datagrams += 1;
        self.counters.copied_bytes += len as u64;
    }

    /// Drops `log[first..]`, a datagram.
    fn give_up<M: SlotMemory<Buf = B, Slots = S>>(&mut self, first: usize, reason: Reason, memory: &mut M) {
        self.counters.drop_one(reason);
        self.release_from(first, memory);
    }

    /// Whether the budget allows a sum over `n` fragments.
    pub(super) fn can_sum(&mut self, n: usize) -> bool {
        self.can_afford(self.sum_of(n))
    }

    /// Gives back the work for the sum of a delivered datagram of `n` fragments. Where tags are proof, a sum
    /// costs more than ten good frames may, so there it has to be earned in any case.
    pub(super) fn sum_was_good(&mut self, n: usize) {
        if !self.config.require.tags {
            self.effort.refund(self.sum_of(n));
        }
    }

    fn sum_of(&self, n: usize) -> usize {
        n * (4 + effort::summing(self.config.geometry.stride()))
    }
}

#[inline]
pub(super) fn identity(flow: Flow, ip_id: u16, udp: &Udp) -> Identity {
    Identity { flow, ip_id, udp_len: udp.len, udp_checksum: udp.checksum }
}
