//! [`LandingPool`]: the pool that feeds a landing queue, as its owner sees it.
//!
//! For each received mbuf, the pool gives the receive queue a token of the mbuf's slot. With the token the
//! bytes of the slot can be read (`read`). Giving the slot back, or holding it for a message, consumes the
//! token (`back`). `config` has the settings of a pool, and `error` the reasons why it cannot be made.

mod back;
mod config;
mod error;
mod read;
#[cfg(test)]
mod tests;

pub use self::config::{PoolConfig, RegionKind, Writes};
pub use self::error::LandingError;

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use dpdk_sys::{rte_mbuf, rte_mempool};
use lm_proto::frame::FRONT;
use lm_proto::wire::HEADERS;
use rte::Eal;
use rte::mempool::{HandlerPool, HandlerPoolConfig, PoolRef, RegisterError};
use rte::memzone::{Memzone, MemzoneFlags};
use rte::port::RxQueue;

use self::config::MOST_STRIDE;
use crate::landing::{
    AHEAD, BOUNCES, HEADROOM, Landing, Plain, PoolStats, Setup, SlotLayout, Span, TO_PAYLOAD, separate_pitch,
};
use crate::memory::{Memory, MemoryError};
use crate::platform;
use crate::region::{CHUNK, JoinedCount, Segment, let_go};
use crate::slots::LandedSlots;

/// A frame in its slot, in the driver's words.
#[derive(Debug)]
pub struct Landed {
    /// Address of its IP payload; the frame starts [`HEADERS`] bytes below.
    pub at: usize,
    /// Bytes of frame.
    pub len: u16,
    /// The layout of its slot.
    pub layout: SlotLayout,
    /// It doesn't lie where its slot says, or is spread over several.
    pub damaged: bool,
    /// 0, or the bounce slot (from 1) where its headers still are.
    pub bounce: u16,
    /// The token of its slot.
    pub slots: LandedSlots,
    /// What the device says of it, if it says anything ([`Traits::words`](crate::device::Traits)).
    pub word: u32,
}

/// Bytes of a frame that a [snapshot](LandingPool::snapshot) has at most: Ethernet, a VLAN tag, the longest
/// IPv4 header, UDP, and some payload.
pub const SNAPSHOT: usize = 128;

/// The address of the pool's handler, which is looked up only once.
struct Handle(NonNull<Landing>);

// SAFETY: the handler is Send, and goes where its pool goes, in the same structure.
unsafe impl Send for Handle {}

/// A pool of mbufs that land. It belongs to its queue's lcore: `Send`, not `Sync`.
pub struct LandingPool {
    landing: Handle,
    pool: HandlerPool<Landing>,
    eal: Eal,
    config: PoolConfig,
    region: usize,
    /// The number that its tokens have. No other pool of this process has or had it.
    number: u32,
    /// How many bytes of payload a separate slot has room for. It may be more than a stride.
    separate_room: usize,
    /// Payload address of the slot that was received last, on a device that writes at any time: the frame in
    /// the slot below may be under way. Behind every other received slot another one was received.
    newest: usize,
    joined: Arc<JoinedCount>,
    /// The queue that the pool feeds, once [`LandingQueue::into_pool`](crate::LandingQueue::into_pool) has
    /// left it here. The port does not stop while somebody has the queue, because stopping uses the pool from
    /// the port's thread. It stops when the pool is back with the port, or dropped. This is the last field,
    /// so it is dropped last.
    pub(crate) lease: Option<RxQueue>,
}

/// Registers the handler of these pools with DPDK. Call it before EAL is initialised: the plug-ins that EAL
/// loads may leave no place for it. [`LandingPool::create`] does it if that was not done.
///
/// # Errors
/// [`RegisterError`]: DPDK's table of handlers is full.
pub fn register() -> Result<(), RegisterError> {
    rte::mempool::register::<Landing>()
}

static SEGMENTS: AtomicU32 = AtomicU32::new(0);
/// The number of the next pool.
static POOLS: AtomicU32 = AtomicU32::new(1);
/// No address of a slot.
const NOWHERE: usize = usize::MAX;

fn segment(
    eal: &Eal,
    config: &PoolConfig,
    len: usize,
    joined: &Arc<JoinedCount>,
) -> Result<Arc<Segment>, MemoryError> {
    let memory = match config.kind {
        RegionKind::Dpdk => {
            let number = SEGMENTS.fetch_add(1, Ordering::Relaxed);
            let name = format!("lm_{}_{number}", config.name);
            Memory::zone(eal, &name, len, config.socket, config.writes.boundary)?
        }
        RegionKind::Mirrored => match config.writes.port {
            Some(port) => Memory::twice_for(eal, len, port, config.writes.boundary)?,
            None => Memory::twice(eal, len)?,
        },
    };
    Ok(Arc::new(Segment::new(eal, memory, Arc::clone(joined))))
}

impl LandingPool {
    /// Creates the pool and its region.
    ///
    /// # Errors
    /// [`LandingError`]: a geometry that can't land, or no memory.
    pub fn create(eal: &Eal, config: &PoolConfig) -> Result<Self, LandingError> {
        let declared = config.room.max(config.writes.declared);
        if !(8..=MOST_STRIDE).contains(&config.stride)
            || !config.stride.is_multiple_of(8)
            || config.room < config.stride + HEADERS
            || declared >= usize::from(u16::MAX) - HEADROOM
        {
            return Err(LandingError::Stride(config.stride, config.room));
        }
        let next = |number: u32| number.checked_add(1);
        let number = POOLS
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .map_err(|_| LandingError::TooMany)?;
        platform::register().map_err(LandingError::Barrier)?;
        let least = PoolConfig::least_region(config.descriptors, config.stride, config.room);
        if config.region < least {
            return Err(LandingError::TooSmall {
                region: config.region,
                least,
                descriptors: config.descriptors,
            });
        }
        let joined = Arc::default();
        let first = segment(eal, config, config.region, &joined).map_err(LandingError::Memory)?;
        let contiguous = MemzoneFlags { iova_contig: true };
        let bounces = SEGMENTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("lmb_{}_{bounces}", config.name);
        let bounce_len = BOUNCES * Landing::bounce_len(config.stride, config.room);
        let bounce = Memzone::reserve(eal, &name, bounce_len, 4096, contiguous, config.socket)
            .map_err(LandingError::Bounce)?;
        let setup = Setup {
            first: Mutex::new(Some((first, bounce))),
            stride: config.stride,
            room: config.room,
            layout: config.allowed(config.layout),
            bounded: config.writes.boundary > 0,
            marks: config.writes.at_any_time,
        };
        let mut mbufs = Vec::new();
        let pool = HandlerPool::create(
            eal,
            &HandlerPoolConfig {
                name: &format!("lm_{}", config.name),
                n: u32::from(config.descriptors) + config.spare_mbufs + AHEAD,
                priv_size: 0,
                data_room: (HEADROOM + declared) as u16,
                pinned: true,
                socket: config.socket,
            },
            &setup,
            |mbuf, _| mbufs.push(mbuf.as_ptr()),
        )
        .map_err(LandingError::Pool)?;
        // SAFETY: a pool that was created has a handler.
        let landing = Handle(unsafe { NonNull::new_unchecked(pool.handler()) });
        let this = Self {
            landing,
            pool,
            eal: eal.clone(),
            config: config.clone(),
            region: config.region,
            number,
            separate_room: config.stride.max(config.room.saturating_sub(HEADERS)),
            newest: NOWHERE,
            joined,
            lease: None,
        };
        this.landing().mbufs = mbufs;
        this.landing().set_ready(true);
        Ok(this)
    }

    /// The handler; every use ends before the next call into DPDK.
    #[allow(clippy::mut_from_ref)]
    #[inline]
    fn landing(&self) -> &mut Landing {
        // SAFETY: the handler lives as long as the pool. This type is not Sync, so this is the one thread
        // that uses it; drivers reach it only from this thread, inside calls that no reference of ours spans:
        // each method below makes its own and returns no part of it but through `&self`.
        unsafe { &mut *self.landing.0.as_ptr() }
    }

    /// What a driver is told: for `rte_eth_rx_queue_setup` of an application with its own ports. An
    /// application that passes it on keeps to this: the thread that has this pool (inside
    /// `lm_engine::AdoptedReceiver` or not) polls the queue, and starts, stops and closes its port. The pool
    /// is dropped after the port was closed. If it is dropped before, its memory is kept
    /// ([`owed_by_devices`](crate::owed_by_devices)), and its mbufs for ever.
    pub fn as_ptr(&self) -> *mut rte_mempool {
        self.pool.as_ptr()
    }

    /// A share of the pool's life, for a port.
    pub fn share(&self) -> PoolRef {
        self.pool.share()
    }

    /// Its setup.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// mbufs that are not out.
    pub fn available(&self) -> u32 {
        self.pool.available()
    }

    /// mbufs in all.
    pub fn size(&self) -> u32 {
        self.pool.size()
    }

    /// Bytes of region now.
    pub fn region(&self) -> usize {
        self.region
    }

    /// Bytes between the two mappings; 0: mapped once.
    pub fn mirror(&self) -> usize {
        if self.config.kind == RegionKind::Mirrored { self.config.region } else { 0 }
    }

    /// What it counted.
    pub fn stats(&self) -> PoolStats {
        self.landing().stats
    }

    /// What was copied together of datagrams that were delivered in pieces.
    pub fn joined(&self) -> &Arc<JoinedCount> {
        &self.joined
    }

    /// How many separate slots can wait for the rest of their datagrams, counted from the one that has waited
    /// longest to the newest, while the ring is full and a burst is being taken. The largest region has room
    /// for this many, not counting messages that the application holds.
    pub fn room_to_wait(&self) -> usize {
        let PoolConfig { descriptors, stride, room, region, max_region, .. } = self.config;
        let least = PoolConfig::least_region(descriptors, stride, room);
        max_region.max(region).saturating_sub(least) / separate_pitch(room)
    }

    /// [`PoolStats::starved`] alone.
    #[inline]
    pub fn starved(&self) -> u64 {
        self.landing().stats.starved
    }

    /// Slots that messages and waiting frames hold.
    pub fn held(&self) -> u64 {
        self.landing().held()
    }

    /// The present layout of slots.
    pub fn layout(&self) -> SlotLayout {
        self.landing().layout
    }

    /// Lays the slots that are posted from now on so, if they may be. It takes a ring length of frames to
    /// take effect.
    pub fn set_layout(&mut self, layout: SlotLayout) {
        let layout = self.config.allowed(layout);
        if self.layout() != layout {
            self.landing().take_back_ahead();
            self.landing().set_layout(layout);
        }
    }

    /// What plain frames look like, where those that are not in place are, and this pool's number.
    #[inline]
    pub(crate) fn plain(&self) -> (Plain, Span, u32) {
        let landing = self.landing();
        (landing.plain(), landing.bounces, self.number)
    }

    /// These mbufs were received, in this order.
    ///
    /// # Safety
    /// They came from the queue that this pool feeds, and were not recycled yet.
    #[inline]
    pub(crate) unsafe fn begin_burst(&mut self, mbufs: &[*mut rte_mbuf]) {
        if !self.config.writes.at_any_time {
            return;
        }
        if let Some(&(mut last)) = mbufs.last() {
            // SAFETY: the caller's promise: valid mbufs, in chains that end.
            unsafe {
                while (*last).nb_segs > 1 && !(*last).next.is_null() {
                    last = (*last).next;
                }
                self.newest = self.place(last);
            }
        }
    }

    /// Whether a received mbuf is a part of a frame, or does not lie where its slot says.
    ///
    /// # Safety
    /// As for [`LandingPool::received`].
    #[inline]
    pub(crate) unsafe fn is_damaged(mbuf: *const rte_mbuf) -> bool {
        // SAFETY: the caller's promise: a valid mbuf.
        unsafe { (*mbuf).nb_segs != 1 || usize::from((*mbuf).data_off) != HEADROOM }
    }

    /// What a received mbuf holds, with the token of its slot. A bounced payload is copied into place.
    ///
    /// # Safety
    /// `mbuf` came from the queue that this pool feeds, and was not recycled yet. Nobody has or had a token
    /// of its slot since it was received.
    #[inline]
    pub(crate) unsafe fn received(&mut self, mbuf: *mut rte_mbuf) -> Landed {
        let landing = self.landing();
        // SAFETY: the caller's promise: a valid mbuf, ours alone.
        unsafe {
            let buf = (*mbuf).buf_addr as usize;
            let len = (*mbuf).data_len;
            let overlapping = landing.is_overlapping((*mbuf).buf_len);
            let layout = if overlapping { SlotLayout::Overlapping } else { SlotLayout::Separate };
            let damaged = Self::is_damaged(mbuf);
            let (at, bounce) = match landing.bounced(buf) {
                Some((index, target)) => {
                    let room =
                        if overlapping { self.config.stride + FRONT } else { self.config.room - HEADERS };
                    let payload = usize::from(len).saturating_sub(HEADERS).min(room);
                    if payload > 0 {
                        let from = (buf + TO_PAYLOAD) as *const u8;
                        ptr::copy_nonoverlapping(from, target as *mut u8, payload);
                    }
                    landing.payload_of_returned(buf);
                    (target, index as u16 + 1)
                }
                None => (buf + TO_PAYLOAD, 0),
            };
            let slots = match layout {
                SlotLayout::Overlapping => LandedSlots::overlapping(self.number, at, 1, self.config.stride),
                SlotLayout::Separate => LandedSlots::separate(self.number, at),
            };
            Landed { at, len, layout, damaged, bounce, slots, word: (*mbuf).hash[0] }
        }
    }

    /// Where the payload of a received mbuf's slot lies in the region, whether or not it was received there.
    ///
    /// # Safety
    /// As for [`LandingPool::received`].
    pub(crate) unsafe fn place(&mut self, mbuf: *const rte_mbuf) -> usize {
        // SAFETY: the caller's promise.
        let buf = unsafe { (*mbuf).buf_addr } as usize;
        self.landing().bounced(buf).map_or(buf + TO_PAYLOAD, |(_, target)| target)
    }

    /// Takes mbufs back; their slots stay out until [`LandingPool::release`] or a [`Hold`](crate::Hold) gives
    /// them back.
    ///
    /// # Safety
    /// They came from the queue that this pool feeds, and nobody uses them any more.
    #[inline]
    pub(crate) unsafe fn recycle(&mut self, mbufs: &[*mut rte_mbuf]) {
        // SAFETY: the caller's promise.
        unsafe { self.landing().recycle(mbufs) };
    }

    /// Where frames begin, as devices see it, in the mbufs that are out. While none is received, these are
    /// the addresses that are posted. It is slow.
    pub fn posted(&self) -> Vec<u64> {
        self.landing().posted()
    }

    /// Takes all mbufs back that are out, their slots too: from a driver that keeps what it had posted.
    ///
    /// # Safety
    /// Nobody uses an mbuf of this pool any more, nor will.
    pub unsafe fn reclaim(&mut self) {
        // SAFETY: the caller's promise.
        unsafe { self.landing().reclaim() };
    }

    /// Its port, which has a share of it until it is closed, never gives back what it has posted.
    ///
    /// # Safety
    /// That is so of the driver of the port that the pool feeds.
    pub unsafe fn set_keeps_posted(&mut self, keeps: bool) {
        self.landing().keeps_posted = keeps;
    }

    /// The queue that it fed, which [`LandingQueue::into_pool`](crate::LandingQueue::into_pool) left with it,
    /// goes back to its port.
    ///
    /// # Safety
    /// The thread that calls is the one that stops and closes the port, and keeps the pool as long as the
    /// port may use it.
    pub unsafe fn end_lease(&mut self) {
        self.lease = None;
    }

    /// Is called between bursts. It grows the region if messages that the application holds leave no room
    /// ahead, and gives the added memory back when that is over.
    #[inline]
    pub fn maintain(&mut self) {
        if self.landing().pressed {
            self.relieve();
        }
    }

    #[cold]
    fn relieve(&mut self) {
        let landing = self.landing();
        landing.pressed = false;
        landing.segments.iter().for_each(|counted| counted.segment.returns.claim());
        let worth = landing.held() > (64 << 10) / self.config.stride as u64;
        if !worth {
            for counted in landing.shrink() {
                self.region -= counted.segment.len;
                let_go(counted.segment, counted.counts);
            }
        } else if landing.has_idle() {
            // An added segment is unused, and the cursor will enter it. If it were given back now, another
            // one would soon be asked for.
            return;
        }
        let room = self.config.max_region.saturating_sub(self.region);
        let step = self.config.region.min(room / CHUNK * CHUNK);
        // In a region that is mapped twice, the two addresses of a slot are equally far apart in every
        // segment. So an added segment is as long as the first one.
        let least = if self.config.kind == RegionKind::Mirrored { self.config.region } else { 4 * CHUNK };
        if step < least || !worth {
            return;
        }
        match segment(&self.eal, &self.config, step, &self.joined) {
            Ok(added) => {
                self.region += step;
                added.returns.claim();
                self.landing().grow(added);
            }
            Err(e) => log::warn!("the landing region stays at {} bytes: {e}", self.region),
        }
    }
}

impl Drop for LandingPool {
    fn drop(&mut self) {
        self.landing().take_back_ahead();
        // The handler goes with the pool, perhaps later than this: a port may still have a share. If a driver
        // has mbufs, their memory is kept until they are back.
        self.landing().close();
    }
}
