//! What receiving a datagram costs on a card, or sending it: LM, a bare receive-and-free loop and Linux, on
//! the same frames.
//!
//! ```text
//! lm-cost [EAL options] -- --receiver lm|lm-checksum|bare|kernel --size BYTES [--burst N] [--rounds N]
//! [--checksum full|zero]
//!         [--mac XX:XX:XX:XX:XX:XX --to A.B.C.D]
//! lm-cost [EAL options] -- --sender lm|lm-copies|kernel --size BYTES [--rounds N] [--checksum full|zero]
//! [--to A.B.C.D]
//! ```
//!
//! **Receiving.** Port 0 sends, port 1 receives, on one wire. A *round*: as many datagrams as the receiver's
//! ring holds are sent; when they have all arrived, taking them is measured. So the sender and the wire cost
//! nothing, and no poll is empty but the last. In a guest in QEMU's virtual time (`-icount shift=0`) a tick
//! of the time stamp counter is an instruction.
//!
//! With `kernel` there is one port, and a socket of this process on Linux's own driver receives at `--to`,
//! `--mac`: see [`kernel`] for how that is measured.
//!
//! **Sending.** As many datagrams go from port 0 (`kernel`: from a socket, to `--to`) to a hardware address
//! that nobody has, then a loop of fixed length runs, in which interrupts of a card that is done are served.
//! The cost is that less the loop. With `lm` the payload is in its buffer already, as an application leaves
//! it that builds its messages there; `lm-copies` copies it in.
//!
//! A line of JSON at the end: the median of the rounds.

mod kernel;
mod polling;
mod sender;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lm_proto::alf::ChecksumMode;
use lm_proto::layout::{Geometry, Layout};
use lm_proto::policy::Require;
use rte::{Eal, ticks};

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

/// Puts datagrams on the wire, or at least into the card's ring.
trait Outlet {
    /// Sends so many, to nobody.
    fn send(&mut self, datagrams: usize) -> Result<(), Failure>;

    /// Frames that the card has sent, if that can be told here.
    fn frames(&self) -> Result<Option<u64>, Failure>;

    /// Gives everything back; an error if something is missing.
    fn close(self: Box<Self>) -> Result<(), Failure>;
}

/// Nobody's hardware address.
const NOBODY: [u8; 6] = [2, 0, 0, 0, 0, 0x99];
/// Iterations: some milliseconds, longer than any interrupt is held back.
const LOOP: u64 = 3_000_000;

/// What `job` takes together with a loop of fixed length, so that what it leaves to interrupts is in it.
fn spun(job: impl FnOnce() -> Result<(), Failure>) -> Result<u64, Failure> {
    let begin = ticks();
    job()?;
    for i in 0..LOOP {
        black_box(i);
    }
    Ok(ticks() - begin)
}

struct Options {
    receiver: Option<String>,
    sender: Option<String>,
    size: usize,
    burst: usize,
    rounds: usize,
    checksum: ChecksumMode,
    mac: Option<[u8; 6]>,
    to: Option<std::net::Ipv4Addr>,
}

fn options(args: Vec<String>) -> Result<Options, Failure> {
    let mut o = Options {
        receiver: None,
        sender: None,
        size: 7168,
        burst: 32,
        rounds: 20,
        checksum: ChecksumMode::Full,
        mac: None,
        to: None,
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--receiver" => o.receiver = Some(value),
            "--sender" => o.sender = Some(value),
            "--size" => o.size = value.parse()?,
            "--burst" => o.burst = value.parse()?,
            "--rounds" => o.rounds = value.parse()?,
            "--checksum" => o.checksum = checksum(&value)?,
            "--mac" => o.mac = Some(mac(&value)?),
            "--to" => o.to = Some(value.parse()?),
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    if !(1..=lm_proto::wire::MAX_PAYLOAD).contains(&o.size) || !(1..=512).contains(&o.burst) || o.rounds == 0
    {
        return Err("--size is 1 to 65507, --burst 1 to 512, --rounds at least 1".into());
    }
    Ok(o)
}

fn checksum(text: &str) -> Result<ChecksumMode, Failure> {
    match text {
        "full" => Ok(ChecksumMode::Full),
        "zero" => Ok(ChecksumMode::Zero),
        other => Err(format!("--checksum={other}: full or zero").into()),
    }
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
    match (&o.receiver, &o.sender) {
        (Some(name), None) => receiving(&eal, &o, name)?,
        (None, Some(name)) => sending(&eal, &o, name)?,
        _ => return Err("--receiver or --sender is needed, one of them".into()),
    }
    eal.cleanup().map_err(|(_, e)| e.to_string())?;
    Ok(())
}

fn receiving(eal: &Eal, o: &Options, name: &str) -> Result<(), Failure> {
    let tags = Require { headers: true, checksum: true, tags: true };
    let mut receiver: Box<dyn Receiver> = match name {
        "lm" => Box::new(polling::Lands::open(eal, tags, o.burst)?),
        "lm-checksum" => Box::new(polling::Lands::open(eal, Require::default(), o.burst)?),
        "bare" => Box::new(polling::Bare::open(eal, o.burst)?),
        "kernel" => Box::new(kernel::Socket::open(o.size)?),
        other => return Err(format!("--receiver={other}: lm, lm-checksum, bare or kernel").into()),
    };
    let to = o.mac.or_else(|| receiver.mac()).ok_or("the receiver's --mac is needed")?;
    let mut source = Source::open(eal, o, to)?;
    let (fragments, datagrams) = shape(o.size);
    measured(o, name, fragments, datagrams, || receiver.round(&mut source, datagrams))?;
    receiver.close()?;
    source.close()
}

fn sending(eal: &Eal, o: &Options, name: &str) -> Result<(), Failure> {
    let mut outlet: Box<dyn Outlet> = match name {
        "lm" => Box::new(Source::open(eal, o, NOBODY)?.in_place()),
        "lm-copies" => Box::new(Source::open(eal, o, NOBODY)?),
        "kernel" => Box::new(kernel::Outgoing::open(o)?),
        other => return Err(format!("--sender={other}: lm, lm-copies or kernel").into()),
    };
    let (fragments, datagrams) = shape(o.size);
    let (before, mut rounds) = (outlet.frames()?, 0);
    measured(o, name, fragments, datagrams, || {
        rounds += 1;
        Ok(spun(|| outlet.send(datagrams))?.saturating_sub(spun(|| Ok(()))?))
    })?;
    if let (Some(before), Some(after)) = (before, outlet.frames()?) {
        let (sent, expected) = (after - before, (rounds * datagrams * fragments) as u64);
        if sent != expected {
            return Err(format!("the card has sent {sent} of {expected} frames").into());
        }
    }
    outlet.close()
}

/// Fragments of a datagram of so many bytes, and such datagrams in a round.
fn shape(size: usize) -> (usize, usize) {
    let fragments = Layout::new(Geometry::ETHERNET, size).map_or(1, |l| l.fragments());
    (fragments, (RING / fragments).max(1))
}

/// Datagrams that are received or sent before the measured ones.
const WARM: usize = 64;

/// The rounds, and the line that tells of them.
fn measured(
    o: &Options,
    name: &str,
    fragments: usize,
    datagrams: usize,
    mut round: impl FnMut() -> Result<u64, Failure>,
) -> Result<(), Failure> {
    // The first rounds warm up: e1000 hears nothing for about a second, so they may also fail. Besides, LM
    // compares what an igb card says of each frame with the first datagrams, about 33, and sums these.
    let began = Instant::now();
    while let Err(e) = round() {
        if began.elapsed().as_secs() >= 10 {
            return Err(e);
        }
        // In virtual time a pause costs nothing, and a round that fails does.
        std::thread::sleep(Duration::from_millis(200));
    }
    let warm = WARM.div_ceil(datagrams);
    for _ in 0..warm {
        round()?;
    }
    let mut costs = (0..o.rounds).map(|_| round()).collect::<Result<Vec<_>, _>>()?;
    costs.sort_unstable();
    let per = |ticks: u64| ticks as f64 / datagrams as f64;
    println!(
        "{{\"of\":\"{name}\",\"size\":{},\"burst\":{},\"fragments\":{fragments},\"datagrams\":{datagrams},\"rounds\":{},\
         \"warm\":{},\"per_datagram\":{:.1},\"least\":{:.1},\"most\":{:.1}}}",
        o.size,
        o.burst,
        costs.len(),
        1 + warm,
        per(costs[costs.len() / 2]),
        per(costs[0]),
        per(costs[costs.len() - 1]),
    );
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
