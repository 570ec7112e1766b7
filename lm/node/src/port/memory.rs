//! Computes how much memory a port needs for sending, and for frames that are not LM's.
//!
//! [`NodePort`](super::NodePort) makes its pools by it when it opens and starts. The numbers depend on the
//! number of descriptors and on what the driver keeps, not on the traffic: later nothing is added.

use lm_engine::sender::COPIED;
use lm_landing::device::Traits;
use lm_proto::layout::Geometry;
use rte::Eal;
use rte::mempool::{Mempool, PoolError};

/// The number of buffers to send from. This many datagrams can be in flight, however large they are.
const SEND_BUFFERS: usize = 32;
/// The fewest mbufs for headers. A message that is sent on takes two a frame and one more, so the number is
/// four times what the buffers need.
const HEADER_MBUFS: u32 = 4095;
/// Bytes of such an mbuf with its headroom. A frame that is cheaper to copy than to point at fits in whole.
pub(crate) const HEADER_ROOM: u16 = 128 + COPIED as u16;
/// mbufs for headers beyond the descriptors, each of which may keep one. They suffice for a datagram at the
/// smallest MTU, and for what lcores keep in their caches.
const MORE_HEADERS: u32 = 1023;
/// mbufs that frames which are not LM's are copied to.
const STRANGER_MBUFS: u32 = 511;

/// The mbufs of a port beside those that datagrams land in.
pub(crate) struct Pools {
    pub(crate) headers: Mempool,
    pub(crate) strangers: Mempool,
}

impl Pools {
    /// Pools for a port with `txd` descriptors to send from. `name` is part of their names.
    pub(crate) fn create(
        eal: &Eal,
        name: &str,
        txd: u16,
        head_room: u16,
        mtu: u16,
        socket: Option<u32>,
    ) -> Result<Self, PoolError> {
        let n = HEADER_MBUFS.max(u32::from(txd) + MORE_HEADERS);
        let headers = Mempool::pktmbuf(eal, &format!("heads_{name}"), n, 128, 0, head_room, socket)?;
        let (strangers, room) = (format!("strangers_{name}"), mtu + 128 + 64);
        let strangers = Mempool::pktmbuf(eal, &strangers, STRANGER_MBUFS, 32, 0, room, socket)?;
        Ok(Self { headers, strangers })
    }

    /// Expects what the driver keeps. net_memif's zero-copy client never gives back the mbufs of frames that
    /// its peer has not taken.
    pub(crate) fn expect(&self, traits: &Traits) {
        if traits.keeps_posted {
            self.headers.expect_driver_keeps();
        }
    }
}

/// The number of buffers to send from. Some drivers keep what they have sent until the descriptor's turn
/// comes again. With one buffer more than descriptors, one buffer is free even then.
pub(crate) fn send_buffers(traits: &Traits, txd: u16) -> usize {
    if traits.keeps_sent { usize::from(txd) + 1 } else { SEND_BUFFERS }
}

/// The most descriptors in use, where the ring must never be full. The descriptors that are left free have
/// room for the largest datagram, in three segments a frame.
pub(crate) fn in_flight(traits: &Traits, txd: u16, geometry: Geometry) -> Option<u32> {
    let room = txd.saturating_sub(3 * geometry.max_fragments() as u16);
    traits.full_ring_overwrites.then(|| u32::from(room.max(1)))
}
