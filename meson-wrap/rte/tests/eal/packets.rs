//! Memory zones, and what packets are made of: pools, mbufs, external buffers, bursts.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rte::mempool::Mempool;
use rte::memzone::{Memzone, MemzoneFlags, iova_of};
use rte::{Burst, Eal};

pub(crate) fn memory(eal: &Eal) {
    let reserve = |name, len, align| Memzone::reserve(eal, name, len, align, MemzoneFlags::default(), None);
    let zone = reserve("zone", 10_000, 4096).unwrap();
    assert!(zone.len() >= 10_000);
    assert_eq!(zone.ptr().addr().get() % 4096, 0);
    assert_eq!(iova_of(eal, zone.ptr().as_ptr()), Some(zone.iova()));
    assert_eq!(iova_of(eal, std::ptr::null()), None);
    assert_eq!(reserve("zone", 1, 64).unwrap_err().errno.number(), libc::EEXIST);
    assert_eq!(reserve("huge", 1 << 40, 64).unwrap_err().errno.number(), libc::ENOMEM);
    for (name, len, align) in [("none", 0, 64), ("odd", 1, 3), ("n\0l", 1, 64)] {
        assert_eq!(reserve(name, len, align).unwrap_err().errno.number(), libc::EINVAL);
    }
    drop(zone);
    drop(reserve("zone", 10, 64).unwrap());
}

pub(crate) fn packets(eal: &Eal) {
    let pool = Mempool::pktmbuf(eal, "packets", 63, 8, 0, 2048 + 128, None).unwrap();
    assert_eq!((pool.size(), pool.available(), pool.in_use(), pool.data_room()), (63, 63, 0, 2176));
    assert!(
        Mempool::pktmbuf(eal, "packets", 63, 8, 0, 2176, None).unwrap_err().to_string().contains("exists")
    );
    let mut head = pool.alloc().unwrap();
    assert_eq!(head.data(), b"");
    head.append(5).unwrap().copy_from_slice(b"hello");
    assert!(head.append(3000).is_none());
    let mut tail = pool.alloc().unwrap();
    tail.append(6).unwrap().copy_from_slice(b" world");
    head.chain(tail).unwrap();
    assert_eq!((head.pkt_len(), head.nb_segs(), pool.in_use()), (11, 2, 2));
    head.data_mut().unwrap()[0] = b'j';
    assert_eq!(head.data(), b"jello");
    assert!(!head.set_window(0, 1));
    thread::spawn(move || drop(head)).join().unwrap();

    external_buffer(&pool);

    let mut burst = Burst::<4>::new();
    for len in 1..=4 {
        let mut mbuf = pool.alloc().unwrap();
        mbuf.append(len).unwrap();
        burst.push(mbuf).unwrap();
    }
    assert!(burst.push(pool.alloc().unwrap()).is_err());
    assert_eq!(burst.drain().take(2).map(|m| m.pkt_len()).collect::<Vec<_>>(), [1, 2]);
    assert!(burst.is_empty());
    assert_eq!(pool.in_use(), 0);

    let mut many = vec![pool.alloc().unwrap()];
    assert!(!pool.alloc_many(64, &mut many) && many.len() == 1, "there are 63");
    assert!(pool.alloc_many(5, &mut many) && pool.alloc_many(0, &mut many) && many.len() == 6);
    for (mbuf, len) in many.iter_mut().zip(1..) {
        mbuf.append(len).unwrap();
    }
    burst.take_from(&mut many);
    assert_eq!((burst.len(), many.len(), many[0].pkt_len()), (4, 2, 5));
    burst.take_from(&mut many);
    assert_eq!((burst.len(), many.len()), (4, 2));
    assert_eq!(burst.drain().map(|m| m.pkt_len()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    burst.take_from(&mut many);
    assert_eq!((burst.len(), many.len(), pool.in_use()), (2, 0, 2));
    burst.clear();
    assert_eq!(pool.in_use(), 0);

    let all: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
    assert!(all.len() >= 55, "{}", all.len());
    drop(all);
    assert_eq!(pool.in_use(), 0);
}

fn external_buffer(pool: &Mempool) {
    static FREED: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn freed(_: *mut c_void, _: *mut c_void) {
        FREED.fetch_add(1, Ordering::Relaxed);
    }
    let mut bytes = *b"somewhere else";
    // SAFETY: plain data: zeroes are a value of it.
    let mut shinfo: dpdk_sys::rte_mbuf_ext_shared_info = unsafe { std::mem::zeroed() };
    shinfo.free_cb = Some(freed);
    shinfo.refcnt = 1;
    let mut mbuf = pool.alloc().unwrap();
    // SAFETY: fresh; the bytes and the shared info outlive the mbuf, and nobody else uses them meanwhile.
    unsafe { mbuf.attach_external(NonNull::from(&mut bytes).cast(), 0, 14, NonNull::from(&mut shinfo)) };
    assert!(mbuf.set_window(4, 5));
    assert!(!mbuf.set_window(10, 5));
    assert_eq!(mbuf.data(), b"where");
    drop(mbuf);
    assert_eq!(FREED.load(Ordering::Relaxed), 1);
}
