//! Pools of mbufs: DPDK's own ([`Mempool`]), and pools whose handler is written in Rust ([`HandlerPool`]).
//!
//! Ports, queues and messages hold shares of a pool ([`PoolRef`]). The pool is freed with the last share. If
//! mbufs are still out then, the pool is kept for ever and the log says so, unless its handler knows that
//! nobody uses them: memory that a device may write to is never freed.

mod handler;
mod handler_pool;

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{error, fmt};

use dpdk_sys::{rte_mbuf, rte_mempool, rte_pktmbuf_pool_private};

pub(crate) use self::handler::handler_names;
pub use self::handler::{Handler, RegisterError, register};
pub use self::handler_pool::{HandlerPool, HandlerPoolConfig};
use crate::{Eal, Errno, Mbuf};

/// The handler of DPDK's own pools, if nothing else is asked for.
pub(crate) const STOCK: &CStr = c"ring_mp_mc";

/// DPDK's stock pool of mbufs with its per-lcore caches.
///
/// Any thread may hold, clone, drop it and allocate from it; threads with an lcore id are faster, as they
/// have a cache. The pool is freed with its last owner, ports included. If mbufs of it are still around then,
/// pool and EAL are kept for ever instead, and the log says so: memory that a device or another thread may
/// write to is not given back.
#[derive(Clone, Debug)]
pub struct Mempool(PoolRef);

impl Mempool {
    /// Creates a pool of `n` mbufs (2^k - 1 uses memory best) with `cache` of them kept per lcore (at most
    /// 512 and `n / 1.5`), `priv_size` bytes for the application in each (a multiple of 8), and room for
    /// `data_room` bytes, 128 bytes of headroom included, on NUMA node `socket` (`None`: any).
    ///
    /// # Errors
    /// [`PoolError`]; names are unique and shorter than 26 bytes.
    pub fn pktmbuf(
        eal: &Eal,
        name: &str,
        n: u32,
        cache: u32,
        priv_size: u16,
        data_room: u16,
        socket: Option<u32>,
    ) -> Result<Self, PoolError> {
        let c_name =
            CString::new(name).map_err(|_| PoolError::new(name, n, Errno::of_return(-libc::EINVAL)))?;
        // SAFETY: EAL is initialised; the names are NUL-terminated and copied; DPDK checks the numbers.
        let pool = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create_by_ops(
                c_name.as_ptr(),
                n,
                cache,
                priv_size,
                data_room,
                socket_id(socket),
                for_any_thread(CStr::from_ptr(dpdk_sys::rte_mbuf_best_mempool_ops())).as_ptr(),
            )
        };
        let pool = NonNull::new(pool).ok_or_else(|| PoolError::new(name, n, Errno::last()))?;
        Ok(Self(PoolRef::own(eal, pool, None)))
    }

    /// Uses a stock pool that the application made itself. Dropping this value does not free the pool.
    ///
    /// # Safety
    /// `pool` is a pool of mbufs that any thread may use. It lives as long as this value, its clones, and all
    /// mbufs that were allocated by them.
    pub unsafe fn adopt(eal: &Eal, pool: NonNull<rte_mempool>) -> Self {
        Self(PoolRef(Arc::new(Pool {
            raw: pool,
            abandoned: None,
            theirs: true,
            driver_keeps: AtomicBool::new(false),
            eal: eal.clone(),
        })))
    }

    /// Why the pool's mbufs cannot take memory from outside ([`attach_external`](Mbuf::attach_external)).
    ///
    /// It has other objects than mbufs, or mbufs whose memory is pinned to them. An adopted pool may be such
    /// a one. `None`: they can take it.
    pub fn refuses_external(&self) -> Option<&'static str> {
        let raw = self.0.0.raw.as_ptr();
        // SAFETY: the pool lives, and these numbers of it never change. Its private data is read only if it
        // is long enough.
        unsafe {
            if ((*raw).private_data_size as usize) < size_of::<rte_pktmbuf_pool_private>() {
                return Some("has no mbufs: make it by rte_pktmbuf_pool_create");
            }
            let about = dpdk_sys::rte_mempool_get_priv(raw).cast::<rte_pktmbuf_pool_private>().read();
            let least = size_of::<rte_mbuf>() + usize::from(about.mbuf_priv_size);
            if ((*raw).elt_size as usize) < least + usize::from(about.mbuf_data_room_size)
                && about.flags & dpdk_sys::RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF == 0
            {
                return Some("has objects that are no mbufs: make it by rte_pktmbuf_pool_create");
            }
            (about.flags != 0)
                .then_some("has mbufs with memory of their own: make it by rte_pktmbuf_pool_create")
        }
    }

    /// How many mbufs can be allocated now, those in caches included. It is slow, and only a snapshot while
    /// other threads allocate.
    pub fn available(&self) -> u32 {
        self.0.available()
    }

    /// How many mbufs are out.
    pub fn in_use(&self) -> u32 {
        self.size().saturating_sub(self.available())
    }

    /// How many mbufs there are.
    pub fn size(&self) -> u32 {
        self.0.size()
    }

    /// The room for data in an mbuf, headroom included, in bytes.
    pub fn data_room(&self) -> u16 {
        // SAFETY: the pool lives and was created as a pool of mbufs.
        unsafe { dpdk_sys::rte_pktmbuf_data_room_size(self.as_ptr()) }
    }

    /// The pool itself, valid while this value or a clone lives.
    pub fn as_ptr(&self) -> *mut rte_mempool {
        self.0.as_ptr()
    }

    /// A driver that uses the pool is known not to give all mbufs back. If some are out when the last owner
    /// is gone, the pool stays, and this is no error: [`driver_keeps_any`] says so.
    pub fn expect_driver_keeps(&self) {
        self.0.0.driver_keeps.store(true, Ordering::Relaxed);
    }

    /// An empty mbuf, or `None` if there is none left.
    pub fn alloc(&self) -> Option<Mbuf> {
        // SAFETY: the pool lives and its handler is safe for any thread.
        let mbuf = NonNull::new(unsafe { dpdk_sys::rte_pktmbuf_alloc(self.as_ptr()) })?;
        // SAFETY: freshly allocated, so it has no other owner; its pool outlives it (see `Pool::drop`).
        Some(unsafe { Mbuf::from_raw(mbuf) })
    }

    /// Adds `n` empty mbufs to a list. If there are not as many left, it adds none and returns `false`.
    #[must_use]
    pub fn alloc_many(&self, n: u16, to: &mut Vec<Mbuf>) -> bool {
        // A pool without a cache cannot tell "none, as asked" from "none left".
        if n == 0 {
            return true;
        }
        to.reserve(n.into());
        let free = to.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: as in `alloc`. There is room for `n` pointers, which is what mbufs are (`Mbuf`); DPDK
        // writes all of them if it says 0, and freshly allocated they have no other owner.
        unsafe {
            let done = dpdk_sys::rte_pktmbuf_alloc_bulk(self.as_ptr(), free, n.into()) == 0;
            if done {
                to.set_len(to.len() + usize::from(n));
            }
            done
        }
    }

    /// A share of the pool's life, for
    /// [`rx_queue_setup_unchecked`](crate::port::Port::rx_queue_setup_unchecked).
    pub fn share(&self) -> PoolRef {
        self.0.clone()
    }
}

/// A share of a pool's life: the pool is freed when the last one is gone. Any thread may hold, clone and drop
/// it.
#[derive(Clone, Debug)]
pub struct PoolRef(Arc<Pool>);

impl PoolRef {
    fn own(eal: &Eal, pool: NonNull<rte_mempool>, abandoned: Option<Abandoned>) -> Self {
        let driver_keeps = AtomicBool::new(false);
        Self(Arc::new(Pool { raw: pool, abandoned, theirs: false, driver_keeps, eal: eal.clone() }))
    }

    /// The pool itself, valid while a share of it lives.
    pub fn as_ptr(&self) -> *mut rte_mempool {
        self.0.raw.as_ptr()
    }

    fn available(&self) -> u32 {
        self.0.available()
    }

    fn size(&self) -> u32 {
        self.0.size()
    }
}

static DRIVER_KEEPS_ANY: AtomicBool = AtomicBool::new(false);

/// Whether a pool stays because its driver kept mbufs, as was [expected](Mempool::expect_driver_keeps). Then
/// [`Eal::cleanup`] refuses, and [`Eal::leave`] is what remains.
pub fn driver_keeps_any() -> bool {
    DRIVER_KEEPS_ANY.load(Ordering::Relaxed)
}

/// Asks a pool's handler whether the objects that are out are used by nobody.
type Abandoned = unsafe fn(*mut rte_mempool) -> bool;

#[derive(Debug)]
struct Pool {
    raw: NonNull<rte_mempool>,
    /// `None`: DPDK's own handler.
    abandoned: Option<Abandoned>,
    /// Whether the application owns the pool, and frees it itself.
    theirs: bool,
    /// Whether a driver is known to keep mbufs for good.
    driver_keeps: AtomicBool,
    eal: Eal,
}

// SAFETY: stock pools are made for any thread. A pool with a Rust handler is used by one thread at a time:
// `HandlerPool` is not Sync, those who let a queue use it promise so, and the handler itself is Send.
unsafe impl Send for Pool {}
// SAFETY: as above; shared references reach the name, sizes and counters only.
unsafe impl Sync for Pool {}

impl Pool {
    fn available(&self) -> u32 {
        // SAFETY: the pool lives; counting reads its handler and, of stock pools, the caches.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.raw.as_ptr()) }
    }

    fn size(&self) -> u32 {
        // SAFETY: the pool lives, and its size never changes.
        unsafe { (*self.raw.as_ptr()).size }
    }

    fn name(&self) -> String {
        // SAFETY: the pool lives, and its name is a NUL-terminated string that never changes.
        unsafe { CStr::from_ptr((&raw const (*self.raw.as_ptr()).name).cast()) }
            .to_string_lossy()
            .into_owned()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.theirs {
            return;
        }
        let out = self.size().saturating_sub(self.available());
        // SAFETY: the last owner; the function is the one for this pool's handler.
        if out > 0 && !self.abandoned.is_some_and(|abandoned| unsafe { abandoned(self.raw.as_ptr()) }) {
            if self.driver_keeps.load(Ordering::Relaxed) {
                DRIVER_KEEPS_ANY.store(true, Ordering::Relaxed);
            } else {
                ::log::error!(
                    "the memory of pool {:?} stays in use until the process ends: {out} of its mbufs did not \
                     come back from the driver or the application",
                    self.name()
                );
            }
            std::mem::forget(self.eal.clone());
            return;
        }
        // SAFETY: the last owner, all objects are back or nobody uses those that are not, and EAL lives.
        unsafe { dpdk_sys::rte_mempool_free(self.raw.as_ptr()) };
    }
}

/// The handler that a stock pool is made with, if EAL's options ask for this one (`--mbuf-pool-ops-name`).
/// Three of DPDK's are for one thread.
fn for_any_thread(asked: &CStr) -> &CStr {
    if [c"ring_sp_sc", c"ring_sp_mc", c"ring_mp_sc"].contains(&asked) { STOCK } else { asked }
}

fn socket_id(socket: Option<u32>) -> i32 {
    socket.map_or(dpdk_sys::SOCKET_ID_ANY, |s| s as i32)
}

/// A pool could not be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolError {
    /// The pool's name.
    pub name: String,
    /// How many mbufs it was to have.
    pub n: u32,
    /// Why.
    pub errno: Errno,
}

impl PoolError {
    fn new(name: &str, n: u32, errno: Errno) -> Self {
        Self { name: name.to_owned(), n, errno }
    }
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.errno.number() {
            libc::EEXIST => "choose another name",
            libc::ENOMEM => "give EAL more memory (-m, or more hugepages) or ask for fewer mbufs",
            libc::ENAMETOOLONG => "choose a shorter name",
            // It also says so of memzones, of which there are 2560.
            libc::ENOSPC => {
                "DPDK's table of mempool handlers is full: load fewer mempool drivers (-d with the folder or \
                 the drivers that are wanted)"
            }
            _ => "check name, number, cache and sizes",
        };
        let Self { name, n, errno } = self;
        write!(f, "pool {name:?} of {n} mbufs cannot be created: {errno}; {advice}")
    }
}

impl error::Error for PoolError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.errno)
    }
}
