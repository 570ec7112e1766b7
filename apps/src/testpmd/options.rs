//! The options of lm-testpmd: everything on the command line after `--`.
//!
//! [`super::begin`] calls [`Options::of`] before EAL starts. Values that contradict each other are refused in
//! one line. The session keeps the options; commands at the prompt change some of them.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Parser;

use crate::port_options::PortOptions;
use crate::start::{self, NoOptions};
use crate::testpmd::engine::{self, Kind};
use crate::testpmd::sizes::Sizes;
use crate::testpmd::verdict::{self, Percent};

/// Sends, receives, echoes and measures UDP datagrams of up to 65,507 bytes on DPDK ports, without a copy.
#[derive(Clone, Debug, Parser)]
#[command(name = "lm-testpmd", version, override_usage = "lm-testpmd [EAL options] -- [options]")]
#[command(after_help = "EAL options are those of every DPDK application: lm-testpmd --help lists them.")]
pub(crate) struct Options {
    /// Show a prompt; the command `start` begins forwarding
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// With -i, begin forwarding at once. Without -i, forwarding always begins at once
    #[arg(short, long)]
    pub(crate) auto_start: bool,
    /// Run the prompt commands in this file first
    #[arg(long, value_name = "FILE")]
    pub(crate) cmdline_file: Option<PathBuf>,
    /// Without -i, show statistics every S seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) stats_period: Option<u64>,
    /// What to do: rx (receive), tx (send), ping (send, and wait for the echo) or echo (send back)
    #[arg(long, value_name = "MODE", default_value = "rx", value_parser = engine::kind)]
    pub(crate) forward_mode: &'static Kind,
    #[command(flatten)]
    pub(crate) port: PortOptions,
    /// Exchange the frames of queue 0 with this port, on which nothing lands. If it is a net_tap, the kernel
    /// gets them. Needs --landing-mac and one steered port
    #[arg(long, value_name = "PORT", requires = "landing_mac")]
    pub(crate) ordinary_port: Option<u16>,
    /// Payload sizes, as a list that is repeated: BYTES, LO-HI (a random size of the range) and LO-HI/STEP
    /// (all sizes of the range in steps)
    #[arg(long, value_name = "SIZES", default_value = "7168")]
    pub(crate) txsize: Sizes,
    /// Addresses that tx sends to in turn, eight datagrams to each [default: DST of --tx-ip]
    #[arg(long, value_name = "IP,IP", value_delimiter = ',')]
    pub(crate) tx_to: Vec<Ipv4Addr>,
    /// The least time between two datagrams of tx or ping, in microseconds
    #[arg(long, value_name = "US", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=60_000_000))]
    pub(crate) tx_interval: u64,
    /// With tx: after --count datagrams were sent, continue to receive until stopped
    #[arg(long)]
    pub(crate) tx_stay: bool,
    /// The EAL lcore (-l) that runs admission control for all ports [default: none; it runs between two polls
    /// of a port]
    #[arg(long, value_name = "N")]
    pub(crate) ac_lcore: Option<u32>,
    /// End after N datagrams on each port: sent (tx), received (rx, echo) or pinged (ping)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Seed of payloads and random sizes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// End when nothing was received or sent for this time. A link that has not come up yet gets 5 s more
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) stop_after_idle: Option<u64>,
    /// With ping: end with exit code 1 if more than this percentage of the datagrams did not come back
    /// unchanged, 0 to 100. If none came back, the exit code is always 1
    #[arg(long, value_name = "PERCENT", value_parser = verdict::percent)]
    pub(crate) max_loss: Option<Percent>,
    /// Write a JSON object for each received datagram to a file, one per line
    #[arg(long, value_name = "FILE")]
    pub(crate) message_log: Option<PathBuf>,
    /// Write a JSON summary to a file at the end
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

impl Options {
    /// Parses the arguments after `--`.
    pub(crate) fn of(args: &[String]) -> Result<Self, NoOptions> {
        let options: Self = start::parse("lm-testpmd", args)?;
        options.port.check().map_err(NoOptions::Wrong)?;
        // At a prompt, and in a command file, commands may choose another mode.
        let fixed = !options.interactive && options.cmdline_file.is_none();
        if options.max_loss.is_some() && fixed && options.forward_mode.name != "ping" {
            let why =
                format!("--max-loss is for pings, and this is --forward-mode={}", options.forward_mode.name);
            return Err(NoOptions::Wrong(why));
        }
        options.port.needs_ac("--ac-lcore", options.ac_lcore.is_some()).map_err(NoOptions::Wrong)?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use lm_proto::policy::Require;

    use super::*;
    use crate::parse::UdpPorts;
    use crate::words::words;

    fn options(line: &str) -> Result<Options, NoOptions> {
        Options::of(&words(line))
    }

    fn wrong(line: &str) -> String {
        match options(line) {
            Err(NoOptions::Wrong(text)) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_is_no_number_is_told_in_plain_words() {
        for (value, says) in
            [("abc", "a whole number"), ("", "a whole number"), ("9".repeat(30).as_str(), "too large")]
        {
            let why = wrong(&format!("--count={value}"));
            assert!(why.contains(says) && !why.contains("target type"), "{why}");
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn defaults() {
        let o = options("").expect("no options");
        let l = &o.port.landing;
        assert_eq!((l.rxd, l.txd, l.burst, l.mtu, l.region), (512, None, 32, 1500, 4 << 20));
        assert_eq!(o.forward_mode.name, "rx");
        assert_eq!(o.port.require, Require::default());
        assert_eq!(o.port.tx_udp, UdpPorts { src: 9, dst: 9 });
    }

    #[test]
    fn testpmds_spelling() {
        let o = options(
            "-i -a --forward-mode=ping --eth-peer=0,02:00:00:00:00:01 --eth-peer=1,02:00:00:00:00:02",
        );
        let o = o.expect("options");
        assert!(o.interactive && o.auto_start && o.port.eth_peer.len() == 2 && o.forward_mode.name == "ping");
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
            ("--ac=exclusive --ac-flush-gap=20000", "10000"),
            ("--ac-flush-gap=20", "--ac=exclusive"),
            ("--tx-to=198.18.0.1,x", "'x'"),
            ("--forward-mode=ping --max-loss=101", "0 to 100"),
            ("--forward-mode=ping --max-loss=-1", "0 to 100"),
            ("--forward-mode=ping --max-loss=", "0 to 100"),
            ("--max-loss=1", "--forward-mode=rx"),
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
