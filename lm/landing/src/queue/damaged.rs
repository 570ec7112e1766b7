//! [`feed_damaged`]: gives a frame to the sink that lies in several buffers, or not where its slot says.
//!
//! Each buffer took a slot. The mbufs behind the first are recycled here, each before the sink is given the
//! token of its slot, as the sink may panic.

use dpdk_sys::rte_mbuf;

use super::under_way::unchain;
use super::{Behind, FrameSink, Part};
use crate::pool::{Landed, LandingPool};

/// Gives a frame to the sink that lies in several slots, or not where its slot says. `behind` is the frame
/// that was received after it.
///
/// # Safety
/// As for [`feed`](super::feed); nobody has a token of its slots.
#[cold]
#[inline(never)]
pub(super) unsafe fn feed_damaged(
    pool: &mut LandingPool,
    head: *mut rte_mbuf,
    behind: Option<*mut rte_mbuf>,
    sink: &mut impl FrameSink,
) {
    // SAFETY: the caller's promise; segments of a chain are mbufs of the same pool.
    let two = unsafe { !(*head).next.is_null() && (*(*head).next).next.is_null() };
    if two {
        // SAFETY: as above.
        unsafe { feed_two(pool, head, behind, sink) };
        return;
    }
    // SAFETY: as above.
    let landed = unsafe { pool.received(head) };
    sink.take(pool, Landed { damaged: true, ..landed });
    // SAFETY: as above.
    while let Some(mbuf) = unsafe { unchain(head) } {
        // SAFETY: as above; it is not chained any more.
        let landed = unsafe {
            let landed = pool.received(mbuf);
            pool.recycle(&[mbuf]);
            landed
        };
        sink.take(pool, Landed { damaged: true, ..landed });
    }
}

/// [`feed_damaged`] for a frame in two buffers.
///
/// # Safety
/// As for [`feed_damaged`], and there are two.
unsafe fn feed_two(
    pool: &mut LandingPool,
    head: *mut rte_mbuf,
    behind: Option<*mut rte_mbuf>,
    sink: &mut impl FrameSink,
) {
    let mut part = |mbuf: *mut rte_mbuf| {
        // SAFETY: the caller's promise; segments of a chain are mbufs of the same pool.
        unsafe {
            let start = (*mbuf).buf_addr as usize + usize::from((*mbuf).data_off);
            Part { slot: pool.received(mbuf), start }
        }
    };
    // SAFETY: as above.
    let parts = unsafe { [part(head), part((*head).next)] };
    // SAFETY: as above.
    let behind = behind.map(|mbuf| unsafe { Behind { at: pool.place(mbuf), len: (*mbuf).data_len } });
    // SAFETY: as above; it is not chained any more, and its slot is a part's.
    while let Some(mbuf) = unsafe { unchain(head) } {
        // SAFETY: as above.
        unsafe { pool.recycle(&[mbuf]) };
    }
    if let Err(parts) = sink.take_two(pool, parts, behind) {
        parts.into_iter().for_each(|part| sink.take(pool, Landed { damaged: true, ..part.slot }));
    }
}
