//! Packets from memory that lies somewhere in one piece, such as a received datagram.
//!
//! [`show`] points an mbuf to a value, and [`show_behind`] makes the frames of a datagram of it: mbufs that
//! point to its parts, behind mbufs with headers. The value is dropped when the last of them is freed.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use dpdk_sys::rte_mbuf_ext_shared_info;
use rte::Mbuf;
use rte::mempool::Mempool;

use super::grid::{Grid, Part};
use super::show_part;

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
    // SAFETY: `Showing::new` put this here, in a box or in the room of `record_mbuf`, and DPDK calls this
    // once for it. That mbuf is taken out before the value is dropped, and is freed last, because the value
    // lies in its room.
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
    #[inline]
    fn settle(mut self, mbuf: Option<Mbuf>) -> NonNull<Self> {
        if let Some(mut mbuf) = mbuf
            && let Ok(len) = u16::try_from(size_of::<Self>() + align_of::<Self>())
            && let Some(room) = mbuf.append(len)
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

/// Where devices find the parts of a value.
#[derive(Clone, Copy)]
enum Addresses {
    /// All that lies between the first byte of the parts and the last is contiguous for devices: the address
    /// of the value's first byte.
    Base(u64),
    /// Each part is, on its own.
    Apart,
}

impl Addresses {
    /// `None`: a part has no address, or does not lie in the value.
    #[inline]
    fn of<T: Contiguous>(value: &T, grid: &Grid) -> Option<Self> {
        if !grid.is_within(value.payload().len()) {
            return None;
        }
        let span = grid.span();
        if let Some(first) = value.iova(span.start, span.len()) {
            return Some(Self::Base(first.wrapping_sub(span.start as u64)));
        }
        let has_one = |part: Part| value.iova(part.start, part.len.into()).is_some();
        (0..grid.parts()).all(|i| has_one(grid.part(i))).then_some(Self::Apart)
    }

    /// The address of one of them.
    #[inline]
    fn get<T: Contiguous>(self, value: &T, part: Part) -> u64 {
        match self {
            Self::Base(base) => base.wrapping_add(part.start as u64),
            // It has one: `of` looked.
            Self::Apart => value.iova(part.start, part.len.into()).unwrap_or_default(),
        }
    }
}

/// A value that mbufs are about to be pointed to.
struct Showing<'a, T> {
    shown: NonNull<Shown<T>>,
    base: NonNull<u8>,
    addresses: Addresses,
    grid: &'a Grid,
}

impl<'a, T: Contiguous> Showing<'a, T> {
    /// Puts the value where it stays until the last mbuf is freed.
    ///
    /// # Safety
    /// These are the addresses of the grid in the value. From now on each of its parts is pointed to exactly
    /// once.
    #[inline]
    unsafe fn new(value: T, addresses: Addresses, grid: &'a Grid, record_mbuf: Option<Mbuf>) -> Self {
        // SAFETY: plain data for which zeroes are a value.
        let info = unsafe { std::mem::zeroed() };
        let shown = Shown { info, value, record_mbuf: None }.settle(record_mbuf);
        // SAFETY: it was just made, and nobody else has it.
        let base = unsafe {
            let at = shown.as_ptr();
            (*at).info.free_cb = Some(shown_freed::<T>);
            (*at).info.fcb_opaque = at.cast();
            (*at).info.refcnt = grid.parts();
            NonNull::from((*at).value.payload()).cast::<u8>()
        };
        Self { shown, base, addresses, grid }
    }

    /// Points a fresh mbuf to part `index`.
    ///
    /// # Safety
    /// There is such a part, and no mbuf was pointed to it before.
    #[inline]
    unsafe fn point(&self, mbuf: &mut Mbuf, index: u16) {
        let part = self.grid.part(index);
        // SAFETY: the value lives: it is dropped when as many mbufs as there are parts have been pointed to
        // one, and freed, and this part's is not among them.
        let (iova, info) = unsafe {
            let at = self.shown.as_ptr();
            (self.addresses.get(&(*at).value, part), NonNull::new_unchecked(&raw mut (*at).info))
        };
        // SAFETY: the part lies in the payload, which stays where it is, and unchanged (`Contiguous`), until
        // the callback, and has this address. Parts have no byte in common (`Grid`), and their number is the
        // count (`new`).
        unsafe { show_part(mbuf, self.base, iova, part, info) };
    }
}

/// A fresh mbuf from `pool` that shows all bytes of `value`, which is dropped when that is freed.
///
/// # Errors
/// The value, if the pool is empty, or if it is too long for an mbuf or not contiguous for devices.
pub fn show<T: Contiguous>(value: T, pool: &Mempool) -> Result<Mbuf, T> {
    let Some(grid) = Grid::one(value.payload().len()) else { return Err(value) };
    let Some(addresses) = Addresses::of(&value, &grid) else { return Err(value) };
    let Some(mut mbuf) = pool.alloc() else { return Err(value) };
    // SAFETY: these are its addresses, and its only part is pointed to below.
    let showing = unsafe { Showing::new(value, addresses, &grid, None) };
    // SAFETY: that part, once.
    unsafe { showing.point(&mut mbuf, 0) };
    Ok(mbuf)
}

/// What is to be written into an mbuf of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// All of this frame, which shows no part. This is the value's payload.
    Whole(usize, &'a [u8]),
    /// What stands in front of the part of this frame.
    Front(usize),
    /// What stands behind the last part, in its frame.
    Behind,
}

/// Why a value is not shown. It comes back.
#[derive(Debug)]
pub enum NotShown<T> {
    /// A part of it is not in its payload, or not contiguous for devices; or there are more parts than
    /// frames.
    Unreadable(T),
    /// There are too few mbufs.
    NoMbufs(T),
}

/// Makes a datagram of `frames` frames, the last one first, and pushes them to `packets`. The first frames
/// show a part of `value` each. All mbufs come from `pool` at once: one for each frame, one for each part,
/// one more if something is `behind` the last part, and one for the record of who holds the value. The value
/// is dropped when its last part is freed.
///
/// When there are mbufs, `prepare` is given the value's payload. Then `write` is given each frame's first
/// mbuf, which is empty, and that of what is behind.
///
/// Returns whether `write` said so of all, and all could be chained. If not, `packets` hold frames that are
/// not to be sent.
///
/// # Errors
/// [`NotShown`]. Then nothing was made.
#[inline]
pub fn show_behind<T: Contiguous, S>(
    value: T,
    grid: &Grid,
    (frames, behind): (usize, bool),
    pool: &Mempool,
    packets: &mut Vec<Mbuf>,
    prepare: impl FnOnce(&[u8]) -> S,
    mut write: impl FnMut(&S, Frame<'_>, &mut Mbuf) -> bool,
) -> Result<bool, NotShown<T>> {
    let (start, parts) = (packets.len(), usize::from(grid.parts()));
    let Some(addresses) = Addresses::of(&value, grid).filter(|_| parts <= frames) else {
        return Err(NotShown::Unreadable(value));
    };
    let all = u16::try_from(frames + parts + usize::from(behind) + 1);
    if !all.is_ok_and(|all| pool.alloc_many(all, packets)) {
        return Err(NotShown::NoMbufs(value));
    }
    let record_mbuf = packets.pop();
    let tail = if behind { packets.pop() } else { None };
    let prepared = prepare(value.payload());
    let mut whole = true;
    let last_first = start + frames - 1;
    for i in parts..frames {
        whole &= write(&prepared, Frame::Whole(i, value.payload()), &mut packets[last_first - i]);
    }
    // SAFETY: these are its addresses, and as many mbufs as there are parts are popped below.
    let showing = unsafe { Showing::new(value, addresses, grid, record_mbuf) };
    for i in 0..parts {
        let Some(mut piece) = packets.pop() else { return Ok(false) };
        // SAFETY: once for each part, and not all were pointed to before.
        unsafe { showing.point(&mut piece, i as u16) };
        let frame = &mut packets[last_first - i];
        whole &= write(&prepared, Frame::Front(i), frame) && frame.chain(piece).is_ok();
    }
    if let Some(mut tail) = tail {
        let frame = &mut packets[last_first - (parts - 1)];
        whole &= write(&prepared, Frame::Behind, &mut tail) && frame.chain(tail).is_ok();
    }
    Ok(whole)
}
