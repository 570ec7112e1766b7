//! Reports to [`AutoLayout`] in which order datagrams arrive, and whether they could be proven where they
//! land.
//!
//! The matcher calls the `note_` and `judge_` functions where it learns something about a datagram. The
//! engine asks [`Matcher::next_layout`] in each poll. If the layout is not automatic ([`Matcher::set_auto`]),
//! nothing is reported. No report delivers or drops a datagram.

use super::Matcher;
use crate::auto_layout::AutoLayout;
use crate::checksum::{self, Digest};
use crate::counters::{Counters, Reason};
use crate::frame::{FRONT, Received, Slot, Slots};
use crate::layout::{Layout, TAG};
use crate::reassembler::Key;
use crate::reassembler::piece::Shape;
use crate::slot_memory::SlotMemory;
use crate::tag::{self, Identity, Tag};
use crate::wire::{self, FCS, Flow, HEADERS, MIN_FRAME, Udp};

/// A choice of layout, and what has been reported to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Auto {
    choice: AutoLayout,
    laid: Slot,
    /// How many datagrams had landed, and how many frames had come, at the last look.
    landed: u64,
    frames: u64,
    /// The run that was judged last, so that none is judged twice.
    judged: u64,
}

impl Auto {
    /// Reports a fragment in a separate slot, and returns what [`AutoLayout::fragment`] does.
    #[inline]
    pub(super) fn fragment(&mut self, key: Key, shape: &Shape) -> bool {
        self.choice.fragment(key, shape.offset as u32, shape.len as u32, shape.more)
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Lets [`Matcher::next_layout`] decide the layout of slots from now on. `first` is the present layout.
    /// `None`: the caller decides.
    pub fn set_auto(&mut self, first: Option<Slot>) {
        self.auto = first.map(|laid| {
            let choice = AutoLayout::new(laid);
            Auto { choice, laid, landed: self.landed(), frames: self.counters.frames, judged: 0 }
        });
    }

    /// Whether it decides the layout of slots.
    pub fn is_auto(&self) -> bool {
        self.auto.is_some()
    }

    /// The layout of the next slots, if it has to change now. Ask after each look.
    #[inline]
    pub fn next_layout(&mut self) -> Option<Slot> {
        self.auto.as_ref()?;
        let (landed, frames) = (self.landed(), self.counters.frames);
        let auto = self.auto.as_mut()?;
        if auto.landed != landed {
            // The counters may have been set back to zero, so the difference is not taken for granted.
            let more = landed.saturating_sub(auto.landed);
            auto.choice.landed(more, frames.saturating_sub(auto.frames));
            (auto.landed, auto.frames) = (landed, frames);
        }
        let slot = auto.choice.slot();
        if slot == auto.laid {
            return None;
        }
        auto.laid = slot;
        if slot == Slot::Overlapping {
            self.counters.to_overlapping += 1;
        } else {
            self.counters.to_separate += 1;
        }
        Some(slot)
    }

    /// The source of a datagram that a tag of LM's agreed with, if there was one since this was asked last.
    #[inline]
    pub fn take_tagged(&mut self) -> Option<u32> {
        self.tagged.take()
    }

    /// Datagrams that were delivered where they landed, in one piece.
    #[inline]
    fn landed(&self) -> u64 {
        let Counters { datagrams, copied_datagrams, pieces, .. } = self.counters;
        datagrams - copied_datagrams - pieces
    }

    /// Reports a fragment in a separate slot, whose payload begins `skew` bytes behind the slot's. Returns
    /// whether it is the first fragment of a datagram that came last fragment first.
    #[inline]
    pub(super) fn note_fragment<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frame: Received<&S>,
        key: Key,
        shape: &Shape,
        skew: usize,
        memory: &M,
    ) -> bool {
        let end = skew + shape.len;
        if !shape.more && frame.payload_len() >= end + TAG {
            let behind = memory.bytes(frame.slots, frame.at + end, TAG).first_chunk().copied();
            self.trailer = behind.map(|trailer| (key, trailer));
        }
        self.auto.as_mut().is_some_and(|auto| auto.fragment(key, shape))
    }

    /// Reports a frame in a separate slot that is neither a fragment nor a datagram in one frame.
    pub(super) fn note_stranger(&mut self) {
        if let Some(auto) = &mut self.auto {
            auto.choice.stranger();
        }
    }

    /// Reports a datagram that came to separate slots last fragment first, and was delivered. `lands`:
    /// whether it [could land](Self::could_land) in overlapping slots.
    pub(super) fn note_reverse(&mut self, lands: bool) {
        let Some(auto) = &mut self.auto else { return };
        if lands {
            auto.choice.reverse();
        } else {
            auto.choice.other();
        }
    }

    /// Whether this datagram, which was copied together, would have been proven without its headers.
    /// `payload` is its IP payload.
    pub(super) fn could_land_copied(&self, key: &Key, payload: &[u8]) -> bool {
        let bytes = |at: usize, len: usize| payload.get(at..at + len);
        Udp::parse(payload).is_some_and(|udp| self.could_land(key, &udp, bytes))
    }

    /// Whether a datagram whose headers were all seen would have been proven without them. `bytes` returns
    /// the bytes at a place of its IP payload, if they are there and lie in one fragment.
    pub(super) fn could_land<'a>(
        &self,
        key: &Key,
        udp: &Udp,
        bytes: impl Fn(usize, usize) -> Option<&'a [u8]>,
    ) -> bool {
        let flow = Flow { src: key.src, dst: key.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        let identity = Identity { flow, ip_id: key.id, udp_len: udp.len, udp_checksum: udp.checksum };
        let (require, len) = (self.config.require, usize::from(udp.len));
        let summed = require.checksum && udp.checksum != 0;
        if !(wire::UDP..=wire::MAX_IP_PAYLOAD).contains(&len) {
            return false;
        }
        let layout = Layout::of_udp(self.config.geometry, len);
        let Some(at) = layout.tag() else {
            let mut digest = Digest::new();
            for i in 0..layout.fragments() {
                let (piece, at) = (layout.piece(i), i * self.config.geometry.stride());
                let Some(bytes) = bytes(at + piece.start, piece.len()) else { return false };
                digest.push(checksum::piece(bytes));
            }
            return summed && key.id == digest.finish16();
        };
        let behind = self.trailer.filter(|(of, _)| at >= layout.ip_len() && of == key);
        let trailer = behind.map(|(_, trailer)| trailer);
        let tag = trailer.or_else(|| bytes(at, TAG)?.first_chunk::<TAG>().copied());
        match tag.and_then(|tag| identity.check(tag)) {
            Some(Tag::Ordered(_)) => summed || require.tags,
            Some(Tag::Ends) => require.tags,
            None => false,
        }
    }

    /// Reports that a datagram in overlapping slots is another stack's. It came in forward order, or has no
    /// proof but its headers.
    #[cold]
    pub(super) fn note_foreign(&mut self, frames: usize) {
        if let Some(auto) = &mut self.auto {
            auto.choice.unproven(false, frames as u32, false);
        }
    }

    /// Reports that a datagram was dropped for this reason.
    pub(super) fn note_drop(&mut self, reason: Reason, frames: usize) {
        if matches!(reason, Reason::OrderUnproven | Reason::Unproven) {
            self.note_foreign(frames);
        }
    }

    /// Reports a run that cannot be proven because headers are missing, if it is one. It is called when the
    /// newest frame of the run was looked at and closes nothing, or when the run is `over`.
    #[cold]
    pub(super) fn judge_run<M: SlotMemory<Buf = B, Slots = S>>(&mut self, over: bool, memory: &M) {
        let Some(auto) = &self.auto else { return };
        let (run, end) = (self.log.run(), self.log.len());
        // A run that is longer than any datagram is reported each time, not only once.
        let long = end - run > self.config.geometry.max_fragments();
        let settled = auto.choice.slot() == Slot::Separate || (auto.judged == self.begun && !long);
        if settled || !self.log.has_run() || self.log.seen_from(run).len() == end - run {
            return;
        }
        let ours = if self.log[run].len == self.full {
            // LM sends no full frame as a last fragment. So the last fragment was lost, or never existed.
            let newest = self.log.packet(end - 1);
            let is_first = end - run > 1 && newest.is_some_and(|p| p.ip.offset == 0 && p.ip.more);
            if is_first && !over {
                return;
            }
            is_first
        } else if over {
            self.looks_ours(run, memory)
        } else {
            return;
        };
        let begun = self.begun;
        // A datagram that was on its way when the layout changed may have its other part in separate slots.
        let crosses = !(long || self.reassembler.is_empty() && self.waiting.is_empty());
        if let Some(auto) = &mut self.auto {
            auto.judged = begun;
            auto.choice.unproven(ours, (end - run) as u32, crosses);
        }
    }

    /// Reports the strangers' frames among the oldest `n` frames of the log, which are about to be dropped.
    #[cold]
    pub(super) fn judge_dropped<M: SlotMemory<Buf = B, Slots = S>>(&mut self, n: usize, memory: &M) {
        if self.auto.is_none() {
            return;
        }
        let lost = |&i: &usize| {
            let frame = &self.log[i];
            frame.slot == Slot::Overlapping
                && frame.len != self.full
                && self.log.packet(i).is_none()
                && !self.looks_ours(i, memory)
        };
        let strangers = (0..n).filter(lost).count();
        if strangers > 0 {
            self.note_foreign(strangers);
        }
    }

    /// Whether a frame whose header is gone ends as a last fragment of LM's does. A frame of another stack
    /// may end so too, by chance or on purpose. So this is only worth credit, and never proves anything.
    fn looks_ours<M: SlotMemory<Buf = B, Slots = S>>(&self, index: usize, memory: &M) -> bool {
        let frame = &self.log[index];
        let len = frame.payload_len();
        // Of the newest frame, the first bytes can only be copied.
        let front = memory.eight(frame.at).unwrap_or_default();
        let behind = self.log.piece(index, FRONT.min(len)..len, memory);
        if usize::from(frame.len) <= MIN_FRAME + FCS {
            // There may be padding behind the tag.
            let mut bytes = [0; MIN_FRAME + FCS - HEADERS];
            bytes.iter_mut().zip(front.iter().chain(behind)).for_each(|(to, from)| *to = *from);
            let windows = bytes[..len.min(bytes.len())].windows(TAG);
            return windows.into_iter().any(|w| w.first_chunk().is_some_and(|w| tag::is_tag(*w)));
        }
        let ends = behind.last_chunk::<TAG>().is_some_and(|end| tag::is_tag(*end));
        // The largest datagrams have no room for a tag.
        let geometry = self.config.geometry;
        let whole = (geometry.max_fragments() - 1) * geometry.stride() + len;
        let untagged = whole <= wire::MAX_IP_PAYLOAD && Layout::of_udp(geometry, whole).tag().is_none();
        ends || untagged
    }
}
