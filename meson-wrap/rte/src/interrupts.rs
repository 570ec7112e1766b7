//! DPDK's interrupt thread: [`hold_interrupts`] stops it while a port is stopped or closed, and for good when
//! EAL is cleaned up.
//!
//! Each wait for the thread ends after a second, with a warning.

use std::ffi::c_void;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Errno;

/// How long the thread is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time between two looks.
const PAUSE: Duration = Duration::from_micros(200);

/// Lets DPDK's interrupt thread handle all events so far, and then nothing until the result is dropped.
///
/// DPDK 22.11 closes a port even while that thread works on it, for example on a net_memif port whose peer
/// has just closed. Both then free the same memory, which was seen as a crash in `rte_free`. And
/// `rte_eal_cleanup` wakes the thread and then frees memory that it uses, which was seen as a crash in
/// `rte_intr_fd_get`.
///
/// DPDK's functions may be called meanwhile. A driver that closes waits for the thread only while that is in
/// a callback of the driver's own.
pub(crate) fn hold_interrupts() -> Held {
    // An event that was raised before the first call is handled before the second one ends. The third is for
    // events that this handling raised.
    for _ in 0..3 {
        if let Some(done) = ring() {
            wait_for(&done);
        }
    }
    Held::begin()
}

/// DPDK's interrupt thread, in a callback that ends when this is dropped. Forgotten, it holds the thread for
/// good. The callback has an interrupt source of its own, because EAL waits for an alarm's callback to
/// return.
#[derive(Debug)]
pub(crate) struct Held {
    /// The source's instance. `None`: there is no source, and the thread goes on.
    instance: Option<NonNull<dpdk_sys::rte_intr_handle>>,
    state: Arc<State>,
}

/// What the callback and its owner share.
#[derive(Debug)]
struct State {
    /// The thread is in the callback.
    held: AtomicBool,
    /// The callback may return.
    over: Mutex<bool>,
    ended: Condvar,
    /// An event counter that is ready from the start. `None`: there is no descriptor left.
    event: Option<OwnedFd>,
}

impl State {
    fn over(&self) -> MutexGuard<'_, bool> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn begin() -> Self {
        // SAFETY: makes a descriptor, or fails.
        let fd = unsafe { libc::eventfd(1, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        // SAFETY: it was just made, and nobody else has it.
        let event = (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) });
        let state = State { held: false.into(), over: Mutex::new(false), ended: Condvar::new(), event };
        let state = Arc::new(state);
        // SAFETY: makes a private instance, or fails.
        let instance = NonNull::new(unsafe { dpdk_sys::rte_intr_instance_alloc(0) });
        let Some(at) = instance else { return Self { instance, state } };
        let theirs = Arc::into_raw(Arc::clone(&state)).cast_mut();
        // SAFETY: the instance and the callback's share of the state stay until the source is unregistered.
        let ret = unsafe {
            dpdk_sys::rte_intr_fd_set(at.as_ptr(), fd);
            dpdk_sys::rte_intr_type_set(at.as_ptr(), dpdk_sys::RTE_INTR_HANDLE_EXT);
            dpdk_sys::rte_intr_callback_register(at.as_ptr(), Some(stay), theirs.cast())
        };
        if ret == 0 {
            wait_for(&state.held);
            return Self { instance, state };
        }
        ::log::debug!("no interrupt source: {}", Errno::of_return(ret));
        // SAFETY: nobody else got this share, nor the instance.
        unsafe {
            drop(Arc::from_raw(theirs));
            dpdk_sys::rte_intr_instance_free(at.as_ptr());
        }
        Self { instance: None, state }
    }

    /// Unregisters the source. Returns whether EAL has forgotten it.
    fn unregister(&self, instance: NonNull<dpdk_sys::rte_intr_handle>) -> bool {
        let theirs = Arc::as_ptr(&self.state).cast_mut().cast();
        let start = Instant::now();
        loop {
            // SAFETY: the instance was registered with this callback and this argument.
            let ret =
                unsafe { dpdk_sys::rte_intr_callback_unregister(instance.as_ptr(), Some(stay), theirs) };
            // EAGAIN: the callback has not returned yet.
            if ret != -libc::EAGAIN || start.elapsed() > PATIENCE {
                return ret > 0;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(instance) = self.instance else { return };
        *self.state.over() = true;
        self.state.ended.notify_all();
        if !self.unregister(instance) {
            ::log::warn!("DPDK keeps an interrupt source that is not used any more");
            return;
        }
        // SAFETY: EAL has forgotten the source, so its callback neither runs nor will. `begin` made the
        // instance for this source alone, and gave the callback the share of the state that is dropped here.
        unsafe {
            dpdk_sys::rte_intr_instance_free(instance.as_ptr());
            drop(Arc::from_raw(Arc::as_ptr(&self.state)));
        }
    }
}

/// Has DPDK's interrupt thread set a flag, and does not wait for it. `None`: EAL takes no alarm.
fn ring() -> Option<Arc<AtomicBool>> {
    let done = Arc::new(AtomicBool::new(false));
    let theirs = Arc::into_raw(Arc::clone(&done)).cast_mut();
    // SAFETY: EAL is initialised; the callback owns a share of `done`.
    let ret = unsafe { dpdk_sys::rte_eal_alarm_set(1, Some(rang), theirs.cast()) };
    if ret == 0 {
        return Some(done);
    }
    // SAFETY: nobody else got this share.
    drop(unsafe { Arc::from_raw(theirs) });
    ::log::debug!("no alarm: {}", Errno::of_return(ret));
    None
}

fn wait_for(done: &AtomicBool) {
    let start = Instant::now();
    while !done.load(Ordering::Acquire) {
        if start.elapsed() > PATIENCE {
            ::log::warn!("DPDK's interrupt thread is still busy after a second");
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

unsafe extern "C" fn rang(done: *mut c_void) {
    // SAFETY: `ring` passes a share of its flag, once.
    unsafe { Arc::from_raw(done.cast::<AtomicBool>()) }.store(true, Ordering::Release);
}

unsafe extern "C" fn stay(state: *mut c_void) {
    // SAFETY: `Held::begin` passes a share of its state, which it takes back only when the callback is
    // unregistered.
    let state = unsafe { &*state.cast::<State>() };
    state.held.store(true, Ordering::Release);
    let mut over = state.over();
    while !*over {
        over = state.ended.wait(over).unwrap_or_else(PoisonError::into_inner);
    }
    // The event is taken, so that the thread does not come here again.
    let fd = state.event.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    let mut count = [0_u8; 8];
    // SAFETY: reads at most so many bytes into them. With nothing to read it fails, which is as good.
    unsafe { libc::read(fd, count.as_mut_ptr().cast(), count.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Eal;

    #[test]
    fn nothing_is_handled_while_the_thread_is_held() {
        let prefix = format!("--file-prefix=held{}", std::process::id());
        let eal =
            Eal::init(["test", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", &prefix]).unwrap();
        for _ in 0..3 {
            let held = hold_interrupts();
            assert!(held.instance.is_some());
            let done = ring().expect("EAL takes alarms");
            std::thread::sleep(Duration::from_millis(20));
            assert!(!done.load(Ordering::Acquire), "it was held");
            let state = Arc::downgrade(&held.state);
            drop(held);
            wait_for(&done);
            assert!(done.load(Ordering::Acquire), "it goes on");
            assert_eq!(state.strong_count(), 0, "EAL has forgotten the source");
        }
        drop(eal);
    }
}
