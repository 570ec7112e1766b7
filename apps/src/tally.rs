//! [`Tally`]: what a port did, as numbers that can be added and subtracted.

use std::collections::BTreeMap;

use lm_engine::SenderStats;
use lm_landing::{LandingPool, PoolStats, SlotLayout};
use lm_proto::counters::{Counters, Reason};
use lm_proto::neighbours::ArpCounters;
use rte::port::PortStats;

use crate::histogram::Histogram;

/// Everything counted on a port, or on all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// By the receiver.
    pub(crate) counters: Counters,
    /// By the sender.
    pub(crate) sent: SenderStats,
    /// By the engine.
    pub(crate) engine: EngineTally,
    /// By the device.
    pub(crate) device: DeviceTally,
    /// By ARP.
    pub(crate) arp: ArpCounters,
    /// Frames of the ordinary queue, where frames are steered.
    pub(crate) ordinary: u64,
    /// Frames between that queue's port and the one they are exchanged with that found no room.
    pub(crate) ordinary_lost: u64,
    /// Frames that still waited for the device when the port was stopped.
    pub(crate) unsent: u64,
}

/// What a device has lost, as far as it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceTally {
    /// Frames that it found no room for.
    pub(crate) missed: u64,
    /// Frames that came broken, or too long.
    pub(crate) rx_errors: u64,
    /// Frames for which there was no mbuf.
    pub(crate) rx_nombuf: u64,
    /// Frames that it could not send.
    pub(crate) tx_errors: u64,
}

impl DeviceTally {
    /// Out of all that a device counts.
    pub(crate) fn of(stats: &PortStats) -> Self {
        Self {
            missed: stats.imissed,
            rx_errors: stats.ierrors,
            rx_nombuf: stats.rx_nombuf,
            tx_errors: stats.oerrors,
        }
    }

    /// What came in addition to `before`; a counter that is smaller than then has begun anew.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let more = |now: u64, then: u64| now.checked_sub(then).unwrap_or(now);
        Self {
            missed: more(self.missed, before.missed),
            rx_errors: more(self.rx_errors, before.rx_errors),
            rx_nombuf: more(self.rx_nombuf, before.rx_nombuf),
            tx_errors: more(self.tx_errors, before.tx_errors),
        }
    }

    /// Adds another one.
    pub(crate) fn add(&mut self, other: &Self) {
        self.missed += other.missed;
        self.rx_errors += other.rx_errors;
        self.rx_nombuf += other.rx_nombuf;
        self.tx_errors += other.tx_errors;
    }

    /// Received frames that nobody saw.
    pub(crate) fn rx_lost(&self) -> u64 {
        self.missed + self.rx_errors + self.rx_nombuf
    }
}

/// What engines count.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineTally {
    /// Received datagrams that the engine had no use for.
    pub(crate) ignored: u64,
    /// Datagrams that it wanted to send and gave up.
    pub(crate) tx_dropped: u64,
    /// Datagrams that it had to copy to send them.
    pub(crate) tx_copied: u64,
    /// Echoes that came after their time.
    pub(crate) late: u64,
    /// Round trips, by payload size.
    pub(crate) ping: BTreeMap<usize, PingTally>,
}

/// Round trips of one size.
#[derive(Clone, Debug, Default)]
pub(crate) struct PingTally {
    /// Echoes that were what was sent, and how long they took.
    pub(crate) round_trips: Histogram,
    /// No echo in time.
    pub(crate) lost: u64,
    /// An echo with other bytes.
    pub(crate) mismatched: u64,
}

impl Tally {
    /// Adds another one.
    pub(crate) fn add(&mut self, other: &Self) {
        self.counters = combine(&self.counters, &other.counters, u64::wrapping_add);
        let (a, b) = (&mut self.sent, &other.sent);
        a.datagrams += b.datagrams;
        a.bytes += b.bytes;
        a.frames += b.frames;
        a.inlined += b.inlined;
        a.would_block += b.would_block;
        a.malformed += b.malformed;
        self.engine.add(&other.engine);
        self.device.add(&other.device);
        self.arp = self.arp.combine(&other.arp, u64::wrapping_add);
        self.ordinary += other.ordinary;
        self.ordinary_lost += other.ordinary_lost;
        self.unsent += other.unsent;
    }

    /// What was counted since `before`, but by the engine, which begins anew with each run.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let (a, b) = (&self.sent, &before.sent);
        Self {
            counters: combine(&self.counters, &before.counters, u64::wrapping_sub),
            sent: SenderStats {
                datagrams: a.datagrams - b.datagrams,
                bytes: a.bytes - b.bytes,
                frames: a.frames - b.frames,
                inlined: a.inlined - b.inlined,
                would_block: a.would_block - b.would_block,
                malformed: a.malformed - b.malformed,
            },
            engine: self.engine.clone(),
            device: self.device,
            arp: self.arp.combine(&before.arp, u64::wrapping_sub),
            ordinary: self.ordinary - before.ordinary,
            ordinary_lost: self.ordinary_lost - before.ordinary_lost,
            unsent: self.unsent - before.unsent,
        }
    }
}

impl EngineTally {
    fn add(&mut self, other: &Self) {
        self.ignored += other.ignored;
        self.tx_dropped += other.tx_dropped;
        self.tx_copied += other.tx_copied;
        self.late += other.late;
        for (&size, ping) in &other.ping {
            let mine = self.ping.entry(size).or_default();
            mine.round_trips.merge(&ping.round_trips);
            mine.lost += ping.lost;
            mine.mismatched += ping.mismatched;
        }
    }
}

/// Counter by counter.
fn combine(a: &Counters, b: &Counters, f: fn(u64, u64) -> u64) -> Counters {
    let mut c = Counters::default();
    c.datagrams = f(a.datagrams, b.datagrams);
    c.bytes = f(a.bytes, b.bytes);
    c.copied_datagrams = f(a.copied_datagrams, b.copied_datagrams);
    c.copied_bytes = f(a.copied_bytes, b.copied_bytes);
    c.frames = f(a.frames, b.frames);
    c.foreign = f(a.foreign, b.foreign);
    c.duplicates = f(a.duplicates, b.duplicates);
    c.bounced = f(a.bounced, b.bounced);
    for reason in Reason::ALL {
        c.drop_many(reason, f(a.dropped(reason), b.dropped(reason)));
    }
    c
}

/// A landing pool at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolView {
    /// mbufs that are not out.
    pub(crate) available: u32,
    /// mbufs in all.
    pub(crate) size: u32,
    /// Bytes of region.
    pub(crate) region: usize,
    /// It is mapped twice.
    pub(crate) mirrored: bool,
    /// Slots that messages and waiting frames hold.
    pub(crate) held: u64,
    /// Frames that wait for the rest of their datagrams.
    pub(crate) waiting: usize,
    /// How slots are laid.
    pub(crate) layout: SlotLayout,
    /// Bytes from one overlapping slot to the next.
    pub(crate) stride: usize,
    /// What the pool counted.
    pub(crate) stats: PoolStats,
}

impl PoolView {
    /// The pool now.
    pub(crate) fn of(pool: &LandingPool) -> Self {
        Self {
            available: pool.available(),
            size: pool.size(),
            region: pool.region(),
            mirrored: pool.mirror() != 0,
            held: pool.held(),
            waiting: 0,
            layout: pool.layout(),
            stride: pool.config().stride,
            stats: pool.stats(),
        }
    }

    /// Several pools, as one; `None` if there is none.
    pub(crate) fn of_all<'a>(pools: impl Iterator<Item = &'a LandingPool>) -> Option<Self> {
        pools.map(Self::of).reduce(|mut all, one| {
            all.available += one.available;
            all.size += one.size;
            all.region += one.region;
            all.held += one.held;
            let (a, b) = (&mut all.stats, &one.stats);
            a.wraps += b.wraps;
            a.jumps += b.jumps;
            a.bounced += b.bounced;
            a.starved += b.starved;
            a.grown += b.grown;
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_begins_to_count_anew_loses_nothing() {
        let at = |missed, rx_errors| DeviceTally { missed, rx_errors, rx_nombuf: 1, tx_errors: 2 };
        let mut all = at(5, 7).since(&DeviceTally::default());
        all.add(&at(2, 9).since(&at(5, 7)));
        assert_eq!(all, at(7, 9));
        assert_eq!(all.rx_lost(), 17);
    }

    #[test]
    fn what_is_added_can_be_subtracted() {
        let mut one = Tally::default();
        one.counters.datagrams = 3;
        one.counters.drop_many(Reason::BadTag, 2);
        one.sent.bytes = 7;
        let mut two = one.clone();
        two.add(&one);
        let dropped = two.counters.dropped(Reason::BadTag);
        assert_eq!((two.counters.datagrams, dropped, two.sent.bytes), (6, 4, 14));
        let back = two.since(&one);
        assert_eq!((back.counters, back.sent), (one.counters, one.sent));
    }
}
