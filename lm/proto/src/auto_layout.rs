//! [`AutoLayout`]: chooses the layout of a queue's next slots by what has arrived.
//!
//! Slots overlap only while LM alone seems to send. The rules:
//!
//! While slots are separate:
//!
//! - A datagram counts if it has two fragments or more, if they arrived last first and directly one behind
//!   the other, and if it would be proven in overlapping slots too (its tag or identification has the order
//!   digest, or the policy accepts tags). When enough have been counted, slots overlap.
//! - The count starts again at a first fragment that arrives before the others of its datagram, and at
//!   fragments in forward order. Slots that were about to overlap stay separate.
//! - The count starts again at fragments of two datagrams in turn, at a stranger's frame, and at a broken
//!   header.
//! - A datagram in one frame, and a datagram of LM that lost a fragment, change nothing.
//!
//! While slots overlap:
//!
//! - A datagram that landed adds to the credit: a quarter of its frames, up to [`AutoLayout::CREDIT`].
//! - If a run cannot be proven because headers are missing, and does not look like LM's, slots are separate
//!   again at once.
//! - If such a run looks like LM's (a frame was lost, or two LM senders sent at once), its frames are
//!   subtracted from the credit. Without credit slots are separate again.
//!
//! Mixed traffic must not change the layout again and again. So each return to separate slots doubles the
//! number of datagrams that are needed, up to [`AutoLayout::MOST`]. The number is halved only when
//! [`AutoLayout::LASTING`] datagrams have landed without trouble. An attacker who sends tagged datagrams from
//! a forged address, to bring a node into overlapping slots, needs more and more of them for each ring of
//! frames that others lose.
//!
//! The state is a few words, whatever arrives.

use crate::frame::Slot;
use crate::reassembler::Key;

/// The datagram that is arriving last fragment first.
#[derive(Clone, Copy, Debug)]
struct Coming {
    key: Key,
    /// Where its newest fragment begins.
    at: u32,
    /// None is missing so far.
    intact: bool,
}

/// The choice between overlapping and separate slots of one queue. No clock: it counts datagrams.
#[derive(Clone, Copy, Debug)]
pub struct AutoLayout {
    overlapping: bool,
    /// Datagrams that are needed before slots overlap.
    needed: u32,
    /// Datagrams of these that have come in a row.
    seen: u32,
    coming: Option<Coming>,
    /// Quarters of frames of LM's that may still be lost.
    credit: u32,
    /// Datagrams that landed since the last trouble.
    clean: u64,
    /// Whether a datagram has landed, or a run was in doubt, since slots overlap. Before that one unproven
    /// run is forgiven, because it may have been on its way when the layout changed.
    settled: bool,
}

impl AutoLayout {
    /// Datagrams that are needed at first.
    pub const FIRST: u32 = 16;
    /// And at most.
    pub const MOST: u32 = 1 << 20;
    /// Datagrams that land without trouble until half as many are needed another time.
    pub const LASTING: u64 = 1 << 16;
    /// Frames of LM's that may be lost in a row before slots are separate again.
    pub const CREDIT: u32 = 256;
    /// Quarters of a frame in one.
    const QUARTERS: u32 = 4;

    /// Slots that are laid so at first: separate, unless something keeps others out.
    pub fn new(first: Slot) -> Self {
        Self {
            overlapping: first == Slot::Overlapping,
            needed: Self::FIRST,
            seen: 0,
            coming: None,
            credit: Self::CREDIT,
            clean: 0,
            settled: true,
        }
    }

    /// How the next slots are to be laid.
    #[inline]
    pub fn slot(&self) -> Slot {
        if self.overlapping { Slot::Overlapping } else { Slot::Separate }
    }

    /// Datagrams that have to come before slots overlap again.
    pub fn needed(&self) -> u32 {
        self.needed - self.seen.min(self.needed)
    }

    /// A fragment of this datagram came to a separate slot: `len` bytes at `offset`, and `more` behind them.
    /// True: it is the first one, and all others came before it, the last one first.
    pub fn fragment(&mut self, key: Key, offset: u32, len: u32, more: bool) -> bool {
        let goes_on = self.coming.filter(|coming| more && coming.key == key);
        match goes_on {
            Some(Coming { at, intact, .. }) if offset + len <= at => {
                let intact = intact && offset + len == at;
                self.coming = Some(Coming { key, at: offset, intact }).filter(|_| offset > 0);
                return intact && offset == 0;
            }
            // Forward.
            Some(_) => self.other(),
            None if offset == 0 => self.other(),
            None if !more => self.coming = Some(Coming { key, at: offset, intact: true }),
            // The fragments before it were lost, or it is another sender's.
            None => {
                self.stranger();
                self.coming = Some(Coming { key, at: offset, intact: false });
            }
        }
        false
    }

    /// A datagram that came last fragment first is whole, and would have been proven in overlapping slots.
    pub fn reverse(&mut self) {
        if self.overlapping {
            return;
        }
        self.seen += 1;
        if self.seen >= self.needed {
            self.overlapping = true;
            self.settled = false;
            self.clean = 0;
            self.credit = self.credit.max(Self::CREDIT);
        }
    }

    /// Reports a frame in a separate slot that LM does not send.
    pub fn stranger(&mut self) {
        self.coming = None;
        self.seen = 0;
    }

    /// A datagram came to separate slots whose fragments are not in the order in which LM sends to LM, or
    /// that could not be proven in overlapping ones: the newest slots must not overlap.
    pub fn other(&mut self) {
        self.stranger();
        self.go_back();
    }

    /// So many datagrams landed in overlapping slots, of so many frames in all.
    #[inline]
    pub fn landed(&mut self, datagrams: u64, frames: u64) {
        if !self.overlapping || datagrams == 0 {
            return;
        }
        self.settled = true;
        self.credit =
            u64::from(self.credit).saturating_add(frames).min((Self::QUARTERS * Self::CREDIT).into()) as u32;
        self.clean += datagrams;
        while self.needed > Self::FIRST && self.clean >= Self::LASTING {
            self.clean -= Self::LASTING;
            self.needed = (self.needed / 2).max(Self::FIRST);
        }
    }

    /// A run of so many frames in overlapping slots could not be proven for want of headers. `ours`: it looks
    /// like one of LM's, of which a frame was lost or others came in between. `crosses`: the rest of it may
    /// have come to separate slots.
    pub fn unproven(&mut self, ours: bool, frames: u32, crosses: bool) {
        if !self.overlapping {
            return;
        }
        self.clean = 0;
        if !std::mem::replace(&mut self.settled, true) && crosses {
            return;
        }
        let left = if ours { self.credit.checked_sub(Self::QUARTERS.saturating_mul(frames)) } else { None };
        self.credit = left.unwrap_or(0);
        if left.is_none() {
            self.go_back();
        }
    }

    /// Slots are separate again.
    fn go_back(&mut self) {
        if std::mem::replace(&mut self.overlapping, false) {
            self.needed = self.needed.saturating_mul(2).min(Self::MOST);
            self.seen = 0;
            self.coming = None;
        }
    }
}

#[cfg(test)]
mod tests;
