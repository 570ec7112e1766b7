//! [`Tap`]: a TAP interface that stays when its program ends, and the frames that go through it.
//!
//! Each frame begins with the header of virtio-net (`struct virtio_net_hdr`, [`HEADER`] bytes). It says which
//! checksums and TCP segments the other side has to complete. The kernel does not check the MTU of written
//! frames, so a datagram of any length is one write.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::{error, fmt};

use crate::interface::Interface;
use crate::request::{self, Request};

/// Bytes of the header in front of each frame.
pub const HEADER: usize = 10;
/// The most parts that one write can have (`UIO_MAXIOV`).
pub const PARTS: usize = 1024;

/// The checksum of what is read may be left to us (`TUN_F_CSUM`).
pub const CHECKSUMS: u32 = 1;
/// TCP over IPv4 may be longer than a segment when it is read, even if it says that the window was reduced
/// (`TUN_F_TSO4`, `TUN_F_TSO_ECN`).
pub const TSO4: u32 = 2 | 8;

/// A TAP that this program is attached to. Reading and writing never wait.
pub struct Tap {
    file: File,
    interface: Interface,
    is_new: bool,
}

impl Tap {
    /// Attaches to the TAP of this name, or makes it. It does not outlive the program before [`Tap::keep`] is
    /// called, unless it did already.
    ///
    /// # Errors
    /// [`TapError`] names what is missing.
    pub fn open(name: &str) -> Result<Self, TapError> {
        let refused = |cause| TapError::Refused { name: name.to_owned(), cause };
        let interface = Interface::new(name).map_err(refused)?;
        let is_new = interface.index().is_none();
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        let file = options.open("/dev/net/tun").map_err(TapError::NoDevice)?;
        let why = || refused(io::Error::from(io::ErrorKind::InvalidInput));
        let flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as u16;
        let mut request = Request::new(name).ok_or_else(why)?.with(&flags.to_ne_bytes());
        request::about(file.as_fd(), libc::TUNSETIFF, &mut request).map_err(|cause| {
            match cause.raw_os_error() {
                Some(libc::EBUSY) => TapError::Busy(name.to_owned()),
                Some(libc::EINVAL) if !is_new => TapError::NoTap(name.to_owned()),
                _ => refused(cause),
            }
        })?;
        let size = |e| TapError::Refused { name: name.to_owned(), cause: e };
        request::place(file.as_fd(), libc::TUNSETVNETHDRSZ, HEADER as libc::c_int).map_err(size)?;
        Ok(Self { file, interface, is_new })
    }

    /// The interface that programs see.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Sees whether the interface is still there. If somebody has given it another name, it is known by that
    /// from now on.
    ///
    /// # Errors
    /// It was removed (EBADFD).
    pub fn follow(&mut self) -> io::Result<()> {
        let mut request = Request::new(self.interface.name()).ok_or(io::ErrorKind::InvalidInput)?;
        request::about(self.file.as_fd(), libc::TUNGETIFF, &mut request)?;
        let name = request.name();
        if name != self.interface.name() {
            self.interface = Interface::new(&name)?;
        }
        Ok(())
    }

    /// Whether it was made by [`Tap::open`], rather than attached to.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// From now on the interface stays when the program ends, however it ends, with its addresses and routes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn keep(&self) -> io::Result<()> {
        request::number(self.file.as_fd(), libc::TUNSETPERSIST, 1)
    }

    /// What the kernel may leave to us in the frames that are read: [`CHECKSUMS`], [`TSO4`].
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_offloads(&self, offloads: u32) -> io::Result<()> {
        request::number(self.file.as_fd(), libc::TUNSETOFFLOAD, offloads.into())
    }

    /// Shows programs whether the cable is plugged in.
    ///
    /// # Errors
    /// What the kernel says. It has no carrier to show while the interface is down (EINVAL).
    pub fn set_carrier(&self, on: bool) -> io::Result<()> {
        request::place(self.file.as_fd(), libc::TUNSETCARRIER, on.into())
    }

    /// Reads one frame, its header in front of it. `None`: there is none. A frame that is longer than `into`
    /// is cut.
    ///
    /// # Errors
    /// What the kernel says: EIO while the interface is down.
    #[inline]
    pub fn read(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(into) {
            Ok(n) => Ok(Some(n)),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes one frame, whose header and bytes are these parts in order, [`PARTS`] at most.
    ///
    /// # Errors
    /// What the kernel says: it has no memory for the frame, or the interface is down (EIO).
    #[inline]
    pub fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        (&self.file).write_vectored(parts).map(drop)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Why there is no TAP.
#[derive(Debug)]
#[non_exhaustive]
pub enum TapError {
    /// `/dev/net/tun` cannot be opened.
    NoDevice(io::Error),
    /// Another program is attached to it.
    Busy(String),
    /// There is an interface of this name that is no TAP, or one of another kind.
    NoTap(String),
    /// The kernel refuses.
    Refused {
        /// The interface's name.
        name: String,
        /// What the kernel says.
        cause: io::Error,
    },
}

impl fmt::Display for TapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "/dev/net/tun: {e}; run as root, or with the capability CAP_NET_ADMIN")
            }
            Self::NoDevice(e) => write!(f, "/dev/net/tun: {e}; load the kernel's module tun (modprobe tun)"),
            Self::Busy(name) => {
                write!(f, "{name} has a program attached to it already: end that one, or choose another name")
            }
            Self::NoTap(name) => write!(
                f,
                "{name} is an interface already, and no TAP of this kind: choose another name, or remove it \
                 (ip link del {name})"
            ),
            Self::Refused { name, cause } if cause.raw_os_error() == Some(libc::EPERM) => {
                write!(f, "{name} cannot be made: {cause}; run as root, or with the capability CAP_NET_ADMIN")
            }
            Self::Refused { name, cause } => write!(f, "{name} cannot be made: {cause}"),
        }
    }
}

impl error::Error for TapError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NoDevice(e) | Self::Refused { cause: e, .. } => Some(e),
            Self::Busy(_) | Self::NoTap(_) => None,
        }
    }
}
