//! Prints each message and sends it back from where it landed.
//!
//! `cargo run --release -p lm --example hello -- --no-pci --vdev=net_tap0,iface=lm0`, and in another terminal
//! `ip addr add 10.1.0.1/24 dev lm0; ip link set lm0 up; echo hello | nc -u -w1 10.1.0.2 7000`

use std::net::Ipv4Addr;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let eal = lm::Eal::init(std::env::args())?;
    let config = lm::Config::new(Ipv4Addr::new(10, 1, 0, 2)).udp_port(7000);
    let mut port = lm::Port::open(&eal, "net_tap0", config)?;
    while port.is_running() {
        port.poll(|message, port| {
            println!("{} bytes from {}", message.len(), message.from());
            let from = message.from();
            port.forward(message, from);
        })?;
    }
    Ok(())
}
