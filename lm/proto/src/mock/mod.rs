//! A landing region without a NIC: slots, a device that writes into them, and a ledger of what came back.
//!
//! Used by the tests, the fuzz harness and the property tests of this crate. [`Mock::arrive`] is the device:
//! it writes a frame into the next slot, whatever that overwrites. [`Mock::receive`] is the driver and the
//! engine: it gives what arrived to a matcher in bursts. Nothing may be handed back twice or forgotten:
//! [`Mock::finish`] says whether the ledger is even.
//!
//! The parts of the mock: `slots` has its tokens, `slot_memory` is the mock as the matcher sees it, `flight`
//! is a frame that is being written, [`card`] is what a card reports of a frame, and `meter` counts the
//! matcher's work.
//!
//! What is played on it: [`frames`] makes frames as senders put them on the wire, and [`hostile`] makes
//! those of an attacker. A [`case`] is a list of frames with what happens between them, and [`oracle`]
//! judges what was delivered. [`grammar`] makes cases from numbers, with [`random`], and [`scenario`] from
//! bytes. [`live`] has cases in which everything has to be delivered. [`cost`] looks for the streams that
//! cost most.

pub mod card;
pub mod case;
pub mod cost;
mod flight;
pub mod frames;
pub mod grammar;
pub mod hostile;
pub mod live;
mod meter;
pub mod oracle;
pub mod random;
pub mod scenario;
pub mod setting;
mod slot_memory;
mod slots;

pub use self::frames::{fragment, lm_frames, plain_frames};
pub use self::meter::Work;
pub use self::slots::Slots;

use self::flight::Flight;
use self::meter::Meter;
use self::slots::Burst;
use crate::card::Words;
use crate::frame::{Frame, Slot};
use crate::layout::Geometry;
use crate::matcher::{Config, Matcher};
use crate::policy::{Accept, Require, Whole};
use crate::reassembler::Limits;
use crate::service::Service;
use crate::wire::{ETHERNET, HEADERS, MIN_FRAME};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

/// A matcher over a mock.
pub type MockMatcher = Matcher<Vec<u8>, Slots>;

/// Room above the top slot and below the bottom one.
const MARGIN: usize = 10_000;

/// A datagram that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What the matcher said of it.
    pub whole: Whole,
    /// Its payload, as it was when it was delivered.
    pub payload: Vec<u8>,
    /// It was copied to become whole.
    pub copied: bool,
    /// What the first header said of it, if the matcher told.
    pub came: Option<Service>,
}

/// A slot that is not back.
#[derive(Clone, Copy)]
struct Held {
    frame: Frame,
    /// The matcher knows of it.
    given: bool,
    /// What the card says of it.
    word: u32,
}

/// The slot memory, its device and its driver.
pub struct Mock {
    mem: Vec<u8>,
    geometry: Geometry,
    top: usize,
    mirror: usize,
    /// The last slot cut.
    last: usize,
    last_slot: Slot,
    /// How the next slots lie.
    pub slot: Slot,
    /// The next frame lands in a bounce slot.
    pub bounce: bool,
    /// Headers of frames in place that can be read until the next frame overwrites them, while nobody has
    /// been told of it; negative: any number.
    pub untorn: Cell<i32>,
    torn: Vec<u8>,
    /// What lies in bounce slots, by number less 1.
    bounced: Vec<Vec<u8>>,
    arrived: VecDeque<Frame>,
    /// Slots that are not back, by where their payload is.
    owned: BTreeMap<usize, Held>,
    /// Nothing is known of the slot below the newest frame's.
    pub blind: bool,
    /// A frame that arrives stays under way until the next one arrives, or until it is reported: whoever
    /// reads meanwhile finds a part of it.
    pub tearing: bool,
    flight: Flight,
    meter: Meter,
    /// The first thing that the matcher did and must not do.
    broken: RefCell<Option<String>>,
    buffers: isize,
    /// Buffers that came back.
    spare: Vec<Vec<u8>>,
    /// What the matcher told of the next datagram.
    came: Option<Service>,
    /// What was delivered, in order.
    pub delivered: Vec<Delivered>,
    /// What was told of the headers of datagrams that were delivered, in order.
    pub services: Vec<Service>,
    /// Frames handed out.
    pub strangers: Vec<Vec<u8>>,
    /// Buffers that can be taken; negative: any number.
    pub budget: isize,
    /// What the device's descriptor says of a frame, if it is a card ([`card::word`]).
    pub card: Option<fn(&[u8]) -> u32>,
    /// The first bytes of the overlapping slot that was handed over last cannot be had, because the device
    /// may be writing there.
    pub hides: bool,
    /// The address of the payload in that slot.
    newest: usize,
}

/// A setup for a matcher over a mock.
pub fn config(geometry: Geometry, synchronous: bool) -> Config {
    Config {
        geometry,
        require: Require::default(),
        accept: Accept::default(),
        synchronous,
        quiet: Some(1_000_000),
        mirror: 0,
        words: Words::None,
        limits: Limits { window: 256, ..Limits::default() },
    }
}

impl Mock {
    /// A region of `len` bytes; `mirrored`: mapped twice, so that nothing breaks at its end.
    pub fn new(geometry: Geometry, len: usize, mirrored: bool) -> Self {
        let top = if mirrored { 2 * len } else { len + MARGIN };
        Self {
            mem: vec![0; top + MARGIN],
            geometry,
            top,
            mirror: if mirrored { len } else { 0 },
            last: if mirrored { len + len / 2 } else { top },
            last_slot: Slot::Overlapping,
            slot: Slot::Overlapping,
            bounce: false,
            untorn: Cell::new(-1),
            torn: vec![0xa5; MARGIN],
            bounced: Vec::new(),
            arrived: VecDeque::new(),
            owned: BTreeMap::new(),
            blind: false,
            tearing: false,
            flight: Flight::new(),
            meter: Meter::default(),
            broken: RefCell::new(None),
            buffers: 0,
            spare: Vec::new(),
            came: None,
            delivered: Vec::new(),
            services: Vec::new(),
            strangers: Vec::new(),
            budget: -1,
            card: None,
            hides: false,
            newest: usize::MAX,
        }
    }

    /// Bytes between the two mappings, for the matcher's setup.
    pub fn mirror(&self) -> usize {
        self.mirror
    }

    /// The next slots are the last ones above the region's lower end, `slots` of them: then it wraps.
    pub fn wrap_after(&mut self, slots: usize) {
        let pitch = self.pitch(Slot::Separate, 0);
        let low = MARGIN.max(pitch + HEADERS) + (slots + 1) * pitch;
        if low < self.last {
            self.last = low.next_multiple_of(8);
        }
    }

    /// Slots that the matcher has.
    pub fn held(&self) -> usize {
        self.owned.values().filter(|held| held.given).count()
    }

    /// Slots until the region wraps, as they are laid now.
    pub fn slots_left(&self) -> usize {
        let pitch = self.pitch(self.slot, 0);
        self.last.saturating_sub(MARGIN.max(pitch + HEADERS)) / pitch
    }

    /// How much of a frame under way a read finds follows from this number.
    pub fn tear_by(&mut self, seed: u64) {
        self.flight.reseed(seed);
    }

    /// What the matcher asked for so far.
    pub fn work(&self) -> Work {
        self.meter.work()
    }

    /// Frames that arrived and were not handed over.
    pub fn unreported(&self) -> usize {
        self.arrived.len()
    }

    /// The longest frame that a slot takes whole. A device accepts an MTU, an Ethernet header and a VLAN tag;
    /// in overlapping slots 8 bytes of one may lie over the payload above, where the spent UDP header of a
    /// datagram is.
    pub fn room(&self) -> usize {
        let accepted = usize::from(self.geometry.mtu()) + ETHERNET + 4;
        match self.slot {
            Slot::Separate => accepted,
            _ => accepted.min(self.geometry.full_frame() + 8),
        }
    }

    fn pitch(&self, slot: Slot, room: usize) -> usize {
        match (self.last_slot, slot) {
            (Slot::Overlapping, Slot::Overlapping) => self.geometry.stride(),
            (_, Slot::Separate) => (room.max(2048).max(self.room()) + HEADERS).next_multiple_of(8),
            _ => (self.geometry.full_frame() + 2 * HEADERS).next_multiple_of(8),
        }
    }

    fn cut(&mut self, room: usize) -> usize {
        let pitch = self.pitch(self.slot, room);
        let floor = MARGIN.max(pitch + HEADERS);
        if self.last < floor + pitch {
            self.last = if self.mirror == 0 { self.top } else { self.last + self.mirror };
        }
        self.last -= pitch;
        self.last_slot = self.slot;
        self.last
    }

    /// The device receives a frame: it takes the next slot and overwrites what is there.
    pub fn arrive(&mut self, frame: &[u8]) {
        self.finish_flight();
        let mut bytes = frame.to_vec();
        if bytes.len() < MIN_FRAME {
            bytes.resize(MIN_FRAME, 0);
        }
        let at = self.cut(bytes.len());
        let slot = if bytes.len() > self.room() { Slot::Damaged } else { self.slot };
        let word = self.card.map_or(0, |card| card(&bytes));
        bytes.truncate(self.room());
        let frame = Frame { at, len: bytes.len() as u16, slot, bounce: 0 };
        let bounce = if std::mem::take(&mut self.bounce) { self.bounced.len() as u16 + 1 } else { 0 };
        let frame = Frame { bounce, ..frame };
        assert!(
            self.owned.insert(at, Held { frame, given: false, word }).is_none(),
            "slot {at} was not free: make the region larger"
        );
        if bounce != 0 {
            self.bounced.push(bytes);
        } else if self.tearing {
            self.flight.begin(at - HEADERS, bytes);
        } else {
            self.write(at - HEADERS, &bytes);
        }
        self.arrived.push_back(frame);
    }

    /// What is under way is written.
    fn finish_flight(&mut self) {
        if let Some((at, bytes)) = self.flight.end() {
            self.write(at, &bytes);
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.mem[at..at + bytes.len()].copy_from_slice(bytes);
        if self.mirror == 0 {
            return;
        }
        // What lies below the border appears above it, and the other way round.
        let below = bytes.len().min(self.mirror.saturating_sub(at));
        let end = self.mem.len();
        let mut copy = |to: usize, bytes: &[u8]| {
            let n = bytes.len().min(end.saturating_sub(to));
            if n > 0 {
                self.mem[to..to + n].copy_from_slice(&bytes[..n]);
            }
        };
        copy(at + self.mirror, &bytes[..below]);
        copy((at + below).saturating_sub(self.mirror), &bytes[below..]);
    }

    /// The driver hands over what arrived, `burst` frames at a time but for the last `ahead`, which were
    /// written and are not reported yet.
    pub fn receive(&mut self, matcher: &mut MockMatcher, burst: usize, ahead: usize, now: &mut u64) {
        let mut taken = 0;
        while self.arrived.len() > ahead {
            taken = self.hand_over(matcher, burst.min(self.arrived.len() - ahead));
            *now += 1000;
            matcher.look(*now, taken, self);
        }
        if taken >= MockMatcher::MANY {
            // The next poll finds nothing.
            *now += 100;
            matcher.look(*now, 0, self);
        }
    }

    /// The driver hands over a burst of so many frames, or what there is; how many.
    pub fn hand_over(&mut self, matcher: &mut MockMatcher, burst: usize) -> usize {
        let n = burst.min(self.arrived.len());
        if n == self.arrived.len() {
            self.finish_flight();
        }
        for frame in self.arrived.iter().take(n) {
            if let Some(held) = self.owned.get_mut(&frame.at) {
                held.given = true;
            }
        }
        self.meter.count(|w| w.frames += n as u64);
        if let Some(last) = self.arrived.get(n.wrapping_sub(1)) {
            self.newest = if last.slot == Slot::Separate { usize::MAX } else { last.at };
        }
        let word = |frame: &Frame| self.owned.get(&frame.at).map_or(0, |held| held.word);
        let mut burst = Burst::new(self.arrived.drain(..n).map(|frame| (frame, word(&frame))).collect());
        loop {
            matcher.push_plain(&mut burst, self);
            let Some(special) = burst.pop() else { return n };
            if special.bounce != 0 {
                // The driver's side has the payload copied into place.
                let bytes = self.bounced[usize::from(special.bounce) - 1].clone();
                let payload = &bytes[HEADERS.min(bytes.len())..];
                // A device that writes meanwhile writes something else.
                self.finish_flight();
                self.write(special.at, payload);
            }
            matcher.push(special, self);
        }
    }

    /// Lets time pass until nothing waits any more. Then everything has to be back.
    ///
    /// # Errors
    /// What is not back, or what was done that must not be done.
    pub fn finish(&mut self, matcher: &mut MockMatcher, now: &mut u64) -> Result<(), String> {
        self.receive(matcher, 32, 0, now);
        for _ in 0..8 {
            *now += 700_000_000;
            matcher.look(*now, 0, self);
        }
        if let Some(broken) = self.broken.borrow().as_ref() {
            return Err(broken.clone());
        }
        if !self.owned.is_empty() {
            return Err(format!("{} slots never came back, {} wait", self.owned.len(), matcher.pending()));
        }
        matcher.clear(self);
        if self.buffers != 0 {
            return Err(format!("{} buffers never came back", self.buffers));
        }
        Ok(())
    }

    /// Headers are read.
    fn is_torn(&self) -> bool {
        let left = self.untorn.get();
        self.untorn.set(if left > 0 { left - 1 } else { left });
        left == 0
    }

    fn disown(&mut self, at: usize) -> Frame {
        self.flight.forget();
        let held = self.owned.remove(&at).unwrap_or_else(|| panic!("slot {at} was handed back twice"));
        assert!(held.given, "slot {at} was handed back before its frame was handed over");
        held.frame
    }

    fn breaks(&self, what: impl FnOnce() -> String) {
        self.broken.borrow_mut().get_or_insert_with(what);
    }

    /// The slot that has the byte at `at` as payload, if the matcher has it; and where that is if the region
    /// is mapped twice.
    fn slot_of(&self, at: usize) -> Option<(usize, Frame)> {
        let there = |at: usize| {
            let (_, held) = self.owned.range(..=at).next_back()?;
            (held.given && at < held.frame.at + held.frame.payload_len()).then_some((at, held.frame))
        };
        there(at).or_else(|| {
            let mirror = Some(self.mirror).filter(|&m| m > 0)?;
            there(at + mirror).or_else(|| there(at.checked_sub(mirror)?))
        })
    }

    /// What may be read as landed payload lies in frames that the matcher was given and has not handed back.
    fn check_read(&self, at: usize, len: usize) {
        let mut done = 0;
        while done < len {
            let Some((from, frame)) = self.slot_of(at + done) else {
                return self
                    .breaks(|| format!("{len} bytes at {at}: {done} are in frames that the matcher has"));
            };
            done += frame.at + frame.payload_len() - from;
        }
    }
}
