//! [`Memzone`]: a named piece of DPDK's memory that devices can reach. [`iova_of`]: an address as devices see
//! it.
//!
//! `lm-landing` takes send buffers from it, and landing regions that must lie in DPDK's memory. The memory is
//! freed on drop. This module hands out addresses only: it makes no reference to the memory, which devices
//! and other threads may write.

use std::ffi::{CString, c_void};
use std::ptr::NonNull;
use std::{error, fmt};

use dpdk_sys::rte_memzone;

use crate::{Eal, Errno};

/// A named piece of DPDK's memory, freed on drop.
///
/// Any thread may hold and drop it. It gives addresses, not references: its user decides who writes where.
#[derive(Debug)]
pub struct Memzone {
    zone: NonNull<rte_memzone>,
    _eal: Eal,
}

// SAFETY: the descriptor is not modified between reserve and free, DPDK's calls on it take a lock, and the
// memory behind it is reached through raw pointers only.
unsafe impl Send for Memzone {}
// SAFETY: as above.
unsafe impl Sync for Memzone {}

/// Requirements of the memory that [`Memzone::reserve`] is to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemzoneFlags {
    /// The zone must be contiguous for devices, too. Otherwise it may break at every page when IOVA is
    /// physical.
    pub iova_contig: bool,
}

impl Memzone {
    /// Reserves `len` bytes, aligned to `align` (a power of two), on NUMA node `socket` (`None`: any).
    ///
    /// # Errors
    /// [`MemzoneError`]; names are unique and shorter than 32 bytes.
    pub fn reserve(
        eal: &Eal,
        name: &str,
        len: usize,
        align: usize,
        flags: MemzoneFlags,
        socket: Option<u32>,
    ) -> Result<Self, MemzoneError> {
        let failed = |errno| MemzoneError { name: name.to_owned(), len, align, errno };
        let invalid = || failed(Errno::of_return(-libc::EINVAL));
        let c_name = CString::new(name).map_err(|_| invalid())?;
        // A length of zero would ask DPDK for "the largest piece there is".
        let align_32 = u32::try_from(align).ok().filter(|a| a.is_power_of_two());
        let (Some(align_32), true) = (align_32, len > 0) else { return Err(invalid()) };
        let flags = if flags.iova_contig { dpdk_sys::RTE_MEMZONE_IOVA_CONTIG } else { 0 };
        let socket = socket.map_or(dpdk_sys::SOCKET_ID_ANY, |s| s as i32);
        // SAFETY: EAL is initialised, and the name is NUL-terminated and copied.
        let zone =
            unsafe { dpdk_sys::rte_memzone_reserve_aligned(c_name.as_ptr(), len, socket, flags, align_32) };
        match NonNull::new(zone.cast_mut()) {
            Some(zone) => Ok(Self { zone, _eal: eal.clone() }),
            None => Err(failed(Errno::last())),
        }
    }

    fn zone(&self) -> &rte_memzone {
        // SAFETY: the descriptor lives in DPDK's memory until `drop` frees it, and nothing modifies it.
        unsafe { self.zone.as_ref() }
    }

    /// Where it begins.
    pub fn ptr(&self) -> NonNull<u8> {
        // SAFETY: a reserved zone has memory.
        unsafe { NonNull::new_unchecked(dpdk_sys::dpdk_sys_memzone_addr(self.zone()).cast()) }
    }

    /// Its length in bytes, at least what was asked for.
    pub fn len(&self) -> usize {
        self.zone().len
    }

    /// Never: a zone has at least one byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address of its first byte for devices. What follows is contiguous only if that was asked for, or
    /// if IOVA is virtual: [`iova_of`] tells.
    pub fn iova(&self) -> u64 {
        self.zone().iova
    }
}

impl Drop for Memzone {
    fn drop(&mut self) {
        // SAFETY: reserved by this value and not freed before; EAL lives, as this value holds it.
        let ret = unsafe { dpdk_sys::rte_memzone_free(self.zone.as_ptr()) };
        if ret != 0 {
            ::log::error!("a memzone is lost: {}", Errno::of_return(ret));
        }
    }
}

/// The address for devices of a byte of DPDK's memory. `None` if the byte is neither DPDK's nor registered
/// with DPDK, or if no device can reach it. Any thread may call it. It searches, so it is slow.
pub fn iova_of(_eal: &Eal, ptr: *const u8) -> Option<u64> {
    let address = ptr.cast::<c_void>();
    // SAFETY: EAL is initialised; the address is looked up, never followed. The first question is needed
    // because rte_mem_virt2iova takes any address for DPDK's when IOVA is virtual.
    let iova = unsafe {
        if dpdk_sys::rte_mem_virt2memseg_list(address).is_null() {
            return None;
        }
        dpdk_sys::rte_mem_virt2iova(address)
    };
    (iova != dpdk_sys::RTE_BAD_IOVA).then_some(iova)
}

/// [`Memzone::reserve`] failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemzoneError {
    /// The zone's name.
    pub name: String,
    /// How many bytes were asked for.
    pub len: usize,
    /// How they were to be aligned.
    pub align: usize,
    /// Why: EEXIST, ENOMEM, ENAMETOOLONG, EINVAL (no bytes, or an alignment that is no power of two).
    pub errno: Errno,
}

impl fmt::Display for MemzoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.errno.number() {
            libc::EEXIST => "choose another name",
            libc::ENOMEM => "give EAL more memory (-m, or more hugepages)",
            libc::ENAMETOOLONG => "choose a shorter name",
            _ => "check name, length and alignment",
        };
        let Self { name, len, align, errno } = self;
        write!(f, "memzone {name:?} of {len} bytes aligned to {align} cannot be reserved: {errno}; {advice}")
    }
}

impl error::Error for MemzoneError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.errno)
    }
}
