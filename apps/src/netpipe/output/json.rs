//! Results as JSON, for `--json`. Times are nanoseconds of a whole round trip unless a name says otherwise.
//!
//! [`document`] is called once, when the run has ended or was stopped by a signal; `complete` says which. The
//! demo, the tests and the scripts of the benchmarks read these keys.

use serde::Serialize;

use super::machine::Machine;
use crate::netpipe::options::Options;
use crate::netpipe::order::Account;
use crate::netpipe::results::{Cell, Ping, Results, Stream};

#[derive(Serialize)]
struct Document<'a> {
    machine: &'a Machine,
    /// Whether the run reached its end.
    complete: bool,
    pace_bits_per_second: Option<u64>,
    mtu: u16,
    rx_mode: String,
    checksum: String,
    require: String,
    instructions: &'static str,
    transports: Vec<TransportOut>,
    results: Vec<Out>,
}

#[derive(Serialize)]
struct TransportOut {
    name: &'static str,
    what: &'static str,
    wire: String,
    limit: usize,
    work_by: &'static str,
}

#[derive(Serialize)]
struct Out {
    transport: &'static str,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ping_pong: Option<PingOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ping_pong_anew: Option<PingOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<StreamOut>,
    /// The same with no more in flight than the receiver's ring takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<StreamOut>,
}

#[derive(Serialize)]
struct PingOut {
    count: u64,
    lost: u64,
    late: u64,
    wrong: u64,
    min_ns: Option<u64>,
    /// The median of the blocks' medians.
    median_ns: Option<u64>,
    all_median_ns: Option<u64>,
    p99_ns: Option<u64>,
    p999_ns: Option<u64>,
    max_ns: Option<u64>,
    block_medians_ns: Vec<u64>,
    /// Half a round trip.
    latency_us: Option<f64>,
    mbps: Option<f64>,
    initiator: End,
    responder: End,
}

#[derive(Serialize)]
struct StreamOut {
    sent: u64,
    received: u64,
    loss: f64,
    /// Payload received, the median of the blocks.
    mbps: Option<f64>,
    block_mbps: Vec<f64>,
    initiator: End,
    responder: End,
}

/// An end's account.
#[derive(Serialize)]
struct End {
    datagrams: u64,
    bytes: u64,
    copied_bytes: u64,
    work_ns: u64,
    work_ns_per_datagram: Option<f64>,
    work_ticks: u64,
    idle_ticks: u64,
    polls: u64,
    empty_polls: u64,
    cpu_ns: u64,
    wall_ns: u64,
}

impl End {
    fn of(a: &Account, is_polled: bool, datagrams: u64) -> Self {
        let work_ns = a.work_ns(is_polled);
        Self {
            datagrams: a.datagrams,
            bytes: a.bytes,
            copied_bytes: a.copied,
            work_ns,
            work_ns_per_datagram: (datagrams > 0).then(|| work_ns as f64 / datagrams as f64),
            work_ticks: a.work_ticks,
            idle_ticks: a.idle_ticks,
            polls: a.polls,
            empty_polls: a.empty_polls,
            cpu_ns: a.cpu_ns,
            wall_ns: a.wall_ns,
        }
    }
}

fn out(name: &'static str, is_polled: bool, size: usize, cell: &Cell) -> Out {
    let trips = |p: &Ping| {
        (p.trips.count() + p.lost > 0).then(|| PingOut {
            count: p.trips.count(),
            lost: p.lost,
            late: p.late,
            wrong: p.wrong,
            min_ns: p.trips.min(),
            median_ns: p.median(),
            all_median_ns: p.trips.quantile(0.5),
            p99_ns: p.trips.quantile(0.99),
            p999_ns: p.trips.quantile(0.999),
            max_ns: p.trips.max(),
            block_medians_ns: p.medians.clone(),
            latency_us: p.median().map(|ns| ns as f64 / 2000.0),
            mbps: p.bandwidth(size).map(mega),
            initiator: End::of(&p.ours, is_polled, p.ours.datagrams),
            responder: End::of(&p.theirs, is_polled, p.theirs.datagrams),
        })
    };
    Out {
        transport: name,
        size,
        ping_pong: trips(&cell.ping),
        ping_pong_anew: trips(&cell.ping_anew),
        stream: stream(&cell.stream, is_polled),
        window: stream(&cell.window, is_polled),
    }
}

fn mega(bits: f64) -> f64 {
    (bits / 1e3).round() / 1e3
}

fn stream(s: &Stream, is_polled: bool) -> Option<StreamOut> {
    (s.sent > 0).then(|| StreamOut {
        sent: s.sent,
        received: s.theirs.datagrams,
        loss: s.loss(),
        mbps: s.rate().map(mega),
        block_mbps: s.rates.iter().copied().map(mega).collect(),
        // Between two datagrams a sender that is paced or has a window does nothing but wait, whatever the
        // transport.
        initiator: End::of(&s.ours, true, s.sent),
        responder: End::of(&s.theirs, is_polled, s.theirs.datagrams),
    })
}

/// The document.
pub(crate) fn document(results: &Results, options: &Options, machine: &Machine, complete: bool) -> String {
    let document = Document {
        machine,
        complete,
        pace_bits_per_second: options.pace,
        mtu: options.port.landing.mtu,
        rx_mode: format!("{:?}", options.port.rx_mode()).to_lowercase(),
        checksum: format!("{:?}", options.port.checksum).to_lowercase(),
        require: crate::parse::require_text(options.port.require),
        instructions: "unknown: no counters are read; in QEMU's virtual time (-icount shift=0) a tick is one",
        transports: results
            .rows
            .iter()
            .map(|row| TransportOut {
                name: row.kind.name,
                what: row.kind.help,
                wire: row.wire.clone(),
                limit: row.limit,
                work_by: if row.is_polled { "polls that found something" } else { "the thread's CPU time" },
            })
            .collect(),
        results: results
            .cells
            .iter()
            .map(|(&(size, row), cell)| {
                out(results.rows[row].kind.name, results.rows[row].is_polled, size, cell)
            })
            .collect(),
    };
    serde_json::to_string_pretty(&document).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}")) + "\n"
}
