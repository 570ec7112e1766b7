//! [`Message`]: a datagram that is proven whole. It gives its memory back when it is dropped.
//!
//! The engine makes messages, and a receiver's closure gets them. Reading a message never copies, except
//! where a function says so. Any thread may use and drop it.

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
/// Any thread may have it. Its memory goes back to the landing region when it is dropped. Messages that are
/// kept for long make the region grow, and exhaust it in the end.
///
/// No function copies the payload unless its documentation says so.
pub struct Message {
    /// What is known of the datagram, without the carried sum, which `contents` has.
    whole: Whole,
    contents: Unchanged,
    /// How many frames that are not LM's came before it in its poll.
    behind: usize,
    service: Option<Service>,
}

impl Message {
    #[inline]
    pub(crate) fn new(whole: Whole, payload: Payload) -> Self {
        let contents = Unchanged::new(payload, whole.carried);
        Self { whole: Whole { carried: None, ..whole }, contents, behind: 0, service: None }
    }

    /// The same message, after this many frames that are not LM's, and with this service in its header.
    #[inline]
    pub(crate) fn came(self, behind: usize, service: Option<Service>) -> Self {
        Self { behind, service, ..self }
    }

    /// The type of service and the time to live that it came with. If one of its fragments met congestion,
    /// that is marked (RFC 3168, section 5.3). `None`: the headers were overwritten when the datagram landed.
    pub fn service(&self) -> Option<Service> {
        self.service
    }

    /// How many frames that are not LM's waited to be taken when it became whole. These came before it, and
    /// all others came after it.
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

    /// Sender and destination, as the engine has them.
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

    /// The payload where it landed, in order. A datagram that landed in one piece, or was copied together, is
    /// one slice. A datagram whose fragments came to separate slots, as those of a kernel do, is one slice
    /// for each fragment. No slice is empty, and an empty message has none.
    #[inline]
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.contents.payload().pieces()
    }

    /// The payload as one slice, without a copy. `None`: it lies in several [pieces](Self::pieces).
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        self.contents.payload().as_slice()
    }

    /// The payload as one slice. If it lies in several [pieces](Self::pieces), they are copied together,
    /// once, into memory that is allocated for them, and their slots go back. From then on
    /// [`is_copied`](Self::is_copied) is true, and the receiver counts these bytes as copied.
    #[inline]
    pub fn contiguous(&mut self) -> &[u8] {
        self.contents.contiguous()
    }

    /// The payload as one slice that may be changed, copied together as by [`contiguous`](Self::contiguous).
    ///
    /// The checksum and digest that it came with are forgotten. If it is sent on, they are computed again.
    pub fn contiguous_mut(&mut self) -> &mut [u8] {
        self.contents.bytes_mut()
    }

    /// The UDP checksum and the order digest that it came with. If it is sent on, they are sent with it, and
    /// the payload is not read. `None`: the sender computed no checksum, or the payload may have changed
    /// since.
    pub fn carried(&self) -> Option<&Carried> {
        self.contents.carried()
    }

    /// Forgets the checksum and digest that it came with. If it is sent on, they are computed again.
    pub fn forget_carried(&mut self) {
        self.contents.forget();
    }

    /// What proved that it is whole.
    pub fn proof(&self) -> WholeBy {
        self.whole.by
    }

    /// The number of fragments in which it came.
    pub fn fragments(&self) -> usize {
        self.whole.fragments.into()
    }

    /// Whether its payload was copied to make it whole.
    pub fn is_copied(&self) -> bool {
        self.contents.payload().is_copied()
    }

    /// How many bytes were copied to make it whole: none, or all.
    pub fn copied(&self) -> usize {
        if self.is_copied() { self.whole.len } else { 0 }
    }

    /// The payload as an mbuf of one segment from `pool`, without a copy. The mbuf has no headroom and no
    /// tailroom. Any thread may use it, and the memory goes back when it is freed.
    ///
    /// # Errors
    /// The message, if the pool is empty, or if the payload lies in several pieces, was copied together, or
    /// lies across a break that devices cannot cross.
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
