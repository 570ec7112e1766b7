//! [`MtuCheck`]: whether a peer cuts its datagrams for another MTU than this end's.
//!
//! A datagram whose fragments are shorter than a slot does not land in one piece. If the difference is a
//! header's length or less (MTUs of 1468 to 1499 instead of 1500), each fragment overwrites the header above
//! it but leaves a gap. Within a burst, such a datagram cannot be put together. The drop counters do not tell
//! the reason, but the length of a fragment that is not the last one does. Only fragments with an intact
//! header are checked: in each poll at least the newest frame.

use std::fmt;
use std::net::Ipv4Addr;

use crate::layout::stride;
use crate::wire::{IPV4, Ipv4};

/// Peers that are watched at once.
const PEERS: usize = 16;
/// The most peers that are reported, so that invented senders cannot fill a log.
const TOLD: usize = 64;
/// Fragments of one length in a row that make an MTU of it: hostile or twice cut ones differ.
const ENOUGH: u8 = 3;

/// A peer with another MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its address.
    pub peer: u32,
    /// IP payload of its full fragments.
    pub fragment: u16,
    /// The MTU here.
    pub mtu: u16,
}

impl Mismatch {
    /// The MTUs that make such fragments, the least and the largest.
    pub fn theirs(&self) -> (u16, u16) {
        let least = self.fragment.saturating_add(IPV4 as u16);
        (least, least.saturating_add(7))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, largest) = self.theirs();
        write!(
            f,
            "{} cuts its datagrams for an MTU of {least} to {largest}, and the MTU here is {}: they come in \
             pieces, are copied together, or are lost; set both alike",
            Ipv4Addr::from_bits(self.peer),
            self.mtu
        )
    }
}

/// A peer that is watched.
#[derive(Clone, Copy, Debug)]
struct Watched {
    peer: u32,
    fragment: u16,
    seen: u8,
}

/// Watches fragments. Each peer is reported once, and at most 64 peers are.
#[derive(Clone, Debug)]
pub struct MtuCheck {
    mtu: u16,
    stride: u16,
    peers: [Option<Watched>; PEERS],
    /// Who makes room next.
    oldest: usize,
    /// The peers that were reported.
    told: [u32; TOLD],
    tellings: usize,
    /// Waits to be taken.
    found: Option<Mismatch>,
}

impl MtuCheck {
    /// At this MTU.
    pub fn new(mtu: u16) -> Self {
        let stride = stride(mtu);
        Self { mtu, stride, peers: [None; PEERS], oldest: 0, told: [0; TOLD], tellings: 0, found: None }
    }

    /// A fragment with an intact header: its source, the bytes of its IP payload, and whether more follow.
    #[inline]
    pub fn observe(&mut self, src: u32, payload: u16, more: bool) {
        if more && payload != self.stride {
            self.differs(src, payload);
        }
    }

    /// A fragment with this header, which is intact. One with options has less room for payload, so its
    /// length does not tell the MTU.
    #[inline]
    pub fn observe_header(&mut self, ip: &Ipv4) {
        if usize::from(ip.header_len) == IPV4 {
            self.observe(ip.src, ip.payload_len, ip.more);
        }
    }

    #[cold]
    #[inline(never)]
    fn differs(&mut self, peer: u32, fragment: u16) {
        if self.tellings == TOLD || self.told[..self.tellings].contains(&peer) {
            return;
        }
        let known = self.peers.iter_mut().flatten().find(|watched| watched.peer == peer);
        let Some(watched) = known else {
            self.peers[self.oldest] = Some(Watched { peer, fragment, seen: 1 });
            self.oldest = (self.oldest + 1) % PEERS;
            return;
        };
        if watched.fragment != fragment {
            (watched.fragment, watched.seen) = (fragment, 0);
        }
        watched.seen = watched.seen.saturating_add(1);
        if watched.seen >= ENOUGH && self.found.is_none() {
            self.told[self.tellings] = peer;
            self.tellings += 1;
            self.found = Some(Mismatch { peer, fragment, mtu: self.mtu });
        }
    }

    /// A peer that was found out since the last call.
    #[inline]
    pub fn take(&mut self) -> Option<Mismatch> {
        self.found.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::Geometry;

    /// What a check says of these fragments.
    fn told(mtu: u16, fragments: impl IntoIterator<Item = (u32, u16, bool)>) -> Vec<Mismatch> {
        let mut check = MtuCheck::new(mtu);
        fragments
            .into_iter()
            .filter_map(|(src, payload, more)| {
                check.observe(src, payload, more);
                check.take()
            })
            .collect()
    }

    #[test]
    fn a_peer_of_another_mtu_is_told_of_once_with_both() {
        let found = told(1500, [(7, 1472, true); 100]);
        assert_eq!(found, [Mismatch { peer: 7, fragment: 1472, mtu: 1500 }]);
        assert_eq!(found[0].theirs(), (1492, 1499));
        let text = Mismatch { peer: 0x0a00_0002, ..found[0] }.to_string();
        for word in ["10.0.0.2", "1492 to 1499", "1500"] {
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn last_fragments_and_odd_ones_say_nothing() {
        assert_eq!(told(1500, [(7, 1472, false); 100]), []);
        assert_eq!(told(1500, [(7, 1480, true); 100]), []);
        assert_eq!(told(1500, [(7, 1472, true); 2]), [], "too few");
        let twice_cut = (0..100).map(|i| (7, if i % 2 == 0 { 1376 } else { 104 }, true));
        assert_eq!(told(1500, twice_cut), []);
    }

    #[test]
    fn options_take_room_and_say_nothing_of_the_mtu() {
        let told = |header_len| {
            let mut check = MtuCheck::new(1500);
            let ip = Ipv4 {
                src: 7,
                dst: 8,
                id: 9,
                protocol: 17,
                ttl: 64,
                more: true,
                offset: 0,
                header_len,
                payload_len: 1472,
            };
            (0..100).for_each(|_| check.observe_header(&ip));
            check.take().is_some()
        };
        assert!(told(20) && !told(24) && !told(28));
    }

    #[test]
    fn who_invents_senders_costs_neither_memory_nor_a_line() {
        assert_eq!(told(1500, (0..10_000).map(|i| (i, 1472, true))), []);
        // Among them one that is there.
        let found = told(1500, (0..100).flat_map(|i| [(1000 + i, 8, true), (7, 1440, true)]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].theirs(), (1460, 1467));
        let repeated = (0..10_000).flat_map(|i| [(i, 1472, true); 3]);
        assert_eq!(told(1500, repeated).len(), TOLD);
    }

    #[test]
    fn two_found_at_once_are_told_one_after_the_other() {
        let mut check = MtuCheck::new(1500);
        for _ in 0..ENOUGH {
            check.observe(1, 1472, true);
            check.observe(2, 1464, true);
        }
        assert_eq!(check.take().map(|m| m.peer), Some(1));
        check.observe(2, 1464, true);
        assert_eq!(check.take().map(|m| m.peer), Some(2));
        check.observe(2, 1464, true);
        assert_eq!(check.take(), None);
    }

    proptest! {
        /// A sender of any MTU is told of if its fragments differ from ours, and its MTU is among those
        /// named.
        #[test]
        fn the_mtu_is_among_those_named(ours in 576_u16..=9216, theirs in 576_u16..=9216) {
            let stride = |mtu| Geometry::new(mtu).expect("in range").stride() as u16;
            let found = told(ours, [(1, stride(theirs), true); 3]);
            prop_assert_eq!(found.is_empty(), stride(ours) == stride(theirs));
            for found in found {
                let (least, largest) = found.theirs();
                prop_assert!((least..=largest).contains(&theirs));
            }
        }
    }
}
