//! Send buffers in DPDK's memory, transmitted in place: one external-buffer mbuf and one descriptor for each
//! fragment.
//!
//! A sender takes a [`SendSlot`] from its [`SendPool`], fills it and makes packets from it. The slot comes
//! back when the driver frees the last of these packets, on any thread. `grid` says where in a buffer the
//! packets' bytes lie, and `show` makes packets from memory that is no send buffer.

mod grid;
mod show;

pub use self::grid::Grid;
use self::grid::Part;
pub use self::show::{Contiguous, Frame, NotShown, show, show_behind};

use std::alloc::{Layout as Allocation, alloc_zeroed, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::{error, fmt};

use dpdk_sys::rte_mbuf_ext_shared_info;
use rte::mempool::Mempool;
use rte::memzone::{Memzone, MemzoneError, MemzoneFlags};
use rte::{Eal, Mbuf};

/// Buffers to send from. Any thread may have the pool, and one thread at a time takes from it (`&mut`).
pub struct SendPool {
    shared: Arc<Shared>,
    next: usize,
    len: usize,
}

struct Shared {
    slots: Box<[Slot]>,
    /// Holds the slots' bytes. DPDK has addresses in it only while a slot is in use.
    zones: Vec<Memzone>,
}

/// The place and the state of a buffer.
struct Slot {
    start: NonNull<u8>,
    len: usize,
    iova: u64,
    busy: AtomicBool,
    /// DPDK counts the fragments in flight here. It is allocated apart, because DPDK writes it from any
    /// lcore.
    info: Info,
}

/// An [`InFlight`] at a fixed address.
struct Info(NonNull<InFlight>);

/// A slot's fragments in flight.
#[repr(C)]
struct InFlight {
    info: rte_mbuf_ext_shared_info,
    /// While there are any: the share of the pool that goes back with the last of them, from `Arc::into_raw`,
    /// and which slot it is.
    shared: *const Shared,
    index: usize,
}

// SAFETY: a slot's memory is reached only by who took it (`busy`), its info by DPDK's atomics.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Info {
    fn new() -> Self {
        let layout = Allocation::new::<InFlight>();
        // SAFETY: the layout is not empty.
        let at = unsafe { alloc_zeroed(layout) };
        NonNull::new(at.cast()).map_or_else(|| handle_alloc_error(layout), Self)
    }
}

impl Drop for Info {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout; no mbuf is attached any more (see `freed`).
        unsafe { dealloc(self.0.as_ptr().cast(), Allocation::new::<InFlight>()) };
    }
}

/// A buffer that was taken and not sent. Any thread may have it, and dropping it gives it back.
pub struct SendSlot {
    shared: Arc<Shared>,
    index: usize,
}

static ZONES: AtomicU32 = AtomicU32::new(0);
/// The most bytes of a zone, so that each finds a contiguous place in one hugepage.
const ZONE: usize = 1 << 20;

impl SendPool {
    /// A pool of `buffers` buffers of `len` bytes, each contiguous for devices.
    ///
    /// # Errors
    /// [`SendError`]: DPDK has no memory.
    pub fn create(eal: &Eal, buffers: usize, len: usize, socket: Option<u32>) -> Result<Self, SendError> {
        // A length that overflows is too long for DPDK too, which then returns the error.
        let pitch = len.max(1).checked_next_multiple_of(64).unwrap_or(usize::MAX / 2);
        let per_zone = (ZONE / pitch).max(1);
        let (mut zones, mut slots) = (Vec::new(), Vec::new());
        while slots.len() < buffers {
            let n = per_zone.min(buffers - slots.len());
            let name = format!("lms_{}", ZONES.fetch_add(1, Ordering::Relaxed));
            let flags = MemzoneFlags { iova_contig: true };
            // Within one hugepage: see `Memory::is_sendable`.
            let align = (n * pitch).next_power_of_two().min(ZONE);
            let zone = Memzone::reserve(eal, &name, n * pitch, align, flags, socket)
                .map_err(|cause| SendError { buffers, len, cause })?;
            for i in 0..n {
                // SAFETY: within the zone.
                let start = unsafe { zone.ptr().byte_add(i * pitch) };
                let iova = zone.iova() + (i * pitch) as u64;
                slots.push(Slot { start, len, iova, busy: AtomicBool::new(false), info: Info::new() });
            }
            zones.push(zone);
        }
        Ok(Self { shared: Arc::new(Shared { slots: slots.into(), zones }), next: 0, len })
    }

    /// Takes a buffer. `None`: all are in flight or taken.
    pub fn take(&mut self) -> Option<SendSlot> {
        let n = self.shared.slots.len();
        for k in 0..n {
            let index = (self.next + k) % n;
            // Acquire: what the driver did with the buffer happened before.
            if !self.shared.slots[index].busy.load(Ordering::Acquire) {
                self.shared.slots[index].busy.store(true, Ordering::Relaxed);
                // The buffer that was used last is looked at first, because it is likely to be in the cache.
                self.next = index;
                return Some(SendSlot { shared: Arc::clone(&self.shared), index });
            }
        }
        None
    }

    /// How many buffers are free.
    pub fn available(&self) -> usize {
        self.shared.slots.iter().filter(|s| !s.busy.load(Ordering::Acquire)).count()
    }

    /// How many buffers there are.
    pub fn size(&self) -> usize {
        self.shared.slots.len()
    }

    /// Bytes of a buffer.
    pub fn buffer_len(&self) -> usize {
        self.len
    }

    /// Bytes of DPDK's memory.
    pub fn memory(&self) -> usize {
        self.shared.zones.iter().map(Memzone::len).sum()
    }
}

impl SendSlot {
    fn slot(&self) -> &Slot {
        &self.shared.slots[self.index]
    }

    /// The buffer's bytes.
    pub fn bytes(&self) -> &[u8] {
        let slot = self.slot();
        // SAFETY: `len` bytes of a zone that lives; memzones are initialised; this value is the only user.
        unsafe { std::slice::from_raw_parts(slot.start.as_ptr(), slot.len) }
    }

    /// The buffer's bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let slot = self.slot();
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(slot.start.as_ptr(), slot.len) }
    }

    /// The address for devices of the byte at `offset`.
    pub(crate) fn iova(&self, offset: usize) -> u64 {
        self.slot().iova + offset as u64
    }

    /// Makes one packet of each part of the buffer, the last part first, out of mbufs from `headers`, and
    /// pushes them to `packets`. The buffer comes back to its pool when the last of them is freed. Gives the
    /// buffer back, and makes nothing, if there are not enough mbufs, or if not all parts lie in the buffer.
    ///
    /// # Errors
    /// The buffer itself.
    pub fn into_packets(self, grid: &Grid, headers: &Mempool, packets: &mut Vec<Mbuf>) -> Result<(), Self> {
        let start = packets.len();
        let slot = self.slot();
        let (base, iova, in_flight) = (slot.start, slot.iova, slot.info.0);
        if !grid.is_within(slot.len) || !headers.alloc_many(grid.parts(), packets) {
            return Err(self);
        }
        // The packets hold the buffer from now on; `freed` gives this share back.
        let this = ManuallyDrop::new(self);
        // SAFETY: nobody is attached: the slot was taken, so DPDK is done with its info. The share leaves
        // `this`, which is not dropped.
        let info = unsafe {
            let f = in_flight.as_ptr();
            (*f).shared = Arc::into_raw(ptr::read(&raw const this.shared));
            (*f).index = this.index;
            (*f).info.free_cb = Some(freed);
            (*f).info.fcb_opaque = f.cast();
            (*f).info.refcnt = grid.parts();
            NonNull::new_unchecked(&raw mut (*f).info)
        };
        for (mbuf, i) in packets[start..].iter_mut().zip((0..grid.parts()).rev()) {
            let part = grid.part(i);
            // SAFETY: the parts lie in the buffer, apart from each other (`Grid`); the buffer is contiguous
            // for devices and unchanged until `freed`; the count is the number of packets; the info lives as
            // long as the slot, which the share keeps.
            unsafe { show_part(mbuf, base, iova + part.start as u64, part, info) };
        }
        Ok(())
    }
}

/// Points a fresh mbuf to a part of the buffer at `base`.
///
/// # Safety
/// The part lies in the buffer; and as for [`Mbuf::attach_external`].
#[inline]
unsafe fn show_part(
    mbuf: &mut Mbuf,
    base: NonNull<u8>,
    iova: u64,
    part: Part,
    info: NonNull<rte_mbuf_ext_shared_info>,
) {
    // SAFETY: the caller's promise.
    unsafe { mbuf.attach_external(base.byte_add(part.start), iova, part.len, info) };
}

impl AsRef<[u8]> for SendSlot {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl AsMut<[u8]> for SendSlot {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes_mut()
    }
}

/// DPDK calls this when it has freed the last packet of a buffer, on the lcore that freed it.
unsafe extern "C" fn freed(_: *mut c_void, opaque: *mut c_void) {
    // SAFETY: `into_packets` put the slot's own record here, and a share of the pool into it, which keeps the
    // record; DPDK calls this once for it.
    unsafe {
        let InFlight { shared, index, .. } = *opaque.cast::<InFlight>();
        drop(SendSlot { shared: Arc::from_raw(shared), index });
    }
}

impl Drop for SendSlot {
    fn drop(&mut self) {
        // Release: what was done with the buffer happens before it is taken again.
        self.slot().busy.store(false, Ordering::Release);
    }
}

/// There is no memory for send buffers.
#[derive(Debug)]
pub struct SendError {
    /// How many buffers were asked for.
    pub buffers: usize,
    /// The length of each in bytes.
    pub len: usize,
    /// DPDK's reason.
    pub cause: MemzoneError,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no memory for {} send buffers of {} bytes: {}", self.buffers, self.len, self.cause)
    }
}

impl error::Error for SendError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.cause)
    }
}
