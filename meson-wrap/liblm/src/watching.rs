//! Functions for counters, and for sleeping until frames arrive.
//!
//! C programs call them, in the thread of the handle; `lm_telemetry` in any. Interrupts exist only on a port
//! of LM's own whose device has them; else the error is ENOTSUP.

use std::ffi::{c_char, c_int};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use lm::rte::port::RxInterrupt;

use crate::border::{Failure, call, failure, invalid, null};
use crate::handle::{Inner, Way, lm_t};
use crate::lifecycle::initialised;
use crate::types::lm_counter;

/// Fills in at most `n` counters with their names: `datagrams`, `bytes`, `copied_datagrams`, then drops by
/// reason, then what was sent. docs/c.md has the list. If `n` is 0, `counters` may be NULL.
///
/// Threads: the handle's. Returns how many counters there are, which may be more than `n`.
///
/// # Safety
/// `lm` is NULL or open; `counters` is NULL or has room for `n`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_counters(lm: *mut lm_t, counters: *mut lm_counter, n: c_int) -> c_int {
    call(|| {
        // SAFETY: the caller's promise.
        let handle = unsafe { lm_t::of(lm) }?;
        if counters.is_null() && n != 0 {
            return Err(null("counters"));
        }
        if n < 0 {
            return Err(invalid(format_args!("n is {n}: give 0 or more")));
        }
        handle.owned(|slots, inner| {
            let (tally, ignored, dropped) = inner.counters();
            let held = inner.told(slots) as u64;
            let ours = [("ignored", ignored), ("unsent", dropped), ("held", held), ("unheld", inner.unheld)];
            let mut count = 0;
            for (name, value) in tally.named().chain(ours) {
                if count < n as usize {
                    // SAFETY: the array has room for so many.
                    unsafe { counters.add(count).write(counter(name, value)) };
                }
                count += 1;
            }
            Ok(count as c_int)
        })
    })
}

fn counter(name: &str, value: u64) -> lm_counter {
    let mut told = lm_counter { name: [0; 32], value };
    // The last byte stays the NUL.
    for (to, from) in told.name[..31].iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    told
}

/// Shows all nodes of this process to DPDK's telemetry, for as long as the process runs: dpdk-telemetry.py
/// then has the command /lm/ports and others (docs/telemetry.md).
///
/// Threads: any. Returns 0. -ENODEV: EAL is not initialised.
#[unsafe(no_mangle)]
pub extern "C" fn lm_telemetry() -> c_int {
    call(|| {
        initialised()?.telemetry().map_err(|e| failure(libc::EIO, e))?;
        Ok(0)
    })
}

/// The interrupts of a node; an error if it has none.
fn interrupts(inner: &mut Inner) -> Result<&mut [RxInterrupt], Failure> {
    let none = || {
        failure(
            libc::ENOTSUP,
            "this node has no interrupt: set config.interrupts, on a device that has them (igb, em, net_tap). \
             The interrupt of an adopted queue belongs to the application",
        )
    };
    let Way::Own(port) = &mut inner.way else { return Err(none()) };
    let interrupts = port.interrupts();
    if interrupts.is_empty() { Err(none()) } else { Ok(interrupts) }
}

/// Returns a file descriptor that is readable when frames have arrived. A program can wait for it, also by an
/// epoll instance of its own. lm_arm() says when it may wait. lm_close() closes the descriptor.
///
/// Threads: the handle's. -ENOTSUP: the device cannot interrupt, or config.interrupts was 0.
///
/// # Safety
/// `lm` is NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_get_fd(lm: *mut lm_t) -> c_int {
    call(|| {
        // SAFETY: the caller's promise.
        unsafe { lm_t::of(lm) }?.owned(|_, inner| {
            if inner.epoll.is_none() {
                let epoll = epoll_of(interrupts(inner)?)?;
                inner.epoll = Some(epoll);
            }
            Ok(inner.epoll.as_ref().map_or(-libc::EIO, AsRawFd::as_raw_fd))
        })
    })
}

/// An epoll instance over these.
fn epoll_of(interrupts: &mut [RxInterrupt]) -> Result<OwnedFd, Failure> {
    let last = || failure(libc::EIO, std::io::Error::last_os_error());
    // SAFETY: takes no pointer; the result is checked.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(last());
    }
    // SAFETY: it was just opened, and nobody else has it.
    let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
    for interrupt in interrupts {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        let theirs = interrupt.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open, and the event lives until the call returns.
        if unsafe { libc::epoll_ctl(fd, libc::EPOLL_CTL_ADD, theirs, &raw mut event) } != 0 {
            return Err(last());
        }
    }
    Ok(epoll)
}

/// Turns interrupts on (`on` 1) or off (0). In this order no frame is missed: call lm_arm(lm, 1); call
/// lm_poll() until it returns 0; wait for lm_get_fd(), for at most as many milliseconds as lm_arm() returned;
/// call lm_arm(lm, 0).
///
/// Threads: the handle's. With `on` 1, returns for how many milliseconds the thread may sleep at most; 0: it
/// must not sleep now, because something waits to be sent or to become whole. With `on` 0, returns 0.
/// -ENOTSUP as for lm_get_fd().
///
/// # Safety
/// `lm` is NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lm_arm(lm: *mut lm_t, on: c_int) -> c_int {
    call(|| {
        // SAFETY: the caller's promise.
        let handle = unsafe { lm_t::of(lm) }?;
        if !(0..=1).contains(&on) {
            return Err(invalid(format_args!("on is {on}: give 1 or 0")));
        }
        handle.owned(|_, inner| {
            for interrupt in interrupts(inner)? {
                let done = if on == 1 { interrupt.enable() } else { interrupt.disable() };
                done.map_err(|e| failure(libc::EIO, e))?;
                if on == 0 {
                    interrupt.settle();
                }
            }
            let rest = if on == 1 { inner.may_rest() } else { None };
            Ok(rest.map_or(0, |rest| rest.as_millis() as c_int))
        })
    })
}
