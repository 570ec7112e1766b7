//! Everything that needs EAL, which a process can initialise once: one test, in steps, on virtual devices.
//! Starts of EAL that must fail run in copies of this process.

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use dpdk_sys::{rte_mbuf, rte_mempool};
use rte::frag::{Reassembler, fragment};
use rte::lcore::{self, LaunchError};
use rte::mempool::{Handler, HandlerPool, HandlerPoolConfig, Mempool, register};
use rte::memzone::{Memzone, MemzoneFlags, iova_of};
use rte::port::{
    ConfigureError, MacAddr, OpenError, Port, PortConfig, PortId, QueueError, RxConf, StartError, StopError,
    TxConf, ports, rx_offloads_of,
};
use rte::tcp::{Segmenter, join};
use rte::{Burst, Eal, EalError, Mbuf, Release};

struct Collect(Mutex<Vec<(String, String)>>);

impl log::Log for Collect {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push((record.target().to_owned(), record.args().to_string()));
    }
    fn flush(&self) {}
}

static LOG: Collect = Collect(Mutex::new(Vec::new()));

/// Set in a copy of this process, to what that copy does.
const COPY: &str = "RTE_TEST_COPY";
/// What a copy ends with if it was told what is wrong.
const TOLD: u8 = 77;

/// Runs a copy of this process that ends in EAL.
fn is_told(what: &str) {
    let this = std::env::current_exe().unwrap();
    let copy = Command::new(this).args(["--exact", "all_that_needs_eal"]).env(COPY, what).output().unwrap();
    assert_eq!(copy.status.code(), Some(TOLD.into()), "{what}: {copy:?}");
}

/// Gives EAL a wrong option.
fn wrong_option() -> u8 {
    let told = |e: EalError| if matches!(e, EalError::Arguments { .. }) { TOLD } else { 1 };
    told(Eal::init_or(["test", "--no-such-option"], told).unwrap_err())
}

/// Leaves no place in DPDK's table of mempool handlers for what EAL loads.
fn full_table() -> u8 {
    struct Filler<const N: usize>;
    // SAFETY: no pool is made with it.
    unsafe impl<const N: usize> Handler for Filler<N> {
        const NAME: &'static CStr = c"filler";
        type Config = ();
        fn alloc(_: *mut rte_mempool, (): &()) -> Result<Self, i32> {
            Err(libc::EINVAL)
        }
        unsafe fn enqueue(_: *mut Self, _: *const *mut c_void, _: u32) -> i32 {
            -libc::ENOBUFS
        }
        unsafe fn dequeue(_: *mut Self, _: *mut *mut c_void, _: u32) -> i32 {
            -libc::ENOENT
        }
        unsafe fn count(_: *const Self) -> u32 {
            0
        }
    }
    macro_rules! fill {
        ($($n:literal)*) => { $(register::<Filler<$n>>().unwrap();)* };
    }
    fill!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    match Eal::init(["test", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry"]) {
        Err(EalError::Handlers { registered }) if registered.len() == 16 => TOLD,
        _ => 1,
    }
}

#[test]
fn all_that_needs_eal() {
    match std::env::var(COPY).as_deref() {
        Ok("option") => std::process::exit(wrong_option().into()),
        Ok("table") => std::process::exit(full_table().into()),
        _ => (),
    }
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let eal = initialise();
    work_on_lcores(&eal);
    memory(&eal);
    packets(&eal);
    fragments(&eal);
    segments(&eal);
    states_of_a_port(&eal);
    packets_go_round(&eal);
    a_handler_feeds_a_port(&eal);
    handlers_that_refuse(&eal);
    clean_up(eal);
}

fn initialise() -> Eal {
    // Whether EAL returns or ends the process: whoever starts it learns of it.
    is_told("option");
    is_told("table");
    if Eal::release() < Release(25, 11, 0) {
        // A mistake says what is wrong, and may be corrected.
        let e = Eal::init(["test", "--no-such-option"]).unwrap_err();
        assert!(matches!(e, EalError::Arguments { .. }), "{e}");
    }
    let prefix = format!("--file-prefix=rte-test-{}", std::process::id());
    let args = ["test", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", &prefix, "--lcores=0@0,1@0"];
    let devices = ["--vdev=net_null0,size=100", "--vdev=net_ring0", "--log-level=lib.eal:debug"];
    let (eal, rest) = Eal::init(args.into_iter().chain(devices).chain(["--", "own", "--arg"])).unwrap();
    assert_eq!(rest, ["own", "--arg"]);
    assert_eq!(Eal::init(["test"]).unwrap_err(), EalError::AlreadyInitialised);
    assert!(eal.version().starts_with("DPDK "), "{}", eal.version());
    assert!(!eal.has_hugepages());
    assert_eq!((eal.main_lcore(), eal.worker_lcores()), (0, vec![1]));
    let log = LOG.0.lock().unwrap();
    assert!(log.iter().any(|(target, text)| target == "dpdk::eal" && text.contains("Main lcore 0 is ready")));
    assert!(log.iter().all(|(_, text)| !text.contains('\n')));
    eal
}

fn work_on_lcores(eal: &Eal) {
    assert_eq!(lcore::current(), Some(0));
    let join = lcore::launch(eal, 1, lcore::current).unwrap();
    assert_eq!(join.join(), Some(1));
    assert_eq!(lcore::launch(eal, 0, || ()).unwrap_err(), LaunchError::NotAWorker(0));
    assert_eq!(lcore::launch(eal, 99, || ()).unwrap_err(), LaunchError::NotAWorker(99));
    let slow = lcore::launch(eal, 1, || thread::sleep(Duration::from_millis(50))).unwrap();
    assert_eq!(lcore::launch(eal, 1, || ()).unwrap_err(), LaunchError::Busy(1));
    drop(slow);
    let join = lcore::launch(eal, 1, || panic!("on purpose")).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| join.join())).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "on purpose");
    // Any other thread can become an lcore for a while.
    thread::scope(|s| {
        s.spawn(|| {
            assert_eq!(lcore::current(), None);
            let guard = lcore::register_thread(eal).unwrap();
            assert!(lcore::current().is_some());
            assert!(lcore::register_thread(eal).is_err());
            drop(guard);
            assert_eq!(lcore::current(), None);
        });
    });
}

fn memory(eal: &Eal) {
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

fn packets(eal: &Eal) {
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

fn fragments(eal: &Eal) {
    let big = Mempool::pktmbuf(eal, "frag_big", 15, 0, 0, 16_384, None).unwrap();
    let direct = Mempool::pktmbuf(eal, "frag_direct", 63, 0, 0, 2048 + 128, None).unwrap();
    let indirect = Mempool::pktmbuf(eal, "frag_indirect", 63, 0, 0, 128, None).unwrap();
    let packet = |payload: usize| {
        let mut packet = big.alloc().unwrap();
        let total = 20 + payload;
        let bytes = packet.append(total as u16).unwrap();
        bytes.fill(0);
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        bytes[4..6].copy_from_slice(&[0x12, 0x34]);
        bytes[8..10].copy_from_slice(&[64, 17]);
        bytes[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        bytes[20..].iter_mut().enumerate().for_each(|(i, b)| *b = ((i * 7) >> 3) as u8);
        packet
    };
    // A frame in one segment, as a device would deliver it.
    let landed = |fragment: &Mbuf| {
        let mut frame = direct.alloc().unwrap();
        let mut bytes = vec![0; 14];
        bytes[12] = 8;
        fragment.segments().for_each(|s| bytes.extend_from_slice(s));
        frame.append(bytes.len() as u16).unwrap().copy_from_slice(&bytes);
        frame
    };
    let mut table = Reassembler::new(eal, 16, 1).unwrap();
    for (payload, pieces) in [(1, 1), (1480, 1), (1481, 2), (7176, 5), (8 * 1480, 8)] {
        let whole = packet(payload);
        let want = whole.data()[20..].to_vec();
        let mut made = Vec::new();
        fragment(&whole, 1500, &direct, &indirect, &mut made).unwrap();
        drop(whole);
        assert_eq!(made.len(), pieces, "{payload}");
        let frames: Vec<_> = made.iter().map(landed).collect();
        drop(made);
        let mut out = None;
        for frame in frames.into_iter().rev() {
            assert!(out.is_none(), "whole before its time");
            out = table.take(frame);
        }
        let out = out.expect("whole");
        let got: Vec<u8> = out.segments().flatten().copied().collect();
        assert_eq!(got[34..], want, "{payload}");
    }
    // What two mbufs show, neither can change.
    let (mut whole, mut made) = (packet(4000), Vec::new());
    whole.data_mut().expect("nobody else shows it")[20] = 1;
    fragment(&whole, 1500, &direct, &indirect, &mut made).unwrap();
    assert!(whole.data_mut().is_none() && whole.append(1).is_none() && whole.prepend(1).is_none());
    assert!(made[0].append(1).is_none(), "its last segment is the packet's");
    assert!(made[0].data_mut().is_some(), "its header is its own");
    drop(made);
    assert!(whole.data_mut().is_some() && whole.append(1).is_some());
    // DPDK would write past its list of fragments, or past an mbuf without room for headers.
    let mut chain = packet(16_000);
    for _ in 0..4 {
        chain.chain(packet(16_000)).unwrap();
    }
    let einval = |made: Result<(), rte::Errno>| made.unwrap_err().number() == libc::EINVAL;
    assert!(einval(fragment(&chain, 1500, &direct, &indirect, &mut Vec::new())));
    assert!(einval(fragment(&packet(4000), 1500, &indirect, &indirect, &mut Vec::new())));
    drop((chain, whole));
    let mut made = Vec::new();
    assert!(fragment(&packet(8 * 1480 + 1), 1500, &direct, &indirect, &mut made).is_err() && made.is_empty());
    // Lengths that lie, options, and what is no IPv4.
    for (at, value) in [(12, 9), (14, 0x46), (16, 0x7f), (16, 0)] {
        let mut frame = landed(&packet(100));
        frame.data_mut().unwrap()[at] = value;
        if at == 16 && value == 0 {
            frame.data_mut().unwrap()[17] = 20;
        }
        assert!(table.take(frame).is_none(), "byte {at} is {value}");
    }
    let half = landed(&{
        let mut p = packet(800);
        p.data_mut().unwrap()[6] = 0x20;
        p
    });
    assert!(table.take(half).is_none(), "the rest is missing");
    drop(table);
    for pool in [big, direct, indirect] {
        assert_eq!(pool.in_use(), 0, "everything came back");
    }
}

fn segments(eal: &Eal) {
    let pool = Mempool::pktmbuf(eal, "seg_pool", 127, 0, 0, 4096, None).unwrap();
    let direct = Mempool::pktmbuf(eal, "seg_direct", 63, 0, 0, 128 + 66, None).unwrap();
    let indirect = Mempool::pktmbuf(eal, "seg_indirect", 63, 0, 0, 0, None).unwrap();
    let bytes = |at: u32, payload: usize| {
        let mut b = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 9, 0x40, 0, 64, 6, 0, 0];
        b.extend([10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 1, 2]);
        b.extend(at.to_be_bytes());
        b.extend([0, 0, 0, 7, 0x80, 0x10, 1, 0, 0, 0, 0, 0, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
        b[16..18].copy_from_slice(&((52 + payload) as u16).to_be_bytes());
        b.extend((0..payload).map(|i| (((at as usize + i) * 7) >> 3) as u8));
        b
    };
    let mbuf = |b: &[u8]| {
        let mut mbuf = pool.alloc().unwrap();
        mbuf.append(b.len() as u16).unwrap().copy_from_slice(b);
        mbuf
    };
    let segmenter = Segmenter::new(direct.clone(), indirect.clone());
    let mut long = mbuf(&bytes(0, 3000));
    let mut made = Vec::new();
    assert_eq!(segmenter.cut(&mut long, 1000, &mut made).unwrap(), 3);
    assert!(long.data_mut().is_none(), "segments show its payload");
    drop(long);
    for (i, segment) in made.iter().enumerate() {
        let got: Vec<u8> = segment.segments().flatten().copied().collect();
        let at = 1000 * i as u32;
        assert_eq!((&got[66..], &got[38..42]), (&bytes(at, 1000)[66..], &at.to_be_bytes()[..]));
        assert_eq!(got[16..20], [4, 28, 0, 9 + i as u8], "length and identification");
    }
    drop(made);
    // Nothing to cut; no room for headers; no payload; and headers that lie about their length or are none's.
    let mut made = Vec::new();
    assert_eq!(segmenter.cut(&mut mbuf(&bytes(0, 1000)), 1000, &mut made).unwrap(), 0);
    let small = Segmenter::new(indirect.clone(), indirect.clone());
    let number = |cut: Result<usize, rte::Errno>| cut.unwrap_err().number();
    assert_eq!(number(small.cut(&mut mbuf(&bytes(0, 3000)), 1000, &mut made)), libc::EINVAL);
    for payload in [0, u16::MAX] {
        assert_eq!(number(segmenter.cut(&mut mbuf(&bytes(0, 3000)), payload, &mut made)), libc::EINVAL);
    }
    assert_eq!(number(segmenter.cut(&mut mbuf(&bytes(0, 3000)), 10, &mut made)), libc::ENOMEM);
    for (at, value, len) in
        [(12, 9, 3066), (14, 0x65, 3066), (23, 17, 3066), (21, 1, 3066), (46, 0xf0, 70), (46, 0x40, 3066)]
    {
        let mut b = bytes(0, 3000);
        b[at] = value;
        b.truncate(len);
        assert_eq!(number(segmenter.cut(&mut mbuf(&b), 1, &mut made)), libc::EINVAL, "byte {at} is {value}");
        let mut frames = vec![mbuf(&bytes(0, 100)), mbuf(&b)];
        assert!(!join(&mut frames) && frames.len() == 2, "byte {at} is {value}");
    }
    assert!(made.is_empty());
    // Joined they are as they were; what does not follow stays by itself, and so does what is shared or
    // padded.
    let mut frames: Vec<_> = (0..10).map(|i| mbuf(&bytes(100 * i, 100))).collect();
    frames.push(mbuf(&bytes(5000, 100)));
    assert!(join(&mut frames));
    assert_eq!((frames.len(), frames[0].nb_segs()), (2, 10));
    let got: Vec<u8> = frames[0].segments().flatten().copied().collect();
    assert_eq!(got, bytes(0, 1000));
    assert_eq!(frames[1].data(), bytes(5000, 100));
    assert!(!join(&mut frames), "one has several mbufs");
    let mut padded = vec![mbuf(&[bytes(0, 1), vec![0]].concat())];
    assert!(!join(&mut padded) && !join(&mut Vec::new()), "none are joined");
    assert!(direct.alloc_many(0, &mut made), "none are there, in a pool without a cache");
    let mut many: Vec<_> = (0..50).map(|i| mbuf(&bytes(i, 1))).collect();
    many.extend((50..100).map(|i| mbuf(&bytes(i, 1))));
    assert!(join(&mut many));
    let all: Vec<u8> = many.iter().flat_map(|p| p.segments().flatten().skip(66)).copied().collect();
    assert_eq!(all, bytes(0, 100)[66..]);
    drop((frames, padded, many, segmenter, small));
    for pool in [pool, direct, indirect] {
        assert_eq!(pool.in_use(), 0, "everything came back");
    }
}

fn states_of_a_port(eal: &Eal) {
    let ids: Vec<_> = ports(eal).collect();
    assert_eq!(ids, [PortId(0), PortId(1)]);
    assert_eq!(Port::open(eal, PortId(9)).unwrap_err(), OpenError::NoSuchPort(PortId(9)));
    let mut port = Port::open(eal, PortId(1)).unwrap();
    assert_eq!(Port::open(eal, PortId(1)).unwrap_err(), OpenError::AlreadyOpen(PortId(1)));
    let info = port.info().unwrap();
    assert_eq!(
        (info.driver.as_str(), info.device.as_str(), info.bus.as_str()),
        ("net_ring", "net_ring0", "vdev")
    );

    let pool = Mempool::pktmbuf(eal, "states", 63, 0, 0, 2176, None).unwrap();
    assert_eq!(port.start().unwrap_err(), StartError::NotConfigured(PortId(1)));
    let many = PortConfig { rx_queues: 1000, ..PortConfig::default() };
    assert!(matches!(port.configure(&many).unwrap_err(), ConfigureError::Refused { .. }));
    // What net_ring has; its driver tells nothing of a queue, and there is no port 9.
    let rx_offloads = dpdk_sys::RTE_ETH_RX_OFFLOAD_SCATTER;
    port.configure(&PortConfig { rx_offloads, ..PortConfig::default() }).unwrap();
    let of = |port, queue| rx_offloads_of(eal, PortId(port), queue);
    assert_eq!((of(1, None), of(1, Some(0)), of(9, None), of(9, Some(0))), (rx_offloads, rx_offloads, 0, 0));
    port.configure(&PortConfig::default()).unwrap();
    assert_eq!(of(1, None), 0);
    assert_eq!(port.start().unwrap_err(), StartError::NoRxQueue(PortId(1), 0));
    port.rx_queue_setup(0, 0, &RxConf::default(), &pool).unwrap();
    assert_eq!(port.start().unwrap_err(), StartError::NoTxQueue(PortId(1), 0));
    let e = port.tx_queue_setup(7, 0, &TxConf::default()).unwrap_err();
    assert_eq!(e, QueueError::NoSuchQueue(PortId(1), 7));
    port.tx_queue_setup(0, 0, &TxConf::default()).unwrap();
    assert!(port.take_rx(0).is_none());
    port.start().unwrap();

    let rx = port.take_rx(0).unwrap();
    let tx = port.take_tx(0).unwrap();
    assert!(port.take_rx(0).is_none() && port.take_rx(1).is_none() && port.take_tx(0).is_none());
    assert_eq!(port.stop().unwrap_err(), StopError::QueuesOut(PortId(1), 2));
    assert_eq!(port.configure(&PortConfig::default()).unwrap_err(), ConfigureError::Started(PortId(1)));
    drop(rx);
    assert_eq!(port.stop().unwrap_err(), StopError::QueuesOut(PortId(1), 1));
    drop(tx);
    assert_eq!(port.reset().unwrap_err().errno.number(), libc::EBUSY);
    port.stop().unwrap();
    // This driver has no reset: nothing has changed.
    assert_eq!(port.reset().unwrap_err().errno.number(), libc::ENOTSUP);
    port.start().unwrap();
    drop(port.take_rx(0).unwrap());
    port.stop().unwrap();
    // Not closed: DPDK would forget the port, which the next step uses.
    RING.lock().unwrap().replace((port, pool));
}

/// The net_ring port, from one step to the next.
static RING: Mutex<Option<(Port, Mempool)>> = Mutex::new(None);

unsafe extern "C" fn count_rx(
    _port: u16,
    _queue: u16,
    _packets: *mut *mut rte_mbuf,
    n: u16,
    _room: u16,
    counter: *mut c_void,
) -> u16 {
    // SAFETY: the test passes a static AtomicU32.
    unsafe { (*counter.cast::<AtomicU32>()).fetch_add(u32::from(n), Ordering::Relaxed) };
    n
}

fn packets_go_round(eal: &Eal) {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    let (mut port, pool) = RING.lock().unwrap().take().unwrap();
    port.start().unwrap();
    port.set_promiscuous(true).unwrap();
    assert!(port.link().unwrap().up);
    assert_eq!(MacAddr([2, 0, 0, 0, 0, 1]).to_string(), "02:00:00:00:00:01");
    port.mac_addr_add(MacAddr([2, 0, 0, 0, 0, 1]), 0).unwrap();
    // SAFETY: the callback has the right type, and its argument is static.
    let callback = unsafe {
        dpdk_sys::rte_eth_add_rx_callback(1, 0, Some(count_rx), (&raw const SEEN).cast_mut().cast())
    };
    assert!(!callback.is_null());
    let (mut rx, mut tx) = (port.take_rx(0).unwrap(), port.take_tx(0).unwrap());
    let sender = pool.clone();
    let (rx, tx) = lcore::launch(eal, 1, move || {
        let (mut out, mut back) = (Burst::<16>::new(), Burst::<32>::new());
        for round in 0..1000_u16 {
            for i in 0..16 {
                let mut mbuf = sender.alloc().unwrap();
                mbuf.append(60).unwrap()[..4].copy_from_slice(&[round as u8, (round >> 8) as u8, i, 7]);
                assert!(out.push(mbuf).is_ok());
            }
            assert_eq!((tx.send(&mut out), out.len()), (16, 0));
            assert_eq!(rx.receive(&mut back), 16);
            for (i, mbuf) in back.drain().enumerate() {
                assert_eq!(mbuf.data()[..4], [round as u8, (round >> 8) as u8, i as u8, 7]);
            }
        }
        (rx, tx)
    })
    .unwrap()
    .join();
    assert_eq!(SEEN.load(Ordering::Relaxed), 16_000);
    // SAFETY: added above, removed once; no burst is under way (the structure itself is left to DPDK).
    assert_eq!(unsafe { dpdk_sys::rte_eth_remove_rx_callback(1, 0, callback) }, 0);
    let stats = port.stats().unwrap();
    assert_eq!((stats.ipackets, stats.opackets), (16_000, 16_000));
    let xstats = port.xstats().unwrap();
    assert!(xstats.contains(&("rx_good_packets".into(), 16_000)), "{xstats:?}");
    port.reset_stats().unwrap();
    port.reset_xstats().unwrap();
    assert_eq!(port.stats().unwrap().ipackets, 0);
    assert_eq!(tx.descriptor_status(0).unwrap_err().number(), libc::ENOTSUP);
    let (port, e) = port.close().unwrap_err();
    assert_eq!(e, StopError::QueuesOut(PortId(1), 2));
    drop(rx);
    drop(tx);
    port.close().unwrap();
    assert_eq!(ports(eal).collect::<Vec<_>>(), [PortId(0)]);
    assert_eq!(pool.in_use(), 0);
}

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

fn a_handler_feeds_a_port(eal: &Eal) {
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

fn handlers_that_refuse(eal: &Eal) {
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

fn clean_up(eal: Eal) {
    let other = eal.clone();
    let (eal, in_use) = eal.cleanup().unwrap_err();
    assert_eq!(in_use.0, 1, "{in_use}");
    drop(other);
    eal.cleanup().unwrap();
    assert_eq!(Eal::init(["test", "--no-huge"]).unwrap_err(), EalError::AlreadyInitialised);
}
