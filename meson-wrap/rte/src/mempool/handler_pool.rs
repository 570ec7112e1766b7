//! [`HandlerPool`]: a pool of mbufs with a handler written in Rust.
//!
//! `lm-landing` creates one for each landing queue. The pool has none of DPDK's caches, so every get and
//! every put reaches the handler, in order. One thread at a time may use it. A pool whose creation fails is
//! freed completely.

use std::cell::Cell;
use std::ffi::{CString, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use dpdk_sys::{rte_mbuf, rte_mempool, rte_pktmbuf_pool_private};

use super::handler::{Handler, abandoned, handler, index_of};
use super::{PoolError, PoolRef, socket_id};
use crate::{Eal, Errno};

/// What a [`HandlerPool`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct HandlerPoolConfig<'a> {
    /// The pool's name, which is unique in the process and shorter than 26 bytes.
    pub name: &'a str,
    /// How many mbufs.
    pub n: u32,
    /// Bytes for the application behind each mbuf, a multiple of 8.
    pub priv_size: u16,
    /// Bytes of room in an mbuf that the pool reports to drivers: data and 128 bytes of headroom.
    pub data_room: u16,
    /// The mbufs have no room of their own: the handler gives them addresses
    /// (`RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF`). They start with none.
    pub pinned: bool,
    /// NUMA node; `None`: any.
    pub socket: Option<u32>,
}

/// A pool of mbufs whose free ones a [`Handler`] keeps. Every get and every put reaches the handler: the pool
/// has none of DPDK's caches, which would reorder its mbufs.
///
/// One thread at a time may use it. It may move to another thread, but only together with the RX queue that
/// is fed from it and all of its mbufs. As with [`Mempool`](super::Mempool), mbufs that are not back when
/// its last share is dropped keep it alive for ever.
pub struct HandlerPool<H: Handler> {
    pool: PoolRef,
    /// Send if the handler is; never Sync.
    _handler: PhantomData<Cell<H>>,
}

impl<H: Handler> HandlerPool<H> {
    /// Creates the pool: makes the handler from `with`, fills it with objects, makes them mbufs, and calls
    /// `init` for each of them with its number.
    ///
    /// # Errors
    /// [`PoolError`], with the handler's own error number if `alloc` refused.
    pub fn create(
        eal: &Eal,
        config: &HandlerPoolConfig<'_>,
        with: &H::Config,
        mut init: impl FnMut(NonNull<rte_mbuf>, u32),
    ) -> Result<Self, PoolError> {
        let failed = |errno| PoolError::new(config.name, config.n, errno);
        let invalid = || failed(Errno::of_return(-libc::EINVAL));
        let index = index_of::<H>().map_err(|e| failed(e.errno()))?;
        let name = CString::new(config.name).map_err(|_| invalid())?;
        if u32::from(config.priv_size) % dpdk_sys::RTE_MBUF_PRIV_ALIGN != 0 {
            return Err(invalid());
        }
        let room = if config.pinned {
            size_of::<dpdk_sys::rte_mbuf_ext_shared_info>()
        } else {
            usize::from(config.data_room)
        };
        let element = size_of::<rte_mbuf>() + usize::from(config.priv_size) + room;
        let private = size_of::<rte_pktmbuf_pool_private>();
        // SAFETY: EAL is initialised; the name is NUL-terminated and copied; DPDK checks the numbers.
        let pool = unsafe {
            dpdk_sys::rte_mempool_create_empty(
                name.as_ptr(),
                config.n,
                element as u32,
                0,
                private as u32,
                socket_id(config.socket),
                0,
            )
        };
        let pool = NonNull::new(pool).ok_or_else(|| failed(Errno::last()))?;
        // From here on, dropping `owner` frees the pool, which has no objects before it is populated.
        let owner = Unfinished(pool);
        let mp = pool.as_ptr();
        // SAFETY: the pool is empty and ours; the handler is registered; `with` outlives the populating
        // below, which calls `alloc`, and DPDK does not look at it again.
        unsafe {
            let ret = dpdk_sys::rte_mempool_set_ops_byname(
                mp,
                H::NAME.as_ptr(),
                std::ptr::from_ref(with).cast::<c_void>().cast_mut(),
            );
            Errno::check(ret).map_err(failed)?;
            // The first handler of that name wins: make sure that it is ours before it sees `with`.
            if (*mp).ops_index != index {
                // Hand the empty pool back to a handler that knows what to do with it.
                return Err(failed(Errno::of_return(-libc::EEXIST)));
            }
            let mut about: rte_pktmbuf_pool_private = std::mem::zeroed();
            about.mbuf_data_room_size = config.data_room;
            about.mbuf_priv_size = config.priv_size;
            about.flags = if config.pinned { dpdk_sys::RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF } else { 0 };
            dpdk_sys::rte_pktmbuf_pool_init(mp, (&raw mut about).cast());
            let ret = dpdk_sys::rte_mempool_populate_default(mp);
            (*mp).pool_config = std::ptr::null_mut();
            Errno::check(ret).map_err(failed)?;
        }
        let mut each = Each { pinned: config.pinned, init: &mut init };
        // SAFETY: the pool is populated; `each` outlives the iteration and `make_mbuf` gets it back as what
        // it is.
        unsafe { dpdk_sys::rte_mempool_obj_iter(mp, Some(make_mbuf), (&raw mut each).cast()) };
        std::mem::forget(owner);
        Ok(Self { pool: PoolRef::own(eal, pool, Some(abandoned::<H>)), _handler: PhantomData })
    }

    /// The handler, which lives as long as the pool. Only the pool's thread may follow the pointer, and it
    /// must not hold a reference made from it while the pool is used.
    pub fn handler(&self) -> *mut H {
        // SAFETY: the pool lives and its `alloc` succeeded.
        unsafe { handler(self.as_ptr()) }
    }

    /// The pool itself, valid while a share of it lives.
    pub fn as_ptr(&self) -> *mut rte_mempool {
        self.pool.as_ptr()
    }

    /// How many objects the handler has.
    pub fn available(&self) -> u32 {
        self.pool.available()
    }

    /// How many objects are out.
    pub fn in_use(&self) -> u32 {
        self.size().saturating_sub(self.available())
    }

    /// How many objects there are.
    pub fn size(&self) -> u32 {
        self.pool.size()
    }

    /// A share of the pool's life, for the port that is fed from it.
    pub fn share(&self) -> PoolRef {
        self.pool.clone()
    }
}

impl<H: Handler> fmt::Debug for HandlerPool<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerPool").field("handler", &H::NAME).field("pool", &self.pool).finish()
    }
}

/// A pool that is being created.
struct Unfinished(NonNull<rte_mempool>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // SAFETY: created and not published; `free` copes with a handler that was not made.
        unsafe { dpdk_sys::rte_mempool_free(self.0.as_ptr()) };
    }
}

struct Each<'a> {
    pinned: bool,
    init: &'a mut dyn FnMut(NonNull<rte_mbuf>, u32),
}

unsafe extern "C" fn make_mbuf(mp: *mut rte_mempool, each: *mut c_void, object: *mut c_void, number: u32) {
    // SAFETY: `create` passes an `Each` that nobody else uses meanwhile, and objects with room for an mbuf
    // and its private bytes, of which rte_pktmbuf_init writes no more.
    unsafe {
        let each = &mut *each.cast::<Each<'_>>();
        dpdk_sys::rte_pktmbuf_init(mp, std::ptr::null_mut(), object, number);
        let mbuf = NonNull::new_unchecked(object.cast::<rte_mbuf>());
        if each.pinned {
            // rte_pktmbuf_init points behind the mbuf, where such an object has nothing.
            (*mbuf.as_ptr()).buf_addr = std::ptr::null_mut();
            (*mbuf.as_ptr()).buf_iova = 0;
            // From 25.11 on DPDK marks what it takes from such a pool as external, and drivers that free it
            // look here. There is room for it behind the private bytes, as in pools of DPDK's own.
            let beyond = size_of::<rte_mbuf>() + usize::from((*mbuf.as_ptr()).priv_size);
            let info = object.byte_add(beyond).cast::<dpdk_sys::rte_mbuf_ext_shared_info>();
            info.write(std::mem::zeroed());
            (*info).refcnt = 1;
            (*mbuf.as_ptr()).shinfo = info;
        }
        (each.init)(mbuf, number);
    }
}
