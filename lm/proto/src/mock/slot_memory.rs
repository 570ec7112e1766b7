//! The mock as the matcher sees it: slot memory, and a ledger of what came back.
//!
//! A slot that is given back twice makes it panic. It notes when the matcher reads bytes beyond its token, or
//! headers of a frame that it does not have; [`Mock::finish`] returns what was noted as an error.

use super::{Delivered, Mock, Slots};
use crate::frame::{Frame, HEAD, Head, Received, Slot};
use crate::policy::Whole;
use crate::raw_headers::{RAW_HEADERS, RawHeaders};
use crate::reassembler::Store;
use crate::service::Service;
use crate::slot_memory::{Below, SlotMemory};
use crate::wire::{HEADERS, UDP};

impl Store for Mock {
    type Buf = Vec<u8>;
    fn take(&mut self) -> Option<Vec<u8>> {
        if self.budget >= 0 && self.buffers >= self.budget {
            return None;
        }
        self.buffers += 1;
        self.meter.count(|w| w.takes += 1);
        Some(self.spare.pop().unwrap_or_else(|| vec![0; 65_536]))
    }
    fn give(&mut self, buf: Vec<u8>) {
        self.buffers -= 1;
        self.spare.push(buf);
    }
}

impl Mock {
    fn read(&self, at: usize, len: usize) -> &[u8] {
        self.flight.read(&self.mem, at, len, self.mirror)
    }

    /// The frame that was received in a bounce slot.
    fn in_bounce(&self, number: u16) -> &[u8] {
        &self.bounced[usize::from(number) - 1]
    }

    /// Notes a read through a token that does not lie within the frames in its slots.
    fn check_token(&self, slots: &Slots, at: usize, len: usize) {
        let reach = |from: usize| {
            let held = self.owned.get(&from).or_else(|| self.owned.get(&from.checked_sub(self.mirror)?));
            from + held.map_or(0, |held| held.frame.payload_len())
        };
        let mut places = slots.places();
        let (lowest, end) = match (places.next(), slots.places().last()) {
            (Some(lowest), Some(top)) => (lowest, reach(top)),
            _ => (usize::MAX, 0),
        };
        if at < lowest || at + len > end {
            self.breaks(|| format!("{len} bytes at {at} are read through {slots:?}, which end at {end}"));
        }
    }

    /// Notes a read of headers of a frame that the matcher does not have.
    fn check_headers(&self, at: usize) {
        self.meter.count(|w| w.headers += 1);
        if self.slot_of(at).is_none() {
            self.breaks(|| format!("headers are read of a frame at {at}, which the matcher does not have"));
        }
    }
}

impl SlotMemory for Mock {
    type Slots = Slots;

    fn bytes<'a>(&'a self, slots: &'a Slots, at: usize, len: usize) -> &'a [u8] {
        self.meter.count(|w| {
            w.reads += 1;
            w.bytes += len as u64;
        });
        self.check_read(at, len);
        self.check_token(slots, at, len);
        let lowest = slots.places().next().unwrap_or(usize::MAX);
        if self.hides && lowest == self.newest && at < lowest + UDP {
            return &[];
        }
        self.read(at, len)
    }
    fn join(&self, above: &mut Slots, below: Slots) -> Result<(), Slots> {
        let joined = self.join_slots(above, below);
        if let Err(below) = &joined {
            self.breaks(|| format!("{below:?} are joined to {above:?}, and do not lie below"));
        }
        joined
    }
    fn headers(&self, frame: &Frame) -> RawHeaders {
        self.check_headers(frame.at);
        let bytes = match frame.bounce {
            0 if self.is_torn() => &self.torn[..],
            0 => self.read(frame.at - RAW_HEADERS, RAW_HEADERS),
            number => &self.in_bounce(number)[HEADERS - RAW_HEADERS..],
        };
        RawHeaders::of(*bytes.first_chunk().expect("margin"))
    }
    fn head(&self, frame: &Frame) -> Head {
        self.check_headers(frame.at);
        let bytes = match frame.bounce {
            0 if self.is_torn() => &self.torn[..],
            0 => self.read(frame.at - HEADERS, HEAD),
            number => self.in_bounce(number),
        };
        *bytes.first_chunk().expect("margin")
    }
    fn below(&self, newest: &Frame) -> Below {
        self.check_headers(newest.at);
        if self.blind {
            return Below::Unknown;
        }
        let Some(next) = self.arrived.front() else {
            return if self.untorn.get() == 0 { Below::Touched } else { Below::Untouched };
        };
        let (at, stride) = (next.at, self.geometry.stride());
        let touches =
            at + stride == newest.at || (self.mirror != 0 && at + stride == newest.at + self.mirror);
        if !touches || next.bounce != 0 || next.slot == Slot::Separate {
            return Below::Untouched;
        }
        // A device writes from the start on; the middle of the slot is what is looked at.
        let middle = HEADERS + stride / 2;
        let written = self.flight.written(at - HEADERS).unwrap_or(next.len.into());
        if written > middle { Below::Touched } else { Below::Untouched }
    }
    fn front(&self, at: usize) -> Option<(RawHeaders, u64)> {
        self.check_headers(at);
        let words = RawHeaders::of(*self.read(at - RAW_HEADERS, RAW_HEADERS).first_chunk()?);
        Some((words, u64::from_le_bytes(*self.read(at, 8).first_chunk()?)))
    }
    fn eight(&self, at: usize) -> Option<[u8; 8]> {
        self.meter.count(|w| {
            w.reads += 1;
            w.bytes += 8;
        });
        self.check_read(at, 8);
        self.read(at, 8).first_chunk().copied()
    }
    fn landed(&mut self, whole: Whole, payload: usize, slots: Slots) {
        let bytes = self.read(payload, whole.len).to_vec();
        let came = self.came.take();
        self.delivered.push(Delivered { whole, payload: bytes, copied: false, came });
        let (mut n, mut lowest, mut end) = (0, None, 0);
        for at in slots.places() {
            let elsewhere = self.mirror != 0 && !self.owned.contains_key(&at);
            let frame = self.disown(if elsewhere { at - self.mirror } else { at });
            (n, lowest, end) = (n + 1, lowest.or(Some(at)), at + frame.payload_len());
        }
        if n != whole.fragments {
            self.breaks(|| format!("{whole:?} has {n} slots"));
        }
        if lowest.is_none_or(|lowest| payload < lowest + UDP) || payload + whole.len > end {
            self.breaks(|| format!("{whole:?} at {payload} is not inside its frames, which end at {end}"));
        }
    }
    fn came_with(&mut self, service: Service) {
        self.services.push(service);
        if let Some(before) = self.came.replace(service) {
            self.breaks(|| format!("{before:?} is told of nothing"));
        }
    }
    fn in_pieces(&mut self, whole: Whole, pieces: impl Iterator<Item = (Slots, usize, usize)>) {
        let (mut n, mut payload) = (0, Vec::new());
        for (slots, at, len) in pieces {
            self.check_token(&slots, at, len);
            payload.extend_from_slice(self.read(at, len));
            slots.places().for_each(|at| {
                self.disown(at);
            });
            n += 1;
        }
        if n != whole.fragments || payload.len() != whole.len {
            self.breaks(|| format!("{whole:?} has {n} pieces"));
        }
        let came = self.came.take();
        self.delivered.push(Delivered { whole, payload, copied: false, came });
    }
    fn copied(&mut self, whole: Whole, buf: Vec<u8>, start: usize) {
        let payload = buf[start..start + whole.len].to_vec();
        self.meter.count(|w| w.copied += whole.len as u64);
        let came = self.came.take();
        self.delivered.push(Delivered { whole, payload, copied: true, came });
        self.give(buf);
    }
    fn stranger(&mut self, frame: Received<&Slots>, head: &Head) -> bool {
        let behind =
            self.bytes(frame.slots, frame.at + UDP, frame.payload_len().saturating_sub(UDP)).to_vec();
        let mut bytes = [&head[..], &behind].concat();
        bytes.truncate(frame.len.into());
        self.strangers.push(bytes);
        true
    }
    fn stranger_copy(&mut self, bytes: &[u8]) -> bool {
        self.strangers.push(bytes.to_vec());
        true
    }
    fn release(&mut self, slots: Slots) {
        for at in slots.places() {
            self.disown(at);
        }
    }
}
