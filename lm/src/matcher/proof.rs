//! What proves that the end of a run is one datagram, whole, and its fragments in order.

use super::Matcher;
use crate::checksum::{self, Digest};
use crate::counters::Reason;
use crate::ground::{Ground, WholeBy};
use crate::intact::same_datagram;
use crate::layout::{Layout, TAG};
use crate::tag::{Identity, Tag};
use crate::wire::{self, Flow, Ipv4, Udp};

/// Where a datagram ends, in the order of arrival: its first fragment.
pub(super) struct End {
    pub(super) ip: Ipv4,
    pub(super) udp: Udp,
    /// Its index in the log.
    pub(super) z: usize,
    /// Its headers are known to be intact.
    pub(super) intact: bool,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Matcher<B> {
    /// The layout under which the end of the run is one datagram: LM's own first (true), then any stack's.
    pub(super) fn shape(&self, udp: &Udp) -> Option<(Layout, bool)> {
        let frames = self.log.len() - self.run;
        let len = usize::from(udp.len);
        if !(wire::UDP..=wire::MAX_IP_PAYLOAD).contains(&len) {
            return None;
        }
        // The usual case: the whole run, cut as LM cuts.
        match Layout::fit(self.config.geometry, len, frames) {
            Some(layout) if layout.ends_with(self.log[self.run].len.into()) => Some((layout, true)),
            _ => self.shape_of_some(len),
        }
    }

    fn shape_of_some(&self, len: usize) -> Option<(Layout, bool)> {
        let geometry = self.config.geometry;
        let fits = |layout: &Layout| {
            let n = layout.fragments();
            n <= self.log.len() - self.run && layout.ends_with(self.log[self.log.len() - n].len.into())
        };
        let ours = Layout::of_udp(geometry, len);
        if fits(&ours) {
            return Some((ours, true));
        }
        let plain = Layout::plain(geometry, len);
        fits(&plain).then_some((plain, false))
    }

    /// What the bytes prove that are a tag if LM sent the datagram that ends with `log[z]`; `None` if it has none.
    pub(super) fn tag_of<G: Ground<Buf = B>>(
        &self,
        layout: &Layout,
        identity: &Identity,
        z: usize,
        ground: &G,
    ) -> Option<Option<Tag>> {
        let stride = self.config.geometry.stride();
        let at = layout.tag()?;
        // It is the end of the last fragment, so of the frame that came first.
        let index = layout.fragments() - 1;
        let start = self.log[z - index].at + (at - index * stride);
        let tag = ground.bytes(start, TAG).first_chunk::<TAG>().copied().unwrap_or_default();
        Some(identity.check(tag))
    }

    /// Whether the datagram that ends with `log[z]` is whole, and by what the policy accepts, if that isn't a tag.
    ///
    /// - *headers*: all of them intact and in agreement, and a UDP checksum, if there is one, good;
    /// - *tags*: the end tag agrees with the first fragment;
    /// - *checksum*: the UDP checksum is there and good, a tag where LM puts one agrees, and the order is
    ///   proven: by the tag's digest, by an identification that is the digest where no tag has room, or
    ///   because only one order is possible.
    #[inline(never)]
    pub(super) fn prove<G: Ground<Buf = B>>(
        &self,
        layout: &Layout,
        tagged: bool,
        tag: Option<Option<Tag>>,
        end: &End,
        ground: &G,
    ) -> Result<WholeBy, Reason> {
        let proof = self.prove_as(layout, tagged, tag, end, ground);
        if tagged && proof == Err(Reason::BadTag) {
            // A last fragment padded to the minimum can be LM's or another stack's.
            let plain = Layout::plain(self.config.geometry, layout.udp_len());
            let n = layout.fragments();
            if plain.fragments() == n && plain.ends_with(self.log[end.z + 1 - n].len.into()) {
                return self.prove_as(&plain, false, None, end, ground);
            }
        }
        proof
    }

    fn prove_as<G: Ground<Buf = B>>(
        &self,
        layout: &Layout,
        tagged: bool,
        tag: Option<Option<Tag>>,
        end: &End,
        ground: &G,
    ) -> Result<WholeBy, Reason> {
        let End { ip, udp, z, intact } = end;
        let (z, intact) = (*z, *intact);
        let require = self.config.require;
        let n = layout.fragments();
        let first = z + 1 - n;
        let by_headers = require.headers && intact && self.all_seen(ip, first, z);
        if udp.checksum == 0 {
            return if by_headers { Ok(WholeBy::Headers) } else { Err(Reason::Unproven) };
        }
        if !by_headers && !require.checksum {
            return Err(Reason::Unproven);
        }
        let mut digest = Digest::new();
        for i in 0..n {
            let piece = layout.piece(i);
            digest.push(checksum::piece(ground.bytes(self.log[z - i].at + piece.start, piece.len())));
        }
        let flow = Flow { src: ip.src, dst: ip.dst, src_port: udp.src_port, dst_port: udp.dst_port };
        if !checksum::udp_ok(&flow, udp, digest.sum()) {
            return Err(Reason::BadChecksum);
        }
        if by_headers {
            return Ok(WholeBy::Headers);
        }
        let forced = n <= 2 || (n == 3 && self.log[first].len != self.full);
        let ordered = match tag {
            Some(None) => return Err(Reason::BadTag),
            Some(Some(Tag::Ordered(order))) => order == digest.finish(),
            Some(Some(Tag::Ends)) => forced,
            None if tagged && layout.tag().is_none() => ip.id == digest.finish16(),
            None => forced,
        };
        if ordered { Ok(WholeBy::Checksum) } else { Err(Reason::OrderUnproven) }
    }

    /// Whether the headers of `log[first..z]` were all intact and make one datagram with `ip`, the first's.
    fn all_seen(&self, ip: &Ipv4, first: usize, z: usize) -> bool {
        let from = self.seen.partition_point(|&(i, _)| (i as usize) < first);
        let seen = &self.seen[from..];
        let stride = self.config.geometry.stride();
        let others = seen.iter().filter(|&&(i, _)| (i as usize) < z);
        others.clone().count() == z - first
            && others.into_iter().all(|(i, h)| {
                let i = *i as usize;
                same_datagram(h, ip) && h.offset as usize == (z - i) * stride && h.more == (i != first)
            })
    }

    /// Whether all headers of `log[first..z]` were intact and are of one datagram, in whatever order.
    pub(super) fn knows_all(&self, ip: &Ipv4, first: usize, z: usize) -> bool {
        let known =
            self.seen.iter().filter(|(i, h)| (first..z).contains(&(*i as usize)) && same_datagram(h, ip));
        known.count() == z - first
    }
}
