//! A shorter way for streams: similar datagrams from one sender, with no other frames between them.
//!
//! This is the usual traffic of a landing queue. The headers of the last datagram that a tag proved are kept
//! as a [`Template`]. If the headers of the next datagram differ from it only in the fields that belong to
//! each datagram (identification, checksums), then only these fields are checked: the sum of identification
//! and header checksum, the tag, and what the card reports of its frames. Every datagram that is accepted
//! here would also be accepted by [`Matcher::close`], and one that does not fit is left to it.
//!
//! `inline(always)` was counted (docs/results-receive.md): without it a datagram of five frames costs its
//! receiver 9 instructions more.

use super::Matcher;
use crate::card::Card;
use crate::carried::Carried;
use crate::checksum;
use crate::frame::{Frame, Frames, Received, Slot, Slots};
use crate::layout::{Geometry, TAG};
use crate::policy::{Whole, WholeBy};
use crate::raw_headers::RawHeaders;
use crate::slot_memory::SlotMemory;
use crate::tag::{self, Identity};
use crate::wire::{HEADERS, MAX_IP_PAYLOAD, UDP};

/// The bytes of a UDP header, as a little-endian word, that datagrams of a stream share: ports and length.
const SHARED: u64 = (1 << 48) - 1;

/// A datagram that was proven by its tag, or by that and what the card says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    /// Its first fragment's.
    headers: RawHeaders,
    /// Its UDP header without the checksum.
    udp: u64,
    /// Length of the frame that came first: the last fragment's.
    len: u16,
    /// From that fragment's start to the tag.
    tag: usize,
    /// [`Identity::base`].
    base: u64,
    /// The sum of the first fragment's Ethernet header, for a card that counts it.
    ethernet: u64,
    geometry: Geometry,
    /// Without the carried sum, which each datagram has of its own.
    whole: Whole,
}

impl Template {
    /// A template for more datagrams like `whole`. `None`: the last fragment reaches the headers above it, so
    /// that each datagram has to be looked at; or the tag and the card's words are not enough to prove one.
    pub(super) fn new(
        geometry: Geometry,
        (ethernet, headers): (u64, RawHeaders),
        udp: [u8; UDP],
        len: u16,
        tag: usize,
        whole: Whole,
        card: &Card,
    ) -> Option<Self> {
        let udp_len = (whole.len + UDP) as u16;
        // Identification and checksum are no part of the base.
        let base = Identity { flow: whole.flow, ip_id: 0, udp_len, udp_checksum: 0 }.base();
        let udp = u64::from_le_bytes(udp) & SHARED;
        let whole = Whole { carried: None, ..whole };
        let this = Self { headers, udp, len, tag, base, ethernet, geometry, whole };
        let by_sum = whole.by != WholeBy::Tags;
        let simple = !by_sum || this.has_tag_alone(card);
        // Nothing is compared of datagrams in one frame.
        let settled = whole.fragments == 1 || card.is_settled();
        (usize::from(len) <= geometry.stride() && settled && simple).then_some(this)
    }

    /// The datagram in the frames from `first` to the one whose payload is at `lowest`, if it is like the
    /// template's and proven. The caller has checked the number of frames and their lengths. `words` are what
    /// the card says of these frames, if words are kept.
    #[inline(always)]
    fn alike<M: SlotMemory>(
        &self,
        first: usize,
        lowest: usize,
        (card, words): (&Card, Option<&[u32]>),
        memory: &M,
    ) -> Option<Whole> {
        let (headers, udp) = memory.front(lowest)?;
        if !headers.are_alike(self.headers) || udp & SHARED != self.udp {
            return None;
        }
        let (bytes, checksum) = (memory.eight(first + self.tag)?, ((udp >> 48) as u16).swap_bytes());
        let tag = tag::check(self.base, headers.id(), checksum, bytes)?;
        let proven = match words {
            None => self.whole.by == WholeBy::Tags,
            // Nobody knows what a card says of a frame that is no fragment.
            Some(&[_]) => self.whole.by == WholeBy::Tags,
            Some(words) if self.whole.by == WholeBy::Tags => card.allow(words, headers.id()),
            Some(words) => checksum != 0 && self.is_proven(card, words, headers.id(), bytes),
        };
        let carried = Carried::of_checksum(self.geometry, checksum, tag.order());
        proven.then_some(Whole { carried, ..self.whole })
    }

    /// Whether the card's words say that the frames are of one datagram, whose UDP checksum is good, with
    /// nothing but this tag behind it. Where there are no identifications, the lengths force the order: they
    /// are those of the datagram before.
    #[inline(always)]
    fn is_proven(&self, card: &Card, words: &[u32], id: u16, tag: [u8; TAG]) -> bool {
        let Some(sum) = card.sum(words, self.ethernet) else { return false };
        let mut behind = u64::from(checksum::fold_sum(checksum::halves(u64::from_le_bytes(tag))));
        if !self.whole.len.is_multiple_of(2) {
            behind = u64::from((behind as u16).swap_bytes());
        }
        let udp_len = (self.whole.len + UDP) as u16;
        !card.is_due()
            && (card.sums_alone() || card.binds(words, id))
            && checksum::udp_all_ok(&self.whole.flow, udp_len, checksum::without(sum, behind))
    }

    /// Whether the tag is all that the card sums beside the datagram.
    fn has_tag_alone(&self, card: &Card) -> bool {
        let tag = (usize::from(self.whole.fragments) - 1) * self.geometry.stride() + self.tag;
        let counted = tag + TAG <= MAX_IP_PAYLOAD || card.counts_trailers() == Some(true);
        tag == self.whole.len + UDP && usize::from(self.len) == HEADERS + self.tag + TAG && counted
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Whether a run is under way that may become a datagram like the one before: it lies in place, nothing
    /// waits, and none of its headers is known.
    #[inline(always)]
    pub(super) fn is_stream(&self) -> bool {
        let alone = self.log.len() == 1 && self.log.run() == 0 && self.log.seen() == 0;
        alone && self.template.is_some() && !self.split && !self.gap
    }

    /// Where datagrams end if the stream goes on: how many frames come before the next end, every how many
    /// frames another end follows, and where the payload of a last fragment has its tag.
    #[inline(always)]
    pub fn expected_ends(&self) -> Option<(usize, usize, usize)> {
        let template = self.template.as_ref()?;
        let n = usize::from(template.whole.fragments);
        Some((n.saturating_sub(self.run_len() + 1), n, template.tag))
    }

    /// Takes frames as long as they make datagrams like the one before. Returns the first frame that does
    /// not, if there is one.
    #[inline(always)]
    pub(super) fn stream<F: Frames<Slots = S>, M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frames: &mut F,
        memory: &mut M,
    ) -> Option<Received<S>> {
        let (Some(template), Some(oldest)) = (&self.template, self.log.last()) else { return frames.next() };
        let (stride, n) = (self.config.geometry.stride(), usize::from(template.whole.fragments));
        // The number of full frames that the run lacks.
        let (ahead, last) = match n.checked_sub(self.folded + 1) {
            Some(ahead) if oldest.len == template.len => (ahead, template.len),
            // The run cannot become a datagram like the one before.
            _ => (usize::MAX, 0),
        };
        let under = oldest.at.wrapping_sub((self.folded + 1) * stride);
        let taken = frames.count_contiguous(under, stride, self.full, ahead, last, n - 1);
        // Borrowed apart, as a burst may be one frame, and a template is more than that to copy.
        let Self { log, folded, begun, counters, template, card, .. } = self;
        // The token is taken out of the log meanwhile, so that it stays in registers.
        let (Some(template), Some(mut run)) = (template, log.take_token()) else { return frames.next() };
        let (heard, had) = (log.keeps_words(), 1 + *folded);
        if heard {
            frames.append_words(taken, log.words_mut());
        }
        if let Some(more) = frames.take_counted(ahead.min(taken)) {
            if let Err(more) = memory.join(&mut run, more) {
                log.put_token(run);
                log.words_mut().truncate(had + ahead.min(taken));
                self.fold_apart(more, ahead.min(taken), under);
                return frames.next();
            }
            *folded += ahead.min(taken);
        }
        // Each run that began closed the one before, and left its headers alone.
        let (mut end, mut alike, mut whole) = (ahead, true, 0);
        while end < taken {
            let at = under.wrapping_sub(end * stride);
            let words = if heard { log.words_from(whole * n).get(..n) } else { None };
            let found = template.alike(at + n * stride, at + stride, (card, words), memory);
            alike = found.is_some();
            let Some(datagram) = found else { break };
            // The next run, as much of it as there is.
            let Some(next) = frames.take_counted(n.min(taken - end)) else { break };
            memory.landed(datagram, at + stride + UDP, std::mem::replace(&mut run, next));
            end += n;
            whole += 1;
        }
        log.put_token(run);
        let of_runs = if alike { taken } else { end };
        let word = log.word(had.saturating_add(end)).unwrap_or_default();
        if heard {
            log.words_mut().truncate(had + of_runs);
            log.words_mut().drain(..whole * n);
        }
        let begins = |at: usize| Frame { at, len: last, slot: Slot::Overlapping, bounce: 0 };
        if whole > 0
            && let Some(oldest) = log.first_mut()
        {
            // Where the run began that is under way now.
            let began = end - n;
            *oldest = begins(under.wrapping_sub(began * stride));
            *folded = of_runs - 1 - began;
            *begun += whole as u64;
            counters.datagrams += whole as u64;
            counters.bytes += (whole * template.whole.len) as u64;
            card.proved(whole);
        }
        self.go_below(under, of_runs);
        self.fresh |= taken > 0;
        if alike {
            return frames.next();
        }
        let frame = begins(under.wrapping_sub(end * stride));
        frames.take_counted(1).map(|slots| Received { frame, slots, word })
    }

    /// Closes the run if it is a datagram like the one before.
    #[inline(always)]
    pub(super) fn close_alike<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) -> bool {
        if !self.is_stream() {
            return false;
        }
        let lowest = self.newest().at;
        let (Some(template), Some(first)) = (&self.template, self.log.last()) else { return false };
        if first.len != template.len || self.folded + 1 != usize::from(template.whole.fragments) {
            return false;
        }
        let words = (&self.card, self.log.run_words());
        let Some(whole) = template.alike(first.at, lowest, words, memory) else { return false };
        self.card.proved(1);
        self.hand_over_from(0, &whole, lowest, memory);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Udp;

    #[test]
    fn shared_is_ports_and_length() {
        let udp = |checksum| Udp { src_port: 7000, dst_port: 9000, len: 7176, checksum }.bytes();
        let (a, b) = (u64::from_le_bytes(udp(0)), u64::from_le_bytes(udp(0xbeef)));
        assert_eq!(a & SHARED, b & SHARED);
        assert_eq!((b >> 48) as u16, 0xbeef_u16.swap_bytes());
        let other =
            u64::from_le_bytes(Udp { src_port: 7000, dst_port: 9000, len: 7177, checksum: 0 }.bytes());
        assert_ne!(a & SHARED, other & SHARED);
    }
}
