//! The command line behind `--`.

use std::time::Duration;

use clap::Parser;
use lm_landing::SlotLayout;
use lm_node::config::PortConfig;
use lm_node::receive_mode::Idler;
use lm_proto::layout::Geometry;
use lm_proto::wire::{Flow, Mac};

use crate::parse::{self, PeerOrder, RelaxedOrdering};
use crate::port_options::Mode;
use crate::start::{self, NoOptions};

/// Owns a DPDK port and gives the kernel an ordinary interface, on which datagrams are whole.
#[derive(Clone, Debug, Parser)]
#[command(name = "lmd", version, override_usage = "lmd [EAL options] -- [options]")]
#[command(after_help = "EAL options are those of every DPDK application: lmd --help lists them.")]
pub(crate) struct Options {
    /// The interface that programs use. It stays when lmd ends, with its addresses and routes
    #[arg(long, value_name = "NAME", default_value = "lm0")]
    pub(crate) interface: String,
    /// The interface's MAC address [default: the card's]
    #[arg(long, value_name = "MAC", value_parser = unicast)]
    pub(crate) mac: Option<Mac>,
    /// Bytes of IP packet on the wire, 576..=9216
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    #[arg(value_parser = clap::value_parser!(u16).range(576..=9216))]
    pub(crate) mtu: u16,
    /// What the loop does that finds nothing: poll on; sleep until a frame comes; or poll under load and
    /// sleep after an idle spell. A device that cannot interrupt is looked at 1,000 to 20,000 times a second
    /// then
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Mode::Adaptive)]
    pub(crate) rx_mode: Mode,
    /// Microseconds without a frame after which adaptive sleeps
    #[arg(long, value_name = "US", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub(crate) rx_idle: u64,
    /// Descriptors to receive into
    #[arg(long, value_name = "N", default_value_t = 512)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=32_768))]
    pub(crate) rxd: u16,
    /// Descriptors to send from [default: as many as suit the device]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32_768))]
    pub(crate) txd: Option<u16>,
    /// Frames that one poll takes
    #[arg(long, value_name = "N", default_value_t = 32)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=128))]
    pub(crate) burst: u16,
    /// Datagrams that are put together from fragments at once, in a buffer of 64 KiB each
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) reassembly: u16,
    /// How frames land: overlapping, where all large datagrams are LM's; or separate
    #[arg(long, value_name = "LAYOUT", value_parser = parse::layout, default_value = "separate")]
    pub(crate) slots: SlotLayout,
    /// In which order fragments are sent: reverse, forward, or auto: in reverse to nodes of LM's, which say
    /// so in ARP and in their datagrams, in forward order to kernels and groups
    #[arg(long, value_name = "ORDER", default_value = "auto", value_parser = parse::order)]
    pub(crate) order: PeerOrder,
    /// Let slots overlap on a card of which it cannot be proven that relaxed ordering is off: assume-off
    #[arg(long, value_name = "WORD", value_parser = parse::relaxed_ordering, default_value = "prove")]
    pub(crate) unsafe_relaxed_ordering: RelaxedOrdering,
    /// Bytes of the landing region; K, M and G may stand behind them
    #[arg(long, value_name = "BYTES", default_value = "4M", value_parser = parse::region)]
    pub(crate) region: usize,
    /// Map the landing region once, also where it could be mapped twice
    #[arg(long)]
    pub(crate) no_mirror: bool,
}

/// A MAC address that an interface can have.
fn unicast(text: &str) -> Result<Mac, String> {
    let bytes: Vec<_> = text
        .split(':')
        .map(|b| u8::from_str_radix(b, 16).ok().filter(|_| b.len() == 2 && !b.starts_with('+')))
        .collect();
    let bytes: Option<Vec<u8>> = bytes.into_iter().collect();
    let mac = bytes.and_then(|bytes| Mac::try_from(bytes).ok());
    mac.filter(|mac| mac[0] & 1 == 0 && *mac != [0; 6])
        .ok_or_else(|| format!("{text:?} is no MAC address of one interface: write it as 02:00:00:00:00:01"))
}

impl Options {
    /// Parses what stands behind `--`.
    pub(crate) fn of(args: &[String]) -> Result<Self, NoOptions> {
        let options: Self = start::parse("lmd", args)?;
        let bad = |why: String| NoOptions::Wrong(why);
        Geometry::new(options.mtu).map_err(|e| bad(format!("--mtu={}: {e}", options.mtu)))?;
        lm_tap::Interface::new(&options.interface)
            .map_err(|e| bad(format!("--interface={:?}: {e}", options.interface)))?;
        Ok(options)
    }

    /// What the node is told of its port.
    pub(crate) fn config(&self) -> PortConfig {
        // The kernel has the addresses: the node neither answers ARP nor asks.
        let mut config = PortConfig::new(Flow::default());
        config.rxd = self.rxd;
        config.txd = self.txd;
        config.burst = self.burst;
        config.interrupts = self.rx_mode != Mode::Poll;
        config.mtu = self.mtu;
        config.reassembly = self.reassembly;
        config.layout = Some(self.slots);
        config.only_fragmented = true;
        config.order = self.order.0;
        config.assume_ordered = self.unsafe_relaxed_ordering == RelaxedOrdering::AssumeOff;
        config.region = self.region;
        config.no_mirror = self.no_mirror;
        config
    }

    /// When the loop may sleep.
    pub(crate) fn idler(&self) -> Idler {
        Idler::new(self.rx_mode.into(), Duration::from_micros(self.rx_idle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, NoOptions> {
        Options::of(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_definition_is_consistent() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn defaults() {
        let o = options("").expect("no options");
        assert_eq!(
            (o.interface.as_str(), o.mtu, o.rx_mode, o.slots),
            ("lm0", 1500, Mode::Adaptive, SlotLayout::Separate)
        );
        assert_eq!(o.order, PeerOrder(None));
        assert!(o.config().only_fragmented && o.config().interrupts);
    }

    #[test]
    fn wrong_options_are_one_line_with_the_value() {
        for (line, value) in [
            ("--interface=", "\"\""),
            ("--interface=a/b", "a/b"),
            ("--interface=lm%d", "lm%d"),
            ("--interface=sixteen--letters", "sixteen--letters"),
            ("--mac=1:2", "1:2"),
            ("--mac=01:00:5e:00:00:01", "01:00:5e:00:00:01"),
            ("--mac=00:00:00:00:00:00", "00:00"),
            ("--mac=2:0:0:0:0:0:1", "2:0"),
            ("--mac=+2:00:00:00:00:01", "+2"),
            ("--mtu=575", "576"),
            ("--rx-mode=sleep", "sleep"),
            ("--slots=both", "both"),
            ("--order=random", "random"),
            ("--tx-ip=1.2.3.4,1.2.3.5", "--tx-ip"),
            ("lm0", "lm0"),
        ] {
            match options(line) {
                Err(NoOptions::Wrong(text)) => {
                    assert!(text.contains(value) && !text.contains('\n'), "{line}: {text}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
