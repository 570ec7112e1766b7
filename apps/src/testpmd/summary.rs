//! The JSON summary that `--summary` writes at the end: sums over all ports, and the round trips by size.
//!
//! The file is created before EAL starts, and written when the ports are closed. Tests and scripts read these
//! keys.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::testpmd::control_port::Closed;
use crate::testpmd::tally::Tally;
use crate::writer::Writer;

/// Sums over all ports.
#[derive(Serialize)]
struct Summary {
    forward_mode: &'static str,
    elapsed_ns: u64,
    /// CPU time of the forwarding loop.
    cpu_ns: u64,
    datagrams: u64,
    bytes: u64,
    copied_datagrams: u64,
    copied_bytes: u64,
    pieces: u64,
    joined: u64,
    frames: u64,
    foreign: u64,
    /// Frames that the devices found no room for.
    missed: u64,
    /// Frames that arrived broken or too long (`rx_errors`), for which there was no mbuf (`rx_nombuf`), and
    /// that could not be sent (`tx_errors`).
    rx_errors: u64,
    rx_nombuf: u64,
    tx_errors: u64,
    /// Frames of ordinary queues.
    ordinary: u64,
    /// Frames of ordinary queues for which `--ordinary-port` had no room.
    ordinary_lost: u64,
    duplicates: u64,
    bounced: u64,
    /// How often the layout `auto` changed to the other layout.
    to_overlapping: u64,
    to_separate: u64,
    dropped: BTreeMap<&'static str, u64>,
    /// mbufs available in the landing pools before the start and after the stop.
    pool_before: u64,
    pool_after: u64,
    sent_datagrams: u64,
    sent_bytes: u64,
    sent_frames: u64,
    /// Of these, frames that the device had not taken when it was stopped.
    unsent: u64,
    /// Datagrams of one frame that were copied behind their headers, which costs less than an external
    /// buffer.
    send_inlined: u64,
    /// Datagrams of several fragments that went first fragment first.
    send_forward: u64,
    send_would_block: u64,
    /// Frames that the device never took, and that were dropped for that.
    send_refused: u64,
    send_dropped: u64,
    send_copied: u64,
    ignored: u64,
    late: u64,
    lost: u64,
    mismatched: u64,
    /// The counters of ARP, see `lm_proto::neighbours::ArpCounters`.
    arp: BTreeMap<&'static str, u64>,
    ping: Vec<Ping>,
}

/// Round trips of one payload size, in nanoseconds.
#[derive(Serialize)]
struct Ping {
    size: usize,
    count: u64,
    min_ns: Option<u64>,
    median_ns: Option<u64>,
    p99_ns: Option<u64>,
    p999_ns: Option<u64>,
    max_ns: Option<u64>,
    lost: u64,
    mismatched: u64,
}

impl Summary {
    fn of(forward_mode: &'static str, ports: &[Closed]) -> Self {
        let mut all = Tally::default();
        for port in ports {
            all.add(&port.total);
        }
        let (c, sent, e) = (&all.counters, &all.sent, &all.engine);
        let ping = e.ping.iter().map(|(&size, p)| Ping {
            size,
            count: p.round_trips.count(),
            min_ns: p.round_trips.min(),
            median_ns: p.round_trips.quantile(0.5),
            p99_ns: p.round_trips.quantile(0.99),
            p999_ns: p.round_trips.quantile(0.999),
            max_ns: p.round_trips.max(),
            lost: p.lost,
            mismatched: p.mismatched,
        });
        Self {
            forward_mode,
            elapsed_ns: ports.first().map_or(0, |port| port.elapsed.as_nanos() as u64),
            cpu_ns: ports.first().map_or(0, |port| port.cpu.as_nanos() as u64),
            datagrams: c.datagrams,
            bytes: c.bytes,
            copied_datagrams: c.copied_datagrams,
            copied_bytes: c.copied_bytes,
            pieces: c.pieces,
            joined: c.joined,
            frames: c.frames,
            foreign: c.foreign,
            missed: all.device.missed,
            rx_errors: all.device.rx_errors,
            rx_nombuf: all.device.rx_nombuf,
            tx_errors: all.device.tx_errors,
            ordinary: all.ordinary,
            ordinary_lost: all.ordinary_lost,
            duplicates: c.duplicates,
            bounced: c.bounced,
            to_overlapping: c.to_overlapping,
            to_separate: c.to_separate,
            dropped: c.drops().collect(),
            pool_before: ports.iter().map(|port| u64::from(port.pool_before)).sum(),
            pool_after: ports.iter().map(|port| u64::from(port.pool_after)).sum(),
            sent_datagrams: sent.datagrams,
            sent_bytes: sent.bytes,
            sent_frames: sent.frames,
            unsent: all.unsent,
            send_inlined: sent.inlined,
            send_forward: sent.forward,
            send_would_block: sent.would_block,
            send_refused: sent.refused,
            send_dropped: e.tx_dropped,
            send_copied: e.tx_copied,
            ignored: e.ignored,
            late: e.late,
            lost: e.ping.values().map(|p| p.lost).sum(),
            mismatched: e.ping.values().map(|p| p.mismatched).sum(),
            arp: all.arp.all().into_iter().collect(),
            ping: ping.collect(),
        }
    }
}

/// The file that the summary goes to, created at the start so that a wrong path is known then.
pub(crate) struct SummaryFile(Writer);

impl SummaryFile {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        Writer::create(path).map(Self)
    }

    /// Writes the summary of closed ports.
    pub(crate) fn write(mut self, forward_mode: &'static str, ports: &[Closed]) -> Result<(), String> {
        let summary = serde_json::to_vec_pretty(&Summary::of(forward_mode, ports));
        self.0.push(&summary.map_err(|e| format!("the summary cannot be written as JSON: {e}"))?);
        self.0.push(b"\n");
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm_node::tally::DeviceTally;
    use lm_proto::counters::Reason;
    use std::time::Duration;

    #[test]
    fn the_summary_has_the_promised_keys() {
        let mut total = Tally::default();
        total.counters.datagrams = 2;
        total.counters.drop_one(Reason::BadTag);
        total.device = DeviceTally { missed: 1, rx_errors: 2, rx_nombuf: 3, tx_errors: 4 };
        total.arp.conflicts = 6;
        total.engine.ping.entry(64).or_default().round_trips.add(700);
        let (elapsed, cpu) = (Duration::from_nanos(5), Duration::from_nanos(3));
        let closed = [Closed { total, pool_before: 10, pool_after: 10, elapsed, cpu }];
        let json = serde_json::to_value(Summary::of("ping", &closed)).expect("json");
        for key in
            ["bytes", "copied_datagrams", "copied_bytes", "frames", "foreign", "sent_datagrams", "sent_bytes"]
        {
            assert_eq!(json[key], 0, "{key}");
        }
        assert_eq!(
            (&json["datagrams"], &json["pool_before"], &json["pool_after"]),
            (&2.into(), &10.into(), &10.into())
        );
        for (key, value) in [("missed", 1), ("rx_errors", 2), ("rx_nombuf", 3), ("tx_errors", 4)] {
            assert_eq!(json[key], value, "{key}");
        }
        assert_eq!((&json["arp"]["conflicts"], &json["arp"]["moved"]), (&6.into(), &0.into()));
        assert_eq!((&json["elapsed_ns"], &json["cpu_ns"]), (&5.into(), &3.into()));
        assert_eq!((&json["dropped"]["bad_tag"], &json["dropped"]["bad_checksum"]), (&1.into(), &0.into()));
        assert_eq!(json["ping"][0]["size"], 64);
        for key in ["median_ns", "p99_ns", "p999_ns", "max_ns"] {
            assert_eq!(json["ping"][0][key], 700, "{key}");
        }
    }
}
