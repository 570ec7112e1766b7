//! A case: frames, what happens between them, and how the queue is polled. It runs on a mock and is judged by
//! the oracle.
//!
//! [`super::grammar`], [`super::scenario`] and [`super::live`] make cases, and tests and the fuzz harness
//! run them. [`Case::run`] fails if something was delivered that must not be, if something is missing that
//! has to be delivered, if the counters do not add up, or if a slot is not back at the end.

mod account;

use super::oracle::{Rules, Tally, Wire};
use super::setting::{Ring, Setting, source};
use super::{Delivered, Mock, MockMatcher, Work, config, lm_frames};
use crate::alf::ChecksumMode;
use crate::frame::Slot;
use crate::layout::Geometry;
use crate::policy::{Accept, Require, WholeBy};
use crate::wire::Flow;
use std::collections::HashSet;

/// Nanoseconds in which the frames of a datagram that has to be delivered arrive: well below the second that
/// they are kept.
const IN_TIME: u64 = 800_000_000;

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A frame arrives.
    Frame(Arrival),
    /// The next slots lie so.
    Lay(Slot),
    /// Nanoseconds pass, and polls find nothing. On a device that is proven by waiting nothing was under way.
    Wait(u64),
    /// The same, and while the last of these polls reads, the next frame begins to be written.
    Race(u64),
    /// An asynchronous device's queue is polled: all frames are handed over but the newest so many.
    Poll(usize),
    /// So many buffers can be had; negative: any number.
    Budget(isize),
}

/// A frame that arrives.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// As it arrives.
    pub bytes: Vec<u8>,
    /// As it was before something damaged it.
    pub originals: Vec<Vec<u8>>,
    /// Its slot straddles something: it bounces.
    pub bounce: bool,
    /// Of which datagram of [`Case::must`] it is a fragment.
    pub of: Option<usize>,
}

/// A datagram that has to be delivered if all its frames arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Must {
    /// From whom to whom.
    pub flow: Flow,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its frames.
    pub frames: usize,
}

/// A queue, and what happens to it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is, in words.
    pub name: String,
    /// Fragment sizes.
    pub geometry: Geometry,
    /// The region is mapped twice.
    pub mirrored: bool,
    /// Slots until the region wraps first.
    pub wrap_after: usize,
    /// What proves a datagram.
    pub require: Require,
    /// Whose datagrams are taken.
    pub accept: Accept,
    /// The device writes only when it is polled.
    pub synchronous: bool,
    /// Frames are read while they are written.
    pub tearing: bool,
    /// Nanoseconds after which waiting proves something.
    pub quiet: Option<u64>,
    /// Frames in a burst at most.
    pub burst: usize,
    /// One sender at a time, and nothing but losses.
    pub clean: bool,
    /// How the first slots lie.
    pub slot: Slot,
    /// What happens.
    pub steps: Vec<Step>,
    /// What has to be delivered.
    pub must: Vec<Must>,
    /// The rest.
    pub setting: Setting,
}

/// What came of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was delivered.
    pub tally: Tally,
    /// Frames on the wire.
    pub frames: u64,
    /// What the matcher asked for.
    pub work: Work,
}

/// The sender of the good datagram that ends each case.
pub const GOOD: Flow = Flow { src: 0x0a00_0009, dst: 0x0a00_00fe, src_port: 9, dst_port: 9000 };

/// Slots of a region, at least: more than a matcher ever holds.
const SLOTS: usize = 1400;

struct Running<'a> {
    case: &'a Case,
    mock: Mock,
    matcher: MockMatcher,
    wire: Wire,
    now: u64,
    /// Frames that a synchronous device has for the next poll.
    together: usize,
    overlapping: bool,
    /// If slots are laid by what arrives.
    ring: Option<Ring>,
    /// Frames so far.
    nth: usize,
    /// Sources of which a frame came to the hardware address that is looked for.
    ours: HashSet<u32>,
}

impl Case {
    /// Runs it. Returns what was delivered.
    ///
    /// # Errors
    /// What went wrong, in a sentence.
    pub fn run(&self) -> Result<Outcome, String> {
        let len = SLOTS * (usize::from(self.geometry.mtu()).max(1980) + 102).next_multiple_of(8);
        let mut mock = Mock::new(self.geometry, len.next_multiple_of(4096), self.mirrored);
        mock.wrap_after(self.wrap_after.max(64));
        mock.slot = self.slot;
        mock.tear_by(self.wrap_after as u64);
        let mut setup = config(self.geometry, self.synchronous);
        setup.mirror = mock.mirror();
        setup.require = self.require;
        setup.accept = self.accept;
        setup.quiet = self.quiet;
        (mock.card, mock.hides) = (self.setting.words(), !self.synchronous);
        let mut running = Running {
            case: self,
            mock,
            matcher: self.setting.matcher(setup, self.slot),
            wire: Wire::default(),
            now: 0,
            together: 0,
            overlapping: self.slot != Slot::Separate,
            ring: self.setting.ring(self.slot),
            nth: 0,
            ours: HashSet::from([GOOD.src]),
        };
        running.play();
        running.end()
    }

    /// The parts of it that still fail, if `fails` says so of it: steps go by halves.
    pub fn shrink(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut size = self.steps.len().div_ceil(2);
        while size > 0 {
            let (mut at, mut smaller) = (0, false);
            while at < self.steps.len() {
                let mut less = self.clone();
                less.steps.drain(at..less.steps.len().min(at + size));
                less.keep_whole();
                if less.steps.len() < self.steps.len() && fails(&less) {
                    (self, smaller) = (less, true);
                } else {
                    at += size;
                }
            }
            if size > 1 || !smaller {
                size /= 2;
            }
        }
        self
    }

    /// Of a datagram that has to be delivered all frames stay, or none.
    fn keep_whole(&mut self) {
        let mut here = vec![0; self.must.len()];
        let of = |step: &Step| if let Step::Frame(Arrival { of, .. }) = step { *of } else { None };
        self.steps.iter().filter_map(of).for_each(|i| here[i] += 1);
        self.steps.retain(|step| of(step).is_none_or(|i| here[i] == self.must[i].frames));
    }

    /// What it is, step by step.
    pub fn describe(&self) -> String {
        let Self { name, geometry, mirrored, require, synchronous, tearing, quiet, burst, slot, .. } = self;
        let mut text = format!(
            "{name}: MTU {}, mirrored {mirrored}, {require:?}, {:?}, synchronous {synchronous}, tearing \
             {tearing}, quiet {quiet:?}, burst {burst}, {slot:?}, {:?}\n",
            geometry.mtu(),
            self.accept,
            self.setting,
        );
        for step in &self.steps {
            let what = if let Step::Frame(a) = step { describe(a) } else { format!("{step:?}") };
            text.extend(["  ", &what, "\n"]);
        }
        text
    }
}

fn describe(arrival: &Arrival) -> String {
    let b = &arrival.bytes;
    let head: String = b.iter().take(42).map(|b| format!("{b:02x}")).collect();
    let how = if arrival.bounce { ", bounced" } else { "" };
    let was = if arrival.originals.is_empty() { "" } else { ", damaged" };
    match crate::wire::Ipv4::parse(b.get(14..).unwrap_or_default(), b.len().saturating_sub(14)) {
        Ok(ip) => format!(
            "frame of {}{how}{was}: {} → {} id {} offset {} more {} payload {}; {head}",
            b.len(),
            std::net::Ipv4Addr::from(ip.src),
            std::net::Ipv4Addr::from(ip.dst),
            ip.id,
            ip.offset,
            ip.more,
            ip.payload_len
        ),
        Err(e) => format!("frame of {}{how}{was}: {e:?}; {head}", b.len()),
    }
}

impl Running<'_> {
    fn play(&mut self) {
        let case = self.case;
        self.mock.tearing = case.tearing && !case.synchronous;
        for step in &case.steps {
            match step {
                Step::Frame(arrival) => {
                    self.meanwhile();
                    self.note_source(&arrival.bytes);
                    self.mock.bounce = arrival.bounce;
                    self.wire.record(&arrival.bytes, &arrival.originals);
                    self.mock.arrive(&arrival.bytes);
                    self.together += 1;
                    if case.synchronous && self.together >= case.burst {
                        self.poll(0);
                    }
                }
                Step::Lay(slot) => {
                    if case.synchronous {
                        self.poll(0);
                    }
                    if self.ring.is_some() {
                        continue;
                    }
                    self.mock.slot = *slot;
                    self.overlapping |= *slot != Slot::Separate;
                }
                Step::Poll(leave) if !case.synchronous => self.poll(*leave),
                Step::Poll(_) => {}
                Step::Wait(ns) => {
                    // Waiting proves something of a device whose frames are reported within that time.
                    if case.synchronous || case.quiet.is_some() {
                        self.poll(0);
                    }
                    self.wait(*ns);
                }
                Step::Race(ns) => self.race(*ns),
                Step::Budget(buffers) => self.mock.budget = *buffers,
            }
        }
        self.poll(0);
    }

    /// Notes whose frame comes to our hardware address.
    fn note_source(&mut self, frame: &[u8]) {
        let accept = Accept { mac: self.case.setting.mac, ..Accept::default() };
        self.ours.extend(source(frame).filter(|_| !accept.is_for_another(frame)));
    }

    /// Nothing is delivered that is for another station, but where the headers that said so were gone.
    fn is_for_us(&self) -> Result<(), String> {
        let gone = |d: &Delivered| self.overlapping && d.copied && d.whole.by == WholeBy::Checksum;
        let theirs = |d: &&Delivered| !self.ours.contains(&d.whole.flow.src) && !gone(d);
        match self.mock.delivered.iter().find(theirs) {
            Some(d) => Err(format!("{:?} is for another station", d.whole)),
            None => Ok(()),
        }
    }

    /// What the setting wants before the next frame.
    fn meanwhile(&mut self) {
        let Setting { relieve, clear, .. } = self.case.setting;
        let every = |n: usize| n > 0 && self.nth.is_multiple_of(n);
        if every(relieve) {
            self.matcher.relieve(&mut self.mock);
        }
        if every(clear) {
            self.matcher.clear(&mut self.mock);
        }
        if let Some(ring) = &mut self.ring {
            self.mock.slot = ring.next();
            self.overlapping |= self.mock.slot != Slot::Separate;
        }
        self.nth += 1;
    }

    fn poll(&mut self, leave: usize) {
        self.together = 0;
        self.mock.receive(&mut self.matcher, self.case.burst, leave, &mut self.now);
        if let Some(ring) = &mut self.ring {
            ring.follow(&mut self.matcher);
        }
    }

    fn wait(&mut self, ns: u64) {
        // Somebody looks now and then.
        for _ in 0..3 {
            self.now += ns / 3;
            self.matcher.look(self.now, 0, &mut self.mock);
        }
    }

    /// A frame of nobody's begins to arrive while the queue is looked at after a while.
    fn race(&mut self, ns: u64) {
        self.poll(0);
        if self.case.synchronous {
            return self.wait(ns);
        }
        let len = self.case.geometry.full_frame();
        // The worst that can be written there: what looks like somebody's headers.
        let frame = super::hostile::tail(self.case.geometry, len);
        self.wire.record(&frame, &[]);
        let tearing = std::mem::replace(&mut self.mock.tearing, true);
        self.mock.arrive(&frame);
        self.mock.tearing = tearing;
        self.now += ns;
        self.matcher.look(self.now, 0, &mut self.mock);
        self.poll(0);
    }

    /// The next good datagram is delivered, everything is given back, and what was delivered was sent.
    fn end(mut self) -> Result<Outcome, String> {
        let case = self.case;
        self.mock.budget = -1;
        self.mock.tearing = false;
        let delivered = self.mock.delivered.len();
        let good: Vec<u8> = (0..5000_usize).map(|i| (i * 31 + i / 256) as u8).collect();
        let provable = case.require.checksum || case.require.tags;
        let takes = case.accept.takes(&GOOD);
        self.mock.slot = if provable { Slot::Overlapping } else { Slot::Separate };
        if !provable {
            // What waits in the reassembler may be anybody's share of it.
            (0..3).for_each(|_| self.wait(1_500_000_000));
        }
        let before = self.overlapping;
        for frame in lm_frames(case.geometry, GOOD, 999, &good, ChecksumMode::Full) {
            self.wire.record(&frame, &[]);
            self.mock.arrive(&frame);
            self.together += 1;
            if case.synchronous && self.together >= case.burst {
                self.poll(0);
            }
        }
        self.poll(0);
        let work = self.mock.work();
        self.mock.finish(&mut self.matcher, &mut self.now)?;
        let counters = &self.matcher.counters;
        let count = |of: &Must, from: usize| {
            let all = &self.mock.delivered[from..];
            all.iter().filter(|d| d.whole.flow == of.flow && d.payload == of.payload).count()
        };
        let last = Must { flow: GOOD, payload: good, frames: 0 };
        let proof = case.require.headers || provable;
        let takes = takes && !(case.setting.fragmented && case.geometry.stride() > last.payload.len());
        if proof && takes && count(&last, delivered) == 0 {
            return Err(format!("the next good datagram was lost: {counters:?}"));
        }
        let rules = Rules {
            geometry: case.geometry,
            require: case.require,
            accept: case.accept,
            all_headers: !before || (case.synchronous && case.burst == 1),
            clean: case.clean,
            ecn: !before,
        };
        account::work_is_bounded(&work, case.geometry)?;
        let tally = self.wire.judge(&self.mock.delivered, &self.mock.strangers, &rules)?;
        account::check(&self.matcher.counters, &self.mock, self.wire.len() as u64)?;
        self.is_for_us()?;
        self.lives(&count)?;
        Ok(Outcome { tally, frames: self.wire.len() as u64, work })
    }

    /// Each datagram is delivered that has to be.
    fn lives(&self, count: &impl Fn(&Must, usize) -> usize) -> Result<(), String> {
        // Frames that arrived, and when the first and the last one did.
        let (mut here, mut now) = (vec![0; self.case.must.len()], 0);
        let mut times = vec![(0, 0); self.case.must.len()];
        for step in &self.case.steps {
            match step {
                Step::Frame(Arrival { of: Some(i), .. }) => {
                    times[*i] = (if here[*i] == 0 { now } else { times[*i].0 }, now);
                    here[*i] += 1;
                }
                Step::Wait(ns) => now += ns,
                _ => {}
            }
        }
        let in_time = |i: usize| times[i].1 - times[i].0 < IN_TIME;
        let due = |i: &usize| here[*i] > 0 && here[*i] == self.case.must[*i].frames && in_time(*i);
        let all = (0..self.case.must.len()).filter(due);
        let lost: Vec<usize> = all.clone().filter(|&i| count(&self.case.must[i], 0) == 0).collect();
        match lost.first() {
            None => Ok(()),
            Some(&i) => Err(format!(
                "{} of {} datagrams of an undisturbed stream were not delivered, the first is number {i}, \
                 {} bytes in {} frames: {:?}",
                lost.len(),
                all.count(),
                self.case.must[i].payload.len(),
                here[i],
                self.matcher.counters
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{frames, hostile, random::Random};

    /// Frames on an asynchronous device, two at a time; the numbered one bounces.
    fn case(frames: Vec<Vec<u8>>, bounced: usize) -> Case {
        let arrival = |(i, bytes)| Arrival { bytes, bounce: i == bounced, ..Arrival::default() };
        let mut steps: Vec<_> = frames.into_iter().enumerate().map(arrival).map(Step::Frame).collect();
        steps.push(Step::Poll(0));
        Case {
            name: "by hand".to_owned(),
            geometry: Geometry::ETHERNET,
            mirrored: false,
            wrap_after: 1000,
            require: Require::default(),
            accept: Accept::default(),
            synchronous: false,
            tearing: false,
            quiet: Some(1_000_000),
            burst: 2,
            clean: false,
            slot: Slot::Overlapping,
            steps,
            must: Vec::new(),
            setting: Setting::default(),
        }
    }

    /// Found by case 936: the last fragment has a tag, and its headers are where it bounced: both tell that
    /// it is another datagram's. The words of both datagrams have the same sum.
    #[test]
    fn halves_in_forward_order_of_which_one_bounced() {
        let g = Geometry::ETHERNET;
        for seed in 0..20 {
            let (a, b) = hostile::twins(&mut Random::new(seed), g, 1474);
            let lm = |id, data: &[u8]| lm_frames(g, GOOD, id, data, ChecksumMode::Full);
            let kernel = |id, data: &[u8]| frames::plain_frames(g, GOOD, id, data);
            let other = frames::fragment(hostile::ATTACKER, 5, 1480, true, &vec![0x11; 1480]);
            for bounced in [0, 1, 2, 3] {
                let of_lm = vec![lm(2, &b)[1].clone(), lm(1, &a)[0].clone(), other.clone()];
                let of_kernel = vec![kernel(2, &b)[0].clone(), kernel(1, &a)[1].clone(), other.clone()];
                if let Err(e) = case(of_lm, bounced).run() {
                    panic!("LM's, frame {bounced} bounced: {e}");
                }
                // Where no header is left of a kernel's last fragment nothing tells.
                match case(of_kernel, bounced).run() {
                    Err(e) => panic!("a kernel's, frame {bounced} bounced: {e}"),
                    Ok(outcome) => {
                        assert!(bounced != 1 || outcome.tally.joined == 0, "its headers are known");
                    }
                }
            }
        }
    }
}
