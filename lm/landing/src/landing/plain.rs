//! [`Plain`] and [`Single`] recognise a received mbuf without special properties by two comparisons.
//!
//! The receive queue checks every frame in this way. All other mbufs are handled by the slower
//! `LandingPool::received`.

use dpdk_sys::rte_mbuf;

use super::HEADROOM;

/// What a received mbuf of an overlapping slot looks like when there is nothing special about it.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    pub(super) buf_len: u16,
}

impl Plain {
    /// Whether its slot is an overlapping one.
    ///
    /// # Safety
    /// A valid mbuf, nobody else's.
    #[inline]
    pub(crate) unsafe fn overlaps(self, mbuf: *const rte_mbuf) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (*mbuf).buf_len == self.buf_len }
    }

    /// What all mbufs of a queue have in common that are one segment, with the usual headroom, if this is
    /// one.
    ///
    /// # Safety
    /// As for [`Plain::overlaps`].
    #[inline]
    pub(crate) unsafe fn single(mbuf: *const rte_mbuf) -> Option<Single> {
        const fn words(data_off: u16, nb_segs: u16) -> u64 {
            let (d, n) = (data_off.to_ne_bytes(), nb_segs.to_ne_bytes());
            u64::from_ne_bytes([d[0], d[1], 0, 0, n[0], n[1], 0, 0])
        }
        const MASK: u64 = words(u16::MAX, u16::MAX);
        const PLAIN: u64 = words(HEADROOM as u16, 1);
        // SAFETY: the caller's promise.
        let rearm = unsafe { rearm(mbuf) };
        (rearm & MASK == PLAIN).then_some(Single(rearm))
    }
}

/// data_off, refcnt, nb_segs and port of a [plain](Plain) mbuf: read as one word.
#[derive(Clone, Copy)]
pub(crate) struct Single(u64);

impl Single {
    /// Whether another one has the same.
    ///
    /// # Safety
    /// As for [`Plain::overlaps`].
    #[inline]
    pub(crate) unsafe fn fits(self, mbuf: *const rte_mbuf) -> bool {
        // SAFETY: the caller's promise.
        unsafe { rearm(mbuf) == self.0 }
    }
}

/// The word of [`Single`].
///
/// # Safety
/// As for [`Plain::overlaps`].
#[inline]
unsafe fn rearm(mbuf: *const rte_mbuf) -> u64 {
    // SAFETY: the caller's promise. DPDK lays data_off, refcnt, nb_segs and port side by side so that they
    // can be read together (`rearm_data`), aligned to 8 bytes.
    unsafe { (&raw const (*mbuf).data_off).cast::<u64>().read() }
}
