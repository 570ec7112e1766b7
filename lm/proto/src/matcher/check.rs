//! Checks a datagram all of whose headers are intact, wherever its bytes lie: whether it is whole, whether it
//! is taken here, and what the policy takes as proof.
//!
//! `single` and `standalone` call it for datagrams in one frame, `keep` for datagrams whose fragments wait,
//! and `standalone` for reassembled ones. The UDP length, which the wire claims, is checked here before it is
//! used.

use super::Matcher;
use super::proof::digest_of;
use crate::carried::Carried;
use crate::checksum::{self, Digest};
use crate::counters::Reason;
use crate::frame::Slots;
use crate::layout::{Layout, TAG};
use crate::policy::{Whole, WholeBy};
use crate::reassembler::Key;
use crate::tag::{self, Identity};
use crate::wire::{self, Flow, Udp};

impl<B: AsRef<[u8]> + AsMut<[u8]>, S: Slots> Matcher<B, S> {
    /// Checks a datagram all of whose headers were seen. `payload` is its UDP header, and all of the IP
    /// payload behind that, with a tag if there is one. The result says what the policy takes as proof. It
    /// counts one fragment: a caller that knows of more sets their number. `None`: the datagram is not taken
    /// here.
    ///
    /// # Errors
    /// Why the datagram is dropped.
    pub(super) fn check_udp(
        &self,
        key: &Key,
        payload: Option<(Udp, &[u8])>,
    ) -> Result<Option<Whole>, Reason> {
        let (udp, behind) = payload.ok_or(Reason::BadUdpLength)?;
        self.check_datagram([key.src, key.dst], key.id, &udp, behind)
    }

    /// [`Self::check_udp`] by the addresses, the identification, and the bytes `behind` the UDP header.
    #[inline]
    pub(super) fn check_datagram(
        &self,
        addresses: [u32; 2],
        ip_id: u16,
        udp: &Udp,
        behind: &[u8],
    ) -> Result<Option<Whole>, Reason> {
        let tag = |at: usize| behind.get(at - wire::UDP..)?.first_chunk::<TAG>().copied();
        let sum = |layout: &Layout, ordered: bool| {
            let data = behind.get(..layout.udp_len() - wire::UDP).unwrap_or_default();
            if !ordered {
                return (checksum::sum(data), None);
            }
            let digest = digest_of(layout, data);
            (digest.sum(), Some(digest))
        };
        self.check_wherever(addresses, ip_id, udp, wire::UDP + behind.len(), tag, sum)
    }

    /// [`Self::check_udp`] of a datagram with `total` bytes of IP payload, wherever they are. `tag` returns
    /// the bytes of a tag at a place of the IP payload, if they are there. `sum` returns the sum of the UDP
    /// payload, and the digest of its pieces if it is asked for and can be had.
    #[inline]
    pub(super) fn check_wherever(
        &self,
        addresses: [u32; 2],
        ip_id: u16,
        udp: &Udp,
        total: usize,
        tag: impl FnOnce(usize) -> Option<[u8; TAG]>,
        sum: impl FnOnce(&Layout, bool) -> (u64, Option<Digest>),
    ) -> Result<Option<Whole>, Reason> {
        let len = usize::from(udp.len);
        if len < wire::UDP || len > total {
            return Err(Reason::BadUdpLength);
        }
        let (geometry, flow) = (self.config.geometry, Flow::of(addresses, udp));
        if !self.config.accept.takes(&flow) {
            return Ok(None);
        }
        let layout = Layout::of_udp(geometry, len);
        // Other bytes at the place of a tag are another stack's padding. Here they contradict nothing,
        // because all headers are known.
        let bytes = layout.tag().and_then(tag).filter(|bytes| tag::is_tag(*bytes));
        let mut carried = None;
        if udp.checksum != 0 {
            // A program that sends a datagram of LM's on needs its digest, which costs little more than the
            // sum.
            let ordered = layout.fragments() > 1 && (bytes.is_some() || layout.tag().is_none());
            let (sum, digest) = sum(&layout, ordered);
            if !checksum::udp_ok(&flow, udp, sum) {
                return Err(Reason::BadChecksum);
            }
            carried = match digest {
                Some(digest) => Carried::summed(geometry, &layout, udp, &digest),
                None => Carried::new(geometry, udp, None),
            };
        }
        let identity = Identity { flow, ip_id, udp_len: udp.len, udp_checksum: udp.checksum };
        if bytes.is_some_and(|bytes| identity.check(bytes).is_none()) {
            return Err(Reason::BadTag);
        }
        if bytes.is_some() {
            self.tagged.set(Some(flow.src));
        }
        let require = self.config.require;
        let by = if require.headers {
            WholeBy::Headers
        } else if require.checksum && udp.checksum != 0 {
            WholeBy::Checksum
        } else if require.tags && bytes.is_some() {
            WholeBy::Tags
        } else {
            return Err(Reason::Unproven);
        };
        Ok(Some(Whole { flow, len: len - wire::UDP, fragments: 1, by, carried }))
    }
}
