//! Says why a card must not be moved, and which driver it would go to.
//!
//! lmd calls [`Facts::to_save`] before it changes anything. All reasons are given at once, in one line, each
//! with what to do about it where something can be done.

use crate::facts::Facts;
use crate::saved::{Saved, VERSION};

/// The kernel's drivers of the cards that DPDK's e1000 drivers know.
const DRIVERS: [&str; 5] = ["e1000", "e1000e", "igb", "igbvf", "igc"];
/// The driver by which DPDK uses a card through the IOMMU.
const VFIO: &str = "vfio-pci";
/// The driver by which DPDK uses a card without an IOMMU.
const UIO: &str = "uio_pci_generic";
/// Drivers of devices that do not stand in the way of others of their IOMMU group.
const HARMLESS: [&str; 4] = [VFIO, "pcieport", "pci-stub", "shpchp"];
/// The MTUs that lmd accepts.
const MTUS: std::ops::RangeInclusive<u32> = 576..=9216;

/// What the user wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// lmd's interface, which is to take the place of the card's.
    pub tap: &'a str,
    /// Whether lmd's interface is up.
    pub tap_is_up: bool,
    /// Whether the machine's only default route may be moved.
    pub force: bool,
    /// Seconds since the machine's start.
    pub now: u64,
}

impl Facts {
    /// Looks whether the card may be moved. Returns what it has to be given back as.
    ///
    /// # Errors
    /// Why it is not to be moved: all reasons, in one line.
    pub fn to_save(self, wish: Wish<'_>, is_known: impl Fn(u16, u16) -> bool) -> Result<Saved, String> {
        let name = self.name.clone();
        let (reasons, to) = self.reasons(wish, is_known);
        let (Some(to), Some((_, device)), Some(driver), true) =
            (to, self.device, self.driver, reasons.is_empty())
        else {
            return Err(format!("{name} is not taken over: {}", reasons.join("; ")));
        };
        Ok(Saved {
            version: VERSION,
            card: self.name,
            tap: wish.tap.to_owned(),
            tap_was_up: wish.tap_is_up,
            device,
            driver,
            overridden: self.overridden,
            to: to.to_owned(),
            settings: self.settings,
            at: wish.now,
        })
    }

    fn reasons(
        &self,
        wish: Wish<'_>,
        is_known: impl Fn(u16, u16) -> bool,
    ) -> (Vec<String>, Option<&'static str>) {
        let name = &self.name;
        if self.index.is_none() {
            return (vec!["there is no such interface".to_owned()], None);
        }
        let mut why = Vec::new();
        if *name == wish.tap {
            why.push("it is the interface that would take its place: choose another --interface".to_owned());
        }
        if let Some(master) = &self.master {
            why.push(format!(
                "it belongs to {master}, a bridge or bond: take it out (ip link set {name} nomaster)"
            ));
        }
        if !self.uppers.is_empty() {
            why.push(format!(
                "{} on top of it would be removed with it: remove what is on top first",
                self.uppers.join(", ")
            ));
        }
        if !self.first_namespace {
            why.push(
                "it is in a network name space of its own, and a card comes back to the first one: run lmd there"
                    .to_owned(),
            );
        }
        let families: Vec<_> =
            self.only_default.iter().map(|family| if *family == 2 { "IPv4" } else { "IPv6" }).collect();
        if !wish.force && !families.is_empty() {
            why.push(format!(
                "it has the machine's only default route ({}), and a mistake would cut you off: give --force",
                families.join(" and ")
            ));
        }
        if !MTUS.contains(&self.settings.mtu) {
            why.push(format!("its MTU of {} is not in {}..={}", self.settings.mtu, MTUS.start(), MTUS.end()));
        }
        let to = self.reasons_of_device(&mut why, is_known);
        (why, to)
    }

    fn reasons_of_device(
        &self,
        why: &mut Vec<String>,
        is_known: impl Fn(u16, u16) -> bool,
    ) -> Option<&'static str> {
        match &self.device {
            None => {
                why.push("it is no PCI card: no device is behind it".to_owned());
                return None;
            }
            Some((bus, place)) if bus != "pci" => {
                why.push(format!("it is no PCI card: it is {place} on the bus {bus}"));
                return None;
            }
            Some(_) => {}
        }
        match self.driver.as_deref() {
            Some(driver) if !DRIVERS.contains(&driver) => {
                why.push(format!(
                    "its driver is {driver}, and lmd knows cards of {} only",
                    DRIVERS.join(", ")
                ));
                return None;
            }
            None => why.push("it has no driver that it could be given back to".to_owned()),
            Some(_) => {}
        }
        match self.id {
            Some((vendor, device)) if is_known(vendor, device) => {}
            Some((vendor, device)) => why.push(format!("DPDK has no driver for {vendor:04x}:{device:04x}")),
            None => why.push("its maker and model cannot be read".to_owned()),
        }
        if self.functions > 0 {
            why.push(format!("it has {} virtual functions, which would be removed with it", self.functions));
        }
        self.new_driver(why)
    }

    /// The driver that the card would go to. What prevents that is added to `why`.
    fn new_driver(&self, why: &mut Vec<String>) -> Option<&'static str> {
        let Some(group) = &self.group else {
            if !self.uio {
                why.push(format!(
                    "there is no IOMMU (intel_iommu=on, amd_iommu=on) and no uio: the kernel has no {UIO} \
                     (modprobe {UIO})"
                ));
            }
            return self.uio.then_some(UIO);
        };
        let others = group.iter().filter(|(_, driver)| !HARMLESS.contains(&driver.as_str()));
        let others: Vec<_> = others.map(|(place, driver)| format!("{place} ({driver})")).collect();
        if !others.is_empty() {
            why.push(format!("its IOMMU group has other devices in use: {}", others.join(", ")));
        }
        if !self.vfio {
            why.push(format!("the machine has an IOMMU, and its kernel has no {VFIO} (modprobe {VFIO})"));
        }
        self.vfio.then_some(VFIO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn good() -> Facts {
        Facts {
            name: "eth0".to_owned(),
            index: Some(7),
            device: Some(("pci".to_owned(), "0000:01:00.0".to_owned())),
            id: Some((0x8086, 0x10c9)),
            driver: Some("igb".to_owned()),
            group: Some(vec![("0000:00:01.0".to_owned(), "pcieport".to_owned())]),
            vfio: true,
            uio: true,
            first_namespace: true,
            settings: Settings { mtu: 1500, ..Settings::default() },
            ..Facts::default()
        }
    }

    fn save(facts: Facts, force: bool) -> Result<Saved, String> {
        let wish = Wish { tap: "lm0", force, ..Wish::default() };
        facts.to_save(wish, |vendor, device| (vendor, device) == (0x8086, 0x10c9))
    }

    #[test]
    fn an_iommu_decides_the_driver() {
        assert_eq!(save(good(), false).map(|saved| saved.to), Ok(VFIO.to_owned()));
        let bare = Facts { group: None, vfio: false, ..good() };
        assert_eq!(save(bare, false).map(|saved| saved.to), Ok(UIO.to_owned()));
    }

    #[test]
    fn each_refusal_names_its_reason_in_a_line() {
        let text = |text: &str| Some(text.to_owned());
        let on = |bus: &str, place: &str| Some((bus.to_owned(), place.to_owned()));
        for (facts, told) in [
            (Facts { index: None, ..good() }, "no such interface"),
            (Facts { name: "lm0".to_owned(), ..good() }, "take its place"),
            (Facts { master: text("br0"), ..good() }, "br0"),
            (Facts { uppers: vec!["eth0.7".to_owned(), "eth0.8".to_owned()], ..good() }, "eth0.7, eth0.8"),
            (Facts { first_namespace: false, ..good() }, "name space"),
            (Facts { only_default: vec![2, 10], ..good() }, "IPv4 and IPv6"),
            (Facts { settings: Settings { mtu: 65_536, ..Settings::default() }, ..good() }, "65536"),
            (Facts { device: None, ..good() }, "no PCI card"),
            (Facts { device: on("virtio", "virtio0"), ..good() }, "virtio0 on the bus virtio"),
            (Facts { driver: text("ixgbe"), ..good() }, "ixgbe"),
            (Facts { driver: None, ..good() }, "no driver"),
            (Facts { id: Some((0x8086, 0x1533)), ..good() }, "8086:1533"),
            (Facts { id: None, ..good() }, "cannot be read"),
            (Facts { functions: 2, ..good() }, "2 virtual functions"),
            (
                Facts { group: Some(vec![("0000:01:00.1".to_owned(), "igb".to_owned())]), ..good() },
                "0000:01:00.1 (igb)",
            ),
            (Facts { vfio: false, ..good() }, "no vfio-pci"),
            (Facts { group: None, uio: false, ..good() }, "no IOMMU"),
        ] {
            let why = save(facts, false).expect_err(told);
            assert!(why.contains(told) && !why.contains('\n') && why.contains("is not taken over"), "{why}");
        }
        let all = Facts { master: text("br0"), device: None, only_default: vec![2], ..good() };
        let why = save(all, false).expect_err("three reasons");
        assert!(why.contains("br0") && why.contains("--force") && why.contains("no PCI card"), "{why}");
    }

    #[test]
    fn force_moves_the_only_default_route() {
        assert!(save(Facts { only_default: vec![2], ..good() }, true).is_ok());
        assert!(
            save(Facts { only_default: vec![2], master: Some("br0".to_owned()), ..good() }, true).is_err()
        );
    }
}
