//! [`Socket`]: a socket of rtnetlink(7), in the network name space of this process.
//!
//! [`crate::rtnetlink`] has one that waits for answers, and [`crate::routes`] one that hears reports.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::netlink::message;

/// The kernel's messages come in lots of at most this size.
pub(crate) const LONGEST: usize = 1 << 16;

/// A socket for requests, and for what the kernel tells.
pub(crate) struct Socket {
    file: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// One on which [`Socket::receive`] waits for an answer, for so many whole seconds at most.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn that_waits(patience: Duration) -> io::Result<Self> {
        let this = Self::open(0)?;
        let time = libc::timeval { tv_sec: patience.as_secs() as libc::time_t, tv_usec: 0 };
        let len = size_of::<libc::timeval>() as libc::socklen_t;
        // SAFETY: the structure lives through the call, and `len` is its length.
        let ret = unsafe {
            let fd = this.file.as_raw_fd();
            libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const time).cast(), len)
        };
        if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(this) }
    }

    /// One that also hears the reports of these groups, and on which [`Socket::receive`] never waits.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn that_hears(groups: u32) -> io::Result<Self> {
        let this = Self::open(libc::SOCK_NONBLOCK)?;
        // SAFETY: zeroes are a value of this plain structure.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = groups;
        // SAFETY: the address lives through the call, and its length is the structure's.
        let ret = unsafe {
            let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            libc::bind(this.file.as_raw_fd(), (&raw const address).cast(), len)
        };
        if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(this) }
    }

    fn open(flags: libc::c_int) -> io::Result<Self> {
        // SAFETY: takes no pointer; the result is checked.
        let fd = unsafe {
            let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | flags;
            libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just opened, and nobody else has it.
        let file = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { file, sequence: 0 })
    }

    /// Sends a request with the next number.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = message(kind, flags, self.sequence, body);
        // SAFETY: the bytes live through the call, and are as many as is said.
        let n = unsafe { libc::send(self.file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The number of the last request.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Receives some messages, and returns the buffer's part that has them.
    ///
    /// # Errors
    /// What the kernel says: nothing is there by now (EAGAIN), or some messages were lost (ENOBUFS).
    pub(crate) fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        loop {
            // SAFETY: the buffer lives through the call, and has as many bytes as is said.
            let n = unsafe { libc::recv(self.file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            if let Ok(n) = usize::try_from(n) {
                return Ok(&buffer[..n.min(buffer.len())]);
            }
            let e = io::Error::last_os_error();
            if e.kind() != io::ErrorKind::Interrupted {
                return Err(e);
            }
        }
    }
}

impl AsFd for Socket {
    /// It can be read when the kernel has told something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The error in the body of a message of the kind `NLMSG_ERROR`.
pub(crate) fn error_of(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b).wrapping_neg()) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
