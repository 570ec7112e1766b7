//! [`Neighbours`]: who has which hardware address, fixed or learnt by ARP (RFC 826).

use std::collections::HashMap;

use crate::wire::{Arp, BROADCAST, MIN_FRAME, Mac};

/// A table of neighbours, and our own addresses, for which it answers.
#[derive(Clone, Debug)]
pub struct Neighbours {
    mac: Mac,
    address: u32,
    fixed: HashMap<u32, Mac>,
    learnt: HashMap<u32, Mac>,
}

/// Learnt addresses at most: a stranger who invents them gains nothing.
const LEARNT: usize = 1024;

impl Neighbours {
    /// An empty table for the node that has these addresses.
    pub fn new(mac: Mac, address: u32) -> Self {
        Self { mac, address, fixed: HashMap::new(), learnt: HashMap::new() }
    }

    /// Our hardware address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Our address.
    pub fn address(&self) -> u32 {
        self.address
    }

    /// Fixes an address; ARP no longer changes it.
    pub fn insert(&mut self, address: u32, mac: Mac) {
        self.fixed.insert(address, mac);
    }

    /// The hardware address of a neighbour, if it is known.
    pub fn lookup(&self, address: u32) -> Option<Mac> {
        self.fixed.get(&address).or_else(|| self.learnt.get(&address)).copied()
    }

    /// Learns from a frame if it is ARP, and says what to answer if it asks for us. `None`: nothing to send.
    pub fn hear(&mut self, frame: &[u8]) -> Option<[u8; MIN_FRAME]> {
        let arp = Arp::parse(frame)?;
        let usable = arp.sender != 0 && arp.sender != self.address && arp.sender_mac[0] & 1 == 0;
        // Only whom we know or who speaks to us: RFC 826's merge flag.
        if usable && (arp.target == self.address || self.learnt.contains_key(&arp.sender)) {
            if self.learnt.len() >= LEARNT && !self.learnt.contains_key(&arp.sender) {
                return None;
            }
            self.learnt.insert(arp.sender, arp.sender_mac);
        }
        arp.reply(self.address, self.mac)
    }

    /// The frame that asks for a neighbour's hardware address.
    pub fn ask(&self, address: u32) -> [u8; MIN_FRAME] {
        Arp {
            operation: Arp::REQUEST,
            sender_mac: self.mac,
            sender: self.address,
            target_mac: [0; 6],
            target: address,
        }
        .frame(BROADCAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = [2, 0, 0, 0, 0, 1];
    const B: Mac = [2, 0, 0, 0, 0, 2];

    #[test]
    fn two_nodes_learn_each_other() {
        let (mut a, mut b) = (Neighbours::new(A, 1), Neighbours::new(B, 2));
        let answer = b.hear(&a.ask(2)).expect("b answers");
        assert_eq!(b.lookup(1), Some(A));
        assert_eq!(a.hear(&answer), None);
        assert_eq!(a.lookup(2), Some(B));
    }

    #[test]
    fn fixed_addresses_stay_and_strangers_are_not_learnt() {
        let mut a = Neighbours::new(A, 1);
        a.insert(2, B);
        let liar = Neighbours::new([2, 9, 9, 9, 9, 9], 2);
        a.hear(&liar.ask(1));
        assert_eq!(a.lookup(2), Some(B));
        let other = Neighbours::new(B, 3);
        assert_eq!(a.hear(&other.ask(4)), None);
        assert_eq!(a.lookup(3), None);
        assert_eq!(a.hear(&[0; 10]), None);
    }
}
