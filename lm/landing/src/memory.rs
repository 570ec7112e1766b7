//! Allocates the memory of a landing region, and finds the addresses at which devices reach it.
//!
//! [`crate::pool`] makes one for each segment. The memory is DPDK's, or a file of this process's that is
//! mapped twice in a row, so that a datagram may lie across its end. It is divided into extents: parts that
//! are contiguous for devices. No extent crosses the boundary that a device must not cross. The memory does
//! not move, and goes back when the value is dropped.

use std::{error, fmt, io, ptr};

use rte::Eal;
use rte::eal::IovaMode;
use rte::memzone::{Memzone, MemzoneError, MemzoneFlags, iova_of};
use rte::port::PortId;

use crate::dma::{DmaError, DmaMapping, physical_of};

/// A part of memory that is contiguous for devices: addresses from `lo` up to `hi`, which is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub lo: usize,
    pub hi: usize,
    /// IOVA minus address.
    pub delta: u64,
}

/// Memory for landing.
pub(crate) struct Memory {
    base: usize,
    len: usize,
    span: usize,
    extents: Box<[Extent]>,
    mirrored: bool,
    _owner: Owner,
}

/// What gives the memory back.
#[expect(dead_code, reason = "held for their drop")]
enum Owner {
    Zone(Memzone),
    Twice(Twice),
    /// The device lets go before the memory does.
    Mapped(DmaMapping, Twice),
}

/// Bytes that are looked up at once when breaks are searched for: the smallest page.
const PAGE: usize = 4096;
const HUGEPAGE: usize = 2 << 20;

impl Memory {
    /// `len` bytes of DPDK's memory, in which no extent crosses a multiple of `boundary` (0: any may).
    pub(crate) fn zone(
        eal: &Eal,
        name: &str,
        len: usize,
        socket: Option<u32>,
        boundary: usize,
    ) -> Result<Self, MemoryError> {
        let zone = Memzone::reserve(eal, name, len, PAGE, MemzoneFlags::default(), socket)
            .map_err(MemoryError::Zone)?;
        let base = zone.ptr().as_ptr() as usize;
        // With --no-huge and without an IOMMU there are no addresses for devices, and no device asks for
        // them.
        let delta = |at: usize| {
            let iova = iova_of(eal, at as *const u8);
            iova.map_or(0, |iova| iova.wrapping_sub(at as u64)).wrapping_add(shift(at))
        };
        let extents = find_extents(base, len, PAGE, boundary, delta);
        Ok(Self { base, len, span: len, extents, mirrored: false, _owner: Owner::Zone(zone) })
    }

    /// `len` bytes (a multiple of 2 MiB) of this process's memory, mapped twice in a row, for devices that do
    /// no DMA.
    pub(crate) fn twice(eal: &Eal, len: usize) -> Result<Self, MemoryError> {
        let twice = Self::huge_or_not(eal, len)?;
        let base = twice.at as usize;
        let extents = Box::new([Extent { lo: base, hi: base + 2 * len, delta: 0 }]);
        Ok(Self { base, len, span: 2 * len, extents, mirrored: true, _owner: Owner::Twice(twice) })
    }

    /// The same for a port's device that does DMA. Where devices use virtual addresses, both mappings are
    /// made known to the device. Where they use physical addresses, the memory is in hugepages, and each
    /// hugepage is contiguous.
    pub(crate) fn twice_for(
        eal: &Eal,
        len: usize,
        port: PortId,
        boundary: usize,
    ) -> Result<Self, MemoryError> {
        if eal.iova_mode() == IovaMode::Virtual {
            let twice = Self::huge_or_not(eal, len)?;
            let base = twice.at as usize;
            let mapping = DmaMapping::new(eal, port, base, 2 * len).map_err(MemoryError::Dma)?;
            let extents = find_extents(base, 2 * len, HUGEPAGE, boundary, |_| 0);
            let owner = Owner::Mapped(mapping, twice);
            return Ok(Self { base, len, span: 2 * len, extents, mirrored: true, _owner: owner });
        }
        let twice = Twice::map(len, true).map_err(|e| MemoryError::Twice(len, e))?;
        let base = twice.at as usize;
        // The pages of the first mapping are present, so their addresses can be asked for.
        let pages: Vec<u64> = (0..len / HUGEPAGE)
            .map(|page| physical_of(eal, base + page * HUGEPAGE))
            .collect::<Result<_, _>>()
            .map_err(MemoryError::Dma)?;
        let delta =
            |at: usize| pages[(at - base) % len / HUGEPAGE].wrapping_sub((at / HUGEPAGE * HUGEPAGE) as u64);
        let extents = find_extents(base, 2 * len, HUGEPAGE, boundary, delta);
        Ok(Self { base, len, span: 2 * len, extents, mirrored: true, _owner: Owner::Twice(twice) })
    }

    fn huge_or_not(eal: &Eal, len: usize) -> Result<Twice, MemoryError> {
        (eal.has_hugepages())
            .then(|| Twice::map(len, true).ok())
            .flatten()
            .map_or_else(|| Twice::map(len, false), Ok)
            .map_err(|e| MemoryError::Twice(len, e))
    }

    /// Its first address.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// Its length in bytes, counted once.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of address space from the base: twice the length if it is mapped twice.
    #[inline]
    pub(crate) fn span(&self) -> usize {
        self.span
    }

    /// Whether the memory is mapped twice.
    pub(crate) fn is_mirrored(&self) -> bool {
        self.mirrored
    }

    /// The extent around an address. An address outside the memory gets an empty one.
    #[inline]
    pub(crate) fn extent(&self, at: usize) -> Extent {
        let found = self.extents.iter().find(|e| (e.lo..e.hi).contains(&at));
        found.copied().unwrap_or(Extent { lo: at, hi: at, delta: 0 })
    }

    /// The address for devices of these bytes, if a device can read them as one buffer: they are contiguous
    /// for it, and in one hugepage. (Some emulated devices lose a frame whose bytes lie in two pages that are
    /// not neighbours behind the IOMMU: `docs/hardware.md`.)
    #[inline]
    pub(crate) fn sendable(&self, at: usize, len: usize) -> Option<u64> {
        let e = self.extent(at);
        let in_one = at + len <= e.hi && at / HUGEPAGE == (at + len.max(1) - 1) / HUGEPAGE;
        (in_one && e.hi > e.lo).then(|| (at as u64).wrapping_add(e.delta))
    }
}

/// How far devices see an address from where it is. Tests have breaks between pages that there are not.
#[cfg(not(test))]
fn shift(_: usize) -> u64 {
    0
}

#[cfg(test)]
use self::tests::shift;

/// Divides memory into extents that are contiguous for devices and that cross no multiple of `boundary`, by
/// the addresses that devices use. `delta` tells how far a page's address for devices is from its own.
fn find_extents(
    base: usize,
    len: usize,
    page: usize,
    boundary: usize,
    delta: impl Fn(usize) -> u64,
) -> Box<[Extent]> {
    let mut extents: Vec<Extent> = Vec::new();
    let mut at = base;
    while at < base + len {
        let delta = delta(at);
        let iova = (at as u64).wrapping_add(delta);
        let mut hi = (at / page * page + page).min(base + len);
        let mut begins = false;
        if boundary > 0 {
            let into = (iova % boundary as u64) as usize;
            begins = into == 0;
            hi = hi.min(at + boundary - into);
        }
        match extents.last_mut() {
            Some(e) if e.delta == delta && !begins => e.hi = hi,
            _ => extents.push(Extent { lo: at, hi, delta }),
        }
        at = hi;
    }
    extents.into()
}

/// One file mapped twice, back to back.
struct Twice {
    at: *mut libc::c_void,
    len: usize,
}

// SAFETY: an address range that stays mapped until drop; it is reached through raw pointers only.
unsafe impl Send for Twice {}
// SAFETY: as above.
unsafe impl Sync for Twice {}

impl Twice {
    fn map(len: usize, huge: bool) -> io::Result<Self> {
        if len == 0 || !len.is_multiple_of(HUGEPAGE) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let flags =
            if huge { libc::MFD_CLOEXEC | libc::MFD_HUGETLB | libc::MFD_HUGE_2MB } else { libc::MFD_CLOEXEC };
        // SAFETY: the name is NUL-terminated; the flags are memfd_create's.
        let fd = unsafe { libc::memfd_create(c"lm-landing".as_ptr(), flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let mapped = Self::map_file(fd, len, huge);
        // SAFETY: the descriptor is ours; mappings outlive it.
        unsafe { libc::close(fd) };
        mapped
    }

    fn map_file(fd: i32, len: usize, huge: bool) -> io::Result<Self> {
        // SAFETY: an ordinary call on our own descriptor.
        if unsafe { libc::ftruncate(fd, len as libc::off_t) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // Address space for both, with room to align.
        let space = 2 * len + HUGEPAGE;
        let none = libc::PROT_NONE;
        // SAFETY: an anonymous reservation where the kernel likes; nothing of ours is replaced.
        let area = unsafe {
            libc::mmap(
                ptr::null_mut(),
                space,
                none,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if area == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = (area as usize).next_multiple_of(HUGEPAGE);
        let this = Self { at: start as *mut libc::c_void, len };
        // SAFETY: both ends of the reservation that the mapping will not use, page-aligned, ours.
        unsafe {
            let (head, tail) = (start - area as usize, area as usize + space - (start + 2 * len));
            if head > 0 {
                libc::munmap(area, head);
            }
            if tail > 0 {
                libc::munmap((start + 2 * len) as *mut libc::c_void, tail);
            }
        }
        for i in 0..2 {
            let flags =
                libc::MAP_SHARED | libc::MAP_FIXED | if huge && i == 0 { libc::MAP_POPULATE } else { 0 };
            // SAFETY: MAP_FIXED replaces a part of our own reservation, which `this` unmaps on drop.
            let half = unsafe {
                let at = this.at.byte_add(i * len);
                libc::mmap(at, len, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0)
            };
            if half == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(this)
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        // SAFETY: mapped by `map_file`, and nobody uses it any more: a region is let go when it is idle.
        unsafe { libc::munmap(self.at, 2 * self.len) };
    }
}

/// Why there is no memory for a landing region.
#[derive(Debug)]
#[non_exhaustive]
pub enum MemoryError {
    /// DPDK has none.
    Zone(MemzoneError),
    /// This many bytes could not be mapped twice.
    Twice(usize, io::Error),
    /// The memory was mapped twice, but cannot be made known to the device.
    Dma(DmaError),
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zone(e) => e.fmt(f),
            Self::Twice(len, e) => {
                write!(
                    f,
                    "{len} bytes of landing region cannot be mapped twice: {e}; use a region in DPDK's memory"
                )
            }
            Self::Dma(e) => e.fmt(f),
        }
    }
}

impl error::Error for MemoryError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Zone(e) => Some(e),
            Self::Twice(_, e) => Some(e),
            Self::Dma(e) => Some(e),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Bytes between two breaks in DPDK's memory. 0: there are none but those that there are.
    pub(crate) static BREAKS: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn shift(at: usize) -> u64 {
        at.checked_div(BREAKS.load(Ordering::Relaxed)).map_or(0, |page| page as u64 * HUGEPAGE as u64)
    }

    #[test]
    fn pieces_end_where_devices_see_a_break() {
        // Four pages of 2 MiB, of which the second follows the first for devices too.
        let base = 4 * HUGEPAGE;
        let places = [10, 11, 7, 20].map(|n: usize| n * HUGEPAGE);
        let delta = |at: usize| places[(at - base) / HUGEPAGE].wrapping_sub(at / HUGEPAGE * HUGEPAGE) as u64;
        let extents = find_extents(base, 4 * HUGEPAGE, HUGEPAGE, 0, delta);
        let lengths: Vec<_> = extents.iter().map(|e| (e.hi - e.lo) / HUGEPAGE).collect();
        assert_eq!(lengths, [2, 1, 1]);
        assert_eq!(extents[1].delta.wrapping_add(extents[1].lo as u64), 7 * HUGEPAGE as u64);
    }

    #[test]
    fn no_piece_crosses_the_boundary_in_the_devices_count() {
        // 12 KiB off the boundary for devices, on one for us.
        let (base, len, boundary) = (8 * HUGEPAGE, HUGEPAGE + 5 * PAGE, 64 << 10);
        let extents = find_extents(base, len, PAGE, boundary, |_| 3 * PAGE as u64);
        let mut at = base;
        for e in &extents {
            assert_eq!(e.lo, at, "nothing is left out");
            let (lo, hi) = (e.lo as u64 + e.delta, e.hi as u64 - 1 + e.delta);
            assert_eq!(lo / boundary as u64, hi / boundary as u64);
            at = e.hi;
        }
        assert_eq!(at, base + len);
        assert!(extents.len() <= len / boundary + 2);
    }
}
