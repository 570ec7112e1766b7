//! What admission control costs: nanoseconds of `ac::Node::handle` for each kind of message, with and without
//! a key.
//!
//! ```text
//! control [--rounds N]
//! ```
//!
//! A round is a whole exchange: a request that is granted, another that is not, the announcement, the end of
//! the grant. Each call is timed by itself, less what reading the clock takes; the median of all rounds
//! counts, and the 99th percentile is next to it. It fails if anything was allocated.

#[path = "shared/counting_ac.rs"]
mod counting;

use std::process::ExitCode;
use std::time::{Duration, Instant as Clock};

use ac::{Config, Instant, Key, Kind, MAX_LENGTH, Node, NodeId, Policy};

/// Nodes: two that ask, one that lands.
const NODES: usize = 3;
const LANDS: usize = 2;

/// What is timed.
const ROWS: [(&str, Option<Kind>); 7] = [
    ("LM_REQ", Some(Kind::Req)),
    ("LM_ACQ_OK", Some(Kind::AcqOk)),
    ("LM_ACQ_REJ", Some(Kind::AcqRej)),
    ("LM_APPEND_ADDR", Some(Kind::AppendAddr)),
    ("LM_ENDME", Some(Kind::EndMe)),
    ("LM_REMOVE_ADDR", Some(Kind::RemoveAddr)),
    ("poll_transmit", None),
];

struct Bench {
    nodes: Vec<Node>,
    now: Instant,
    /// Nanoseconds, by row.
    samples: [Vec<u32>; ROWS.len()],
    /// Whether all have proven their lives to each other.
    met: bool,
}

fn row(kind: Option<Kind>) -> usize {
    ROWS.iter().position(|&(_, k)| k == kind).unwrap_or(ROWS.len() - 1)
}

/// Rounds until all have met.
const MEETING: usize = 1000;

impl Bench {
    fn new(policy: Policy, key: Option<Key>, room: usize) -> Result<Self, ac::ConfigError> {
        let config = Config { key, flush: 256, ..Config::new(NodeId(1), 1, policy) };
        let now = Instant::ZERO + config.lease + config.guard;
        let node =
            |n: usize| Node::new(Config { node: NodeId(n as u64 + 1), ..config.clone() }, Instant::ZERO);
        let mut nodes = (0..NODES).map(node).collect::<Result<Vec<_>, _>>()?;
        nodes.iter_mut().for_each(|node| node.handle_timeout(now));
        let samples = std::array::from_fn(|_| Vec::with_capacity(room));
        let mut bench = Self { nodes, now, samples, met: false };
        // With a key each proves its life first; what it sent before is refused.
        (0..MEETING).for_each(|_| bench.round());
        bench.met = true;
        bench.samples.iter_mut().for_each(Vec::clear);
        Ok(bench)
    }

    /// Notes how long this took, if there is room.
    fn time<T>(samples: &mut Vec<u32>, work: impl FnOnce() -> T) -> T {
        let start = Clock::now();
        let done = work();
        let took = start.elapsed();
        if samples.len() < samples.capacity() {
            samples.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
        }
        done
    }

    /// Everything that is to be sent arrives.
    fn exchange(&mut self) {
        let mut bytes = [0; MAX_LENGTH];
        for from in (0..NODES).cycle().take(4 * NODES) {
            let transmits = row(None);
            while let Some(t) =
                Self::time(&mut self.samples[transmits], || self.nodes[from].poll_transmit(&mut bytes))
            {
                for to in (0..NODES).filter(|&to| to != from) {
                    if t.to == NodeId::ALL || t.to == NodeId(to as u64 + 1) {
                        let samples = &mut self.samples[row(Some(t.kind))];
                        let handled =
                            Self::time(samples, || self.nodes[to].handle(&bytes[..t.length], self.now));
                        assert!(handled.is_ok() || !self.met, "{:?}: {handled:?}", t.kind);
                    }
                }
            }
            // The poll that found nothing is none.
            self.samples[transmits].pop();
            while self.nodes[from].poll_event().is_some() {}
        }
    }

    fn round(&mut self) {
        let lands = NodeId(LANDS as u64 + 1);
        for asks in 0..LANDS {
            let taken = self.nodes[asks].request(lands, 65_507, 0, self.now).is_ok();
            assert!(taken || !self.met, "not taken");
        }
        self.exchange();
        for asks in 0..LANDS {
            self.nodes[asks].release(lands, self.now);
            self.exchange();
            self.nodes[LANDS].drained(0, self.now);
            self.exchange();
        }
        self.now = self.now + Duration::from_millis(1);
        self.nodes.iter_mut().for_each(|node| node.handle_timeout(self.now));
        self.exchange();
    }
}

/// What reading the clock twice takes.
fn overhead() -> u32 {
    let mut samples = Vec::with_capacity(10_001);
    (0..10_001).for_each(|_| Bench::time(&mut samples, || ()));
    part(&mut samples, 50)
}

/// A percentile; 0 of nothing.
fn part(samples: &mut [u32], percent: usize) -> u32 {
    samples.sort_unstable();
    samples.get(samples.len() * percent / 100).copied().unwrap_or_default()
}

fn rounds() -> Option<usize> {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (None, _) => Some(20_000),
        (Some("--rounds"), Some(n)) => n.parse().ok().filter(|n| (1..=1_000_000).contains(n)),
        _ => None,
    }
}

fn main() -> ExitCode {
    let Some(rounds) = rounds() else {
        eprintln!("control: give nothing, or --rounds N, 1 to 1000000");
        return ExitCode::from(2);
    };
    let clock = overhead();
    println!(
        "nanoseconds a call, median (99 %), {rounds} rounds; reading the clock, {clock} ns, is taken off\n"
    );
    println!("| policy | key | {} |", ROWS.map(|(name, _)| name).join(" | "));
    println!("|---|---|{}", "---|".repeat(ROWS.len()));
    let mut allocated = 0;
    for policy in [Policy::Exclusive, Policy::PerReceiver] {
        for key in [None, Some(Key::new([7; 32]))] {
            let name = if key.is_some() { "yes" } else { "no" };
            let mut bench = match Bench::new(policy, key, 4 * rounds) {
                Ok(bench) => bench,
                Err(e) => {
                    eprintln!("control: {e}");
                    return ExitCode::FAILURE;
                }
            };
            let before = counting::allocations();
            (0..rounds).for_each(|_| bench.round());
            allocated += counting::allocations() - before;
            let cells = bench.samples.iter_mut().map(|samples| {
                let (half, most) = (part(samples, 50), part(samples, 99));
                assert!(!samples.is_empty(), "a kind of message was never sent");
                format!("{} ({})", half.saturating_sub(clock), most.saturating_sub(clock))
            });
            println!("| {policy:?} | {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    println!("\nallocations: {allocated}");
    if allocated == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
