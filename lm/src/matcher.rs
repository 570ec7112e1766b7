//! Finds whole datagrams among landed frames.
//!
//! Fragments arrive last first, into slots that descend by one stride. A *run* is what may be one datagram:
//! a frame that is not full (a last fragment, or a datagram in one frame), then full frames only. Its end is
//! looked for where a datagram can end and nowhere else: at the newest frame of a burst, and at the frame
//! before one that starts the next run. So a frame costs a comparison of its length and its address, and a
//! header is read about once a datagram.
//!
//! # What is believed
//! A header counts as *intact* only when the frame below is known not to reach it: it has arrived and is short
//! enough, or the device writes only inside the receive call (`synchronous`). A header that merely looks right
//! at the end of a burst is a hint. Length and count alone never deliver: see [`Matcher::prove`].
//!
//! # What does not fit
//! Frames of runs that did not close wait in the log, older than the run. When a first fragment shows up that
//! needs them, [`crate::repair`] tries to make the datagram whole with one copy. Frames whose headers are
//! intact go to the [`Reassembler`] when their datagram is not one that lands. What helps nobody is dropped
//! after [`Matcher::WINDOW`] frames or one second, and counted.
//!
//! # Order of calls
//! [`Matcher::push`] for every frame of a burst in ring order, then [`Matcher::look`] once; `look` also for
//! polls that found nothing, so that time passes. [`Matcher::clear`] hands back every slot.

use crate::counters::{Counters, Reason};
use crate::ground::{Accept, Frame, Frames, Ground, Require, Slot, Whole, WholeBy};
use crate::intact::{Kind, Shelf, classify};
use crate::layout::{Geometry, Layout, TAG};
use crate::reassembler::{Limits, Reassembler};
use crate::tag::Identity;
use crate::wire::{self, ETHERNET, Flow, HEADERS, Ipv4, Udp};
use crate::words::HeaderWords;

mod proof;
mod stream;

use proof::End;
use stream::Template;

/// How a matcher is set up.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Fragment sizes.
    pub geometry: Geometry,
    /// What proves a datagram.
    pub require: Require,
    /// Whose datagrams are taken.
    pub accept: Accept,
    /// The device writes frames only inside the receive call, so the newest header is as it arrived.
    pub synchronous: bool,
    /// Nanoseconds after which a frame under way would have been reported, so that headers that did not change
    /// meanwhile, with nothing received, are intact: for cards, whose DMA nobody preempts. `None`: waiting proves
    /// nothing, as a peer process may be stopped in the middle of a frame.
    pub quiet: Option<u64>,
    /// The region is mapped twice, back to back, and is this many bytes long; 0: mapped once.
    pub mirror: usize,
    /// Limits of the reassembler.
    pub limits: Limits,
}

impl Config {
    /// Whether `below`, received right after `above`, reached its headers.
    #[inline(always)]
    fn reaches(&self, below: &Frame, above: &Frame) -> bool {
        if self.mirror != 0 && below.at > above.at {
            return below.reaches(&Frame { at: above.at + self.mirror, ..*above });
        }
        below.reaches(above)
    }
}

/// No address: no frame is there.
const NOWHERE: usize = usize::MAX;

/// The matcher of one landing queue; `B` is the buffer that repairs are made in.
pub struct Matcher<B> {
    pub(crate) config: Config,
    full: u16,
    /// Frames not handed back yet, oldest first; the run is `log[run..]`.
    pub(crate) log: Vec<Frame>,
    pub(crate) run: usize,
    /// Frames of the run that are younger than the log's newest: full, in place, each right below the one before. Most
    /// runs close without anybody asking for more than their number; else [`Self::unfold`] enters them in the log.
    folded: usize,
    /// Where the run's next frame lands if it goes on in place; [`NOWHERE`] if there is no run, or a gap.
    below: usize,
    /// The run is not contiguous.
    split: bool,
    /// A frame was taken out of the log behind the newest one.
    gap: bool,
    /// Intact IPv4 headers of frames in the log, by index, ascending.
    pub(crate) seen: Vec<(u32, Ipv4)>,
    /// What the next datagram is likely to be, after one that a tag proved.
    template: Option<Template>,
    /// Frames arrived since the last look.
    fresh: bool,
    /// Runs begun, and what the last look saw of it: how stale frames are told.
    begun: u64,
    stale: (u64, u64),
    /// Frames received, and then and when the oldest waiting run began to wait.
    pub(crate) waiting: Option<(u64, u64)>,
    pub(crate) reassembler: Reassembler<B>,
    pub(crate) shelf: Shelf<B>,
    glimpse: Option<Glimpse>,
    /// Nanoseconds in which somebody looked.
    pub(crate) now: u64,
    /// The caller's clock at the last look.
    clock: u64,
    /// What happened so far.
    pub counters: Counters,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Matcher<B> {
    /// Frames that runs which did not close may wait for, counted in frames that come after them.
    pub const WINDOW: u64 = 256;
    /// Nanoseconds that anything may wait.
    pub const PATIENCE: u64 = 1_000_000_000;
    /// Nanoseconds between two looks that count, at most: while nobody looks, the rest of a datagram may lie in the ring,
    /// and must not be late because of that.
    pub const GAP: u64 = 250_000_000;
    /// Nanoseconds after which a quiet queue's newest frame is looked at again.
    pub const QUIET: u64 = 1_000_000;
    /// Nanoseconds after which it is believed to be no frame that is known here. Of a card a millisecond would prove as
    /// much; an emulated one is a thread of the host, which can be stopped when it has written half a frame.
    pub const DOUBT: u64 = 500_000_000;
    /// A poll that finds so many frames is followed by another one at once: there is no need to ask behind it whether the newest
    /// frame is a datagram's last.
    pub const MANY: usize = 32;

    /// A matcher with nothing in it.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            full: config.geometry.full_frame() as u16,
            log: Vec::with_capacity(2048),
            run: 0,
            folded: 0,
            below: NOWHERE,
            split: false,
            gap: false,
            seen: Vec::with_capacity(64),
            template: None,
            fresh: false,
            begun: 0,
            stale: (0, 0),
            waiting: None,
            reassembler: Reassembler::new(config.limits),
            shelf: Shelf::new(),
            glimpse: None,
            now: 0,
            clock: 0,
            counters: Counters::default(),
        }
    }

    /// The setup in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes what counts as proof, from the next datagram on.
    pub fn set_require(&mut self, require: Require) {
        self.config.require = require;
        self.template = None;
    }

    /// Frames that wait: not delivered, not handed back.
    pub fn pending(&self) -> usize {
        self.log.len() + self.folded
    }

    /// [`Matcher::push`] for the plain frames that a burst begins with.
    #[inline(always)]
    pub fn push_plain<F: Frames, G: Ground<Buf = B>>(&mut self, frames: &mut F, ground: &mut G) {
        loop {
            let next = if self.is_stream() {
                self.stream(frames, ground)
            } else {
                self.push_expected(frames);
                frames.next()
            };
            match next {
                Some(frame) => self.push_unexpected(frame, ground),
                None => return,
            }
        }
    }

    /// Takes full frames, each right below the one before.
    #[inline(always)]
    fn push_expected<F: Frames>(&mut self, frames: &mut F) {
        if self.below == NOWHERE {
            return;
        }
        let stride = self.config.geometry.stride();
        let n = frames.march(self.below, stride, self.full, usize::MAX, 0, 0);
        frames.skip(n);
        self.fresh |= n > 0;
        self.counters.frames += n as u64;
        self.folded += n;
        self.below = self.below.checked_sub(n * stride).unwrap_or(NOWHERE);
    }

    /// Enters the folded frames in the log.
    fn unfold(&mut self) {
        let (len, stride) = (self.full, self.config.geometry.stride());
        if let Some(&Frame { at, .. }) = self.log.last() {
            let frame = |i| Frame { at: at - i * stride, len, slot: Slot::Overlapping, bounce: 0 };
            self.log.extend((1..=self.folded).map(frame));
        }
        self.folded = 0;
    }

    /// Frames of the run.
    #[inline(always)]
    fn run_len(&self) -> usize {
        self.log.len() - self.run + self.folded
    }

    /// The newest frame; there is one.
    #[inline(always)]
    fn newest(&self) -> Frame {
        let newest = &self.log[self.log.len() - 1];
        if self.folded == 0 {
            return *newest;
        }
        let at = newest.at - self.folded * self.config.geometry.stride();
        Frame { at, len: self.full, slot: Slot::Overlapping, bounce: 0 }
    }

    /// Where the frame after the one at `at` lands in place.
    #[inline(always)]
    fn under(&self, at: usize) -> usize {
        at.checked_sub(self.config.geometry.stride()).unwrap_or(NOWHERE)
    }

    /// The next frame in ring order.
    pub fn push<G: Ground<Buf = B>>(&mut self, frame: Frame, ground: &mut G) {
        if frame.slot == Slot::Overlapping && frame.bounce == 0 {
            self.push_plain(&mut Some(frame), ground);
        } else {
            self.push_unexpected(frame, ground);
        }
    }

    /// A frame that does not go on where the one before it ended.
    #[inline(never)]
    fn push_unexpected<G: Ground<Buf = B>>(&mut self, frame: Frame, ground: &mut G) {
        self.fresh = true;
        self.counters.frames += 1;
        if frame.len == self.full && frame.slot == Slot::Overlapping && self.log.len() > self.run {
            self.push_apart(frame, ground);
        } else {
            self.start(frame, ground);
        }
    }

    /// A full frame that is not where the run was expected to go on, or whose headers are somewhere else.
    #[cold]
    #[inline(never)]
    fn push_apart<G: Ground<Buf = B>>(&mut self, frame: Frame, ground: &mut G) {
        self.unfold();
        let newest = self.log[self.log.len() - 1];
        if frame.at + self.config.geometry.stride() != newest.at {
            self.jump(&frame, &newest, ground);
        }
        self.gap = false;
        self.below = self.under(frame.at);
        self.log.push(frame);
    }

    /// The run goes on elsewhere: at the region's wrap, at a join of growth, behind a frame taken out.
    #[cold]
    fn jump<G: Ground<Buf = B>>(&mut self, frame: &Frame, newest: &Frame, ground: &mut G) {
        let stride = self.config.geometry.stride();
        if self.config.mirror != 0 && frame.at + stride == newest.at + self.config.mirror && !self.gap {
            return; // the same place under its other address
        }
        self.split = true;
        if !self.gap
            && !self.config.reaches(frame, newest)
            && !self.is_seen(self.log.len() - 1)
            && let Kind::Fragment(ip) = classify(ground.frame(newest))
        {
            self.note(self.log.len() - 1, ip);
        }
    }

    /// A frame that starts a run, so the one before it has to close.
    #[inline(always)]
    fn start<G: Ground<Buf = B>>(&mut self, frame: Frame, ground: &mut G) {
        if self.log.len() > self.run {
            let intact = !self.gap && !self.config.reaches(&frame, &self.newest());
            if !(intact && self.close(true, ground)) {
                self.wait(intact, ground);
            }
        }
        match frame.slot {
            Slot::Overlapping if frame.len <= self.full => {
                self.run = self.log.len();
                self.begun += 1;
                self.split = false;
                self.gap = false;
                self.below = self.under(frame.at);
                self.log.push(frame);
            }
            Slot::Separate => self.intact(frame, classify(ground.frame(&frame)), ground),
            _ => {
                self.counters.drop_one(Reason::Oversize);
                self.lose_overwritten(&frame, ground);
                self.open_gap();
                ground.release(&frame);
            }
        }
    }

    /// A frame that exceeds its slot has overwritten the first bytes of the payload above, whatever was known of that.
    #[cold]
    fn lose_overwritten<G: Ground<Buf = B>>(&mut self, frame: &Frame, ground: &mut G) {
        self.unfold();
        let Some(&above) = self.log.last() else { return };
        let (mirror, mut at) = (self.config.mirror, above.at);
        if mirror != 0 && frame.at > at {
            at += mirror;
        }
        if frame.at < at && frame.at + frame.payload_len() > at {
            self.log.pop();
            self.seen.truncate(self.seen.partition_point(|&(i, _)| (i as usize) < self.log.len()));
            self.run = self.run.min(self.log.len());
            if self.log.is_empty() {
                self.waiting = None;
            }
            self.counters.drop_one(Reason::LostFrame);
            ground.release(&above);
        }
    }

    /// Frames have come since the last look.
    #[inline(always)]
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The end of a poll that found `taken` frames, or none, at `clock` nanoseconds of a clock that never falls.
    #[inline]
    pub fn look<G: Ground<Buf = B>>(&mut self, clock: u64, taken: usize, ground: &mut G) {
        self.now += clock.saturating_sub(self.clock).min(Self::GAP);
        self.clock = clock;
        let now = self.now;
        if self.fresh && taken >= Self::MANY && !self.config.synchronous {
            // What is whole by now is closed by the next frame, or by the look of a poll that finds fewer.
            self.glimpse = None;
        } else if self.fresh {
            self.fresh = false;
            self.glimpse = None;
            if self.log.len() > self.run && !self.gap {
                let intact = self.config.synchronous;
                if !self.close_late(intact, ground) {
                    if intact {
                        self.unfold();
                        self.examine(ground);
                    } else {
                        let headers = ground.headers(&self.newest());
                        self.glimpse = Some(Glimpse { headers, since: now, doubted: false });
                    }
                }
            }
        } else if let Some(glimpse) = self.glimpse {
            let wait = if glimpse.doubted { Self::DOUBT } else { self.config.quiet.unwrap_or(Self::QUIET) };
            if now.saturating_sub(glimpse.since) > wait {
                self.glimpse = self.settle(glimpse, ground);
            }
        }
        if !self.log.is_empty() {
            self.shed(ground);
        }
        let counters = &mut self.counters;
        self.reassembler.expire(now, ground, |_, reason| counters.drop_one(reason));
    }

    /// Nothing came for a while: the newest headers, if they are still what they were and the device is one that waiting
    /// proves something of, are intact; if they make no sense, that is doubted, and looked at once more. Of any other
    /// device an ARP packet is taken for what it looks like, so that its sender is not left waiting; the frame stays
    /// where it is, in case it was a payload after all.
    #[cold]
    fn settle<G: Ground<Buf = B>>(&mut self, glimpse: Glimpse, ground: &mut G) -> Option<Glimpse> {
        self.unfold();
        let newest = *self.log.last().filter(|_| self.log.len() > self.run && !self.gap)?;
        if ground.headers(&newest) != glimpse.headers {
            return None;
        }
        if self.config.quiet.is_some() {
            let known = wire::is_known(ground.frame(&newest));
            let kind = classify(ground.frame(&newest));
            // The next frame may have come just now, and be overwriting them: what was read counts if they are still the same.
            if ground.headers(&newest) != glimpse.headers {
                return None;
            }
            if !glimpse.doubted && !known {
                return Some(Glimpse { doubted: true, ..glimpse });
            }
            if !self.close_late(true, ground) {
                self.examine_as(kind, ground);
            }
        } else if wire::Arp::parse(ground.frame(&newest)).is_some() {
            self.hand_out(&newest, ground);
        }
        None
    }

    /// Hands back everything: before the queue stops.
    pub fn clear<G: Ground<Buf = B>>(&mut self, ground: &mut G) {
        self.unfold();
        self.run = self.log.len();
        self.drop_waiting(ground);
        self.reassembler.clear(ground);
        self.glimpse = None;
        self.shelf.clear(ground);
    }

    /// Closes the run if its newest frame is a first fragment that makes a datagram whole. `intact`: the
    /// newest header is known to be; else it is only a hint, and a run that can't be proven stays.
    #[inline(always)]
    fn close<G: Ground<Buf = B>>(&mut self, intact: bool, ground: &mut G) -> bool {
        if self.close_alike(ground) {
            return true;
        }
        // What is cheapest tells nearly all frames apart that are no first fragments.
        let headers = ground.headers(&self.newest());
        headers.look_first()
            && (self.close_by_tag(headers, ground) || self.close_any(headers, intact, ground))
    }

    /// [`Self::close`] where it is rare.
    #[inline(never)]
    fn close_late<G: Ground<Buf = B>>(&mut self, intact: bool, ground: &mut G) -> bool {
        self.close(intact, ground)
    }

    /// [`Self::close`] where it has least to do: the run is in place and as a whole one datagram with a tag that agrees, and
    /// that is proof enough. Else false, and nothing has happened.
    #[inline(always)]
    fn close_by_tag<G: Ground<Buf = B>>(&mut self, headers: HeaderWords, ground: &mut G) -> bool {
        let (n, lowest) = (self.run_len(), self.newest());
        if !self.config.require.tags || self.split {
            return false;
        }
        let Some(bytes) = ground.bytes(lowest.at, wire::UDP).first_chunk().copied() else { return false };
        let Some(udp) = Udp::parse(&bytes) else { return false };
        let len = usize::from(udp.len);
        let Some(tag) = Layout::fit_tag(self.config.geometry, len, n) else { return false };
        let first = &self.log[self.run];
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
        let Some(tag) = ground.bytes(first.at + from, TAG).first_chunk::<TAG>() else { return false };
        if !self.config.accept.takes(&flow) || identity(flow, headers.id(), &udp).check(*tag).is_none() {
            return false;
        }
        let whole = Whole { flow, len: len - wire::UDP, fragments: n as u16, by: WholeBy::Tags };
        self.template = Template::new(self.config.geometry, headers, bytes, first.len, from, whole);
        hand_over(&whole, lowest.at, &mut self.counters, ground);
        self.truncate(self.run);
        true
    }

    /// [`Self::close`] for headers that look like a first fragment's, whatever the run is.
    #[inline(never)]
    fn close_any<G: Ground<Buf = B>>(&mut self, headers: HeaderWords, intact: bool, ground: &mut G) -> bool {
        self.unfold();
        let z = self.log.len() - 1;
        let newest = &self.log[z];
        let Some(udp) = Udp::parse(ground.bytes(newest.at, newest.payload_len().min(wire::UDP))) else {
            return false;
        };
        let Some((layout, tagged)) = self.shape(&udp) else { return false };
        let n = layout.fragments();
        let Some(ip) = first_fragment(headers, newest.len, n) else { return false };
        let flow = Flow { src: ip.src, dst: ip.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        // A frame that is a datagram of its own needs nothing but its headers: `intact` has its rules.
        if n == 1 && (intact || usize::from(ip.payload_len) < layout.udp_len()) {
            return false;
        }
        if !self.config.accept.takes(&flow) {
            if intact {
                self.give_up(z + 1 - n, Reason::NotOurs, ground);
            }
            return intact;
        }
        let tag = if tagged { self.tag_of(&layout, &identity(flow, ip.id, &udp), z, ground) } else { None };
        let by = if self.config.require.tags && matches!(tag, Some(Some(_))) {
            WholeBy::Tags
        } else {
            match self.prove(&layout, tagged, tag, &End { ip, udp, z, intact }, ground) {
                Ok(by) => by,
                // With every header known the reassembler does better. A stranger as long as the last fragment may have come
                // behind that.
                Err(reason) if intact && n > 1 && !self.knows_all(&ip, z + 1 - n, z) => {
                    if !self.assemble(&ip, ground) {
                        self.give_up(z + 1 - n, reason, ground);
                    }
                    return true;
                }
                Err(_) => return false,
            }
        };
        let whole = Whole { flow, len: layout.udp_len() - wire::UDP, fragments: n as u16, by };
        self.deliver(&whole, &layout, z, ground);
        true
    }

    /// Delivers the datagram that ends with `log[z]`: in place if its slots touch, else copied together.
    fn deliver<G: Ground<Buf = B>>(&mut self, whole: &Whole, layout: &Layout, z: usize, ground: &mut G) {
        let first = z + 1 - layout.fragments();
        if self.split && !self.touches(first, z) {
            self.deliver_copied(whole, layout, z, ground);
        } else {
            hand_over(whole, self.log[z].at, &mut self.counters, ground);
        }
        self.truncate(first);
    }

    /// Whether `log[first..=z]` lie side by side although the run is split.
    fn touches(&self, first: usize, z: usize) -> bool {
        let span = self.log[first].at.wrapping_sub(self.log[z].at);
        span == (z - first) * self.config.geometry.stride()
    }

    #[cold]
    #[inline(never)]
    fn deliver_copied<G: Ground<Buf = B>>(
        &mut self,
        whole: &Whole,
        layout: &Layout,
        z: usize,
        ground: &mut G,
    ) {
        self.copy_out(whole, layout, |log, i| log[z - i].at, ground);
        for i in z + 1 - layout.fragments()..=z {
            ground.release(&self.log[i]);
        }
    }

    /// Copies a datagram's pieces, which lie where `at` says, into a buffer and delivers it.
    pub(crate) fn copy_out<G: Ground<Buf = B>>(
        &mut self,
        whole: &Whole,
        layout: &Layout,
        at: impl Fn(&[Frame], usize) -> usize,
        ground: &mut G,
    ) {
        let Some(mut buf) = ground.take() else {
            self.counters.drop_one(Reason::NoBuffer);
            return;
        };
        let mut to = 0;
        for i in 0..layout.fragments() {
            let piece = layout.piece(i);
            let from = ground.bytes(at(&self.log, i) + piece.start, piece.len());
            buf.as_mut()[to..to + from.len()].copy_from_slice(from);
            to += from.len();
        }
        self.count_copied(whole.len);
        ground.copied(*whole, buf, 0);
    }

    pub(crate) fn count_copied(&mut self, len: usize) {
        self.counters.datagrams += 1;
        self.counters.bytes += len as u64;
        self.counters.copied_datagrams += 1;
        self.counters.copied_bytes += len as u64;
    }

    /// Takes `log[first..]` out; what is left of the run waits.
    #[inline(always)]
    pub(crate) fn truncate(&mut self, first: usize) {
        self.log.truncate(first);
        self.folded = 0;
        if !self.seen.is_empty() {
            self.seen.truncate(self.seen.partition_point(|&(i, _)| (i as usize) < first));
        }
        self.run = first;
        self.open_gap();
        if first == 0 {
            self.waiting = None;
        } else {
            self.begin_waiting();
        }
    }

    /// What is in the log belongs to no run any more: it waits.
    pub(crate) fn leave(&mut self) {
        self.run = self.log.len();
        self.open_gap();
        if self.log.is_empty() {
            self.waiting = None;
        } else {
            self.begin_waiting();
        }
    }

    /// Drops the datagram that begins (with its last fragment) at `log[first]`.
    fn give_up<G: Ground<Buf = B>>(&mut self, first: usize, reason: Reason, ground: &mut G) {
        self.counters.drop_one(reason);
        for f in &self.log[first..] {
            ground.release(f);
        }
        self.truncate(first);
    }

    /// What comes next is not the neighbour of the log's newest frame.
    #[inline(always)]
    pub(crate) fn open_gap(&mut self) {
        self.gap = true;
        self.below = NOWHERE;
    }

    /// The run did not close and another begins: look at what is known of it, then let it wait.
    #[cold]
    #[inline(never)]
    fn wait<G: Ground<Buf = B>>(&mut self, intact: bool, ground: &mut G) {
        self.unfold();
        if intact {
            self.examine(ground);
        }
        self.run = self.log.len();
        self.below = NOWHERE;
        if !self.log.is_empty() {
            self.begin_waiting();
        }
    }

    fn begin_waiting(&mut self) {
        if self.waiting.is_none() {
            self.waiting = Some((self.counters.frames, self.now));
        }
    }

    pub(crate) fn note(&mut self, index: usize, ip: Ipv4) {
        if !self.is_seen(index) {
            self.seen.push((index as u32, ip));
        }
    }

    fn is_seen(&self, index: usize) -> bool {
        self.seen.last().is_some_and(|&(i, _)| i as usize >= index)
    }

    /// Drops what has waited too long, and a run that can no longer be one.
    fn shed<G: Ground<Buf = B>>(&mut self, ground: &mut G) {
        if self.run > 0
            && let Some((frames, since)) = self.waiting
            && (self.counters.frames - frames > Self::WINDOW
                || self.now.saturating_sub(since) > Self::PATIENCE)
        {
            self.drop_waiting(ground);
        }
        let idle = self.stale.0 == self.begun && self.now.saturating_sub(self.stale.1) > Self::PATIENCE;
        if self.run_len() > 2 * self.config.geometry.max_fragments() || idle {
            self.unfold();
            self.run = self.log.len();
            self.drop_waiting(ground);
        }
        if self.stale.0 != self.begun {
            self.stale = (self.begun, self.now);
        }
    }

    fn drop_waiting<G: Ground<Buf = B>>(&mut self, ground: &mut G) {
        let run = self.run;
        for f in &self.log[..run] {
            ground.release(f);
        }
        self.counters.drop_many(Reason::LostFrame, run as u64);
        self.log.drain(..run);
        self.seen.retain(|&(i, _)| i as usize >= run);
        for (i, _) in &mut self.seen {
            *i -= run as u32;
        }
        self.run = 0;
        self.waiting = None;
        if self.log.is_empty() {
            self.open_gap();
        }
    }
}

/// What was seen of a run's newest frame at the first look that could not close it.
#[derive(Clone, Copy, Debug)]
struct Glimpse {
    headers: HeaderWords,
    since: u64,
    /// It was looked at again, and made no sense.
    doubted: bool,
}

/// Delivers a datagram in place.
#[inline(always)]
fn hand_over<G: Ground>(whole: &Whole, lowest: usize, counters: &mut Counters, ground: &mut G) {
    counters.datagrams += 1;
    counters.bytes += whole.len as u64;
    ground.landed(*whole, lowest + wire::UDP, lowest);
}

/// The header of a first fragment (of `n`) that looks like one, as far as the bytes at hand tell.
#[inline(always)]
fn first_fragment(headers: HeaderWords, len: u16, n: usize) -> Option<Ipv4> {
    let ip = Ipv4::parse(&headers.ip(), usize::from(len).saturating_sub(ETHERNET)).ok()?;
    (ip.more == (n > 1)).then_some(ip)
}

#[inline(always)]
fn identity(flow: Flow, ip_id: u16, udp: &Udp) -> Identity {
    Identity { flow, ip_id, udp_len: udp.len, udp_checksum: udp.checksum }
}

#[cfg(test)]
mod tests;
