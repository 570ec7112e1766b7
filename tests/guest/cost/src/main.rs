//! What receiving a datagram costs on a card: LM, a bare receive-and-free loop and Linux, on the same frames.
//!
//! ```text
//! lm-cost [EAL options] -- --receiver lm|lm-checksum|bare|kernel --size BYTES [--burst N] [--rounds N]
//!         [--mac XX:XX:XX:XX:XX:XX --to A.B.C.D]
//! ```
//!
//! Port 0 sends, port 1 receives, on one wire. A *round*: as many datagrams as the receiver's ring holds are sent; when
//! they have all arrived, taking them is measured. So the sender and the wire cost nothing, and no poll is empty but
//! the last. In a guest in QEMU's virtual time (`-icount shift=0`) a tick of the time stamp counter is an instruction.
//!
//! With `kernel` there is one port, and a socket of this process on Linux's own driver receives at `--to`, `--mac`: see
//! [`kernel`] for how that is measured.
//!
//! A line of JSON at the end: the median of the rounds.

mod kernel;
mod polling;
mod sender;

use std::process::ExitCode;

use lm::ground::Require;
use rte::Eal;

use crate::sender::Source;

/// Whatever goes wrong ends the program with a line.
type Failure = Box<dyn std::error::Error>;

/// Frames that wait in a ring at most: Linux's drivers have 256 descriptors.
const RING: usize = 200;

/// Takes what has arrived.
trait Receiver {
    /// Where it listens, if it knows.
    fn mac(&self) -> Option<[u8; 6]>;

    /// Sends `datagrams` from `source`, takes them, and tells what taking them cost, in ticks.
    fn round(&mut self, source: &mut Source, datagrams: usize) -> Result<u64, Failure>;

    /// Gives everything back; an error if something is missing.
    fn close(self: Box<Self>) -> Result<(), Failure>;
}

/// The time stamp counter.
fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

struct Options {
    receiver: String,
    size: usize,
    burst: usize,
    rounds: usize,
    mac: Option<[u8; 6]>,
    to: Option<std::net::Ipv4Addr>,
}

fn options(args: Vec<String>) -> Result<Options, Failure> {
    let mut o = Options { receiver: String::new(), size: 7168, burst: 32, rounds: 20, mac: None, to: None };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--receiver" => o.receiver = value,
            "--size" => o.size = value.parse()?,
            "--burst" => o.burst = value.parse()?,
            "--rounds" => o.rounds = value.parse()?,
            "--mac" => o.mac = Some(mac(&value)?),
            "--to" => o.to = Some(value.parse()?),
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    if !(1..=lm::wire::MAX_PAYLOAD).contains(&o.size) || !(1..=512).contains(&o.burst) || o.rounds == 0 {
        return Err("--size is 1 to 65507, --burst 1 to 512, --rounds at least 1".into());
    }
    Ok(o)
}

fn mac(text: &str) -> Result<[u8; 6], Failure> {
    let bytes: Vec<u8> = text.split(':').map(|b| u8::from_str_radix(b, 16)).collect::<Result<_, _>>()?;
    bytes.try_into().map_err(|_| format!("{text:?} is no hardware address").into())
}

fn run() -> Result<(), Failure> {
    let all: Vec<String> = std::env::args().collect();
    let split = all.iter().position(|a| a == "--").unwrap_or(all.len());
    let o = options(all[split..].iter().skip(1).cloned().collect())?;
    let (eal, _) = Eal::init(all[..split].to_vec())?;
    let tags = Require { headers: true, checksum: true, tags: true };
    let mut receiver: Box<dyn Receiver> = match o.receiver.as_str() {
        "lm" => Box::new(polling::Lands::open(&eal, tags, o.burst)?),
        "lm-checksum" => Box::new(polling::Lands::open(&eal, Require::default(), o.burst)?),
        "bare" => Box::new(polling::Bare::open(&eal, o.burst)?),
        "kernel" => Box::new(kernel::Socket::open(o.size)?),
        other => return Err(format!("--receiver={other}: lm, lm-checksum, bare or kernel").into()),
    };
    let to = o.mac.or_else(|| receiver.mac()).ok_or("the receiver's --mac is needed")?;
    let mut source = Source::open(&eal, o.size, to, o.to.unwrap_or(sender::ADDRESS))?;
    let datagrams = (RING / source.fragments()).max(1);
    // The first rounds warm up: e1000 hears nothing for about a second, so they may also fail.
    let began = std::time::Instant::now();
    while let Err(e) = receiver.round(&mut source, datagrams) {
        if began.elapsed().as_secs() >= 10 {
            return Err(e);
        }
        // In virtual time a pause costs nothing, and a round that fails does.
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let mut costs = Vec::with_capacity(o.rounds);
    for _ in 0..o.rounds {
        costs.push(receiver.round(&mut source, datagrams)?);
    }
    costs.sort_unstable();
    let per = |ticks: u64| ticks as f64 / datagrams as f64;
    println!(
        "{{\"receiver\":\"{}\",\"size\":{},\"burst\":{},\"fragments\":{},\"datagrams\":{datagrams},\"rounds\":{},\
         \"per_datagram\":{:.1},\"least\":{:.1},\"most\":{:.1}}}",
        o.receiver,
        o.size,
        o.burst,
        source.fragments(),
        costs.len(),
        per(costs[costs.len() / 2]),
        per(costs[0]),
        per(costs[costs.len() - 1]),
    );
    receiver.close()?;
    source.close()?;
    eal.cleanup().map_err(|(_, e)| e.to_string())?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("lm-cost: {e}");
            ExitCode::FAILURE
        }
    }
}
