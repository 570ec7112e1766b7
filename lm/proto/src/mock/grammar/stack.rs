//! [`Stack`]: how a sender cuts its datagrams, and in which order their fragments go.
//!
//! `grammar` and `live` choose senders by it. [`Stack::lives`] says which undisturbed datagrams must be
//! delivered; it knows the rules of `docs/proof.md` on its own, and does not ask the code under test.

use super::super::case::Case;
use super::super::frames::{lm_frames, plain_frames, without_checksum};
use crate::alf::ChecksumMode;
use crate::frame::Slot;
use crate::layout::{Geometry, Layout};
use crate::policy::Require;
use crate::wire::{self, Flow, HEADERS, UDP};

/// A kind of sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// LM, with a UDP checksum and an order digest.
    Lm,
    /// LM, without a UDP checksum and an order digest.
    LmZero,
    /// A kernel: in forward order.
    Kernel,
    /// A kernel, without a UDP checksum.
    KernelZero,
    /// Another stack: last fragment first, no tag.
    Reverse,
}

/// The longest payload behind which an IP packet has room for a tag, in bytes.
const IN_PACKET: usize = 65_499;

impl Stack {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Lm, Self::LmZero, Self::Kernel, Self::KernelZero, Self::Reverse];

    /// The frames of a datagram, in the order in which they are sent.
    pub fn frames(self, geometry: Geometry, flow: Flow, id: u16, payload: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::Lm => lm_frames(geometry, flow, id, payload, ChecksumMode::Full),
            Self::LmZero => lm_frames(geometry, flow, id, payload, ChecksumMode::Zero),
            Self::Kernel => plain_frames(geometry, flow, id, payload),
            Self::KernelZero => without_checksum(plain_frames(geometry, flow, id, payload)),
            Self::Reverse => plain_frames(geometry, flow, id, payload).into_iter().rev().collect(),
        }
    }

    pub(super) fn is_lm(self) -> bool {
        matches!(self, Self::Lm | Self::LmZero)
    }

    pub(super) fn has_checksum(self) -> bool {
        !matches!(self, Self::LmZero | Self::KernelZero)
    }

    /// Whether datagrams of `len` bytes must be delivered if nothing disturbs them. `alike`: all datagrams of
    /// the stream have this length.
    pub fn lives(self, case: &Case, len: usize, alike: bool) -> bool {
        let Require { headers, checksum, tags } = case.require;
        let tagged = self.is_lm() && Layout::new(case.geometry, len).is_some_and(|l| l.tag().is_some());
        let fits = len + UDP + wire::IPV4 <= usize::from(case.geometry.mtu());
        let fragments = if fits { 1 } else { (len + UDP).div_ceil(case.geometry.stride()) };
        let checked = checksum && self.has_checksum();
        match case.slot {
            // A tag in the trailer is read of frames that landed alone.
            Slot::Separate => headers || checked || (tags && tagged && len <= IN_PACKET),
            _ if self.is_lm() => keeps_guard(case.geometry, len) && (checked || (tags && tagged)),
            // Headers tell the order, where each is read in time.
            _ if case.synchronous && case.burst == 1 => headers || checked,
            _ => {
                checked
                    && alike
                    && self == Self::Kernel
                    && fragments == 2
                    && names_its_source(case.geometry, len)
            }
        }
    }
}

/// Whether the last fragment of LM's datagrams of this length does not reach the headers above it. Close to
/// 65,507 bytes there may be no room for the padding that ensures this.
pub(in crate::mock) fn keeps_guard(geometry: Geometry, len: usize) -> bool {
    Layout::new(geometry, len).is_some_and(|l| {
        let last = l.fragment_len(l.fragments() - 1);
        last + HEADERS <= geometry.stride()
    })
}

/// Whether enough is left of a first fragment's header when the second of two has landed below it.
pub(in crate::mock) fn names_its_source(geometry: Geometry, len: usize) -> bool {
    const BEFORE_ADDRESSES: usize = 26;
    let stride = geometry.stride();
    len + UDP - stride <= stride - HEADERS + BEFORE_ADDRESSES
}
