//! [`LandingError`]: why there is no landing pool, and what to do.

use std::{error, fmt, io};

use rte::mempool::PoolError;
use rte::memzone::MemzoneError;

use super::config::MOST_STRIDE;
use crate::memory::MemoryError;

/// A landing pool can't be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum LandingError {
    /// The region is smaller than the queue needs.
    TooSmall {
        /// Bytes asked for.
        region: usize,
        /// Bytes needed.
        least: usize,
        /// Descriptors of the queue.
        descriptors: u16,
    },
    /// A stride that is no multiple of 8, or none, a room for less than a full frame, or a stride or a room
    /// of nearly 64 KiB.
    Stride(usize, usize),
    /// The kernel has no membarrier(2) for this process.
    Barrier(io::Error),
    /// No memory for the region.
    Memory(MemoryError),
    /// No memory for bounce slots.
    Bounce(MemzoneError),
    /// No mbufs.
    Pool(PoolError),
    /// This process has made more than four thousand million pools, and cannot tell another one's slots from
    /// theirs.
    TooMany,
}

impl fmt::Display for LandingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { region, least, descriptors } => write!(
                f,
                "a landing region of {region} bytes is too small for {descriptors} descriptors: make it \
                 {least} or more, or the ring shorter"
            ),
            Self::Stride(stride, room) => {
                write!(
                    f,
                    "a stride of {stride} bytes (room {room}) cannot land: it must be a multiple of 8 from \
                     8 to {MOST_STRIDE}, and the room for a full frame and less than 64 KiB"
                )
            }
            Self::Barrier(e) => write!(
                f,
                "messages cannot be given back safely: membarrier(2) cannot be registered: {e}; use Linux \
                 4.14 or newer, and let the container's filter of system calls (seccomp) allow membarrier"
            ),
            Self::Memory(e) => e.fmt(f),
            Self::Bounce(e) => e.fmt(f),
            Self::Pool(e) => e.fmt(f),
            Self::TooMany => f.write_str("this process has made too many landing pools: start it anew"),
        }
    }
}

impl error::Error for LandingError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::TooSmall { .. } | Self::Stride(..) | Self::TooMany => None,
            Self::Barrier(e) => Some(e),
            Self::Memory(e) => Some(e),
            Self::Bounce(e) => Some(e),
            Self::Pool(e) => Some(e),
        }
    }
}
