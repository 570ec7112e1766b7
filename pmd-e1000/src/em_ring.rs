//! [`EmRing`]: the sums of frames that em cards leave in their receive ring.
//!
//! A legacy descriptor has 16 bytes: the buffer's address, and behind it what the card writes once a frame is
//! there: length, sum of the whole frame, status, errors, VLAN tag (8254x manual, 3.2.3; 82574 datasheet,
//! 7.1.4.1). DPDK's em never uses another format: it clears RFCTL.EXTEN and RCTL.DTYP at each start. It reads
//! the sum nowhere. When it takes a frame, it writes the new buffer's address and status 0 into the
//! descriptor, and leaves the rest (`em_rxtx.c`, `eth_em_recv_pkts` and `eth_em_recv_scattered_pkts`: 22.11
//! `:784`, `:937`; the same in 23.11, 24.11, 25.11 and 26.07). So the sum can be read until the card uses the
//! descriptor again. em has no other receive functions, and no vectors.
//!
//! # Where the ring is
//! `rte_eth_dma_zone_reserve` names its memory `eth_p<port>_q<queue>_rx_ring`, in all these releases. It has
//! room for 4096 descriptors, whatever the queue has (`E1000_MAX_RING_DESC`). em frees it with the queue:
//! when the queue is set up again, or the port is closed, and both need a stopped port. The name is believed
//! only if the descriptors hold addresses of buffers that are out of the queue's pool, each another.
//!
//! # Which descriptor a frame is of
//! The driver's index is private. But each mbuf was posted with its own buffer's address, in one descriptor.
//! The reader keeps the addresses that the descriptors had before, and a received mbuf's must be the one in
//! the descriptor where the next frame is expected. (em replaces it while it takes the frame, by the
//! address that is kept for the next time.) No two posted buffers have the same address, so this finds an
//! index that is wrong in any way: because a callback took frames away, because somebody else polled, or
//! because the port was started again. Then no sum is told any more. A frame in several buffers has a
//! descriptor for each, in the order of the chain. (em may hand a chain over a call later than it took the
//! first buffers. If the card has used a whole ring by then, these are not found, and no sum is told any
//! more, either.)
//!
//! While nobody looks at sums, the ring is not followed. It is followed again once somebody has looked for
//! 16 calls in a row: all addresses are read anew, and the next frame's buffer tells where it is.
//!
//! # Whether it is still there
//! em tells the card of free descriptors at the end of a receive call, and never before. If the ring
//! overruns, the card may use them before the reader comes. The reader reads length, sum, status and errors
//! as one aligned word. The card sets the status' bit 0 (DD) with what it writes, and em has set it to 0. So
//! with status 0 and the length of the mbuf the sum is that of the mbuf's frame. (A card that wrote these
//! 8 bytes in parts could be read between them. em itself relies on it that none does so: it believes all
//! fields once DD is set. A sum that is wrong in spite of this proves nothing but by chance.)

use std::ffi::CString;
use std::ptr::NonNull;

use dpdk_sys::rte_mbuf;
use lm_landing::LandingPool;
use lm_landing::landing::HEADROOM;
use lm_landing::words::WordSource;
use lm_proto::card::Words;
use rte::Eal;
use rte::port::{PortId, rx_pool_of};

/// 64-bit words of a descriptor.
const DESCRIPTOR: usize = 2;
/// Of the second word: length, status and errors.
const CERTAIN: u64 = 0x0000_ffff_0000_ffff;
/// Of its lower half: the sum.
const SUM: u32 = 0xffff_0000;

/// How many calls in a row somebody has to look at sums before a ring is followed again. All its descriptors
/// are read then.
const STEADY: u8 = 16;

/// Whether the reader knows where the driver is in a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// At [`EmRing::next`].
    Yes,
    /// What is posted is known, and the next frame tells where it is.
    Soon,
    /// No. So often somebody has looked at sums since.
    No(u8),
}

/// A receive ring of em's, and what was posted in it.
pub struct EmRing {
    ring: NonNull<u64>,
    /// What each descriptor holds as its buffer's address, if the card did not report a frame there.
    posted: Box<[u64]>,
    /// Where the next frame is.
    next: usize,
    follows: Follows,
}

// SAFETY: the ring is memory of DPDK's, which no thread owns, and is read by `&mut self` alone.
unsafe impl Send for EmRing {}

impl EmRing {
    /// That of a queue of em's that was just started, and that is fed by this pool.
    ///
    /// # Errors
    /// Why it is not known where that is.
    ///
    /// # Safety
    /// The port is started, and is not stopped while this runs. Nothing was received since it was started. It
    /// is driven by em (`net_e1000_em`).
    pub(crate) unsafe fn open(
        eal: &Eal,
        port: PortId,
        queue: u16,
        pool: &LandingPool,
    ) -> Result<Self, String> {
        let fed_by = rx_pool_of(eal, port, queue);
        let Some((_, n)) = fed_by.filter(|&(fed_by, _)| fed_by == pool.as_ptr()) else {
            return Err("its driver does not say that the queue is fed by the landing pool".to_owned());
        };
        let name = format!("eth_p{}_q{queue}_rx_ring", port.0);
        let c_name = CString::new(name.as_str()).map_err(|e| e.to_string())?;
        // SAFETY: EAL is initialised, and the name ends with a NUL.
        let zone = unsafe { dpdk_sys::rte_memzone_lookup(c_name.as_ptr()) };
        // SAFETY: null, or a zone's entry. em's own zone is not freed while the port is started, and nobody
        // else frees one of this name.
        let Some(zone) = (unsafe { zone.as_ref() }) else {
            return Err(format!("there is no memory of the name {name}"));
        };
        // SAFETY: as above.
        let (at, len) = (unsafe { dpdk_sys::dpdk_sys_memzone_addr(zone) }, zone.len);
        let ring = NonNull::new(at.cast::<u64>()).filter(|at| at.is_aligned());
        let Some(ring) = ring.filter(|_| n > 0 && len >= usize::from(n) * DESCRIPTOR * size_of::<u64>())
        else {
            return Err(format!("the memory {name} has {len} bytes, too few for {n} descriptors"));
        };
        // SAFETY: as many words, aligned, of memory that stays where it is until the port is stopped.
        unsafe { Self::over(ring, n.into(), pool) }
    }

    /// The same of a ring whose place is known.
    ///
    /// # Errors
    /// Its descriptors do not hold what is posted of this pool.
    ///
    /// # Safety
    /// There is a ring of `n` legacy descriptors, of a driver that treats them as em does, whose queue was
    /// just started and is fed by this pool. It stays where it is until that queue is stopped. Nothing was
    /// received yet.
    pub unsafe fn over(ring: NonNull<u64>, n: usize, pool: &LandingPool) -> Result<Self, String> {
        // SAFETY: the caller's promise.
        let posted: Box<[u64]> = (0..n).map(|i| unsafe { address(ring, i) }).collect();
        if are_posted(&posted, pool.posted()) {
            Ok(Self { ring, posted, next: 0, follows: Follows::Yes })
        } else {
            Err("its ring does not hold the addresses that were posted".to_owned())
        }
    }

    /// Reads the addresses of all buffers that are posted.
    #[cold]
    fn look_again(&mut self) {
        for (i, posted) in self.posted.iter_mut().enumerate() {
            // SAFETY: a descriptor of the ring, which `over`'s caller promised; the queue was not stopped
            // since.
            *posted = unsafe { address(self.ring, i) };
        }
    }

    /// Whether it is known which descriptor the next frame, `first`, is of. If it is not, it may be known of
    /// the frames behind this call's.
    ///
    /// # Safety
    /// As for [`WordSource::tell`].
    #[inline]
    unsafe fn follows(&mut self, first: *const rte_mbuf) -> bool {
        if self.follows == Follows::Yes {
            return true;
        }
        // SAFETY: the caller's promise.
        unsafe { self.finds(first) }
    }

    /// [`Self::follows`] for a ring that was not followed.
    ///
    /// # Safety
    /// As for [`WordSource::tell`].
    #[cold]
    unsafe fn finds(&mut self, first: *const rte_mbuf) -> bool {
        self.follows = match self.follows {
            Follows::No(calls) if calls + 1 < STEADY => Follows::No(calls + 1),
            Follows::No(_) => {
                self.look_again();
                Follows::Soon
            }
            _ => {
                // SAFETY: the caller's promise: a valid mbuf.
                let start = unsafe { (*first).buf_iova } + HEADROOM as u64;
                match self.posted.iter().position(|&posted| posted == start) {
                    Some(i) => {
                        self.next = i;
                        Follows::Yes
                    }
                    // The driver had taken it before all was read: a part of a chain.
                    None => Follows::No(0),
                }
            }
        };
        self.follows == Follows::Yes
    }

    /// What the card wrote behind the address of an mbuf that was just received, if that is the next one.
    /// Little-endian.
    ///
    /// # Safety
    /// As for [`WordSource::tell`].
    #[inline]
    unsafe fn take(&mut self, mbuf: *const rte_mbuf) -> Option<u64> {
        let i = self.next;
        let posted = self.posted.get_mut(i)?;
        // SAFETY: the caller's promise: a valid mbuf.
        if *posted != unsafe { (*mbuf).buf_iova } + HEADROOM as u64 {
            return None;
        }
        // SAFETY: descriptor `i` of the ring, which `over`'s caller promised; the queue was not stopped. The
        // card may be writing: each word is read once, and means something only as the module says.
        let (fresh, said) = unsafe {
            let at = self.ring.add(DESCRIPTOR * i);
            (at.read_volatile(), at.add(1).read_volatile())
        };
        *posted = u64::from_le(fresh);
        self.next = if i + 1 == self.posted.len() { 0 } else { i + 1 };
        Some(u64::from_le(said))
    }

    /// Goes past the descriptors of a chain's other buffers.
    ///
    /// # Safety
    /// As for [`WordSource::tell`].
    #[cold]
    unsafe fn skip_rest(&mut self, head: *const rte_mbuf) -> Option<()> {
        // SAFETY: the caller's promise: a valid chain.
        let mut rest = unsafe { (*head).next };
        while !rest.is_null() {
            // SAFETY: as above.
            unsafe {
                self.take(rest)?;
                rest = (*rest).next;
            }
        }
        Some(())
    }

    /// The word of a frame, whose descriptors are the next ones.
    ///
    /// # Safety
    /// As for [`WordSource::tell`].
    #[inline]
    unsafe fn word(&mut self, mbuf: *const rte_mbuf) -> Option<u32> {
        // SAFETY: the caller's promise: a valid mbuf.
        let (len, segments) = unsafe { ((*mbuf).data_len, (*mbuf).nb_segs) };
        // SAFETY: the caller's promise.
        let said = unsafe { self.take(mbuf) }?;
        if segments != 1 {
            // SAFETY: as above.
            unsafe { self.skip_rest(mbuf) }?;
            return Some(0);
        }
        Some(if said & CERTAIN == u64::from(len) { said as u32 & SUM | Words::TOLD } else { 0 })
    }
}

impl WordSource for EmRing {
    unsafe fn pass(&mut self, mbufs: &[*mut rte_mbuf]) {
        self.follows = Follows::No(0);
        // SAFETY: the caller's promise.
        unsafe { say_nothing(mbufs) };
    }

    unsafe fn tell(&mut self, mbufs: &[*mut rte_mbuf]) -> bool {
        let Some(&first) = mbufs.first() else { return true };
        // SAFETY: the caller's promise.
        if !unsafe { self.follows(first) } {
            // SAFETY: as above.
            unsafe { say_nothing(mbufs) };
            return true;
        }
        let mut known = true;
        for &mbuf in mbufs {
            // SAFETY: the caller's promise.
            let word = if known { unsafe { self.word(mbuf) } } else { None };
            known = word.is_some();
            // SAFETY: a valid mbuf, nobody else's.
            unsafe { (*mbuf).hash[0] = word.unwrap_or_default() };
        }
        if !known {
            log::warn!(
                "the card's sums are not used any more: frame {} of the receive ring is not where it was \
                 expected (does an RX callback take frames away?)",
                self.next
            );
        }
        known
    }
}

/// The buffer's address in descriptor `i`.
///
/// # Safety
/// The ring has this descriptor. The card may write, but it does not change addresses.
unsafe fn address(ring: NonNull<u64>, i: usize) -> u64 {
    // SAFETY: the caller's promise.
    u64::from_le(unsafe { ring.add(DESCRIPTOR * i).read_volatile() })
}

/// Makes the words of frames say nothing.
///
/// # Safety
/// Valid mbufs, nobody else's.
unsafe fn say_nothing(mbufs: &[*mut rte_mbuf]) {
    for &mbuf in mbufs {
        // SAFETY: the caller's promise.
        unsafe { (*mbuf).hash[0] = 0 };
    }
}

/// Whether all addresses in a ring are posted ones, each another.
fn are_posted(ring: &[u64], mut posted: Vec<u64>) -> bool {
    let mut ring = ring.to_vec();
    ring.sort_unstable();
    posted.sort_unstable();
    let differ = ring.windows(2).all(|pair| pair[0] != pair[1]);
    differ && ring.iter().all(|address| posted.binary_search(address).is_ok())
}

#[cfg(test)]
mod tests;
