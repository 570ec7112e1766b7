//! [`Page`]: a page of a card's registers.
//!
//! DPDK has no function for a single register. A card that is bound to uio_pci_generic or igb_uio shows its
//! registers as the file `resource0` in sysfs. vfio-pci refuses that (EINVAL): there the device's descriptor
//! shows them, which DPDK's group gives away once more (Linux, `Documentation/driver-api/vfio.rst`).

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::{io, ptr};

/// Bytes of it.
const LEN: usize = 4096;
/// Where sysfs has them.
const DEVICES: &str = "/sys/bus/pci/devices";

/// `<linux/vfio.h>`: `_IO(';', 100 + 6)` and `_IO(';', 100 + 8)`.
const VFIO_GROUP_GET_DEVICE_FD: libc::c_ulong = 0x3b6a;
const VFIO_DEVICE_GET_REGION_INFO: libc::c_ulong = 0x3b6c;

/// `struct vfio_region_info`; region 0 is BAR 0.
#[repr(C)]
#[derive(Default)]
struct Region {
    argsz: u32,
    flags: u32,
    index: u32,
    cap_offset: u32,
    size: u64,
    offset: u64,
}

/// Where sysfs shows a PCI device.
pub(crate) fn directory(device: &str) -> PathBuf {
    Path::new(DEVICES).join(device)
}

/// The kernel driver that has it; `None`: none has.
pub(crate) fn bound(dir: &Path) -> Option<String> {
    let link = fs::read_link(dir.join("driver")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

/// A page of a card's registers, mapped.
#[derive(Debug)]
pub(crate) struct Page(NonNull<u8>);

impl Page {
    /// The page that begins `from` bytes into the registers of a PCI device, by whatever driver it is bound
    /// to.
    pub(crate) fn of(device: &str, from: usize) -> io::Result<Self> {
        let dir = directory(device);
        if bound(&dir).as_deref() == Some("vfio-pci") {
            Self::of_vfio(device, from)
        } else {
            Self::of_file(&dir.join("resource0"), from)
        }
    }

    /// The same of the file that shows them.
    pub(crate) fn of_file(file: &Path, from: usize) -> io::Result<Self> {
        let space = OpenOptions::new().read(true).write(true).open(file)?;
        Self::map(space.as_raw_fd(), from as u64)
    }

    fn of_vfio(device: &str, from: usize) -> io::Result<Self> {
        let name = CString::new(device)?;
        let devices = CString::new(DEVICES)?;
        let mut number = 0;
        // SAFETY: two names that end with a NUL, and room for a number.
        let found =
            unsafe { dpdk_sys::rte_vfio_get_group_num(devices.as_ptr(), name.as_ptr(), &raw mut number) };
        if found <= 0 {
            return Err(io::Error::other(format!("{device} is in no group of vfio's")));
        }
        // SAFETY: takes a number, and answers with one.
        let group = unsafe { dpdk_sys::rte_vfio_get_group_fd(number) };
        if group < 0 {
            return Err(io::Error::other(format!("DPDK has no descriptor of vfio's group {number}")));
        }
        // SAFETY: this request takes a name that ends with a NUL.
        let fd = unsafe { libc::ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name.as_ptr()) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just opened, for us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut region = Region { argsz: size_of::<Region>() as u32, ..Region::default() };
        // SAFETY: this request fills in a structure of `argsz` bytes.
        if unsafe { libc::ioctl(fd.as_raw_fd(), VFIO_DEVICE_GET_REGION_INFO, &raw mut region) } < 0 {
            return Err(io::Error::last_os_error());
        }
        if region.size < (from + LEN) as u64 {
            return Err(io::Error::other(format!(
                "{device} shows {:#x} bytes of registers only",
                region.size
            )));
        }
        Self::map(fd.as_raw_fd(), region.offset + from as u64)
    }

    fn map(fd: RawFd, from: u64) -> io::Result<Self> {
        let from = libc::off_t::try_from(from).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let mapped = unsafe {
            libc::mmap(ptr::null_mut(), LEN, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd, from)
        };
        match NonNull::new(mapped.cast()) {
            Some(at) if mapped != libc::MAP_FAILED => Ok(Self(at)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Where a register lies in the page.
    ///
    /// # Panics
    /// One that does not: these are constants.
    fn place(&self, register: usize) -> *mut u32 {
        assert!(register.is_multiple_of(4) && register < LEN, "no register of a page: {register:#x}");
        // SAFETY: inside the page, see above.
        unsafe { self.0.as_ptr().add(register).cast() }
    }

    /// Changes a register, whose place is counted from the page's start, and gives what is read of it then.
    pub(crate) fn change(&self, register: usize, to: impl FnOnce(u32) -> u32) -> u32 {
        let place = self.place(register);
        // SAFETY: 32 bits, aligned, in the page, which is mapped until this is dropped.
        let before = unsafe { place.read_volatile() };
        // SAFETY: as above. Who calls knows that the driver does not write this register at this time.
        unsafe { place.write_volatile(to(before)) };
        // SAFETY: as above.
        unsafe { place.read_volatile() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and nobody has a pointer into it any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), LEN) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_register_of_one_page_is_changed() {
        let path = std::env::temp_dir().join(format!("lm-registers-{}", std::process::id()));
        fs::write(&path, [0xff; 2 * LEN]).expect("a file");
        let page = Page::of_file(&path, LEN).expect("mapped");
        assert_eq!(page.change(0xc4, |before| before & 0xffff), 0xffff);
        drop(page);
        let bytes = fs::read(&path).expect("the file");
        fs::remove_file(&path).expect("removed");
        for (at, &byte) in bytes.iter().enumerate() {
            assert_eq!(byte, if (LEN + 0xc6..LEN + 0xc8).contains(&at) { 0 } else { 0xff }, "{at:#x}");
        }
        assert!(Page::of_file(Path::new("/nonexistent/resource0"), 0).is_err());
        assert!(Page::of("no:such.device", 0).is_err());
    }
}
