//! [`PortOptions`]: the options of lm-testpmd and lm-netpipe for ports and for the two ends of the wire.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use lm_node::config::{AdmissionConfig, Identity, PortConfig};
use lm_proto::alf::ChecksumMode;
use lm_proto::policy::Require;
use lm_proto::wire::{Flow, Mac};
use rte::port::PortId;

use crate::parse::{self, Addresses, Peer, PeerOrder, RelaxedOrdering, Slots, UdpPorts};
use crate::{ac_policy, ac_state, key_file};
use lm_node::receive_mode::{Idler, RxMode};

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

/// Ports, addresses, and what counts as proof.
#[derive(Clone, Debug, Args)]
pub(crate) struct PortOptions {
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
    /// interrupt: igb on vfio-pci, em on uio_pci_generic, net_tap
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Mode::Poll)]
    pub(crate) rx_mode: Mode,
    /// With --rx-mode=adaptive: microseconds without a frame after which the loop sleeps
    #[arg(long, value_name = "US", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub(crate) rx_idle: u64,
    /// After this many polls in a row that found nothing, yield the CPU after each poll. Use 0 if both ends
    /// of a wire share one CPU [default: 256; lm-netpipe: 1024]
    #[arg(long, value_name = "N")]
    pub(crate) yield_after: Option<u32>,
    /// mbufs of each port's landing pool [default: rxd + 576]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) total_num_mbufs: Option<u32>,
    /// The peer's MAC address on a port; may be repeated [default: LM asks for it by ARP]
    #[arg(long, value_name = "PORT,MAC", value_parser = parse::peer)]
    pub(crate) eth_peer: Vec<Peer>,
    /// This node's IPv4 address, and the peer's
    #[arg(long, value_name = "SRC,DST", default_value = "198.18.0.1,198.18.0.2")]
    #[arg(value_parser = parse::addresses)]
    pub(crate) tx_ip: Addresses,
    /// UDP ports of this node and of the peer
    #[arg(long, value_name = "SRC,DST", default_value = "9,9", value_parser = parse::udp_ports)]
    pub(crate) tx_udp: UdpPorts,
    /// MTU of the link: bytes of an IP packet, 576..=9216
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    #[arg(value_parser = clap::value_parser!(u16).range(576..=9216))]
    pub(crate) mtu: u16,
    /// UDP checksums of sent datagrams: full (computed) or zero (none)
    #[arg(long, value_name = "MODE", default_value = "full", value_parser = parse::checksum)]
    pub(crate) checksum: ChecksumMode,
    /// The order in which the fragments of a datagram are sent: reverse (last first), forward, or auto:
    /// reverse to LM nodes, which say so in ARP and in their datagrams, and forward to kernels and multicast
    /// groups
    #[arg(long, value_name = "ORDER", default_value = "auto", value_parser = parse::order)]
    pub(crate) order: PeerOrder,
    /// The proofs that a datagram is whole which are accepted: one or more of headers, checksum, tags. Use
    /// tags only where no other node's frames arrive
    #[arg(long, value_name = "SET", default_value = "headers,checksum", value_parser = parse::require)]
    pub(crate) require: Require,
    /// How many datagrams each landing queue can put together from fragments at once, 1..=256. Each needs a
    /// buffer of 64 KiB. So many senders may interleave their fragments
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) reassembly: u16,
    /// Layout of the slots in which frames land: overlapping (no copy), separate (one copy), or auto:
    /// separate at first, and overlapping while a series of datagrams, a grant or steering shows that only LM
    /// sends
    #[arg(long, value_name = "LAYOUT", value_parser = parse::slots, default_value = "auto")]
    pub(crate) slots: Slots,
    /// assume-off lets slots overlap on a card even if LM cannot prove that relaxed ordering is off. If it is
    /// on, payloads are then damaged silently
    #[arg(long, value_name = "WORD", value_parser = parse::relaxed_ordering, default_value = "prove")]
    pub(crate) unsafe_relaxed_ordering: RelaxedOrdering,
    /// Steer frames for each of these addresses to a landing queue of its own, and all others to queue 0
    /// (82576)
    #[arg(long, value_name = "MAC,MAC", value_delimiter = ',', value_parser = parse::landing_mac)]
    pub(crate) landing_mac: Vec<Mac>,
    /// Admission control: off; exclusive (one node of the cluster lands at a time, as in the paper); or
    /// per-receiver (each node decides for itself). All nodes of a cluster need the same
    #[arg(long, value_name = "POLICY", default_value = "off", value_parser = ac_policy::policy)]
    pub(crate) ac: ac_policy::Choice,
    /// File with the cluster's key, as 32 bytes or 64 hexadecimal digits; only its owner may have access.
    /// Without a key, control messages are not signed
    #[arg(long, value_name = "FILE")]
    pub(crate) ac_key_file: Option<PathBuf>,
    /// File that keeps the number (incarnation) of this node's last start; the next start gets the next
    /// number. Without the file, a random number is drawn. Both are safe
    #[arg(long, value_name = "FILE")]
    pub(crate) ac_state: Option<PathBuf>,
    /// Microseconds that a receiver waits after the end of a grant for late frames; needed with several
    /// paths, and on links below a gigabit [default: until the ring has been flushed, at most 1 µs for each
    /// flush frame plus 50 µs]
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub(crate) ac_drain: Option<u64>,
    /// Microseconds of pause after each 64 flush frames; set it on all nodes of a cluster if receivers share
    /// their CPUs with other processes [default: none]
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u64).range(..=10_000))]
    pub(crate) ac_flush_gap: Option<u64>,
    /// Bytes of each port's landing region, at most half of the machine's memory; may end in K, M or G
    #[arg(long, value_name = "BYTES", default_value = "4M", value_parser = parse::region)]
    pub(crate) region: usize,
    /// Map the landing region only once, even if it could be mapped twice. Datagrams across its end are then
    /// copied
    #[arg(long)]
    pub(crate) no_mirror: bool,
}

impl PortOptions {
    /// The node's settings for this port.
    pub(crate) fn config(&self, port: PortId) -> PortConfig {
        let mut config = self.every_port();
        config.peer_mac = self.eth_peer.iter().rev().find(|peer| peer.port == port.0).map(|peer| peer.mac);
        config
    }

    /// The node's settings that are the same for every port: all but the peer's MAC address.
    pub(crate) fn every_port(&self) -> PortConfig {
        let flow = Flow {
            src: self.tx_ip.src,
            dst: self.tx_ip.dst,
            src_port: self.tx_udp.src,
            dst_port: self.tx_udp.dst,
        };
        let mut config = PortConfig::new(flow);
        config.rxd = self.rxd;
        config.txd = self.txd;
        config.burst = self.burst;
        config.interrupts = self.rx_mode != Mode::Poll;
        config.mbufs = self.total_num_mbufs;
        config.mtu = self.mtu;
        config.checksum = self.checksum;
        config.order = self.order.0;
        config.require = self.require;
        config.reassembly = self.reassembly;
        config.layout = self.slots.0;
        config.assume_ordered = self.unsafe_relaxed_ordering == RelaxedOrdering::AssumeOff;
        config.landing_macs.clone_from(&self.landing_mac);
        config.admission = self.ac.map(|policy| AdmissionConfig {
            policy,
            drain: self.ac_drain.map(Duration::from_micros),
            flush_gap: Duration::from_micros(self.ac_flush_gap.unwrap_or(0)),
        });
        config.region = self.region;
        config.no_mirror = self.no_mirror;
        config
    }

    /// The node's identity from its next start on: reads the key, and takes a new incarnation number.
    pub(crate) fn identity(&self) -> Result<Identity, String> {
        let mut identity = Identity::default();
        if self.ac.is_some() {
            identity.key = self.ac_key_file.as_deref().map(key_file::read).transpose()?;
            if let Some(path) = &self.ac_state {
                identity.incarnation = ac_state::next(path)?;
            }
        }
        Ok(identity)
    }

    /// When a loop may sleep.
    pub(crate) fn idler(&self) -> Idler {
        Idler::new(self.rx_mode.into(), Duration::from_micros(self.rx_idle))
    }

    /// An option that is of use with admission control only.
    pub(crate) fn needs_ac(&self, name: &str, given: bool) -> Result<(), String> {
        if given && self.ac.is_none() {
            return Err(format!("{name} is of no use without --ac=exclusive or --ac=per-receiver"));
        }
        Ok(())
    }

    /// Checks values that depend on each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        lm_proto::layout::Geometry::new(self.mtu).map_err(|e| format!("--mtu={}: {e}", self.mtu))?;
        self.needs_ac("--ac-key-file", self.ac_key_file.is_some())?;
        self.needs_ac("--ac-state", self.ac_state.is_some())?;
        self.needs_ac("--ac-drain", self.ac_drain.is_some())?;
        self.needs_ac("--ac-flush-gap", self.ac_flush_gap.is_some())?;
        if let Some(path) = &self.ac_state {
            ac_state::read(path)?;
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
