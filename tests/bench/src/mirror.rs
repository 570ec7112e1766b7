//! A node that sends each message back from where it landed, in Rust. `tests/bench/mirror.c` is the same in
//! C, and is compared with it. The arguments behind `--` are a device and how many messages to answer.

use std::net::Ipv4Addr;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let eal = lm::Eal::init(std::env::args())?;
    let [device, count] = eal.args() else { return Err("mirror EAL-ARGUMENTS -- DEVICE COUNT".into()) };
    let mut left: u64 = count.parse()?;
    let config = lm::Config::new(Ipv4Addr::new(10, 1, 0, 2)).udp_port(7000);
    let mut port = lm::Port::open(&eal, device, config)?;
    while left > 0 {
        port.poll(|message, port| {
            let from = message.from();
            port.forward(message, from);
            left = left.saturating_sub(1);
        })?;
    }
    Ok(())
}
