//! [`UnderWay`]: a burst that is being fed to a sink, whose mbufs go back to the pool even if the sink
//! panics.
//!
//! An mbuf that is out counts as one that a driver has: its slot comes back with it when the driver is done
//! ([`LandingPool::reclaim`]). So no mbuf may stay out while somebody has the token of its slot.

use std::mem::ManuallyDrop;
use std::ptr;

use dpdk_sys::rte_mbuf;

use crate::pool::LandingPool;

/// The mbufs of a burst, and their pool.
pub(super) struct UnderWay<'a> {
    pub(super) pool: &'a mut LandingPool,
    mbufs: &'a [*mut rte_mbuf],
}

impl<'a> UnderWay<'a> {
    /// # Safety
    /// The mbufs came from the queue that the pool feeds, and nobody uses them when this ends. What is
    /// recycled by others is none of these, and is not chained to one.
    #[inline]
    pub(super) unsafe fn new(pool: &'a mut LandingPool, mbufs: &'a [*mut rte_mbuf]) -> Self {
        Self { pool, mbufs }
    }

    /// All frames were taken, and none is a chain any more.
    #[inline]
    pub(super) fn end(self) {
        let mut this = ManuallyDrop::new(self);
        let mbufs = this.mbufs;
        // SAFETY: `new`'s caller promised.
        unsafe { this.pool.recycle(mbufs) };
    }
}

impl Drop for UnderWay<'_> {
    /// The sink has panicked. The slots of frames that it was not given are lost.
    #[cold]
    fn drop(&mut self) {
        for &head in self.mbufs {
            // SAFETY: `new`'s caller promised.
            while let Some(behind) = unsafe { unchain(head) } {
                // SAFETY: as above; it hangs behind no other any more.
                unsafe { self.pool.recycle(&[behind]) };
            }
        }
        // SAFETY: as above.
        unsafe { self.pool.recycle(self.mbufs) };
    }
}

/// Takes the second mbuf out of a chain. `None`: there is none, and the first is alone now.
///
/// # Safety
/// A valid chain, nobody else's.
pub(super) unsafe fn unchain(head: *mut rte_mbuf) -> Option<*mut rte_mbuf> {
    // SAFETY: the caller's promise.
    unsafe {
        let second = (*head).next;
        if second.is_null() {
            (*head).nb_segs = 1;
            return None;
        }
        (*head).next = (*second).next;
        (*second).next = ptr::null_mut();
        (*second).nb_segs = 1;
        Some(second)
    }
}
