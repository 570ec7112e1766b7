//! Structures of programs that were compiled with an older or a newer header.
//!
//! `lm_config` and `lm_message` may grow at their end. A program says how many bytes its own have. What an
//! older program's structure lacks has its default; what a newer one has more is zero, or is refused.

use crate::border::{Failure, failure, invalid};
use crate::types::{lm_config, lm_message};

/// Bytes of the first version of `lm_config`: a number that stays when the structure grows.
pub(crate) const FIRST_CONFIG: usize = 56;
/// Bytes of the first version of `lm_message`.
pub(crate) const FIRST_MESSAGE: usize = 56;
/// The most bytes that a later version of either may have.
const LONGEST: usize = 4096;

const _: () = assert!(size_of::<lm_config>() >= FIRST_CONFIG && size_of::<lm_config>() <= LONGEST);
const _: () = assert!(size_of::<lm_message>() >= FIRST_MESSAGE && size_of::<lm_message>() <= LONGEST);

/// Refuses lengths of the two structures that no version of the header has.
pub(crate) fn check_sizes(size: usize, message_size: usize) -> Result<(), Failure> {
    check("lm_config", size, FIRST_CONFIG)?;
    check("lm_message", message_size, FIRST_MESSAGE)
}

fn check(what: &str, size: usize, first: usize) -> Result<(), Failure> {
    if (first..=LONGEST).contains(&size) && size.is_multiple_of(8) {
        return Ok(());
    }
    Err(invalid(format_args!(
        "no version of {what} has {size} bytes ({first} to {LONGEST}, a multiple of 8): fill the config in by \
         lm_config_default()"
    )))
}

/// Reads a program's structure of `size` bytes, which need not be aligned. Fields that it lacks are as in
/// `default`.
///
/// # Errors
/// E2BIG: a byte behind our structure is not zero.
///
/// # Safety
/// `from` points to `size` bytes, and any bytes are a `T`.
#[inline]
pub(crate) unsafe fn read<T: Copy>(from: *const u8, size: usize, default: T) -> Result<T, Failure> {
    let ours = size_of::<T>().min(size);
    // SAFETY: so many bytes are there.
    let later = unsafe { std::slice::from_raw_parts(from.add(ours), size - ours) };
    if later.iter().any(|&byte| byte != 0) {
        return Err(failure(
            libc::E2BIG,
            "config sets a field that this liblm is too old to know: leave it zero, or install a newer liblm",
        ));
    }
    let mut value = default;
    // SAFETY: so many bytes are there, and fit; any bytes are a `T`.
    unsafe { std::ptr::copy_nonoverlapping(from, (&raw mut value).cast(), ours) };
    Ok(value)
}

/// Writes a program's structure of `size` bytes, which need not be aligned. Fields that only the program
/// knows are zero.
///
/// # Safety
/// `to` has room for `size` bytes.
#[inline(always)]
pub(crate) unsafe fn write<T: Copy>(to: *mut u8, size: usize, value: impl FnOnce() -> T) {
    if size == size_of::<T>() {
        // Nearly all programs have the structure of this library. Its fields are written where they belong:
        // a structure that is made elsewhere and copied costs a message of 512 bytes 6 ns.
        // SAFETY: the caller's promise.
        unsafe { to.cast::<T>().write_unaligned(value()) };
    } else {
        // SAFETY: the caller's promise.
        unsafe { write_other(to, size, value()) };
    }
}

/// [`write()`] of a program with another version of the structure.
///
/// # Safety
/// That of [`write()`].
#[cold]
unsafe fn write_other<T: Copy>(to: *mut u8, size: usize, value: T) {
    let common = size_of::<T>().min(size);
    // SAFETY: there is room for so many bytes.
    unsafe {
        std::ptr::copy_nonoverlapping((&raw const value).cast(), to, common);
        to.add(common).write_bytes(0, size - common);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structure as a header of tomorrow has it.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Grown {
        first: [u64; 7],
        more: u64,
    }

    const DEFAULT: Grown = Grown { first: [0; 7], more: 9 };

    fn given(grown: [u64; 9], size: usize) -> Result<Grown, i32> {
        // SAFETY: there are 72 bytes, and Grown consists of integers.
        unsafe { read(grown.as_ptr().cast(), size, DEFAULT) }.map_err(|e| e.errno())
    }

    #[test]
    fn an_older_program_is_understood() {
        assert_eq!(given([5; 9], FIRST_CONFIG), Ok(Grown { first: [5; 7], more: 9 }));
        assert_eq!(given([5; 9], 64), Ok(Grown { first: [5; 7], more: 5 }));
        let mut told = [1_u64; 9];
        // SAFETY: there is room.
        unsafe { write(told.as_mut_ptr().cast(), FIRST_CONFIG, || DEFAULT) };
        assert_eq!(told, [0, 0, 0, 0, 0, 0, 0, 1, 1], "nothing is written behind its structure");
    }

    #[test]
    fn a_newer_program_sets_nothing_that_is_not_known() {
        assert_eq!(given([5; 9], 72), Err(libc::E2BIG));
        assert_eq!(given([5, 5, 5, 5, 5, 5, 5, 5, 0], 72), Ok(Grown { first: [5; 7], more: 5 }));
        let mut told = [1_u64; 9];
        // SAFETY: there is room.
        unsafe { write(told.as_mut_ptr().cast(), 72, || DEFAULT) };
        assert_eq!(told, [0, 0, 0, 0, 0, 0, 0, 9, 0]);
    }

    #[test]
    fn sizes_that_no_header_has_are_refused() {
        for good in [56, 64, 4096] {
            assert!(check_sizes(good, 56).is_ok() && check_sizes(56, good).is_ok(), "{good}");
        }
        for bad in [0, 8, 48, 55, 57, 4097, 4104, 1 << 40, usize::MAX] {
            assert!(check_sizes(bad, 56).is_err() && check_sizes(56, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_versions_are_what_they_were() {
        assert_eq!(std::mem::offset_of!(lm_config, key) + 8, FIRST_CONFIG);
        assert_eq!(std::mem::offset_of!(lm_message, generation) + 4, FIRST_MESSAGE);
    }
}
