//! The options of lmd: everything on the command line after `--`.
//!
//! [`super::begin`] calls [`Options::of`] before EAL starts. [`super::configuration`] adds the options of the
//! file of `--config` to the command line before that. Values that do not fit are refused in one line.

use std::time::Duration;

use clap::Parser;
use lm_landing::SlotLayout;
use lm_node::config::{AdmissionConfig, PortConfig};
use lm_node::receive_mode::Idler;
use lm_proto::wire::{Flow, Mac};

use crate::ac_policy;
use crate::landing_options::{LandingOptions, Mode};
use crate::parse;
use crate::start::{self, NoOptions};

/// What lmd's loop does that finds nothing.
const RX_MODE: Mode = Mode::Adaptive;
/// Frames that one poll takes at most: nearly all of them are handed out as frames, and a receiver keeps 256
/// of those until it is asked for them, when the poll has ended.
const MOST_BURST: u16 = 128;

/// Owns a DPDK port and gives the kernel an ordinary interface, on which datagrams are whole.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "lmd",
    version,
    override_usage = "lmd [--config FILE] [--check] [EAL options] -- [options]\n       lmd \
    --take-over CARD [--force] [--dry-run] [EAL options] -- [options]\n       lmd --give-back [CARD] [--dry-run]\n       \
    lmd status [--file-prefix=NAME | --config FILE]"
)]
#[command(
    after_help = "--config FILE reads options from a TOML file: `eal` is a list of EAL's options, and each \
    other key is an option of lmd's without its dashes. --check says whether they are right, and does \
    nothing else. EAL options are those of every DPDK application: lmd --help lists them."
)]
pub(crate) struct Options {
    /// The interface that programs use. It stays when lmd ends, with its addresses and routes
    #[arg(long, value_name = "NAME", default_value = "lm0")]
    pub(crate) interface: String,
    /// The interface's MAC address [default: the card's]
    #[arg(long, value_name = "MAC", value_parser = parse::unicast)]
    pub(crate) mac: Option<Mac>,
    /// Move this network card from the kernel to DPDK, and give its addresses and routes to lmd's interface;
    /// at the end the card is given back
    #[arg(long, value_name = "CARD")]
    pub(crate) take_over: Option<String>,
    /// Give the card back that an lmd had which was killed, and end. Without a name: the one of --take-over,
    /// and without that each card that was taken
    #[arg(long, value_name = "CARD", num_args = 0..=1, default_missing_value = "")]
    pub(crate) give_back: Option<String>,
    /// With --take-over or --give-back: print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --take-over: move the machine's only default route, too
    #[arg(long)]
    pub(crate) force: bool,
    /// With --give-back: as soon as a byte comes on standard input; nothing if that ends before
    #[arg(long, hide = true)]
    pub(crate) when_told: bool,
    /// With --give-back: tell the process of this number, wait for its end, and end with --code
    #[arg(long, hide = true)]
    pub(crate) tell: Option<i32>,
    /// See --tell
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) code: u8,
    /// Queues, memory and wire
    #[command(flatten)]
    pub(crate) landing: LandingOptions,
    /// Whether the command line has an MTU
    #[arg(skip)]
    pub(crate) has_mtu: bool,
    /// Admission control between nodes of LM's: off, or per-receiver: a receiver is asked before large
    /// datagrams go to it. All nodes need the same
    #[arg(long, value_name = "POLICY", default_value = "off", value_parser = ac_policy::per_receiver)]
    pub(crate) ac: ac_policy::Choice,
    /// How frames land: overlapping, where all large datagrams are LM's; or separate
    #[arg(long, value_name = "LAYOUT", value_parser = parse::layout, default_value = "separate")]
    pub(crate) slots: SlotLayout,
    /// Whether the kernel may give lmd TCP over IPv4 that is longer than a frame, to be cut into segments
    #[arg(long, value_name = "on|off", value_enum, hide_possible_values = true, default_value = "on")]
    pub(crate) tso: Switch,
    /// Whether TCP segments over IPv4 that arrive together are joined for the kernel
    #[arg(long, value_name = "on|off", value_enum, hide_possible_values = true, default_value = "on")]
    pub(crate) gro: Switch,
}

/// Something that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    /// It is done.
    On,
    /// It is not.
    Off,
}

impl Options {
    /// Parses what stands behind `--`.
    pub(crate) fn of(args: &[String]) -> Result<Self, NoOptions> {
        let mut options: Self = start::parse("lmd", args)?;
        options.has_mtu = args.iter().any(|word| word == "--mtu" || word.starts_with("--mtu="));
        let bad = |why: String| NoOptions::Wrong(why);
        options.landing.check().map_err(bad)?;
        let burst = options.landing.burst;
        if burst > MOST_BURST {
            return Err(bad(format!("--burst={burst}: lmd takes {MOST_BURST} frames at once at most")));
        }
        let mut names = vec![("interface", &options.interface)];
        names.extend(options.take_over.as_ref().map(|name| ("take-over", name)));
        names.extend(
            options.give_back.as_ref().filter(|name| !name.is_empty()).map(|name| ("give-back", name)),
        );
        for (option, name) in names {
            lm_tap::Interface::new(name).map_err(|e| bad(format!("--{option}={name:?}: {e}")))?;
        }
        let moves = options.take_over.is_some() || options.give_back.is_some();
        if (options.dry_run || options.force) && !moves {
            let name = if options.force { "--force" } else { "--dry-run" };
            return Err(bad(format!("{name} is of no use without --take-over")));
        }
        Ok(options)
    }

    /// Takes MAC address and MTU of a card where the command line has none.
    pub(crate) fn complete(&mut self, mac: Mac, mtu: u32) {
        self.mac = self.mac.or(Some(mac));
        if let Some(mtu) = u16::try_from(mtu).ok().filter(|_| !self.has_mtu) {
            self.landing.mtu = mtu;
        }
    }

    /// What the node is told of its port.
    pub(crate) fn config(&self) -> PortConfig {
        // The kernel has the addresses: the node neither answers ARP nor asks.
        let mut config = PortConfig::new(Flow::default());
        self.landing.tell(&mut config, RX_MODE);
        config.layout = Some(self.slots);
        config.only_fragmented = true;
        config
    }

    /// Admission control, if it is on.
    pub(crate) fn admission(&self) -> Option<AdmissionConfig> {
        self.ac.map(|policy| AdmissionConfig { policy, drain: None, flush_gap: Duration::ZERO })
    }

    /// What the loop does that finds nothing.
    pub(crate) fn rx_mode(&self) -> Mode {
        self.landing.mode(RX_MODE)
    }

    /// When the loop may sleep.
    pub(crate) fn idler(&self) -> Idler {
        self.landing.idler(RX_MODE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::PeerOrder;
    use crate::words::words;

    fn options(line: &str) -> Result<Options, NoOptions> {
        Options::of(&words(line))
    }

    #[test]
    fn the_definition_is_consistent() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn defaults() {
        let o = options("").expect("no options");
        assert_eq!(
            (o.interface.as_str(), o.landing.mtu, o.rx_mode(), o.slots),
            ("lm0", 1500, Mode::Adaptive, SlotLayout::Separate)
        );
        assert_eq!(o.landing.order, PeerOrder(None));
        assert!(o.config().only_fragmented && o.config().interrupts);
    }

    #[test]
    fn what_is_said_is_not_taken_from_the_card() {
        for (line, mtu) in [("", 9000), ("--mtu=1500", 1500), ("--mtu 1500", 1500), ("--mtu=2000", 2000)] {
            let mut o = options(line).expect(line);
            o.complete([2, 0, 0, 0, 0, 1], 9000);
            assert_eq!((o.landing.mtu, o.mac), (mtu, Some([2, 0, 0, 0, 0, 1])), "{line}");
        }
        let mut o = options("--mac=02:00:00:00:00:02").expect("a MAC address");
        o.complete([2, 0, 0, 0, 0, 1], 1500);
        assert_eq!(o.mac, Some([2, 0, 0, 0, 0, 2]));
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
            ("--mac=002:00:00:00:00:01", "002"),
            ("--mac=+2:00:00:00:00:01", "+2"),
            ("--mtu=575", "576"),
            ("--rx-mode=sleep", "sleep"),
            ("--slots=both", "both"),
            ("--order=random", "random"),
            ("--burst=129", "129"),
            ("--tso=yes", "yes"),
            ("--gro=maybe", "maybe"),
            ("--ac=exclusive", "exclusive"),
            ("--take-over=a/b", "a/b"),
            ("--take-over=", "\"\""),
            ("--give-back=sixteen--letters", "sixteen--letters"),
            ("--force", "--force"),
            ("--dry-run", "--dry-run"),
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
