//! [`Errno`]: an error number of DPDK with its text.
//!
//! The error types of this crate contain it. DPDK's functions either return the number, negated, or set
//! `rte_errno`; [`Errno::of_return`] and [`Errno::last`] read it. The text is DPDK's own and is copied at
//! once.

use std::ffi::CStr;
use std::fmt;

/// An error number as DPDK gives them, printed as text and number: `Cannot allocate memory (12)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(i32);

impl Errno {
    /// The calling thread's `rte_errno`.
    pub fn last() -> Self {
        // SAFETY: reads a thread-local integer of libdpdk.
        Self(unsafe { dpdk_sys::dpdk_sys_errno() })
    }

    /// The error of a function that returns the negated number. Functions that only return -1 set `rte_errno`
    /// instead: see [`Errno::last`].
    pub fn of_return(value: i32) -> Self {
        Self(value.saturating_abs())
    }

    /// EIO if it is 0: a function of DPDK's has failed and did not say why.
    #[must_use]
    pub fn or_eio(self) -> Self {
        if self.0 == 0 { Self(libc::EIO) } else { self }
    }

    /// The number itself, positive (one of `libc::E*`, or above 1000 for DPDK's own).
    pub fn number(self) -> i32 {
        self.0
    }

    /// `Ok` unless `value` is negative.
    pub(crate) fn check(value: i32) -> Result<(), Self> {
        if value < 0 { Err(Self::of_return(value)) } else { Ok(()) }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: rte_strerror accepts any number and returns a NUL-terminated string that is either static
        // or belongs to the calling thread until its next call; it is copied out before this function
        // returns.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(self.0)) };
        write!(f, "{} ({})", text.to_string_lossy(), self.0)
    }
}

impl std::error::Error for Errno {}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({self})")
    }
}
