//! Runs each port on an lcore of its own, and stops them from another thread.
//!
//! Ports with an even number send, those with an odd number echo. EAL needs one worker lcore for each port,
//! besides the main lcore:
//! ```sh
//! cargo run --release -p lm --example queues -- --lcores=0@0,1@0,2@1 --no-pci --no-huge -m 256 \
//!   --vdev=net_memif0,role=server,id=0 --vdev=net_memif1,role=client,id=0
//! ```

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

/// Polls a port until it is stopped, and returns how many messages came. With a peer `to` it sends one
/// message after the other there. Without one it echoes what comes.
fn work(mut port: lm::Port, to: Option<SocketAddrV4>) -> Result<u64, lm::PollError> {
    let data = vec![7; 20_000];
    let mut came = 0;
    while port.is_running() {
        if let Some(to) = to.filter(|_| port.unsent().1 == 0) {
            // Sending fails only for a message that is too long, which this one is not.
            let _ = port.send(&data, to);
        }
        let found = port.poll(|message, port| {
            came += u64::from(message.len() == data.len());
            if to.is_none() {
                let from = message.from();
                port.forward(message, from);
            }
        })?;
        if found == 0 {
            thread::yield_now();
        }
    }
    port.close()?;
    Ok(came)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let eal = lm::Eal::init(std::env::args())?;
    let (devices, lcores) = (eal.devices(), eal.worker_lcores());
    if devices.is_empty() || devices.len() > lcores.len() {
        return Err(format!("{} devices need as many worker lcores: {lcores:?}", devices.len()).into());
    }
    let address = |i: usize| SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, i as u8 + 1), 7000);
    let (mut stoppers, mut joins) = (Vec::new(), Vec::new());
    for (i, (device, &lcore)) in devices.iter().zip(&lcores).enumerate() {
        let port = lm::Port::open(&eal, device, lm::Config::new(*address(i).ip()).udp_port(7000))?;
        stoppers.push(port.stopper());
        let to = (i % 2 == 0).then(|| address(i + 1));
        joins.push((device, lcore, eal.launch(lcore, move || work(port, to))?));
    }
    thread::sleep(Duration::from_secs(1));
    stoppers.iter().for_each(lm::Stopper::stop);
    for (device, lcore, join) in joins {
        let came = join.join()?;
        println!("{device} on lcore {lcore}: {came} messages came");
        if came == 0 {
            return Err("none came".into());
        }
    }
    Ok(())
}
