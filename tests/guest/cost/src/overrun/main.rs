//! Halves of datagrams that meet: a receiver whose ring overruns while a sender goes on, frame by frame.
//!
//! ```text
//! lm-overrun [EAL options] -- --policy tags|default --size BYTES [--datagrams N] [--ring N] [--seed N]
//!            [--wire ordered|any] [--mixed yes|no]
//! ```
//!
//! Port 0 sends, port 1 receives, on one wire, both from this thread: nothing but the seed decides when a few
//! frames go out, wherever that cuts a datagram in two, and when a few are taken. More go out than are taken,
//! so frames are lost at any place, and what lands as one run is often the end of one datagram and the
//! beginning of a later one, of the right length and number of frames. Single frames of strangers shift what
//! follows.
//!
//! Every second datagram has the same UDP checksum as all others of its kind, whatever its number
//! ([`source`]): what tells their halves apart are tags alone. With the default policy, two fragments of some
//! datagrams change places on the way, which the digest of their order tells, alone; and some strangers'
//! frames are full ones. (Tags prove that both ends are one datagram's: they are not for wires where either
//! happens.)
//!
//! With `--mixed yes` a full fragment in the midst of some datagrams is another's. Where tags suffice, only
//! what the card says of each frame detects that: it has to be in use.
//!
//! A line of JSON at the end. A wrong byte, a datagram that comes twice, or late on a wire that keeps the
//! order of frames, or a buffer that is lost, ends the program with an error; so does a run in which nothing
//! had to be refused, which would prove nothing.

mod source;

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lm_engine::{Message, Receiver, ReceiverConfig};
use lm_landing::{LandingPool, LandingQueue, SlotLayout};
use lm_proto::card::State;
use lm_proto::counters::{Counters, Reason};
use lm_proto::layout::Geometry;
use lm_proto::policy::{Require, WholeBy};
use pmd_e1000::{LandingPort, PortSetup};
use rte::mempool::Mempool;
use rte::port::{PortId, TxQueue};
use rte::{Burst, Eal};

use crate::source::{Random, Source};

/// Whatever goes wrong ends the program with a line.
type Failure = Box<dyn std::error::Error>;

/// Frames that go out at once, at most.
const OUT: usize = 12;
/// Frames that are taken meanwhile, at most.
const IN: u64 = 11;
/// One in so many turns begins a pause, in which nothing is taken for up to [`PAUSE`] turns.
const PAUSES: u64 = 64;
const PAUSE: u64 = 40;
/// A card hears nothing for a second after its start.
const WARM: Duration = Duration::from_secs(10);
/// Datagrams that tell whether the card's words are right.
const WARM_UP: u64 = 40;
/// Frames that were sent before the card heard anything may wait on the emulated wire, and come behind later
/// ones. They have all come when none does for so long.
const QUIET: Duration = Duration::from_millis(200);
/// Tags and digests refuse thousands; fewer would be luck.
const LEAST: u64 = 100;

/// Wrong ones after which nobody needs more.
const ENOUGH: u64 = 20;

struct Options {
    policy: String,
    size: usize,
    datagrams: u64,
    ring: u16,
    seed: u64,
    /// Whether the wire delivers frames in the order in which they were sent.
    ordered: bool,
    /// Whether the midst of some datagrams is another's.
    mixed: bool,
}

fn options(args: Vec<String>) -> Result<Options, Failure> {
    let mut o = Options {
        policy: "default".into(),
        size: 4432,
        datagrams: 100_000,
        ring: 64,
        seed: 1,
        ordered: true,
        mixed: false,
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--policy" => o.policy = value,
            "--size" => o.size = value.parse()?,
            "--datagrams" => o.datagrams = value.parse()?,
            "--ring" => o.ring = value.parse()?,
            "--mixed" => o.mixed = value == "yes",
            "--seed" => o.seed = value.parse()?,
            "--wire" => match value.as_str() {
                "ordered" => o.ordered = true,
                "any" => o.ordered = false,
                other => return Err(format!("--wire={other}: ordered or any").into()),
            },
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    if !(64..=16_384).contains(&o.size) || !o.size.is_multiple_of(4) {
        return Err("--size is 64 to 16384, a multiple of 4".into());
    }
    Ok(o)
}

/// The sending port. What landed on it would wait in its pool for ever, but nobody sends there.
struct Out {
    port: LandingPort,
    tx: TxQueue,
    pool: LandingPool,
    frames: Mempool,
    burst: Burst<OUT>,
}

impl Out {
    fn open(eal: &Eal) -> Result<Self, Failure> {
        let mut port =
            LandingPort::open(eal, PortId(0), &PortSetup { promiscuous: false, ..PortSetup::default() })?;
        let (queue, tx) = port.start()?.ok_or("the queues of port 0 are out")?;
        let frames = Mempool::pktmbuf(eal, "overrun_frames", 1023, 64, 0, 2048 + 128, None)?;
        Ok(Self { port, tx, pool: LandingQueue::into_pool(queue), frames, burst: Burst::new() })
    }

    /// The next frames of `source`, so many.
    fn send(&mut self, source: &mut Source, n: usize) -> Result<(), Failure> {
        for _ in 0..n {
            let mut mbuf = self.frames.alloc().ok_or("no mbuf to send")?;
            let bytes = source.frame();
            mbuf.append(bytes.len() as u16).ok_or("no room to send")?.copy_from_slice(bytes);
            self.burst.push(mbuf).map_err(|_| "the burst is full")?;
        }
        let until = Instant::now() + Duration::from_secs(5);
        while !self.burst.is_empty() {
            if self.tx.send(&mut self.burst) == 0 && Instant::now() > until {
                return Err("frames stay in the transmit queue".into());
            }
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        let Self { mut port, tx, pool, frames, burst } = self;
        drop((tx, burst));
        port.stop(pool)?;
        port.close()?;
        if frames.in_use() != 0 {
            return Err(format!("{} mbufs did not come back", frames.in_use()).into());
        }
        Ok(())
    }
}

/// What was delivered, held against what was sent.
#[derive(Default)]
struct Verifier {
    expected: Vec<u8>,
    delivered: u64,
    by_tags: u64,
    last: Option<u64>,
    /// The numbers that came.
    seen: HashSet<u64>,
    ordered: bool,
    wrong: u64,
    /// What the first wrong one was.
    first_wrong: Option<String>,
}

impl Verifier {
    fn take(&mut self, message: &mut Message, size: usize) {
        self.delivered += 1;
        self.by_tags += u64::from(message.proof() == WholeBy::Tags);
        let message = message.contiguous();
        let number = source::number(message);
        let late = self.ordered && self.last.is_some_and(|last| number.is_none_or(|number| number <= last));
        let again = number.is_some_and(|number| !self.seen.insert(number));
        source::payload(number.unwrap_or_default(), size, &mut self.expected);
        if number.is_none() || late || again || *message != *self.expected {
            self.wrong += 1;
            let same = message.iter().zip(&self.expected).take_while(|(a, b)| a == b).count();
            self.first_wrong.get_or_insert_with(|| {
                let times = if again { "again, " } else { "" };
                format!(
                    "{number:?} {times}after {:?}, {} bytes, the first {same} right",
                    self.last,
                    message.len()
                )
            });
        } else {
            self.last = number;
        }
    }
}

/// Frames of halves that were refused, and datagrams whose fragments had changed places. A fragment whose tag
/// does not go with the others waits for those that do, and is lost with them.
fn refused(counters: &Counters) -> (u64, u64) {
    let halves = [Reason::LostFrame, Reason::BadTag, Reason::BadChecksum]
        .map(|reason| counters.dropped(reason))
        .iter()
        .sum();
    (halves, counters.dropped(Reason::OrderUnproven))
}

fn run() -> Result<(), Failure> {
    let all: Vec<String> = std::env::args().collect();
    let split = all.iter().position(|a| a == "--").unwrap_or(all.len());
    let o = options(all[split..].iter().skip(1).cloned().collect())?;
    let (eal, _) = Eal::init(all[..split].to_vec())?;
    let (require, rough) = match o.policy.as_str() {
        "tags" => (Require { headers: true, checksum: true, tags: true }, false),
        "default" => (Require::default(), true),
        other => return Err(format!("--policy={other}: tags or default").into()),
    };
    let mut out = Out::open(&eal)?;
    let setup = PortSetup { promiscuous: false, rxd: o.ring, ..PortSetup::default() };
    let mut port = LandingPort::open(&eal, PortId(1), &setup)?;
    let level = port.pool().ok_or("no pool")?.available();
    let (queue, _) = port.start()?.ok_or("the queues of port 1 are out")?;
    if port.layout() != SlotLayout::Overlapping {
        return Err(format!("slots are separate: {}", port.verdict().why).into());
    }
    let mut messages = Receiver::new(&eal, queue, &ReceiverConfig { require, ..ReceiverConfig::default() })?;
    let mut random = Random(o.seed);
    let ends = [out.port.port().mac()?.0, port.port().mac()?.0];
    let mut source = Source::new(Geometry::ETHERNET, o.size, ends, rough, Random(!o.seed));
    // Behind what waited on the wire nothing is late yet.
    let mut verifier = Verifier::default();

    let begun = Instant::now();
    while verifier.delivered < WARM_UP {
        if begun.elapsed() > WARM {
            return Err(format!("nothing arrives: {:?}", messages.counters()).into());
        }
        out.send(&mut source, OUT)?;
        while messages.receive(32, |mut m| verifier.take(&mut m, o.size)) > 0 {}
    }
    let mut heard = Instant::now();
    while heard.elapsed() < QUIET {
        if messages.receive(32, |mut m| verifier.take(&mut m, o.size)) > 0 {
            heard = Instant::now();
        }
    }
    if o.mixed {
        let ids = messages.card().ids();
        if ids != State::InUse {
            return Err(format!("identifications from descriptors: {ids}; {}", port.words_why()).into());
        }
        source.mix();
    }
    let first = source.datagrams();
    (verifier.ordered, verifier.last) = (o.ordered, first.checked_sub(2));
    let mut pause = 0;
    while source.datagrams() - first < o.datagrams && verifier.wrong < ENOUGH {
        out.send(&mut source, 1 + random.below(OUT as u64) as usize)?;
        if pause > 0 {
            pause -= 1;
            continue;
        }
        if random.below(PAUSES) == 0 {
            pause = random.below(PAUSE);
        }
        let want = random.below(IN + 1) as usize;
        if want > 0 {
            messages.receive(want, |mut m| verifier.take(&mut m, o.size));
        }
    }
    while messages.receive(32, |mut m| verifier.take(&mut m, o.size)) > 0 {}
    let counters = messages.counters();
    let missed = port.port().stats().map_or(0, |stats| stats.imissed);
    let (halves, swapped) = refused(&counters);
    println!(
        "{{\"sent\":{},\"frames\":{},\"arrived\":{},\"missed\":{missed},\"delivered\":{},\"by_tags\":{},\"wrong\":{},\
         \"halves\":{halves},\"swapped\":{swapped},\"mixed\":{}}}",
        source.datagrams() - first,
        source.frames(),
        counters.frames,
        verifier.delivered,
        verifier.by_tags,
        verifier.wrong,
        source.mixed(),
    );
    let (pool, _) = messages.close().ok_or("closed before")?;
    port.stop(pool)?;
    let now = port.pool().ok_or("no pool")?.available();
    port.close()?;
    out.close()?;
    eal.cleanup().map_err(|(_, e)| e.to_string())?;
    if let Some(what) = verifier.first_wrong {
        return Err(
            format!("{} of {} datagrams are wrong: {what}", verifier.wrong, verifier.delivered).into()
        );
    }
    if now != level {
        return Err(format!("{now} of {level} mbufs came back").into());
    }
    if halves < LEAST || (rough && swapped < LEAST) {
        return Err(format!("{halves} halves and {swapped} swaps were refused: this proves nothing").into());
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("lm-overrun: {e}");
            ExitCode::FAILURE
        }
    }
}
