//! Writes a message straight into the memory that it is sent from, with holes for the headers.
//!
//! ```sh
//! cargo run --release -p lm --example in_place -- --no-pci --no-huge -m 256 \
//!   --vdev=net_memif0,role=server,id=0 --vdev=net_memif1,role=client,id=0
//! ```

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

const LINES: usize = 2000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let eal = lm::Eal::init(std::env::args())?;
    let to = SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 2), 7000);
    let mut server = lm::Port::open(&eal, "net_memif0", lm::Config::new(*to.ip()).udp_port(to.port()))?;
    let mut client = lm::Port::open(&eal, "net_memif1", lm::Config::new(Ipv4Addr::new(10, 1, 0, 1)))?;

    // A table of text. It is formatted into the send buffer, and exists nowhere else.
    let mut buffer = client.buffer().ok_or("no send buffer is free")?;
    for n in 0..LINES {
        writeln!(buffer, "{n:>6} {:>12}", n * n)?;
    }
    println!("{} bytes were written in place", buffer.len());
    client.send_buffer(buffer, to);

    let (until, mut lines) = (Instant::now() + Duration::from_secs(2), 0);
    while lines == 0 && Instant::now() < until {
        client.poll(|_, _| ())?;
        server.poll(|message, _| {
            lines = message.pieces().flatten().filter(|&&byte| byte == b'\n').count();
        })?;
    }
    println!("{lines} lines arrived");
    if lines == LINES { Ok(()) } else { Err("not all of them arrived".into()) }
}
