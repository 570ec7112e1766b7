//! [`Engine`]: everything of a receiver except its queue and its pool.
//!
//! Each receiver has one. `MatcherFeed` gives its matcher the frames of a burst; `PoolMemory` is the landing
//! pool as the matcher's slot memory, and makes messages of what the matcher finds.

mod auto;
mod config;

use std::collections::VecDeque;
use std::sync::Arc;

use lm_landing::device::Traits;
use lm_landing::queue::{Behind, Burst, FrameSink, Part};
use lm_landing::words::Hearing;
use lm_landing::{Clock, JoinedCount, Landed, LandedSlots, LandingPool, Payload, SendPool, SendSlot};
use rte::mempool::Mempool;
use rte::{Eal, Mbuf};

use self::auto::slot_of;
use self::config::COPY;
pub use self::config::{ReceiverConfig, ReceiverError};
use crate::arrived::Arrived;
use crate::intact::is_intact;
use crate::message::Message;
use lm_proto::card::Card;
use lm_proto::counters::{Counters, Reason};
use lm_proto::frame::{Frame, HEAD, Head, Received, Slot};
use lm_proto::matcher::{Config, Matcher};
use lm_proto::packet::packet_end;
use lm_proto::policy::{Require, Whole};
use lm_proto::raw_headers::RawHeaders;
use lm_proto::reassembler::{Limits, Store};
use lm_proto::service::Service;
use lm_proto::slot_memory::{Below, SlotMemory};
use lm_proto::wire::{FCS, HEADERS, VLAN};

/// Frames of strangers that wait to be taken.
const STRANGERS: usize = 256;

/// Matches frames, repairs datagrams, keeps strangers. It belongs to its queue's lcore.
pub struct Engine {
    matcher: Matcher<SendSlot, LandedSlots>,
    copies: SendPool,
    strangers: Strangers,
    clock: Clock,
    /// The time when the clock was read last, and the number of looks since then.
    read: (u64, u32),
    /// A frame that came in two slots.
    long: Vec<u8>,
    /// Datagrams that the matcher counted as delivered, but that nobody got because their slots or their
    /// buffer did not hold them. That would be an error in LM. Their frames are counted as lost.
    lost: Counters,
    /// Messages in pieces that were copied together, and how much of that was counted before the counters
    /// were cleared.
    joined: Arc<JoinedCount>,
    forgotten: (u64, u64),
    /// How often the pool had been without a slot at the last look, and whether that number had grown since
    /// the look before.
    starved: (u64, bool),
}

/// The most bursts in a row for which the clock is not read. Reading it costs as much as a frame, and frames
/// wait for much longer than so many bursts take.
const UNTIMED: u32 = 15;

struct Strangers {
    pool: Option<Mempool>,
    frames: VecDeque<Mbuf>,
}

impl Strangers {
    /// An mbuf of so many bytes, if another frame can be kept.
    fn room_for(&self, len: u16) -> Option<Mbuf> {
        if self.frames.len() >= STRANGERS {
            return None;
        }
        let mut mbuf = self.pool.as_ref()?.alloc()?;
        mbuf.append(len)?;
        Some(mbuf)
    }
}

/// The pool as an engine's matcher sees it, beside that matcher.
macro_rules! memory {
    ($engine:expr, $pool:expr, $deliver:expr) => {
        PoolMemory {
            pool: $pool,
            copies: &mut $engine.copies,
            strangers: &mut $engine.strangers,
            lost: &mut $engine.lost,
            service: None,
            deliver: $deliver,
        }
    };
}

impl Engine {
    pub(crate) fn new(
        eal: &Eal,
        config: &ReceiverConfig,
        pool: &LandingPool,
        traits: Traits,
    ) -> Result<Self, ReceiverError> {
        let (geometry, pool_stride) = (config.geometry.stride(), pool.config().stride);
        if geometry != pool_stride {
            return Err(ReceiverError::Stride { geometry, pool: pool_stride });
        }
        let copies = SendPool::create(eal, config.buffers(), COPY, pool.config().socket)
            .map_err(ReceiverError::Buffers)?;
        // Datagrams that wait hold slots. So they wait for no more frames than the pool has slots for.
        let window = config.limits.window.min(pool.room_to_wait() as u64);
        let limits = Limits { window, ..config.limits };
        Ok(Self {
            matcher: Matcher::new(Config {
                geometry: config.geometry,
                require: config.require,
                accept: config.accept,
                synchronous: traits.synchronous,
                quiet: traits.quiet_ns,
                mirror: pool.mirror(),
                words: traits.words,
                limits,
            }),
            copies,
            strangers: Strangers {
                pool: config.strangers.clone(),
                frames: VecDeque::with_capacity(STRANGERS),
            },
            clock: Clock::new(eal),
            read: (0, UNTIMED),
            long: Vec::with_capacity(config.geometry.longest_frame() + VLAN + FCS),
            lost: Counters::default(),
            joined: Arc::clone(pool.joined()),
            forgotten: (0, 0),
            starved: (0, false),
        })
    }

    /// The end of a poll that found `taken` frames.
    #[inline]
    pub(crate) fn look(&mut self, taken: usize, pool: &LandingPool, deliver: &mut impl FnMut(Arrived<'_>)) {
        if self.read.1 < UNTIMED && self.matcher.is_idle() {
            // Nothing is left to be looked at, and time may pass in larger steps.
            self.read.1 += 1;
            return;
        }
        self.read = match self.read {
            (time, looks) if looks < UNTIMED && self.matcher.is_fresh() => (time, looks + 1),
            _ => (self.clock.now(), 0),
        };
        self.matcher.look(self.read.0, taken, &mut memory!(self, pool, deliver));
        let starved = pool.starved();
        if starved == self.starved.0 {
            self.starved.1 = false;
        } else {
            self.relieve(starved, pool, deliver);
        }
        if let Some(mismatch) = self.matcher.mtu_check.take() {
            log::warn!("{mismatch}");
        }
    }

    /// Handles a pool that had no slot to post. It grows at the next poll. If it had none at the look before
    /// either, frames that wait give up their slots.
    #[cold]
    #[inline(never)]
    fn relieve(&mut self, starved: u64, pool: &LandingPool, deliver: &mut impl FnMut(Arrived<'_>)) {
        let again = self.starved.1;
        self.starved = (starved, true);
        if again {
            self.matcher.relieve(&mut memory!(self, pool, deliver));
        }
    }

    /// Hands every slot and buffer back.
    pub(crate) fn clear(&mut self, pool: &LandingPool) {
        self.matcher.clear(&mut memory!(self, pool, &mut |_: Arrived<'_>| ()));
        self.strangers.frames.clear();
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        let mut counters = self.matcher.counters.without(&self.lost);
        let (joined, bytes) = self.joined.so_far();
        counters.joined = joined - self.forgotten.0;
        counters.copied_datagrams += counters.joined;
        counters.copied_bytes += bytes - self.forgotten.1;
        counters
    }

    /// Starts counting anew.
    pub fn clear_counters(&mut self) {
        (self.matcher.counters, self.lost) = (Counters::default(), Counters::default());
        self.forgotten = self.joined.so_far();
    }

    /// The next frame that is not LM's.
    pub fn next_stranger(&mut self) -> Option<Mbuf> {
        self.strangers.frames.pop_front()
    }

    /// Counts a stranger that found no sink.
    pub fn lose_stranger(&mut self) {
        self.matcher.counters.drop_one(Reason::StrangerLost);
    }

    /// Changes what counts as proof.
    pub fn set_require(&mut self, require: Require) {
        self.matcher.set_require(require);
    }

    /// Frames that wait for the rest of their datagrams.
    pub fn waiting(&self) -> usize {
        self.matcher.pending()
    }

    /// Whether a poll may settle some of them although no frame comes. Then the caller must not pause for
    /// long.
    pub fn wants_polls(&self) -> bool {
        self.matcher.unsettled() > 0
    }

    /// What the card says of each frame, and how far that is believed.
    pub fn card(&self) -> &Card {
        self.matcher.card()
    }

    /// Whether it looks at what the card says of the next frames.
    #[inline]
    pub fn hears_words(&self) -> Hearing {
        let card = self.matcher.card();
        match card.is_heard() {
            true if card.is_needed() => Hearing::Now,
            true => Hearing::Later,
            false => Hearing::Never,
        }
    }
}

/// Feeds an engine's matcher with the frames of a burst, and delivers its messages.
pub(crate) struct MatcherFeed<'a, F> {
    pub engine: &'a mut Engine,
    pub deliver: &'a mut F,
}

impl<F: FnMut(Arrived<'_>)> FrameSink for MatcherFeed<'_, F> {
    #[inline]
    fn prepare(&self, burst: &Burst<'_>) {
        let matcher = &self.engine.matcher;
        match matcher.expected_ends() {
            Some((first, n, tail)) => burst.fetch_every(first, n, tail),
            None => burst.fetch_ends(matcher.config().geometry.full_frame() as u16),
        }
    }

    #[inline]
    fn take_plain(&mut self, pool: &LandingPool, burst: &mut Burst<'_>) {
        let engine = &mut *self.engine;
        engine.matcher.push_plain(burst, &mut memory!(engine, pool, &mut *self.deliver));
    }

    #[inline]
    fn take(&mut self, pool: &LandingPool, landed: Landed) {
        let slot = match landed.layout {
            _ if landed.damaged => Slot::Damaged,
            layout => slot_of(layout),
        };
        let engine = &mut *self.engine;
        if landed.bounce != 0 {
            engine.matcher.counters.bounced += 1;
        }
        let frame = Frame { at: landed.at, len: landed.len, slot, bounce: landed.bounce };
        let frame = Received { frame, slots: landed.slots, word: landed.word };
        engine.matcher.push(frame, &mut memory!(engine, pool, &mut *self.deliver));
    }

    #[inline]
    fn hears_words(&self) -> Hearing {
        self.engine.hears_words()
    }

    fn lose_words(&mut self) {
        self.engine.matcher.lose_words();
    }

    fn take_two(
        &mut self,
        pool: &LandingPool,
        parts: [Part; 2],
        behind: Option<Behind>,
    ) -> Result<(), [Part; 2]> {
        let engine = &mut *self.engine;
        let [first, second] = &parts;
        let (split, len) =
            (usize::from(first.slot.len), usize::from(first.slot.len) + usize::from(second.slot.len));
        if len > engine.matcher.config().geometry.longest_frame() + VLAN + FCS {
            return Err(parts);
        }
        engine.long.clear();
        engine.long.resize(len, 0);
        let (head, tail) = engine.long.split_at_mut(split);
        if !pool.copy_part(first.start, head) || !pool.copy_part(second.start, tail) {
            return Err(parts);
        }
        let Config { mirror, synchronous, .. } = *engine.matcher.config();
        let Landed { at, bounce, .. } = second.slot;
        let untouched = || synchronous || pool.below(at, bounce) == Below::Untouched;
        if bounce == 0 && !is_intact(at, second.start, behind, mirror, untouched) {
            if packet_end(&engine.long, len).is_none_or(|end| end > split) {
                return Err(parts);
            }
            // The second part is not of the packet: it is a frame check sequence, or another trailer.
            engine.long.truncate(split);
        }
        let slots = parts.map(|part| part.slot.slots);
        let memory = &mut memory!(engine, pool, &mut *self.deliver);
        engine.matcher.push_gathered(&engine.long, slots, memory);
        Ok(())
    }
}

/// The landing pool as the matcher's slot memory.
struct PoolMemory<'a, F> {
    pool: &'a LandingPool,
    copies: &'a mut SendPool,
    strangers: &'a mut Strangers,
    lost: &'a mut Counters,
    /// The type of service and the time to live of the datagram that is given out next, if they are known.
    service: Option<Service>,
    deliver: &'a mut F,
}

impl<F> PoolMemory<'_, F> {
    /// Gives back the slots of a datagram that cannot be held, and counts its frames as lost.
    #[cold]
    #[inline(never)]
    fn lose(&mut self, whole: &Whole, slots: LandedSlots) {
        self.lost.lose(whole, false);
        self.service = None;
        self.pool.release(slots);
    }
}

impl<F: FnMut(Arrived<'_>)> PoolMemory<'_, F> {
    /// Gives a message to the closure, with its service and the number of strangers that came before it.
    #[inline]
    fn give(&mut self, whole: Whole, payload: Payload) {
        let message = Message::new(whole, payload).came(self.strangers.frames.len(), self.service.take());
        Arrived::give(message, self.deliver);
    }
}

impl<F: FnMut(Arrived<'_>)> Store for PoolMemory<'_, F> {
    type Buf = SendSlot;
    fn take(&mut self) -> Option<SendSlot> {
        self.copies.take()
    }
}

// `inline(always)` where it was counted (docs/results-receive.md): without it a datagram of five frames costs
// its receiver 17 instructions more.
impl<F: FnMut(Arrived<'_>)> SlotMemory for PoolMemory<'_, F> {
    type Slots = LandedSlots;

    #[inline(always)]
    fn bytes<'a>(&'a self, slots: &'a LandedSlots, at: usize, len: usize) -> &'a [u8] {
        self.pool.bytes(slots, at, len).unwrap_or_default()
    }

    #[inline(always)]
    fn join(&self, above: &mut LandedSlots, below: LandedSlots) -> Result<(), LandedSlots> {
        self.pool.join(above, below)
    }

    #[inline]
    fn headers(&self, frame: &Frame) -> RawHeaders {
        // Zeroes are nobody's headers.
        RawHeaders::new(self.pool.raw_headers(frame.at, frame.bounce).unwrap_or_default())
    }

    #[inline]
    fn eight(&self, at: usize) -> Option<[u8; 8]> {
        self.pool.eight(at)
    }

    #[inline(always)]
    fn front(&self, at: usize) -> Option<(RawHeaders, u64)> {
        let [a, b, c, udp] = self.pool.front(at)?;
        Some((RawHeaders::new([a, b, c]), udp))
    }

    #[inline(always)]
    fn head(&self, frame: &Frame) -> Head {
        // Zeroes are nobody's headers.
        self.pool.head(frame.at, frame.bounce).unwrap_or([0; HEAD])
    }

    #[inline]
    fn below(&self, newest: &Frame) -> Below {
        self.pool.below(newest.at, newest.bounce)
    }

    #[inline(always)]
    fn landed(&mut self, whole: Whole, payload: usize, slots: LandedSlots) {
        match Payload::landed(self.pool, slots, payload, whole.len) {
            Ok(payload) => self.give(whole, payload),
            Err(slots) => self.lose(&whole, slots),
        }
    }

    #[inline]
    fn came_with(&mut self, service: Service) {
        self.service = Some(service);
    }

    #[inline]
    fn in_pieces(&mut self, whole: Whole, pieces: impl Iterator<Item = (LandedSlots, usize, usize)>) {
        if let Some(payload) = Payload::in_pieces(self.pool, pieces) {
            self.give(whole, payload);
        } else {
            self.service = None;
            self.lost.lose(&whole, false);
            self.lost.pieces += 1;
        }
    }

    fn copied(&mut self, whole: Whole, buf: SendSlot, start: usize) {
        if let Some(payload) = Payload::copied(buf, start, whole.len) {
            self.give(whole, payload);
        } else {
            self.service = None;
            self.lost.lose(&whole, true);
        }
    }

    fn stranger(&mut self, frame: Received<&LandedSlots>, head: &Head) -> bool {
        let Some(mut mbuf) = self.strangers.room_for(frame.len) else { return false };
        let Some(to) = mbuf.data_mut() else { return false };
        if self.pool.copy_frame(frame.at, frame.len, frame.bounce, to) != Some(frame.len.into()) {
            return false;
        }
        let n = to.len().min(HEAD);
        to[..n].copy_from_slice(&head[..n]);
        if frame.bounce != 0 {
            // A later frame may have come to the same bounce slot since the head was read. So the bytes
            // behind the head are copied from their place in the region.
            let (at, len) = (frame.at + (HEAD - HEADERS), to.len() - n);
            let behind = self.bytes(frame.slots, at, len);
            if behind.len() != len {
                return false;
            }
            to[n..].copy_from_slice(behind);
        }
        self.strangers.frames.push_back(mbuf);
        true
    }

    fn stranger_copy(&mut self, bytes: &[u8]) -> bool {
        let Ok(len) = u16::try_from(bytes.len()) else { return false };
        let Some(mut mbuf) = self.strangers.room_for(len) else { return false };
        let Some(to) = mbuf.data_mut() else { return false };
        to.copy_from_slice(bytes);
        self.strangers.frames.push_back(mbuf);
        true
    }

    #[inline]
    fn release(&mut self, slots: LandedSlots) {
        self.pool.release(slots);
    }
}
