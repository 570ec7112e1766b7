//! Statistics on standard output: those of dpdk-testpmd in its format, and LM's own.
//!
//! The control thread calls these functions, for commands, for `--stats-period` and at the end of forwarding.
//! Frames that the device lost and datagrams that LM dropped are different counters, and are shown apart.

use std::time::Instant;

use lm_proto::card::Words;
use lm_proto::neighbours::ArpCounters;
use rte::port::PortId;

use crate::console::{complain, say};
use crate::parse::layout_text;
use crate::testpmd::control_port::ControlPort;
use crate::testpmd::tally::Tally;
use lm_node::tally::{DeviceTally, PoolView};

/// Prints what forwarding has done, port by port and in all.
pub(crate) fn forwarding(runs: &[(PortId, Tally)]) {
    let mut all = Tally::default();
    for (id, run) in runs {
        say!("\n  ---------------------- Forward statistics for port {id:<2} ----------------------");
        frames(run);
        datagrams(run);
        say!("  ----------------------------------------------------------------------------");
        all.add(run);
    }
    accumulated(&all);
}

/// Prints the sum of all ports.
pub(crate) fn accumulated(all: &Tally) {
    say!("\n  +++++++++++++++ Accumulated forward statistics for all ports+++++++++++++++");
    frames(all);
    datagrams(all);
    say!("  ++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++");
}

/// Prints frames as dpdk-testpmd counts them: dropped are frames that the device lost. What LM dropped is
/// printed by reason, see [`datagrams`].
fn frames(t: &Tally) {
    let (rx, rx_dropped) = (t.counters.frames, t.device.rx_lost());
    let (tx, tx_dropped) = (t.sent.frames, t.engine.tx_dropped);
    say!("  RX-packets: {rx:<14} RX-dropped: {rx_dropped:<13} RX-total: {}", rx + rx_dropped);
    say!("  TX-packets: {tx:<14} TX-dropped: {tx_dropped:<13} TX-total: {}", tx + tx_dropped);
    let d = &t.device;
    if *d != DeviceTally::default() {
        say!(
            "  Device: RX-missed: {} RX-errors: {} RX-nombuf: {} TX-errors: {}",
            d.missed,
            d.rx_errors,
            d.rx_nombuf,
            d.tx_errors
        );
    }
}

/// Prints LM's counters.
fn datagrams(t: &Tally) {
    let c = &t.counters;
    say!("  LM-RX-datagrams: {:<12} bytes: {:<16} frames: {}", c.datagrams, c.bytes, c.frames);
    say!(
        "  LM-RX-copied:    {:<12} bytes: {:<16} foreign: {}",
        c.copied_datagrams,
        c.copied_bytes,
        c.foreign
    );
    if c.pieces > 0 {
        say!("  LM-RX-in-pieces: {:<12} copied together later: {}", c.pieces, c.joined);
    }
    if c.duplicates + c.bounced > 0 {
        say!("  LM-RX-duplicates: {:<11} bounced: {}", c.duplicates, c.bounced);
    }
    if c.to_overlapping + c.to_separate > 0 {
        say!("  LM-RX-to-overlapping: {:<7} to-separate: {}", c.to_overlapping, c.to_separate);
    }
    if t.ordinary > 0 {
        say!("  LM-RX-ordinary:  {:<12} frames of queue 0, not exchanged: {}", t.ordinary, t.ordinary_lost);
    }
    for (reason, n) in c.drops().filter(|&(_, n)| n > 0) {
        say!("  LM-RX-dropped:   {n:<12} {reason}");
    }
    say!(
        "  LM-TX-datagrams: {:<12} bytes: {:<16} blocked: {}",
        t.sent.datagrams,
        t.sent.bytes,
        t.sent.would_block
    );
    if t.sent.forward > 0 {
        say!("  LM-TX-forward:   {:<12} first fragment first", t.sent.forward);
    }
    if t.sent.refused > 0 {
        say!("  LM-TX-refused:   {:<12} frames that the device never took", t.sent.refused);
    }
    let e = &t.engine;
    if e.ignored + e.tx_dropped + e.tx_copied + e.late > 0 {
        say!(
            "  LM-engine:       ignored: {} late: {} not sent: {} copied to send: {}",
            e.ignored,
            e.late,
            e.tx_dropped,
            e.tx_copied
        );
    }
    arp(&t.arp);
    pings(t);
}

/// Prints the counters of ARP that are not zero, without the questions that this node asked.
fn arp(counters: &ArpCounters) {
    let unusual = counters.all().into_iter().filter(|&(name, n)| n > 0 && name != "asked");
    let unusual: Vec<_> = unusual.map(|(name, n)| format!("{name}: {n}")).collect();
    if !unusual.is_empty() {
        say!("  LM-ARP:          {}", unusual.join(" "));
    }
}

/// Round trips by size.
fn pings(t: &Tally) {
    /// A run with random sizes has thousands of them.
    const ROWS: usize = 24;
    if t.engine.ping.is_empty() {
        return;
    }
    say!("  ping: bytes      count    min us median us    p99 us  p99.9 us    max us      lost mismatched");
    let us = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), |ns| format!("{:.2}", ns as f64 / 1000.0));
    for (size, ping) in t.engine.ping.iter().take(ROWS) {
        let h = &ping.round_trips;
        say!(
            "  {size:>11} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10}",
            h.count(),
            us(h.min()),
            us(h.quantile(0.5)),
            us(h.quantile(0.99)),
            us(h.quantile(0.999)),
            us(h.max()),
            ping.lost,
            ping.mismatched
        );
    }
    let more = t.engine.ping.len().saturating_sub(ROWS);
    if more > 0 {
        say!("  ... and {more} sizes more: --summary has them all");
    }
}

/// Prints LM's counters of a port.
pub(crate) fn lm(id: PortId, tally: &Tally) {
    say!("\n  LM statistics for port {id}");
    datagrams(tally);
}

/// Prints a port's basic counters, and its rates since they were printed last.
pub(crate) fn nic(port: &mut ControlPort) {
    let id = port.id();
    let stats = match port.landing.port().stats() {
        Ok(stats) => stats,
        Err(e) => return complain(&e.to_string()),
    };
    let now = Instant::now();
    let rate = |value: u64, before: u64, seconds: f64| (value.saturating_sub(before) as f64 / seconds) as u64;
    let [rx_pps, rx_bps, tx_pps, tx_bps] = port.shown.map_or([0; 4], |(then, old)| {
        let s = now.duration_since(then).as_secs_f64().max(1e-6);
        [
            rate(stats.ipackets, old.ipackets, s),
            rate(stats.ibytes * 8, old.ibytes * 8, s),
            rate(stats.opackets, old.opackets, s),
            rate(stats.obytes * 8, old.obytes * 8, s),
        ]
    });
    port.shown = Some((now, stats));
    say!("\n  ######################## NIC statistics for port {id:<2} ########################");
    say!("  RX-packets: {:<10} RX-missed: {:<10} RX-bytes:  {}", stats.ipackets, stats.imissed, stats.ibytes);
    say!("  RX-errors: {}", stats.ierrors);
    say!("  RX-nombuf:  {}", stats.rx_nombuf);
    say!("  TX-packets: {:<10} TX-errors: {:<10} TX-bytes:  {}", stats.opackets, stats.oerrors, stats.obytes);
    say!("\n  Throughput (since last show)");
    say!("  Rx-pps: {rx_pps:>12}          Rx-bps: {rx_bps:>12}");
    say!("  Tx-pps: {tx_pps:>12}          Tx-bps: {tx_bps:>12}");
    say!("  ############################################################################");
}

/// Prints all counters that a port's driver has.
pub(crate) fn xstats(port: &ControlPort) {
    say!("###### NIC extended statistics for port {}", port.id());
    match port.landing.port().xstats() {
        Ok(all) => all.iter().for_each(|(name, value)| say!("{name}: {value}")),
        Err(e) => complain(&e.to_string()),
    }
}

/// Prints the properties of a port.
pub(crate) fn info(port: &ControlPort, pool: Option<&PoolView>) {
    let (info, setup, traits) = (port.landing.info(), port.landing.setup(), port.landing.traits());
    say!("\n********************* Infos for port {:<2} *********************", port.id());
    say!("MAC address: {}", info.mac);
    say!("Device name: {}", info.device);
    say!("Driver name: {}", info.driver);
    say!("Bus: {}", info.bus);
    say!("Connect to socket: {}", info.socket.unwrap_or_default());
    match port.landing.port().link() {
        Ok(link) => {
            let speed = link.speed_mbps.map_or_else(|| "unknown".to_owned(), |mbps| format!("{mbps} Mbps"));
            say!("Link status: {}", if link.up { "up" } else { "down" });
            say!("Link speed: {speed}");
            say!("Link duplex: {}", if link.full_duplex { "full-duplex" } else { "half-duplex" });
        }
        Err(e) => say!("Link status: {e}"),
    }
    say!("MTU: {} (device: {}..{})", setup.mtu, info.min_mtu, info.max_mtu);
    say!("Port is {}", if port.is_started() { "started" } else { "stopped" });
    say!("Minimum size of RX buffer: {}", info.min_rx_bufsize);
    say!("Maximum configurable length of RX packet: {}", info.max_rx_pktlen);
    say!(
        "Number of RXDs: {} ({}..{}, by {})",
        setup.rxd,
        info.rx_desc.min,
        info.rx_desc.max,
        info.rx_desc.align
    );
    say!(
        "Number of TXDs: {} ({}..{}, by {})",
        setup.txd,
        info.tx_desc.min,
        info.tx_desc.max,
        info.tx_desc.align
    );
    let verdict = port.landing.verdict();
    say!("Landing device: {}", port.landing.overlap_policy().recognised());
    if let Some(card) = port.landing.overlap_policy().card() {
        say!(
            "Landing card: {} RX queues, steering {:?}, length filter {:?}",
            card.queues,
            card.steering,
            card.filter
        );
        card.errata.iter().for_each(|erratum| say!("Landing erratum: {erratum}"));
    }
    if let Some(steering) = port.landing.steering() {
        say!("Landing queues: {steering}");
        port.landing.proofs().all().for_each(|(mac, proof)| say!("Landing address {mac}: {}", proof.name()));
    }
    let why = port.landing.words_why();
    match pool.and_then(|pool| pool.card).filter(|card| card.words() != Words::None) {
        Some(card) => {
            say!("Landing card's words: identifications {}; sums {}; {why}", card.ids(), card.sums());
        }
        None => say!("Landing card's words: none; {why}"),
    }
    say!("Landing slots: {} at the start; {verdict}", layout_text(port.landing.layout()));
    say!(
        "Landing writes: {}, {}",
        if traits.synchronous { "inside the receive call" } else { "at any time" },
        match traits {
            t if t.needs_dpdk_memory => "in DPDK's memory only",
            t if t.dma => "in memory that the card was told of",
            _ => "in any memory",
        }
    );
}

/// Prints the state of a landing region.
pub(crate) fn region(id: PortId, pool: Option<&PoolView>) {
    let Some(p) = pool else { return say!("Port {id} has no landing pool at hand") };
    say!("\n  landing region of port {id}");
    say!("  bytes: {} ({})", p.region, if p.mirrored { "mapped twice, no wrap" } else { "mapped once" });
    say!("  slots: {}, stride {} bytes", crate::parse::layout_text(p.layout), p.stride);
    say!("  mbufs: {} of {} available", p.available, p.size);
    say!("  slots held by messages and waiting frames: {}, frames waiting: {}", p.held, p.waiting);
    let s = &p.stats;
    say!(
        "  wraps: {} jumps: {} bounced: {} starved: {} grown: {} refused: {}",
        s.wraps,
        s.jumps,
        s.bounced,
        s.starved,
        s.grown,
        s.refused
    );
}
