//! [`Stations`]: which stations of a wire are nodes of LM's, for a program that only reads ARP frames while
//! another one answers them, such as a kernel.
//!
//! lmd has one: it tells it each ARP frame from the wire, and asks it before it sends a datagram. Its memory
//! is bounded. A group gets the first fragment first, and so does a station whose ARP frames have no mark. A
//! station of which nothing was heard gets the last fragment first.

use std::collections::{HashMap, VecDeque};

use super::{Mark, Order};
use crate::wire::{Arp, Mac};

/// Stations that are remembered for their ARP frames.
const STATIONS: usize = 1024;
/// Addresses that are remembered for their tags.
const TAGGED: usize = 64;

/// What stations said of themselves, by hardware address: a datagram for somebody behind a router goes to the
/// router, and the order has to suit that. Who was heard of first is forgotten first.
#[derive(Clone, Debug, Default)]
pub struct Stations {
    are_lm: HashMap<Mac, bool>,
    oldest: VecDeque<Mac>,
    tagged: VecDeque<u32>,
}

impl Stations {
    /// How many of them said by ARP that they are nodes of LM's.
    pub fn nodes(&self) -> usize {
        self.are_lm.values().filter(|is_lm| **is_lm).count()
    }

    /// Learns from a frame if it is ARP.
    pub fn hear(&mut self, frame: &[u8]) {
        let Some(arp) = Arp::parse(frame) else { return };
        // What it says of itself now counts.
        self.tagged.retain(|&tagged| tagged != arp.sender);
        if self.are_lm.insert(arp.sender_mac, Mark::is_on(frame, &arp)).is_none() {
            self.oldest.push_back(arp.sender_mac);
            if self.oldest.len() > STATIONS
                && let Some(oldest) = self.oldest.pop_front()
            {
                self.are_lm.remove(&oldest);
            }
        }
    }

    /// A datagram with LM's tag came from this address.
    pub fn heard_tag(&mut self, address: u32) {
        if !self.tagged.contains(&address) {
            if self.tagged.len() >= TAGGED {
                self.tagged.pop_front();
            }
            self.tagged.push_back(address);
        }
    }

    /// The order that suits a datagram for this address which goes to that station.
    pub fn order(&self, to: Mac, address: u32) -> Order {
        let is_lm = || self.tagged.contains(&address) || self.are_lm.get(&to) != Some(&false);
        if to[0] & 1 == 0 && is_lm() { Order::Reverse } else { Order::Forward }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::BROADCAST;

    const PEER: Mac = [2, 0, 0, 0, 0, 1];
    const AT: u32 = 0x0a01_0001;

    fn says(mac: Mac, sender: u32, mark: bool) -> [u8; 60] {
        let arp = Arp { operation: Arp::REPLY, sender_mac: mac, sender, target_mac: [2; 6], target: 1 };
        let mut frame = arp.frame([2; 6]);
        if mark {
            Mark::put(&mut frame);
        }
        frame
    }

    #[test]
    fn the_last_word_of_a_station_counts() {
        let mut stations = Stations::default();
        assert_eq!(stations.order(PEER, AT), Order::Reverse, "nothing was heard");
        for (mark, order) in [(false, Order::Forward), (true, Order::Reverse), (false, Order::Forward)] {
            stations.hear(&says(PEER, AT, mark));
            assert_eq!(stations.order(PEER, AT), order);
            assert_eq!(stations.nodes(), usize::from(mark));
            // Behind a router: as suits that.
            assert_eq!(stations.order(PEER, AT + 9), order);
        }
        stations.heard_tag(AT);
        assert_eq!(stations.order(PEER, AT), Order::Reverse);
        assert_eq!(stations.order(PEER, AT + 9), Order::Forward);
        stations.hear(&says(PEER, AT, false));
        assert_eq!(stations.order(PEER, AT), Order::Forward, "it has become a kernel");
    }

    #[test]
    fn groups_get_forward_order() {
        let mut stations = Stations::default();
        stations.heard_tag(AT);
        for to in [BROADCAST, [1, 0, 0x5e, 0, 0, 1]] {
            assert_eq!(stations.order(to, AT), Order::Forward);
        }
    }

    #[test]
    fn inventions_are_a_bounded_number() {
        let mut stations = Stations::default();
        for i in 0..5000_u32 {
            let [_, _, high, low] = i.to_be_bytes();
            stations.hear(&says([2, 1, 0, 0, high, low], AT + i, i % 2 == 0));
            stations.heard_tag(AT + i);
        }
        assert_eq!((stations.are_lm.len(), stations.oldest.len()), (STATIONS, STATIONS));
        assert_eq!(stations.tagged.len(), TAGGED);
        let [_, _, high, low] = 4999_u32.to_be_bytes();
        assert_eq!(stations.order([2, 1, 0, 0, high, low], 1), Order::Forward, "the newest is known");
    }
}
