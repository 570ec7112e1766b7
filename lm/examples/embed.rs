//! An application that has its own EAL, its own port and its own loop adopts a landing queue.
//!
//! The three lines that end with `// LM` are what such an application adds; the rest is plain DPDK. Run it on
//! any device that datagrams can land on, such as a capture file, which lm-testpmd can make:
//! ```sh
//! target/release/lm-testpmd --no-huge -m 64 --no-pci --vdev=net_pcap0,tx_pcap=datagrams.pcap -- \
//!   --forward-mode=tx --count=100
//! cargo run --release -p lm --example embed -- --no-huge --no-pci --vdev=net_pcap0,rx_pcap=datagrams.pcap
//! ```

use std::ffi::CString;
use std::mem::zeroed;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lm::rte::sys as dpdk;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<CString> = std::env::args().map(CString::new).collect::<Result<_, _>>()?;
    let mut argv: Vec<_> = args.iter().map(|a| a.as_ptr().cast_mut()).collect();
    // SAFETY: the strings live until the end; EAL is initialised once.
    if unsafe { dpdk::rte_eal_init(argv.len() as i32, argv.as_mut_ptr()) } < 0 {
        return Err("EAL: see above".into());
    }
    let (mut messages, mut bytes, port, any) = (0_u64, 0_u64, 0, u32::MAX);

    // SAFETY: EAL was initialised above, by this primary process, and is not cleaned up.
    let eal = unsafe { lm::Eal::adopt() }; // LM
    let landing = lm::Landing::create(&eal, port, &lm::Config::new(Ipv4Addr::UNSPECIFIED))?; // LM
    // SAFETY: port 0 is configured, set up and started, in this order, by this thread alone.
    let failed = unsafe {
        let conf = zeroed();
        dpdk::rte_eth_dev_configure(port, 1, 1, &raw const conf) != 0
            || dpdk::rte_eth_rx_queue_setup(port, 0, 512, any, std::ptr::null(), landing.mempool()) != 0
            || dpdk::rte_eth_tx_queue_setup(port, 0, 512, any, std::ptr::null()) != 0
            || dpdk::rte_eth_dev_start(port) != 0
    };
    if failed {
        return Err("the port does not start".into());
    }
    // SAFETY: queue 0 was set up with this memory, and this lcore alone polls it, stops the port and closes
    // it.
    let mut queue = unsafe { landing.adopt(0) }?; // LM
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_millis(500) {
        let frames = queue.poll(32, |message| {
            messages += 1;
            bytes += message.len() as u64;
        });
        if frames > 0 {
            last = Instant::now();
        }
    }
    println!("{messages} messages, {bytes} bytes, copied {}", queue.counters().copied_datagrams);
    // SAFETY: nobody polls the port any more.
    unsafe {
        dpdk::rte_eth_dev_stop(port);
        dpdk::rte_eth_dev_close(port);
    }
    Ok(())
}
