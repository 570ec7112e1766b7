//! The cards that DPDK's e1000 drivers support, by PCI id, and what is known about landing on each.
//!
//! Ids, queues and pools are those of DPDK 22.11.11, `drivers/net/e1000` and `drivers/net/igc`:
//! `em_ethdev.c`, `igb_ethdev.c` and `igc_ethdev.c` (tables of ids, `*_infos_get`), `base/e1000_api.c` (which
//! id is which card). From 25.03 on all of it is in `drivers/net/intel/e1000`. Ids that came with a later
//! release have that release in their row; the last one that was read is 26.07. What a row says beyond that
//! has its source in the row.

use std::fmt;

/// Intel's vendor id.
const VENDOR: u16 = 0x8086;

/// How a card reaches memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bus {
    /// Conventional PCI: writes arrive in order.
    Pci,
    /// PCI-X: a transaction can be marked as relaxed, so that it may overtake others.
    PciX,
    /// PCI Express: a packet can be marked as relaxed.
    Express,
    /// Inside a chipset, with no capability that tells of ordering.
    Chipset,
}

/// How long frames may be that the card accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LengthFilter {
    /// There is one bit (`RCTL.LPE`). It limits frames to those of MTU 1500, or accepts all up to 16 KiB.
    OnOff,
    /// Above MTU 1500 a register (`RLPML`) limits frames. The driver sets it to the MTU and 22 bytes.
    Register,
    /// The same register, which the driver sets to the MTU and 26 bytes, as room for two VLAN tags.
    RegisterTwoTags,
    /// The limit of the physical function, which the driver asks to allow the MTU and 26 bytes.
    Mailbox,
}

/// How frames can be led to a queue by their destination address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Steering {
    /// There is one queue, or no way that the driver offers.
    None,
    /// Pools, this many, each with addresses of its own (`RTE_ETH_MQ_RX_VMDQ_ONLY`).
    Pools(u8),
    /// A flexible filter over the first bytes of a frame (`rte_flow`, raw).
    Filter,
}

/// A defect that landing has to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Erratum {
    /// No write of the card may cross a boundary of 64 KiB.
    No64KCrossing,
    /// The card may delay reports of received frames, unless the driver asks for each at once. The driver
    /// does.
    HeldReports,
    /// No defect is known, but nobody has seen datagrams land on the card either.
    Unproven,
}

impl fmt::Display for Erratum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No64KCrossing => "no write may cross 64 KiB (specification update, erratum 23)",
            Self::HeldReports => "write-back threshold must be 1 (eth_igbvf_rx_init)",
            Self::Unproven => "nobody has seen datagrams land whole on it yet",
        })
    }
}

/// One kind of card.
#[derive(Debug, PartialEq, Eq)]
pub struct Card {
    /// What Intel calls it.
    pub name: &'static str,
    /// DPDK's driver for it.
    pub driver: &'static str,
    /// How it reaches memory.
    pub bus: Bus,
    /// Receive queues that the driver serves.
    pub queues: u16,
    /// What a payload's address must be a multiple of.
    pub align: u8,
    /// Which frames are let in.
    pub filter: LengthFilter,
    /// How frames can be led to a queue.
    pub steering: Steering,
    /// Its defects.
    pub errata: &'static [Erratum],
    /// The sources of all this.
    pub source: &'static str,
    ids: &'static [u16],
}

const EM: Card = Card {
    name: "",
    driver: "net_e1000_em",
    bus: Bus::Express,
    queues: 1,
    align: 1,
    filter: LengthFilter::OnOff,
    steering: Steering::None,
    errata: &[],
    source: "",
    ids: &[],
};

const IGB: Card = Card {
    driver: "net_e1000_igb",
    filter: LengthFilter::Register,
    source: "igb_rxtx.c eth_igb_rx_init; I210 datasheet 8.10 (RLPML)",
    ..EM
};

const VF: Card = Card {
    driver: "net_e1000_igb_vf",
    filter: LengthFilter::Mailbox,
    source: "igb_rxtx.c eth_igbvf_rx_init; e1000_rlpml_set_vf",
    ..EM
};

/// The cards of igc receive as igb's cards do: one buffer for each frame, written from its start.
const IGC: Card = Card {
    driver: "net_igc",
    filter: LengthFilter::RegisterTwoTags,
    queues: 4,
    errata: &[Erratum::Unproven],
    source: "igc_txrx.c igc_rx_init; igc_ethdev.h (IGC_ETH_OVERHEAD, IGC_QUEUE_PAIRS_NUM); never seen",
    ..EM
};

/// Cards that em supports since DPDK 26.07. No manual of them was read.
const EM_26_07: Card = Card {
    errata: &[Erratum::Unproven],
    source: "em_ethdev.c pci_id_em_map of DPDK 26.07; no manual was read, never seen",
    ..EM
};

/// PCI/PCI-X family manual (317453): bursts are rounded up to 8 bytes.
const ROUNDS_TO_8: u8 = 8;

static CARDS: &[Card] = &[
    Card {
        name: "82540EM",
        bus: Bus::Pci,
        align: ROUNDS_TO_8,
        source: "PCI/PCI-X family manual 317453, 3.2 and 13.4.22; QEMU's e1000",
        ids: &[0x100e],
        ..EM
    },
    Card {
        name: "82545EM",
        bus: Bus::PciX,
        align: ROUNDS_TO_8,
        errata: &[Erratum::No64KCrossing],
        source: "82545EM specification update, erratum 23; PCI/PCI-X family manual 317453",
        ids: &[0x100f, 0x1011],
        ..EM
    },
    Card {
        name: "82546EB",
        bus: Bus::PciX,
        align: ROUNDS_TO_8,
        errata: &[Erratum::No64KCrossing],
        source: "82546EB specification update, erratum 23; PCI/PCI-X family manual 317453",
        ids: &[0x1010, 0x1012, 0x101d],
        ..EM
    },
    Card {
        name: "82571EB",
        source: "PCIe family manual 316080; em_rxtx.c eth_em_rx_init",
        ids: &[0x105e, 0x105f, 0x1060, 0x10d9, 0x10da, 0x10a4, 0x10d5, 0x10a5, 0x10bc],
        ..EM
    },
    Card {
        name: "82572EI",
        source: "PCIe family manual 316080; em_rxtx.c eth_em_rx_init",
        ids: &[0x107d, 0x107e, 0x107f, 0x10b9],
        ..EM
    },
    Card {
        name: "82573L",
        source: "PCIe family manual 316080; em_rxtx.c eth_em_rx_init (RDTR 0x20)",
        ids: &[0x109a],
        ..EM
    },
    Card {
        name: "82574L",
        source: "82574 datasheet 7.1, 10.2.5 (RCTL); QEMU's e1000e",
        ids: &[0x10d3, 0x10f6],
        ..EM
    },
    Card { name: "82583V", source: "82583V datasheet, RCTL; em_rxtx.c eth_em_rx_init", ids: &[0x150c], ..EM },
    Card {
        name: "82579 (PCH2)",
        bus: Bus::Chipset,
        source: "em_ethdev.c pci_id_em_map; no manual tells of ordering",
        ids: &[0x1502],
        ..EM
    },
    Card {
        name: "I217/I218/I219 (PCH)",
        bus: Bus::Chipset,
        source: "em_ethdev.c pci_id_em_map; no manual tells of ordering",
        ids: &[
            0x153a, 0x153b, 0x155a, 0x1559, 0x15a0, 0x15a1, 0x15a2, 0x15a3, 0x156f, 0x1570, 0x15b7, 0x15b8,
            0x15b9, 0x15d7, 0x15d8, 0x15e3, 0x15d6, 0x15bd, 0x15be, 0x15bb, 0x15bc,
        ],
        ..EM
    },
    Card {
        name: "I219 (PCH since Ice Lake)",
        bus: Bus::Chipset,
        source: "em_ethdev.c pci_id_em_map of DPDK 23.07 (0x0dc5 to 0x0dc8), 25.03 and 26.07 (from 0x57b3 \
                 on); no manual tells of ordering",
        ids: &[
            0x15df, 0x15e0, 0x15e1, 0x15e2, 0x0d4c, 0x0d4d, 0x0d4e, 0x0d4f, 0x0d53, 0x0d55, 0x15fb, 0x15fc,
            0x15f9, 0x15fa, 0x15f4, 0x15f5, 0x1a1e, 0x1a1f, 0x1a1c, 0x1a1d, 0x550a, 0x550b, 0x550c, 0x550d,
            0x550e, 0x550f, 0x0dc7, 0x0dc8, 0x0dc5, 0x0dc6, 0x57a0, 0x57a1, 0x57b3, 0x57b4, 0x57b7, 0x57b8,
            0x57b9, 0x57ba,
        ],
        ..EM
    },
    Card {
        name: "82542 to 82547 (others)",
        bus: Bus::PciX,
        align: ROUNDS_TO_8,
        ids: &[
            0x1000, 0x1001, 0x1004, 0x1008, 0x1009, 0x100c, 0x100d, 0x1013, 0x1014, 0x1015, 0x1016, 0x1017,
            0x1018, 0x1019, 0x101a, 0x101e, 0x1026, 0x1027, 0x1028, 0x1075, 0x1076, 0x1077, 0x1078, 0x1079,
            0x107a, 0x107b, 0x107c, 0x108a, 0x1099, 0x10b5,
        ],
        ..EM_26_07
    },
    Card { name: "82573E", ids: &[0x108b, 0x108c], ..EM_26_07 },
    Card { name: "80003ES2LAN", ids: &[0x1096, 0x1098, 0x10ba, 0x10bb], ..EM_26_07 },
    Card {
        name: "82562 to 82567 (ICH8 to ICH10)",
        bus: Bus::Chipset,
        ids: &[
            0x1049, 0x104a, 0x104b, 0x104c, 0x104d, 0x10bd, 0x10bf, 0x10c0, 0x10c2, 0x10c3, 0x10c4, 0x10c5,
            0x10cb, 0x10cc, 0x10cd, 0x10ce, 0x10de, 0x10df, 0x10e5, 0x10f5, 0x1501, 0x1525, 0x294c,
        ],
        ..EM_26_07
    },
    Card {
        name: "82577/82578/82579V (PCH)",
        bus: Bus::Chipset,
        ids: &[0x10ea, 0x10eb, 0x10ef, 0x10f0, 0x1503],
        ..EM_26_07
    },
    Card { name: "82575", queues: 4, ids: &[0x10a7, 0x10a9, 0x10d6], ..IGB },
    Card {
        name: "82576",
        queues: 16,
        steering: Steering::Pools(8),
        source: "82576 datasheet 7.1.1.3 (pools), 8.10; igb_rxtx.c; QEMU's igb",
        ids: &[0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x1526, 0x150a, 0x1518, 0x150d],
        ..IGB
    },
    Card {
        name: "82580",
        queues: 8,
        steering: Steering::Filter,
        ids: &[0x150e, 0x150f, 0x1510, 0x1511, 0x1516, 0x1527],
        ..IGB
    },
    Card {
        name: "I350",
        queues: 8,
        steering: Steering::Filter,
        ids: &[0x1521, 0x1522, 0x1523, 0x1524, 0x1546],
        ..IGB
    },
    Card {
        name: "I210",
        queues: 4,
        steering: Steering::Filter,
        source: "igb_rxtx.c eth_igb_rx_init; I210 datasheet 8.10 (RLPML); 0x15f6 since DPDK 25.03",
        ids: &[0x1533, 0x1534, 0x1535, 0x1536, 0x1537, 0x1538, 0x157b, 0x157c, 0x15f6],
        ..IGB
    },
    Card { name: "I211", queues: 2, ids: &[0x1539], ..IGB },
    Card { name: "I354", queues: 8, ids: &[0x1f40, 0x1f41, 0x1f45], ..IGB },
    Card {
        name: "DH89xxCC",
        queues: 8,
        source: "e1000_api.c e1000_set_mac_type: an 82580 in a chipset",
        ids: &[0x0438, 0x043a, 0x043c, 0x0440],
        ..IGB
    },
    Card {
        name: "82576 VF",
        queues: 2,
        errata: &[Erratum::HeldReports],
        source: "igb_rxtx.c eth_igbvf_rx_init; Linux igb: igb_set_vf_rlpml; QEMU's igbvf",
        ids: &[0x10ca, 0x152d],
        ..VF
    },
    Card { name: "I350 VF", queues: 1, ids: &[0x1520, 0x152f], ..VF },
    // 0x5502 since DPDK 23.07; 0x15f7, 0x15fd, 0x3101 and 0x125e since 25.03.
    Card {
        name: "I225",
        ids: &[0x15f2, 0x15f3, 0x3100, 0x3101, 0x5502, 0x0d9f, 0x15f8, 0x15f7, 0x15fd],
        ..IGC
    },
    Card { name: "I226", ids: &[0x125b, 0x125c, 0x125d, 0x3102, 0x125e, 0x5503, 0x125f], ..IGC },
];

/// The card with these ids.
pub fn find(vendor: u16, device: u16) -> Option<&'static Card> {
    CARDS.iter().find(|card| vendor == VENDOR && card.ids.contains(&device))
}

/// Ethernet header, checksum and one VLAN tag: what e1000 drivers add to an MTU.
const OVERHEAD: usize = 22;
const CHECKSUM: usize = 4;

impl Card {
    /// Whether it is a virtual function.
    pub fn is_virtual(&self) -> bool {
        self.filter == LengthFilter::Mailbox
    }

    /// Whether it has this defect.
    pub fn has(&self, erratum: Erratum) -> bool {
        self.errata.contains(&erratum)
    }

    /// The length of the longest frame that reaches memory at this MTU, in bytes without its checksum.
    pub fn longest(&self, mtu: u16) -> usize {
        let told = usize::from(mtu) + OVERHEAD;
        match self.filter {
            // 1522 with the checksum, tagged or not (RCTL.LPE).
            LengthFilter::OnOff | LengthFilter::Register | LengthFilter::RegisterTwoTags if mtu <= 1500 => {
                1522 - CHECKSUM
            }
            LengthFilter::OnOff => 16 << 10,
            LengthFilter::Register => told - CHECKSUM,
            LengthFilter::RegisterTwoTags | LengthFilter::Mailbox => told + 4 - CHECKSUM,
        }
    }

    /// The length of a buffer that the driver is told, in bytes, so that no frame takes two.
    pub fn declared(&self, mtu: u16) -> usize {
        let longest = self.longest(mtu) + CHECKSUM;
        match self.filter {
            // RCTL.BSIZE: 2, 4, 8 or 16 KiB.
            LengthFilter::OnOff => {
                if mtu <= 1500 {
                    2048
                } else {
                    16 << 10
                }
            }
            // SRRCTL.BSIZEPACKET: any number of KiB; the driver wants room for two tags.
            LengthFilter::Register | LengthFilter::RegisterTwoTags | LengthFilter::Mailbox => {
                (longest + 8).next_multiple_of(1024).max(2048)
            }
        }
    }

    /// How many bytes from a frame's start the card may write. Bursts may be rounded up to 8 bytes.
    pub fn reach(&self, mtu: u16) -> usize {
        self.longest(mtu).next_multiple_of(8) + 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn no_id_is_in_two_rows_and_every_row_has_a_source() {
        let mut seen = HashMap::new();
        for card in CARDS {
            assert!(!card.ids.is_empty() && card.source.len() > 10 && card.queues > 0, "{}", card.name);
            for id in card.ids {
                assert_eq!(seen.insert(id, card.name), None, "{id:#x}");
            }
        }
        // The tables of em_ethdev.c, of igb_ethdev.c with its virtual functions, of igc_ethdev.c: in 26.07.
        let of = |driver| CARDS.iter().filter(|c| c.driver == driver).map(|c| c.ids.len()).sum::<usize>();
        let (em, igb, vf) = (of("net_e1000_em"), of("net_e1000_igb"), of("net_e1000_igb_vf"));
        assert_eq!((em, igb, vf, of("net_igc")), (147, 39, 4, 16));
    }

    /// What a driver's file says of itself: lines of JSON that `RTE_PMD_REGISTER_PCI_TABLE` has the build put
    /// there, and that dpdk-pmdinfo.py reads. Of each driver its name, and vendor and device of each id.
    fn advertised(file: &[u8]) -> Vec<(String, Vec<(u16, u16)>)> {
        let text = String::from_utf8_lossy(file);
        let said = text.split("PMD_INFO_STRING= {\"name\": \"").skip(1);
        said.filter_map(|said| {
            let said = &said[..said.find(['}', '\0'])?];
            let (name, rest) = said.split_once('"')?;
            let (_, ids) = rest.split_once("\"pci_ids\": [[")?;
            let ids = ids.split("], [").filter_map(|id| {
                let mut numbers = id.split(',').map(|n| n.trim().parse().ok());
                Some((numbers.next()??, numbers.next()??))
            });
            Some((name.to_owned(), ids.collect()))
        })
        .collect()
    }

    #[test]
    fn what_a_driver_advertises_is_read() {
        let file = b"\x7fELF\0PMD_INFO_STRING= {\"name\": \"net_a\", \"kmod\": \"* vfio-pci\", \"pci_ids\": \
                     [[32902, 4110, 65535, 65535], [32902, 21763, 65535, 65535]]}\0\xff\
                     PMD_INFO_STRING= {\"name\": \"net_b\", \"pci_ids\": [[1, 2, 3, 4]]}\0";
        let a = ("net_a".to_owned(), vec![(0x8086, 0x100e), (0x8086, 0x5503)]);
        assert_eq!(advertised(file), [a, ("net_b".to_owned(), vec![(1, 2)])]);
        assert_eq!(advertised(b"PMD_INFO_STRING= {\"name\": \"net_c"), [], "cut short");
    }

    /// The files of e1000's and igc's drivers that the DPDK of this build brings, each once.
    fn installed() -> Vec<std::path::PathBuf> {
        let asked = std::process::Command::new("pkg-config").args(["--variable=libdir", "libdpdk"]).output();
        let Ok(asked) = asked else { return Vec::new() };
        let libdir = std::path::PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
        let Ok(folders) = std::fs::read_dir(libdir.join("dpdk")) else { return Vec::new() };
        let folders =
            folders.filter_map(Result::ok).filter(|f| f.file_name().as_encoded_bytes().starts_with(b"pmds-"));
        let files = folders.flat_map(|folder| {
            ["librte_net_e1000.so", "librte_net_igc.so"].map(|name| folder.path().join(name))
        });
        files.filter(|file| file.exists()).collect()
    }

    #[test]
    fn every_card_that_the_installed_drivers_take_has_a_row() {
        let files = installed();
        if files.is_empty() {
            println!("this DPDK has no file of e1000's drivers: not tested");
        }
        for file in files {
            let drivers = advertised(&std::fs::read(&file).expect("reads"));
            assert!(!drivers.is_empty(), "{} says nothing of itself", file.display());
            for (driver, ids) in drivers {
                println!("{}: {driver} takes {} cards", file.display(), ids.len());
                assert!(!ids.is_empty(), "{driver}");
                for (vendor, device) in ids {
                    let row = find(vendor, device).map(|card| card.driver);
                    assert_eq!(row, Some(&*driver), "{vendor:04x}:{device:04x} of {driver} has no row");
                }
            }
        }
    }

    #[test]
    fn cards_are_known_by_their_ids() {
        for (id, name) in [
            (0x100e, "82540EM"),
            (0x100f, "82545EM"),
            (0x10d3, "82574L"),
            (0x10c9, "82576"),
            (0x10ca, "82576 VF"),
            (0x15f3, "I225"),
            (0x125c, "I226"),
            (0x15fb, "I219 (PCH since Ice Lake)"),
        ] {
            assert_eq!(find(VENDOR, id).map(|c| c.name), Some(name));
        }
        assert_eq!(find(0x8087, 0x10c9), None);
        assert_eq!(find(VENDOR, 0x1572), None);
    }

    #[test]
    fn what_is_let_in_fits_into_what_is_declared() {
        for card in CARDS {
            for mtu in [576, 1280, 1492, 1500, 1501, 2000, 4000, 9000] {
                assert!(card.longest(mtu) <= card.declared(mtu), "{} at {mtu}", card.name);
                assert!(card.longest(mtu) >= usize::from(mtu) + 14);
                assert!(card.reach(mtu) >= card.longest(mtu));
            }
        }
    }
}
