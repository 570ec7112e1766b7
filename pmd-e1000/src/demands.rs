//! Checks that a device's arguments and a port's setup fit together, and refuses them otherwise.
//!
//! Drivers do not report such errors. If a key is unknown, some drivers ignore all keys (net_memif, net_tap,
//! net_null). If buffers are shorter than a frame, frames are spread over several. If a pool is too small to
//! fill the ring, nothing is received.

use std::{error, fmt, fs};

use lm_proto::wire;
use rte::port::PortInfo;
use rte::{Eal, Release};

use crate::devargs::{Devargs, MOST, Memif};
use crate::device::{driver_of, keys_of};
use crate::quirks::Quirk;

/// Bytes of an Ethernet header.
const ETHERNET: u32 = wire::ETHERNET as u32;
/// Bytes of a frame check sequence.
const FCS: u32 = wire::FCS as u32;
/// Bytes that a slot has beyond an IP packet: for an Ethernet header, a check sequence and a VLAN tag.
const SLOT: u32 = ETHERNET + FCS + wire::VLAN as u32;
/// The fewest mbufs that net_memif posts at a time, once its ring is full.
const LOT: u32 = 32;

/// The largest landing region in bytes. Computations use up to four times its length, because it may be
/// mapped twice and grow to twice as much.
pub const MOST_REGION: usize = 1 << 36;

/// The settings of a port that its device has to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The MTU in bytes.
    pub mtu: u16,
    /// Descriptors to receive into.
    pub rxd: u16,
    /// mbufs of the pool beyond the descriptors.
    pub spare_mbufs: u32,
}

/// A demand that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unmet {
    /// A key that the driver does not know.
    Key {
        /// The driver.
        driver: &'static str,
        /// The key.
        key: String,
    },
    /// More arguments than DPDK reads.
    Arguments {
        /// The driver.
        driver: &'static str,
        /// How many.
        count: usize,
    },
    /// Buffers shorter than a frame.
    Buffer {
        /// Bytes of a buffer.
        bsize: u64,
        /// Bytes of IP packet.
        mtu: u16,
    },
    /// Buffers no longer than a slot, where the driver takes more mbufs than it uses.
    Slot {
        /// Bytes of a buffer.
        bsize: u64,
        /// Bytes of IP packet.
        mtu: u16,
    },
    /// A DPDK whose net_memif delivers other bytes than were sent.
    Release {
        /// Which.
        dpdk: Release,
    },
    /// A DPDK whose net_memif writes beyond its ring where it receives without a copy.
    ZeroCopy {
        /// Which.
        dpdk: Release,
    },
    /// A ring that the pool cannot fill.
    Pool {
        /// Descriptors of the ring.
        ring: u32,
        /// mbufs.
        mbufs: u32,
        /// Descriptors asked for that would do.
        rxd: u32,
    },
    /// A landing region of more than [`MOST_REGION`] bytes, or one that may grow to more than twice as many.
    Region {
        /// Bytes asked for.
        bytes: usize,
    },
    /// A longer MTU than the device takes.
    Mtu {
        /// The driver, or the interface behind it.
        device: String,
        /// Bytes asked for.
        mtu: u16,
        /// Bytes that it takes.
        most: u16,
    },
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { driver, key } => {
                write!(f, "{driver} knows no argument {key:?}: it takes {}", keys_of(driver).join(", "))
            }
            Self::Arguments { driver, count } => {
                write!(
                    f,
                    "{driver} is given {count} arguments, and DPDK reads {MOST} at most: leave some out"
                )
            }
            Self::Buffer { bsize, mtu } => {
                let needed = u32::from(*mtu) + ETHERNET;
                write!(
                    f,
                    "net_memif's buffers of {bsize} bytes cut the frames of an MTU of {mtu} into pieces: \
                     give both ends bsize={needed} or more"
                )
            }
            Self::Slot { bsize, mtu } => {
                write!(
                    f,
                    "net_memif of DPDK 23.03 and later takes more mbufs than it uses where its buffers, \
                     here of {bsize} bytes, are no longer than a slot: give both ends bsize={} or more",
                    u32::from(*mtu) + SLOT + 1
                )
            }
            Self::Release { dpdk } => write!(
                f,
                "net_memif of DPDK {dpdk} garbles frames that are sent in pieces: update DPDK (24.11.5 or later, \
                 25.11.1 or later)"
            ),
            Self::ZeroCopy { dpdk } => write!(
                f,
                "net_memif of DPDK {dpdk} writes beyond its ring with zero-copy=yes: update DPDK (22.11.7 or \
                 later, 24.11.5 or later, 25.11.1 or later), or leave zero-copy out"
            ),
            Self::Pool { ring, mbufs, rxd } => {
                write!(
                    f,
                    "net_memif's ring of {ring} descriptors cannot be filled from a landing pool of {mbufs} \
                     mbufs, and would receive nothing: it needs {} (--rxd={rxd}, or --total-num-mbufs)",
                    ring + LOT
                )?;
                match mbufs.saturating_sub(LOT).checked_ilog2() {
                    Some(rsize) if rsize > 0 => write!(f, ", or a shorter ring (rsize={rsize})"),
                    _ => Ok(()),
                }
            }
            Self::Region { bytes } => {
                write!(
                    f,
                    "a landing region of {bytes} bytes is too large: ask for {MOST_REGION} or less, to grow \
                     to twice as many at most"
                )
            }
            Self::Mtu { device, mtu, most } => {
                write!(f, "{device} takes no MTU of {mtu}: {most} is the most")
            }
        }
    }
}

impl error::Error for Unmet {}

/// Checks that a port's device and its arguments allow what is wanted.
///
/// # Errors
/// [`Unmet`].
pub fn check(info: &PortInfo, args: &Devargs<'_>, wanted: &Wanted) -> Result<(), Unmet> {
    if let Some(driver) = driver_of(&info.driver) {
        check_keys(driver, args)?;
    }
    check_zero_copy(&info.driver, args, Eal::release())?;
    check_sizes(&info.driver, args, wanted)?;
    check_mtu(info, args, wanted.mtu)
}

/// Checks that this DPDK's driver stays within its ring.
///
/// # Errors
/// [`Unmet::ZeroCopy`].
fn check_zero_copy(driver: &str, args: &Devargs<'_>, dpdk: Release) -> Result<(), Unmet> {
    if driver == "net_memif" && Memif::of(args).zero_copy && Quirk::OverrunsRing.is_in(dpdk) {
        return Err(Unmet::ZeroCopy { dpdk });
    }
    Ok(())
}

/// Checks that a driver of the table knows all its arguments. Drivers that are not in the table pass.
///
/// # Errors
/// [`Unmet::Key`], [`Unmet::Arguments`].
pub fn check_keys(driver: &'static str, args: &Devargs<'_>) -> Result<(), Unmet> {
    let (known, count) = (keys_of(driver), args.keys().count());
    if !known.is_empty() && count > MOST {
        return Err(Unmet::Arguments { driver, count });
    }
    let unknown = args.keys().find(|key| !known.is_empty() && !known.contains(key));
    unknown.map_or(Ok(()), |key| Err(Unmet::Key { driver, key: key.to_owned() }))
}

/// Checks that buffers and rings are long enough for what is wanted.
///
/// # Errors
/// [`Unmet::Buffer`], [`Unmet::Pool`].
pub fn check_sizes(driver: &str, args: &Devargs<'_>, wanted: &Wanted) -> Result<(), Unmet> {
    if driver != "net_memif" {
        return Ok(());
    }
    let Wanted { mtu, rxd, spare_mbufs } = *wanted;
    let memif = Memif::of(args);
    if memif.bsize < u64::from(u32::from(mtu) + ETHERNET) {
        return Err(Unmet::Buffer { bsize: memif.bsize, mtu });
    }
    let (ring, mbufs) = (posted(driver, args, rxd), u32::from(rxd).saturating_add(spare_mbufs));
    if memif.zero_copy && mbufs < ring + LOT {
        return Err(Unmet::Pool { ring, mbufs, rxd: (ring + LOT).saturating_sub(spare_mbufs) });
    }
    Ok(())
}

/// Checks that this DPDK's driver delivers frames as they were sent, and that it takes no mbuf from a landing
/// pool that it gives back unused. (Such an mbuf would leave a gap between two landed frames.)
///
/// # Errors
/// [`Unmet::Release`], [`Unmet::Slot`].
pub fn check_landing(driver: &str, args: &Devargs<'_>, mtu: u16, dpdk: Release) -> Result<(), Unmet> {
    if driver != "net_memif" {
        return Ok(());
    }
    if Quirk::GarblesChains.is_in(dpdk) {
        return Err(Unmet::Release { dpdk });
    }
    if !Quirk::TakesInAdvance.is_in(dpdk) {
        return Ok(());
    }
    let Memif { zero_copy, bsize, .. } = Memif::of(args);
    if zero_copy || bsize > u64::from(u32::from(mtu) + SLOT) {
        Ok(())
    } else {
        Err(Unmet::Slot { bsize, mtu })
    }
}

/// Checks that a port's landing region, and what it may grow to, are not too large to compute with.
///
/// # Errors
/// [`Unmet::Region`].
pub fn check_region(region: usize, max_region: usize) -> Result<(), Unmet> {
    if region > MOST_REGION || max_region > 2 * MOST_REGION {
        return Err(Unmet::Region { bytes: region.max(max_region) });
    }
    Ok(())
}

/// How many mbufs a device keeps posted if its port was set up with this many descriptors.
pub fn posted(driver: &str, args: &Devargs<'_>, rxd: u16) -> u32 {
    let memif = (driver == "net_memif").then(|| Memif::of(args));
    match memif {
        // The length of its ring is an argument of the device.
        Some(memif) if memif.zero_copy => memif.ring(),
        _ => rxd.into(),
    }
}

/// Checks that the device takes frames of this MTU. Cards are asked when they are set up.
///
/// # Errors
/// [`Unmet::Mtu`].
pub fn check_mtu(info: &PortInfo, args: &Devargs<'_>, mtu: u16) -> Result<(), Unmet> {
    let (device, most) = longest(info, args, |iface| {
        fs::read_to_string(format!("/sys/class/net/{iface}/mtu")).ok()?.trim().parse().ok()
    });
    if u32::from(mtu) <= most {
        return Ok(());
    }
    // The limit is smaller than the MTU, which has 16 bits, so it fits into 16 bits.
    Err(Unmet::Mtu { device, mtu, most: most as u16 })
}

/// What limits the MTU, and the largest MTU. `mtu_of` tells the MTU of a kernel's interface.
fn longest(info: &PortInfo, args: &Devargs<'_>, mtu_of: impl Fn(&str) -> Option<u32>) -> (String, u32) {
    let driver = info.driver.clone();
    match &*driver {
        // Its frames are as long as its buffers, whatever MTU the driver reports.
        "net_memif" => {
            let bsize = Memif::of(args).bsize.min(u64::from(u16::MAX) + u64::from(ETHERNET)) as u32;
            (driver, bsize.saturating_sub(ETHERNET))
        }
        // A kernel's interface sends no frame longer than its own MTU.
        "net_pcap" => {
            let out = args.all("iface").chain(args.all("tx_iface"));
            let limits = out.filter_map(|iface| Some((format!("net_pcap's {iface}"), mtu_of(iface)?)));
            limits.min_by_key(|(_, most)| *most).unwrap_or((driver, u16::MAX.into()))
        }
        _ if info.bus == "vdev" => {
            let by_frame = info.max_rx_pktlen.saturating_sub(ETHERNET + FCS);
            (driver, by_frame.min(info.max_mtu.into()))
        }
        _ => (driver, info.max_mtu.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(args: &str, mtu: u16, rxd: u16, spare_mbufs: u32) -> Result<(), String> {
        let wanted = Wanted { mtu, rxd, spare_mbufs };
        check_sizes("net_memif", &Devargs::parse(args), &wanted).map_err(|e| e.to_string())
    }

    #[test]
    fn memif_of_23_03_needs_buffers_longer_than_a_slot() {
        let at = |args, mtu, dpdk| {
            check_landing("net_memif", &Devargs::parse(args), mtu, dpdk).map_err(|e| e.to_string())
        };
        assert_eq!(at("bsize=1514", 1500, Release(22, 11, 0)), Ok(()));
        assert!(
            at("bsize=1522", 1500, Release(24, 11, 5)).expect_err("too short").contains("bsize=1523 or more")
        );
        assert_eq!(at("bsize=1523", 1500, Release(24, 11, 8)), Ok(()));
        assert_eq!(
            at("bsize=1514,zero-copy=yes", 1500, Release(24, 11, 8)),
            Ok(()),
            "another way to receive"
        );
        assert_eq!(at("", 1500, Release(24, 11, 8)), Ok(()));
        assert!(at("", 1500, Release(24, 11, 4)).expect_err("garbles").contains("DPDK 24.11.4"));
        assert_eq!(check_landing("net_tap", &Devargs::parse("bsize=1"), 1500, Release(24, 11, 8)), Ok(()));
    }

    #[test]
    fn zero_copy_needs_an_update_that_stays_within_its_ring() {
        let at = |driver, args, dpdk| {
            check_zero_copy(driver, &Devargs::parse(args), dpdk).map_err(|e| e.to_string())
        };
        let client = "role=client,zero-copy=yes";
        let told = at("net_memif", client, Release(22, 11, 6)).expect_err("it overruns");
        assert!(told.contains("DPDK 22.11.6") && told.contains("22.11.7 or later"), "{told}");
        assert_eq!(at("net_memif", client, Release(22, 11, 7)), Ok(()));
        for (driver, args) in
            [("net_memif", "role=client"), ("net_memif", "role=server,zero-copy=yes"), ("net_tap", client)]
        {
            assert_eq!(at(driver, args, Release(22, 11, 0)), Ok(()), "{driver} {args} does not receive so");
        }
    }

    #[test]
    fn a_key_that_a_driver_does_not_know_is_told_with_those_that_it_knows() {
        let check = |driver, args| check_keys(driver, &Devargs::parse(args)).map_err(|e| e.to_string());
        assert_eq!(check("net_memif", "id=0,role=server,bsize=2048,zero-copy=yes"), Ok(()));
        for (driver, args, key) in [
            ("net_memif", "id=0,rolle=server", "\"rolle\""),
            ("net_memif", "id=0,zero_copy=yes", "\"zero_copy\""),
            ("net_pcap", "rx_pcap=a,tx-pcap=b", "\"tx-pcap\""),
            ("net_pcap", "rx_pcap=a,b", "\"b\""),
            ("net_tap", "ifname=x", "\"ifname\""),
            ("net_null", "=1", "\"\""),
            ("net_virtio_user", "mrg_rxbuff=0", "\"mrg_rxbuff\""),
        ] {
            let told = check(driver, args).expect_err(args);
            assert!(told.contains(key) && told.contains(driver), "{told}");
            assert!(keys_of(driver).iter().all(|known| told.contains(known)), "{told}");
        }
        let many = "id=0,".repeat(MOST + 1);
        assert!(check("net_memif", &many).expect_err("too many").contains("33"));
        assert_eq!(check("net_e1000_igb", "anything=1"), Ok(()), "nothing is known of it");
    }

    #[test]
    fn a_frame_needs_a_buffer() {
        for role in ["role=client", "role=server", "role=client,zero-copy=yes"] {
            let at = |bsize: &str, mtu| sizes(&format!("{role}{bsize}"), mtu, 512, 576);
            assert_eq!(at("", 1500), Ok(()), "the default has 2048");
            assert_eq!(at("", 2034), Ok(()));
            assert!(at("", 2035).expect_err("too short").contains("bsize=2049"));
            assert!(at("", 9000).expect_err("too short").contains("bsize=9014"));
            assert!(at(",bsize=1513", 1500).expect_err("too short").contains("bsize=1514"));
            assert_eq!(at(",bsize=1514", 1500), Ok(()));
            assert!(at(",bsize=9014,bsize=1024", 9000).is_err(), "the last one counts");
        }
        let other = Wanted { mtu: 9000, rxd: 1, spare_mbufs: 0 };
        assert_eq!(check_sizes("net_null", &Devargs::parse("bsize=1"), &other), Ok(()));
    }

    #[test]
    fn a_ring_needs_mbufs() {
        let of =
            |rsize: &str, rxd, spare| sizes(&format!("role=client,zero-copy=yes{rsize}"), 1500, rxd, spare);
        assert_eq!(of("", 512, 576), Ok(()), "the defaults of both");
        let told = of(",rsize=10", 128, 576).expect_err("704 for 1024");
        for word in ["1024", "704", "1056", "--rxd=480", "rsize=9"] {
            assert!(told.contains(word), "{word}: {told}");
        }
        assert_eq!(of("", 480, 576), Ok(()), "what was told does");
        assert!(of("", 479, 576).is_err());
        assert_eq!(of(",rsize=9", 128, 576), Ok(()));
        assert!(of(",rsize=14", 512, 576).expect_err("16384").contains("--rxd=15840"));
        let plain = sizes("role=client,rsize=14", 1500, 1, 0);
        assert_eq!(plain, Ok(()), "it copies: nothing of the pool is posted");
        let (args, plain) = (Devargs::parse("zero-copy=yes,rsize=12"), Devargs::parse("rsize=12"));
        assert_eq!((posted("net_memif", &args, 512), posted("net_memif", &plain, 512)), (4096, 512));
    }

    #[test]
    fn interfaces_and_buffers_limit_the_mtu() {
        let limits = rte::port::DescLimits { min: 1, max: 1, align: 1 };
        let of = |driver: &str, args, max_rx_pktlen| {
            let info = PortInfo {
                driver: driver.to_owned(),
                device: String::new(),
                bus: "vdev".to_owned(),
                mac: rte::port::MacAddr([0; 6]),
                socket: None,
                max_rx_queues: 1,
                max_tx_queues: 1,
                max_mac_addrs: 1,
                max_vmdq_pools: 0,
                min_mtu: 68,
                max_mtu: u16::MAX,
                min_rx_bufsize: 0,
                max_rx_pktlen,
                rx_desc: limits,
                tx_desc: limits,
                rx_offload_capa: 0,
                tx_offload_capa: 0,
                rx_queue_offload_capa: 0,
                tx_queue_offload_capa: 0,
                rss_capa: 0,
                default_rx: rte::port::RxConf::default(),
                default_tx: rte::port::TxConf::default(),
            };
            let mtu_of = |iface: &str| match iface {
                "tunnel" => Some(1420),
                "lo" => Some(65_536),
                _ => None,
            };
            longest(&info, &Devargs::parse(args), mtu_of)
        };
        assert_eq!(of("net_tap", "iface=lo", 1522).1, 1504);
        assert_eq!(of("net_null", "", u32::MAX).1, u32::from(u16::MAX));
        assert_eq!(of("net_memif", "bsize=1514", 1518).1, 1500);
        assert_eq!(of("net_pcap", "rx_pcap=a,tx_pcap=b", u32::MAX).1, u32::from(u16::MAX));
        assert_eq!(of("net_pcap", "iface=tunnel", u32::MAX), ("net_pcap's tunnel".to_owned(), 1420));
        assert_eq!(
            of("net_pcap", "rx_iface=tunnel,tx_iface=lo", u32::MAX).1,
            65_536,
            "it only listens there"
        );
        assert_eq!(of("net_pcap", "iface=gone", u32::MAX).1, u32::from(u16::MAX), "the driver tells that");
    }
}
