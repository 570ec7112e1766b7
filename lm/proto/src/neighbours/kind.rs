//! Which neighbours are nodes of LM's: by the mark in their ARP frames, and by the tags of their datagrams.

use super::Neighbours;
use crate::order::Mark;
use crate::wire::MIN_FRAME;

/// Addresses without an entry that are remembered for their tags.
pub(super) const TAGGED: usize = 64;

impl Neighbours {
    /// Whether a neighbour is a node of LM's, by the last that it said of itself; `None`: it said nothing.
    pub fn is_lm(&self, address: u32) -> Option<bool> {
        let known = self.peers.get(&address).or_else(|| self.strangers.get(&address));
        known.and_then(|known| known.lm).or_else(|| self.tagged.contains(&address).then_some(true))
    }

    /// A datagram with LM's tag came from this address.
    pub fn heard_tag(&mut self, address: u32) {
        if let Some(known) = self.peers.get_mut(&address).or_else(|| self.strangers.get_mut(&address)) {
            known.lm = Some(true);
        } else if !self.tagged.contains(&address) {
            // Nobody has said where it is: it was given, or is not needed.
            if self.tagged.len() >= TAGGED {
                self.tagged.pop_front();
            }
            self.tagged.push_back(address);
        }
    }
}

/// The same frame, with the mark of its sender, which we are.
pub(super) fn marked(mut frame: [u8; MIN_FRAME]) -> [u8; MIN_FRAME] {
    Mark::put(&mut frame);
    frame
}
