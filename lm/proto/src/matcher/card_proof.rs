//! What the card reports of the frames of a datagram, as far as it can prove or contradict.
//!
//! A frame with another identification belongs to another datagram. Identifications and sums together prove a
//! datagram where frames keep their order on the way; `docs/proof.md` says where that is.

use super::Matcher;
use super::proof::First;
use crate::alf;
use crate::card::Card;
use crate::checksum;
use crate::frame::{Head, Slots};
use crate::layout::Layout;
use crate::raw_headers::RawHeaders;
use crate::slot_memory::SlotMemory;
use crate::wire::{ETHERNET, Flow, Udp};

/// The sums of the bytes behind a UDP datagram: those inside its IP packet, and those after the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Behind {
    inside: u64,
    outside: u64,
}

/// The sum of the Ethernet header that a frame begins with.
pub(super) fn ethernet(head: &Head) -> u64 {
    checksum::sum(&head[..ETHERNET])
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// What is known of the card and its words.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// One that is believed from now on: the log is empty.
    #[cfg(any(test, feature = "mock"))]
    pub fn believe(&mut self, card: Card) {
        self.card = card;
        self.log.keep_words();
    }

    /// Notes that an intact header of a fragment says this identification, and that its frame has this word.
    #[inline]
    pub(super) fn hear(&mut self, word: Option<u32>, id: u16) {
        if let Some(word) = word {
            self.card.hear(word, id);
            self.listen();
        }
    }

    /// Nobody knows any more which frame a word of the card's is of: they are not used from here on.
    #[cold]
    pub fn lose_words(&mut self) {
        self.card.lose();
        self.listen();
    }

    /// Keeps words only as long as they may be of use.
    #[inline]
    pub(super) fn listen(&mut self) {
        if !self.card.is_heard() || !self.card.is_needed() {
            self.log.drop_words();
        }
    }

    /// Keeps words again if they may be of use. No frame waits in the log.
    #[inline]
    pub(super) fn listen_again(&mut self) {
        if !self.log.keeps_words() && self.card.is_heard() && self.card.is_needed() {
            self.log.keep_words();
        }
    }

    /// Whether the card's word does not contradict that frame `index` is of a datagram with this
    /// identification.
    pub(super) fn is_of(&self, index: usize, id: u16) -> bool {
        self.log.word(index).is_none_or(|word| self.card.allows(word, id))
    }

    /// Whether a datagram with these headers came over no router, and so in the order in which it was sent.
    /// LM always sends with the same time to live, and a router decreases it.
    #[inline]
    pub(super) fn keeps_order(ttl: u8) -> bool {
        ttl == alf::TTL
    }

    /// The sums of the bytes behind a datagram that ends with `log[z]`.
    fn behind<M: SlotMemory<Buf = B, Slots = S>>(&self, layout: &Layout, z: usize, memory: &M) -> Behind {
        let (stride, n) = (self.config.geometry.stride(), layout.fragments());
        let sum = |from: usize, to: usize| {
            let mut sum = 0;
            for i in from / stride..n {
                let (start, base) = (from.max(i * stride), i * stride);
                let end = to.min(if i + 1 < n { base + stride } else { usize::MAX });
                if start < end {
                    let part = checksum::sum(self.log.piece(z - i, start - base..end - base, memory));
                    let part = checksum::fold_sum(part);
                    // A sum that begins at an odd byte has its two bytes exchanged.
                    sum += u64::from(if start % 2 == 0 { part } else { part.swap_bytes() });
                }
            }
            sum
        };
        let landed = (n - 1) * stride + self.log[z + 1 - n].payload_len();
        let (udp, ip) = (layout.udp_len(), layout.ip_len().min(landed));
        Behind { inside: sum(udp, ip), outside: sum(ip, landed) }
    }

    /// The sum of a datagram's payload by the card's words, if they tell it.
    pub(super) fn sum_of_card<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        first: &First,
        memory: &M,
    ) -> Option<u64> {
        let First { udp, layout, z, ethernet, .. } = first;
        let words = self.words_of(layout, *z);
        if words.is_empty() || self.card.is_due() {
            return None;
        }
        let sum = self.card.sum(words, *ethernet)?;
        let behind = self.behind(layout, *z, memory);
        let outside = self.card.of_trailer(behind.outside)?;
        let header = checksum::sum(&udp.bytes());
        Some(checksum::without(sum, header + behind.inside + outside))
    }

    /// Compares the computed sum of a datagram's payload with the card's words, if it is time for that.
    pub(super) fn compare_sums<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        first: &First,
        payload: u64,
        memory: &M,
    ) {
        let First { udp, layout, z, ethernet, .. } = first;
        if self.words_of(layout, *z).is_empty() || !self.card.may_learn() {
            return;
        }
        let behind = self.behind(layout, *z, memory);
        let inside = checksum::sum(&udp.bytes()) + payload + behind.inside;
        let words = self.log.words_from(z + 1 - layout.fragments());
        self.card.compare(words, *ethernet, (inside, behind.outside));
        self.listen();
    }

    /// The words of a datagram that ends with `log[z]`. None, if words are not kept, or if it has one frame:
    /// nobody knows what a card says of a frame that is not a fragment.
    fn words_of(&self, layout: &Layout, z: usize) -> &[u32] {
        match layout.fragments() {
            1 => &[],
            n => self.log.words_from(z + 1 - n),
        }
    }

    /// Whether the card's words do not contradict that all frames of a datagram are its own, and whether they
    /// say so of each frame.
    pub(super) fn hear_of(&mut self, first: &First) -> (bool, bool) {
        self.hear(self.log.word(first.z), first.packet.ip.id);
        let (words, id) = (self.words_of(&first.layout, first.z), first.packet.ip.id);
        (self.card.allow(words, id), !words.is_empty() && self.card.binds(words, id))
    }

    /// Whether a run, all of whose frames lie in place, is proven to be the datagram with a good tag that its
    /// first fragment's headers and `udp` make it: by the words of its frames alone. Where there are no
    /// identifications, the caller knows that the lengths force the order.
    pub(super) fn is_proven_by_card<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        headers: RawHeaders,
        (flow, udp): (&Flow, &Udp),
        ethernet: u64,
        memory: &M,
    ) -> bool {
        let Some(words) = self.log.run_words() else { return false };
        let bound = self.card.sums_alone() || self.card.binds(words, headers.id());
        if udp.checksum == 0 || self.card.is_due() || !bound {
            return false;
        }
        let Some(sum) = self.card.sum(words, ethernet) else { return false };
        let n = words.len();
        let Some(layout) = Layout::fit(self.config.geometry, udp.len.into(), n) else { return false };
        self.unfold();
        let behind = self.behind(&layout, self.log.len() - 1, memory);
        let Some(outside) = self.card.of_trailer(behind.outside) else { return false };
        let all = checksum::without(sum, behind.inside + outside);
        checksum::udp_all_ok(flow, udp.len, all)
    }
}
