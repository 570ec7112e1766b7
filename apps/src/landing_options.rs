//! [`LandingOptions`]: the options for a port's queues, memory and wire, which all three programs have.
//!
//! lmd includes them directly, lm-testpmd and lm-netpipe through [`crate::port_options`]. clap checks the
//! range of each value, and [`LandingOptions::check`] the MTU. [`LandingOptions::tell`] copies them into the
//! `PortConfig` from which `lm-node` opens a port.

use std::time::Duration;

use clap::{Args, ValueEnum};
use lm_node::config::PortConfig;
use lm_node::receive_mode::{Idler, RxMode};
use lm_proto::layout::Geometry;

use crate::parse::{self, PeerOrder, RelaxedOrdering};

/// What a receive loop does while it finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// The loop polls on.
    Poll,
    /// The loop sleeps until a frame causes an interrupt.
    Interrupt,
    /// The loop polls while there is traffic, and sleeps after --rx-idle.
    Adaptive,
}

impl From<Mode> for RxMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Poll => Self::Poll,
            Mode::Interrupt => Self::Interrupt,
            Mode::Adaptive => Self::Adaptive,
        }
    }
}

/// Queues, memory and wire of a port.
#[derive(Clone, Debug, Args)]
pub(crate) struct LandingOptions {
    /// Descriptors of each receive queue
    #[arg(long, value_name = "N", default_value_t = 512)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=32_768))]
    pub(crate) rxd: u16,
    /// Descriptors of the transmit queue [default: 512; 64 on cards and virtio-user, where each descriptor
    /// keeps a send buffer of 64 KB until it is used again]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32_768))]
    pub(crate) txd: Option<u16>,
    /// Frames that one poll takes
    #[arg(long, value_name = "N", default_value_t = 32)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) burst: u16,
    /// What the receive loop does while it finds nothing. interrupt and adaptive need a device that can
    /// interrupt: igb on vfio-pci, em on uio_pci_generic, net_tap. lmd polls other devices 500 to 20,000
    /// times a second [default: poll; lmd: adaptive]
    #[arg(long, value_name = "MODE", value_enum)]
    pub(crate) rx_mode: Option<Mode>,
    /// With --rx-mode=adaptive: microseconds without a frame after which the loop sleeps
    #[arg(long, value_name = "US", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub(crate) rx_idle: u64,
    /// MTU of the link: bytes of an IP packet, 576..=9216
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    #[arg(value_parser = clap::value_parser!(u16).range(576..=9216))]
    pub(crate) mtu: u16,
    /// The order in which the fragments of a datagram are sent: reverse (last first), forward, or auto:
    /// reverse to LM nodes, which say so in ARP and in their datagrams, and forward to kernels and multicast
    /// groups
    #[arg(long, value_name = "ORDER", default_value = "auto", value_parser = parse::order)]
    pub(crate) order: PeerOrder,
    /// How many datagrams each landing queue can put together from fragments at once, 1..=256. Each needs a
    /// buffer of 64 KiB. As many senders can interleave their fragments
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) reassembly: u16,
    /// assume-off lets slots overlap on a card even if LM cannot prove that relaxed ordering is off. If it is
    /// on, payloads are then damaged silently
    #[arg(long, value_name = "WORD", value_parser = parse::relaxed_ordering, default_value = "prove")]
    pub(crate) unsafe_relaxed_ordering: RelaxedOrdering,
    /// on: use the IP identification and the sum that an igb card can report of each frame, and the sum that
    /// an em card reports, after comparing them with the first frames. off: for bundles of links in which
    /// frames can overtake each other
    #[arg(long, value_name = "WORD", value_parser = parse::card_words, action = clap::ArgAction::Set)]
    #[arg(default_value = "on")]
    pub(crate) card_words: bool,
    /// Bytes of each port's landing region, at most half of the machine's memory; may end in K, M or G
    #[arg(long, value_name = "BYTES", default_value = "4M", value_parser = parse::region)]
    pub(crate) region: usize,
    /// Map the landing region only once, even if it could be mapped twice. Datagrams across its end are then
    /// copied
    #[arg(long)]
    pub(crate) no_mirror: bool,
}

impl LandingOptions {
    /// What a receive loop does while it finds nothing, in a program with this default.
    pub(crate) fn mode(&self, default: Mode) -> Mode {
        self.rx_mode.unwrap_or(default)
    }

    /// When a loop may sleep, in a program with this default.
    pub(crate) fn idler(&self, default: Mode) -> Idler {
        Idler::new(self.mode(default).into(), Duration::from_micros(self.rx_idle))
    }

    /// Tells a node of a port, in a program with this default of `--rx-mode`.
    pub(crate) fn tell(&self, config: &mut PortConfig, default: Mode) {
        config.rxd = self.rxd;
        config.txd = self.txd;
        config.burst = self.burst;
        config.interrupts = self.mode(default) != Mode::Poll;
        config.mtu = self.mtu;
        config.order = self.order.0;
        config.reassembly = self.reassembly;
        config.assume_ordered = self.unsafe_relaxed_ordering == RelaxedOrdering::AssumeOff;
        config.card_words = self.card_words;
        config.region = self.region;
        config.no_mirror = self.no_mirror;
    }

    /// Checks what clap cannot: the MTU must suit the layout of fragments.
    pub(crate) fn check(&self) -> Result<(), String> {
        Geometry::new(self.mtu).map(drop).map_err(|e| format!("--mtu={}: {e}", self.mtu))
    }
}
