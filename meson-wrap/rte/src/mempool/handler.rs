//! [`Handler`]: mempool handlers written in Rust, and their registration with DPDK.
//!
//! `lm-landing` implements it, so that it decides where each received frame lands. The functions here are
//! what DPDK calls; they find the handler in the pool's `pool_data`. A panic ends the process, except in
//! `alloc`, where it becomes an error: it must not unwind into a driver.

use std::any::TypeId;
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::{error, fmt};

use dpdk_sys::{rte_mempool, rte_mempool_ops};

use crate::Errno;

/// Keeps a pool's free objects: `struct rte_mempool_ops` as a trait.
///
/// DPDK calls these on whatever thread gets or puts objects; the owner of the
/// [`HandlerPool`](super::HandlerPool) sees to it that this is one thread at a time. All of them may be
/// called while the pool is created and freed:
///
/// * `enqueue` comes first, during populate, with objects that are *not yet mbufs*: it must not look inside
///   them.
/// * `dequeue` is called once for each object when the pool is freed, and what it hands out is dropped.
/// * The handler is dropped after the objects' memory is gone: its `Drop` must not touch them.
///
/// A panic in any of them but `alloc` ends the process: it cannot unwind through the driver that called.
///
/// # Safety
/// DPDK and drivers believe what a handler says. `dequeue` that returns 0 has written `n` objects of this
/// pool, each of which was enqueued and was not handed out since; in a pinned pool they have a buffer that is
/// theirs alone. `count` counts no object that is out. `abandoned` says true only if its own promise holds.
pub unsafe trait Handler: Sized + Send + 'static {
    /// The name that DPDK knows the handler by, unique in the process, at most 30 bytes.
    const NAME: &'static CStr;
    /// What `alloc` makes the handler from.
    type Config;

    /// Makes the handler of one pool. `mp` has its sizes already but no objects.
    ///
    /// # Errors
    /// A positive error number (`libc::E*`).
    fn alloc(mp: *mut rte_mempool, config: &Self::Config) -> Result<Self, i32>;

    /// Takes `n` objects back. Returns zero, or a negative error number. In a correct pool it cannot fail.
    ///
    /// # Safety
    /// `this` is the handler that `alloc` made, and no other call on it is under way. `objs` has `n` objects
    /// of its pool, that are given away.
    unsafe fn enqueue(this: *mut Self, objs: *const *mut c_void, n: u32) -> i32;

    /// Hands out `n` objects, or none and a negative error number such as `-libc::ENOENT`; then what `objs`
    /// points to is as it was before.
    ///
    /// # Safety
    /// `this` is the handler that `alloc` made, and no other call on it is under way. `objs` has room for `n`
    /// objects.
    unsafe fn dequeue(this: *mut Self, objs: *mut *mut c_void, n: u32) -> i32;

    /// How many objects can be handed out.
    ///
    /// # Safety
    /// `this` is the handler that `alloc` made.
    unsafe fn count(this: *const Self) -> u32;

    /// Called when the last share of the pool is dropped while objects are out. Returns whether nobody uses
    /// these objects, now or later. Then the pool is freed; otherwise it is kept for ever.
    ///
    /// # Safety
    /// `this` is the handler that `alloc` made, and no other call on it is under way.
    unsafe fn abandoned(this: *mut Self) -> bool {
        let _ = this;
        false
    }
}

/// [`Handler::abandoned`] of a pool.
///
/// # Safety
/// `mp` points to a pool whose handler is `H`, whose `alloc` succeeded, and no other call on it is under way.
pub(super) unsafe fn abandoned<H: Handler>(mp: *mut rte_mempool) -> bool {
    // SAFETY: the caller's promise.
    unsafe { H::abandoned(handler(mp)) }
}

/// Which handlers are registered, and under which index. DPDK 22.11 does not check for doubles itself.
static REGISTERED: Mutex<Vec<(TypeId, i32)>> = Mutex::new(Vec::new());

/// Registers a handler with DPDK. Any thread may call it, any number of times. A
/// [`HandlerPool`](super::HandlerPool) registers its handler too, but call this before EAL is initialised:
/// DPDK's table has 16 places, and the plug-ins that EAL loads may take the rest of them.
///
/// # Errors
/// [`RegisterError`]: the table is full. Of Debian's DPDK, the plug-ins take 14 (22.11) or 15 places (24.11).
pub fn register<H: Handler>() -> Result<(), RegisterError> {
    index_of::<H>().map(|_| ())
}

/// Registers the handler if it is not registered yet. Returns its index in DPDK's table.
pub(super) fn index_of<H: Handler>() -> Result<i32, RegisterError> {
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, index)) = registered.iter().find(|(id, _)| *id == TypeId::of::<H>()) {
        return Ok(*index);
    }
    // SAFETY: the structure is plain data whose function pointers are optional: all zeroes are a value of it.
    let mut ops: rte_mempool_ops = unsafe { std::mem::zeroed() };
    let name = H::NAME.to_bytes();
    // DPDK asks for room for two bytes more than the name.
    if name.is_empty() || name.len() + 2 > ops.name.len() {
        return Err(RegisterError::Name(H::NAME.to_string_lossy().into_owned()));
    }
    for (to, from) in ops.name.iter_mut().zip(name) {
        *to = *from as c_char;
    }
    ops.alloc = Some(alloc::<H>);
    ops.free = Some(free::<H>);
    ops.enqueue = Some(enqueue::<H>);
    ops.dequeue = Some(dequeue::<H>);
    ops.get_count = Some(count::<H>);
    // SAFETY: DPDK copies the structure; the functions in it live for ever and keep to their contracts below.
    let index = unsafe { dpdk_sys::rte_mempool_register_ops(&raw const ops) };
    if index < 0 {
        let errno = Errno::of_return(index);
        return Err(RegisterError::Refused(H::NAME.to_string_lossy().into_owned(), errno));
    }
    registered.push((TypeId::of::<H>(), index));
    Ok(index)
}

/// The names of all handlers that are registered, DPDK's own too.
pub(crate) fn handler_names() -> Vec<String> {
    // SAFETY: the table is a static of libdpdk's to which handlers are only ever added, each before the
    // number of them; their names end within their arrays.
    unsafe {
        let table = &raw const dpdk_sys::rte_mempool_ops_table;
        let n = ((*table).num_ops as usize).min(dpdk_sys::RTE_MEMPOOL_MAX_OPS_IDX as usize);
        let name = |i: usize| CStr::from_ptr((&raw const (*table).ops[i].name).cast());
        (0..n).map(|i| name(i).to_string_lossy().into_owned()).collect()
    }
}

/// Where a pool keeps what belongs to its handler.
///
/// # Safety
/// `mp` points to a pool.
#[inline]
unsafe fn pool_data(mp: *mut rte_mempool) -> *mut *mut c_void {
    // SAFETY: the C compiler says how far into a pool `pool_data` is.
    unsafe { mp.byte_add(dpdk_sys::DPDK_SYS_MEMPOOL_DATA as usize).cast() }
}

/// The handler of a pool, null before `alloc` and when it failed.
///
/// # Safety
/// `mp` points to a pool whose handler is `H`.
#[inline]
pub(super) unsafe fn handler<H>(mp: *const rte_mempool) -> *mut H {
    // SAFETY: the caller's promise; only this module writes `pool_data` of such a pool.
    unsafe { (*pool_data(mp.cast_mut())).cast() }
}

unsafe extern "C" fn alloc<H: Handler>(mp: *mut rte_mempool) -> i32 {
    // SAFETY: DPDK passes a pool that it is creating, with the configuration that was given to
    // set_ops_byname.
    let config = unsafe { (*mp).pool_config.cast::<H::Config>().cast_const() };
    // SAFETY: HandlerPool passes a reference that outlives this call. C code that chose this handler by name
    // has none to pass: it gives null.
    let Some(config) = (unsafe { config.as_ref() }) else { return -libc::EINVAL };
    match catch_unwind(AssertUnwindSafe(|| H::alloc(mp, config))) {
        Ok(Ok(handler)) => {
            // SAFETY: the pool is being created: nobody else looks at it. `free` takes the box back.
            unsafe { *pool_data(mp) = Box::into_raw(Box::new(handler)).cast() };
            0
        }
        Ok(Err(errno)) => -errno.saturating_abs().max(1),
        Err(_) => -libc::ECANCELED,
    }
}

/// DPDK calls this even when `alloc` failed or was never called.
unsafe extern "C" fn free<H: Handler>(mp: *mut rte_mempool) {
    // SAFETY: DPDK passes a pool with this handler, for the last time.
    unsafe {
        let this = handler::<H>(mp);
        *pool_data(mp) = std::ptr::null_mut();
        if !this.is_null() {
            drop(Box::from_raw(this));
        }
    }
}

unsafe extern "C" fn enqueue<H: Handler>(mp: *mut rte_mempool, objs: *const *mut c_void, n: u32) -> i32 {
    // SAFETY: DPDK calls it for pools whose `alloc` succeeded only, with `n` objects of the pool.
    unsafe { H::enqueue(handler(mp), objs, n) }
}

unsafe extern "C" fn dequeue<H: Handler>(mp: *mut rte_mempool, objs: *mut *mut c_void, n: u32) -> i32 {
    // SAFETY: DPDK passes a live pool with this handler, with room for `n` objects.
    unsafe { H::dequeue(handler(mp), objs, n) }
}

unsafe extern "C" fn count<H: Handler>(mp: *const rte_mempool) -> u32 {
    // SAFETY: DPDK passes a pool with this handler.
    unsafe {
        let this = handler::<H>(mp);
        // A pool that is not populated yet can be counted, too (`rte_mempool_dump`, telemetry).
        if this.is_null() { 0 } else { H::count(this) }
    }
}

/// Why a handler cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name has none or more than 30 bytes.
    Name(String),
    /// DPDK refuses the handler of this name: ENOSPC if its table is full.
    Refused(String, Errno),
}

impl RegisterError {
    pub(super) fn errno(&self) -> Errno {
        match self {
            Self::Name(_) => Errno::of_return(-libc::ENAMETOOLONG),
            Self::Refused(_, errno) => *errno,
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "mempool handler name {name:?} must have 1 to 30 bytes"),
            Self::Refused(name, errno) => write!(
                f,
                "mempool handler {name:?} cannot be registered: {errno}; DPDK has {} places, load fewer \
                 mempool drivers",
                dpdk_sys::RTE_MEMPOOL_MAX_OPS_IDX
            ),
        }
    }
}

impl error::Error for RegisterError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Name(_) => None,
            Self::Refused(_, errno) => Some(errno),
        }
    }
}
