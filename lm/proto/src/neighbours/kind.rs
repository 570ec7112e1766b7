//! Which neighbours are nodes of LM's: by the mark in their ARP frames, and by the tags of their datagrams.
//!
//! `lm-node` reports the tags, and asks before it sends, because LM sends in reverse order only to nodes of
//! LM's. What was heard last counts. Anybody can forge a mark or a tag, so nothing is proven by them. At most
//! 64 addresses without an entry are remembered.

use super::Neighbours;
use crate::order::Mark;
use crate::wire::MIN_FRAME;

/// The most addresses without an entry that are remembered because of their tags.
pub(super) const TAGGED: usize = 64;

impl Neighbours {
    /// Whether a neighbour is a node of LM's, by what was heard of it last. `None`: nothing was heard.
    pub fn is_lm(&self, address: u32) -> Option<bool> {
        let known = self.peers.get(&address).or_else(|| self.strangers.get(&address));
        known.and_then(|known| known.lm).or_else(|| self.tagged.contains(&address).then_some(true))
    }

    /// Notes that a datagram with LM's tag came from this address.
    pub fn heard_tag(&mut self, address: u32) {
        if let Some(known) = self.peers.get_mut(&address).or_else(|| self.strangers.get_mut(&address)) {
            known.lm = Some(true);
        } else if !self.tagged.contains(&address) {
            // The table has no entry of ARP's for it: the address is fixed, or was not needed so far.
            if self.tagged.len() >= TAGGED {
                self.tagged.pop_front();
            }
            self.tagged.push_back(address);
        }
    }
}

/// The same frame with LM's mark. This node is its sender.
pub(super) fn marked(mut frame: [u8; MIN_FRAME]) -> [u8; MIN_FRAME] {
    Mark::put(&mut frame);
    frame
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::{Arp, Mac};

    const US: (Mac, u32) = ([2, 0, 0, 0, 0, 1], 0x0a01_0001);
    const PEER: (Mac, u32) = ([2, 0, 0, 0, 0, 2], 0x0a01_0002);
    const NOW: Duration = Duration::from_secs(1);

    /// The peer asks for us.
    fn question(mark: bool) -> [u8; MIN_FRAME] {
        let (sender_mac, sender) = PEER;
        let arp = Arp { operation: Arp::REQUEST, sender_mac, sender, target_mac: [0; 6], target: US.1 };
        let frame = arp.frame(US.0);
        if mark { marked(frame) } else { frame }
    }

    #[test]
    fn the_last_word_counts_whether_arp_or_a_tag() {
        let mut table = Neighbours::new(US.0, US.1);
        assert_eq!(table.is_lm(PEER.1), None);
        // Before anybody has an entry, and then with one.
        for _ in 0..2 {
            table.heard_tag(PEER.1);
            assert_eq!(table.is_lm(PEER.1), Some(true));
            let answer = table.hear(&question(false), NOW).expect("an answer");
            assert_eq!(table.is_lm(PEER.1), Some(false), "it has become a kernel");
            let arp = Arp::parse(&answer).expect("ARP");
            assert!(
                Mark::is_on(&answer, &arp) && (arp.sender_mac, arp.sender) == US,
                "we are a node of LM's"
            );
        }
        table.hear(&question(true), NOW);
        assert_eq!(table.is_lm(PEER.1), Some(true));
    }

    #[test]
    fn a_fixed_neighbour_is_what_it_says() {
        let mut table = Neighbours::new(US.0, US.1);
        table.insert(PEER.1, PEER.0);
        table.hear(&question(false), NOW);
        assert_eq!(table.is_lm(PEER.1), None, "its entry is not of ARP's");
        table.heard_tag(PEER.1);
        assert_eq!(table.is_lm(PEER.1), Some(true));
    }

    #[test]
    fn invented_tags_are_a_bounded_number() {
        let mut table = Neighbours::new(US.0, US.1);
        for i in 0..1000 {
            table.heard_tag(i);
        }
        assert_eq!(table.tagged.len(), TAGGED);
        assert_eq!((table.is_lm(0), table.is_lm(999)), (None, Some(true)));
    }
}
