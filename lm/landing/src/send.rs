//! Send buffers in DPDK's memory, transmitted in place: one external-buffer mbuf and one descriptor for each
//! fragment.
//!
//! A sender takes a [`SendSlot`] from its [`SendPool`], fills it and makes packets from it. The slot comes
//! back when the driver frees the last of these packets, on any thread.

use std::alloc::{Layout as Allocation, alloc_zeroed, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ops::Range;
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

    /// Makes one packet for each of `frames`, in their order, out of mbufs from `headers`, and pushes them to
    /// `packets`. The buffer comes back to its pool when the last of them is freed. Gives the buffer back,
    /// and makes nothing, if there are not enough mbufs, no frames, or one that does not lie in the buffer.
    /// `cut` is overwritten.
    ///
    /// # Errors
    /// The buffer itself.
    pub fn into_packets(
        self,
        frames: impl IntoIterator<Item = Range<usize>>,
        cut: &mut Cut,
        headers: &Mempool,
        packets: &mut Vec<Mbuf>,
    ) -> Result<(), Self> {
        let start = packets.len();
        let slot = self.slot();
        let (base, iova, in_flight) = (slot.start, slot.iova, slot.info.0);
        let Some(frames) = cut.of(frames, slot.len, |offset, _| Some(iova + offset as u64)) else {
            return Err(self);
        };
        if !headers.alloc_many(frames.len() as u16, packets) {
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
            (*f).info.refcnt = frames.len() as u16;
            NonNull::new_unchecked(&raw mut (*f).info)
        };
        for (mbuf, frame) in packets[start..].iter_mut().zip(frames) {
            // SAFETY: the frame lies in the buffer (`Cut`), which is contiguous for devices and unchanged
            // until `freed`; the count is the number of packets; the info lives as long as the slot, which
            // the share keeps.
            unsafe { show_part(mbuf, base, frame, info) };
        }
        Ok(())
    }
}

/// Parts of a buffer, each of which an mbuf can show. They go up or down and have no byte in common, so that
/// no two packets show the same one.
///
/// A sender keeps one and uses it again, so that no datagram allocates.
#[derive(Default)]
pub struct Cut(Vec<Part>);

/// A part: where it begins in the buffer, how long it is, and its address for devices.
#[derive(Clone, Copy)]
struct Part {
    offset: usize,
    len: u16,
    iova: u64,
}

impl Cut {
    /// Parts of `within` bytes. `iova` tells the address for devices of a number of bytes at an offset.
    /// `None`: there are no parts or more than DPDK can count, or they are not in order, or a part is not
    /// within, is too long for an mbuf, or has no address.
    fn of(
        &mut self,
        parts: impl IntoIterator<Item = Range<usize>>,
        within: usize,
        iova: impl Fn(usize, usize) -> Option<u64>,
    ) -> Option<&[Part]> {
        self.0.clear();
        for Range { start: offset, end } in parts {
            let len = u16::try_from(end.checked_sub(offset)?).ok().filter(|_| end <= within)?;
            self.0.push(Part { offset, len, iova: iova(offset, len.into())? });
        }
        let above = |low: &Part, high: &Part| low.offset + usize::from(low.len) <= high.offset;
        let apart = self.0.is_sorted_by(above) || self.0.is_sorted_by(|a, b| above(b, a));
        (apart && (1..=usize::from(u16::MAX)).contains(&self.0.len())).then_some(&self.0)
    }
}

/// Points a fresh mbuf to a part of the buffer at `base`.
///
/// # Safety
/// The part lies in the buffer; and as for [`Mbuf::attach_external`].
unsafe fn show_part(
    mbuf: &mut Mbuf,
    base: NonNull<u8>,
    part: &Part,
    info: NonNull<rte_mbuf_ext_shared_info>,
) {
    // SAFETY: the caller's promise.
    unsafe { mbuf.attach_external(base.byte_add(part.offset), part.iova, part.len, info) };
    assert!(mbuf.set_window(0, part.len), "an mbuf that was just attached has the buffer's length");
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

/// Memory that lies contiguous somewhere and can be sent from where it lies.
///
/// # Safety
/// `payload` stays where it is and doesn't change until the value is dropped, also when the value itself
/// moves. The addresses that `iova` returns are right for DMA.
pub unsafe trait Contiguous: Send + 'static {
    /// The bytes.
    fn payload(&self) -> &[u8];
    /// The address for devices of `len` bytes at `offset`, if they are contiguous for them.
    fn iova(&self, offset: usize, len: usize) -> Option<u64>;
}

/// A value whose parts packets in flight point to.
#[repr(C)]
struct Shown<T> {
    info: rte_mbuf_ext_shared_info,
    value: T,
    /// The mbuf in whose room this lies; `None`: it is a box.
    record_mbuf: Option<Mbuf>,
}

unsafe extern "C" fn shown_freed<T>(_: *mut c_void, opaque: *mut c_void) {
    let shown = opaque.cast::<Shown<T>>();
    // SAFETY: `show` put this here, in a box or in the room of `record_mbuf`, and DPDK calls this once for
    // it. That mbuf is taken out before the value is dropped, and is freed last, because the value lies in
    // its room.
    unsafe {
        match (*shown).record_mbuf.take() {
            Some(mbuf) => {
                ptr::drop_in_place(&raw mut (*shown).value);
                drop(mbuf);
            }
            None => drop(Box::from_raw(shown)),
        }
    }
}

impl<T> Shown<T> {
    /// Puts this in the room of `mbuf`, if it fits there. Otherwise it goes in a box, and `mbuf` is freed.
    fn settle(mut self, mbuf: Option<Mbuf>) -> NonNull<Self> {
        if let Some(mut mbuf) = mbuf
            && let Some(room) = mbuf.append((size_of::<Self>() + align_of::<Self>()) as u16)
        {
            let room = room.as_mut_ptr();
            let place = room.wrapping_add(room.align_offset(align_of::<Self>())).cast::<Self>();
            self.record_mbuf = Some(mbuf);
            // SAFETY: `place` is aligned and inside the mbuf's own room, to which the space for that was
            // appended. Nobody else uses this room until the mbuf is freed, and the value that is written
            // here owns the mbuf.
            return unsafe {
                place.write(self);
                NonNull::new_unchecked(place)
            };
        }
        NonNull::from(Box::leak(Box::new(self)))
    }
}

/// Where the record of a shown value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// In one more mbuf from the same pool, if it has 128 bytes of room. Then nothing is allocated.
    InPool,
    /// In memory that is allocated for it.
    Allocated,
}

/// Points fresh mbufs from `pool` to parts of `value`, one to each, and pushes them to `packets`. The value
/// is dropped when the last of them is freed. `cut` is overwritten.
///
/// # Errors
/// The value, if there are too few mbufs, or if a part is not in the payload, is too long for an mbuf, or is
/// not contiguous for devices.
pub fn show<T: Contiguous>(
    value: T,
    parts: impl IntoIterator<Item = Range<usize>>,
    cut: &mut Cut,
    record: Record,
    pool: &Mempool,
    packets: &mut Vec<Mbuf>,
) -> Result<(), T> {
    let start = packets.len();
    let iova = |offset, len| value.iova(offset, len);
    let Some(parts) = cut.of(parts, value.payload().len(), iova) else { return Err(value) };
    let record_mbuf = match record {
        Record::Allocated => None,
        Record::InPool => match pool.alloc() {
            None => return Err(value),
            mbuf => mbuf,
        },
    };
    if !pool.alloc_many(parts.len() as u16, packets) {
        return Err(value);
    }
    // SAFETY: plain data for which zeroes are a value.
    let info = unsafe { std::mem::zeroed() };
    let shown = Shown { info, value, record_mbuf: None }.settle(record_mbuf).as_ptr();
    // SAFETY: `shown` was just made, and nobody else has it.
    let (info, base) = unsafe {
        let info = NonNull::new_unchecked(&raw mut (*shown).info);
        (*info.as_ptr()).free_cb = Some(shown_freed::<T>);
        (*info.as_ptr()).fcb_opaque = shown.cast();
        (*info.as_ptr()).refcnt = parts.len() as u16;
        (info, NonNull::from((*shown).value.payload()).cast::<u8>())
    };
    for (mbuf, part) in packets[start..].iter_mut().zip(parts) {
        // SAFETY: `shown` lives until the callback. The part lies in the payload, which stays where it is,
        // and unchanged (`Contiguous`), and has this IOVA.
        unsafe { show_part(mbuf, base, part, info) };
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_within_in_order_and_apart() {
        let mut cut = Cut::default();
        let mut of = |parts: &[(usize, usize)]| {
            cut.of(parts.iter().map(|&(start, end)| start..end), 100, |at, _| Some(at as u64)).is_some()
        };
        for good in
            [&[(0, 100)][..], &[(0, 0)], &[(0, 10), (10, 20), (30, 100)], &[(60, 100), (20, 60), (0, 20)]]
        {
            assert!(of(good), "{good:?}");
        }
        assert!(!of(&[]) && !of(&[(0, 101)]) && !of(&[(5, 4)]));
        for shared in [
            &[(0, 10), (9, 20)][..],
            &[(9, 20), (0, 10)],
            &[(0, 10), (0, 10)],
            &[(0, 10), (20, 30), (5, 15)],
            &[(0, 10), (20, 30), (10, 20)],
        ] {
            assert!(!of(shared), "{shared:?}");
        }
        let many = (0..70_000).map(|i| i..i + 1);
        assert!(cut.of(many, 1 << 17, |at, _| Some(at as u64)).is_none(), "more than can be counted");
        let one = std::iter::once(0..10);
        assert!(cut.of(one, 100, |_, _| None).is_none(), "what devices cannot reach");
    }
}
