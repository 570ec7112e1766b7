//! The options of lm-netpipe: everything on the command line after `--`.
//!
//! [`super::begin`] calls [`Options::of`] before EAL starts. Values that contradict each other are refused in
//! one line. The other modules ask [`Options`] for what follows from several options: the sizes, a block's
//! time, the settings of the transports.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lm_proto::layout::{Geometry, Layout};
use lm_proto::wire::{Flow, MAX_PAYLOAD};

use super::sizes;
use super::transport::{self, Kind, Settings};
use super::window::Window;
use crate::parse::{self, Addresses};
use crate::port_options::PortOptions;
use crate::start::{self, NoOptions};

/// Measures round trips, bandwidth and CPU over payload sizes, in NetPIPE's way: LM, LM with its zero-copy
/// switched off, rte_ip_frag, kernel sockets and bare frames, by the same code in the same run.
#[derive(Clone, Debug, Parser)]
#[command(name = "lm-netpipe", version, override_usage = "lm-netpipe [EAL options] -- [options]")]
#[command(after_help = after_help())]
pub(crate) struct Options {
    /// Which of the two ends this process is
    #[arg(long, value_enum, default_value_t = Role::Initiator)]
    pub(crate) role: Role,
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "lm")]
    #[arg(value_parser = transport::kind)]
    #[arg(help = format!("The transports to measure, one or more of: {}", transport::names()))]
    pub(crate) transport: Vec<&'static Kind>,
    /// The tests to run, one or more of these
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    #[arg(default_value = "ping-pong,stream,window")]
    pub(crate) test: Vec<Test>,
    /// Payload sizes, instead of NetPIPE's
    #[arg(long, value_name = "BYTES,...", value_parser = |t: &str| sizes::list(t).map(Sizes))]
    pub(crate) sizes: Option<Sizes>,
    /// The smallest of NetPIPE's sizes
    #[arg(long, value_name = "BYTES", default_value_t = 1)]
    pub(crate) from: usize,
    /// The largest of NetPIPE's sizes
    #[arg(long, value_name = "BYTES", default_value_t = MAX_PAYLOAD)]
    pub(crate) to: usize,
    /// Also measure sizes this much below and above each power of two; 0: do not
    #[arg(long, value_name = "BYTES", default_value_t = 3)]
    pub(crate) perturbation: usize,
    /// The most round trips per size and transport
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) repetitions: u64,
    /// The most milliseconds per size, transport and test
    #[arg(long, value_name = "MS", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(crate) time: u64,
    /// The number of blocks per size; the transports take turns in each block
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) blocks: u64,
    /// Round trips before each block that are not measured; their payloads are compared byte by byte
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) warm_up: u64,
    /// Limit streams to this rate on the wire in bits per second, such as 1G. Preamble, check sequence and
    /// gap of each frame are included
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) pace: Option<u64>,
    /// The most frames in flight in the test `window`. Give no more than the receiver's ring holds [default:
    /// half of --rxd]
    #[arg(long, value_name = "FRAMES", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) window: Option<u16>,
    /// Milliseconds after which an echo, or all frames of a window, count as lost
    #[arg(long, value_name = "MS", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) patience: u64,
    /// Seconds that the initiator waits for the responder
    #[arg(long, value_name = "S", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) await_peer: u64,
    /// The CPU to run on if EAL is not used [with EAL: its main lcore]
    #[arg(long, value_name = "CPU")]
    pub(crate) core: Option<usize>,
    /// Addresses of kernel sockets [default: those of --tx-ip]
    #[arg(long, value_name = "SRC,DST", value_parser = parse::addresses)]
    pub(crate) kernel_ip: Option<Addresses>,
    /// The name of the kernel sockets' wire in the results
    #[arg(long, value_name = "NAME", default_value = "kernel")]
    pub(crate) kernel_wire: String,
    /// With --role=responder: end when the initiator ends
    #[arg(long)]
    pub(crate) once: bool,
    /// Show progress even if standard error is not a terminal
    #[arg(long)]
    pub(crate) progress: bool,
    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the results: PREFIX-latency.svg, PREFIX-bandwidth.svg, PREFIX-stream.svg, PREFIX-window.svg
    #[arg(long, value_name = "PREFIX")]
    pub(crate) svg: Option<String>,
    #[command(flatten)]
    pub(crate) port: PortOptions,
}

/// What help says behind the options.
fn after_help() -> String {
    format!(
        "Start two processes with the same list of transports, one of them with --role=responder. Each of {} \
         uses one DPDK port, in the order of the list. udp uses the UDP ports of --tx-udp, and udp-busy the \
         next ones. Kernel sockets alone do not need EAL: lm-netpipe -- --transport=udp.\n\
         EAL options are those of every DPDK application: lm-netpipe --help lists them.",
        transport::names_with_port()
    )
}

/// Which end this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Sends, measures and reports.
    Initiator,
    /// Answers.
    Responder,
}

/// How a size is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Test {
    /// Round trips. An echo carries the checksum with which the datagram was verified.
    PingPong,
    /// Round trips. Each echo is summed again.
    PingPongAnew,
    /// One way, as fast as the sender goes.
    Stream,
    /// One way, with at most --window frames in flight.
    Window,
}

/// Payload sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizes(pub(crate) Vec<usize>);

/// `1G`, `100M`, `1000000`: bits a second.
fn rate(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.trim().char_indices().last() {
        Some((at, 'G')) => (&text.trim()[..at], 1_000_000_000),
        Some((at, 'M')) => (&text.trim()[..at], 1_000_000),
        Some((at, 'k')) => (&text.trim()[..at], 1000),
        _ => (text.trim(), 1),
    };
    let bits = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    bits.filter(|n| (1000..=1_000_000_000_000).contains(n))
        .ok_or_else(|| "give bits a second, 1k to 1000G, such as 1G or 100M".to_owned())
}

impl Options {
    /// Parses what stands behind `--`.
    pub(crate) fn of(args: &[String]) -> Result<Self, NoOptions> {
        let options: Self = start::parse("lm-netpipe", args)?;
        options.port.check().and_then(|()| options.check()).map_err(NoOptions::Wrong)?;
        Ok(options)
    }

    /// Refuses values that contradict each other.
    fn check(&self) -> Result<(), String> {
        for (i, kind) in self.transport.iter().enumerate() {
            if self.transport[..i].iter().any(|other| other.name == kind.name) {
                return Err(format!("--transport names {} twice", kind.name));
            }
        }
        if self.port.ac.is_some() || !self.port.landing_mac.is_empty() {
            return Err("--ac and --landing-mac are for lm-testpmd: in lm-netpipe each port has one sender"
                .to_owned());
        }
        if self.sizes().is_empty() {
            return Err(format!("no payload size lies between --from={} and --to={}", self.from, self.to));
        }
        Ok(())
    }

    /// The sizes to measure.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        match &self.sizes {
            Some(Sizes(sizes)) => sizes.clone(),
            None => sizes::netpipe(self.from, self.to, self.perturbation),
        }
    }

    /// Whether any of the transports needs a DPDK port.
    pub(crate) fn needs_eal(&self) -> bool {
        self.transport.iter().any(|kind| kind.needs_port())
    }

    /// Empty polls in a row after which the thread yields its CPU between two polls.
    pub(crate) fn yield_after(&self) -> u32 {
        self.port.yield_after.unwrap_or(1024)
    }

    /// The settings that transports are made from.
    pub(crate) fn settings(&self) -> Settings {
        let port = self.port.every_port();
        let ip = self.kernel_ip.unwrap_or(self.port.tx_ip);
        Settings {
            kernel_flow: Flow { src: ip.src, dst: ip.dst, ..port.flow },
            port,
            peers: self.port.eth_peer.iter().map(|peer| (peer.port, peer.mac)).collect(),
            idler: self.port.idler(),
            kernel_wire: self.kernel_wire.clone(),
        }
    }

    /// Time for a block.
    pub(crate) fn block_time(&self) -> Duration {
        Duration::from_millis(self.time) / self.blocks as u32
    }

    /// The window of a stream of datagrams of `size` bytes.
    pub(crate) fn window(&self, size: usize) -> Window {
        let layout =
            Geometry::new(self.port.landing.mtu).ok().and_then(|geometry| Layout::new(geometry, size));
        Window::of(
            self.window.unwrap_or(self.port.landing.rxd / 2),
            layout.map_or(1, |layout| layout.fragments()),
        )
    }

    /// Round trips of a block.
    pub(crate) fn block_repetitions(&self) -> u64 {
        self.repetitions.div_ceil(self.blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    fn options(line: &str) -> Result<Options, NoOptions> {
        Options::of(&words(line))
    }

    #[test]
    fn the_definition_is_consistent() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn what_is_given_is_had() {
        let o = options("--transport=lm,udp --sizes=64,7168 --pace=1G --slots=separate --test=stream");
        let o = o.expect("options");
        assert_eq!(o.transport.iter().map(|k| k.name).collect::<Vec<_>>(), ["lm", "udp"]);
        assert_eq!((o.sizes(), o.pace), (vec![64, 7168], Some(1_000_000_000)));
        assert!(o.needs_eal() && o.test == [Test::Stream]);
        let o = options("--transport=udp,udp-busy --blocks=3").expect("options");
        assert!(!o.needs_eal() && o.sizes().len() > 40);
        assert_eq!(o.block_repetitions(), 1667);
    }

    #[test]
    fn wrong_options_are_one_line() {
        for (line, says) in [
            ("--transport=tcp", "udp-busy"),
            ("--transport=lm,lm", "twice"),
            ("--sizes=0", "65507"),
            ("--pace=fast", "1G"),
            ("--pace=1", "1G"),
            ("--role=judge", "responder"),
            ("--from=9 --to=3", "--from=9"),
            ("--ac=exclusive", "lm-testpmd"),
            ("--repetitions=0", "repetitions"),
            ("--window=0", "window"),
            ("--window=70000", "window"),
            ("--test=windows", "window"),
            ("--mtu=1", "576..=9216"),
            ("--frobnicate", "--frobnicate"),
        ] {
            match options(line) {
                Err(NoOptions::Wrong(text)) => {
                    assert!(text.contains(says) && !text.contains('\n'), "{line}: {text}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
