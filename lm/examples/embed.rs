//! An application that has its own EAL, its own port and its own loop adopts a landing queue.
//!
//! What it had to change lies between the two lines of dashes: 31 lines. Run it on anything that lands:
//! `cargo run --example embed -- --no-huge --no-pci --vdev net_pcap0,rx_pcap=datagrams.pcap`

use std::ffi::CString;
use std::mem::zeroed;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use rte::sys as dpdk;
// ---------------------------------------------------------------------------------------------------------------
use lm_engine::{Lander, ReceiverConfig};
use lm_landing::{LandingPool, PoolConfig, RegionKind, SlotLayout, Writes};
use pmd_e1000::device::{arguments, traits_of};
use rte::port::PortId;

fn adopt(eal: &rte::Eal, port: u16, driver: &str) -> Result<Lander, Box<dyn std::error::Error>> {
    let traits = traits_of(driver, &arguments(PortId(port)))?;
    let config = PoolConfig {
        name: format!("embed{port}"),
        descriptors: 512,
        spare_mbufs: 576,
        region: 4 << 20,
        max_region: 16 << 20,
        kind: if traits.needs_dpdk_memory { RegionKind::Dpdk } else { RegionKind::Mirrored },
        stride: 1480,
        room: traits.declared_room.max(1514),
        layout: SlotLayout::Overlapping,
        socket: None,
        writes: Writes { at_any_time: !traits.synchronous, ..Writes::default() },
    };
    let pool = LandingPool::create(eal, &config)?;
    Ok(Lander::new(eal, pool, traits, &ReceiverConfig::default())?)
}
// ---------------------------------------------------------------------------------------------------------------

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The application's own EAL, port and loop, in plain DPDK.
    let args: Vec<CString> = std::env::args().map(CString::new).collect::<Result<_, _>>()?;
    let mut argv: Vec<_> = args.iter().map(|a| a.as_ptr().cast_mut()).collect();
    // SAFETY: the strings live until the end; EAL is initialised once.
    if unsafe { dpdk::rte_eal_init(argv.len() as i32, argv.as_mut_ptr()) } < 0 {
        return Err("EAL: see above".into());
    }
    // SAFETY: it just was, by this primary process, and is never cleaned up while `eal` lives.
    let eal = unsafe { rte::Eal::adopt() };
    let (mut messages, mut bytes, port) = (0_u64, 0_u64, 0);
    // SAFETY: port 0 is configured, started, polled by this thread alone and stopped, in this order.
    unsafe {
        let mut info = zeroed();
        if dpdk::rte_eth_dev_info_get(port, &raw mut info) != 0 {
            return Err("no port: give --vdev or bind a device".into());
        }
        let driver = std::ffi::CStr::from_ptr(info.driver_name).to_str()?;
        let mut lander = adopt(&eal, port, driver)?;
        let (conf, socket) = (zeroed(), u32::MAX);
        let failed = dpdk::rte_eth_dev_configure(port, 1, 1, &raw const conf) != 0
            || dpdk::rte_eth_rx_queue_setup(port, 0, 512, socket, std::ptr::null(), lander.pool().as_ptr())
                != 0
            || dpdk::rte_eth_tx_queue_setup(port, 0, 512, socket, std::ptr::null()) != 0
            || dpdk::rte_eth_dev_start(port) != 0;
        if failed {
            return Err("the port does not start".into());
        }
        let (ops, mut burst) = (&raw const dpdk::rte_eth_fp_ops, [null_mut(); 32]);
        let ops = &*ops.cast::<dpdk::rte_eth_fp_ops>().add(usize::from(port));
        let receive = ops.rx_pkt_burst.ok_or("the port does not receive")?;
        let mut last = Instant::now();
        while last.elapsed() < Duration::from_millis(500) {
            let n = receive(*ops.rxq.data, burst.as_mut_ptr(), 32);
            if n > 0 {
                last = Instant::now();
            }
            lander.process(&burst[..usize::from(n)], |message| {
                messages += 1;
                bytes += message.len() as u64;
            });
        }
        dpdk::rte_eth_dev_stop(port);
        dpdk::rte_eth_dev_close(port);
        println!("{messages} messages, {bytes} bytes, copied {}", lander.counters().copied_datagrams);
    }
    Ok(())
}
