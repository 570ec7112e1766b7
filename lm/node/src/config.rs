//! [`PortConfig`]: what a node is told of a port, and of the ends of the wire.

use std::time::Duration;

use ac::{Key, Policy};
use lm_landing::SlotLayout;
use lm_proto::alf::ChecksumMode;
use lm_proto::policy::Require;
use lm_proto::wire::{Flow, Mac};

/// A port, addresses, and what counts as proof.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PortConfig {
    /// Descriptors to receive into.
    pub rxd: u16,
    /// Descriptors to send from; `None`: what suits the device.
    pub txd: Option<u16>,
    /// Frames that one poll takes.
    pub burst: u16,
    /// Whether receive interrupts are set up, so that a loop may sleep.
    pub interrupts: bool,
    /// mbufs of the landing pool; `None`: some more than `rxd`.
    pub mbufs: Option<u32>,
    /// The peer's MAC address; `None`: it is asked for by ARP.
    pub peer_mac: Option<Mac>,
    /// From us to the peer: our address is the one that ARP is answered for.
    pub flow: Flow,
    /// Bytes of IP packet on the link.
    pub mtu: u16,
    /// UDP checksums of what is sent.
    pub checksum: ChecksumMode,
    /// What proves that a datagram is whole.
    pub require: Require,
    /// Datagrams that each landing queue puts together from fragments at once.
    pub reassembly: u16,
    /// How frames land; `None`: overlapping where the device allows it.
    pub layout: Option<SlotLayout>,
    /// The user promises that relaxed ordering is off, where that cannot be proven.
    pub assume_ordered: bool,
    /// Addresses that are steered to landing queues of their own; none: there is one queue, for all.
    pub landing_macs: Vec<Mac>,
    /// Admission control; `None`: off.
    pub admission: Option<AdmissionConfig>,
    /// Bytes of the landing region.
    pub region: usize,
    /// The landing region is mapped once, also where it could be mapped twice.
    pub no_mirror: bool,
}

/// Admission control. All nodes of a cluster have the same.
#[derive(Clone, Debug)]
pub struct AdmissionConfig {
    /// How grants are given.
    pub policy: Policy,
    /// How long a receiver waits behind the end of a grant; `None`: until its ring has been flushed.
    pub drain: Option<Duration>,
    /// Between two lots of flush frames.
    pub flush_gap: Duration,
}

/// Who a node is to the others of its cluster, for as long as its port is started.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster's key; `None`: control messages are believed unsigned.
    pub key: Option<Key>,
    /// The number of this life: another one for each start.
    pub incarnation: u64,
}

impl Default for Identity {
    /// No key, and any number.
    fn default() -> Self {
        Self { key: None, incarnation: ac::Config::any_incarnation() }
    }
}

impl PortConfig {
    /// What suits most, for a node that sends and receives as `flow` says.
    pub fn new(flow: Flow) -> Self {
        Self {
            rxd: 512,
            txd: None,
            burst: 32,
            interrupts: false,
            mbufs: None,
            peer_mac: None,
            flow,
            mtu: 1500,
            checksum: ChecksumMode::Full,
            require: Require::default(),
            reassembly: 64,
            layout: None,
            assume_ordered: false,
            landing_macs: Vec::new(),
            admission: None,
            region: 4 << 20,
            no_mirror: false,
        }
    }

    /// How frames land first, if it matters: separate until somebody is admitted.
    pub fn first_layout(&self) -> Option<SlotLayout> {
        self.layout.or(self.admission.as_ref().map(|_| SlotLayout::Separate))
    }

    /// Between two lots of flush frames.
    pub fn flush_gap(&self) -> Duration {
        self.admission.as_ref().map_or(Duration::ZERO, |admission| admission.flush_gap)
    }
}
