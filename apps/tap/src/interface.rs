//! [`Interface`]: reads and changes the settings of a network interface (netdevice(7)).
//!
//! lmd calls it. A name is checked before it is used. No call creates or removes an interface.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::{fs, io};

use crate::request::{Request, about};

/// Where an IPv6 MTU is set, the interface's name in between.
const IPV6: [&str; 2] = ["/proc/sys/net/ipv6/conf/", "/mtu"];
/// The least one that there is (RFC 8200, section 5).
const LEAST_IPV6: u32 = 1280;

/// A network interface of the network name space that this was opened in.
pub struct Interface {
    // Any socket: requests about interfaces go to the name space that it was opened in.
    socket: UdpSocket,
    request: Request,
    name: String,
}

impl Interface {
    /// The interface of this name, whether or not there is one.
    ///
    /// # Errors
    /// The name is none, or no socket can be had.
    pub fn new(name: &str) -> io::Result<Self> {
        let why = || io::Error::new(io::ErrorKind::InvalidInput, "a name has 1 to 15 letters, none of / : %");
        let request = Request::new(name).ok_or_else(why)?;
        Ok(Self { socket: UdpSocket::bind("0.0.0.0:0")?, request, name: name.to_owned() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn ask(&self, what: libc::Ioctl, mut request: Request) -> io::Result<Request> {
        about(self.socket.as_fd(), what, &mut request)?;
        Ok(request)
    }

    /// Its number. `None`: there is no such interface.
    pub fn index(&self) -> Option<u32> {
        self.ask(libc::SIOCGIFINDEX, self.request).ok().map(|answer| answer.int() as u32)
    }

    /// Its MAC address.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn mac(&self) -> io::Result<[u8; 6]> {
        let value = self.ask(libc::SIOCGIFHWADDR, self.request)?.value;
        Ok(std::array::from_fn(|i| value[2 + i]))
    }

    /// Gives it another MAC address. An Ethernet interface that is up takes it, too.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_mac(&self, mac: [u8; 6]) -> io::Result<()> {
        let mut value = [0; 8];
        value[..2].copy_from_slice(&libc::ARPHRD_ETHER.to_ne_bytes());
        value[2..].copy_from_slice(&mac);
        self.ask(libc::SIOCSIFHWADDR, self.request.with(&value)).map(drop)
    }

    /// Its first IPv4 address. `None`: it has none.
    pub fn ipv4(&self) -> Option<std::net::Ipv4Addr> {
        let value = self.ask(libc::SIOCGIFADDR, self.request).ok()?.value;
        // Behind the family and the port of `struct sockaddr_in`.
        Some(std::net::Ipv4Addr::from([value[4], value[5], value[6], value[7]]))
    }

    /// Its MTU.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn mtu(&self) -> io::Result<u32> {
        Ok(self.ask(libc::SIOCGIFMTU, self.request)?.int() as u32)
    }

    /// Sets its MTU.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        self.ask(libc::SIOCSIFMTU, self.request.with(&mtu.to_ne_bytes())).map(drop)
    }

    /// Its flags (`IFF_UP` and the like).
    ///
    /// # Errors
    /// There is no such interface.
    pub fn flags(&self) -> io::Result<i32> {
        Ok(self.ask(libc::SIOCGIFFLAGS, self.request)?.short().into())
    }

    /// Sets it up.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_up(&self) -> io::Result<()> {
        let flags = (self.flags()? | libc::IFF_UP) as u16;
        self.ask(libc::SIOCSIFFLAGS, self.request.with(&flags.to_ne_bytes())).map(drop)
    }

    /// Sets it down.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_down(&self) -> io::Result<()> {
        let flags = (self.flags()? & !libc::IFF_UP) as u16;
        self.ask(libc::SIOCSIFFLAGS, self.request.with(&flags.to_ne_bytes())).map(drop)
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// That is no name, or another interface has it, or this one is up and the kernel is old.
    pub fn rename(&self, to: &str) -> io::Result<()> {
        Request::new(to).ok_or(io::ErrorKind::InvalidInput)?;
        self.ask(libc::SIOCSIFNAME, self.request.with(to.as_bytes())).map(drop)
    }

    /// Has it receive the frames to a group's MAC address.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add_group(&self, mac: [u8; 6]) -> io::Result<()> {
        self.group(libc::SIOCADDMULTI, mac)
    }

    /// Takes back what [`Interface::add_group`] did.
    ///
    /// # Errors
    /// What the kernel says: it has no such group (ENOENT).
    pub fn remove_group(&self, mac: [u8; 6]) -> io::Result<()> {
        self.group(libc::SIOCDELMULTI, mac)
    }

    fn group(&self, what: libc::Ioctl, mac: [u8; 6]) -> io::Result<()> {
        // An address of no family.
        let mut value = [0; 8];
        value[2..].copy_from_slice(&mac);
        self.ask(what, self.request.with(&value)).map(drop)
    }

    /// Sets the MTU that IPv6 uses on it, which may be less than its own: 1280, if this is less. A kernel
    /// without IPv6 has none to set.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_ipv6_mtu(&self, mtu: u32) -> io::Result<()> {
        let mtu = mtu.max(LEAST_IPV6);
        let path = format!("{}{}{}", IPV6[0], self.name, IPV6[1]);
        match fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(text) if text.trim() == mtu.to_string() => Ok(()),
            _ => fs::write(path, mtu.to_string()),
        }
    }
}
