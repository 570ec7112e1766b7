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
mod tests;
