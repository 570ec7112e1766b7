//! Mempool handlers that are written in Rust: one that feeds a port, and some that are refused.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use dpdk_sys::{rte_mbuf, rte_mempool};
use rte::mempool::{Handler, HandlerPool, HandlerPoolConfig, Mempool, register};
use rte::port::{Port, PortConfig, PortId, RxConf, TxConf, ports};
use rte::{Burst, Eal, Mbuf, lcore};

/// The simplest handler: a stack.
struct Lifo {
    free: Vec<*mut c_void>,
    handed_out: u64,
}

// SAFETY: the objects belong to the pool, whose users stay together.
unsafe impl Send for Lifo {}

// SAFETY: a stack of what was enqueued; what it handed out it does not have.
unsafe impl Handler for Lifo {
    const NAME: &'static CStr = c"test_lifo";
    /// Refuse with this number, unless it is zero.
    type Config = i32;

    fn alloc(mp: *mut rte_mempool, refuse: &i32) -> Result<Self, i32> {
        if *refuse != 0 {
            return Err(*refuse);
        }
        // SAFETY: the pool is being created, and has its size.
        let n = unsafe { (*mp).size };
        Ok(Self { free: Vec::with_capacity(n as usize), handed_out: 0 })
    }

    unsafe fn enqueue(this: *mut Self, objs: *const *mut c_void, n: u32) -> i32 {
        // SAFETY: the trait's promise.
        unsafe { (*this).free.extend_from_slice(std::slice::from_raw_parts(objs, n as usize)) };
        0
    }

    unsafe fn dequeue(this: *mut Self, objs: *mut *mut c_void, n: u32) -> i32 {
        // SAFETY: the trait's promise.
        let (this, out) = unsafe { (&mut *this, std::slice::from_raw_parts_mut(objs, n as usize)) };
        let Some(left) = this.free.len().checked_sub(out.len()) else { return -libc::ENOENT };
        out.copy_from_slice(&this.free[left..]);
        this.free.truncate(left);
        this.handed_out += u64::from(n);
        0
    }

    unsafe fn count(this: *const Self) -> u32 {
        // SAFETY: the trait's promise.
        unsafe { &*this }.free.len() as u32
    }
}

fn config(name: &str) -> HandlerPoolConfig<'_> {
    HandlerPoolConfig { name, n: 255, priv_size: 16, data_room: 2176, pinned: false, socket: None }
}

pub(crate) fn a_handler_feeds_a_port(eal: &Eal) {
    register::<Lifo>().unwrap();
    register::<Lifo>().unwrap();
    let mut made = 0;
    let pool = HandlerPool::<Lifo>::create(eal, &config("lifo"), &0, |mbuf, number| {
        // SAFETY: the pool's own new mbuf.
        assert_eq!(unsafe { ((*mbuf.as_ptr()).refcnt, (*mbuf.as_ptr()).priv_size) }, (1, 16));
        assert_eq!(number, made);
        made += 1;
    })
    .unwrap();
    assert_eq!((made, pool.size(), pool.available(), pool.in_use()), (255, 255, 255, 0));

    let mut port = Port::open(eal, PortId(0)).unwrap();
    port.configure(&PortConfig::default()).unwrap();
    // Its frames have 100 bytes, and it would say so of any buffer.
    for (name, room, ok) in [("short", 99, false), ("enough", 100, true)] {
        let pool = Mempool::pktmbuf(eal, name, 63, 0, 0, 128 + room, None).unwrap();
        assert_eq!(port.rx_queue_setup(0, 64, &RxConf::default(), &pool).is_ok(), ok, "{name}");
    }
    // SAFETY: pool and port stay here, and the queue goes to the lcore while this thread waits for it.
    unsafe { port.rx_queue_setup_unchecked(0, 64, &RxConf::default(), pool.share()) }.unwrap();
    port.tx_queue_setup(0, 64, &TxConf::default()).unwrap();
    port.start().unwrap();
    let mut rx = port.take_rx(0).unwrap();
    lcore::launch(eal, 1, move || {
        let mut received = 0;
        for _ in 0..1000 {
            let mut raw = [std::ptr::null_mut::<rte_mbuf>(); 32];
            let n = rx.burst(&mut raw);
            for mbuf in raw[..n].iter().filter_map(|&m| NonNull::new(m)) {
                // SAFETY: just received: ours alone, of a pool that the port keeps; freed on this thread.
                let mbuf = unsafe { Mbuf::from_raw(mbuf) };
                assert_eq!((mbuf.pkt_len(), mbuf.data().len()), (100, 100));
                received += 1;
            }
        }
        assert_eq!(received, 32_000);
        let mut burst = Burst::<300>::new();
        while rx.receive(&mut burst) > 0 {}
        assert!(burst.len() <= 255);
    })
    .unwrap()
    .join();
    // SAFETY: the lcore is done: nobody else uses the pool.
    assert!(unsafe { (*pool.handler()).handed_out } >= 32_000);
    assert_eq!(pool.available(), pool.size());
    // The port keeps the pool.
    drop(pool);
    drop(port);
    assert_eq!(ports(eal).count(), 0);
    // The name is free again, so the pool is gone.
    drop(HandlerPool::<Lifo>::create(eal, &config("lifo"), &0, |_, _| {}).unwrap());
}

pub(crate) fn handlers_that_refuse(eal: &Eal) {
    struct Impostor;
    // SAFETY: no pool is made with it.
    unsafe impl Handler for Impostor {
        const NAME: &'static CStr = c"test_lifo";
        type Config = ();
        fn alloc(_: *mut rte_mempool, (): &()) -> Result<Self, i32> {
            panic!("never called: the name is taken")
        }
        unsafe fn enqueue(_: *mut Self, _: *const *mut c_void, _: u32) -> i32 {
            0
        }
        unsafe fn dequeue(_: *mut Self, _: *mut *mut c_void, _: u32) -> i32 {
            0
        }
        unsafe fn count(_: *const Self) -> u32 {
            0
        }
    }
    struct Nameless;
    // SAFETY: no pool is made with it.
    unsafe impl Handler for Nameless {
        const NAME: &'static CStr = c"a name of more than thirty bytes";
        type Config = ();
        fn alloc(_: *mut rte_mempool, (): &()) -> Result<Self, i32> {
            panic!("never called: the name is too long")
        }
        unsafe fn enqueue(_: *mut Self, _: *const *mut c_void, _: u32) -> i32 {
            0
        }
        unsafe fn dequeue(_: *mut Self, _: *mut *mut c_void, _: u32) -> i32 {
            0
        }
        unsafe fn count(_: *const Self) -> u32 {
            0
        }
    }
    let e = HandlerPool::<Lifo>::create(eal, &config("refused"), &libc::EDOM, |_, _| {}).unwrap_err();
    assert_eq!(e.errno.number(), libc::EDOM);
    let e = HandlerPool::<Impostor>::create(eal, &config("impostor"), &(), |_, _| {}).unwrap_err();
    // Debian's 24.11 has one place left for a handler, which Lifo has.
    assert!([libc::EEXIST, libc::ENOSPC].contains(&e.errno.number()), "{e}");
    assert!(register::<Nameless>().is_err());
    // What failed is gone: the names are free.
    drop(HandlerPool::<Lifo>::create(eal, &config("refused"), &0, |_, _| {}).unwrap());
    let pinned = HandlerPoolConfig { pinned: true, ..config("pinned") };
    let pool = HandlerPool::<Lifo>::create(eal, &pinned, &0, |mbuf, _| {
        // SAFETY: the pool's own new mbuf.
        assert!(unsafe { (*mbuf.as_ptr()).buf_addr.is_null() });
    });
    assert_eq!(pool.unwrap().available(), 255);
}
