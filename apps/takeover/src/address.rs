//! [`Address`]: an IP address of an interface, as the kernel tells of it (`RTM_NEWADDR`, rtnetlink(7)).
//!
//! [`crate::facts`] reads addresses, and [`crate::plan`] gives them to another interface. The kernel's own
//! message is kept, so that nothing of it is lost. Temporary addresses, which the kernel makes by itself, are
//! left out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lm_tap::netlink::{attributes, push};
use lm_tap::numbers::IFADDRMSG;
use serde::{Deserialize, Serialize};

use crate::hex;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
/// The flag of an IPv6 address that the kernel has made itself, for privacy.
const IFA_F_TEMPORARY: u32 = 1;
/// The flags that a program may set: NODAD, HOMEADDRESS, MANAGETEMPADDR, NOPREFIXROUTE, MCAUTOJOIN. All
/// others tell the address's state.
const IFA_F_OURS: u32 = 0x02 | 0x10 | 0x100 | 0x200 | 0x400;
/// The flag of an address that is used at once: the kernel does not ask on the link whether another machine
/// has it (duplicate address detection).
const IFA_F_NODAD: u32 = 0x02;
/// The flag of an address to whose network the kernel makes no route.
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
/// The lifetime of an address that is valid for ever.
const FOREVER: u32 = u32::MAX;
/// The longest name of an interface, and of a label.
const LABEL: usize = 15;

/// An address. It holds the body of the kernel's message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Address(Vec<u8>);

/// An address in a card's file: its text for people, and the kernel's message, in hexadecimal, which is
/// read.
#[derive(Serialize, Deserialize)]
struct Written {
    text: String,
    netlink: String,
}

impl From<Address> for Written {
    fn from(address: Address) -> Self {
        Self { text: address.to_string(), netlink: hex::text(&address.0) }
    }
}

impl TryFrom<Written> for Address {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let body = hex::bytes(&written.netlink).ok_or_else(|| format!("{}: no bytes", written.text))?;
        Self::of(body).ok_or_else(|| format!("{}: no address", written.text))
    }
}

impl Address {
    /// The address that the body of a message tells of. `None`: there is none, or it is a temporary one,
    /// which the kernel makes by itself.
    pub fn of(body: Vec<u8>) -> Option<Self> {
        let this = Self(body);
        let is_known = matches!(this.0.first()?, 2 | 10) && this.0.len() >= IFADDRMSG;
        let is_temporary = is_known && this.0[0] == 10 && this.flags() & IFA_F_TEMPORARY != 0;
        (is_known && !is_temporary && this.ip().is_some()).then_some(this)
    }

    /// The number of the interface that has the address.
    pub fn interface(&self) -> u32 {
        u32::from_ne_bytes([self.0[4], self.0[5], self.0[6], self.0[7]])
    }

    fn attribute(&self, wanted: u16) -> Option<&[u8]> {
        attributes(&self.0[IFADDRMSG..]).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    fn flags(&self) -> u32 {
        let long = self.attribute(IFA_FLAGS).and_then(|value| value.first_chunk());
        long.map_or(self.0[2].into(), |value| u32::from_ne_bytes(*value))
    }

    /// The family of the address: the number of AF_INET or AF_INET6.
    pub fn family(&self) -> u8 {
        self.0[0]
    }

    /// Whether the kernel makes no route to the address's network (`noprefixroute`). Then the program that
    /// gave the address makes it.
    pub fn is_without_route(&self) -> bool {
        self.flags() & IFA_F_NOPREFIXROUTE != 0
    }

    /// The IP address, without the length of its prefix.
    pub fn ip(&self) -> Option<IpAddr> {
        let value = self.attribute(IFA_LOCAL).or_else(|| self.attribute(IFA_ADDRESS))?;
        match self.0[0] {
            2 => <[u8; 4]>::try_from(value).ok().map(|b| Ipv4Addr::from(b).into()),
            _ => <[u8; 16]>::try_from(value).ok().map(|b| Ipv6Addr::from(b).into()),
        }
    }

    /// What tells the address from the others of an interface: the IP address, and the length of its prefix.
    fn key(&self) -> (Option<IpAddr>, u8) {
        (self.ip(), self.0[1])
    }

    /// The seconds for which the address is preferred, and those for which it is valid.
    fn lifetimes(&self) -> [u32; 2] {
        let value = self.attribute(IFA_CACHEINFO).unwrap_or_default();
        let at = |i: usize| value.get(i..i + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes);
        [at(0).unwrap_or(FOREVER), at(4).unwrap_or(FOREVER)]
    }

    /// The same address with another value of one attribute. `None` removes the attribute.
    fn with(&self, wanted: u16, value: Option<&[u8]>) -> Self {
        let mut body = self.0[..IFADDRMSG].to_vec();
        for (kind, value) in attributes(&self.0[IFADDRMSG..]).filter(|(kind, _)| *kind != wanted) {
            push(&mut body, kind, value);
        }
        if let Some(value) = value {
            push(&mut body, wanted, value);
        }
        Self(body)
    }

    /// The same address so many seconds later. `None`: its lifetime is over.
    pub fn after(&self, seconds: u32) -> Option<Self> {
        let [preferred, valid] = self.lifetimes().map(|time| match time {
            FOREVER => FOREVER,
            time => time.saturating_sub(seconds),
        });
        (valid > 0).then(|| self.living(preferred, valid))
    }

    fn living(&self, preferred: u32, valid: u32) -> Self {
        let mut value = [0; 16];
        value[..4].copy_from_slice(&preferred.to_ne_bytes());
        value[4..8].copy_from_slice(&valid.to_ne_bytes());
        self.with(IFA_CACHEINFO, Some(&value))
    }

    /// The same address with the lifetimes that it has among `by`, where a DHCP client may have renewed it.
    /// `None`: it is not among them.
    pub fn renewed(&self, by: &[Self]) -> Option<Self> {
        let found = by.iter().find(|other| other.key() == self.key())?;
        let [preferred, valid] = found.lifetimes();
        Some(self.living(preferred, valid))
    }

    /// The same address for an interface of another name. A label begins with the name of its interface, so
    /// it is changed, too. A label that does not, or that would be too long, is left out.
    pub fn labelled(&self, from: &str, to: &str) -> Self {
        let label = self.attribute(IFA_LABEL).map(|value| String::from_utf8_lossy(value).into_owned());
        let Some(label) = label else { return self.clone() };
        let rest = label.trim_end_matches('\0').strip_prefix(from).map(|rest| format!("{to}{rest}\0"));
        let rest = rest.filter(|label| label.len() <= LABEL + 1);
        self.with(IFA_LABEL, rest.as_ref().map(String::as_bytes))
    }

    /// The same address, to be used at once: the kernel does not ask on the link whether another machine has
    /// it.
    pub fn at_once(&self) -> Self {
        self.with(IFA_FLAGS, Some(&(self.flags() | IFA_F_NODAD).to_ne_bytes()))
    }

    /// The body of the message that gives the address to the interface with this number.
    pub fn body(&self, interface: u32) -> Vec<u8> {
        let flags = self.flags() & IFA_F_OURS;
        let mut body = self.with(IFA_FLAGS, Some(&flags.to_ne_bytes())).0;
        body[2] = flags as u8;
        body[4..8].copy_from_slice(&interface.to_ne_bytes());
        body
    }

    /// The body of the message that takes the address from the interface with this number.
    pub fn removal(&self, interface: u32) -> Vec<u8> {
        let mut body = self.0[..IFADDRMSG].to_vec();
        body[2] = 0;
        body[4..8].copy_from_slice(&interface.to_ne_bytes());
        for kind in [IFA_LOCAL, IFA_ADDRESS] {
            self.attribute(kind).iter().for_each(|value| push(&mut body, kind, value));
        }
        body
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(ip) => write!(f, "{ip}/{}", self.0[1])?,
            None => f.write_str("an address")?,
        }
        let names = [(0x02, "nodad"), (0x10, "home"), (0x100, "mngtmpaddr"), (0x200, "noprefixroute")];
        for (_, name) in names.iter().filter(|(flag, _)| self.0[0] == 10 && self.flags() & flag != 0) {
            write!(f, " {name}")?;
        }
        match self.lifetimes() {
            [_, FOREVER] => Ok(()),
            [preferred, valid] => write!(f, " valid_lft {valid}sec preferred_lft {preferred}sec"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An IPv4 address with a prefix of 24 bits.
    pub(crate) fn v4(ip: [u8; 4], label: &str, lifetimes: [u32; 2]) -> Address {
        let mut body = vec![2, 24, 0x80, 0, 7, 0, 0, 0];
        push(&mut body, IFA_ADDRESS, &ip);
        push(&mut body, IFA_LOCAL, &ip);
        push(&mut body, IFA_LABEL, format!("{label}\0").as_bytes());
        push(&mut body, IFA_FLAGS, &0x280_u32.to_ne_bytes());
        let times: Vec<u8> = lifetimes.iter().chain(&[3, 4]).flat_map(|n| n.to_ne_bytes()).collect();
        push(&mut body, IFA_CACHEINFO, &times);
        Address::of(body).expect("an address")
    }

    #[test]
    fn it_is_written_and_read() {
        let address = v4([10, 0, 0, 1], "eth0:1", [100, 200]);
        assert_eq!(address.to_string(), "10.0.0.1/24 valid_lft 200sec preferred_lft 100sec");
        let text = serde_json::to_string(&address).expect("text");
        assert_eq!(serde_json::from_str::<Address>(&text).expect("the same"), address);
        for bad in
            [text.replace("0218", "0318"), text.replace("netlink\":\"02", "netlink\":\"0"), "{}".to_owned()]
        {
            serde_json::from_str::<Address>(&bad).expect_err(&bad);
        }
    }

    #[test]
    fn only_what_a_program_may_say_is_said() {
        let address = v4([10, 0, 0, 1], "eth0:1", [FOREVER; 2]);
        let moved = Address(address.labelled("eth0", "lm0").body(9));
        assert_eq!(moved.interface(), 9);
        assert_eq!((moved.flags(), moved.is_without_route()), (0x200, true));
        assert_eq!(moved.0[2], 0);
        assert_eq!(moved.attribute(IFA_LABEL), Some(&b"lm0:1\0"[..]));
        assert_eq!(address.labelled("eth0", "a-long-name-lm").attribute(IFA_LABEL), None, "too long");
        assert_eq!(address.labelled("en", "lm0").attribute(IFA_LABEL), None, "another's");
        let removal = Address(address.removal(9));
        assert_eq!((removal.key(), removal.attribute(IFA_CACHEINFO)), (address.key(), None));
        assert_eq!(Address(address.at_once().body(1)).flags(), 0x202);
    }

    #[test]
    fn lifetimes_go_on() {
        let address = v4([10, 0, 0, 1], "x", [100, 200]);
        assert_eq!(address.after(150).map(|a| a.lifetimes()), Some([0, 50]));
        assert_eq!(address.after(200), None);
        let forever = v4([10, 0, 0, 1], "x", [FOREVER; 2]);
        assert_eq!(forever.after(u32::MAX).map(|a| a.lifetimes()), Some([FOREVER; 2]));
        let others = [v4([10, 0, 0, 2], "y", [1, 1]), v4([10, 0, 0, 1], "y", [900, 901])];
        assert_eq!(address.renewed(&others).map(|a| a.lifetimes()), Some([900, 901]));
        assert_eq!(address.renewed(&others[..1]), None);
    }

    #[test]
    fn what_is_no_address_is_none() {
        let body = v4([10, 0, 0, 1], "x", [1, 1]).0;
        for len in 0..IFADDRMSG {
            assert_eq!(Address::of(body[..len].to_vec()), None);
        }
        let mut temporary = vec![10, 64, 1, 0, 7, 0, 0, 0];
        push(&mut temporary, IFA_ADDRESS, &[1; 16]);
        assert_eq!(Address::of(temporary.clone()), None, "the kernel's own");
        temporary[2] = 0x80;
        assert!(Address::of(temporary.clone()).is_some());
        temporary[0] = 5;
        assert_eq!(Address::of(temporary), None);
    }
}
