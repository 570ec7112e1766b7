//! [`Tally`]: the counters of a port, as numbers that can be added and subtracted.
//!
//! A [`Link`](crate::Link) counts from its start. [`NodePort`](crate::NodePort) keeps the sum of the links
//! before. Reports show the difference of two tallies. [`PoolView`] is a landing pool at one moment, which
//! cannot be added up over time.

use lm_engine::SenderStats;
use lm_landing::{LandingPool, PoolStats, SlotLayout};
use lm_proto::card::Card;
use lm_proto::counters::Counters;
use lm_proto::neighbours::ArpCounters;
use rte::port::PortStats;

/// Everything that was counted on a port, or on several.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Tally {
    /// Counted by the receivers.
    pub counters: Counters,
    /// Counted by the sender.
    pub sent: SenderStats,
    /// Counted by the device.
    pub device: DeviceTally,
    /// Counted by ARP.
    pub arp: ArpCounters,
    /// Frames that came by the ordinary queue, where frames are steered.
    pub ordinary: u64,
    /// Frames between the steered port and its exit that found no room.
    pub ordinary_lost: u64,
    /// Frames that still waited for the device when the port was stopped.
    pub unsent: u64,
}

/// What a device has lost, as far as it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceTally {
    /// Received frames that the device found no room for.
    pub missed: u64,
    /// Received frames that were broken or too long.
    pub rx_errors: u64,
    /// Received frames for which there was no mbuf.
    pub rx_nombuf: u64,
    /// Frames that the device could not send.
    pub tx_errors: u64,
}

impl DeviceTally {
    /// The losses among all that a device counts.
    pub fn of(stats: &PortStats) -> Self {
        Self {
            missed: stats.imissed,
            rx_errors: stats.ierrors,
            rx_nombuf: stats.rx_nombuf,
            tx_errors: stats.oerrors,
        }
    }

    /// What was lost since `before`. A counter that is smaller than it was has begun anew.
    pub fn since(&self, before: &Self) -> Self {
        let more = |now: u64, then: u64| now.checked_sub(then).unwrap_or(now);
        Self {
            missed: more(self.missed, before.missed),
            rx_errors: more(self.rx_errors, before.rx_errors),
            rx_nombuf: more(self.rx_nombuf, before.rx_nombuf),
            tx_errors: more(self.tx_errors, before.tx_errors),
        }
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.missed += other.missed;
        self.rx_errors += other.rx_errors;
        self.rx_nombuf += other.rx_nombuf;
        self.tx_errors += other.tx_errors;
    }

    /// Received frames that were lost before any program saw them.
    pub fn rx_lost(&self) -> u64 {
        self.missed + self.rx_errors + self.rx_nombuf
    }
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        let mut device = self.device;
        device.add(&other.device);
        *self = Self { device, ..self.combine(other, u64::wrapping_add) };
    }

    /// What was counted since `before`. The device's losses stay as they are.
    pub fn since(&self, before: &Self) -> Self {
        self.combine(before, u64::wrapping_sub)
    }

    /// Every counter with its name. Those of receivers come first, then drops by reason, then
    /// what was sent, lost by the device, and asked by ARP.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self { sent, device, arp, ordinary, ordinary_lost, unsent, .. } = self.clone();
        let others = [
            ("sent_datagrams", sent.datagrams),
            ("sent_bytes", sent.bytes),
            ("sent_frames", sent.frames),
            ("sent_inlined", sent.inlined),
            ("sent_forward", sent.forward),
            ("sent_would_block", sent.would_block),
            ("sent_malformed", sent.malformed),
            ("sent_refused", sent.refused),
            ("device_missed", device.missed),
            ("device_rx_errors", device.rx_errors),
            ("device_rx_nombuf", device.rx_nombuf),
            ("device_tx_errors", device.tx_errors),
            ("arp_conflicts", arp.conflicts),
            ("arp_claims", arp.claims),
            ("arp_moved", arp.moved),
            ("arp_malformed", arp.malformed),
            ("arp_evicted", arp.evicted),
            ("arp_asked", arp.asked),
            ("ordinary_frames", ordinary),
            ("ordinary_lost", ordinary_lost),
            ("unsent_frames", unsent),
        ];
        self.counters.named().chain(others)
    }

    /// Counter by counter: both, by `f`. The device's losses are those of `self`.
    fn combine(&self, other: &Self, f: fn(u64, u64) -> u64) -> Self {
        Self {
            counters: self.counters.combine(&other.counters, f),
            sent: self.sent.combine(&other.sent, f),
            device: self.device,
            arp: self.arp.combine(&other.arp, f),
            ordinary: f(self.ordinary, other.ordinary),
            ordinary_lost: f(self.ordinary_lost, other.ordinary_lost),
            unsent: f(self.unsent, other.unsent),
        }
    }
}

/// A landing pool at one moment.
#[derive(Clone, Copy, Debug)]
pub struct PoolView {
    /// mbufs that are in the pool.
    pub available: u32,
    /// mbufs in all.
    pub size: u32,
    /// Bytes of landing region.
    pub region: usize,
    /// Whether the region is mapped twice.
    pub mirrored: bool,
    /// Slots that messages and waiting frames hold at this moment.
    pub held: u64,
    /// Frames that wait for the rest of their datagrams.
    pub waiting: usize,
    /// How slots are laid.
    pub layout: SlotLayout,
    /// Bytes from one overlapping slot to the next: the stride.
    pub stride: usize,
    /// What the pool counted.
    pub stats: PoolStats,
    /// What the card says of the frames, as the first queue's receiver sees it; `None`: nobody receives.
    pub card: Option<Card>,
}

impl PoolView {
    /// The pool at this moment. [`PoolView::waiting`] and [`PoolView::card`] are the receiver's to fill in.
    pub fn of(pool: &LandingPool) -> Self {
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
            card: None,
        }
    }

    /// Several pools, added up. `None`: there are none. What cannot be added is taken of the first.
    pub fn of_all<'a>(pools: impl Iterator<Item = &'a LandingPool>) -> Option<Self> {
        pools.map(Self::of).reduce(|mut all, one| {
            all.available += one.available;
            all.size += one.size;
            all.region += one.region;
            all.held += one.held;
            all.stats.add(&one.stats);
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use lm_proto::counters::Reason;

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
