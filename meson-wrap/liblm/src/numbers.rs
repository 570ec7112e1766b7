//! [`number`]: which of errno's numbers an error of the crates below is.
//!
//! The text of an error says what happened. C programs also want a number that they can compare.

use std::error::Error;
use std::ffi::c_int;
use std::io;

use lm::rte::Errno;
use lm::rte::port::OpenError;
use lm::{AdoptError, Claimed, NotReady, PortError};

/// DPDK's own numbers begin here. errno has no text for them.
const OURS: c_int = 1000;

/// The number of an error: its own, or else that of the error that it comes from; `otherwise`, if none of
/// them has one.
pub(crate) fn number(e: &(dyn Error + 'static), otherwise: c_int) -> c_int {
    let mut cause = Some(e);
    while let Some(e) = cause {
        if let Some(number) = own(e) {
            return number;
        }
        cause = e.source();
    }
    otherwise
}

fn own(e: &(dyn Error + 'static)) -> Option<c_int> {
    if let Some(e) = e.downcast_ref::<AdoptError>() {
        return match e {
            AdoptError::NoPort(_) => Some(libc::ENODEV),
            AdoptError::Device(_) | AdoptError::Timestamps(_) => Some(libc::ENOTSUP),
            AdoptError::Mtu(_) | AdoptError::Unmet(..) => Some(libc::EINVAL),
            _ => None,
        };
    }
    if let Some(PortError::NoDevice { .. }) = e.downcast_ref() {
        return Some(libc::ENODEV);
    }
    if e.is::<Claimed>() || matches!(e.downcast_ref(), Some(OpenError::AlreadyOpen(_))) {
        return Some(libc::EBUSY);
    }
    if e.is::<NotReady>() {
        return Some(libc::ENOTCONN);
    }
    if let Some(e) = e.downcast_ref::<io::Error>() {
        return e.raw_os_error();
    }
    let number = e.downcast_ref::<Errno>()?.number();
    (1..OURS).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use lm::rte::port::PortId;

    use super::*;

    /// An error that comes from another one.
    #[derive(Debug)]
    struct Above(Box<dyn Error>);

    impl std::fmt::Display for Above {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("above")
        }
    }

    impl Error for Above {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn each_error_has_a_number() {
        let of = |e: &(dyn Error + 'static)| number(e, libc::ENOMEM);
        assert_eq!(of(&AdoptError::NoPort(7)), libc::ENODEV);
        let none = PortError::NoDevice { device: String::new(), known: Vec::new(), log: String::new() };
        assert_eq!(of(&none), libc::ENODEV);
        assert_eq!(of(&AdoptError::Queue(NotReady::NotStarted { port: 0, queue: 0 })), libc::ENOTCONN);
        assert_eq!(of(&OpenError::AlreadyOpen(PortId(0))), libc::EBUSY);
        let full = Errno::of_return(-libc::ENOSPC);
        assert_eq!(of(&Above(Box::new(Above(Box::new(full))))), libc::ENOSPC, "the cause's");
        let theirs = Errno::of_return(-1001);
        assert_eq!(of(&Above(Box::new(theirs))), libc::ENOMEM, "no number of errno's");
        assert_eq!(of(&Errno::of_return(0)), libc::ENOMEM);
        assert_eq!(of(&io::Error::from_raw_os_error(libc::EACCES)), libc::EACCES);
    }
}
