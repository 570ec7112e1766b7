//! A port: its states, and packets that go round on it.

use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use dpdk_sys::rte_mbuf;
use rte::mempool::Mempool;
use rte::port::{
    ConfigureError, MacAddr, OpenError, Port, PortConfig, PortId, QueueError, RxConf, RxQueue, StartError,
    StopError, TxConf, ports, rx_offloads_of,
};
use rte::{Burst, Eal, lcore};

pub(crate) fn states_of_a_port(eal: &Eal) {
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

pub(crate) fn packets_go_round(eal: &Eal) {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    let (mut port, pool) = RING.lock().unwrap().take().unwrap();
    port.start().unwrap();
    port.set_promiscuous(true).unwrap();
    // SAFETY: the queue exists, is started, and is not polled meanwhile.
    drop(unsafe { RxQueue::adopt(eal, PortId(1), 0) });
    assert_eq!(
        Port::open(eal, PortId(1)).unwrap_err(),
        OpenError::AlreadyOpen(PortId(1)),
        "it is open still"
    );
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
