//! [`PortOptions`]: the options of lm-testpmd and lm-netpipe for ports and for the two ends of the wire.
//!
//! Both programs include them in their own options. [`PortOptions::check`] is called once, after parsing; it
//! refuses values that contradict each other. [`PortOptions::config`] makes the settings of one port for
//! `lm-node`. [`PortOptions::identity`] takes the next number of `--ac-state`, so lm-testpmd calls it once
//! for each start of a port.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lm_node::config::{AdmissionConfig, Identity, PortConfig};
use lm_node::receive_mode::Idler;
use lm_proto::alf::ChecksumMode;
use lm_proto::policy::Require;
use lm_proto::wire::{Flow, Mac};
use rte::port::PortId;

use crate::landing_options::{LandingOptions, Mode};
use crate::parse::{self, Addresses, Peer, Slots, UdpPorts};
use crate::{ac_policy, ac_state, key_file};

/// What a receive loop of lm-testpmd and lm-netpipe does by default while it finds nothing.
const RX_MODE: Mode = Mode::Poll;

/// Ports, addresses, and what counts as proof.
#[derive(Clone, Debug, Args)]
pub(crate) struct PortOptions {
    /// Queues, memory and wire
    #[command(flatten)]
    pub(crate) landing: LandingOptions,
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
    /// UDP checksums of sent datagrams: full (computed) or zero (none)
    #[arg(long, value_name = "MODE", default_value = "full", value_parser = parse::checksum)]
    pub(crate) checksum: ChecksumMode,
    /// The accepted proofs that a datagram is whole: one or more of headers, checksum, tags. Use tags only
    /// where no other node's frames arrive
    #[arg(long, value_name = "SET", default_value = "headers,checksum", value_parser = parse::require)]
    pub(crate) require: Require,
    /// Layout of the slots in which frames land: overlapping (a datagram lies in one piece), separate (a
    /// piece for each fragment, copied together where one piece is needed), or auto: separate at first, and
    /// overlapping while a series of datagrams, a grant or steering shows that only LM sends
    #[arg(long, value_name = "LAYOUT", value_parser = parse::slots, default_value = "auto")]
    pub(crate) slots: Slots,
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
    /// Microseconds that a receiver waits for late frames after the end of a grant. Needed if there are
    /// several paths between the nodes, and on links below a gigabit [default: until the ring has been
    /// flushed, at most 1 µs for each flush frame plus 50 µs]
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub(crate) ac_drain: Option<u64>,
    /// Microseconds of pause after every 64 flush frames. Set it on all nodes of a cluster if receivers share
    /// their CPUs with other processes [default: none]
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u64).range(..=10_000))]
    pub(crate) ac_flush_gap: Option<u64>,
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
        self.landing.tell(&mut config, RX_MODE);
        config.mbufs = self.total_num_mbufs;
        config.checksum = self.checksum;
        config.require = self.require;
        config.layout = self.slots.0;
        config.landing_macs.clone_from(&self.landing_mac);
        config.admission = self.ac.map(|policy| AdmissionConfig {
            policy,
            drain: self.ac_drain.map(Duration::from_micros),
            flush_gap: Duration::from_micros(self.ac_flush_gap.unwrap_or(0)),
        });
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

    /// What the receive loop does while it finds nothing.
    pub(crate) fn rx_mode(&self) -> Mode {
        self.landing.mode(RX_MODE)
    }

    /// When a loop may sleep.
    pub(crate) fn idler(&self) -> Idler {
        self.landing.idler(RX_MODE)
    }

    /// Refuses the option `name`, if it was given, where admission control is off.
    pub(crate) fn needs_ac(&self, name: &str, given: bool) -> Result<(), String> {
        if given && self.ac.is_none() {
            return Err(format!("{name} is of no use without --ac=exclusive or --ac=per-receiver"));
        }
        Ok(())
    }

    /// Checks values that depend on each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.landing.check()?;
        self.needs_ac("--ac-key-file", self.ac_key_file.is_some())?;
        self.needs_ac("--ac-state", self.ac_state.is_some())?;
        self.needs_ac("--ac-drain", self.ac_drain.is_some())?;
        self.needs_ac("--ac-flush-gap", self.ac_flush_gap.is_some())?;
        if let Some(path) = &self.ac_state {
            ac_state::read(path)?;
        }
        let LandingOptions { rxd, burst, .. } = self.landing;
        let least = u32::from(rxd) + u32::from(burst);
        match self.total_num_mbufs {
            Some(n) if n < least => Err(format!(
                "--total-num-mbufs={n} is too few for --rxd={rxd} and --burst={burst}: give {least} or more"
            )),
            _ => Ok(()),
        }
    }
}
