//! What is known of devices: how they treat posted buffers, and what may land on them.

use std::ffi::CStr;

use dpdk_sys::{rte_device, rte_eth_dev_info};
use rte::port::PortId;

use crate::landing::SlotLayout;

/// How slots may be laid on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Overlapping or separate.
    Both,
    /// Separate only, and why.
    SeparateOnly(&'static str),
}

/// Ring thresholds; `None`: the driver's default does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Received frames that the device reports at a time.
    pub rx_write_back: Option<u8>,
    /// Sent frames that it reports at a time.
    pub tx_write_back: Option<u8>,
    /// Sent frames that the driver asks for a report of at a time.
    pub tx_report: Option<u16>,
}

/// What a device does with posted buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Layouts that are safe.
    pub allowed: Allowed,
    /// Frames are written only inside the receive call.
    pub synchronous: bool,
    /// Nanoseconds after which a frame that is being written would have been reported, by silicon at least; `None`: a peer
    /// process writes it, which may be stopped at any moment.
    pub quiet_ns: Option<u64>,
    /// The layout that serves the device's usual peer best.
    pub preferred: SlotLayout,
    /// The driver never gives posted buffers back.
    pub keeps_posted: bool,
    /// The driver frees what it has sent only when the descriptor's turn comes again, a ring later.
    pub keeps_sent: bool,
    /// What its driver must be told of its rings.
    pub thresholds: Thresholds,
    /// Buffers must lie in DPDK's memory: a device, or a peer process, writes them.
    pub needs_dpdk_memory: bool,
    /// Bytes that it must be told a buffer has; 0: no more than a frame.
    pub declared_room: usize,
    /// Bytes from a frame's start that it may write; 0: no more than a frame.
    pub reach: usize,
    /// No write of it may cross a multiple of this; 0: any may.
    pub boundary: usize,
    /// It writes into memory itself, by addresses of its own.
    pub dma: bool,
}

/// A device that does not honour posted buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The driver.
    pub driver: String,
    /// Why, and what to do.
    pub reason: &'static str,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nothing can land on {}: {}", self.driver, self.reason)
    }
}

impl std::error::Error for Refused {}

/// One driver of the table.
struct Row {
    driver: &'static str,
    verdict: fn(&str) -> Result<Traits, &'static str>,
}

const VIRTUAL: Traits = Traits {
    allowed: Allowed::Both,
    synchronous: true,
    quiet_ns: None,
    preferred: SlotLayout::Overlapping,
    keeps_posted: false,
    keeps_sent: false,
    thresholds: Thresholds { rx_write_back: None, tx_write_back: None, tx_report: None },
    needs_dpdk_memory: false,
    declared_room: 0,
    reach: 0,
    boundary: 0,
    dma: false,
};

/// Cards, before they are judged by what they are and how they are set up: see [`crate::judge`].
const CARD: Traits = Traits {
    allowed: Allowed::SeparateOnly(
        "the card has not been judged: LandingPort does that when it opens a port",
    ),
    synchronous: false,
    // DMA of the largest frame takes 12.3 us at 1 Gb/s, and its report is not held back longer than this.
    quiet_ns: Some(1_000_000),
    preferred: SlotLayout::Overlapping,
    keeps_posted: false,
    keeps_sent: true,
    thresholds: Thresholds { rx_write_back: None, tx_write_back: None, tx_report: None },
    needs_dpdk_memory: false,
    declared_room: 2048,
    reach: 2048,
    boundary: 0,
    dma: true,
};

/// Its default, 32, would have the driver wait for as many frames that were sent.
const EM: Traits = Traits { thresholds: Thresholds { tx_report: Some(1), ..CARD.thresholds }, ..CARD };

/// Its write-back threshold of 4 would keep frames from us until four are there.
const IGB: Traits = Traits {
    thresholds: Thresholds { rx_write_back: Some(1), tx_write_back: Some(1), tx_report: None },
    ..CARD
};

/// Measured on DPDK 22.11, one row a driver.
const TABLE: &[Row] = &[
    Row {
        driver: "net_pcap",
        verdict: |args| match arg(args, "infinite_rx") {
            Some("1") => Err("infinite_rx=1 keeps its templates in the pool; leave it out"),
            _ => Ok(VIRTUAL),
        },
    },
    // Its only peer is a kernel, which sends in forward order: landing would lose what separate slots copy.
    Row { driver: "net_tap", verdict: |_| Ok(Traits { preferred: SlotLayout::Separate, ..VIRTUAL }) },
    Row { driver: "net_null", verdict: |_| Ok(VIRTUAL) },
    Row {
        driver: "net_memif",
        verdict: |args| {
            // A zero-copy client's peer writes into the posted buffers itself, whenever it likes.
            let zero_copy = arg(args, "zero-copy") == Some("yes") && arg(args, "role") != Some("server");
            let keeps_posted = zero_copy;
            Ok(Traits { synchronous: !zero_copy, needs_dpdk_memory: zero_copy, keeps_posted, ..VIRTUAL })
        },
    },
    Row {
        driver: "net_virtio_user",
        verdict: |args| match arg(args, "mrg_rxbuf") {
            // It asks for room for its own header and a VLAN tag, but posts what each buffer says that it has.
            Some("0") => Ok(Traits {
                allowed: Allowed::SeparateOnly(
                    "vhost puts copies of up to 256 bytes off, and so a last fragment over the end of the one before it",
                ),
                synchronous: false,
                needs_dpdk_memory: true,
                declared_room: 2048,
                keeps_sent: true,
                ..VIRTUAL
            }),
            _ => Err("mergeable buffers spread frames; use mrg_rxbuf=0"),
        },
    },
    Row {
        driver: "net_af_packet",
        verdict: |_| Err("it asks the kernel to defragment; use net_pcap with iface= or net_tap"),
    },
    Row { driver: "net_ring", verdict: |_| Err("it passes the sender's mbufs through; use net_memif") },
    Row { driver: "net_vhost", verdict: |_| Err("it defers small copies; use net_memif") },
    Row { driver: "net_e1000_em", verdict: |_| Ok(EM) },
    Row { driver: "net_e1000_igb", verdict: |_| Ok(IGB) },
    Row { driver: "net_e1000_igb_vf", verdict: |_| Ok(IGB) },
];

const UNKNOWN: Traits = Traits {
    allowed: Allowed::SeparateOnly(
        "the driver is not in the table: nobody has seen it honour overlapping buffers",
    ),
    quiet_ns: None,
    needs_dpdk_memory: true,
    keeps_sent: false,
    ..CARD
};

/// The value of `key` in a device's arguments.
fn arg<'a>(args: &'a str, key: &str) -> Option<&'a str> {
    args.split(',').filter_map(|a| a.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v)
}

/// What is known of a driver with these device arguments.
///
/// # Errors
/// [`Refused`] if it is known not to honour posted buffers.
pub fn traits_of(driver: &str, args: &str) -> Result<Traits, Refused> {
    match TABLE.iter().find(|row| row.driver == driver) {
        None => Ok(UNKNOWN),
        Some(row) => (row.verdict)(args).map_err(|reason| Refused { driver: driver.to_owned(), reason }),
    }
}

/// The device behind a port.
pub(crate) fn device_of(port: PortId) -> Option<*mut rte_device> {
    // SAFETY: zeroes are a value of this plain structure; DPDK fills it for a valid port and says so.
    unsafe {
        let mut info: rte_eth_dev_info = std::mem::zeroed();
        (dpdk_sys::rte_eth_dev_info_get(port.0, &raw mut info) == 0 && !info.device.is_null())
            .then_some(info.device)
    }
}

/// The arguments that a port's device was given.
pub fn arguments(port: PortId) -> String {
    let Some(device) = device_of(port) else { return String::new() };
    // SAFETY: the device's arguments live as long as the device, and are copied.
    unsafe {
        let devargs = dpdk_sys::rte_dev_devargs(device);
        if devargs.is_null() {
            return String::new();
        }
        let args = (*devargs).__bindgen_anon_1.args;
        if args.is_null() { String::new() } else { CStr::from_ptr(args).to_string_lossy().into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_known_not_to_honour_posted_buffers_are_refused_with_the_reason() {
        for (driver, args) in [
            ("net_af_packet", "iface=lo"),
            ("net_ring", ""),
            ("net_pcap", "rx_pcap=a.pcap,infinite_rx=1"),
            ("net_virtio_user", "path=/tmp/x"),
            ("net_vhost", ""),
        ] {
            let refused = traits_of(driver, args).expect_err(driver);
            assert!(refused.to_string().contains(driver) && refused.reason.len() > 20);
        }
    }

    #[test]
    fn a_zero_copy_client_is_written_by_its_peer() {
        let zc = traits_of("net_memif", "role=client,zero-copy=yes,id=0").expect("allowed");
        assert!(!zc.synchronous && zc.needs_dpdk_memory);
        let plain = traits_of("net_memif", "role=client,id=0").expect("allowed");
        assert!(plain.synchronous && !plain.needs_dpdk_memory);
    }

    #[test]
    fn cards_wait_for_their_judgement() {
        let igb = traits_of("net_e1000_igb", "").expect("known");
        assert!(matches!(igb.allowed, Allowed::SeparateOnly(_)));
        assert!(matches!(traits_of("net_ixgbe", "").expect("unknown").allowed, Allowed::SeparateOnly(_)));
    }
}
