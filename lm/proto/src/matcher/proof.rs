//! Proves that the end of a run is one whole datagram with its fragments in order.
//!
//! The rules are a table in `docs/proof.md`. In short, for a datagram that landed last fragment first:
//!
//! 1. The first fragment's header is intact. Without it, no proof is tried.
//! 2. Every other known header must match: identification, addresses, place, lengths. If one does not match,
//!    or if there is a tag that does not agree, the run is not delivered, whatever else agrees.
//! 3. *headers*: all of them are known.
//! 4. *tags*: the tag agrees.
//! 5. *checksum*: the UDP checksum is good, and the tag agrees and proves the order. Without a tag all
//!    headers must be known, because a sum of 16 bits does not distinguish senders.
//!
//! What the card reports of the frames (`card_proof`) can contradict as a header can, and can replace the
//! pass over the payload.

use super::Matcher;
use crate::carried::Carried;
use crate::checksum::{self, Digest};
use crate::counters::Reason;
use crate::frame::Slots;
use crate::layout::{Layout, TAG};
use crate::packet::Packet;
use crate::policy::WholeBy;
use crate::slot_memory::SlotMemory;
use crate::tag::{Identity, Tag};
use crate::wire::{self, FCS, MIN_FRAME, Udp};

/// The first fragment of a datagram, which came last.
pub(super) struct First {
    /// Its header, which is intact.
    pub(super) packet: Packet,
    pub(super) udp: Udp,
    pub(super) identity: Identity,
    /// How the datagram lies in the frames of the log.
    pub(super) layout: Layout,
    pub(super) tag: TagState,
    /// Its index in the log.
    pub(super) z: usize,
    /// The sum of its Ethernet header.
    pub(super) ethernet: u64,
}

/// What the bytes behind the UDP datagram are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagState {
    /// LM's tag, which agrees with the first fragment.
    Good(Tag),
    /// Bytes at the place of a tag that are no tag, or another datagram's.
    Bad,
    /// Nothing: the datagram is cut as any other stack does it, and only zeroes pad its last frame.
    Absent,
    /// There is no room for one: the identification is the digest if LM sent it.
    NoRoom,
}

/// Why a datagram is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// All its frames are certainly of one datagram, and this is wrong with the datagram.
    Certain(Reason),
    /// Its frames may be of several datagrams.
    Other,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// The layout under which the end of the run is one datagram, and what is behind it: LM's own layout
    /// first, if there is anything where its tag would be; then any stack's.
    pub(super) fn shape<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        identity: &Identity,
        memory: &M,
    ) -> Option<(Layout, TagState)> {
        let geometry = self.config.geometry;
        let (len, z) = (usize::from(identity.udp_len), self.log.len() - 1);
        if !(wire::UDP..=wire::MAX_IP_PAYLOAD).contains(&len) {
            return None;
        }
        let fits = |layout: &Layout| {
            let n = layout.fragments();
            n <= self.log.len() - self.log.run() && layout.ends_with(self.log[z + 1 - n].len.into())
        };
        let ours = Layout::of_udp(geometry, len);
        if fits(&ours) {
            let state = self.tag_of(&ours, identity, z, memory);
            if state != TagState::Absent {
                return Some((ours, state));
            }
        }
        let plain = Layout::plain(geometry, len);
        (fits(&plain) && self.is_padded_with_zeroes(&plain, z + 1 - plain.fragments(), memory))
            .then_some((plain, TagState::Absent))
    }

    /// The bytes at the place where a datagram that ends with `log[z]` would have its tag.
    fn tag_of<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        layout: &Layout,
        identity: &Identity,
        z: usize,
        memory: &M,
    ) -> TagState {
        let Some(at) = layout.tag() else { return TagState::NoRoom };
        let stride = self.config.geometry.stride();
        // It is the end of the last fragment, so of the frame that came first.
        let index = layout.fragments() - 1;
        let from = at - index * stride;
        let tag = self
            .log
            .piece(z - index, from..from + TAG, memory)
            .first_chunk::<TAG>()
            .copied()
            .unwrap_or_default();
        match identity.check(tag) {
            Some(tag) => TagState::Good(tag),
            // In a padded frame, the last bytes of the place may be a check sequence's.
            None if self.is_padded_with_zeroes(layout, z - index, memory) => TagState::Absent,
            None => TagState::Bad,
        }
    }

    /// Whether nothing but zeroes stands behind the UDP datagram whose last fragment is `log[index]`, but for
    /// a frame check sequence.
    pub(super) fn is_padded_with_zeroes<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        layout: &Layout,
        index: usize,
        memory: &M,
    ) -> bool {
        let (frame, end) = (&self.log[index], layout.piece(layout.fragments() - 1).end);
        let mut len = frame.payload_len();
        if usize::from(frame.len) == MIN_FRAME + FCS
            || (usize::from(frame.len) > MIN_FRAME && len == end + FCS)
        {
            len -= FCS;
        }
        self.log.piece(index, end..len.max(end), memory).iter().all(|&b| b == 0)
    }

    /// Whether the datagram is whole, and by what the policy accepts; and what its sender said of its
    /// payload.
    #[inline(never)]
    pub(super) fn prove<M: SlotMemory<Buf = B, Slots = S>>(
        &mut self,
        first: &First,
        memory: &M,
    ) -> Result<(WholeBy, Option<Carried>), Doubt> {
        let First { packet, udp, identity, layout, tag, z, .. } = first;
        let (n, require) = (layout.fragments(), self.config.require);
        let Some(known) = self.known(first) else { return Err(Doubt::Other) };
        let heard = n > 1 && self.log.keeps_words();
        let (may_be, is_of_one) = if heard { self.hear_of(first) } else { (true, false) };
        if *tag == TagState::Bad || !may_be {
            return Err(Doubt::Other);
        }
        let by_headers = known == n - 1;
        let bound = matches!(tag, TagState::Good(_));
        if bound {
            self.tagged.set(Some(packet.ip.src));
        }
        let certain = |reason| if bound || by_headers { Doubt::Certain(reason) } else { Doubt::Other };
        if by_headers && self.marks_clash(z + 1 - n, packet.ecn()) {
            return Err(Doubt::Certain(Reason::Ecn));
        }
        // The payload is not read. Its checksum and digest are kept, to be sent on with it.
        let told = match tag {
            TagState::Good(tag) => Carried::new(self.config.geometry, udp, tag.order()),
            TagState::NoRoom => Carried::new(self.config.geometry, udp, Some(packet.ip.id.into())),
            TagState::Bad | TagState::Absent => Carried::new(self.config.geometry, udp, None),
        };
        if require.tags && bound {
            if self.card.is_comparing() {
                let payload = self.digest(layout, |i| z - i, memory).sum();
                self.compare_sums(first, payload, memory);
            }
            return Ok((WholeBy::Tags, told));
        }
        if udp.checksum == 0 {
            return if by_headers && require.headers {
                Ok((WholeBy::Headers, None))
            } else {
                Err(certain(Reason::Unproven))
            };
        }
        if !(require.checksum || by_headers && require.headers) {
            return Err(certain(Reason::Unproven));
        }
        if !by_headers && *tag == TagState::Absent {
            return Err(Doubt::Other);
        }
        let by_sum = if require.headers && by_headers { WholeBy::Headers } else { WholeBy::Checksum };
        let order_known = || {
            let kept = is_of_one && Self::keeps_order(packet.ip.ttl);
            let forced = bound && self.is_order_forced(n, z + 1 - n);
            by_headers || forced || (kept && (bound || *tag == TagState::NoRoom))
        };
        if heard
            && order_known()
            && let Some(payload) = self.sum_of_card(first, memory)
            && checksum::udp_ok(&identity.flow, udp, payload)
        {
            self.card.proved(1);
            return Ok((by_sum, told));
        }
        // Frames that a tag ties together are summed once, and then delivered or dropped. So this work is not
        // charged to the budget, and an attacker who uses the budget up cannot keep a good datagram from
        // being proven.
        if !bound && !self.can_sum(n) {
            return Err(Doubt::Other);
        }
        let digest = self.digest(layout, |i| z - i, memory);
        if heard {
            self.compare_sums(first, digest.sum(), memory);
        }
        if !checksum::udp_ok(&identity.flow, udp, digest.sum()) {
            return Err(certain(Reason::BadChecksum));
        }
        let carried = Carried::summed(self.config.geometry, layout, udp, &digest);
        if by_headers {
            return Ok((by_sum, carried));
        }
        let ordered = match tag {
            TagState::Good(Tag::Ordered(order)) => *order == digest.finish(),
            TagState::Good(Tag::Ends) => self.is_order_forced(n, z + 1 - n),
            TagState::NoRoom => packet.ip.id == digest.finish16(),
            TagState::Bad | TagState::Absent => false,
        };
        if ordered { Ok((WholeBy::Checksum, carried)) } else { Err(certain(Reason::OrderUnproven)) }
    }

    /// Whether only one order of so many fragments is possible, of which the last is `log[last]`.
    pub(super) fn is_order_forced(&self, n: usize, last: usize) -> bool {
        n <= 2 || (n == 3 && self.log[last].len != self.full)
    }

    /// The digest of a datagram whose piece `i` lies in the frame that `index` says.
    fn digest<M: SlotMemory<Buf = B, Slots = S>>(
        &self,
        layout: &Layout,
        index: impl Fn(usize) -> usize,
        memory: &M,
    ) -> Digest {
        let n = layout.fragments();
        if self.log.is_one_token(index(0), index(n - 1)) {
            // Nearly always one request for the bytes is enough.
            let end = layout.udp_len().max(wire::UDP);
            return digest_of(layout, self.log.piece(index(0), wire::UDP..end, memory));
        }
        let mut digest = Digest::new();
        for i in 0..n {
            digest.push(checksum::piece(self.log.piece(index(i), layout.piece(i), memory)));
        }
        digest
    }

    /// How many headers of the other fragments are known. `None`: one of them contradicts the datagram.
    fn known(&self, first: &First) -> Option<usize> {
        let First { packet, layout, z, .. } = first;
        let (oldest, key) = (z + 1 - layout.fragments(), packet.key());
        let stride = self.config.geometry.stride();
        let others = self.log.seen_from(oldest).iter().filter(|&&(i, _)| (i as usize) < *z);
        let mut known = 0;
        for (i, header) in others {
            let place = z - *i as usize;
            let (len, more) = (layout.ip_fragment_len(place), *i as usize != oldest);
            if !header.is_piece(&key, place * stride, len, more) {
                return None;
            }
            known += 1;
        }
        Some(known)
    }

    /// Whether the ECN marks of a first fragment and of the known others exclude each other (RFC 3168,
    /// section 5.3).
    fn marks_clash(&self, oldest: usize, ecn: u8) -> bool {
        let marks = self.log.seen_from(oldest).iter().map(|(_, p)| p.ecn()).chain([ecn]);
        wire::marks_clash(marks.fold(0, |all, ecn| all | 1 << ecn))
    }
}

/// The digest of a payload that lies in one piece, cut as `layout` says.
#[inline]
pub(super) fn digest_of(layout: &Layout, payload: &[u8]) -> Digest {
    let (mut digest, mut rest) = (Digest::new(), payload);
    for i in 0..layout.fragments() {
        let (piece, behind) = rest.split_at(layout.piece(i).len().min(rest.len()));
        digest.push(checksum::piece(piece));
        rest = behind;
    }
    digest
}
