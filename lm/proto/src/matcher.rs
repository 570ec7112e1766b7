//! Finds whole datagrams among landed frames.
//!
//! Fragments arrive last first, into slots that descend by one stride. A *run* is what may be one datagram:
//! a frame that is not full (a last fragment, or a datagram in one frame), then full frames only. Its end is
//! looked for where a datagram can end and nowhere else: at the newest frame of a burst, and at the frame
//! before one that starts the next run. So a frame costs a comparison of its length and its address, and a
//! header is read about once a datagram.
//!
//! # What is believed
//! A header counts as *intact* only when the frame below is known not to reach it: it has arrived and is
//! short enough, the device writes only inside the receive call (`synchronous`), the slot below was still
//! untouched after the header had been read, or nothing came for so long that a frame under way would have
//! been reported. Every other header is nothing but a reason to look again. Length and count alone never
//! deliver. `docs/proof.md` has the whole table; `proof` is its code.
//!
//! # What does not fit
//! Frames of runs that did not close wait in the log, older than the run. When a first fragment shows up that
//! needs them, `repair` tries to make the datagram whole with one copy. `forward` finds datagrams whose
//! fragments came in the order in which kernels send them. Frames whose headers are intact go to the
//! [`Reassembler`] when their datagram is not one that lands (`standalone`), or wait in separate slots
//! (`keep`). What helps nobody is dropped after [`Matcher::WINDOW`] frames or one second, the oldest first,
//! and counted. What all that may cost is bounded: `effort`.
//!
//! # Order of calls
//! [`Matcher::push`] for every frame of a burst in ring order, then [`Matcher::look`] once; `look` also for
//! polls that found nothing, so that time passes. [`Matcher::clear`] hands back every slot.

use std::cell::Cell;

use crate::card::{Card, Words};
use crate::counters::{Counters, Reason};
use crate::frame::{FRONT, Frame, Frames, Head, Received, Slot, Slots};
use crate::layout::{Geometry, TAG};
use crate::mtu_check::MtuCheck;
use crate::packet::{self, classify};
use crate::policy::Require;
use crate::reassembler::waiting::Waiting;
use crate::reassembler::{Key, Reassembler};
use crate::slot_memory::SlotMemory;

mod auto;
mod card_proof;
mod check;
mod close;
mod config;
mod deliver;
mod effort;
mod fold;
mod forward;
mod keep;
mod log;
mod look;
mod proof;
mod rejoin;
mod repair;
mod scratch;
mod shed;
mod single;
mod standalone;
mod stream;

use auto::Auto;
pub use config::Config;
use effort::Effort;
use log::{Log, Moment};
use look::HeaderSnapshot;
use repair::Choice;
use scratch::ScratchBuffers;
use stream::Template;

/// An address at which no frame lies.
const NOWHERE: usize = usize::MAX;

/// The matcher of one landing queue; `B` is the buffer that repairs are made in, `S` the token of slots.
pub struct Matcher<B, S> {
    config: Config,
    full: u16,
    /// The longest frame that a datagram of this MTU can have: a few bytes more than a full one where strides
    /// leave a rest.
    longest: u16,
    log: Log<S>,
    /// How many frames of the run are younger than the log's newest, whose token has their slots. They are
    /// full, in place, each right below the one before. Most runs close by this number alone. Otherwise
    /// [`Self::unfold`] enters them in the log.
    folded: usize,
    /// Where the run's next frame lands if the run goes on in place. [`NOWHERE`]: there is no run, or a gap.
    below: usize,
    /// The run is not contiguous.
    split: bool,
    /// A frame was taken out of the log behind the newest one.
    gap: bool,
    /// Where the newest frame lies that was received in a bounce slot.
    bounced: usize,
    /// The frame that is being looked at has been reached by the one below.
    reached: bool,
    /// What the next datagram is likely to be, after one that a tag proved.
    template: Option<Template>,
    /// Whether frames have arrived that no look has examined yet.
    fresh: bool,
    /// How many runs have begun.
    begun: u64,
    /// How many runs had begun at an earlier look, and the time of that look. While the number does not
    /// change, the present run becomes stale.
    stale: (u64, u64),
    reassembler: Reassembler<B>,
    waiting: Waiting<S>,
    scratch: ScratchBuffers<B>,
    choice: Choice,
    /// Buffers for payloads that have to be put together.
    room: Vec<u8>,
    effort: Effort,
    snapshot: Option<HeaderSnapshot>,
    card: Card,
    /// The automatic choice of the layout, if it is on.
    auto: Option<Auto>,
    /// The fragment that is being looked at completes what came last fragment first.
    reverse: bool,
    /// What stands behind the IP packet of the newest last fragment in a separate slot: the largest datagrams
    /// have their tag there, and the reassembler has nothing of it.
    trailer: Option<(Key, [u8; TAG])>,
    /// The number of frames when the last one came to a separate slot. `None`: none has come.
    separate: Option<u64>,
    /// The source of the newest datagram that a tag of LM's agreed with, until it is taken.
    tagged: Cell<Option<u32>>,
    /// The matcher's own time in nanoseconds. Of the time between two looks, at most [`Self::GAP`] counts.
    now: u64,
    /// The caller's clock at the last look.
    clock: u64,
    /// What happened so far.
    pub counters: Counters,
    /// Peers that cut their datagrams for another MTU.
    pub mtu_check: MtuCheck,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// How long frames of runs that did not close may wait, counted in frames that come after them.
    pub const WINDOW: u64 = 256;
    /// At least this many frames are dropped together, because dropping them one by one would be expensive.
    const SHED: usize = 64;
    /// The longest time that a frame may wait, in nanoseconds.
    pub const PATIENCE: u64 = 1_000_000_000;
    /// The most nanoseconds between two looks that count as waiting. While nobody looks, the rest of a
    /// datagram may lie in the ring, and it must not come too late because of that.
    pub const GAP: u64 = 250_000_000;
    /// Nanoseconds after which a quiet queue's newest frame is looked at again.
    pub const QUIET: u64 = 1_000_000;
    /// Nanoseconds after which a newest frame whose headers make no sense is taken for one that is none of
    /// the known kinds. On a card a millisecond would be enough. An emulated card is a thread of the host,
    /// which can be stopped after half a frame.
    pub const DOUBT: u64 = 500_000_000;
    /// A poll that finds this many frames is followed by another one at once, so its look need not ask
    /// whether the newest frame completes a datagram.
    pub const MANY: usize = 32;

    /// An empty matcher.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            full: config.geometry.full_frame() as u16,
            longest: config.geometry.longest_frame() as u16,
            log: Log::new(config.words != Words::None),
            folded: 0,
            below: NOWHERE,
            split: false,
            gap: false,
            bounced: NOWHERE,
            reached: false,
            template: None,
            fresh: false,
            begun: 0,
            stale: (0, 0),
            reassembler: Reassembler::new(config.limits),
            waiting: Waiting::new(config.limits),
            scratch: ScratchBuffers::new(),
            choice: Choice::default(),
            room: Vec::with_capacity(usize::from(Geometry::MAX_MTU)),
            effort: Effort::new(config.geometry, config.require),
            snapshot: None,
            card: Card::new(config.words),
            auto: None,
            reverse: false,
            trailer: None,
            separate: None,
            tagged: Cell::new(None),
            now: 0,
            clock: 0,
            counters: Counters::default(),
            mtu_check: MtuCheck::new(config.geometry.mtu()),
        }
    }

    /// The present settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes what counts as proof, from the next datagram on.
    pub fn set_require(&mut self, require: Require) {
        self.config.require = require;
        self.effort = Effort::new(self.config.geometry, require);
        self.template = None;
    }

    /// How many frames wait. They are neither delivered nor given back.
    pub fn pending(&self) -> usize {
        self.unsettled() + self.waiting.frames()
    }

    /// How many of these a look may settle although no frame comes. The others wait for the rest of their
    /// datagram, or until their time is over.
    pub fn unsettled(&self) -> usize {
        self.log.len() + self.folded
    }

    /// Units of work, of about a nanosecond each, that were spent on what did not fit.
    pub fn effort(&self) -> u64 {
        self.effort.spent()
    }

    /// [`Matcher::push`] for the plain frames that a burst begins with.
    #[inline]
    pub fn push_plain<F: Frames<Slots = S>, M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        frames: &mut F,
        memory: &mut M,
    ) {
        loop {
            let next = if self.log.is_empty() {
                self.take_alone(frames, memory)
            } else if self.is_stream() {
                self.stream(frames, memory)
            } else {
                self.push_expected(frames, memory);
                frames.next()
            };
            match next {
                Some(frame) if frame.slot == Slot::Separate => self.push_separate(frame, memory),
                Some(frame) => self.push_unexpected(frame, memory),
                None => return,
            }
        }
    }

    /// The present moment, for frames that wait from now on.
    #[inline]
    fn moment(&self) -> Moment {
        Moment { frames: self.counters.frames, now: self.now }
    }

    /// Whether the budget allows a piece of work.
    fn can_afford(&mut self, units: usize) -> bool {
        let can = self.effort.spend(units, self.counters.frames);
        self.counters.drop_many(Reason::OverBudget, u64::from(!can));
        can
    }

    /// Where the frame after the one at `at` lands in place.
    #[inline]
    fn under(&self, at: usize) -> usize {
        at.checked_sub(self.config.geometry.stride()).unwrap_or(NOWHERE)
    }

    /// The next frame in ring order.
    #[inline]
    pub fn push<M: SlotMemory<Buf = B, Slots = S>>(&mut self, frame: Received<S>, memory: &mut M) {
        if frame.slot == Slot::Overlapping && frame.bounce == 0 {
            return self.push_plain(&mut Some(frame), memory);
        }
        self.push_separate(frame, memory);
    }

    /// Takes a frame that does not go on where the one before it ended.
    #[inline(never)]
    fn push_unexpected<M: SlotMemory<Buf = B, Slots = S>>(&mut self, frame: Received<S>, memory: &mut M) {
        self.fresh = true;
        self.counters.frames += 1;
        let Err(frame) = self.keep_plain(frame, memory) else { return };
        if frame.bounce != 0 {
            self.bounced = frame.at;
        }
        if frame.len == self.full && frame.slot == Slot::Overlapping && self.log.has_run() {
            self.push_apart(frame, memory);
        } else {
            self.start(frame, memory);
        }
    }

    /// Takes a full frame that is not where the run was expected to go on, or whose headers are somewhere
    /// else.
    #[cold]
    #[inline(never)]
    fn push_apart<M: SlotMemory<Buf = B, Slots = S>>(&mut self, frame: Received<S>, memory: &mut M) {
        self.unfold();
        let newest = self.log[self.log.len() - 1];
        if frame.at + self.config.geometry.stride() != newest.at {
            self.jump(&frame, &newest, memory);
        }
        if !self.log.has_run() {
            self.begin(frame);
            return;
        }
        self.gap = false;
        self.below = self.under(frame.at);
        self.log.push(frame);
    }

    /// The run goes on elsewhere: at the region's wrap, at a join of growth, behind a frame taken out. Unless
    /// it was over: behind a kernel's last fragment, say, comes the next datagram's first one.
    #[cold]
    fn jump<M: SlotMemory<Buf = B, Slots = S>>(&mut self, frame: &Frame, newest: &Frame, memory: &mut M) {
        let stride = self.config.geometry.stride();
        if self.config.mirror != 0 && frame.at + stride == newest.at + self.config.mirror && !self.gap {
            return; // the same place under its other address
        }
        self.split = true;
        if !self.gap && !self.config.reaches(frame, newest) && self.log.packet(self.log.len() - 1).is_none() {
            // No frame can reach this header any more. Nobody looks at it again, so it is examined now.
            let head = memory.head(newest);
            if !self.close(&head, memory) {
                self.miss(&head, memory);
            }
        }
    }

    /// Takes a frame that starts a run, so the run before it has to close.
    #[inline]
    fn start<M: SlotMemory<Buf = B, Slots = S>>(&mut self, frame: Received<S>, memory: &mut M) {
        if frame.slot != Slot::Separate && frame.len > self.full {
            // Before anything is made of the frame above: its first bytes are gone.
            self.lose_overwritten(&frame, memory);
        }
        if self.log.has_run() {
            let newest = self.newest();
            if self.gap || self.config.reaches(&frame, &newest) {
                self.wait(None, memory);
            } else if !self.close_alike(memory) {
                let head = memory.head(&newest);
                if !self.close(&head, memory) {
                    self.wait(Some(&head), memory);
                }
            }
        }
        match frame.slot {
            Slot::Overlapping if frame.len <= self.full => self.begin(frame),
            Slot::Separate => {
                let head = memory.head(&frame);
                let kind = classify(&head, frame.by_ref(), memory);
                self.standalone(frame, kind, &head, memory);
            }
            Slot::Overlapping if frame.len <= self.longest && !self.is_below_bounced(&frame) => {
                self.begin(frame);
            }
            _ => {
                self.counters.drop_one(Reason::Oversize);
                self.open_gap();
                memory.release(frame.slots);
            }
        }
    }

    /// Whether the slot above holds a payload that was copied there, maybe over this frame's last bytes.
    fn is_below_bounced(&self, frame: &Frame) -> bool {
        let at = frame.at + self.config.geometry.stride();
        self.bounced == at || (self.config.mirror != 0 && self.bounced == at.wrapping_sub(self.config.mirror))
    }

    /// Begins a run with this frame.
    #[inline]
    fn begin(&mut self, frame: Received<S>) {
        self.log.begin_run(self.log.len(), self.moment());
        self.begun += 1;
        self.split = false;
        self.gap = false;
        self.below = self.under(frame.at);
        self.log.push(frame);
    }

    /// A frame that exceeds its slot has overwritten the first bytes of the payload above, whatever was known
    /// of that.
    #[cold]
    fn lose_overwritten<M: SlotMemory<Buf = B, Slots = S>>(&mut self, frame: &Frame, memory: &mut M) {
        self.unfold();
        let Some(&above) = self.log.last() else { return };
        let (mirror, mut at) = (self.config.mirror, above.at);
        if mirror != 0 && frame.at > at {
            at += mirror;
        }
        let end = frame.at + frame.payload_len();
        if frame.at < at && end > at {
            if above.bounce != 0 {
                // The headers are safe in the bounce slot. So is the payload, if it was copied to its place
                // after this frame was written.
                let head = memory.head(&above);
                if self.log.piece(self.log.len() - 1, 0..FRONT, memory) == packet::front(&head) {
                    return;
                }
                self.examine_overwritten(&head, memory);
                if self.log.last() != Some(&above) {
                    return;
                }
            }
            let known = self.log.packet(self.log.len() - 1).copied();
            let Some(above) = self.log.pop() else { return };
            // The frame that is dropped has overwritten the headers of the frame above it.
            self.open_gap();
            match known {
                // The bytes of it that were overwritten were kept with its header.
                Some(packet) if end <= at + FRONT => {
                    self.reached = true;
                    self.reassemble(above.by_ref(), &packet, memory);
                    self.reached = false;
                }
                _ => self.counters.drop_one(Reason::LostFrame),
            }
            memory.release(above.slots);
        }
    }

    /// Examines the newest frame, which bounced. Another frame has overwritten the first bytes of its
    /// payload, so that they are nowhere but in this head.
    #[cold]
    fn examine_overwritten<M: SlotMemory<Buf = B, Slots = S>>(&mut self, head: &Head, memory: &mut M) {
        let known = self.log.packet(self.log.len() - 1).is_some();
        if !known && self.log.has_run() && !self.gap {
            self.reached = true;
            if !self.close(head, memory) {
                self.miss(head, memory);
            }
            self.reached = false;
        }
    }

    /// A frame that was spread over two slots, because it is longer than one and yet no longer than the MTU
    /// allows. `bytes` is a copy of it, `slots` are where its parts lie.
    pub fn push_gathered<const N: usize, M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        bytes: &[u8],
        slots: [S; N],
        memory: &mut M,
    ) {
        self.fresh = true;
        self.counters.frames += N as u64;
        if self.log.has_run() {
            // The first part fills its slot, and so reaches the headers above.
            self.wait(None, memory);
        }
        self.open_gap();
        self.standalone_bytes(bytes, memory);
        slots.into_iter().for_each(|slot| memory.release(slot));
    }

    /// Ends the run. Its frames wait.
    fn leave(&mut self) {
        self.log.begin_run(self.log.len(), self.moment());
        self.open_gap();
    }

    /// Notes that the next frame is not the neighbour of the log's newest frame.
    #[inline]
    fn open_gap(&mut self) {
        self.gap = true;
        self.below = NOWHERE;
    }

    /// Ends a run that did not close, because another one begins. The newest frame is examined if its headers
    /// are `intact`, and then the run waits.
    #[cold]
    #[inline(never)]
    fn wait<M: SlotMemory<Buf = B, Slots = S>>(&mut self, intact: Option<&Head>, memory: &mut M) {
        self.unfold();
        if intact.is_none() || self.run_len() > 1 {
            // The header of the frame that the run begins with is lost.
            self.find_forward(memory);
        }
        if let Some(head) = intact.filter(|_| self.log.has_run()) {
            self.examine(head, memory);
        }
        self.judge_run(true, memory);
        self.gather_crossing(memory);
        self.log.begin_run(self.log.len(), self.moment());
        self.below = NOWHERE;
    }

    /// Gives everything back, before the queue stops.
    pub fn clear<M: SlotMemory<Buf = B, Slots = S>>(&mut self, memory: &mut M) {
        self.unfold();
        self.leave();
        self.drop_oldest(self.log.len(), memory);
        self.clear_waiting(memory);
        let counters = &mut self.counters;
        self.reassembler.clear(memory, |_, reason| counters.drop_one(reason));
        self.snapshot = None;
        self.scratch.clear(memory);
    }
}

#[cfg(test)]
mod tests;
