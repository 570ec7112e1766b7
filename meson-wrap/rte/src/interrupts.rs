//! DPDK's interrupt thread: [`settle_interrupts`] waits for it, and [`park_interrupts`] stops it.
//!
//! Ports call the first before they are stopped or closed. EAL's clean-up calls both. Each wait ends after a
//! second, with a warning.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Errno;

/// Waits until DPDK's interrupt thread has handled all events so far. DPDK 22.11 closes a port even while
/// that thread works on it, for example on a net_memif port whose peer has just closed. This was seen as a
/// crash in `rte_free`.
pub(crate) fn settle_interrupts() {
    // An event that was raised before the first call is handled before the second one ends. The third is for
    // events that this handling raised.
    for _ in 0..3 {
        on_interrupt_thread(rang);
    }
}

/// Stops DPDK's interrupt thread for good: a callback that does not return. `rte_eal_cleanup` of 22.11 wakes
/// that thread and then frees the memory that it uses, which was seen as a crash in `rte_intr_fd_get`. A
/// process cleans EAL up once, so the thread is not needed again. The callback has an interrupt source of
/// its own, because EAL would wait for an alarm's callback to return.
pub(crate) fn park_interrupts() {
    let parked = Arc::new(AtomicBool::new(false));
    // SAFETY: an event counter that is ready at once, and a private instance for it; both stay for good, as
    // does the share of the flag.
    let ret = unsafe {
        let fd = libc::eventfd(1, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
        let instance = dpdk_sys::rte_intr_instance_alloc(0);
        if fd < 0 || instance.is_null() {
            return;
        }
        dpdk_sys::rte_intr_fd_set(instance, fd);
        dpdk_sys::rte_intr_type_set(instance, dpdk_sys::RTE_INTR_HANDLE_EXT);
        let theirs = Arc::into_raw(Arc::clone(&parked)).cast_mut();
        dpdk_sys::rte_intr_callback_register(instance, Some(rang_and_stay), theirs.cast())
    };
    if ret == 0 {
        wait_for(&parked);
    }
}

/// Has DPDK's interrupt thread call `callback`, and waits until it does.
fn on_interrupt_thread(callback: unsafe extern "C" fn(*mut c_void)) {
    let done = Arc::new(AtomicBool::new(false));
    let theirs = Arc::into_raw(Arc::clone(&done)).cast_mut();
    // SAFETY: EAL is initialised; the callback owns a share of `done`.
    let ret = unsafe { dpdk_sys::rte_eal_alarm_set(1, Some(callback), theirs.cast()) };
    if ret != 0 {
        // SAFETY: nobody else got this share.
        drop(unsafe { Arc::from_raw(theirs) });
        ::log::debug!("no alarm: {}", Errno::of_return(ret));
        return;
    }
    wait_for(&done);
}

fn wait_for(done: &AtomicBool) {
    let start = Instant::now();
    while !done.load(Ordering::Acquire) {
        if start.elapsed() > Duration::from_secs(1) {
            ::log::warn!("DPDK's interrupt thread is still busy after a second");
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

unsafe extern "C" fn rang(done: *mut c_void) {
    // SAFETY: `on_interrupt_thread` passes a share of its flag, once.
    unsafe { Arc::from_raw(done.cast::<AtomicBool>()) }.store(true, Ordering::Release);
}

unsafe extern "C" fn rang_and_stay(done: *mut c_void) {
    // SAFETY: as above.
    unsafe { rang(done) };
    loop {
        std::thread::park();
    }
}
