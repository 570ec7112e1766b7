//! [`Log`]: the frames that were received and not handed back, oldest first.
//!
//! Its end is the *run*, what may be one datagram in the making. The frames before the run *wait*: each knows
//! since when. What is known of their headers is kept beside them. Each frame has the token of its slot here,
//! and whoever takes a frame out gets the token with it.

use std::ops::{Index, Range};
use std::vec::Drain;

use crate::checksum::mix;
use crate::frame::{Frame, Received, Slot, Slots};
use crate::packet::Packet;
use crate::reassembler::Key;
use crate::slot_memory::SlotMemory;

/// A moment: frames received until then, and the time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) frames: u64,
    pub(crate) now: u64,
}

/// Frames in the order of their arrival.
pub(crate) struct Log<S> {
    frames: Vec<Received<S>>,
    /// Room for those that stay when others are taken out.
    kept: Vec<Received<S>>,
    /// Since when the frames before the run wait, one for each.
    since: Vec<Moment>,
    /// Headers that are known to be intact, by index, ascending.
    seen: Vec<(u32, Packet)>,
    /// How many of these are of the datagrams that fall into each bucket: whether there is another of the
    /// same one can nearly always be told without a search.
    buckets: Vec<u16>,
}

/// Buckets of datagrams: a few for each frame that waits.
const BUCKETS: usize = 1024;

fn bucket(key: &Key) -> usize {
    let addresses = u64::from(key.src) << 32 | u64::from(key.dst);
    mix(addresses ^ u64::from(key.id).rotate_left(24)) as usize % BUCKETS
}

impl<S> Index<usize> for Log<S> {
    type Output = Received<S>;
    #[inline(always)]
    fn index(&self, index: usize) -> &Received<S> {
        &self.frames[index]
    }
}

impl<S: Slots> Log<S> {
    pub(crate) fn new() -> Self {
        Self {
            frames: Vec::with_capacity(2048),
            kept: Vec::new(),
            since: Vec::with_capacity(2048),
            seen: Vec::with_capacity(2048),
            buckets: vec![0; BUCKETS],
        }
    }

    /// One without room, to stand in for another for a moment.
    pub(crate) fn empty() -> Self {
        Self {
            frames: Vec::new(),
            kept: Vec::new(),
            since: Vec::new(),
            seen: Vec::new(),
            buckets: Vec::new(),
        }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Where the run begins.
    #[inline(always)]
    pub(crate) fn run(&self) -> usize {
        self.since.len()
    }

    /// Whether there is a frame of the run.
    #[inline(always)]
    pub(crate) fn has_run(&self) -> bool {
        self.frames.len() > self.since.len()
    }

    #[inline(always)]
    pub(crate) fn last(&self) -> Option<&Received<S>> {
        self.frames.last()
    }

    #[inline(always)]
    pub(crate) fn first_mut(&mut self) -> Option<&mut Received<S>> {
        self.frames.first_mut()
    }

    #[inline(always)]
    pub(crate) fn last_mut(&mut self) -> Option<&mut Received<S>> {
        self.frames.last_mut()
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, frame: Received<S>) {
        self.frames.push(frame);
    }

    /// The newest frame has the slots of full frames of `len` bytes below, too, each one `stride` below the
    /// one before: each becomes a frame of its own.
    pub(crate) fn unfold(&mut self, len: u16, stride: usize) {
        let Some(newest) = self.frames.last_mut() else { return };
        let (mut at, mut below) = (newest.at, newest.slots.split_behind(1));
        while let Some(mut slots) = below {
            below = slots.split_behind(1);
            at = at.wrapping_sub(stride);
            let frame = Frame { at, len, slot: Slot::Overlapping, bounce: 0 };
            self.frames.push(Received { frame, slots });
        }
    }

    /// A piece of the payload of frame `index`.
    #[inline(always)]
    pub(crate) fn piece<'a, M: SlotMemory<Slots = S>>(
        &'a self,
        index: usize,
        piece: Range<usize>,
        memory: &'a M,
    ) -> &'a [u8] {
        let frame = &self[index];
        memory.bytes(&frame.slots, frame.at + piece.start, piece.len())
    }

    /// The run begins at `index`; what comes before it waits from `moment` on, if it did not before.
    #[inline(always)]
    pub(crate) fn begin_run(&mut self, index: usize, moment: Moment) {
        self.since.resize(index, moment);
    }

    /// Takes `log[first..]` out, oldest first; what is left of a run waits.
    #[inline(always)]
    pub(crate) fn take_from(&mut self, first: usize, moment: Moment) -> Drain<'_, Received<S>> {
        if !self.seen.is_empty() {
            self.forget_from(first);
        }
        self.since.resize(first, moment);
        self.frames.drain(first..)
    }

    /// Takes the newest frame out.
    pub(crate) fn pop(&mut self) -> Option<Received<S>> {
        let frame = self.frames.pop()?;
        let len = self.frames.len();
        self.forget_from(len);
        self.since.truncate(len);
        Some(frame)
    }

    /// What was known of the frames from `first` on goes.
    fn forget_from(&mut self, first: usize) {
        while let Some((_, packet)) = self.seen.pop_if(|(i, _)| *i as usize >= first) {
            self.buckets[bucket(&packet.key())] -= 1;
        }
    }

    /// Takes frames out of the middle, or from the start.
    pub(crate) fn remove(&mut self, range: Range<usize>) -> Drain<'_, Received<S>> {
        let (start, n) = (range.start, range.len());
        let waiting = |i: usize| i.min(self.since.len());
        self.since.drain(waiting(start)..waiting(range.end));
        let buckets = &mut self.buckets;
        self.seen.retain_mut(|(i, packet)| {
            let index = *i as usize;
            if index >= range.end {
                *i -= n as u32;
            }
            let goes = range.contains(&index);
            if goes {
                buckets[bucket(&packet.key())] -= 1;
            }
            !goes
        });
        self.frames.drain(range)
    }

    /// Gives each frame to `take`, oldest first: those that it gives back stay.
    pub(crate) fn take_out(
        &mut self,
        mut take: impl FnMut(usize, Received<S>, Option<&Packet>) -> Option<Received<S>>,
    ) {
        let (mut known, mut waiting) = (0, 0);
        let mut header = 0;
        for (i, frame) in self.frames.drain(..).enumerate() {
            let mut packet = None;
            if let Some(&(index, p)) = self.seen.get(header)
                && index as usize == i
            {
                packet = Some(p);
                header += 1;
            }
            let Some(frame) = take(i, frame, packet.as_ref()) else {
                if let Some(packet) = packet {
                    self.buckets[bucket(&packet.key())] -= 1;
                }
                continue;
            };
            if let Some(p) = packet {
                self.seen[known] = (self.kept.len() as u32, p);
                known += 1;
            }
            if let Some(&moment) = self.since.get(i) {
                self.since[waiting] = moment;
                waiting += 1;
            }
            self.kept.push(frame);
        }
        std::mem::swap(&mut self.frames, &mut self.kept);
        self.seen.truncate(known);
        self.since.truncate(waiting);
    }

    /// How many of the oldest wait since before `moment`, by either measure.
    pub(crate) fn older_than(&self, moment: Moment) -> usize {
        self.since.partition_point(|m| m.frames < moment.frames || m.now < moment.now)
    }

    /// Notes an intact header of a frame.
    pub(crate) fn note(&mut self, index: usize, packet: Packet) {
        let at = match self.seen.last() {
            Some(&(i, _)) if i as usize >= index => {
                match self.seen.binary_search_by_key(&(index as u32), |&(i, _)| i) {
                    Ok(_) => return,
                    Err(at) => at,
                }
            }
            _ => self.seen.len(),
        };
        self.seen.insert(at, (index as u32, packet));
        self.buckets[bucket(&packet.key())] += 1;
    }

    /// What is known of a frame's header.
    #[inline]
    pub(crate) fn packet(&self, index: usize) -> Option<&Packet> {
        let at = self.seen.binary_search_by_key(&(index as u32), |&(i, _)| i).ok()?;
        Some(&self.seen[at].1)
    }

    /// Headers that are known to be intact, of the frames from `first` on, oldest first.
    #[inline]
    pub(crate) fn seen_from(&self, first: usize) -> &[(u32, Packet)] {
        match self.seen.last() {
            Some(&(i, _)) if i as usize >= first => {
                &self.seen[self.seen.partition_point(|&(i, _)| (i as usize) < first)..]
            }
            _ => &[],
        }
    }

    /// How many known headers may be of this datagram: not fewer than are.
    #[inline]
    pub(crate) fn alike(&self, key: &Key) -> usize {
        self.buckets[bucket(key)].into()
    }

    /// Headers that are known to be intact: how many.
    #[inline(always)]
    pub(crate) fn seen(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Ipv4;

    fn packet(id: u16) -> Packet {
        let ip = Ipv4 {
            src: 1,
            dst: 2,
            id,
            protocol: 17,
            ttl: 64,
            more: true,
            offset: 0,
            header_len: 20,
            payload_len: 1480,
        };
        Packet { ip, tos: 0, skew: 0, front: [0; 8] }
    }

    /// One slot, which has a number.
    #[derive(Debug)]
    struct Number(usize);

    impl Slots for Number {
        fn split_behind(&mut self, _: usize) -> Option<Self> {
            None
        }
    }

    /// Frames with their number as address, the even ones with a header of that number, the first 20 of 30
    /// waiting.
    fn log() -> Log<Number> {
        let mut log = Log::new();
        for i in 0..30_usize {
            let frame = Frame { at: i, len: 60, slot: Slot::Overlapping, bounce: 0 };
            log.push(Received { frame, slots: Number(i) });
            if i % 2 == 0 {
                log.note(i, packet(i as u16));
            }
            if i < 20 {
                log.begin_run(i + 1, Moment { frames: i as u64, now: 0 });
            }
        }
        log
    }

    /// Whatever was taken out, the rest has kept its headers and its times.
    fn check(log: &Log<Number>, left: &[usize]) {
        assert_eq!(log.frames.iter().map(|f| f.at).collect::<Vec<_>>(), left);
        assert_eq!(log.frames.iter().map(|f| f.slots.0).collect::<Vec<_>>(), left);
        assert_eq!(log.run(), left.iter().filter(|&&n| n < 20).count());
        let known = left.iter().filter(|&&n| n % 2 == 0).count();
        assert_eq!(log.buckets.iter().map(|&n| usize::from(n)).sum::<usize>(), known);
        for (i, &n) in left.iter().enumerate() {
            let header = (n % 2 == 0).then(|| packet(n as u16));
            assert_eq!(log.packet(i), header.as_ref());
            assert!(header.is_none_or(|header| log.alike(&header.key()) > 0));
            if n < 20 {
                assert_eq!(log.since[i].frames, n as u64);
            }
        }
    }

    #[test]
    fn whatever_is_taken_out_the_rest_is_as_it_was() {
        let step = if cfg!(miri) { 10 } else { 1 };
        for start in (0..=30).step_by(step) {
            for end in (start..=30).step_by(step) {
                let mut one = log();
                let gone: Vec<_> = one.remove(start..end).map(|f| f.slots.0).collect();
                assert_eq!(gone, (start..end).collect::<Vec<_>>());
                let left: Vec<_> = (0..30).filter(|i| !(start..end).contains(i)).collect();
                check(&one, &left);
                let mut other = log();
                other.take_out(|i, frame, _| Some(frame).filter(|_| !(start..end).contains(&i)));
                check(&other, &left);
            }
        }
        let mut log = log();
        log.take_out(|i, frame, packet| {
            assert_eq!((frame.at, frame.slots.0, packet.is_some()), (i, i, i % 2 == 0));
            Some(frame).filter(|_| i % 3 != 0)
        });
        check(&log, &(0..30).filter(|i| i % 3 != 0).collect::<Vec<_>>());
        let gone: Vec<_> = log.take_from(10, Moment::default()).map(|f| f.slots.0).collect();
        assert_eq!(gone, [16, 17, 19, 20, 22, 23, 25, 26, 28, 29]);
        check(&log, &[1, 2, 4, 5, 7, 8, 10, 11, 13, 14]);
        assert_eq!(log.pop().map(|f| f.at), Some(14));
        check(&log, &[1, 2, 4, 5, 7, 8, 10, 11, 13]);
        assert_eq!(log.older_than(Moment { frames: 8, now: 0 }), 5);
        assert_eq!(log.seen_from(6).iter().map(|&(i, _)| i).collect::<Vec<_>>(), [6]);
        assert!(log.seen_from(8).is_empty());
    }
}
