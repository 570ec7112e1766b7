//! The command line behind `--`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Parser;
use lm::alf::ChecksumMode;
use lm::ground::Require;
use lm::wire::Mac;
use pmd_e1000::SlotLayout;

use crate::admission::choice;
use crate::engine::{self, Kind};
use crate::parse::{self, Addresses, Peer, RelaxedOrdering, UdpPorts};
use crate::sizes::Sizes;

/// Sends, receives, echoes and measures UDP datagrams of up to 65,507 bytes on DPDK ports, without a copy.
#[derive(Clone, Debug, Parser)]
#[command(name = "lm-testpmd", version, override_usage = "lm-testpmd [EAL options] -- [options]")]
#[command(after_help = "EAL options are those of every DPDK application: lm-testpmd --help lists them.")]
pub(crate) struct Options {
    /// Start with a prompt; `start` begins forwarding
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// With -i, begin forwarding at once (without it, that is always so)
    #[arg(short, long)]
    pub(crate) auto_start: bool,
    /// Run the commands of a file first
    #[arg(long, value_name = "FILE")]
    pub(crate) cmdline_file: Option<PathBuf>,
    /// Without -i, show statistics every so many seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) stats_period: Option<u64>,
    /// What to do: rx, tx, ping or echo
    #[arg(long, value_name = "MODE", default_value = "rx", value_parser = engine::kind)]
    pub(crate) forward_mode: &'static Kind,
    /// Descriptors to receive into
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=32_768))]
    pub(crate) rxd: u16,
    /// Descriptors to send from
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=32_768))]
    pub(crate) txd: u16,
    /// Frames that one poll takes
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) burst: u16,
    /// mbufs of each port's landing pool [default: rxd + 576]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) total_num_mbufs: Option<u32>,
    /// The peer's MAC address on a port, may be repeated [default: asked for by ARP]
    #[arg(long, value_name = "PORT,MAC", value_parser = parse::peer)]
    pub(crate) eth_peer: Vec<Peer>,
    /// Our address, for which ARP is answered, and the peer's
    #[arg(long, value_name = "SRC,DST", default_value = "198.18.0.1,198.18.0.2", value_parser = parse::addresses)]
    pub(crate) tx_ip: Addresses,
    /// UDP ports
    #[arg(long, value_name = "SRC,DST", default_value = "9,9", value_parser = parse::udp_ports)]
    pub(crate) tx_udp: UdpPorts,
    /// Bytes of IP packet on the link, 576..=9216
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    pub(crate) mtu: u16,
    /// Payload sizes: a list, cycled, of BYTES, LO-HI (random by the seed) and LO-HI/STEP (all of them in steps)
    #[arg(long, value_name = "SIZES", default_value = "7168")]
    pub(crate) txsize: Sizes,
    /// Addresses that tx sends to, eight datagrams each in turn [default: DST of --tx-ip]
    #[arg(long, value_name = "IP,IP", value_delimiter = ',')]
    pub(crate) tx_to: Vec<Ipv4Addr>,
    /// Microseconds between two datagrams of tx or ping, at least
    #[arg(long, value_name = "US", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=60_000_000))]
    pub(crate) tx_interval: u64,
    /// tx goes on receiving when --count is sent, until it is stopped
    #[arg(long)]
    pub(crate) tx_stay: bool,
    /// End after so many datagrams on each port: sent (tx), received (rx, echo), or pinged (ping)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// What payloads and random sizes are made from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// UDP checksums of what is sent: full or zero
    #[arg(long, value_name = "MODE", default_value = "full", value_parser = parse::checksum)]
    pub(crate) checksum: ChecksumMode,
    /// What proves that a datagram is whole, any of a set: headers, checksum, tags (tags only where no stranger's
    /// frames arrive)
    #[arg(long, value_name = "SET", default_value = "headers,checksum", value_parser = parse::require)]
    pub(crate) require: Require,
    /// How frames land: overlapping or separate [default: overlapping where the device allows it]
    #[arg(long, value_name = "LAYOUT", value_parser = parse::layout)]
    pub(crate) slots: Option<SlotLayout>,
    /// Let slots overlap on a card of which it cannot be proven that relaxed ordering is off: assume-off. Where it is
    /// on, payloads are then damaged without a word
    #[arg(long, value_name = "WORD", value_parser = parse::relaxed_ordering, default_value = "prove")]
    pub(crate) unsafe_relaxed_ordering: RelaxedOrdering,
    /// Steer frames for these addresses to landing queues of their own, and leave queue 0 to all others (82576)
    #[arg(long, value_name = "MAC,MAC", value_delimiter = ',', value_parser = parse::landing_mac)]
    pub(crate) landing_mac: Vec<Mac>,
    /// Admission control: off; exclusive (one node of the cluster lands at a time, as in the paper) or per-receiver.
    /// All nodes of a cluster have the same
    #[arg(long, value_name = "POLICY", default_value = "off", value_parser = choice::policy)]
    pub(crate) ac: choice::Choice,
    /// The cluster's key, 32 bytes or 64 hexadecimal digits; without one, control messages are believed unsigned
    #[arg(long, value_name = "FILE")]
    pub(crate) ac_key_file: Option<PathBuf>,
    /// The EAL lcore (-l) that runs admission control, for all ports [default: inline, between two polls of a port]
    #[arg(long, value_name = "N")]
    pub(crate) ac_lcore: Option<u32>,
    /// Microseconds that a receiver waits behind the end of a grant, where the end can overtake data (several paths)
    /// [default: until the ring has been flushed, at most a microsecond for each flush frame and 50]
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub(crate) ac_drain: Option<u64>,
    /// Bytes of each port's landing region
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    pub(crate) region: usize,
    /// Map the landing region once, also where it could be mapped twice: datagrams across its end are copied
    #[arg(long)]
    pub(crate) no_mirror: bool,
    /// End when nothing has been received or sent for so long, counted from when the link is up
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) stop_after_idle: Option<u64>,
    /// Write a JSON object about each received datagram to a file, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) message_log: Option<PathBuf>,
    /// Write a JSON summary to a file at the end
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

/// What to do with a command line that holds no options to run with.
#[derive(Debug)]
pub(crate) enum NoOptions {
    /// Print this and end well: help or version.
    Text(String),
    /// It is wrong: one line that says why.
    Wrong(String),
}

impl Options {
    /// Parses what stands behind `--`.
    pub(crate) fn of(args: &[String]) -> Result<Self, NoOptions> {
        let args = std::iter::once("lm-testpmd").chain(args.iter().map(String::as_str));
        let options = Self::try_parse_from(args).map_err(|e| match e.kind() {
            clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => {
                NoOptions::Text(e.to_string())
            }
            _ => NoOptions::Wrong(one_line(&e.to_string())),
        })?;
        options.check().map_err(NoOptions::Wrong)?;
        Ok(options)
    }

    /// How frames land first, if it matters: separate until somebody is admitted.
    pub(crate) fn slots(&self) -> Option<SlotLayout> {
        self.slots.or(self.ac.map(|_| SlotLayout::Separate))
    }

    /// What single values cannot tell.
    fn check(&self) -> Result<(), String> {
        lm::layout::Geometry::new(self.mtu).map_err(|e| format!("--mtu={}: {e}", self.mtu))?;
        let useless = [
            ("--ac-key-file", self.ac_key_file.is_some()),
            ("--ac-lcore", self.ac_lcore.is_some()),
            ("--ac-drain", self.ac_drain.is_some()),
        ];
        if let Some((name, _)) = useless.iter().find(|(_, given)| *given && self.ac.is_none()) {
            return Err(format!("{name} is of no use without --ac=exclusive or --ac=per-receiver"));
        }
        let least = u32::from(self.rxd) + u32::from(self.burst);
        match self.total_num_mbufs {
            Some(n) if n < least => Err(format!(
                "--total-num-mbufs={n} is too few for --rxd={} and --burst={}: give {least} or more",
                self.rxd, self.burst
            )),
            _ => Ok(()),
        }
    }
}

/// clap's message in one line: what is wrong, without usage and empty lines.
fn one_line(text: &str) -> String {
    let lines =
        text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more"));
    let text = lines.filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{}; lm-testpmd -- --help lists the options", text.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, NoOptions> {
        Options::of(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn wrong(line: &str) -> String {
        match options(line) {
            Err(NoOptions::Wrong(text)) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn defaults() {
        let o = options("").expect("no options");
        assert_eq!((o.rxd, o.txd, o.burst, o.mtu, o.region), (512, 512, 32, 1500, 4 << 20));
        assert_eq!(o.forward_mode.name, "rx");
        assert_eq!(o.require, Require::default());
        assert_eq!(o.tx_udp, UdpPorts { src: 9, dst: 9 });
    }

    #[test]
    fn testpmds_spelling() {
        let o = options(
            "-i -a --forward-mode=ping --eth-peer=0,02:00:00:00:00:01 --eth-peer=1,02:00:00:00:00:02",
        );
        let o = o.expect("options");
        assert!(o.interactive && o.auto_start && o.eth_peer.len() == 2 && o.forward_mode.name == "ping");
    }

    #[test]
    fn wrong_options_are_one_line_with_the_value_and_what_to_do() {
        for (line, value) in [
            ("--burst=0", "'0'"),
            ("--burst=513", "512"),
            ("--forward-mode=io", "'io'"),
            ("--txsize=70000", "70000"),
            ("--mtu=100", "576..=9216"),
            ("--eth-peer=0", "PORT,MAC"),
            ("--require=hope", "headers, checksum, tags"),
            ("--total-num-mbufs=100", "544"),
            ("--frobnicate", "--frobnicate"),
            ("stray", "'stray'"),
            ("--count", "--count"),
            ("--ac-lcore=1", "--ac=exclusive"),
            ("--ac=exclusive --ac-drain=2000000", "1000000"),
            ("--tx-to=198.18.0.1,x", "'x'"),
        ] {
            let text = wrong(line);
            assert!(text.contains(value) && !text.contains('\n'), "{line}: {text}");
        }
    }

    #[test]
    fn help_and_version_are_no_errors() {
        for line in ["--help", "--version"] {
            assert!(matches!(options(line), Err(NoOptions::Text(_))));
        }
    }
}
