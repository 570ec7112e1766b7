//! What a datagram costs a machine with one processor, all of it: kernel, programs, and lmd if it runs.
//!
//! ```text
//! lm-sockets --from SPACE --to A.B.C.D [--at SPACE] [--far sender|receiver] --size BYTES [--window N]
//!            [--ahead N] [--rounds N] [--pause NS]
//! ```
//!
//! SPACE is a network name space, or `-`. A *round*: a thread sends `--window` datagrams, another one
//! receives them and tells the first one to go on. At most `--ahead` windows are on their way, so no ring
//! overruns, and with enough of them the sender never waits.
//!
//! The thread that `--far` names stands for another machine: it goes before everything else (`SCHED_FIFO`),
//! as if it had a processor of its own. Otherwise the near end, which is measured, would compete with it for
//! the processor, and a program that polls there would poll in vain while the far end is to work.
//!
//! Without `--at` nobody receives, and the address should be one that no card has. Then a round takes
//! `--pause` ns, long enough for the card to send and for its driver to see that it has. With `--window 0` it
//! shows what the pause itself costs.
//!
//! **What is counted.** A third thread, which runs only when nothing else wants to (`SCHED_IDLE`), repeats a
//! loop of known cost. The cost of a round is the time that it took, less the time that these loops took. All
//! else is work, whoever does it. In QEMU's virtual time a tick of the time stamp counter is an instruction,
//! and the processor never sleeps here, so the cost is a number of instructions.
//!
//! A line of JSON at the end: mean, median, least and most of a round. A datagram that is lost or wrong ends
//! the program with an error.

mod end;
mod soak;

use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::end::{open, prefer};
use crate::soak::{Soak, ticks};

/// Whatever goes wrong ends the program with a line.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The port that datagrams go to.
const PORT: u16 = 9000;
/// Rounds before the measured ones. In these each byte is looked at, later the first one and the last one.
const WARM: usize = 8;
/// A datagram that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which end stands for another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Far {
    Sender,
    Receiver,
}

#[derive(Clone, Debug)]
struct Options {
    from: String,
    to: Ipv4Addr,
    at: Option<String>,
    far: Option<Far>,
    size: usize,
    window: usize,
    ahead: usize,
    rounds: usize,
    pause: Duration,
}

fn options(args: Vec<String>) -> Result<Options, Failure> {
    let mut o = Options {
        from: "-".to_owned(),
        to: Ipv4Addr::UNSPECIFIED,
        at: None,
        far: None,
        size: 64_000,
        window: 4,
        ahead: 1,
        rounds: 40,
        pause: Duration::ZERO,
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--from" => o.from = value,
            "--to" => o.to = value.parse()?,
            "--at" => o.at = Some(value),
            "--far" => {
                o.far = Some(match value.as_str() {
                    "sender" => Far::Sender,
                    "receiver" => Far::Receiver,
                    _ => return Err(format!("--far={value}: sender or receiver").into()),
                });
            }
            "--size" => o.size = value.parse()?,
            "--window" => o.window = value.parse()?,
            "--ahead" => o.ahead = value.parse()?,
            "--rounds" => o.rounds = value.parse()?,
            "--pause" => o.pause = Duration::from_nanos(value.parse()?),
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    if !(1..=65_507).contains(&o.size) || o.rounds == 0 || o.ahead == 0 || o.to.is_unspecified() {
        return Err("--size is 1 to 65507, --rounds and --ahead are at least 1, and --to is needed".into());
    }
    if o.at.is_some() && o.window == 0 {
        return Err("--window=0 is for rounds in which nobody receives".into());
    }
    Ok(o)
}

/// Byte `i` of the payload.
fn byte(i: usize) -> u8 {
    (i.wrapping_mul(31) ^ (i >> 8)) as u8
}

/// Ticks at the ends of rounds, and ticks that the soaking loop had taken by then.
type Stamp = (u64, u64);

/// Sends a window whenever it is told to.
fn send(o: &Options, mouth: &UdpSocket, payload: &[u8], go: &Receiver<()>) -> Result<(), Failure> {
    if o.far == Some(Far::Sender) {
        prefer()?;
    }
    while go.recv().is_ok() {
        for _ in 0..o.window {
            mouth.send(payload)?;
        }
    }
    Ok(())
}

/// Receives windows, and says when each was complete.
fn receive(o: &Options, ear: &UdpSocket, soak: &Soak, go: &Sender<()>) -> Result<Vec<Stamp>, Failure> {
    if o.far == Some(Far::Receiver) {
        prefer()?;
    }
    let expected: Vec<u8> = (0..o.size).map(byte).collect();
    let mut buffer = vec![0; o.size + 1];
    let mut stamps = Vec::with_capacity(o.rounds + 1);
    let all = WARM + o.rounds;
    for _ in 0..o.ahead.min(all) {
        go.send(())?;
    }
    for round in 0..all {
        for i in 0..o.window {
            let n = ear.recv(&mut buffer).map_err(|e| format!("round {round}, datagram {i}: {e}"))?;
            let right = n == o.size
                && if round < WARM {
                    buffer[..n] == expected[..]
                } else {
                    (buffer[0], buffer[n - 1]) == (expected[0], expected[n - 1])
                };
            if !right {
                return Err(format!("round {round}, datagram {i}: {n} bytes, or others").into());
            }
        }
        if round + 1 >= WARM {
            stamps.push((ticks(), soak.taken()));
        }
        if round + o.ahead < all {
            go.send(())?;
        }
    }
    Ok(stamps)
}

/// Sends windows to nobody, each followed by a pause.
fn send_away(o: &Options, mouth: &UdpSocket, payload: &[u8], soak: &Soak) -> Result<Vec<Stamp>, Failure> {
    let mut stamps = Vec::with_capacity(o.rounds + 1);
    for round in 0..WARM + o.rounds {
        let end = Instant::now() + o.pause;
        for _ in 0..o.window {
            mouth.send(payload)?;
        }
        thread::sleep(end.saturating_duration_since(Instant::now()));
        if round + 1 >= WARM {
            stamps.push((ticks(), soak.taken()));
        }
    }
    Ok(stamps)
}

fn run() -> Result<(), Failure> {
    let o = options(std::env::args().skip(1).collect())?;
    let payload: Vec<u8> = (0..o.size).map(byte).collect();
    let ear = match &o.at {
        Some(space) => Some(open(space, o.to, PORT, PATIENCE)?),
        None => None,
    };
    let mouth = open(&o.from, Ipv4Addr::UNSPECIFIED, 0, PATIENCE)?;
    mouth.connect((o.to, PORT))?;
    let soak = Soak::start()?;
    let stamps = match &ear {
        None => send_away(&o, &mouth, &payload, &soak)?,
        Some(ear) => {
            let (go, gone) = channel();
            thread::scope(|scope| {
                let (o, mouth, payload) = (&o, &mouth, &payload);
                let sender = scope.spawn(move || send(o, mouth, payload, &gone));
                let stamps = receive(o, ear, &soak, &go);
                drop(go);
                sender.join().map_err(|_| "the sender panicked")??;
                stamps
            })?
        }
    };
    soak.stop();
    let mut costs: Vec<u64> =
        stamps.windows(2).map(|pair| (pair[1].0 - pair[0].0).saturating_sub(pair[1].1 - pair[0].1)).collect();
    let mean = costs.iter().sum::<u64>() / costs.len() as u64;
    costs.sort_unstable();
    println!(
        "{{\"rounds\":{},\"window\":{},\"size\":{},\"mean\":{mean},\"median\":{},\"least\":{},\"most\":{}}}",
        costs.len(),
        o.window,
        o.size,
        costs[costs.len() / 2],
        costs[0],
        costs[costs.len() - 1],
    );
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("lm-sockets: {e}");
            ExitCode::FAILURE
        }
    }
}
