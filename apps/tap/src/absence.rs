//! [`gone`]: the result of a removal. If the kernel says that the thing is not there, the removal has
//! succeeded.
//!
//! [`crate::routes`] uses it for routes, and the crate `lm-takeover` for addresses, routes, groups and
//! interfaces.

use std::io;

/// Whether the kernel says that what a request is about is not there: a route, an address, a group or an
/// interface.
pub fn is_absent(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENODEV))
}

/// The result of a removal, where what was to be removed may have gone already.
///
/// # Errors
/// The kernel refused the removal for another reason.
pub fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|e| if is_absent(&e) { Ok(()) } else { Err(e) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_there_is_gone() {
        let of = |errno| gone(Err(io::Error::from_raw_os_error(errno)));
        assert!(
            [libc::ENOENT, libc::ESRCH, libc::EADDRNOTAVAIL, libc::ENODEV].iter().all(|e| of(*e).is_ok())
        );
        assert!([libc::EPERM, libc::EEXIST, libc::EINVAL].iter().all(|e| of(*e).is_err()));
    }
}
