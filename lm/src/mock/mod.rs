//! A landing region without a NIC: slots, a device that writes into them, and a ledger of what came back.
//!
//! Used by the tests, the fuzz harness and the property tests of this crate. [`Mock::arrive`] is the device:
//! it writes a frame into the next slot, whatever that overwrites. [`Mock::receive`] is the driver and the
//! engine: it gives what arrived to a matcher in bursts. Nothing may be handed back twice or forgotten:
//! [`Mock::finish`] says whether the ledger is even.

pub mod scenario;

use crate::alf::{Blocks, ChecksumMode, Ends, frame};
use crate::checksum;
use crate::ground::{Accept, Frame, Frames, Ground, Require, Slot, Whole};
use crate::layout::{Geometry, Layout};
use crate::matcher::{Config, Matcher};
use crate::reassembler::{Limits, Store};
use crate::wire::{self, Flow, HEADERS, IPV4, Ipv4, MIN_FRAME, UDP, Udp};
use crate::words::{HeaderWords, WORDS};
use std::cell::Cell;
use std::collections::{HashSet, VecDeque};

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
}

/// The ground, its device and its driver.
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
    /// Headers of frames in place that can be read until the next frame overwrites them, while nobody has been told of it;
    /// negative: any number.
    pub untorn: Cell<i32>,
    torn: Vec<u8>,
    /// What lies in bounce slots, by number less 1.
    bounced: Vec<Vec<u8>>,
    arrived: VecDeque<Frame>,
    owned: HashSet<usize>,
    buffers: isize,
    /// What was delivered, in order.
    pub delivered: Vec<Delivered>,
    /// Frames handed out.
    pub strangers: Vec<Vec<u8>>,
    /// Buffers that can be taken; negative: any number.
    pub budget: isize,
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
        limits: Limits::default(),
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
            owned: HashSet::new(),
            buffers: 0,
            delivered: Vec::new(),
            strangers: Vec::new(),
            budget: -1,
        }
    }

    /// Bytes between the two mappings, for the matcher's setup.
    pub fn mirror(&self) -> usize {
        self.mirror
    }

    fn cut(&mut self, room: usize) -> usize {
        let pitch = match (self.last_slot, self.slot) {
            (Slot::Overlapping, Slot::Overlapping) => self.geometry.stride(),
            (_, Slot::Separate) => (room.max(2048) + HEADERS).next_multiple_of(8),
            _ => (self.geometry.full_frame() + 2 * HEADERS).next_multiple_of(8),
        };
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
        let mut bytes = frame.to_vec();
        if bytes.len() < MIN_FRAME {
            bytes.resize(MIN_FRAME, 0);
        }
        let at = self.cut(bytes.len());
        let slot = if bytes.len() > self.geometry.full_frame() + 4 { Slot::Damaged } else { self.slot };
        bytes.truncate(self.geometry.full_frame() + 4);
        assert!(self.owned.insert(at), "slot {at} was not free: make the region larger");
        let (len, mut bounce) = (bytes.len() as u16, 0);
        if std::mem::take(&mut self.bounce) {
            self.bounced.push(bytes);
            bounce = self.bounced.len() as u16;
        } else {
            self.write(at - HEADERS, &bytes);
        }
        self.arrived.push_back(Frame { at, len, slot, bounce });
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.mem[at..at + bytes.len()].copy_from_slice(bytes);
        if self.mirror != 0 {
            for (i, b) in bytes.iter().enumerate() {
                let p = at + i;
                let other = if p >= self.mirror { p - self.mirror } else { p + self.mirror };
                if other < self.mem.len() {
                    self.mem[other] = *b;
                }
            }
        }
    }

    /// The driver hands over what arrived, `burst` frames at a time but for the last `ahead`, which were
    /// written and are not reported yet.
    pub fn receive(&mut self, matcher: &mut Matcher<Vec<u8>>, burst: usize, ahead: usize, now: &mut u64) {
        let mut taken = 0;
        while self.arrived.len() > ahead {
            taken = self.hand_over(matcher, burst.min(self.arrived.len() - ahead));
            *now += 1000;
            matcher.look(*now, taken, self);
        }
        if taken >= Matcher::<Vec<u8>>::MANY {
            // The next poll finds nothing.
            *now += 100;
            matcher.look(*now, 0, self);
        }
    }

    /// The driver hands over a burst of so many frames, or what there is; how many.
    pub fn hand_over(&mut self, matcher: &mut Matcher<Vec<u8>>, burst: usize) -> usize {
        let n = burst.min(self.arrived.len());
        let mut burst = Burst(self.arrived.drain(..n).collect());
        loop {
            matcher.push_plain(&mut burst, self);
            let Some(special) = burst.0.pop_front() else { return n };
            if special.bounce != 0 {
                // The driver's side has the payload copied into place.
                let bytes = self.bounced[usize::from(special.bounce) - 1].clone();
                let payload = &bytes[HEADERS..bytes.len().min(HEADERS + self.geometry.stride())];
                self.write(special.at, payload);
            }
            matcher.push(special, self);
        }
    }

    /// Time passes until nothing waits any more; then everything has to be back. The ledger, if it is not
    /// even.
    pub fn finish(&mut self, matcher: &mut Matcher<Vec<u8>>, now: &mut u64) -> Result<(), String> {
        self.receive(matcher, 32, 0, now);
        for _ in 0..8 {
            *now += 700_000_000;
            matcher.look(*now, 0, self);
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

    fn disown(&mut self, at: usize) {
        assert!(self.owned.remove(&at), "slot {at} was handed back twice");
    }
}

/// Frames that the driver handed over.
struct Burst(VecDeque<Frame>);

impl Burst {
    fn is_plain(f: &Frame) -> bool {
        f.slot == Slot::Overlapping && f.bounce == 0
    }
}

impl Frames for Burst {
    fn march(&self, at: usize, stride: usize, full: u16, ahead: usize, last: u16, behind: usize) -> usize {
        let len_of = |i: usize| match i.checked_sub(ahead) {
            Some(i) if i.is_multiple_of(behind + 1) => last,
            _ => full,
        };
        let goes_on =
            |(i, f): &(usize, &Frame)| Self::is_plain(f) && f.at + i * stride == at && f.len == len_of(*i);
        self.0.iter().enumerate().take_while(goes_on).count()
    }

    fn skip(&mut self, n: usize) {
        self.0.drain(..n);
    }

    fn next(&mut self) -> Option<Frame> {
        self.0.front().filter(|f| Self::is_plain(f))?;
        self.0.pop_front()
    }
}

impl Store for Mock {
    type Buf = Vec<u8>;
    fn take(&mut self) -> Option<Vec<u8>> {
        if self.budget >= 0 && self.buffers >= self.budget {
            return None;
        }
        self.buffers += 1;
        Some(vec![0; 65_536])
    }
    fn give(&mut self, _: Vec<u8>) {
        self.buffers -= 1;
    }
}

impl Ground for Mock {
    fn bytes(&self, at: usize, len: usize) -> &[u8] {
        &self.mem[at..at + len]
    }
    fn headers(&self, frame: &Frame) -> HeaderWords {
        let bytes = match frame.bounce {
            0 if self.is_torn() => &self.torn[..],
            0 => &self.mem[frame.at - WORDS..],
            number => &self.bounced[usize::from(number) - 1][HEADERS - WORDS..],
        };
        HeaderWords::of(*bytes.first_chunk().expect("margin"))
    }
    fn frame(&self, frame: &Frame) -> &[u8] {
        match frame.bounce {
            0 if self.is_torn() => &self.torn[..frame.len.into()],
            0 => &self.mem[frame.at - HEADERS..frame.at - HEADERS + usize::from(frame.len)],
            number => &self.bounced[usize::from(number) - 1],
        }
    }
    fn front(&self, at: usize) -> Option<(HeaderWords, u64)> {
        let words = HeaderWords::of(*self.mem[at - WORDS..].first_chunk()?);
        Some((words, u64::from_le_bytes(*self.mem[at..].first_chunk()?)))
    }
    fn landed(&mut self, whole: Whole, payload: usize, lowest: usize) {
        let bytes = self.mem[payload..payload + whole.len].to_vec();
        self.delivered.push(Delivered { whole, payload: bytes, copied: false });
        for i in 0..usize::from(whole.fragments) {
            let at = lowest + i * self.geometry.stride();
            if self.mirror != 0 && !self.owned.contains(&at) {
                self.disown(at - self.mirror);
            } else {
                self.disown(at);
            }
        }
    }
    fn copied(&mut self, whole: Whole, buf: Vec<u8>, start: usize) {
        let payload = buf[start..start + whole.len].to_vec();
        self.delivered.push(Delivered { whole, payload, copied: true });
        self.give(buf);
    }
    fn stranger(&mut self, frame: &Frame) -> bool {
        let bytes = self.frame(frame).to_vec();
        self.strangers.push(bytes);
        true
    }
    fn release(&mut self, frame: &Frame) {
        self.disown(frame.at);
    }
}

/// The frames of a datagram as LM sends them: last fragment first.
pub fn lm_frames(
    geometry: Geometry,
    flow: Flow,
    id: u16,
    payload: &[u8],
    mode: ChecksumMode,
) -> Vec<Vec<u8>> {
    let mut buf = vec![0; geometry.buffer_len()];
    let mut blocks = Blocks::new(geometry);
    blocks.fill(&mut buf, payload, mode);
    let ends = Ends { src_mac: [2, 0, 0, 0, 0, 1], dst_mac: [2, 0, 0, 0, 0, 2], flow };
    let layout = blocks.seal(&mut buf, &ends, id, mode);
    (0..layout.fragments()).rev().map(|i| buf[frame(geometry, &layout, i)].to_vec()).collect()
}

/// The frames of a datagram as a kernel sends them: in forward order, nothing behind the UDP datagram.
pub fn plain_frames(geometry: Geometry, flow: Flow, id: u16, payload: &[u8]) -> Vec<Vec<u8>> {
    let layout = Layout::plain(geometry, payload.len() + UDP);
    let mut udp =
        Udp { src_port: flow.src_port, dst_port: flow.dst_port, len: layout.udp_len() as u16, checksum: 0 };
    udp.checksum = checksum::udp(&flow, udp.len, checksum::sum(payload));
    let datagram = [&udp.bytes()[..], payload].concat();
    (0..layout.fragments())
        .map(|i| {
            let start = i * geometry.stride();
            let data = &datagram[start..start + layout.fragment_len(i)];
            fragment(flow, id, start as u32, i + 1 < layout.fragments(), data)
        })
        .collect()
}

/// One IPv4 fragment of UDP with any contents.
pub fn fragment(flow: Flow, id: u16, offset: u32, more: bool, data: &[u8]) -> Vec<u8> {
    let mut f = vec![0; HEADERS];
    f[0..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    f[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    f[12..14].copy_from_slice(&wire::TYPE_IPV4.to_be_bytes());
    let mut h = [0; IPV4];
    Ipv4 {
        src: flow.src,
        dst: flow.dst,
        id,
        protocol: wire::PROTO_UDP,
        ttl: 64,
        more,
        offset,
        header_len: IPV4 as u8,
        payload_len: data.len() as u16,
    }
    .emit(&mut h);
    f[14..34].copy_from_slice(&h);
    f.extend_from_slice(data);
    f
}
