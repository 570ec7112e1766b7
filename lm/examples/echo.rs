//! Two nodes in one process. One echoes each message from where it landed, and the other one compares what
//! comes back.
//!
//! ```sh
//! cargo run --release -p lm --example echo -- --no-pci --no-huge -m 256 \
//!   --vdev=net_memif0,role=server,id=0 --vdev=net_memif1,role=client,id=0
//! ```

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

const ROUNDS: usize = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let eal = lm::Eal::init(std::env::args())?;
    let to = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 2), 7000);
    let mut server = lm::Port::open(&eal, "net_memif0", lm::Config::new(*to.ip()).udp_port(to.port()))?;
    let mut client = lm::Port::open(&eal, "net_memif1", lm::Config::new(Ipv4Addr::new(10, 1, 0, 1)))?;
    let (mut came, mut wrong) = (0, 0);
    for round in 0..ROUNDS {
        let data: Vec<u8> = (0..round * 65).map(|i| (i ^ round) as u8).collect();
        client.send(&data, to)?;
        let (until, before) = (Instant::now() + Duration::from_secs(2), came);
        while came == before && Instant::now() < until {
            server.poll(|message, port| {
                let from = message.from();
                port.forward(message, from);
            })?;
            client.poll(|mut message, _| {
                came += 1;
                wrong += usize::from(message.contiguous() != data);
            })?;
        }
    }
    let copied = server.counters().counters.copied_datagrams;
    println!(
        "{came} of {ROUNDS} messages came back, {wrong} of them wrong, {copied} copied where they landed"
    );
    if (came, wrong) == (ROUNDS, 0) { Ok(()) } else { Err("the wire loses or changes messages".into()) }
}
