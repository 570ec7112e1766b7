//! [`PortConfig`]: the settings of a node's port and of its link.
//!
//! A program fills it in from its own options; [`NodePort`](crate::NodePort) reads it when the port is opened
//! and when it is started. Values are not checked here: the operation that uses a value refuses it.

use std::time::Duration;

use ac::{Key, Policy};
use lm_landing::SlotLayout;
use lm_proto::alf::ChecksumMode;
use lm_proto::order::Order;
use lm_proto::policy::Require;
use lm_proto::reassembler::Limits;
use lm_proto::wire::{Flow, Mac};

/// How a port is opened and started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PortConfig {
    /// Descriptors to receive into.
    pub rxd: u16,
    /// Descriptors to send from. `None`: as many as suit the device.
    pub txd: Option<u16>,
    /// Frames that one poll takes of a queue.
    pub burst: u16,
    /// Whether receive interrupts are set up, so that a loop may sleep.
    pub interrupts: bool,
    /// mbufs of the landing pool. `None`: `rxd` and some more.
    pub mbufs: Option<u32>,
    /// The MAC address that everything is sent to. `None`: each peer is asked for its own by ARP.
    pub peer_mac: Option<Mac>,
    /// The flow from this node to its peer. ARP is answered for its source address. It is the header's own
    /// [`Flow`] rather than two socket addresses because the sender takes it as it is; `lm::Config` is where
    /// users give `std::net` addresses.
    pub flow: Flow,
    /// The MTU: bytes of IP packet on the link, 576 to 9216.
    pub mtu: u16,
    /// In which order fragments are sent. `None`: in the order that suits the peer ([`lm_proto::order`]).
    pub order: Option<Order>,
    /// Whether UDP checksums are computed for what is sent.
    pub checksum: ChecksumMode,
    /// What proves that a datagram is whole.
    pub require: Require,
    /// Whether only what came in several fragments is a message. Everything else is handed out as the frame
    /// that it came in ([`Link::exchange`](crate::Link::exchange)).
    pub only_fragmented: bool,
    /// The node's hardware address, where it is not the device's: its own frames come from it, and a message
    /// was sent to it, if not to a group. Whatever came for another one is handed out as frames, as far as
    /// headers are intact. `None`: the device's, and a message may have been sent to any.
    pub only_to: Option<Mac>,
    /// Datagrams that each landing queue can be putting together from fragments at the same time.
    pub reassembly: u16,
    /// Whether datagrams whose fragments come to separate slots are given out in pieces, where they landed.
    /// Else they are copied together.
    pub in_pieces: bool,
    /// How slots are laid. `None`: by what arrives where the device allows both, so separate first, but
    /// overlapping where frames are steered. With admission control, grants decide.
    pub layout: Option<SlotLayout>,
    /// Whether the user promises that PCIe relaxed ordering is off, where that cannot be proven.
    pub assume_ordered: bool,
    /// Have the card say what it can of each frame ([`lm_proto::card`]).
    pub card_words: bool,
    /// MAC addresses whose frames are steered to landing queues of their own. Empty: one queue takes all
    /// frames.
    pub landing_macs: Vec<Mac>,
    /// Admission control. `None`: it is off.
    pub admission: Option<AdmissionConfig>,
    /// Bytes of each queue's landing region.
    pub region: usize,
    /// Whether the landing region is mapped only once, even where it could be mapped twice.
    pub no_mirror: bool,
}

/// How admission control works on a port. All nodes of a cluster are given the same.
#[derive(Clone, Debug)]
pub struct AdmissionConfig {
    /// How grants are given.
    pub policy: Policy,
    /// How long a receiver waits after the end of a grant. `None`: until its ring has been flushed.
    pub drain: Option<Duration>,
    /// The pause between two lots of flush frames.
    pub flush_gap: Duration,
}

/// Who a node is to the others of its cluster, for as long as its port is started.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The cluster's key. `None`: control messages are not signed, and are believed.
    pub key: Option<Key>,
    /// The number of this life of the node. Each start takes another one.
    pub incarnation: u64,
}

impl Default for Identity {
    /// No key, and an incarnation that no earlier life of the node is likely to have had.
    fn default() -> Self {
        Self { key: None, incarnation: ac::Config::any_incarnation() }
    }
}

impl PortConfig {
    /// What a receiver may keep of datagrams that are not whole yet.
    pub(crate) fn limits(&self) -> Limits {
        let default = Limits::default();
        let waiting = if self.in_pieces { default.waiting } else { 0 };
        Limits { datagrams: self.reassembly.into(), waiting, ..default }
    }

    /// Defaults that suit most nodes. `flow` is the flow from this node to its peer.
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
            order: None,
            checksum: ChecksumMode::Full,
            require: Require::default(),
            only_fragmented: false,
            only_to: None,
            reassembly: 64,
            in_pieces: true,
            layout: None,
            assume_ordered: false,
            card_words: true,
            landing_macs: Vec::new(),
            admission: None,
            region: 4 << 20,
            no_mirror: false,
        }
    }

    /// How slots are laid at the start. With admission control they are separate until a sender is admitted.
    /// `None`: as the device allows, or by what arrives.
    pub fn first_layout(&self) -> Option<SlotLayout> {
        self.layout.or(self.admission.as_ref().map(|_| SlotLayout::Separate))
    }

    /// Whether slots are laid by what arrives.
    pub fn is_auto(&self) -> bool {
        self.layout.is_none() && self.admission.is_none()
    }

    /// The pause between two lots of flush frames; none without admission control.
    pub fn flush_gap(&self) -> Duration {
        self.admission.as_ref().map_or(Duration::ZERO, |admission| admission.flush_gap)
    }
}
