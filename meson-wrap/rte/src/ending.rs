//! Handles the case that DPDK ends the process while EAL is initialised. From 25.11 on DPDK does so for an
//! unknown option: it calls `exit(-EINVAL)`, which is exit code 234, possibly without a message.
//!
//! [`crate::Eal::init_or`] calls [`watched`]. The caller's function then gets DPDK's complaints and chooses
//! the exit code. The rest of the process's clean-up is left out.

use std::ffi::{c_int, c_void};
use std::sync::{Mutex, Once, PoisonError};

use crate::log;

/// A function that gets DPDK's complaints, and returns the code to end with.
pub(crate) type Ended = Box<dyn FnOnce(String) -> u8 + Send>;

/// The function to call while EAL is initialised.
static ENDED: Mutex<Option<Ended>> = Mutex::new(None);

unsafe extern "C" {
    /// glibc's function: as `atexit`, but the registered function also gets the exit code.
    fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
}

/// Does `work`. If the process is ended meanwhile, with a code that is not 0, `ended` is called.
pub(crate) fn watched<T>(ended: Option<Ended>, work: impl FnOnce() -> T) -> T {
    static ONCE: Once = Once::new();
    let set = |to| *ENDED.lock().unwrap_or_else(PoisonError::into_inner) = to;
    if ended.is_some() {
        // SAFETY: the function lives for ever, and takes no argument. Without memory for it DPDK ends the
        // process as it likes to.
        ONCE.call_once(|| _ = unsafe { on_exit(at_exit, std::ptr::null_mut()) });
    }
    set(ended);
    let done = work();
    set(None);
    done
}

/// Called when the process ends. DPDK may have left it in any state, so the rest of the clean-up is skipped.
extern "C" fn at_exit(code: c_int, _: *mut c_void) {
    let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let (Some(ended), true) = (ended, code != 0) {
        let code = ended(log::complaints());
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(code.into()) };
    }
}
