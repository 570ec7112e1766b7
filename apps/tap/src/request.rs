//! The argument of ioctl(2): an interface's name, and a value (`struct ifreq`, netdevice(7)).
//!
//! [`crate::interface`] and [`crate::tap`] make their requests through it. All calls of ioctl(2) of this
//! crate are in this file. A name that no interface can have is refused.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes of an interface's name, its final zero included.
pub(crate) const NAME: usize = 16;

/// `struct ifreq`: a name, and 24 bytes that each request reads or writes as something else.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(crate) struct Request {
    name: [u8; NAME],
    pub(crate) value: [u8; 24],
}

const _: () = assert!(size_of::<Request>() == size_of::<libc::ifreq>());

impl Request {
    /// A request about this interface. `None`: that is no name of an interface.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        let odd = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b':' | b'%' | 0);
        if bytes.is_empty() || bytes.len() >= NAME || matches!(name, "." | "..") || bytes.iter().any(odd) {
            return None;
        }
        let mut request = Self { name: [0; NAME], value: [0; 24] };
        request.name[..bytes.len()].copy_from_slice(bytes);
        Some(request)
    }

    /// The interface's name.
    pub(crate) fn name(&self) -> String {
        let end = self.name.iter().position(|b| *b == 0).unwrap_or(NAME);
        String::from_utf8_lossy(&self.name[..end]).into_owned()
    }

    /// The value as a 16-bit number, such as flags.
    pub(crate) fn short(&self) -> i16 {
        i16::from_ne_bytes([self.value[0], self.value[1]])
    }

    /// The value as a number, such as an MTU or an index.
    pub(crate) fn int(&self) -> i32 {
        i32::from_ne_bytes([self.value[0], self.value[1], self.value[2], self.value[3]])
    }

    /// Another value.
    pub(crate) fn with(mut self, value: &[u8]) -> Self {
        self.value = [0; 24];
        self.value[..value.len()].copy_from_slice(value);
        self
    }
}

/// A request that takes or fills a [`Request`].
///
/// # Errors
/// What the kernel says.
pub(crate) fn about(fd: BorrowedFd<'_>, what: libc::Ioctl, request: &mut Request) -> io::Result<()> {
    // SAFETY: all requests of this crate that come here (SIOC[GS]IF*, SIOC{ADD,DEL}MULTI, TUN[GS]ETIFF) read
    // and write one `struct ifreq`, whose size and alignment `Request` has; it lives through the call.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), what, std::ptr::from_mut(request)) })
}

/// A request whose argument is a number.
///
/// # Errors
/// What the kernel says.
pub(crate) fn number(fd: BorrowedFd<'_>, what: libc::Ioctl, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: TUNSETPERSIST and TUNSETOFFLOAD take their argument by value; no memory is touched.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), what, value) })
}

/// A request whose argument is the place of a number.
///
/// # Errors
/// What the kernel says.
pub(crate) fn place(fd: BorrowedFd<'_>, what: libc::Ioctl, mut value: libc::c_int) -> io::Result<()> {
    // SAFETY: TUNSETVNETHDRSZ and TUNSETCARRIER read one int; it lives through the call.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), what, &raw mut value) })
}

fn done(ret: libc::c_int) -> io::Result<()> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_would_refuse_or_expand() {
        for good in ["lm0", "a", "fifteen-letters"] {
            assert_eq!(Request::new(good).map(|request| request.name()).as_deref(), Some(good));
        }
        for bad in ["", "sixteen--letters", "a b", "a/b", "lm%d", "a:1", ".", "..", "a\0b"] {
            assert!(Request::new(bad).is_none(), "{bad}");
        }
    }
}
