//! [`Config`]: how a port is opened.
//!
//! The defaults fit most nodes, and each method changes one of them. [`Port::open`](crate::Port::open) and
//! [`Landing::create`](crate::Landing::create) take a configuration, and refuse values that are out of range.

use std::net::{Ipv4Addr, SocketAddrV4};

use ac::{Key, Policy};
use lm_landing::SlotLayout;
use lm_node::config::AdmissionConfig;
use lm_node::{Identity, PortConfig};
use lm_proto::alf::ChecksumMode;
use lm_proto::order::Order;
use lm_proto::policy::Require;
use lm_proto::wire::{Flow, Mac};

/// The UDP port that messages are sent from unless [`Config::udp_port`] says another.
const EPHEMERAL: u16 = 49_152;

/// How a port is opened: the node's address, and what differs from the defaults.
///
/// ```
/// use std::net::Ipv4Addr;
/// let config = lm::Config::new(Ipv4Addr::new(10, 1, 0, 2)).udp_port(7000).mtu(9000);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) node: PortConfig,
    /// The key that control messages are signed with, if admission control is on and the cluster has a key.
    pub(crate) key: Option<Key>,
    /// The UDP port whose datagrams are taken. `None`: datagrams to any port are.
    pub(crate) udp_port: Option<u16>,
}

impl Config {
    /// A node of this address, for which it answers ARP: MTU 1500, 512 descriptors to receive into, a landing
    /// region of 4 MiB, UDP checksums computed and verified, datagrams to any UDP port taken.
    pub fn new(address: Ipv4Addr) -> Self {
        let flow = Flow { src: address.to_bits(), dst: 0, src_port: EPHEMERAL, dst_port: 0 };
        Self { node: PortConfig::new(flow), key: None, udp_port: None }
    }

    /// Takes only datagrams to this UDP port, and sends from it. Default: datagrams to any port are taken,
    /// and messages are sent from port 49152, the first of the dynamic ports (RFC 6335, section 6).
    #[must_use]
    pub fn udp_port(mut self, port: u16) -> Self {
        self.node.flow.src_port = port;
        self.udp_port = Some(port);
        self
    }

    /// Bytes of IP packet on the link, 576 to 9216; all nodes of a link have the same. Default: 1500.
    #[must_use]
    pub fn mtu(mut self, bytes: u16) -> Self {
        self.node.mtu = bytes;
        self
    }

    /// What proves that a datagram is whole. Default: every header seen, or the UDP checksum verified.
    #[must_use]
    pub fn require(mut self, require: Require) -> Self {
        self.node.require = require;
        self
    }

    /// Whether UDP checksums are computed for what is sent. Default: they are.
    #[must_use]
    pub fn checksum(mut self, mode: ChecksumMode) -> Self {
        self.node.checksum = mode;
        self
    }

    /// In which order the fragments of all datagrams are sent. Default: in reverse to nodes of LM's, where
    /// they land without a copy, and in forward order to others and to groups, which suits kernels better.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.node.order = Some(order);
        self
    }

    /// Descriptors of each receive queue, 1 to 32,768 as the device allows. Default: 512.
    #[must_use]
    pub fn rx_descriptors(mut self, n: u16) -> Self {
        self.node.rxd = n;
        self
    }

    /// Descriptors to send from. Default: 512, or 64 where each keeps a send buffer of 64 KB until its turn
    /// comes again.
    #[must_use]
    pub fn tx_descriptors(mut self, n: u16) -> Self {
        self.node.txd = Some(n);
        self
    }

    /// Whether a loop may sleep until frames come: [`Port::interrupts`](crate::Port::interrupts). The device
    /// must be able to interrupt (igb, em, net_tap). Default: off.
    #[must_use]
    pub fn interrupts(mut self, on: bool) -> Self {
        self.node.interrupts = on;
        self
    }

    /// Frames that one poll takes of a queue, 1 to 512. Default: 32.
    #[must_use]
    pub fn burst(mut self, frames: u16) -> Self {
        self.node.burst = frames;
        self
    }

    /// Bytes of the landing region of each queue. It grows while messages are held. Default: 4 MiB.
    #[must_use]
    pub fn region(mut self, bytes: usize) -> Self {
        self.node.region = bytes;
        self
    }

    /// Datagrams that each queue can be putting together from interleaved fragments at the same time, 1 to
    /// 256. Each takes a buffer of 64 KiB. Default: 64.
    #[must_use]
    pub fn reassembly(mut self, datagrams: u16) -> Self {
        self.node.reassembly = datagrams;
        self
    }

    /// How slots are laid, whatever arrives. Default: separate, and overlapping while a run of datagrams says
    /// that LM alone sends. With admission control, grants decide unless slots are to stay separate.
    #[must_use]
    pub fn slots(mut self, layout: SlotLayout) -> Self {
        self.node.layout = Some(layout);
        self
    }

    /// The hardware address that all messages go to. Default: each peer is asked for its own by ARP.
    #[must_use]
    pub fn peer_mac(mut self, mac: Mac) -> Self {
        self.node.peer_mac = Some(mac);
        self
    }

    /// Steers frames for these hardware addresses to landing queues of their own, and leaves queue 0 to all
    /// other frames. Of the cards, the 82576 can do that. Default: one queue for all frames.
    #[must_use]
    pub fn landing_macs(mut self, macs: impl Into<Vec<Mac>>) -> Self {
        self.node.landing_macs = macs.into();
        self
    }

    /// Admission control by this policy, with the cluster's key if it has one. All nodes of a cluster have
    /// the same. Default: off.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// let key = lm::Key::new([7; 32]);
    /// let node = lm::Config::new(Ipv4Addr::new(10, 1, 0, 2)).admission(lm::Policy::Exclusive, Some(key));
    /// ```
    #[must_use]
    pub fn admission(mut self, policy: Policy, key: Option<Key>) -> Self {
        self.node.admission =
            Some(AdmissionConfig { policy, drain: None, flush_gap: std::time::Duration::ZERO });
        self.key = key;
        self
    }

    /// Where the node can be sent to. The port is 0 if datagrams to any port are taken.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// let config = lm::Config::new(Ipv4Addr::new(10, 1, 0, 2));
    /// assert_eq!(config.address().port(), 0, "it takes all");
    /// assert_eq!(config.udp_port(7000).address().to_string(), "10.1.0.2:7000");
    /// ```
    pub fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from_bits(self.node.flow.src), self.udp_port.unwrap_or(0))
    }

    /// How many landing queues the port has.
    pub fn queues(&self) -> usize {
        self.node.landing_macs.len().max(1)
    }

    /// Whether admission control is on.
    pub fn has_admission(&self) -> bool {
        self.node.admission.is_some()
    }

    /// The node's identity for its next life. Each call gives another incarnation.
    pub(crate) fn identity(&self) -> Identity {
        let mut identity = Identity::default();
        identity.key.clone_from(&self.key);
        identity
    }

    /// Whether a datagram of this flow is for the node: to its address, a multicast group or the broadcast
    /// address, and to its UDP port.
    #[inline]
    pub(crate) fn takes(&self, flow: &Flow) -> bool {
        let to = Ipv4Addr::from_bits(flow.dst);
        (flow.dst == self.node.flow.src || to.is_multicast() || to.is_broadcast())
            && self.udp_port.is_none_or(|port| port == flow.dst_port)
    }
}
