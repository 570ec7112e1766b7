//! [`Facts`]: what the system says of a network interface and of the card behind it.
//!
//! The folder of sysfs is an argument, so that tests can have their own.
//!
//! lmd reads them before it takes a card, and asks [`Facts::to_save`] what has to be put back.
//! Nothing is changed by reading.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use lm_tap::numbers::{IFADDRMSG, RTM_GETADDR, RTM_GETROUTE, RTMSG};
use lm_tap::{Interface, Rtnetlink};

use crate::{Address, Route, Settings};

/// The folder in which the kernel lists multicast groups.
const PROC: &str = "/proc/net";

/// What the system says of an interface and of its card. [`Facts::read`] asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The interface's name.
    pub name: String,
    /// The interface's number. `None`: there is no such interface.
    pub index: Option<u32>,
    /// The bus of the interface's device, and the device's place on it. `None`: the interface has no device.
    pub device: Option<(String, String)>,
    /// The numbers of the maker and of the model of a PCI device.
    pub id: Option<(u16, u16)>,
    /// The device's driver.
    pub driver: Option<String>,
    /// The only driver that may have the device (`driver_override`). `None`: any driver may that knows it.
    pub overridden: Option<String>,
    /// The bridge or bond that the interface belongs to.
    pub master: Option<String>,
    /// The interfaces on top of this one, such as VLANs.
    pub uppers: Vec<String>,
    /// How many virtual functions the card is cut into.
    pub functions: u32,
    /// The devices that share its IOMMU group, with their drivers. `None`: there is no IOMMU.
    pub group: Option<Vec<(String, String)>>,
    /// Whether the kernel has the driver vfio-pci, or can load it.
    pub vfio: bool,
    /// Whether the kernel has the driver uio_pci_generic, or can load it.
    pub uio: bool,
    /// Whether the interface is in the machine's first network name space, to which cards come back.
    pub first_namespace: bool,
    /// The families (the numbers of AF_INET and AF_INET6) whose default routes all go by this interface.
    pub only_default: Vec<u8>,
    /// What the interface has that can be moved.
    pub settings: Settings,
}

impl Facts {
    /// Looks at the interface of this name. `sys` is the folder of sysfs.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn read(sys: &Path, name: &str) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{name}: {e}");
        let interface = Interface::new(name).map_err(failed)?;
        let mut facts = Self { name: name.to_owned(), index: interface.index(), ..Self::default() };
        let Some(index) = facts.index else { return Ok(facts) };
        facts.read_device(sys);
        facts.first_namespace = is_first_namespace();
        facts.settings.mac = interface.mac().unwrap_or_default();
        facts.settings.mtu = interface.mtu().map_err(failed)?;
        facts.settings.up = interface.flags().map_err(failed)? & UP != 0;
        facts.settings.addresses = addresses(index).map_err(failed)?;
        let mut defaults = Vec::new();
        for body in dump(RTM_GETROUTE).map_err(failed)? {
            defaults.extend(Route::default_of(&body, index));
            let family = body.first().copied().unwrap_or_default();
            let by_programs =
                facts.settings.addresses.iter().any(|a| a.family() == family && a.is_without_route());
            facts.settings.routes.extend(Route::of(body, index, by_programs));
        }
        let ours = |family: &u8| {
            let mut all = defaults.iter().filter(|(of, _)| of == family);
            all.clone().count() > 0 && all.all(|(_, ours)| *ours)
        };
        facts.only_default = [2, 10].into_iter().filter(ours).collect();
        let list = |file: &str| fs::read_to_string(format!("{PROC}/{file}")).unwrap_or_default();
        facts.settings.groups = groups(&list("dev_mcast"), name);
        facts.settings.joins = joins(&list("igmp"), name);
        facts.settings.joins.extend(joins6(&list("igmp6"), name));
        Ok(facts)
    }

    /// Reads what sysfs says of the interface and of its device.
    fn read_device(&mut self, sys: &Path) {
        let class = sys.join("class/net").join(&self.name);
        self.master = link(&class.join("master"));
        let entries = fs::read_dir(&class).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        self.uppers = names.filter_map(|name| name.strip_prefix("upper_").map(str::to_owned)).collect();
        self.uppers.retain(|upper| Some(upper) != self.master.as_ref());
        self.uppers.sort();
        let device = class.join("device");
        self.device = link(&device.join("subsystem")).zip(link(&device));
        let Some((bus, place)) = &self.device else { return };
        if bus != "pci" {
            return;
        }
        let device = device_of(sys, place);
        let number = |file: &str| {
            let text = fs::read_to_string(device.join(file)).ok()?;
            u16::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
        };
        self.id = number("vendor").zip(number("device"));
        self.driver = link(&device.join("driver"));
        self.overridden = overridden(&device);
        let functions = fs::read_to_string(device.join("sriov_numvfs")).unwrap_or_default();
        self.functions = functions.trim().parse().unwrap_or(0);
        self.group = fs::read_dir(device.join("iommu_group/devices")).ok().map(|entries| {
            let others = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            let others = others.filter(|other| other != place);
            others
                .filter_map(|other| Some((other.clone(), link(&device_of(sys, &other).join("driver"))?)))
                .collect()
        });
        self.vfio = has_driver(sys, "vfio-pci");
        self.uio = has_driver(sys, "uio_pci_generic");
    }
}

/// The flag of an interface that is up (`IFF_UP`).
pub(crate) const UP: i32 = 1;

/// Where sysfs has a PCI device.
pub(crate) fn device_of(sys: &Path, place: &str) -> PathBuf {
    sys.join("bus/pci/devices").join(place)
}

/// The only driver that may have a device (`driver_override`). `None`: any driver may that knows it.
fn overridden(device: &Path) -> Option<String> {
    let text = fs::read_to_string(device.join("driver_override")).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty() && text != "(null)")
}

/// The last part of what a symbolic link points to.
pub(crate) fn link(path: &Path) -> Option<String> {
    fs::read_link(path).ok()?.file_name()?.to_str().map(str::to_owned)
}

/// Whether the kernel has this PCI driver, or can load it.
fn has_driver(sys: &Path, driver: &str) -> bool {
    if sys.join("bus/pci/drivers").join(driver).exists() {
        return true;
    }
    let version = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = ["modules.dep", "modules.builtin"].map(|file| {
        fs::read_to_string(format!("/lib/modules/{}/{file}", version.trim())).unwrap_or_default()
    });
    modules.iter().any(|list| list.contains(&format!("/{driver}.ko")))
}

/// Whether this program sees the network name space that the machine began with. If the program may not
/// look, the answer is yes.
fn is_first_namespace() -> bool {
    match (fs::read_link("/proc/1/ns/net"), fs::read_link("/proc/self/ns/net")) {
        (Ok(first), Ok(ours)) => first == ours,
        _ => true,
    }
}

/// The bodies of all messages that answer a request of this kind, of addresses or of routes.
fn dump(kind: u16) -> std::io::Result<Vec<Vec<u8>>> {
    let len = if kind == RTM_GETROUTE { RTMSG } else { IFADDRMSG };
    Ok(Rtnetlink::open()?.dump(kind, &vec![0; len])?.into_iter().map(|(_, body)| body).collect())
}

/// The addresses of the interface with this number.
pub(crate) fn addresses(index: u32) -> std::io::Result<Vec<Address>> {
    let all = dump(RTM_GETADDR)?.into_iter().filter_map(Address::of);
    Ok(all.filter(|address| address.interface() == index).collect())
}

/// The MAC addresses of groups that somebody had an interface receive (`ip maddr`), out of
/// `/proc/net/dev_mcast`.
fn groups(text: &str, name: &str) -> Vec<[u8; 6]> {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let (of, _, permanent, mac) = (words.nth(1)?, words.next()?, words.next()?, words.next()?);
        let mac = crate::hex::bytes(mac)?.try_into().ok()?;
        (of == name && permanent != "0").then_some(mac)
    };
    text.lines().filter_map(one).collect()
}

/// The groups that programs have joined on an interface, out of `/proc/net/igmp`: a line for the interface,
/// and then a line for each of its groups.
fn joins(text: &str, name: &str) -> Vec<IpAddr> {
    let (mut found, mut ours) = (Vec::new(), false);
    for line in text.lines().skip(1) {
        let mut words = line.split_whitespace();
        if !line.starts_with(char::is_whitespace) {
            // There is a space before the colon only behind a name of less than ten characters. A name has no
            // colon.
            ours = words.nth(1).and_then(|word| word.split(':').next()) == Some(name);
        } else if let Some(group) = words.next().filter(|_| ours)
            && let Ok(group) = u32::from_str_radix(group, 16)
        {
            // It is printed as a number, and lies in memory as on the wire.
            let group = Ipv4Addr::from(group.to_ne_bytes());
            found.extend((group != ALL_SYSTEMS).then_some(IpAddr::V4(group)));
        }
    }
    found
}

/// The group of all machines on a link (224.0.0.1), which each interface is in by itself.
const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// The IPv6 groups that programs have joined on an interface, out of `/proc/net/igmp6`: a line for each
/// group. Groups that the kernel joins itself, for the interface or for an address, are left out.
fn joins6(text: &str, name: &str) -> Vec<IpAddr> {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let (of, group) = (words.nth(1)?, words.next()?);
        let group: [u8; 16] = crate::hex::bytes(group)?.try_into().ok()?;
        let group = Ipv6Addr::from(group);
        let [scope, .., high, low] = group.segments();
        let every_node = matches!(scope, 0xff01 | 0xff02) && group.segments()[1..7] == [0; 6] && low == 1;
        let solicited = group.segments()[..6] == [0xff02, 0, 0, 0, 0, 1] && high >> 8 == 0xff;
        (of == name && !every_node && !solicited).then_some(IpAddr::V6(group))
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A sysfs with a card.
    pub(crate) fn sysfs() -> tempfile::TempDir {
        let sys = tempfile::tempdir().expect("a folder");
        let at = |path: &str| sys.path().join(path);
        for folder in [
            "class/net/eth0/upper_eth0.7",
            "devices/a/0000:01:00.0",
            "devices/a/0000:01:00.1",
            "bus/pci/devices",
            "bus/pci/drivers/igb",
            "bus/pci/drivers/vfio-pci",
            "groups/3/devices",
        ] {
            fs::create_dir_all(at(folder)).expect("a folder");
        }
        let card = at("devices/a/0000:01:00.0");
        for (file, text) in [
            ("vendor", "0x8086\n"),
            ("device", "0x10c9\n"),
            ("sriov_numvfs", "0\n"),
            ("driver_override", "(null)\n"),
        ] {
            fs::write(card.join(file), text).expect("written");
        }
        symlink(at("bus/pci"), card.join("subsystem")).expect("a link");
        symlink(at("groups/3"), card.join("iommu_group")).expect("a link");
        symlink(&card, at("class/net/eth0/device")).expect("a link");
        for place in ["0000:01:00.0", "0000:01:00.1"] {
            symlink(at("bus/pci/drivers/igb"), at("devices/a").join(place).join("driver")).expect("a link");
            symlink(at("devices/a").join(place), at("bus/pci/devices").join(place)).expect("a link");
            symlink(at("devices/a").join(place), at("groups/3/devices").join(place)).expect("a link");
        }
        sys
    }

    #[test]
    fn a_card_is_read() {
        let sys = sysfs();
        let mut facts = Facts { name: "eth0".to_owned(), ..Facts::default() };
        facts.read_device(sys.path());
        assert_eq!(facts.device, Some(("pci".to_owned(), "0000:01:00.0".to_owned())));
        assert_eq!((facts.id, facts.driver.as_deref()), (Some((0x8086, 0x10c9)), Some("igb")));
        assert_eq!(facts.group, Some(vec![("0000:01:00.1".to_owned(), "igb".to_owned())]));
        assert_eq!((facts.uppers, facts.master, facts.overridden), (vec!["eth0.7".to_owned()], None, None));
        assert!(facts.vfio && facts.functions == 0);
        let mut none = Facts { name: "veth0".to_owned(), ..Facts::default() };
        none.read_device(sys.path());
        assert_eq!(none.device, None);
    }

    #[test]
    fn the_loopback_is_read() {
        let facts = Facts::read(Path::new("/sys"), "lo").expect("answers");
        assert_eq!((facts.index, facts.device), (Some(1), None));
        let none = Facts::read(Path::new("/sys"), "there-is-none").expect("answers");
        assert_eq!(none.index, None);
        Facts::read(Path::new("/sys"), "a/b").expect_err("no name");
    }

    #[test]
    fn groups_are_read() {
        let text = "4    eth0            1     0     333300000001\n4    eth0            1     1     01005e010203\n\
                    5    eth01           1     1     01005e010204\nnonsense\n";
        assert_eq!(groups(text, "eth0"), [[1, 0, 0x5e, 1, 2, 3]]);
        let text = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n4\teth0      :     2      V3\n\
                    \t\t\t\tFB0000E0     1 0:00000000\t\t0\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
                    5\teth1      :     1      V3\n\t\t\t\t070707EF     1 0:00000000\t\t0\n";
        assert_eq!(joins(text, "eth0"), [IpAddr::from([224, 0, 0, 251])]);
        for long in ["enp134s0f0", "enx020000000009"] {
            let text = text.replace("eth0      ", long);
            assert_eq!(joins(&text, long), [IpAddr::from([224, 0, 0, 251])], "{text}");
            assert!(joins(&text, &long[..9]).is_empty(), "another's");
        }
        let text = "4    eth0            ff0200000000000000000000000000fb     1 00000004 0\n\
                    4    eth0            ff0200000000000000000001ff000007     1 00000004 0\n\
                    4    eth0            ff020000000000000000000000000001     1 0000000C 0\n";
        assert_eq!(joins6(text, "eth0"), ["ff02::fb".parse::<IpAddr>().expect("an address")]);
    }
}
