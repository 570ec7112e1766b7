//! The wrapper around every call from C.
//!
//! A failure is a negative errno value, and a line that says what happened. The line is kept per thread, and
//! `lm_strerror` returns it. A panic becomes a failure too, and never unwinds into C.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What failed. It is one pointer, so that a result which is no failure stays in registers.
#[derive(Debug)]
pub(crate) struct Failure(Box<Why>);

/// A number of errno's, and a line.
#[derive(Debug)]
struct Why {
    errno: c_int,
    text: String,
}

#[cfg(test)]
impl Failure {
    pub(crate) fn errno(&self) -> c_int {
        self.0.errno
    }
}

/// The failure with this number and line. A number that C would not see as an error becomes EIO.
#[cold]
#[inline(never)]
pub(crate) fn failure(errno: c_int, text: impl Display) -> Failure {
    let errno = if errno > 0 { errno } else { libc::EIO };
    Failure(Box::new(Why { errno, text: text.to_string() }))
}

/// EINVAL: an argument is wrong.
#[cold]
#[inline(never)]
pub(crate) fn invalid(text: impl Display) -> Failure {
    failure(libc::EINVAL, text)
}

/// EINVAL: an argument is NULL.
#[cold]
#[inline(never)]
pub(crate) fn null(what: &str) -> Failure {
    invalid(format_args!("{what} is NULL"))
}

thread_local! {
    /// The last failure of this thread, and its line as C reads it.
    static LAST: RefCell<(c_int, Option<CString>)> = const { RefCell::new((0, None)) };
}

/// Keeps a failure for `lm_strerror`. Returns its number, negative.
#[cold]
#[inline(never)]
fn keep(failure: Failure) -> c_int {
    let Why { errno, text } = *failure.0;
    let line = CString::new(text.replace('\0', " ")).ok();
    // While the thread ends there is no place for it.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = (errno, line);
        }
    });
    -errno
}

/// Runs what a call does. Returns its result, or the failure as a negative number.
#[inline]
pub(crate) fn call(body: impl FnOnce() -> Result<c_int, Failure>) -> c_int {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(result)) => result,
        Ok(Err(failure)) => keep(failure),
        Err(panic) => keep(panicked(&*panic)),
    }
}

/// The same for a call that returns a pointer: NULL if it failed.
#[inline]
pub(crate) fn call_ptr<T>(body: impl FnOnce() -> Result<*mut T, Failure>) -> *mut T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(result)) => result,
        Ok(Err(failure)) => {
            keep(failure);
            std::ptr::null_mut()
        }
        Err(panic) => {
            keep(panicked(&*panic));
            std::ptr::null_mut()
        }
    }
}

#[cold]
#[inline(never)]
fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    failure(
        libc::ENOTRECOVERABLE,
        format_args!("liblm has a defect, and stopped: {text}; close what is open"),
    )
}

/// The line of the last failure, if `code` is 0 or its number; else what errno's numbers mean. It is valid
/// until the thread's next call of the library.
pub(crate) fn text_of(code: c_int) -> *const c_char {
    // A number that is no error of anybody's has a text, too.
    let errno = code.wrapping_neg();
    let kept = LAST.try_with(|last| {
        let last = last.try_borrow().ok()?;
        let (number, line) = (last.0, last.1.as_ref()?);
        (code == 0 || errno == number).then(|| line.as_ptr())
    });
    match kept.ok().flatten() {
        Some(line) => line,
        None if code >= 0 => c"no error".as_ptr(),
        // SAFETY: takes a number; the text is static, or the thread's own.
        None => unsafe { libc::strerror(errno) },
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn told(code: c_int) -> String {
        // SAFETY: a NUL-terminated line, valid until this thread's next call.
        unsafe { CStr::from_ptr(text_of(code)) }.to_string_lossy().into_owned()
    }

    #[test]
    fn a_failure_is_always_a_negative_number() {
        for errno in [0, -1, c_int::MIN] {
            assert_eq!(call(|| Err(failure(errno, "who knows"))), -libc::EIO, "{errno}");
            assert_eq!(told(-libc::EIO), "who knows");
        }
    }

    #[test]
    fn every_number_has_a_text() {
        assert_eq!(call(|| Ok(3)), 3);
        for code in [c_int::MIN, c_int::MAX, -5000, -1, 0, 1] {
            assert!(!told(code).is_empty(), "{code}");
        }
        assert!(told(-5000).contains("5000") && told(c_int::MIN).contains("2147483648"));
    }
}
