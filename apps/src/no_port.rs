//! [`check`]: whether EAL has found a port, and if not, why and what to do.
//!
//! EAL says nothing of a card that `-a` names if the card is not there, or if the kernel's driver has it.
//! These are the first mistakes with a card, so the kernel is asked about it.

use std::fs;
use std::path::Path;

use rte::Eal;

use crate::logging;

/// Where the kernel lists PCI devices.
const DEVICES: &str = "/sys/bus/pci/devices";
/// Drivers that hand a card to DPDK.
const FOR_DPDK: [&str; 3] = ["vfio-pci", "uio_pci_generic", "igb_uio"];

/// Refuses to go on if EAL, which was started with these arguments, has found no port.
pub(crate) fn check(eal: &Eal, eal_args: &[String]) -> Result<(), String> {
    match rte::port::ports(eal).next() {
        Some(_) => Ok(()),
        None => Err(explain(eal_args, &logging::complaints(), Path::new(DEVICES))),
    }
}

/// One line about why there is no port. `complaints`: what DPDK has said. `devices`: see [`DEVICES`].
fn explain(eal_args: &[String], complaints: &str, devices: &Path) -> String {
    let cards = cards(eal_args);
    let unusable: Vec<_> = cards.iter().filter_map(|card| unusable(card, devices)).collect();
    let forbidden = ["Operation not permitted", "Permission denied"].iter().any(|no| complaints.contains(no));
    let why = match (unusable.is_empty(), complaints.is_empty()) {
        (false, _) => unusable.join("; "),
        (true, true) if cards.is_empty() => {
            "give it a device before --, such as --vdev=net_memif0 or -a 0000:01:00.0".to_owned()
        }
        (true, true) if eal_args.iter().any(|arg| arg == "--no-pci") => {
            format!("--no-pci keeps EAL from {}: leave it out", cards.join(", "))
        }
        (true, true) => format!(
            "no driver of DPDK's has taken {}: name a card that DPDK knows (docs/hardware.md)",
            cards.join(", ")
        ),
        (true, false) if forbidden => format!("{complaints}; run as root"),
        (true, false) => format!("{complaints}; free the device, or correct it before -- (--vdev, -a)"),
    };
    format!("EAL found no port: {why}")
}

/// The PCI addresses that `-a` and `--allow` name, with their domain.
fn cards(eal_args: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut args = eal_args.iter();
    while let Some(arg) = args.next() {
        let value = match arg.as_str() {
            "-a" | "--allow" => args.next().map(String::as_str),
            arg => arg.strip_prefix("--allow=").or_else(|| arg.strip_prefix("-a")),
        };
        let Some(name) = value.and_then(|value| value.split(',').next()) else { continue };
        let is_address =
            name.contains('.') && name.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c));
        match name.matches(':').count() {
            1 if is_address => found.push(format!("0000:{name}")),
            2 if is_address => found.push(name.to_owned()),
            _ => {}
        }
    }
    found
}

/// Why DPDK cannot have this card, and what to do. `None`: it could.
fn unusable(card: &str, devices: &Path) -> Option<String> {
    let device = devices.join(card);
    if !device.exists() {
        return Some(format!("there is no PCI device {card}: ls {} lists them", devices.display()));
    }
    let driver = fs::read_link(device.join("driver")).ok();
    let driver = driver.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let has = match driver {
        Some(driver) if FOR_DPDK.contains(&driver.as_str()) => return None,
        Some(driver) => format!("the kernel's driver {driver} has {card}"),
        None => format!("no driver has {card}"),
    };
    Some(format!("{has}: bind it to vfio-pci or uio_pci_generic (dpdk-devbind.py -b, docs/hardware.md)"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::words::words;

    #[test]
    fn cards_are_found_however_they_are_named() {
        let args = words("x -a 0000:01:00.0 -a01:00.1,arg=1 --allow=02:00.0 --allow 0001:0a:00.0 -l 0");
        assert_eq!(cards(&args), ["0000:01:00.0", "0000:01:00.1", "0000:02:00.0", "0001:0a:00.0"]);
        assert!(cards(&words("x -a eth0 --vdev=net_null0 -a")).is_empty());
    }

    #[test]
    fn a_card_that_dpdk_cannot_have_is_named_with_the_reason() {
        let place = std::env::temp_dir().join(format!("lm-no-port-{}", std::process::id()));
        for (card, driver) in
            [("0000:01:00.0", Some("igb")), ("0000:01:00.1", None), ("0000:02:00.0", Some("vfio-pci"))]
        {
            fs::create_dir_all(place.join(card)).expect("a folder");
            if let Some(driver) = driver {
                symlink(Path::new("../../drivers").join(driver), place.join(card).join("driver"))
                    .expect("a link");
            }
        }
        let said = |line: &str, complaints: &str| explain(&words(line), complaints, &place);
        let (bound, unbound, absent) =
            (said("x -a 01:00.0", ""), said("x -a 01:00.1", ""), said("x -a 09:00.0", ""));
        let (good, faulty) = (said("x -a 02:00.0", ""), said("x -a 02:00.0", "VFIO group is not viable"));
        let barred = said("x --no-pci -a 02:00.0", "");
        fs::remove_dir_all(&place).expect("it was made above");
        assert!(bound.contains("driver igb has 0000:01:00.0: bind it to vfio-pci"), "{bound}");
        assert!(unbound.contains("no driver has 0000:01:00.1: bind it"), "{unbound}");
        assert!(absent.contains("there is no PCI device 0000:09:00.0"), "{absent}");
        assert!(good.contains("no driver of DPDK's has taken 0000:02:00.0"), "{good}");
        assert!(barred.contains("--no-pci keeps EAL from 0000:02:00.0"), "{barred}");
        assert!(faulty.contains("VFIO group is not viable; free the device"), "{faulty}");
    }

    #[test]
    fn without_a_card_the_device_or_the_right_is_what_lacks() {
        let said = |line: &str, complaints: &str| explain(&words(line), complaints, Path::new("/nowhere"));
        assert!(said("x --no-pci", "").contains("give it a device before --"));
        assert!(said("x --vdev=net_tap0", "TUNSETIFF: Operation not permitted").ends_with("; run as root"));
    }
}
