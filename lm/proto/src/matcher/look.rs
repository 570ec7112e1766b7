//! The end of a poll: decides whether the newest frame completes its datagram, and whether its header is
//! intact.
//!
//! On a device that writes at any time the newest header is intact if the slot below was still untouched
//! *after* it was read, or if nothing was reported for so long that a frame that was being written would have
//! been. Otherwise the datagram waits for the next frame, whose length tells whether it reaches the header.
//! There is one exception: the card's word and the tag, which the frame below cannot have overwritten, both
//! agree with the header.

use super::Matcher;
use crate::frame::{Head, Slots};
use crate::packet;
use crate::raw_headers::RawHeaders;
use crate::slot_memory::{Below, SlotMemory};
use crate::wire;

/// The newest frame's headers at the first look that could not close its run.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderSnapshot {
    head: Head,
    since: u64,
    /// They did not change for a while, but make no sense. So they are looked at once more, later.
    doubted: bool,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Whether frames have come that no look has examined yet.
    #[inline]
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether a look has nothing to do: every frame that came was examined, and none waits for time to pass.
    #[inline]
    pub fn is_idle(&self) -> bool {
        let nothing = self.log.is_empty() && self.reassembler.is_empty() && self.waiting.is_empty();
        !self.fresh && self.snapshot.is_none() && nothing
    }

    /// Ends a poll that found `taken` frames, which may be 0. `clock` is the time in nanoseconds, of a clock
    /// that never goes back.
    #[inline]
    pub fn look<M: SlotMemory<Buf = B, Slots = S>>(&mut self, clock: u64, taken: usize, memory: &mut M) {
        self.now += clock.saturating_sub(self.clock).min(Self::GAP);
        self.clock = clock;
        let now = self.now;
        if self.fresh && taken >= Self::MANY && !self.config.synchronous {
            // A datagram that is whole by now is closed by the next frame, or by the look of a poll that
            // finds fewer frames.
            self.snapshot = None;
        } else if self.fresh {
            self.fresh = false;
            self.snapshot = None;
            if self.log.has_run() && !self.gap {
                if self.config.synchronous {
                    self.look_synchronous(memory);
                } else {
                    self.look_asynchronous(memory);
                }
            }
        } else if let Some(snapshot) = self.snapshot {
            let wait = if snapshot.doubted { Self::DOUBT } else { self.config.quiet.unwrap_or(u64::MAX) };
            if now.saturating_sub(snapshot.since) > wait {
                self.snapshot = self.settle(snapshot, memory);
            }
        }
        if self.log.is_empty() {
            self.listen_again();
        } else {
            self.shed(memory);
        }
        let counters = &mut self.counters;
        self.reassembler.expire(now, memory, |_, reason| counters.drop_one(reason));
        self.end_waiting(memory);
    }

    /// A look on a device that writes only inside the receive call: the newest header is as it arrived.
    #[inline]
    fn look_synchronous<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        if !self.close_alike(memory) {
            let head = memory.head(&self.newest());
            if !self.close_late(&head, memory) {
                self.miss(&head, memory);
            }
        }
    }

    /// A look on a device that writes at any time, also into the newest header. So the header is copied
    /// first, and then the slot below is examined, to see whether the copy is intact.
    #[inline]
    fn look_asynchronous<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        let newest = self.newest();
        let head = memory.head(&newest);
        let headers = packet::raw_headers(&head);
        let below = memory.below(&newest);
        let untouched = below == Below::Untouched;
        if untouched && self.close_late(&head, memory) {
            return;
        }
        if !untouched
            && self.is_named(headers)
            && headers.look_first()
            && !self.config.accept.is_for_another(&head)
            && self.close_by_tag(headers, &head, memory)
        {
            return;
        }
        // The rest of the datagram is still to come if this is a fragment in its midst, or its last one,
        // which comes first.
        let total = wire::IPV4 + self.config.geometry.stride();
        let waits = headers.look_middle(total)
            || (headers.look_behind() && self.run_len() == 1 && !self.is_behind_full());
        if untouched && !waits {
            self.miss(&head, memory);
        } else if below != Below::Touched {
            self.snapshot = Some(HeaderSnapshot { head, since: self.now, doubted: false });
        }
    }

    /// Whether the card says that the newest frame has the identification in these headers. The card
    /// read it when the frame arrived, so the answer holds whatever was overwritten since.
    #[inline]
    fn is_named(&self, headers: RawHeaders) -> bool {
        let id = headers.id();
        self.log.words_from(self.log.run()).last().is_some_and(|&word| self.card.binds(&[word], id))
    }

    /// [`Self::close`], not inlined here, because a look calls it once a poll at most.
    #[inline(never)]
    fn close_late<M: SlotMemory<Buf = B, Slots = S>>(&mut self, head: &Head, memory: &mut M) -> bool {
        self.close(head, memory)
    }

    /// Whether the frame before the run is a full one. In forward order a last fragment, which begins a run,
    /// comes right behind one.
    fn is_behind_full(&self) -> bool {
        let run = self.log.run();
        run > 0 && self.log[run - 1].len == self.full
    }

    /// Handles the newest frame, whose header is intact, when it closes nothing.
    #[cold]
    #[inline(never)]
    pub(super) fn miss<M: SlotMemory<Buf = B, Slots = S>>(&mut self, head: &Head, memory: &mut M) {
        self.unfold();
        if self.run_len() > 1 {
            self.find_forward(memory);
        }
        self.examine(head, memory);
        self.judge_run(false, memory);
    }

    /// Handles the newest frame when nothing has come for a while. Its headers are intact if they are still
    /// what they were. If they make no sense although they did not change, they are doubted, and looked at
    /// once more later. Returns what the next look has to know.
    #[cold]
    fn settle<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        snapshot: HeaderSnapshot,
        memory: &mut M,
    ) -> Option<HeaderSnapshot> {
        self.unfold();
        let newest = *self.log.last().filter(|_| self.log.has_run() && !self.gap)?;
        // The next frame may just be overwriting them. So the headers that were read first are the ones that
        // count.
        if memory.head(&newest) != snapshot.head {
            return None;
        }
        if !snapshot.doubted
            && !packet::is_known(&snapshot.head, self.log.received(self.log.len() - 1), memory)
        {
            return Some(HeaderSnapshot { doubted: true, ..snapshot });
        }
        if !self.close(&snapshot.head, memory) {
            self.miss(&snapshot.head, memory);
        }
        None
    }
}
