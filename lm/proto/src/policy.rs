//! The receiver's policy: which datagrams it accepts ([`Accept`]), and with which proof ([`Require`]).
//! [`Whole`] is a datagram that satisfies both.
//!
//! The application sets the policy, and the matcher follows it. A datagram is delivered only with one of the
//! proofs that the policy names. `docs/proof.md` has the rules.

use crate::carried::Carried;
use crate::wire::{Flow, Mac};

/// What proved that a datagram is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WholeBy {
    /// Every fragment's header was seen.
    Headers,
    /// The UDP checksum agrees, and so does what proves the fragments' order.
    Checksum,
    /// The end tag ties the last fragment to the first, on a queue that is kept clean.
    Tags,
}

impl WholeBy {
    /// The name of the proof in logs and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Checksum => "checksum",
            Self::Tags => "tags",
        }
    }
}

/// What counts as proof that a datagram is whole: any one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Require {
    /// Every header seen (and the UDP checksum good where there is one).
    pub headers: bool,
    /// UDP checksum and order digest.
    pub checksum: bool,
    /// End tags; only on a granted or steered queue.
    pub tags: bool,
}

impl Default for Require {
    fn default() -> Self {
        Self { headers: true, checksum: true, tags: false }
    }
}

/// The datagrams that a receiver takes. All others are treated as strangers' frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    /// Only this destination address.
    pub address: Option<u32>,
    /// Only this destination port.
    pub port: Option<u16>,
    /// Only datagrams that came in several fragments. A datagram in one frame is given out as that frame with
    /// its headers, unless they were overwritten where it landed.
    pub fragmented: bool,
    /// Only what was sent to this hardware address, to a group or to everybody, as far as headers are intact.
    pub mac: Option<Mac>,
}

impl Accept {
    /// Whether a datagram of this flow is taken.
    ///
    /// ```
    /// use lm_proto::{policy::Accept, wire::Flow};
    /// let flow = Flow { src: 1, dst: 2, src_port: 3, dst_port: 4 };
    /// assert!(Accept::default().takes(&flow));
    /// assert!(!Accept { port: Some(5), ..Accept::default() }.takes(&flow));
    /// ```
    #[inline]
    pub fn takes(&self, flow: &Flow) -> bool {
        self.address.is_none_or(|a| a == flow.dst) && self.port.is_none_or(|p| p == flow.dst_port)
    }

    /// Whether a frame that begins with these bytes is for another host on the link.
    ///
    /// ```
    /// use lm_proto::policy::Accept;
    /// let accept = Accept { mac: Some([2, 0, 0, 0, 0, 1]), ..Accept::default() };
    /// assert!(accept.is_for_another(&[2, 0, 0, 0, 0, 9, 8]));
    /// assert!(!accept.is_for_another(&[2, 0, 0, 0, 0, 1, 8]));
    /// assert!(!accept.is_for_another(&[1, 0, 0x5e, 0, 0, 1, 8]), "a group");
    /// assert!(!Accept::default().is_for_another(&[2, 0, 0, 0, 0, 9, 8]));
    /// ```
    #[inline]
    pub fn is_for_another(&self, frame: &[u8]) -> bool {
        self.mac.is_some_and(|mac| is_to_another(mac, frame))
    }
}

/// Whether a frame goes to one host, and not to this one. It is no part of the functions that ask, because
/// only lmd's ports have to know.
#[inline(never)]
pub(crate) fn is_to_another(mac: Mac, frame: &[u8]) -> bool {
    frame.first_chunk().is_some_and(|to: &Mac| to[0] & 1 == 0 && *to != mac)
}

/// A datagram that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its addresses and ports.
    pub flow: Flow,
    /// Bytes of UDP payload.
    pub len: usize,
    /// The number of fragments in which it came.
    pub fragments: u16,
    /// What proved it.
    pub by: WholeBy,
    /// The UDP checksum and order digest that it came with. `None`: its sender computed no checksum.
    pub carried: Option<Carried>,
}
