//! [`System`]: the machine that this program runs on, as a [`World`] in which steps are made.
//!
//! lmd runs its plans in it; the tests use a model instead. Steps are writes to sysfs, netlink messages,
//! requests about interfaces, and modprobe. Waits for an interface or an address end after some seconds.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use lm_tap::absence::gone;
use lm_tap::numbers::{NLM_F_BESIDE, NLM_F_SET, RTM_DELADDR, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWROUTE};
use lm_tap::{Interface, Rtnetlink};
use rustix::net::sockopt::set_ip_add_membership_with_ifindex;

use crate::facts::{self, UP, device_of, link};
use crate::{Address, Step, World};

/// How long a driver may take to make its interface.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long udev may take to rename a new interface.
const NAMING: Duration = Duration::from_secs(3);
/// How long IPv6 may take to find out that nobody else has an address: for all routes together. A card's link
/// comes up after some seconds, and lmd's service has 30 s to end.
const PROBING: Duration = Duration::from_secs(10);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// A file that is there while udev runs.
const UDEV: &str = "/run/udev/control";

/// The machine that this program runs on.
pub struct System {
    /// The folder of sysfs.
    sys: PathBuf,
    /// Groups that are joined as long as this lives.
    joined: Vec<UdpSocket>,
    /// When a route had to wait for the first time.
    probing: Option<Instant>,
}

impl Default for System {
    fn default() -> Self {
        Self::at("/sys")
    }
}

impl System {
    /// The machine, with sysfs in this folder.
    pub fn at(sys: impl Into<PathBuf>) -> Self {
        Self { sys: sys.into(), joined: Vec::new(), probing: None }
    }

    /// The folder of sysfs.
    pub fn sys(&self) -> &Path {
        &self.sys
    }

    /// The driver that has a PCI device.
    pub fn driver(&self, device: &str) -> Option<String> {
        link(&device_of(&self.sys, device).join("driver"))
    }

    /// Seconds since the machine's start.
    pub fn now() -> u64 {
        let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
        text.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
    }

    /// The addresses of an interface; none if there is no such interface.
    pub fn addresses(name: &str) -> Vec<Address> {
        let index = Interface::new(name).ok().and_then(|interface| interface.index());
        index.and_then(|index| facts::addresses(index).ok()).unwrap_or_default()
    }

    /// Whether an interface is up.
    pub fn is_up(name: &str) -> bool {
        Interface::new(name).and_then(|interface| interface.flags()).is_ok_and(|flags| flags & UP != 0)
    }

    fn driver_folder(&self, driver: &str) -> PathBuf {
        self.sys.join("bus/pci/drivers").join(driver)
    }

    fn load(&self, driver: &str) -> Result<(), String> {
        if self.driver_folder(driver).exists() {
            return Ok(());
        }
        let mut modprobe = Command::new("modprobe");
        let done = modprobe.args(["-q", driver]).stdin(Stdio::null()).stdout(Stdio::null()).output();
        if self.driver_folder(driver).exists() {
            return Ok(());
        }
        Err(match done {
            Ok(done) => format!("modprobe ended with {}: {}", done.status, one_line(&done.stderr)),
            Err(e) => format!("modprobe: {e}"),
        })
    }

    fn write(path: &Path, text: &str) -> Result<(), String> {
        // sysfs takes one write, and files in it are not made.
        let open = fs::OpenOptions::new().write(true).open(path);
        let written = open.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
        written.map_err(|e| format!("{}: {e}", path.display()))
    }

    fn unbind(&self, device: &str, driver: &str) -> Result<(), String> {
        if self.driver(device).as_deref() != Some(driver) {
            return Ok(());
        }
        Self::write(&self.driver_folder(driver).join("unbind"), device)
    }

    fn bind(&self, device: &str, driver: &str) -> Result<(), String> {
        match self.driver(device) {
            Some(has) if has == driver => return Ok(()),
            Some(has) => return Err(format!("{has} has it")),
            None => {}
        }
        let bound = Self::write(&self.driver_folder(driver).join("bind"), device);
        // Somebody else, such as udev, may have bound it at the same moment.
        if self.driver(device).as_deref() == Some(driver) { Ok(()) } else { bound }
    }

    /// Waits until a device has an interface of this name. If udev does not give it the name in time, or does
    /// not run, it is renamed here.
    fn wait(&self, device: &str, name: &str) -> Result<(), String> {
        let folder = device_of(&self.sys, device).join("net");
        let names = || {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
        };
        let since = Instant::now();
        let patience = if Path::new(UDEV).exists() { NAMING } else { Duration::ZERO };
        let mut seen = None;
        loop {
            let names = names();
            if names.iter().any(|one| one == name) {
                return Ok(());
            }
            if let Some(one) = names.first() {
                let first = *seen.get_or_insert_with(Instant::now);
                if first.elapsed() >= patience {
                    return on(one)?.rename(name).map_err(|e| format!("it is called {one}: {e}"));
                }
            } else if since.elapsed() > PATIENCE {
                return Err(format!("it has no interface after {} s", PATIENCE.as_secs()));
            }
            thread::sleep(PAUSE);
        }
    }

    fn join(&mut self, name: &str, group: IpAddr) -> io::Result<()> {
        let index = index(name)?;
        let socket = match group {
            IpAddr::V4(group) => {
                let socket = UdpSocket::bind("0.0.0.0:0")?;
                set_ip_add_membership_with_ifindex(&socket, &group, &Ipv4Addr::UNSPECIFIED, index)?;
                socket
            }
            IpAddr::V6(group) => {
                let socket = UdpSocket::bind("[::]:0")?;
                socket.join_multicast_v6(&group, index)?;
                socket
            }
        };
        self.joined.push(socket);
        Ok(())
    }
}

fn on(name: &str) -> Result<Interface, String> {
    Interface::new(name).map_err(|e| e.to_string())
}

fn index(name: &str) -> io::Result<u32> {
    Interface::new(name)?.index().ok_or_else(|| io::Error::from(rustix::io::Errno::NODEV))
}

fn one_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().replace('\n', " ")
}

impl World for System {
    fn make(&mut self, step: &Step) -> Result<(), String> {
        let text = |e: io::Error| e.to_string();
        let tell = |kind, flags, name: &str, body: &dyn Fn(u32) -> Vec<u8>| {
            Rtnetlink::open()?.change(kind, flags, &body(index(name)?))
        };
        match step {
            Step::Load(driver) => self.load(driver),
            Step::Override(device, driver) => {
                let path = device_of(&self.sys, device).join("driver_override");
                Self::write(&path, &format!("{}\n", driver.as_deref().unwrap_or_default()))
            }
            Step::Unbind(device, driver) => self.unbind(device, driver),
            Step::Bind(device, driver) => self.bind(device, driver),
            Step::Await(device, name) => self.wait(device, name),
            Step::Mac(name, mac) => {
                let interface = on(name)?;
                if interface.mac().is_ok_and(|has| has == *mac) {
                    return Ok(());
                }
                interface.set_mac(*mac).map_err(text)
            }
            Step::Mtu(name, mtu) => {
                let interface = on(name)?;
                if interface.mtu().is_ok_and(|has| has == *mtu) {
                    return Ok(());
                }
                interface.set_mtu(*mtu).map_err(text)
            }
            Step::Up(name, true) => on(name)?.set_up().map_err(text),
            Step::Up(name, false) => gone(on(name)?.set_down()).map_err(text),
            Step::Address(name, address) => {
                tell(RTM_NEWADDR, NLM_F_SET, name, &|index| address.body(index)).map_err(text)
            }
            Step::NoAddress(name, address) => {
                gone(tell(RTM_DELADDR, 0, name, &|index| address.removal(index))).map_err(text)
            }
            Step::Route(name, route) => {
                loop {
                    // One that replaces would replace another interface's of the same prefix and metric.
                    let told = tell(RTM_NEWROUTE, NLM_F_BESIDE, name, &|index| route.body(index));
                    let told = match told {
                        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
                        other => other,
                    };
                    // Its source may be an address that is still looked for on the link.
                    if told.is_ok() || !route.is_ipv6() {
                        return told.map_err(text);
                    }
                    if self.probing.get_or_insert_with(Instant::now).elapsed() > PROBING {
                        return told.map_err(text);
                    }
                    thread::sleep(PAUSE);
                }
            }
            Step::NoRoute(name, route) => {
                gone(tell(RTM_DELROUTE, 0, name, &|index| route.removal(index))).map_err(text)
            }
            Step::Group(name, mac) => match on(name)?.add_group(*mac) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
                other => other.map_err(text),
            },
            Step::NoGroup(name, mac) => gone(on(name)?.remove_group(*mac)).map_err(text),
            Step::Join(name, group) => self.join(name, *group).map_err(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::sysfs;

    const CARD: &str = "0000:01:00.0";

    #[test]
    fn sysfs_is_told_and_only_what_is_not_so_already() {
        let folder = sysfs();
        let at = |path: &str| folder.path().join(path);
        let mut system = System::at(folder.path());
        for file in
            ["bus/pci/drivers/igb/unbind", "bus/pci/drivers/igb/bind", "bus/pci/drivers/vfio-pci/bind"]
        {
            fs::write(at(file), "").expect("written");
        }
        system.make(&Step::Load("vfio-pci".to_owned())).expect("it is there");
        system.make(&Step::Override(CARD.to_owned(), Some("vfio-pci".to_owned()))).expect("written");
        let read = |path: &str| fs::read_to_string(at(path)).expect("text");
        assert!(read("devices/a/0000:01:00.0/driver_override").starts_with("vfio-pci\n"));
        // Another one than it has: nothing is written.
        system.make(&Step::Unbind(CARD.to_owned(), "vfio-pci".to_owned())).expect("so already");
        system.make(&Step::Bind(CARD.to_owned(), "igb".to_owned())).expect("so already");
        assert_eq!(read("bus/pci/drivers/igb/bind") + &read("bus/pci/drivers/igb/unbind"), "");
        let why = system.make(&Step::Bind(CARD.to_owned(), "vfio-pci".to_owned())).expect_err("igb has it");
        assert!(why.contains("igb"), "{why}");
        system.make(&Step::Unbind(CARD.to_owned(), "igb".to_owned())).expect("written");
        assert_eq!(read("bus/pci/drivers/igb/unbind"), CARD);
        fs::create_dir_all(at("devices/a/0000:01:00.0/net/eth0")).expect("a folder");
        system.make(&Step::Await(CARD.to_owned(), "eth0".to_owned())).expect("it is there");
        let why = system.make(&Step::Load("no-such-driver-lm".to_owned())).expect_err("there is none");
        assert!(why.contains("modprobe") && !why.contains('\n'), "{why}");
    }

    fn ip(words: &str) -> String {
        let done = Command::new("ip").args(words.split_whitespace()).output().expect("ip runs");
        assert!(done.status.success(), "{words}: {}", one_line(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// Runs a test of this file in a network namespace of its own, with the interfaces la, lb and lc. Returns
    /// whether it is there by now.
    fn is_alone(test: &str) -> bool {
        const ALONE: &str = "LM_TEST_ALONE";
        if std::env::var_os(ALONE).is_some() {
            for name in ["la", "lb", "lc"] {
                ip(&format!("link add {name} type veth peer name {name}1"));
                ip(&format!("link set {name} up"));
                ip(&format!("link set {name}1 up"));
            }
            return true;
        }
        // Root needs no user namespace, and gets none in a chroot.
        let by_root = rustix::process::geteuid().is_root();
        let spaces: &[&str] = if by_root { &["--net"] } else { &["--user", "--map-root-user", "--net"] };
        let mut command = Command::new("unshare");
        command.args(spaces).arg(std::env::current_exe().expect("a path"));
        command.args(["--exact", "--nocapture", &format!("system::tests::{test}")]).env(ALONE, "");
        let done = command.output().expect("unshare runs");
        let said =
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        false
    }

    /// What is to be moved from an interface.
    fn facts(name: &str) -> facts::Facts {
        facts::Facts::read(Path::new("/sys"), name).expect("answers")
    }

    #[test]
    fn routes_of_other_interfaces_stay() {
        if !is_alone("routes_of_other_interfaces_stay") {
            return;
        }
        for (name, host) in [("la", 1), ("lb", 2), ("lc", 3)] {
            ip(&format!("addr add 10.1.0.{host}/24 dev {name}"));
            ip(&format!("-6 addr add fd01::{host}/64 dev {name} nodad"));
        }
        for name in ["lb", "la"] {
            ip(&format!("route append default via 10.1.0.9 dev {name} metric 100"));
            ip(&format!("route append 10.2.0.0/24 dev {name} proto static"));
            ip(&format!("-6 route append fd02::/64 dev {name} proto static"));
        }
        let all = || ip("-4 route") + &ip("-6 route");
        let of =
            |name: &str| ip(&format!("-4 route show dev {name}")) + &ip(&format!("-6 route show dev {name}"));
        let (before, theirs, mut system) = (all(), of("lb"), System::default());
        let routes = facts("la").settings.routes;
        assert!(routes.len() >= 3, "{routes:?}");
        for _ in 0..2 {
            for route in &routes {
                system.make(&Step::Route("lc".to_owned(), route.clone())).expect("made");
            }
            assert_eq!(of("lb"), theirs, "another's");
        }
        assert!(["default", "10.2.0.0", "fd02::"].iter().all(|to| of("lc").contains(to)), "{}", all());
        for route in &routes {
            system.make(&Step::NoRoute("lc".to_owned(), route.clone())).expect("removed");
            system.make(&Step::NoRoute("lc".to_owned(), route.clone())).expect("gone");
        }
        assert_eq!(all(), before);
    }

    #[test]
    fn routes_that_programs_make_in_the_kernels_place_are_moved() {
        if !is_alone("routes_that_programs_make_in_the_kernels_place_are_moved") {
            return;
        }
        let moved =
            || -> Vec<String> { facts("la").settings.routes.iter().map(ToString::to_string).collect() };
        ip("addr add 10.2.0.1/24 dev la");
        assert_eq!(moved(), Vec::<String>::new(), "the kernel makes them again");
        // As NetworkManager does.
        ip("addr add 10.1.0.1/24 dev la noprefixroute");
        ip("route add 10.1.0.0/24 dev la proto kernel scope link src 10.1.0.1 metric 100");
        ip("route add default via 10.1.0.9 dev la metric 100");
        assert!(moved().contains(&"10.1.0.0/24 src 10.1.0.1 metric 100 proto 2".to_owned()), "{:?}", moved());
        let (had, mut system) = (facts("la"), System::default());
        let all = || ip("route show dev lc");
        for address in &had.settings.addresses {
            let address = address.labelled("la", "lc");
            system.make(&Step::Address("lc".to_owned(), address)).expect("given");
        }
        let (direct, indirect): (Vec<_>, Vec<_>) = had.settings.routes.iter().partition(|r| !r.is_indirect());
        for route in direct.into_iter().chain(indirect) {
            system.make(&Step::Route("lc".to_owned(), route.clone())).expect("made");
        }
        assert_eq!(all().replace("dev lc ", ""), ip("route show dev la").replace("dev la ", ""));
    }

    #[test]
    fn what_is_not_there_needs_no_removal() {
        let mut system = System::default();
        let none = || "lm-none".to_owned();
        let address = crate::saved::tests::saved().settings.addresses[0].clone();
        system.make(&Step::NoAddress(none(), address.clone())).expect("gone");
        system.make(&Step::NoGroup(none(), [1, 0, 0x5e, 0, 0, 9])).expect("gone");
        system.make(&Step::Up(none(), false)).expect("gone");
        system.make(&Step::Address(none(), address)).expect_err("there is none");
    }
}
