//! Shows a node through DPDK's telemetry: `dpdk-telemetry.py` shows `/lm/ports` and the other commands of
//! [`register`].
//!
//! A started port has a [`StatusBoard`]. A reader sets a flag there. The port's loop checks the flag in each
//! turn, and then publishes a [`Status`] in its next turn. The loop takes the lock only if it is free, so it
//! never waits for a reader, and it makes a [`Status`] only if a reader has asked. A reader waits for at most
//! 100 ms. If the loop does not run in that time, the reader shows the values that were published last, with
//! their age.

mod on_demand;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lm_landing::SlotLayout;
use lm_proto::counters::{Counters, Reason};
use lm_proto::wire::Mac;
use rte::Eal;
use rte::port::{MacAddr, PortId, name_of};
use rte::telemetry::{TelemetryError, Value, register as command};

pub use self::on_demand::OnDemand;
use crate::tally::{PoolView, Tally};

/// The boards of the ports that are started.
static BOARDS: Mutex<Vec<Weak<StatusBoard>>> = Mutex::new(Vec::new());

/// Where a port's loop puts up what is to be seen.
pub struct StatusBoard {
    port: PortId,
    device: String,
    address: Ipv4Addr,
    on_demand: OnDemand<Status>,
}

/// What is seen of a port at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether its link has come up.
    pub up: bool,
    /// What was counted since the start. What the device lost is not in it: `/ethdev/stats` has that.
    pub tally: Tally,
    /// What each landing queue counted.
    pub queues: Vec<Counters>,
    /// Its landing pools, added up.
    pub pool: Option<PoolView>,
    /// Addresses and hardware addresses of its peers, and how they are known.
    pub peers: Vec<(u32, Mac, &'static str)>,
    /// Admission control, where it is on and run by this loop.
    pub admission: Vec<(&'static str, u64)>,
}

impl StatusBoard {
    /// A board for a port that is being started.
    pub(crate) fn new(eal: &Eal, port: PortId, address: u32) -> Arc<Self> {
        let board = Arc::new(Self {
            port,
            device: name_of(eal, port).unwrap_or_default(),
            address: Ipv4Addr::from_bits(address),
            on_demand: OnDemand::new(),
        });
        let mut boards = BOARDS.lock().unwrap_or_else(PoisonError::into_inner);
        boards.retain(|other| other.strong_count() > 0);
        boards.push(Arc::downgrade(&board));
        board
    }

    /// Whether a reader waits.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.on_demand.is_wanted()
    }

    /// Puts up what is seen now.
    pub(crate) fn put(&self, seen: Status) {
        self.on_demand.put(seen);
    }

    /// What is seen of the port now, or was last.
    fn look(&self) -> Option<Arc<Status>> {
        self.on_demand.look().map(|(_, seen)| seen)
    }
}

/// Registers the commands of LM, for good: `/lm/ports`, `/lm/port`, `/lm/queue`, `/lm/peers`, `/lm/ac` and
/// `/lm/drops`. A second call changes nothing. `docs/telemetry.md` has what each shows.
///
/// # Errors
/// [`TelemetryError`]: DPDK does not take one of them.
pub fn register(eal: &Eal) -> Result<(), TelemetryError> {
    command(eal, c"/lm/ports", c"Ports of LM that are started. No parameter", |params| {
        params.is_none_or(str::is_empty).then(ports)
    })?;
    command(eal, c"/lm/port", c"Counters and memory of a port. Parameter: port", |params| {
        let (board, []) = one(params)?;
        Some(port(&board))
    })?;
    command(eal, c"/lm/queue", c"Counters of a landing queue. Parameters: port,queue", |params| {
        let (board, [queue]) = one(params)?;
        queue_of(&board, queue)
    })?;
    command(
        eal,
        c"/lm/peers",
        c"Hardware addresses of peers. Parameters: none for all, or port,first",
        |params| {
            if let Some((board, [first])) = one(params) {
                return Some(peers(&[board], first));
            }
            Some(peers(&some(params)?, 0))
        },
    )?;
    command(eal, c"/lm/ac", c"Admission control. Parameter: port, or none for all", |params| {
        if params.is_none_or(str::is_empty) {
            return Some(admissions(&all()));
        }
        let (board, []) = one(params)?;
        Some(admission(&*board.look()?))
    })?;
    command(eal, c"/lm/drops", c"Drops by reason. Parameter: port, or none for all", |params| {
        Some(drops(&some(params)?))
    })
}

/// The boards of all ports that are started, by number.
fn all() -> Vec<Arc<StatusBoard>> {
    let boards = BOARDS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all: Vec<_> = boards.iter().filter_map(Weak::upgrade).collect();
    all.sort_by_key(|board| board.port);
    all
}

/// The port that the first parameter names, and as many numbers behind it as are wanted.
fn one<const N: usize>(params: Option<&str>) -> Option<(Arc<StatusBoard>, [usize; N])> {
    let mut numbers = params?.split(',').map(|word| word.trim().parse::<usize>());
    let port = numbers.next()?.ok()?;
    let mut rest = [0; N];
    for place in &mut rest {
        *place = numbers.next()?.ok()?;
    }
    let board = all().into_iter().find(|board| usize::from(board.port.0) == port)?;
    numbers.next().is_none().then_some((board, rest))
}

/// The port that the parameter names; all, if there is no parameter.
fn some(params: Option<&str>) -> Option<Vec<Arc<StatusBoard>>> {
    if params.is_none_or(str::is_empty) {
        return Some(all());
    }
    let (board, []) = one(params)?;
    Some(vec![board])
}

fn numbers(all: impl Iterator<Item = (&'static str, u64)>) -> Value {
    Value::Dict(all.map(|(name, n)| (name.to_owned(), Value::Number(n))).collect())
}

fn ports() -> Value {
    Value::List(all().iter().map(|board| Value::Number(board.port.0.into())).collect())
}

fn port(board: &StatusBoard) -> Value {
    let mut shown = vec![
        ("device".to_owned(), Value::Text(board.device.clone())),
        ("address".to_owned(), Value::Text(board.address.to_string())),
    ];
    let mut number = |name: &str, n: u64| shown.push((name.to_owned(), Value::Number(n)));
    if let Some((at, seen)) = board.on_demand.look() {
        number("age_ms", at.elapsed().as_millis() as u64);
        number("link_up", seen.up.into());
        number("queues", seen.queues.len() as u64);
        number("peers", seen.peers.len() as u64);
        if let Some(pool) = &seen.pool {
            number("pool_available", pool.available.into());
            number("pool_size", pool.size.into());
            number("pool_region_bytes", pool.region as u64);
            number("pool_held_slots", pool.held);
            number("pool_waiting_frames", pool.waiting as u64);
            number("pool_overlapping", (pool.layout == SlotLayout::Overlapping).into());
        }
        for (name, n) in seen.tally.named().filter(|(name, _)| !name.starts_with("device_")) {
            number(name, n);
        }
    }
    Value::Dict(shown)
}

fn queue_of(board: &StatusBoard, queue: usize) -> Option<Value> {
    let counters = *board.look()?.queues.get(queue)?;
    let tally = Tally { counters, ..Tally::default() };
    Some(numbers(tally.counters.named()))
}

/// The peers of these ports by number, from number `first` on. DPDK's answers have no room for all of a full
/// table: it leaves out those at the end.
fn peers(boards: &[Arc<StatusBoard>], first: usize) -> Value {
    let seen = boards.iter().filter_map(|board| Some((board, board.look()?)));
    let all = seen.flat_map(|(board, seen)| {
        let shown = |&(address, mac, how): &_| peer(board, address, mac, how);
        seen.peers.iter().map(shown).collect::<Vec<_>>()
    });
    // DPDK 22.11 shows no dictionaries in a list.
    Value::Dict(all.enumerate().skip(first).map(|(i, peer)| (i.to_string(), peer)).collect())
}

fn peer(board: &StatusBoard, address: u32, mac: Mac, how: &str) -> Value {
    Value::Dict(vec![
        ("port".to_owned(), Value::Number(board.port.0.into())),
        ("address".to_owned(), Value::Text(Ipv4Addr::from_bits(address).to_string())),
        ("mac".to_owned(), Value::Text(MacAddr(mac).to_string())),
        ("how".to_owned(), Value::Text(how.to_owned())),
    ])
}

fn admission(seen: &Status) -> Value {
    numbers(seen.admission.iter().copied())
}

/// The numbers of several ports, by the port's number.
fn admissions(boards: &[Arc<StatusBoard>]) -> Value {
    let of = |board: &Arc<StatusBoard>| Some((board.port.to_string(), admission(&*board.look()?)));
    Value::Dict(boards.iter().filter_map(of).collect())
}

fn drops(boards: &[Arc<StatusBoard>]) -> Value {
    let mut sum = Counters::default();
    for seen in boards.iter().filter_map(|board| board.look()) {
        Reason::ALL.iter().for_each(|&r| sum.drop_many(r, seen.tally.counters.dropped(r)));
    }
    let all: Vec<_> = sum.drops().collect();
    numbers(all.into_iter())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    fn board(port: u16) -> Arc<StatusBoard> {
        let board = Arc::new(StatusBoard {
            port: PortId(port),
            device: "net_null0".to_owned(),
            address: Ipv4Addr::new(10, 1, 0, 2),
            on_demand: OnDemand::new(),
        });
        BOARDS.lock().expect("nobody panicked").push(Arc::downgrade(&board));
        board
    }

    fn seen(datagrams: u64) -> Status {
        let mut tally = Tally::default();
        tally.counters.datagrams = datagrams;
        tally.counters.drop_one(Reason::BadTag);
        let queues = vec![tally.counters];
        let peers = vec![(0x0a01_0001, [2, 0, 0, 0, 0, 1], "asked")];
        Status { up: true, tally, queues, pool: None, peers, admission: vec![("granted", 3)] }
    }

    #[test]
    fn a_loop_puts_up_what_is_wanted_and_never_waits() {
        let (board, running) = (board(71), Arc::new(AtomicBool::new(true)));
        let (its, on) = (Arc::clone(&board), Arc::clone(&running));
        let turns = thread::spawn(move || {
            let (mut turns, mut made) = (0_u64, 0);
            while on.load(Ordering::Relaxed) {
                turns += 1;
                if its.is_wanted() {
                    made += 1;
                    its.put(seen(turns));
                }
            }
            made
        });
        let mut before = 0;
        for _ in 0..200 {
            let now = board.look().expect("the loop runs").tally.counters.datagrams;
            assert!(now > before, "each look is of a later turn");
            before = now;
        }
        running.store(false, Ordering::Relaxed);
        let made: i32 = turns.join().expect("it ends");
        assert!(made >= 200, "each look asked for one: {made}");
    }

    #[test]
    fn parameters_name_ports_that_are_there() {
        let board = board(72);
        board.put(seen(5));
        assert!(one::<0>(Some("72")).is_some() && one::<1>(Some("72,0")).is_some());
        for wrong in ["", "73000", "72,0", "x", "72,", "-1", "72 0"] {
            assert!(one::<0>(Some(wrong)).is_none(), "{wrong}");
        }
        assert!(one::<0>(None).is_none() && some(Some("9999")).is_none());
        assert!(queue_of(&board, 0).is_some() && queue_of(&board, 1).is_none());
        let names = |first| match peers(&[Arc::clone(&board), Arc::clone(&board)], first) {
            Value::Dict(peers) => peers.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" "),
            other => panic!("a dictionary, not {other:?}"),
        };
        assert_eq!([names(0), names(1), names(2), names(usize::MAX)], ["0 1", "1", "", ""]);
        let Value::Dict(dropped) = drops(&[Arc::clone(&board)]) else { panic!("a dictionary") };
        assert!(dropped.contains(&("bad_tag".to_owned(), Value::Number(1))));
        let Value::Dict(by_port) = admissions(&[Arc::clone(&board)]) else { panic!("a dictionary") };
        let [(port, Value::Dict(ac))] = &by_port[..] else { panic!("one port, with a dictionary") };
        assert_eq!(
            (port.as_str(), ac.as_slice()),
            ("72", [("granted".to_owned(), Value::Number(3))].as_slice())
        );
        drop(board);
        assert!(one::<0>(Some("72")).is_none(), "a port that is gone");
    }
}
