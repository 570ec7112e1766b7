//! [`LandingError`]: why there is no landing pool, and what to do.
//!
//! [`LandingPool::create`](crate::LandingPool::create) returns it. Nothing stays allocated then. `pmd-e1000`
//! and `lm` pass it on to the user, so each message says the value and the way out.

use std::{error, fmt, io};

use rte::mempool::PoolError;
use rte::memzone::MemzoneError;

use super::config::MOST_STRIDE;
use crate::memory::MemoryError;

/// Why a landing pool cannot be made.
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
    /// The stride is 0, no multiple of 8, or too long; or the room is too short for a full frame, or too
    /// long.
    Stride(usize, usize),
    /// The kernel has no membarrier(2) for this process.
    Barrier(io::Error),
    /// No memory for the region.
    Memory(MemoryError),
    /// No memory for bounce slots.
    Bounce(MemzoneError),
    /// No mbufs.
    Pool(PoolError),
    /// This process has made more than 4,000,000,000 pools, so there is no number left to mark a pool's slots
    /// with.
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
                    "datagrams cannot land with a stride of {stride} bytes and slots of {room}: the stride \
                     must be a multiple of 8 from 8 to {MOST_STRIDE}, and a slot must have room for a full \
                     frame and be shorter than 64 KiB"
                )
            }
            Self::Barrier(e) => write!(
                f,
                "the kernel does not let this process use membarrier(2): {e}; use Linux 4.14 or newer, and \
                 let the container's filter of system calls (seccomp) allow membarrier"
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
