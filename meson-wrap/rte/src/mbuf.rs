//! [`Mbuf`]: an owned packet. [`Burst`]: up to `N` packets, as queues take and give them.
//!
//! Both own their packets: dropping them frees the packets, and passing them to a queue gives the ownership
//! away. Shared or foreign data cannot be changed through an [`Mbuf`]. Who takes over raw mbufs or attaches
//! foreign memory must use `unsafe` and keep the promises that are stated there.

use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dpdk_sys::{rte_mbuf, rte_mbuf_ext_shared_info};

use crate::Errno;

/// An owned packet buffer (a chain of segments), given back to its pool on drop.
///
/// It may move to any thread. It is exactly a pointer, so that arrays of it are what burst functions use.
#[derive(Debug)]
#[repr(transparent)]
pub struct Mbuf(NonNull<rte_mbuf>);

// SAFETY: an Mbuf is the only owner of its segments' headers, and their pools accept them on any thread:
// stock pools do, and `from_raw` demands that its caller keeps others in their thread.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Takes a raw mbuf over.
    ///
    /// # Safety
    /// `mbuf` is the valid first segment of a packet that nobody else owns, frees, or changes the data of.
    /// Its pools live as long as it does, and if one of them belongs to one thread, this value stays in that
    /// thread.
    pub unsafe fn from_raw(mbuf: NonNull<rte_mbuf>) -> Self {
        Self(mbuf)
    }

    /// Gives the raw mbuf away. The caller frees it, or passes it on to a function that does.
    pub fn into_raw(self) -> NonNull<rte_mbuf> {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    /// The raw mbuf, valid while this value lives and is not changed.
    pub fn as_ptr(&self) -> *mut rte_mbuf {
        self.0.as_ptr()
    }

    /// The first segment's data.
    #[inline]
    pub fn data(&self) -> &[u8] {
        // SAFETY: a valid segment of ours. Nobody changes its data while this value is borrowed (`from_raw`,
        // `attach_external`, and `data_mut` of another mbuf, which refuses what is shared).
        unsafe { bytes(self.as_ptr()) }
    }

    /// The first segment's data, to change. `None` if another mbuf refers to the same data, or if they lie
    /// in a foreign buffer ([`Mbuf::attach_external`]).
    #[inline]
    pub fn data_mut(&mut self) -> Option<&mut [u8]> {
        // SAFETY: a valid segment of ours.
        let (owns, (start, len)) = unsafe { (owns_data(self.as_ptr()), window(self.as_ptr())) };
        // SAFETY: as in `data`; no other mbuf shows them, and this value is borrowed for as long.
        owns.then(|| unsafe { slice::from_raw_parts_mut(start, len) })
    }

    /// Lengthens the last segment's data by `len` bytes and returns these. They are not cleared. `None` if
    /// there is no room, or as for [`Mbuf::data_mut`].
    ///
    /// What `rte_pktmbuf_append` does, without a call.
    #[inline]
    pub fn append(&mut self, len: u16) -> Option<&mut [u8]> {
        // A packet's length has 32 bits, which only the sum of very many segments exceeds.
        let all = self.pkt_len().checked_add(u32::from(len))?;
        let this = self.as_ptr();
        // SAFETY: segments of a packet of ours are valid, and nobody else looks at these of their fields.
        // From where the data end, the segment's own buffer has room for `len` bytes: that is compared. They
        // are ours alone, and become a part of the data.
        unsafe {
            let last = last(this);
            if !owns_data(last) {
                return None;
            }
            let end = u32::from((*last).data_off) + u32::from((*last).data_len);
            if end + u32::from(len) > u32::from((*last).buf_len) {
                return None;
            }
            // An mbuf of a pool whose handler gives addresses may have none yet.
            let start = NonNull::new((*last).buf_addr.cast::<u8>())?.add(end as usize);
            (*last).data_len += len;
            (*this).pkt_len = all;
            Some(slice::from_raw_parts_mut(start.as_ptr(), usize::from(len)))
        }
    }

    /// Puts `len` bytes in front of the data and returns these. They are not cleared. `None` if there is no
    /// room, or as for [`Mbuf::data_mut`].
    pub fn prepend(&mut self, len: u16) -> Option<&mut [u8]> {
        self.pkt_len().checked_add(u32::from(len))?;
        // SAFETY: a valid segment of ours.
        if !unsafe { owns_data(self.as_ptr()) } {
            return None;
        }
        // SAFETY: a valid packet of ours; DPDK checks the room.
        let start = NonNull::new(unsafe { dpdk_sys::rte_pktmbuf_prepend(self.as_ptr(), len) })?;
        // SAFETY: DPDK has just made these bytes part of the data, which are ours alone.
        Some(unsafe { slice::from_raw_parts_mut(start.as_ptr().cast(), usize::from(len)) })
    }

    /// Removes `len` bytes from the front of the first segment. If it has fewer, nothing changes, and the
    /// result is `false`.
    #[must_use]
    pub fn adj(&mut self, len: u16) -> bool {
        // SAFETY: a valid packet of ours; DPDK checks the length.
        !unsafe { dpdk_sys::rte_pktmbuf_adj(self.as_ptr(), len) }.is_null()
    }

    /// The data of each segment, in order.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let mut next = self.as_ptr();
        std::iter::from_fn(move || {
            let this = NonNull::new(next)?.as_ptr();
            // SAFETY: segments of a packet that this value owns are valid, and unchanged while it is
            // borrowed; their data as in `data`.
            unsafe {
                next = (*this).next;
                Some(bytes(this))
            }
        })
    }

    /// The length of all segments' data, in bytes.
    #[inline]
    pub fn pkt_len(&self) -> u32 {
        // SAFETY: a valid mbuf of ours.
        unsafe { (*self.as_ptr()).pkt_len }
    }

    /// How many segments there are.
    #[inline]
    pub fn nb_segs(&self) -> u16 {
        // SAFETY: a valid mbuf of ours.
        unsafe { (*self.as_ptr()).nb_segs }
    }

    /// The port that received the packet; 65535 if none did.
    pub fn port(&self) -> u16 {
        // SAFETY: a valid mbuf of ours.
        unsafe { (*self.as_ptr()).port }
    }

    /// Appends another packet's segments.
    ///
    /// What `rte_pktmbuf_chain` does, without a call.
    ///
    /// # Errors
    /// Gives `tail` back if there would be more than 65535 segments, or more bytes than 32 bits can count.
    #[inline]
    pub fn chain(&mut self, tail: Self) -> Result<(), Self> {
        let Some(len) = self.pkt_len().checked_add(tail.pkt_len()) else { return Err(tail) };
        let Some(segments) = self.nb_segs().checked_add(tail.nb_segs()) else { return Err(tail) };
        let (head, tail) = (self.as_ptr(), tail.into_raw().as_ptr());
        // SAFETY: both are valid packets that we own, and not the same one, as this is borrowed mutably. The
        // second one becomes a part of the first.
        unsafe {
            (*last(head)).next = tail;
            (*head).nb_segs = segments;
            (*head).pkt_len = len;
            // Only the first segment has the packet's length.
            (*tail).pkt_len = u32::from((*tail).data_len);
        }
        Ok(())
    }

    /// Sets where the data of a packet of one segment begin in their buffer, and how long they are. Returns
    /// `false`, and changes nothing, if that is not inside the buffer or there are more segments.
    #[must_use]
    pub fn set_window(&mut self, offset: u16, len: u16) -> bool {
        let this = self.as_ptr();
        // SAFETY: a valid mbuf of ours, and nobody else looks at these of its fields.
        unsafe {
            if (*this).nb_segs != 1 || u32::from(offset) + u32::from(len) > u32::from((*this).buf_len) {
                return false;
            }
            (*this).data_off = offset;
            (*this).data_len = len;
            (*this).pkt_len = u32::from(len);
        }
        true
    }

    /// Attaches a foreign buffer to a fresh mbuf of one segment, in place of its own. All of the buffer
    /// becomes the data.
    ///
    /// What `rte_pktmbuf_attach_extbuf` does, without a call.
    ///
    /// # Safety
    /// The mbuf is fresh from its pool. `len` bytes from `ptr` (for devices: from `iova`) are valid, and hold
    /// data that nobody else changes, until `shinfo`'s callback is called, which happens on the thread that
    /// drops the last mbuf attached to it. `shinfo` is initialised, its count says how many mbufs are
    /// attached, this one included, and it lives until that callback.
    #[inline]
    pub unsafe fn attach_external(
        &mut self,
        ptr: NonNull<u8>,
        iova: u64,
        len: u16,
        shinfo: NonNull<rte_mbuf_ext_shared_info>,
    ) {
        let this = self.as_ptr();
        // SAFETY: a valid mbuf of ours, and nobody else looks at these of its fields. It says of the buffer
        // what the caller promised.
        unsafe {
            (*this).buf_addr = ptr.as_ptr().cast();
            (*this).buf_iova = iova;
            (*this).buf_len = len;
            (*this).data_off = 0;
            (*this).data_len = len;
            (*this).pkt_len = u32::from(len);
            (*this).ol_flags |= dpdk_sys::RTE_MBUF_F_EXTERNAL;
            (*this).shinfo = shinfo.as_ptr();
        }
    }
}

/// Where a segment's data begin, and how many bytes they are.
///
/// # Safety
/// A valid segment, which nobody changes meanwhile. Its count of references others may change: no reference
/// to the whole of it is made anywhere.
#[inline]
unsafe fn window(segment: *const rte_mbuf) -> (*mut u8, usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let len = usize::from((*segment).data_len);
        if len == 0 {
            // An mbuf of a pool whose handler gives addresses may have none yet.
            return (NonNull::dangling().as_ptr(), 0);
        }
        ((*segment).buf_addr.cast::<u8>().add(usize::from((*segment).data_off)), len)
    }
}

/// A segment's data.
///
/// # Safety
/// As for [`window`]; and nobody changes the data for as long as the caller says that they live.
#[inline]
unsafe fn bytes<'a>(segment: *const rte_mbuf) -> &'a [u8] {
    // SAFETY: `data_len` bytes from `data_off` on lie within the buffer: DPDK, drivers and `set_window` keep
    // it so. The rest is the caller's promise.
    unsafe {
        let (start, len) = window(segment);
        slice::from_raw_parts(start, len)
    }
}

/// Whether a segment's data are in its own buffer and no other mbuf shows them.
///
/// # Safety
/// As for [`window`].
#[inline]
unsafe fn owns_data(segment: *mut rte_mbuf) -> bool {
    const FOREIGN: u64 = dpdk_sys::RTE_MBUF_F_INDIRECT | dpdk_sys::RTE_MBUF_F_EXTERNAL;
    // SAFETY: the caller's promise. Other threads change the count by atomic operations only.
    let (flags, count) = unsafe { ((*segment).ol_flags, AtomicU16::from_ptr(&raw mut (*segment).refcnt)) };
    // Acquire: what was read through mbufs that are gone by now was read before.
    flags & FOREIGN == 0 && count.load(Ordering::Acquire) == 1
}

/// Where other mbufs are counted that show a segment's data.
///
/// # Safety
/// As for [`window`].
unsafe fn shown_by<'a>(segment: *mut rte_mbuf) -> &'a AtomicU16 {
    // SAFETY: the caller's promise. An indirect mbuf shows the room of a direct one, which lies in front of
    // it behind the private bytes (`rte_mbuf_from_indirect`), and lives as long as it is shown.
    unsafe {
        let flags = (*segment).ol_flags;
        let count = if flags & dpdk_sys::RTE_MBUF_F_EXTERNAL != 0 {
            &raw mut (*(*segment).shinfo).refcnt
        } else if flags & dpdk_sys::RTE_MBUF_F_INDIRECT != 0 {
            let before = size_of::<rte_mbuf>() + usize::from((*segment).priv_size);
            &raw mut (*(*segment).buf_addr.byte_sub(before).cast::<rte_mbuf>()).refcnt
        } else {
            &raw mut (*segment).refcnt
        };
        AtomicU16::from_ptr(count)
    }
}

/// While this lives, nobody else attaches mbufs to data that are shown already. DPDK counts who shows them in
/// 16 bits, and does not look whether there is room for more.
pub(crate) struct Showing(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'static, ()>);

impl Showing {
    /// The most mbufs that show the same data. Some drivers add a few (net_bonding).
    const MOST: u32 = u16::MAX as u32 - 1024;

    /// Before so many packets are made that show these segments: each attaches at most one mbuf to a segment,
    /// and one more for each end of a segment within it.
    ///
    /// # Errors
    /// EMLINK: too many mbufs would show a segment's data.
    pub(crate) fn begin(packet: &Mbuf, packets: u16) -> Result<Self, Errno> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let more = u32::from(packets) + u32::from(packet.nb_segs());
        let mut next = packet.as_ptr();
        while let Some(segment) = NonNull::new(next) {
            // SAFETY: segments of a packet that the caller owns are valid, and unchanged while it is
            // borrowed.
            let shown = unsafe {
                next = (*segment.as_ptr()).next;
                shown_by(segment.as_ptr()).load(Ordering::Relaxed)
            };
            if u32::from(shown) + more > Self::MOST {
                return Err(Errno::of_return(-libc::EMLINK));
            }
        }
        Ok(Self(guard))
    }
}

/// The last segment of a packet.
///
/// # Safety
/// A valid packet of the caller's.
#[inline]
unsafe fn last(mut segment: *mut rte_mbuf) -> *mut rte_mbuf {
    // SAFETY: the caller's promise.
    unsafe {
        while !(*segment).next.is_null() {
            segment = (*segment).next;
        }
    }
    segment
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: a valid packet that we own, for the last time.
        unsafe { dpdk_sys::rte_pktmbuf_free(self.as_ptr()) };
    }
}

/// Up to `N` packets, in order, for burst functions. What is left in it is freed on drop.
///
/// It may move to any thread, as its packets may.
#[derive(Debug)]
pub struct Burst<const N: usize> {
    len: usize,
    mbufs: [*mut rte_mbuf; N],
}

// SAFETY: it owns its packets as that many `Mbuf`s would.
unsafe impl<const N: usize> Send for Burst<N> {}

impl<const N: usize> Burst<N> {
    /// Burst functions count in 16 bits.
    const FITS: () = assert!(N > 0 && N <= u16::MAX as usize);

    /// An empty burst.
    pub const fn new() -> Self {
        let () = Self::FITS;
        Self { len: 0, mbufs: [std::ptr::null_mut(); N] }
    }

    /// How many packets there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The packets, first one first. The burst still owns them.
    pub fn as_slice(&self) -> &[*mut rte_mbuf] {
        &self.mbufs[..self.len]
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// Returns the packet if the burst is full.
    pub fn push(&mut self, mbuf: Mbuf) -> Result<(), Mbuf> {
        match self.mbufs.get_mut(self.len) {
            Some(place) => {
                *place = mbuf.into_raw().as_ptr();
                self.len += 1;
                Ok(())
            }
            None => Err(mbuf),
        }
    }

    /// Adds packets from the front of a list, as many as there is room for. The others stay in the list.
    pub fn take_from(&mut self, packets: &mut Vec<Mbuf>) {
        let n = packets.len().min(N - self.len);
        for (place, mbuf) in self.mbufs[self.len..].iter_mut().zip(packets.drain(..n)) {
            *place = mbuf.into_raw().as_ptr();
        }
        self.len += n;
    }

    /// Takes the last packet out.
    pub fn pop(&mut self) -> Option<Mbuf> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: the first `len` places hold valid packets that the burst owns; this one has just left it.
        NonNull::new(self.mbufs[self.len]).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) })
    }

    /// The length of the first packet. `None`: there is none.
    pub fn first_len(&self) -> Option<u32> {
        // SAFETY: the first `len` places hold valid packets that the burst owns.
        self.as_slice().first().map(|&mbuf| unsafe { (*mbuf).pkt_len })
    }

    /// Takes the first packet out.
    pub fn pop_first(&mut self) -> Option<Mbuf> {
        // SAFETY: the first `len` places hold valid packets that the burst owns; this one leaves it below.
        let first = NonNull::new(*self.as_slice().first()?).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) });
        self.forget_first(1);
        first
    }

    /// Takes all packets out, first one first. Those that the iterator does not reach are freed.
    pub fn drain(&mut self) -> Drain<'_, N> {
        self.as_mut_slice().reverse();
        Drain(self)
    }

    /// Frees all packets.
    pub fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    /// The free places, for a burst function to fill, from the first one on.
    pub(crate) fn spare(&mut self) -> &mut [*mut rte_mbuf] {
        &mut self.mbufs[self.len..]
    }

    /// Says that the first `n` free places have been filled.
    ///
    /// # Safety
    /// They hold valid packets, which become the burst's.
    pub(crate) unsafe fn filled(&mut self, n: usize) {
        self.len += n.min(N - self.len);
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [*mut rte_mbuf] {
        &mut self.mbufs[..self.len]
    }

    /// Removes the first `n` packets without freeing them, because they have another owner now.
    pub(crate) fn forget_first(&mut self, n: usize) {
        // Nearly always the device takes all, and then there is nothing to move.
        if n < self.len {
            self.mbufs.copy_within(n..self.len, 0);
        }
        self.len = self.len.saturating_sub(n);
    }
}

impl<const N: usize> Default for Burst<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Drop for Burst<N> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The iterator of [`Burst::drain`].
#[derive(Debug)]
pub struct Drain<'a, const N: usize>(&'a mut Burst<N>);

impl<const N: usize> Iterator for Drain<'_, N> {
    type Item = Mbuf;

    fn next(&mut self) -> Option<Mbuf> {
        self.0.pop()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl<const N: usize> Drop for Drain<'_, N> {
    fn drop(&mut self) {
        self.0.clear();
    }
}
