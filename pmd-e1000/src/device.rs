//! What is known of devices: how they treat posted buffers, and what may land on them.
//!
//! A table has one row for each driver that was measured or read. [`crate::overlap`], [`crate::demands`] and
//! the crate `lm` look drivers up in it. A driver that is not in the table gets separate slots, and a driver
//! that is known not to honour posted buffers is refused ([`Refused`], with the reason and the way out).

use std::ffi::CStr;

use lm_landing::SlotLayout;
use lm_landing::device::{Allowed, Thresholds, Traits};
use lm_landing::dma::device_of;
use lm_proto::card::Words;
use rte::Eal;
use rte::port::PortId;

use crate::devargs::{Devargs, Memif, atoi};

/// A device that does not honour posted buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The driver.
    pub driver: String,
    /// The reason, and what to do.
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
    /// Another beginning of the names of its virtual devices; empty: there is none.
    alias: &'static str,
    /// The keys of arguments that the driver knows; empty: its keys are not checked.
    keys: &'static [&'static str],
    /// The arguments that give it a MAC address, where the driver chooses one at random without them. `None`:
    /// its address is the same at each start.
    random_unless: Option<&'static [&'static str]>,
    verdict: fn(&Devargs<'_>) -> Result<Traits, &'static str>,
}

impl Row {
    /// A driver whose arguments make no difference to landing.
    const fn plain(driver: &'static str, verdict: fn(&Devargs<'_>) -> Result<Traits, &'static str>) -> Self {
        Self { driver, alias: "", keys: &[], random_unless: None, verdict }
    }
}

const VIRTUAL: Traits = Traits {
    allowed: Allowed::Both,
    synchronous: true,
    quiet_ns: None,
    preferred: SlotLayout::Overlapping,
    keeps_posted: false,
    keeps_sent: false,
    full_ring_overwrites: false,
    refuses: false,
    thresholds: Thresholds { rx_write_back: None, tx_write_back: None, tx_report: None },
    needs_dpdk_memory: false,
    declared_room: 0,
    reach: 0,
    boundary: 0,
    dma: false,
    words: Words::None,
};

/// net_pcap. A frame that the kernel does not send is given back as if the queue were full, whatever the
/// reason: it may be longer than the interface's MTU allows (`eth_pcap_tx` in `pcap_ethdev.c`).
const PCAP: Traits = Traits { refuses: true, ..VIRTUAL };

/// Cards, before [`crate::overlap`] has looked at what they are and how they are set up.
const CARD: Traits = Traits {
    allowed: Allowed::SeparateOnly(
        "it has not been checked yet whether the card keeps its writes in order; LandingPort does so when it \
         opens a port",
    ),
    synchronous: false,
    // DMA of the largest frame takes 12.3 us at 1 Gb/s, and its report is not held back longer than this.
    quiet_ns: Some(1_000_000),
    preferred: SlotLayout::Overlapping,
    keeps_posted: false,
    keeps_sent: true,
    full_ring_overwrites: false,
    refuses: false,
    thresholds: Thresholds { rx_write_back: None, tx_write_back: None, tx_report: None },
    needs_dpdk_memory: false,
    declared_room: 2048,
    reach: 2048,
    boundary: 0,
    dma: true,
    words: Words::None,
};

/// em. With its default threshold of 32, a sent buffer would come back only after 32 frames.
const EM: Traits = Traits { thresholds: Thresholds { tx_report: Some(1), ..CARD.thresholds }, ..CARD };

/// igb. With its default write-back threshold of 4, received frames would be reported only four at a time.
/// The defaults of igc are 4 and 16.
///
/// igb's driver copies what the descriptor says of a frame to the mbuf's field of the hash, whether it is a
/// hash or not (DPDK 22.11, `igb_rxtx.c:936`; 25.11, `:953`).
const IGB: Traits = Traits {
    thresholds: Thresholds { rx_write_back: Some(1), tx_write_back: Some(1), tx_report: None },
    ..CARD
};

/// One row for each driver. What a row says was measured on DPDK 22.11, unless it says otherwise.
const TABLE: &[Row] = &[
    Row {
        driver: "net_pcap",
        alias: "eth_pcap",
        keys: &[
            "rx_pcap",
            "tx_pcap",
            "rx_iface",
            "rx_iface_in",
            "tx_iface",
            "iface",
            "phy_mac",
            "infinite_rx",
        ],
        random_unless: None,
        verdict: |args| {
            // If it is given twice, the driver switches it off, with a warning that nobody sees. That is
            // refused too.
            let is_on = args.all("infinite_rx").any(|value| atoi(value) > 0);
            if is_on { Err("infinite_rx keeps its templates in the pool; leave it out") } else { Ok(PCAP) }
        },
    },
    Row {
        driver: "net_tap",
        alias: "eth_tap",
        keys: &["iface", "remote", "mac"],
        random_unless: Some(&["mac", "remote"]),
        // Its only peer is a kernel, which sends in forward order. In overlapping slots its datagrams would
        // be lost; from separate slots they are delivered.
        verdict: |_| Ok(Traits { preferred: SlotLayout::Separate, ..VIRTUAL }),
    },
    Row {
        driver: "net_null",
        alias: "eth_null",
        keys: &["size", "copy", "no-rx"],
        random_unless: Some(&[]),
        verdict: |_| Ok(VIRTUAL),
    },
    Row {
        driver: "net_memif",
        alias: "",
        keys: &["id", "role", "bsize", "rsize", "socket", "socket-abstract", "mac", "zero-copy", "secret"],
        random_unless: Some(&["mac"]),
        verdict: |args| {
            let client = Traits {
                // The peer writes into the posted buffers itself, whenever it likes.
                synchronous: false,
                needs_dpdk_memory: true,
                keeps_posted: true,
                // Only frames of several segments do that (22.11).
                full_ring_overwrites: true,
                ..VIRTUAL
            };
            Ok(if Memif::of(args).zero_copy { client } else { VIRTUAL })
        },
    },
    Row {
        driver: "net_virtio_user",
        alias: "virtio_user",
        keys: &[
            "path",
            "mac",
            "cq",
            "queue_size",
            "queues",
            "iface",
            "server",
            "mrg_rxbuf",
            "in_order",
            "packed_vq",
            "speed",
            "vectorized",
        ],
        random_unless: Some(&["mac"]),
        // The driver reads the argument only if it is given exactly once.
        verdict: |args| match args.only("mrg_rxbuf") {
            // The driver asks for room for its own header and a VLAN tag, but posts the length that each
            // buffer says it has.
            Some("0") => Ok(Traits {
                allowed: Allowed::SeparateOnly(
                    "vhost delays copies of up to 256 bytes, so a short last fragment could be written over \
                     the end of the fragment before it",
                ),
                synchronous: false,
                needs_dpdk_memory: true,
                declared_room: 2048,
                keeps_sent: true,
                ..VIRTUAL
            }),
            _ => Err("with mergeable buffers it spreads a frame over several buffers; use mrg_rxbuf=0"),
        },
    },
    Row {
        alias: "eth_af_packet",
        ..Row::plain("net_af_packet", |_| {
            Err("it asks the kernel to defragment; use net_pcap with iface= or net_tap")
        })
    },
    Row {
        alias: "eth_ring",
        ..Row::plain("net_ring", |_| Err("it passes the sender's mbufs through; use net_memif"))
    },
    Row { alias: "eth_vhost", ..Row::plain("net_vhost", |_| Err("it delays short copies; use net_memif")) },
    Row::plain("net_e1000_em", |_| Ok(EM)),
    Row::plain("net_e1000_igb", |_| Ok(IGB)),
    Row::plain("net_e1000_igb_vf", |_| Ok(IGB)),
    // Read in its source, not measured: its receive and transmit loops are like igb's, from 22.11 to 26.07.
    Row::plain("net_igc", |_| Ok(IGB)),
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

/// The driver of a virtual device with this name, if the table has it. DPDK chooses it by the beginning of
/// the name.
pub fn driver_of(name: &str) -> Option<&'static str> {
    let is_of =
        |row: &&Row| name.starts_with(row.driver) || !row.alias.is_empty() && name.starts_with(row.alias);
    TABLE.iter().find(is_of).map(|row| row.driver)
}

/// The keys of arguments that a driver knows. Empty: nothing is known of them.
pub fn keys_of(driver: &str) -> &'static [&'static str] {
    TABLE.iter().find(|row| row.driver == driver).map_or(&[], |row| row.keys)
}

/// Whether a device of this driver has another MAC address at each start, because these arguments give it
/// none.
pub fn has_random_mac(driver: &str, args: &str) -> bool {
    let unless = TABLE.iter().find(|row| row.driver == driver).and_then(|row| row.random_unless);
    let args = Devargs::parse(args);
    unless.is_some_and(|keys| keys.iter().all(|key| args.all(key).next().is_none()))
}

/// The properties of a driver with these device arguments.
///
/// # Errors
/// [`Refused`] if it is known not to honour posted buffers.
pub fn traits_of(driver: &str, args: &str) -> Result<Traits, Refused> {
    match TABLE.iter().find(|row| row.driver == driver) {
        None => Ok(UNKNOWN),
        Some(row) => (row.verdict)(&Devargs::parse(args))
            .map_err(|reason| Refused { driver: driver.to_owned(), reason }),
    }
}

/// The arguments that a port's device was given.
pub fn arguments(eal: &Eal, port: PortId) -> String {
    let Some(device) = device_of(eal, port) else { return String::new() };
    // SAFETY: the device's arguments live as long as the device, and are copied.
    unsafe {
        let devargs = dpdk_sys::rte_dev_devargs(device);
        if devargs.is_null() {
            return String::new();
        }
        let args = dpdk_sys::dpdk_sys_devargs_args(devargs);
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
            // What DPDK reads in another way than it looks.
            ("net_pcap", "rx_pcap=a.pcap,infinite_rx=2"),
            ("net_pcap", "infinite_rx=01,rx_pcap=a.pcap"),
            ("net_pcap", "infinite_rx=+1"),
            ("net_pcap", "infinite_rx=1x"),
            ("net_pcap", "infinite_rx= 1"),
            ("net_pcap", "infinite_rx=0,infinite_rx=1"),
            ("net_pcap", "infinite_rx=4294967297"),
            ("net_virtio_user", "path=/tmp/x,mrg_rxbuf=0,mrg_rxbuf=0"),
            ("net_virtio_user", "path=/tmp/x,mrg_rxbuf"),
        ] {
            let refused = traits_of(driver, args).expect_err(driver);
            assert!(refused.to_string().contains(driver) && refused.reason.len() > 20);
        }
    }

    #[test]
    fn a_zero_copy_client_is_written_by_its_peer() {
        let zc = traits_of("net_memif", "role=client,zero-copy=yes,id=0").expect("allowed");
        assert!(!zc.synchronous && zc.needs_dpdk_memory);
        let words = traits_of("net_memif", "zero-copy=yes-please,role=the-client").expect("allowed");
        assert_eq!(words, zc, "the driver looks for a word within the value");
        let plain = traits_of("net_memif", "role=client,id=0").expect("allowed");
        assert!(plain.synchronous && !plain.needs_dpdk_memory);
    }

    #[test]
    fn infinite_rx_that_is_off_is_no_harm() {
        for value in ["0", "", "-1", "x", "0x1", "2147483648"] {
            let args = format!("rx_pcap=a.pcap,infinite_rx={value}");
            assert_eq!(traits_of("net_pcap", &args), Ok(PCAP), "{value}");
        }
    }

    #[test]
    fn virtual_devices_have_their_drivers_by_name() {
        for (name, driver) in [
            ("net_memif7", Some("net_memif")),
            ("eth_pcap0", Some("net_pcap")),
            ("net_pcap_in", Some("net_pcap")),
            ("virtio_user0", Some("net_virtio_user")),
            ("net_bonding0", None),
            ("", None),
        ] {
            assert_eq!(driver_of(name), driver, "{name}");
        }
        assert!(keys_of("net_memif").contains(&"bsize") && keys_of("net_e1000_igb").is_empty());
    }

    #[test]
    fn whose_mac_address_is_another_one_each_time() {
        for (driver, args, random) in [
            ("net_memif", "role=client,id=0", true),
            ("net_memif", "", true),
            ("net_memif", "role=client,mac=02:00:00:00:00:0a", false),
            ("net_virtio_user", "path=/tmp/x,mrg_rxbuf=0", true),
            ("net_virtio_user", "path=/tmp/x,mac=02:00:00:00:00:0a", false),
            ("net_tap", "iface=x", true),
            ("net_tap", "mac=fixed", false),
            ("net_tap", "remote=eth0", false),
            ("net_null", "", true),
            ("net_pcap", "iface=eth0", false),
            ("net_e1000_igb", "", false),
            ("net_ixgbe", "", false),
        ] {
            assert_eq!(has_random_mac(driver, args), random, "{driver} {args}");
        }
    }

    #[test]
    fn cards_wait_for_their_judgement() {
        let igb = traits_of("net_e1000_igb", "").expect("known");
        assert!(matches!(igb.allowed, Allowed::SeparateOnly(_)));
        assert_eq!(traits_of("net_igc", ""), Ok(igb));
        assert!(matches!(traits_of("net_ixgbe", "").expect("unknown").allowed, Allowed::SeparateOnly(_)));
    }
}
