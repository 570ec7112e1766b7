//! [`Message`]: a datagram that is proven whole. It gives its memory back when it is dropped.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use lm_landing::Payload;
use rte::Mbuf;
use rte::mempool::Mempool;

use lm_proto::carried::Carried;
use lm_proto::policy::{Whole, WholeBy};
use lm_proto::service::Service;
use lm_proto::wire::Flow;

use crate::unchanged::Unchanged;

/// A delivered datagram: its UDP payload where it landed, in one piece or in several, or, if it was copied,
/// in a buffer.
///
/// Any thread may have it. Its memory goes back to the landing region when it is dropped. A message that is
/// kept for long makes the region grow, and exhausts it in the end.
///
/// Nothing here copies unless its documentation says so.
pub struct Message {
    /// But for what its sender said of the payload, which `contents` has.
    whole: Whole,
    contents: Unchanged,
    /// Frames that are not LM's that came before it in its poll.
    behind: usize,
    service: Option<Service>,
}

impl Message {
    #[inline]
    pub(crate) fn new(whole: Whole, payload: Payload) -> Self {
        let contents = Unchanged::new(payload, whole.carried);
        Self { whole: Whole { carried: None, ..whole }, contents, behind: 0, service: None }
    }

    /// The same, behind so many frames that are not LM's, and with this in its header.
    #[inline]
    pub(crate) fn came(self, behind: usize, service: Option<Service>) -> Self {
        Self { behind, service, ..self }
    }

    /// The type of service and the time to live that it came with; congestion that one of its fragments met
    /// is marked (RFC 3168, section 5.3). `None`: what landed has overwritten the headers.
    pub fn service(&self) -> Option<Service> {
        self.service
    }

    /// How many frames that are not LM's waited to be taken when it became whole: those came before it, and
    /// the others after it.
    pub fn strangers_before(&self) -> usize {
        self.behind
    }

    /// Who sent it.
    pub fn from(&self) -> SocketAddrV4 {
        let Flow { src, src_port, .. } = self.whole.flow;
        SocketAddrV4::new(Ipv4Addr::from_bits(src), src_port)
    }

    /// Whom it was sent to.
    pub fn to(&self) -> SocketAddrV4 {
        let Flow { dst, dst_port, .. } = self.whole.flow;
        SocketAddrV4::new(Ipv4Addr::from_bits(dst), dst_port)
    }

    /// Both, as the engine has them.
    pub fn flow(&self) -> Flow {
        self.whole.flow
    }

    /// Bytes of payload: 0 to 65,507.
    #[inline]
    pub fn len(&self) -> usize {
        self.whole.len
    }

    /// Whether it has no payload.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload where it landed, in order: one slice for what landed whole or was copied together, and one
    /// for each fragment of a datagram whose fragments came to separate slots, as those of a kernel do. There
    /// may be any number of slices, none of them empty; an empty message has none.
    #[inline]
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.contents.payload().pieces()
    }

    /// The payload as one slice, without a copy; `None`: it lies in several [pieces](Self::pieces).
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        self.contents.payload().as_slice()
    }

    /// The payload as one slice. If it lies in several [pieces](Self::pieces) they are copied together, once,
    /// into memory that is allocated for them, and their slots go back: [`is_copied`](Self::is_copied) is
    /// true from then on, and the receiver's counters have it among what was copied.
    #[inline]
    pub fn contiguous(&mut self) -> &[u8] {
        self.contents.contiguous()
    }

    /// The payload as one slice that may be changed, copied together as by [`contiguous`](Self::contiguous).
    ///
    /// What its sender said of it is forgotten. Sent on, it is a datagram of this node's, summed anew.
    pub fn contiguous_mut(&mut self) -> &mut [u8] {
        self.contents.bytes_mut()
    }

    /// What its sender said of the payload: the end-to-end checksum and the order digest, with which it is
    /// sent on unread. `None`: it computed no checksum, or the payload could have been changed since.
    pub fn carried(&self) -> Option<&Carried> {
        self.contents.carried()
    }

    /// Forgets that: sent on, the payload is read and summed once more.
    pub fn forget_carried(&mut self) {
        self.contents.forget();
    }

    /// How it is known to be whole.
    pub fn proof(&self) -> WholeBy {
        self.whole.by
    }

    /// In how many fragments it came.
    pub fn fragments(&self) -> usize {
        self.whole.fragments.into()
    }

    /// Whether its payload was copied to make it whole.
    pub fn is_copied(&self) -> bool {
        self.contents.payload().is_copied()
    }

    /// Bytes that were copied to make it whole: none, or all.
    pub fn copied(&self) -> usize {
        if self.is_copied() { self.whole.len } else { 0 }
    }

    /// The payload as an mbuf of one segment from `pool`, which any thread may use, without a copy, head- or
    /// tailroom. Its memory goes back when the mbuf is freed.
    ///
    /// # Errors
    /// The message, if the pool is empty, or if it lies in several pieces, was copied together from some, or
    /// lies across a break that devices can't cross.
    pub fn into_mbuf(self, pool: &Mempool) -> Result<Mbuf, Self> {
        let Self { whole, contents, behind, service } = self;
        let (payload, carried) = contents.into_parts();
        payload
            .into_mbuf(pool)
            .map_err(|payload| Self::new(Whole { carried, ..whole }, payload).came(behind, service))
    }

    pub(crate) fn into_parts(self) -> (Whole, Payload) {
        let (payload, carried) = self.contents.into_parts();
        (Whole { carried, ..self.whole }, payload)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("whole", &self.whole).field("copied", &self.copied()).finish()
    }
}
