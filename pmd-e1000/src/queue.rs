//! [`LandingQueue`]: a receive queue and the pool that feeds it, on one lcore.

use std::ptr;

use dpdk_sys::rte_mbuf;
use rte::port::RxQueue;

use crate::device::{Allowed, Traits};
use crate::landing::{HEADROOM, SlotLayout, TO_PAYLOAD};
use crate::pool::{Landed, LandingPool};

/// Frames that one poll takes at most.
pub const MAX_BURST: usize = 512;

/// Who takes the frames.
pub trait Take {
    /// Takes what comes most often: `next` tells whether the next frame lies in place in an overlapping slot, with its
    /// payload at that address and of that length; each time that it says yes, the frame is the taker's. How many.
    fn take_while(&mut self, next: impl FnMut(usize, u16) -> bool) -> usize;

    /// Takes a frame of `len` bytes that lies in place in an overlapping slot, with its payload at `at`, but that
    /// [`Take::take_while`] did not expect.
    fn take_plain(&mut self, pool: &mut LandingPool, at: usize, len: u16);

    /// Takes any frame. Its slot is the taker's until it is released, as are those of the others.
    fn take(&mut self, pool: &mut LandingPool, landed: Landed);
}

/// Feeds what a driver handed over to `taker`, frame by frame in ring order, and takes the mbufs back. Their slots
/// stay out: each is the taker's until it is released.
///
/// # Safety
/// The mbufs came from the queue that `pool` feeds, in this order, and nobody else has them.
#[inline(always)]
pub unsafe fn feed(pool: &mut LandingPool, mbufs: &[*mut rte_mbuf], taker: &mut impl Take) {
    // SAFETY: the caller's promise.
    unsafe { prefetch_ends(mbufs, pool.full_frame()) };
    let mut rest = mbufs;
    loop {
        // SAFETY: the caller's promise.
        let expected = unsafe { pool.streak(rest, taker) };
        let Some((&mbuf, behind)) = rest[expected..].split_first() else { break };
        // SAFETY: as above.
        unsafe {
            match pool.plain(mbuf) {
                Some((at, len)) => taker.take_plain(pool, at, len),
                None => feed_one(pool, mbuf, taker),
            }
        }
        rest = behind;
    }
    // SAFETY: as above; `feed_one` recycles nothing but what hangs behind these.
    unsafe { pool.recycle(mbufs) };
}

/// Fetches what will be read of datagrams where they end: the last bytes of the frame that came first, which are
/// never full, and the first ones behind the headers of the frame that came last. A driver fetches the headers.
///
/// # Safety
/// As for [`feed`].
#[inline(always)]
unsafe fn prefetch_ends(mbufs: &[*mut rte_mbuf], full: u16) {
    let mut above = ptr::null_mut::<rte_mbuf>();
    for &mbuf in mbufs {
        // SAFETY: the caller's promise.
        let (buf, len) = unsafe { ((*mbuf).buf_addr as usize, (*mbuf).data_len) };
        if len != full {
            prefetch((buf + HEADROOM + usize::from(len)).wrapping_sub(8));
            if !above.is_null() {
                // SAFETY: the caller's promise.
                prefetch(unsafe { (*above).buf_addr } as usize + TO_PAYLOAD);
            }
        }
        above = mbuf;
    }
    if !above.is_null() {
        // SAFETY: the caller's promise.
        prefetch(unsafe { (*above).buf_addr } as usize + TO_PAYLOAD);
    }
}

/// A hint to the processor.
#[inline(always)]
fn prefetch(at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint faults at no address.
    unsafe {
        core::arch::x86_64::_mm_prefetch(at as *const i8, core::arch::x86_64::_MM_HINT_T0);
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// A frame with something special about it.
///
/// # Safety
/// As for [`feed`].
#[cold]
#[inline(never)]
unsafe fn feed_one(pool: &mut LandingPool, mbuf: *mut rte_mbuf, taker: &mut impl Take) {
    // SAFETY: the caller's promise.
    let landed = unsafe { pool.landed(mbuf) };
    if landed.damaged {
        // SAFETY: as above.
        unsafe { feed_damaged(pool, mbuf, taker) };
    } else {
        taker.take(pool, landed);
    }
}

/// A frame over several buffers, or not where it should be: each buffer took a slot.
///
/// # Safety
/// As for [`feed`].
#[cold]
#[inline(never)]
unsafe fn feed_damaged(pool: &mut LandingPool, head: *mut rte_mbuf, taker: &mut impl Take) {
    let mut mbuf = head;
    while !mbuf.is_null() {
        // SAFETY: the caller's promise; segments of a chain are mbufs of the same pool. The pool wants mbufs back
        // unchained.
        unsafe {
            let landed = pool.landed(mbuf);
            let next = (*mbuf).next;
            (*mbuf).next = ptr::null_mut();
            (*mbuf).nb_segs = 1;
            taker.take(pool, Landed { damaged: true, ..landed });
            if mbuf != head {
                pool.recycle(&[mbuf]);
            }
            mbuf = next;
        }
    }
}

/// A receive queue that lands. `Send`, not `Sync`: it belongs to one lcore at a time.
pub struct LandingQueue {
    // The queue goes before the pool.
    rx: RxQueue,
    pool: LandingPool,
    mbufs: Box<[*mut rte_mbuf; MAX_BURST]>,
    traits: Traits,
}

// SAFETY: the array holds pointers only during a poll.
unsafe impl Send for LandingQueue {}

impl LandingQueue {
    /// A queue of a device with these traits, and the pool that its port was set up with.
    pub fn new(rx: RxQueue, pool: LandingPool, traits: Traits) -> Self {
        Self { rx, pool, mbufs: Box::new([ptr::null_mut(); MAX_BURST]), traits }
    }

    /// Receives at most `burst` frames and gives each to `taker`, in ring order; how many. Runs the port's RX
    /// callbacks as `rte_eth_rx_burst` does.
    #[inline(always)]
    pub fn poll(&mut self, burst: usize, taker: &mut impl Take) -> usize {
        self.pool.maintain();
        let n = self.rx.burst(&mut self.mbufs[..burst.min(MAX_BURST)]);
        if n > 0 {
            // SAFETY: the queue is fed from this pool, and these mbufs were just received.
            unsafe { feed(&mut self.pool, &self.mbufs[..n], taker) };
        }
        n
    }

    /// The pool.
    pub fn pool(&self) -> &LandingPool {
        &self.pool
    }

    /// The pool.
    pub fn pool_mut(&mut self) -> &mut LandingPool {
        &mut self.pool
    }

    /// What is known of the device.
    pub fn traits(&self) -> Traits {
        self.traits
    }

    /// Lays the slots that are posted from now on so, if the device allows it.
    pub fn set_layout(&mut self, layout: SlotLayout) {
        set_layout(&mut self.pool, &self.traits, layout);
    }

    /// Gives the receive queue back to its port, so that it can be stopped; the pool stays.
    pub fn into_pool(self) -> LandingPool {
        self.pool
    }
}

/// Lays the slots of a pool that are posted from now on so, if the device that it feeds allows it.
pub fn set_layout(pool: &mut LandingPool, traits: &Traits, layout: SlotLayout) {
    if let (Allowed::SeparateOnly(why), SlotLayout::Overlapping) = (traits.allowed, layout) {
        log::warn!("slots of pool {} stay separate: {why}", pool.config().name);
        return;
    }
    pool.set_layout(layout);
}
