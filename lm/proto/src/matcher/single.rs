//! Datagrams in one frame each, the most frequent of all: looked at where they lie, once. While nothing waits
//! they never enter the log. Whatever is not plain is left to [`Matcher::push`] and [`Matcher::examine`],
//! which take any frame. What a card says of them is ignored, because nobody knows whether that is right for
//! frames that are not fragments.

use super::Matcher;
use super::close::identity;
use crate::carried::Carried;
use crate::frame::{Frame, Frames, Head, Next, Received, Slot, Slots};
use crate::layout::TAG;
use crate::packet;
use crate::policy::{Whole, WholeBy};
use crate::raw_headers::RawHeaders;
use crate::slot_memory::{Below, SlotMemory};
use crate::stencil::single_frame;
use crate::wire::{self, ETHERNET, Flow, IPV4, MIN_FRAME, Udp};

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Takes datagrams in one frame each, of an empty log; the first frame that is none, if there are more.
    #[inline]
    pub(super) fn take_alone<F: Frames<Slots = S>, M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frames: &mut F,
        memory: &mut M,
    ) -> Option<Received<S>> {
        // Of many datagrams that are proven without reading them, `stream` takes more at a time.
        let unread = self.config.require.tags;
        while let Some(frame) = frames.next() {
            let next = frames.peek();
            if frame.slot == Slot::Separate || unread && next != Next::Nothing {
                return Some(frame);
            }
            let Some((headers, udp)) = memory.front(frame.at) else { return Some(frame) };
            if !headers.look_first() || !self.is_intact(&frame, next, memory) {
                return Some(frame);
            }
            // A frame is counted where it is taken.
            if let Some(frame) = self.deliver_single(headers, &Udp::of_word(udp), frame, memory) {
                return Some(frame);
            }
            self.counters.frames += 1;
        }
        None
    }

    /// Takes a frame in a separate slot, which [is alone](Self::is_alone) and has the headers of a datagram
    /// in one frame.
    ///
    /// # Errors
    /// A frame that is not plain, or not taken here: nothing has happened.
    #[inline]
    pub(super) fn take_separate<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        headers: RawHeaders,
        frame: Received<S>,
        memory: &mut M,
    ) -> Result<(), Received<S>> {
        let Some(udp) = memory.eight(frame.at).and_then(|bytes| Udp::parse(&bytes)) else {
            return Err(frame);
        };
        if let Some(frame) = self.deliver_single(headers, &udp, frame, memory) {
            return Err(frame);
        }
        self.counters.frames += 1;
        self.separate = Some(self.counters.frames);
        Ok(())
    }

    /// Whether what was read in front of this frame was intact, if `next` came behind it.
    #[inline]
    fn is_intact<M: SlotMemory<Buf = B, Slots = S>>(&self, frame: &Frame, next: Next, memory: &M) -> bool {
        match next {
            Next::Nothing => self.config.synchronous || memory.below(frame) == Below::Untouched,
            Next::Plain { at, len } => {
                let next = Frame { at, len, slot: Slot::Overlapping, bounce: 0 };
                !self.config.reaches(&next, frame)
            }
            Next::Other => false,
        }
    }

    /// [`Self::close`] for headers without more to come: those of a first fragment that closes nothing, but
    /// may be a datagram of its own. True: it was the run's one frame, and is done with.
    #[inline]
    pub(super) fn close_single<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        headers: RawHeaders,
        head: &Head,
        memory: &mut M,
    ) -> bool {
        if self.run_len() != 1 {
            return false;
        }
        let newest = self.newest();
        if let Some(udp) = Udp::parse(&packet::front(head))
            && self.single_len(headers, &newest).is_some()
            && let Some(frame) = self.log.pop()
        {
            self.open_gap();
            let Some(frame) = self.deliver_single(headers, &udp, frame, memory) else { return true };
            self.begin(frame);
        }
        self.examine(head, memory);
        true
    }

    /// Bytes of IP payload of a frame with these headers, if that is a plain datagram which may be taken
    /// here, and ends in its slot.
    #[inline]
    fn single_len(&self, headers: RawHeaders, frame: &Frame) -> Option<usize> {
        let total = headers.whole()?;
        let len = total.checked_sub(IPV4)?;
        let room = match frame.slot {
            Slot::Overlapping => self.config.geometry.stride(),
            Slot::Separate => usize::MAX,
            Slot::Damaged => return None,
        };
        let accept = &self.config.accept;
        let plain = frame.bounce == 0 && !accept.fragmented && accept.mac.is_none();
        let fits = ETHERNET + total <= frame.len.into() && len <= room;
        (plain && fits && len >= wire::UDP).then_some(len)
    }

    /// The datagram in a frame of which all headers are intact, if tags are proof enough and there is nothing
    /// behind it in its packet but one that agrees.
    #[inline]
    fn proven_by_tag(&self, headers: RawHeaders, udp: &Udp, frame: &Frame, behind: &[u8]) -> Option<Whole> {
        // In a separate slot all headers are intact, which is a proof before tags are looked at.
        if !self.config.require.tags || frame.slot == Slot::Separate {
            return None;
        }
        let payload = usize::from(udp.len).checked_sub(wire::UDP)?;
        let end = single_frame(self.config.geometry, payload)?;
        let fits = usize::from(frame.len) == end || (end..=MIN_FRAME).contains(&frame.len.into());
        let (data, tag) = behind.split_last_chunk::<TAG>()?;
        let flow = Flow::of([headers.src(), headers.dst()], udp);
        if !fits || data.len() != payload || !self.config.accept.takes(&flow) {
            return None;
        }
        let tag = identity(flow, headers.id(), udp).check(*tag)?;
        self.tagged.set(Some(flow.src));
        let carried = Carried::new(self.config.geometry, udp, tag.order());
        Some(Whole { flow, len: payload, fragments: 1, by: WholeBy::Tags, carried })
    }

    /// Delivers or drops a frame, whose headers these are, if it is a plain datagram that is taken here and
    /// ends in its slot; else gives it back, and nothing has happened.
    #[inline]
    fn deliver_single<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        headers: RawHeaders,
        udp: &Udp,
        frame: Received<S>,
        memory: &mut M,
    ) -> Option<Received<S>> {
        let Some(len) = self.single_len(headers, &frame) else { return Some(frame) };
        let behind = memory.bytes(&frame.slots, frame.at + wire::UDP, len - wire::UDP);
        let checked = match self.proven_by_tag(headers, udp, &frame, behind) {
            Some(whole) => Ok(Some(whole)),
            None => self.check_datagram([headers.src(), headers.dst()], headers.id(), udp, behind),
        };
        match checked {
            Ok(None) => return Some(frame),
            Ok(Some(whole)) => {
                self.counters.datagrams += 1;
                self.counters.bytes += whole.len as u64;
                memory.came_with(headers.service());
                memory.landed(whole, frame.at + wire::UDP, frame.slots);
            }
            Err(reason) => {
                self.counters.drop_one(reason);
                memory.release(frame.slots);
            }
        }
        None
    }
}
