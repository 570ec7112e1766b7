//! Computes a port's pools and slots from its setup and from what its device allows.
//!
//! [`LandingPort`](super::LandingPort) calls it when it opens a port, and `lm` for a port of an application.
//! The functions only compute; `pool` makes the pools. Overlapping slots are never chosen where the
//! device does not allow them.

use lm_landing::device::{Allowed, Traits};
use lm_landing::landing::SlotLayout;
use lm_landing::pool::{PoolConfig, RegionKind, Writes};
use lm_proto::layout::stride;
use lm_proto::wire::{ETHERNET, FCS, VLAN};
use rte::port::{PortId, PortInfo};

use super::PortSetup;
use crate::overlap::Verdict;

/// The MTU that a driver is told when its port is configured. `None`: it is told none. Virtual devices that
/// do not know MTUs (net_memif) would refuse it. Datagrams are cut into fragments for this MTU in any case.
pub fn told_mtu(info: &PortInfo, mtu: u16) -> Option<u16> {
    let too_long = u32::from(mtu) + FRAMING as u32 > info.max_rx_pktlen;
    Some(mtu).filter(|&m| m != 1500 && !(info.bus == "vdev" && too_long))
}

/// Ethernet header and check sequence.
const FRAMING: usize = ETHERNET + FCS;

/// The smallest MTU that IPv4 allows.
pub(super) const LEAST_MTU: u16 = 68;

/// The settings of a landing pool for a port with these traits. The device keeps `posted` of the pool's
/// mbufs. The caller sets the name.
pub fn pool_plan(
    id: PortId,
    socket: Option<u32>,
    traits: &Traits,
    setup: &PortSetup,
    posted: u32,
) -> PoolConfig {
    // The number of mbufs is what the setup says, however long the device's own ring is. The region has to
    // have room for the ring.
    let descriptors = posted.max(setup.rxd.into()).min(u16::MAX.into()) as u16;
    let more = u32::from(descriptors - setup.rxd);
    let stride = usize::from(stride(setup.mtu));
    // A separate slot has room for the longest frame of this MTU, with a VLAN tag and a frame check sequence.
    let room = traits.reach.max(usize::from(setup.mtu) + FRAMING + VLAN);
    PoolConfig {
        name: String::new(),
        descriptors,
        spare_mbufs: setup.spare_mbufs.saturating_sub(more),
        region: setup.region,
        max_region: setup.max_region,
        kind: if setup.mirror && !traits.needs_dpdk_memory { RegionKind::Mirrored } else { RegionKind::Dpdk },
        stride,
        room,
        layout: choose(traits, setup.first_layout()),
        socket,
        writes: Writes {
            declared: traits.declared_room.max(room),
            boundary: traits.boundary,
            port: traits.dma.then_some(id),
            at_any_time: !traits.synchronous,
        },
    }
}

/// The layout that was asked for, or the one that suits the device best; separate slots if the device allows
/// nothing else.
pub(super) fn choose(traits: &Traits, asked: Option<SlotLayout>) -> SlotLayout {
    match traits.allowed {
        Allowed::SeparateOnly(_) => SlotLayout::Separate,
        Allowed::Both => asked.unwrap_or(traits.preferred),
    }
}

pub(super) fn warn_if_separate(id: PortId, driver: &str, verdict: &Verdict, asked: Option<SlotLayout>) {
    let wanted = asked.unwrap_or(verdict.traits.preferred);
    if wanted == SlotLayout::Overlapping && choose(&verdict.traits, asked) == SlotLayout::Separate {
        log::warn!("port {id} ({driver}): slots are separate, and datagrams come in pieces: {}", verdict.why);
    }
}
