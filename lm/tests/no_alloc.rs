//! Nothing on a data path allocates, once it is warm: receiving, sending, echoing and asking through a
//! `Port`, and receiving from a queue that was adopted. An allocator that counts is this program's; two ports
//! are connected to each other by net_memif, and a third one to the application's own.
//!
//! The steps share one process and one `main`, since a process has one EAL.

mod counting;

use std::error::Error;
use std::mem::zeroed;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ptr::null;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lm::rte::sys as dpdk;
use lm::{AdoptedQueue, Config, Eal, Landing, Port, Sent};

use counting::ALLOCATIONS;

type Failed = Box<dyn Error>;

const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 1), 7001);
const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 2), 7002);
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
/// One frame copied, one frame with its tag in another, some frames, as many as there can be.
const SIZES: [usize; 6] = [0, 64, 1400, 1472, 7168, 65_507];
/// Rounds until everything has the memory that it needs, and those that count.
const WARM: usize = 400;
const ROUNDS: usize = 1200;

fn ensure(ok: bool, what: &str) -> Result<(), Failed> {
    if ok { Ok(()) } else { Err(what.into()) }
}

/// Does something again and again. What is allocated after the first rounds is too much.
fn steady(name: &str, mut round: impl FnMut() -> Result<(), Failed>) -> Result<(), Failed> {
    for _ in 0..WARM {
        round()?;
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..ROUNDS {
        round()?;
    }
    let n = ALLOCATIONS.load(Ordering::Relaxed) - before;
    println!("test {name}: {n} allocations in {ROUNDS} rounds");
    ensure(n == 0, &format!("{name}: {n} allocations in {ROUNDS} rounds"))
}

/// Polls until `done` says true, for five seconds at most.
fn until(mut done: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let end = Instant::now() + Duration::from_secs(5);
    while !done()? {
        ensure(Instant::now() < end, "it takes too long")?;
    }
    Ok(())
}

/// `a` asks and `b` sends back what it got, from where it lies.
fn ping_and_echo(a: &mut Port, b: &mut Port, data: &[u8]) -> Result<(), Failed> {
    steady(&format!("ping and echo of {} bytes", data.len()), || {
        ensure(a.send(data, B)? == Sent::Now, "there is room")?;
        let mut came = 0;
        until(|| {
            b.poll(|message, out| {
                let from = message.from();
                out.forward(message, from);
            })?;
            a.poll(|message, _| came += usize::from(message.as_slice() == Some(data)))?;
            Ok(came == 1)
        })
    })
}

/// `a` sends more than the queue takes, so that messages wait in its outbox; `b` receives and drops them.
fn tx_and_rx(a: &mut Port, b: &mut Port, data: &[u8]) -> Result<(), Failed> {
    let mut waited = 0;
    steady(&format!("tx and rx of {} bytes", data.len()), || {
        // Not more than there are buffers.
        for _ in 0..30 {
            let Some(mut buffer) = a.buffer() else { break };
            buffer.fill(data);
            waited += usize::from(a.send_buffer(buffer, B) == Sent::Waiting);
        }
        until(|| {
            let sent = a.poll(|_, _| ())?;
            Ok(sent + b.poll(|_, _| ())? == 0 && a.unsent().1 == 0)
        })
    })?;
    ensure(waited > 0 || data.len() < 60_000, "the queue was never full")?;
    ensure(a.unsent() == (0, 0), "all of them went")
}

/// `a` sends to a queue of the application's own port.
fn adopted(a: &mut Port, queue: &mut AdoptedQueue, data: &[u8]) -> Result<(), Failed> {
    steady(&format!("an adopted queue, {} bytes", data.len()), || {
        ensure(a.send(data, B)? == Sent::Now, "there is room")?;
        let mut came = 0;
        until(|| {
            a.poll(|_, _| ())?;
            queue.poll(32, |message| came += usize::from(message.len() == data.len()));
            Ok(came == 1)
        })
    })
}

/// The application's own port 3, and its queue.
fn adopt(eal: &Eal) -> Result<AdoptedQueue, Failed> {
    let (port, any) = (3, u32::MAX);
    let landing = Landing::create(eal, port, &Config::new(*B.ip()))?;
    // SAFETY: the port is configured, set up and started, in this order, by this thread alone.
    let failed = unsafe {
        let conf = zeroed();
        dpdk::rte_eth_dev_configure(port, 1, 1, &raw const conf) != 0
            || dpdk::rte_eth_rx_queue_setup(port, 0, 512, any, null(), landing.mempool()) != 0
            || dpdk::rte_eth_tx_queue_setup(port, 0, 512, any, null()) != 0
            || dpdk::rte_eth_dev_start(port) != 0
    };
    ensure(!failed, "the port does not start")?;
    // SAFETY: queue 0 was set up with this memory; this thread alone polls it, stops the port and
    // closes it.
    Ok(unsafe { landing.adopt(0) }?)
}

fn run() -> Result<(), Failed> {
    let socket = |wire: u8| std::env::temp_dir().join(format!("lm-alloc-{}-{wire}.sock", std::process::id()));
    let vdev = |i: u8, role: &str| {
        let (wire, mac) = (i / 2, i % 2 + 1);
        let socket = socket(wire);
        format!(
            "--vdev=net_memif{i},role={role},id={wire},rsize=9,socket-abstract=no,mac=02:00:00:00:00:0{mac},\
             socket={}",
            socket.display()
        )
    };
    let args = ["alloc", "-l", "0", "--no-huge", "-m", "384", "--no-pci", "--no-telemetry", "--log-level=4"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("--file-prefix=lma{}", std::process::id())])
        .chain([vdev(0, "server"), vdev(1, "client"), vdev(2, "server"), vdev(3, "client")]);
    let eal = Eal::init(args)?;
    let config =
        |at: SocketAddrV4, peer: usize| Config::new(*at.ip()).udp_port(at.port()).peer_mac(MACS[peer]);
    let mut a = Port::open(&eal, "net_memif0", config(A, 1))?;
    let mut b = Port::open(&eal, "net_memif1", config(B, 0))?;
    until(|| Ok(a.is_up() && b.is_up()))?;
    let data: Vec<u8> = (0..65_507).map(|i| (i * 7) as u8).collect();
    for size in SIZES {
        ping_and_echo(&mut a, &mut b, &data[..size])?;
        tx_and_rx(&mut a, &mut b, &data[..size])?;
    }
    let mut c = Port::open(&eal, "net_memif2", config(A, 1))?;
    let mut queue = adopt(&eal)?;
    until(|| Ok(c.is_up()))?;
    for size in SIZES {
        adopted(&mut c, &mut queue, &data[..size])?;
    }
    // SAFETY: nobody polls the port any more.
    unsafe {
        dpdk::rte_eth_dev_stop(3);
        dpdk::rte_eth_dev_close(3);
    }
    println!("{} passed, 0 failed", 3 * SIZES.len());
    Ok(())
}

fn main() {
    if let Err(e) = run() {
        eprintln!("no_alloc: {e}");
        std::process::exit(1);
    }
}
