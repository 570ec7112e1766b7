//! Makes memory that is not DPDK's accessible to a device.
//!
//! The private module `memory` uses it for a region that is mapped twice and that a device writes to:
//! `DmaMapping` where devices use virtual addresses, and `physical_of` where they use physical ones.
//! `pmd-e1000` uses [`device_of`]. A mapping is undone when it is dropped, and that happens only when nothing
//! is posted in the memory any more.

use std::ffi::c_void;
use std::{error, fmt, ptr};

use dpdk_sys::{rte_device, rte_eth_dev_info};
use rte::port::PortId;
use rte::{Eal, Errno};

/// The page size that is registered with DPDK.
const PAGE: usize = 2 << 20;

/// Memory that a device reaches under its own virtual address, until this is dropped.
pub(crate) struct DmaMapping {
    device: *mut rte_device,
    base: usize,
    len: usize,
    _eal: Eal,
}

// SAFETY: it is a device's address and a range. The functions of DPDK that take them lock what they change.
unsafe impl Send for DmaMapping {}
// SAFETY: nothing can be done with a shared one.
unsafe impl Sync for DmaMapping {}

impl DmaMapping {
    /// Lets a port's device reach `len` bytes at `base`, both multiples of 2 MiB. The caller keeps this
    /// memory mapped for longer than the value lives.
    pub(crate) fn new(eal: &Eal, port: PortId, base: usize, len: usize) -> Result<Self, DmaError> {
        let device = device_of(eal, port).ok_or(DmaError::NoDevice(port))?;
        let at = base as *mut c_void;
        let failed = |what, ret: i32| {
            // These functions return -1 and say why in rte_errno, or return it.
            let errno = if ret == -1 { Errno::last() } else { Errno::of_return(ret) };
            DmaError::Refused { port, what, len, errno }
        };
        // SAFETY: a range of mapped pages that outlives the registration; without a table, addresses for
        // devices are the virtual ones.
        let ret =
            unsafe { dpdk_sys::rte_extmem_register(at, len, ptr::null_mut(), (len / PAGE) as u32, PAGE) };
        if ret != 0 {
            return Err(failed("registered with DPDK", ret));
        }
        // SAFETY: a live device, and the range just registered.
        let ret = unsafe { dpdk_sys::rte_dev_dma_map(device, at, base as u64, len) };
        if ret != 0 {
            let error = failed("mapped for the device", ret);
            // SAFETY: registered above.
            unsafe { dpdk_sys::rte_extmem_unregister(at, len) };
            return Err(error);
        }
        Ok(Self { device, base, len, _eal: eal.clone() })
    }
}

impl Drop for DmaMapping {
    fn drop(&mut self) {
        let at = self.base as *mut c_void;
        // SAFETY: mapped and registered by `new`. The device lives as long as EAL: this crate removes none.
        // Nothing is posted in the range any more: a region is let go when it is idle.
        unsafe {
            if dpdk_sys::rte_dev_dma_unmap(self.device, at, self.base as u64, self.len) != 0 {
                log::warn!("{} bytes of landing region stay mapped for a device", self.len);
            }
            dpdk_sys::rte_extmem_unregister(at, self.len);
        }
    }
}

/// The physical address of a byte of this process, whose page must be present.
pub(crate) fn physical_of(_eal: &Eal, at: usize) -> Result<u64, DmaError> {
    // SAFETY: EAL is initialised; the address is looked up in /proc/self/pagemap, never followed.
    let physical = unsafe { dpdk_sys::rte_mem_virt2phy(at as *const c_void) };
    if physical == dpdk_sys::RTE_BAD_IOVA { Err(DmaError::NoPhysical(at)) } else { Ok(physical) }
}

/// Why memory cannot be made accessible to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DmaError {
    /// The port has no device.
    NoDevice(PortId),
    /// The kernel does not tell the physical address of this one.
    NoPhysical(usize),
    /// DPDK refused to register or to map the memory.
    Refused {
        /// The port.
        port: PortId,
        /// What could not be done, as a participle: "registered with DPDK".
        what: &'static str,
        /// The length of the memory in bytes.
        len: usize,
        /// DPDK's reason.
        errno: Errno,
    },
}

impl fmt::Display for DmaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice(port) => write!(
                f,
                "port {port} has no device that memory could be mapped for; use a region in DPDK's memory"
            ),
            Self::NoPhysical(at) => write!(
                f,
                "the kernel does not tell where {at:#x} is in physical memory: run as root, or bind the \
                 device to vfio-pci with an IOMMU"
            ),
            Self::Refused { port, what, len, errno } => {
                write!(
                    f,
                    "{len} bytes for port {port} cannot be {what}: {errno}; use a region in DPDK's memory"
                )
            }
        }
    }
}

impl error::Error for DmaError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NoDevice(_) | Self::NoPhysical(_) => None,
            Self::Refused { errno, .. } => Some(errno),
        }
    }
}

/// The device behind a port.
pub fn device_of(_eal: &Eal, port: PortId) -> Option<*mut rte_device> {
    // SAFETY: EAL is initialised. Zeroes are a value of this plain structure; DPDK fills it for a valid port
    // and says so.
    unsafe {
        let mut info: rte_eth_dev_info = std::mem::zeroed();
        (dpdk_sys::rte_eth_dev_info_get(port.0, &raw mut info) == 0 && !info.device.is_null())
            .then_some(info.device)
    }
}
