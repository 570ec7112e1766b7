//! [`LandingPool`]: the pool that feeds a landing queue, as its owner sees it.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::{error, fmt, io};

use dpdk_sys::{rte_mbuf, rte_mempool};
use lm_proto::slot_memory::Below;
use lm_proto::wire::HEADERS;
use rte::Eal;
use rte::mempool::{HandlerPool, HandlerPoolConfig, PoolError, PoolRef};
use rte::memzone::{Memzone, MemzoneError, MemzoneFlags};
use rte::port::{PortId, RxQueue};

use crate::landing::{BOUNCES, HEADROOM, Landing, Plain, PoolStats, Setup, SlotLayout, Span, TO_PAYLOAD};
use crate::memory::{Memory, MemoryError};
use crate::platform;
use crate::region::{CHUNK, Hold, Segment, let_go};
use crate::shared::copy_words;

/// Where the landing region lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// In DPDK's memory: any device can land there. A datagram across its end is copied.
    Dpdk,
    /// In memory mapped twice, so that it has no end: for devices that do no DMA, or that [`Writes::port`] names.
    Mirrored,
}

/// What a device that writes into the region itself demands of it; by default, none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Bytes that the driver is to be told a slot has; 0, or less than the room: the room.
    pub declared: usize,
    /// No slot crosses a multiple of this, in the device's addresses; 0: any may. Slots never overlap then.
    pub boundary: usize,
    /// The port whose device it is: memory mapped twice is made known to it.
    pub port: Option<PortId>,
    /// It writes at any time, not only inside the receive call: slots are marked, so that [`LandingPool::below`] can tell.
    pub at_any_time: bool,
}

/// What a landing pool is made of.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Unique in the process, at most 16 bytes.
    pub name: String,
    /// Descriptors of the queue that it feeds.
    pub descriptors: u16,
    /// mbufs beyond the descriptors: what a driver or a burst has in hand.
    pub spare_mbufs: u32,
    /// Bytes of landing region.
    pub region: usize,
    /// Bytes that it may grow to while the application holds messages.
    pub max_region: usize,
    /// Where it lies.
    pub kind: RegionKind,
    /// IP payload of a full fragment, bytes, a multiple of 8.
    pub stride: usize,
    /// Bytes that the device may write into a slot, from the frame's start.
    pub room: usize,
    /// How slots are laid first.
    pub layout: SlotLayout,
    /// NUMA node; `None`: any.
    pub socket: Option<u32>,
    /// What the device demands that writes there.
    pub writes: Writes,
}

impl PoolConfig {
    /// The least region for a queue: its ring and what the lcore gets in advance, the datagram that is being put together, what
    /// separate slots leave at breaks between pages, four chunks. With less, a ring whose every slot is posted finds no place for
    /// the next one, which drivers want before they hand over the frame that would make room: it never goes on.
    pub fn least_region(descriptors: u16, stride: usize, room: usize) -> usize {
        let pitch = stride.max(room + 128);
        let slots = usize::from(descriptors) + IN_ADVANCE as usize + (64 << 10) / stride.max(1) + 1;
        let breaks = slots * pitch / PAGE + 1;
        ((slots + breaks) * pitch + 4 * CHUNK).next_multiple_of(CHUNK)
    }

    /// Slots that must not cross a boundary lie apart: overlapping ones lie where they must.
    fn allowed(&self, layout: SlotLayout) -> SlotLayout {
        if self.writes.boundary == 0 { layout } else { SlotLayout::Separate }
    }
}

/// A frame in its slot, in the driver's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Address of its IP payload; the frame starts 34 bytes below.
    pub at: usize,
    /// Bytes of frame.
    pub len: u16,
    /// How its slot lies.
    pub layout: SlotLayout,
    /// It doesn't lie where its slot says, or is spread over several.
    pub damaged: bool,
    /// 0, or the bounce slot (from 1) where its headers still are.
    pub bounce: u16,
}

/// mbufs that a driver on an lcore gets at once, with their slots: a handler called for each costs as much as matching
/// a frame.
const IN_ADVANCE: u32 = 32;

/// The longest stride: an mbuf tells its buffer's length in 16 bits.
const MOST_STRIDE: usize = 65_368;

/// Bytes of a frame that a [snapshot](LandingPool::snapshot) has at most: Ethernet, a VLAN tag, the longest IPv4 header, UDP, and
/// some payload.
pub const SNAPSHOT: usize = 128;

/// Bytes of a frame that may lie beyond its overlapping slot: over the UDP header, which is spent, of what landed above.
const BEYOND: usize = 8;

/// Bytes of a frame that another one can reach: Ethernet and IPv4 headers, and the first 8 behind them.
pub const HEAD: usize = HEADERS + BEYOND;

/// Physical memory may break off at the end of a page this large.
const PAGE: usize = 2 << 20;

/// Where the pool's handler is: looked up once.
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
    /// The queue that it feeds, while the port thinks that somebody polls it: the port is not stopped, which would use the
    /// pool from the port's thread, before the pool is back, or gone. The last to go.
    pub(crate) lease: Option<RxQueue>,
}

static SEGMENTS: AtomicU32 = AtomicU32::new(0);

fn segment(eal: &Eal, config: &PoolConfig, len: usize) -> Result<Arc<Segment>, MemoryError> {
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
    Ok(Arc::new(Segment::new(eal, memory)))
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
            || declared >= usize::from(u16::MAX) - HEADROOM
        {
            return Err(LandingError::Stride(config.stride, config.room));
        }
        platform::register().map_err(LandingError::Barrier)?;
        let least = PoolConfig::least_region(config.descriptors, config.stride, config.room);
        if config.region < least {
            return Err(LandingError::TooSmall {
                region: config.region,
                least,
                descriptors: config.descriptors,
            });
        }
        let first = segment(eal, config, config.region).map_err(LandingError::Memory)?;
        let contiguous = MemzoneFlags { iova_contig: true };
        let number = SEGMENTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("lmb_{}_{number}", config.name);
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
                n: u32::from(config.descriptors) + config.spare_mbufs,
                priv_size: 0,
                data_room: (HEADROOM + declared) as u16,
                pinned: true,
                in_advance: IN_ADVANCE,
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
            lease: None,
        };
        this.landing().mbufs = mbufs;
        this.landing().set_ready(true);
        Ok(this)
    }

    /// The handler; every use ends before the next call into DPDK.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    fn landing(&self) -> &mut Landing {
        // SAFETY: the handler lives as long as the pool. This type is not Sync, so this is the one thread that
        // uses it; drivers reach it only from this thread, inside calls that no reference of ours spans: each
        // method below makes its own and returns no part of it but through `&self`.
        unsafe { &mut *self.landing.0.as_ptr() }
    }

    /// What a driver is told: for `rte_eth_rx_queue_setup` of an application with its own ports. Whoever follows it keeps
    /// to this: the queue is polled, its port started, stopped and closed by the thread that has this pool (inside
    /// [`Lander`](../../lm/struct.Lander.html) or not), which is dropped after the port was closed. If it is dropped before,
    /// its memory is kept ([`owed_by_devices`](crate::owed_by_devices)), its mbufs for ever.
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

    /// Slots that messages and waiting frames hold.
    pub fn held(&self) -> u64 {
        self.landing().held()
    }

    /// How slots are laid now.
    pub fn layout(&self) -> SlotLayout {
        self.landing().layout
    }

    /// Lays the slots that are posted from now on so, if they may be. It takes a ring length of frames to take effect.
    pub fn set_layout(&mut self, layout: SlotLayout) {
        let layout = self.config.allowed(layout);
        if self.layout() != layout {
            // SAFETY: this type is not Sync, so this is the one thread that uses the pool.
            unsafe { self.pool.flush() };
            self.landing().set_layout(layout);
        }
    }

    /// What plain frames look like, and where those that are not in place are.
    #[inline(always)]
    pub(crate) fn plain(&self) -> (Plain, Span) {
        let landing = self.landing();
        (landing.plain(), landing.bounces)
    }

    /// What a received mbuf holds. A bounced payload is copied into place.
    ///
    /// # Safety
    /// `mbuf` came from the queue that this pool feeds, and was not recycled yet.
    #[inline(always)]
    pub unsafe fn landed(&mut self, mbuf: *mut rte_mbuf) -> Landed {
        let landing = self.landing();
        // SAFETY: the caller's promise: a valid mbuf, ours alone.
        unsafe {
            let buf = (*mbuf).buf_addr as usize;
            let len = (*mbuf).data_len;
            let overlapping = landing.is_overlapping((*mbuf).buf_len);
            let layout = if overlapping { SlotLayout::Overlapping } else { SlotLayout::Separate };
            let damaged = (*mbuf).nb_segs != 1 || usize::from((*mbuf).data_off) != HEADROOM;
            if let Some((index, target)) = landing.bounced(buf) {
                let room = if overlapping { self.config.stride + BEYOND } else { self.config.room - HEADERS };
                let payload = usize::from(len).saturating_sub(HEADERS).min(room);
                if payload > 0 {
                    ptr::copy_nonoverlapping((buf + TO_PAYLOAD) as *const u8, target as *mut u8, payload);
                }
                return Landed { at: target, len, layout, damaged, bounce: index as u16 + 1 };
            }
            Landed { at: buf + TO_PAYLOAD, len, layout, damaged, bounce: 0 }
        }
    }

    /// Where the payload of a received mbuf's slot lies in the region, whether or not it was received there.
    ///
    /// # Safety
    /// As for [`LandingPool::landed`].
    pub(crate) unsafe fn place(&mut self, mbuf: *const rte_mbuf) -> usize {
        // SAFETY: the caller's promise.
        let buf = unsafe { (*mbuf).buf_addr } as usize;
        self.landing().bounced(buf).map_or(buf + TO_PAYLOAD, |(_, target)| target)
    }

    /// Takes mbufs back; their slots stay out until [`LandingPool::release`] or a [`Hold`] gives them back.
    ///
    /// # Safety
    /// They came from the queue that this pool feeds, and nobody uses them any more.
    #[inline(always)]
    pub unsafe fn recycle(&mut self, mbufs: &[*mut rte_mbuf]) {
        // SAFETY: the caller's promise.
        unsafe { self.landing().recycle(mbufs) };
    }

    /// Takes all mbufs back that are out, their slots too: from a driver that keeps what it had posted.
    ///
    /// # Safety
    /// Nobody uses an mbuf of this pool any more, nor will.
    pub unsafe fn reclaim(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            self.pool.flush();
            self.landing().reclaim();
        }
    }

    /// Its port, which has a share of it until it is closed, never gives back what it has posted.
    ///
    /// # Safety
    /// That is so of the driver of the port that the pool feeds.
    pub unsafe fn set_keeps_posted(&mut self, keeps: bool) {
        self.landing().keeps_posted = keeps;
    }

    /// The queue that it fed, which [`LandingQueue::into_pool`](crate::LandingQueue::into_pool) left with it, goes back to its
    /// port.
    ///
    /// # Safety
    /// The thread that calls is the one that stops and closes the port, and keeps the pool as long as the port may use it.
    pub unsafe fn end_lease(&mut self) {
        self.lease = None;
    }

    /// The slot at `at` is no longer needed.
    ///
    /// # Safety
    /// [`LandingPool::landed`] told of the slot, and it was not given back since: not by this, nor is it held. Nobody
    /// reads its bytes any more.
    #[inline]
    pub unsafe fn release(&mut self, at: usize) {
        self.landing().return_slots(at, 1);
    }

    /// `n` slots from `lowest` upwards, in which `reach` bytes were landed without a gap, are held until the hold is
    /// dropped, wherever that is. `None`, and nothing is held, if they do not lie in one piece of region, or are more than
    /// any datagram takes.
    ///
    /// # Safety
    /// [`LandingPool::landed`] told of each of the slots, a stride apart, and none was given back since. Their frames are
    /// received whole and in place, and no device writes these bytes any more: not the frame below, either.
    #[inline]
    pub unsafe fn hold(&mut self, lowest: usize, n: u32, reach: usize) -> Option<Hold> {
        let segment = self.landing().segment_of(lowest)?;
        let most = match n {
            // A slot may be wider than the stride.
            1 => self.config.stride.max(self.config.room.saturating_sub(HEADERS)),
            _ => (n as usize).saturating_mul(self.config.stride),
        };
        if reach > most {
            return None;
        }
        // SAFETY: the caller's promise.
        unsafe { Hold::new(segment, lowest, n, self.config.stride, reach) }
    }

    /// `len` bytes of region at `at`; `None` if they are not in it.
    ///
    /// # Safety
    /// No device writes these bytes while they are borrowed: they are payload of frames that [`LandingPool::landed`]
    /// told of, in place, whose slots were not given back, and that no frame which a device may still be writing reaches. Up
    /// to 8 bytes of a payload in an overlapping slot may be reached by the frame below: that is known to be received.
    #[inline(always)]
    pub unsafe fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        if !self.landing().covers(at, len) {
            return None;
        }
        // SAFETY: within a segment's memory, which lives as long as the pool and is initialised (DPDK and the kernel give
        // zeroes). The caller promises that nobody writes it.
        Some(unsafe { std::slice::from_raw_parts(at as *const u8, len) })
    }

    /// The 24 bytes in front of a frame's payload, with its IPv4 header, as they are now: a frame below may have
    /// overwritten them, or be doing so. Little-endian words. `None` if they are neither in the region nor in a bounce slot.
    #[inline(always)]
    pub fn raw_headers(&self, at: usize, bounce: u16) -> Option<[u64; 3]> {
        let start = at.wrapping_sub(24);
        if bounce == 0 && at.is_multiple_of(8) && self.landing().home_covers(start, 24) {
            let words = start as *const u64;
            // SAFETY: in the region and aligned. A device may be writing these bytes: each word is read once, and what they
            // say is believed only as the matcher's rules allow.
            Some(std::array::from_fn(|i| u64::from_le(unsafe { ptr::read_volatile(words.add(i)) })))
        } else {
            self.raw_headers_bytewise(at, bounce)
        }
    }

    /// The 24 bytes in front of a payload in place, and its first 8, as [`Self::raw_headers`] gives them. `None` if they are
    /// not in the region, or not aligned.
    #[inline(always)]
    pub fn front(&self, at: usize) -> Option<[u64; 4]> {
        let start = at.wrapping_sub(24);
        if !at.is_multiple_of(8) || !self.landing().home_covers(start, 32) {
            return None;
        }
        let words = start as *const u64;
        // SAFETY: in the region and aligned. As in `raw_headers`.
        Some(std::array::from_fn(|i| u64::from_le(unsafe { ptr::read_volatile(words.add(i)) })))
    }

    /// The same from any address.
    #[cold]
    #[inline(never)]
    fn raw_headers_bytewise(&self, at: usize, bounce: u16) -> Option<[u64; 3]> {
        let mut front = [0; HEADERS];
        if self.copy_frame(at, HEADERS as u16, bounce, &mut front)? != HEADERS {
            return None;
        }
        let words = front.last_chunk::<24>()?.as_chunks::<8>().0;
        Some(std::array::from_fn(|i| u64::from_le_bytes(words[i])))
    }

    /// The 34 bytes in front of a frame's payload and its first 8, as they are now, each word read once; else as
    /// [`LandingPool::copy_frame`].
    #[inline(always)]
    pub fn head(&self, at: usize, bounce: u16) -> Option<[u8; HEAD]> {
        const BEFORE: usize = HEADERS.next_multiple_of(8);
        const ROOM: usize = BEFORE + 8;
        let start = at.wrapping_sub(BEFORE);
        if bounce == 0 && at.is_multiple_of(8) && self.landing().home_covers(start, ROOM) {
            let words = start as *const u64;
            // SAFETY: in the region and aligned. As in `raw_headers`.
            let words: [u64; ROOM / 8] = std::array::from_fn(|i| unsafe { ptr::read_volatile(words.add(i)) });
            let mut bytes = [0; ROOM];
            for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
                *to = word.to_ne_bytes();
            }
            return bytes.last_chunk().copied();
        }
        self.head_elsewhere(at, bounce)
    }

    #[cold]
    #[inline(never)]
    fn head_elsewhere(&self, at: usize, bounce: u16) -> Option<[u8; HEAD]> {
        let mut head = [0; HEAD];
        self.copy_frame(at, HEAD as u16, bounce, &mut head).map(|_| head)
    }

    /// What is known of the slot below that of one of the newest frames. What was read *before* of that frame's headers, and of
    /// the first bytes of its payload, was intact if this says that nothing has come there.
    #[inline]
    pub fn below(&self, at: usize, bounce: u16) -> Below {
        // In a bounce slot nothing reaches it.
        if bounce != 0 { Below::Untouched } else { self.landing().below(at, u64::from(self.size())) }
    }

    /// Copies the first bytes of a frame of `len` bytes, as they are now, as many as `into` has room for: how many. `None`
    /// if the frame is neither in the region nor in a bounce slot.
    ///
    /// A device may be writing them: then the copy is of bytes that never were there at one time.
    pub fn copy_frame(&self, at: usize, len: u16, bounce: u16, into: &mut [u8]) -> Option<usize> {
        let start = self.landing().frame_start(at, len.into(), bounce)?;
        let n = into.len().min(len.into());
        // SAFETY: `frame_start` gives the address of as many bytes, in memory that lives as long as the pool.
        unsafe { copy_words(start as *const u8, &mut into[..n]) };
        Some(n)
    }

    /// Copies what is at `start` now, as much as `into` has room for; false, and nothing is copied, if that is not all in the
    /// region or in bounce slots. As [`LandingPool::copy_frame`] otherwise.
    pub fn copy_part(&self, start: usize, into: &mut [u8]) -> bool {
        let landing = self.landing();
        let fits = landing.covers(start, into.len()) || landing.bounces.covers(start, into.len());
        if fits {
            // SAFETY: as many bytes of memory that lives as long as the pool.
            unsafe { copy_words(start as *const u8, into) };
        }
        fits
    }

    /// The first bytes of a frame, up to [`SNAPSHOT`], as they are now: its headers, with options, and what tells what it is.
    /// Else as [`LandingPool::copy_frame`].
    #[inline]
    pub fn snapshot<'a>(
        &self,
        at: usize,
        len: u16,
        bounce: u16,
        into: &'a mut [u8; SNAPSHOT],
    ) -> Option<&'a [u8]> {
        let n = self.copy_frame(at, len, bounce, into)?;
        Some(&into[..n])
    }

    /// A whole frame; `None` if it is neither in the region nor in a bounce slot.
    ///
    /// # Safety
    /// No device writes it while it is borrowed: [`LandingPool::landed`] told of it, its slot was not given back, and no
    /// frame that a device may still be writing reaches it or, for a bounced one, has been given its bounce slot.
    pub unsafe fn frame(&self, at: usize, len: u16, bounce: u16) -> Option<&[u8]> {
        let start = self.landing().frame_start(at, len.into(), bounce)?;
        // SAFETY: in memory that lives as long as the pool; the caller promises that nobody writes it.
        Some(unsafe { std::slice::from_raw_parts(start as *const u8, len.into()) })
    }

    /// Between bursts: grows the region when messages that the application holds leave no room ahead, and
    /// gives back what it grew by when that is over.
    #[inline(always)]
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
        for counted in landing.shrink() {
            self.region -= counted.segment.len;
            let_go(counted.segment, counted.counts);
        }
        let room = self.config.max_region.saturating_sub(self.region);
        let step = self.config.region.min(room / CHUNK * CHUNK);
        // What is mapped twice has one distance between its addresses, in every segment.
        let least = if self.config.kind == RegionKind::Mirrored { self.config.region } else { 4 * CHUNK };
        let worth = self.landing().held() > (64 << 10) / self.config.stride as u64;
        if step < least || !worth {
            return;
        }
        match segment(&self.eal, &self.config, step) {
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
        // SAFETY: this type is not Sync, so this is the one thread that uses the pool.
        unsafe { self.pool.flush() };
        // The handler goes with the pool, perhaps later than this: a port may still have a share. If a driver has mbufs, their
        // memory is kept until they are back.
        self.landing().close();
    }
}

/// A landing pool can't be made.
#[derive(Debug)]
pub enum LandingError {
    /// The region is smaller than the queue needs.
    TooSmall {
        /// Bytes asked for.
        region: usize,
        /// Bytes needed.
        least: usize,
        /// Descriptors of the queue.
        descriptors: u16,
    },
    /// A stride that is no multiple of 8, or none, or a stride or a room of nearly 64 KiB.
    Stride(usize, usize),
    /// The kernel has no membarrier(2) for this process.
    Barrier(io::Error),
    /// No memory for the region.
    Memory(MemoryError),
    /// No memory for bounce slots.
    Bounce(MemzoneError),
    /// No mbufs.
    Pool(PoolError),
}

impl fmt::Display for LandingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { region, least, descriptors } => write!(
                f,
                "a landing region of {region} bytes is too small for {descriptors} descriptors: make it {least} or \
                 more, or the ring shorter"
            ),
            Self::Stride(stride, room) => {
                write!(
                    f,
                    "a stride of {stride} bytes (room {room}) cannot land: it must be a multiple of 8 from 8 to \
                     {MOST_STRIDE}, and the room less than 64 KiB"
                )
            }
            Self::Barrier(e) => write!(
                f,
                "messages cannot be given back safely: membarrier(2) cannot be registered: {e}; use Linux 4.14 or newer, \
                 and let the container's filter of system calls (seccomp) allow membarrier"
            ),
            Self::Memory(e) => e.fmt(f),
            Self::Bounce(e) => e.fmt(f),
            Self::Pool(e) => e.fmt(f),
        }
    }
}

impl error::Error for LandingError {}
