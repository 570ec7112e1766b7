//! [`Settings`]: the settings that transports are made from.
//!
//! [`crate::netpipe::options`] makes them from the command line. [`super::open`] passes them to each
//! transport.

use std::collections::BTreeMap;

use lm_node::PortConfig;
use lm_node::receive_mode::Idler;
use lm_proto::wire::{Flow, Mac};
use rte::port::PortId;

/// The settings of all transports.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// A DPDK port; the MAC address of its peer is not in it.
    pub(crate) port: PortConfig,
    /// The MAC addresses of the peers that are known, by the port's number.
    pub(crate) peers: BTreeMap<u16, Mac>,
    /// When a poll may wait for a frame.
    pub(crate) idler: Idler,
    /// From us to the peer, by kernel sockets.
    pub(crate) kernel_flow: Flow,
    /// What results call the wire of kernel sockets.
    pub(crate) kernel_wire: String,
}

impl Settings {
    /// The node's settings for this port.
    pub(super) fn node(&self, id: PortId) -> PortConfig {
        let mut config = self.port.clone();
        config.peer_mac = self.peers.get(&id.0).copied();
        config
    }

    /// Transmit descriptors of a port whose send buffers are small mbufs, as DPDK's are.
    pub(super) fn stock_txd(&self) -> u16 {
        self.port.txd.unwrap_or(512)
    }
}
