//! Decides whether a port's receive queues can wake a sleeping thread, and sets its card up for that.
//!
//! igb's driver routes each queue to an MSI-X interrupt of its own, which only vfio-pci passes on. Bound to
//! another kernel driver, it would still switch the card to MSI-X, and no interrupt would arrive; and EITR(0)
//! = 0xFFFF would delay a single interrupt line. em has one interrupt for all queues, which uio_pci_generic
//! passes on. Its driver writes ITR = 0xFFFF when it starts the card, which allows one interrupt in 16.8 ms.
//! DPDK has no function for this register. So LM writes it through the card's memory in sysfs after each
//! start. (DPDK 22.11, `em_ethdev.c`, `igb_ethdev.c`; Intel's 8254x manual, 13.4.18.)

use std::io;
use std::path::{Path, PathBuf};

use rte::port::PortInfo;

use crate::registers::{Page, bound, directory};

/// Interrupt throttling of the 8254x and 8257x: least time between two interrupts, in units of 256 ns; 0:
/// none.
const ITR: usize = 0x00c4;
/// The value that em's driver writes to the register.
const EM_DEFAULT: u32 = 0xffff;

/// What is to be done so that a port can interrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Nothing: its driver does all of it.
    AsItIs,
    /// The register that delays its interrupts is cleared after each start. This file contains the register.
    Unthrottled(PathBuf),
}

/// What has to be done so that a port's queues can wake a thread.
///
/// # Errors
/// The reason why they cannot, and what to do.
pub(crate) fn wake(info: &PortInfo) -> Result<Wake, String> {
    wake_by(&info.driver, &info.device)
}

/// Whether the receive queues of a device with this driver can wake a thread. The device need not be open.
///
/// # Errors
/// The reason why they cannot, and what to do.
pub fn can_interrupt(driver: &str, device: &str) -> Result<(), String> {
    wake_by(driver, device).map(drop)
}

fn wake_by(driver: &str, device: &str) -> Result<Wake, String> {
    let dir = directory(device);
    let bound = bound(&dir);
    wake_of(driver, bound.as_deref().unwrap_or("nothing"), &dir)
}

fn wake_of(driver: &str, bound: &str, dir: &Path) -> Result<Wake, String> {
    match (driver, bound) {
        ("net_e1000_igb" | "net_e1000_igb_vf" | "net_igc", "vfio-pci") => Ok(Wake::AsItIs),
        ("net_e1000_igb" | "net_e1000_igb_vf" | "net_igc", _) => Err(format!(
            "each queue of this card has its own interrupt (MSI-X), and {bound}, which the card is bound to, \
             does not pass it on: bind the card to vfio-pci (docs/hardware.md)"
        )),
        ("net_e1000_em", "uio_pci_generic" | "igb_uio") => Ok(Wake::Unthrottled(dir.join("resource0"))),
        ("net_e1000_em", _) => Err(format!(
            "DPDK's driver delays this card's interrupts by 16.8 ms (ITR = {EM_DEFAULT:#x}), and LM cannot \
             reach the register while the card is bound to {bound}: bind it to uio_pci_generic"
        )),
        ("net_memif" | "net_pcap" | "net_null" | "net_ring" | "net_af_packet", _) => {
            Err("its driver has no receive interrupt (DPDK 22.11)".to_owned())
        }
        // DPDK is asked.
        _ => Ok(Wake::AsItIs),
    }
}

impl Wake {
    /// Does what is to be done, on a started port.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self {
            Self::AsItIs => Ok(()),
            Self::Unthrottled(file) => clear(file, ITR),
        }
    }
}

/// Clears a register.
fn clear(file: &Path, register: usize) -> io::Result<()> {
    // The driver writes it only when it starts the card, which has been.
    let left = Page::of_file(file, 0)?.change(register, |_| 0);
    if left == 0 { Ok(()) } else { Err(io::Error::other(format!("it reads {left:#x} after it was cleared"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const PAGE: usize = 4096;

    #[test]
    fn who_can_wake_a_thread_and_what_to_do_about_the_others() {
        let dir = Path::new("/sys/bus/pci/devices/0000:01:00.0");
        let of = |driver, bound| wake_of(driver, bound, dir);
        assert_eq!(of("net_e1000_igb", "vfio-pci"), Ok(Wake::AsItIs));
        assert_eq!(of("net_tap", "nothing"), Ok(Wake::AsItIs));
        assert_eq!(of("net_e1000_em", "uio_pci_generic"), Ok(Wake::Unthrottled(dir.join("resource0"))));
        for (driver, bound, says) in [
            ("net_e1000_igb", "uio_pci_generic", "vfio-pci"),
            ("net_igc", "uio_pci_generic", "vfio-pci"),
            ("net_e1000_em", "vfio-pci", "uio_pci_generic"),
            ("net_memif", "nothing", "no receive interrupt"),
            ("net_pcap", "nothing", "no receive interrupt"),
        ] {
            let why = of(driver, bound).expect_err(driver);
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn a_register_is_cleared_and_nothing_else() {
        let path = std::env::temp_dir().join(format!("lm-itr-{}", std::process::id()));
        fs::write(&path, [0xff; PAGE]).expect("a file");
        clear(&path, ITR).expect("cleared");
        let bytes = fs::read(&path).expect("the file");
        fs::remove_file(&path).expect("removed");
        for (at, &byte) in bytes.iter().enumerate() {
            assert_eq!(byte, if (ITR..ITR + 4).contains(&at) { 0 } else { 0xff }, "{at:#x}");
        }
        assert!(clear(Path::new("/nonexistent/resource0"), ITR).is_err());
    }
}
