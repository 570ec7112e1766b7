//! Link, addresses and counters of a port.
//!
//! `lm-node`, `pmd-e1000` and the programs call it. Nothing here waits for a link. What a driver cannot do or
//! report is a [`PortError`], which names the port and what it could not do.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::{error, fmt};

use dpdk_sys::{dpdk_sys_link, rte_eth_stats, rte_eth_xstat, rte_eth_xstat_name, rte_ether_addr};

use super::{Port, PortId};
use crate::{Eal, Errno};

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether it is up.
    pub up: bool,
    /// Megabits per second; `None`: unknown.
    pub speed_mbps: Option<u32>,
    /// Whether both sides can send at once.
    pub full_duplex: bool,
    /// Whether the speed was negotiated.
    pub autoneg: bool,
}

/// The basic counters of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets received.
    pub ipackets: u64,
    /// Packets sent.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes sent.
    pub obytes: u64,
    /// Packets that the device dropped because the ring was full.
    pub imissed: u64,
    /// Packets that arrived broken.
    pub ierrors: u64,
    /// Packets that could not be sent.
    pub oerrors: u64,
    /// Times that the RX pool was empty.
    pub rx_nombuf: u64,
}

/// Turns a return value into an error that says what a port could not do.
pub(super) fn check(port: PortId, what: &'static str, ret: i32) -> Result<(), PortError> {
    Errno::check(ret).map_err(|errno| PortError { port, what, errno })
}

/// The first MAC address of a port.
pub(super) fn mac(id: PortId) -> Result<MacAddr, PortError> {
    let mut mac = rte_ether_addr { addr_bytes: [0; 6] };
    // SAFETY: DPDK checks the number and fills the structure.
    let ret = unsafe { dpdk_sys::rte_eth_macaddr_get(id.0, &raw mut mac) };
    check(id, "tell its MAC address", ret)?;
    Ok(MacAddr(mac.addr_bytes))
}

/// The first MAC address of a port, whether it is open here or not. `None`: there is no such port, or its
/// driver does not report one.
pub fn mac_of(_eal: &Eal, id: PortId) -> Option<MacAddr> {
    mac(id).ok()
}

/// Whether the link of a port is up, whether it is open here or not. A port that does not report it counts as
/// down.
pub fn is_up(_eal: &Eal, id: PortId) -> bool {
    let mut link = MaybeUninit::<dpdk_sys_link>::zeroed();
    // SAFETY: EAL is initialised; DPDK checks the number; the wrapper fills the structure, of which zeroes
    // are a value.
    let (ret, link) =
        unsafe { (dpdk_sys::dpdk_sys_link_get_nowait(id.0, link.as_mut_ptr()), link.assume_init()) };
    ret == 0 && link.up != 0
}

impl Port {
    /// Turns a return value into an error that says what the port could not do.
    pub(super) fn check(&self, what: &'static str, ret: i32) -> Result<(), PortError> {
        check(self.id(), what, ret)
    }

    /// The state of the link now. It does not wait until the link is up.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn link(&self) -> Result<Link, PortError> {
        let mut link = MaybeUninit::<dpdk_sys_link>::zeroed();
        // SAFETY: the port is valid and ours; the wrapper fills the structure, of which zeroes are a value.
        let (ret, link) = unsafe {
            (dpdk_sys::dpdk_sys_link_get_nowait(self.id().0, link.as_mut_ptr()), link.assume_init())
        };
        self.check("tell its link", ret)?;
        Ok(Link {
            up: link.up != 0,
            speed_mbps: (link.speed != u32::MAX).then_some(link.speed),
            full_duplex: link.full_duplex != 0,
            autoneg: link.autoneg != 0,
        })
    }

    /// The first MAC address.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn mac(&self) -> Result<MacAddr, PortError> {
        mac(self.id())
    }

    /// Accepts one more unicast address; with VMDq, frames to it go to `pool` (else 0).
    ///
    /// # Errors
    /// [`PortError`]: ENOSPC if all places are taken.
    pub fn mac_addr_add(&mut self, mac: MacAddr, pool: u32) -> Result<(), PortError> {
        let mut mac = rte_ether_addr { addr_bytes: mac.0 };
        // SAFETY: the port is valid and ours; DPDK copies the address.
        let ret = unsafe { dpdk_sys::rte_eth_dev_mac_addr_add(self.id().0, &raw mut mac, pool) };
        self.check("accept one more MAC address", ret)
    }

    /// Accepts frames to all addresses, or only to its own.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn set_promiscuous(&mut self, on: bool) -> Result<(), PortError> {
        // SAFETY: the port is valid and ours.
        let ret = unsafe {
            if on {
                dpdk_sys::rte_eth_promiscuous_enable(self.id().0)
            } else {
                dpdk_sys::rte_eth_promiscuous_disable(self.id().0)
            }
        };
        self.check("change its promiscuous mode", ret)
    }

    /// Sets the MTU, in bytes of IP. Some drivers want the port stopped.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn set_mtu(&mut self, mtu: u16) -> Result<(), PortError> {
        // SAFETY: the port is valid and ours.
        let ret = unsafe { dpdk_sys::rte_eth_dev_set_mtu(self.id().0, mtu) };
        self.check("change its MTU", ret)
    }

    /// The basic counters.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn stats(&self) -> Result<PortStats, PortError> {
        let mut stats = MaybeUninit::<rte_eth_stats>::zeroed();
        // SAFETY: the port is valid and ours; DPDK fills the structure, of which zeroes are a value.
        let (ret, s) =
            unsafe { (dpdk_sys::rte_eth_stats_get(self.id().0, stats.as_mut_ptr()), stats.assume_init()) };
        self.check("tell its counters", ret)?;
        Ok(PortStats {
            ipackets: s.ipackets,
            opackets: s.opackets,
            ibytes: s.ibytes,
            obytes: s.obytes,
            imissed: s.imissed,
            ierrors: s.ierrors,
            oerrors: s.oerrors,
            rx_nombuf: s.rx_nombuf,
        })
    }

    /// Sets the basic counters to zero.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn reset_stats(&mut self) -> Result<(), PortError> {
        // SAFETY: the port is valid and ours.
        let ret = unsafe { dpdk_sys::rte_eth_stats_reset(self.id().0) };
        self.check("reset its counters", ret)
    }

    /// All counters that the driver has, by name.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn xstats(&self) -> Result<Vec<(String, u64)>, PortError> {
        let (id, what) = (self.id().0, "tell its extended counters");
        // SAFETY: the port is valid and ours; without an array DPDK only counts.
        let count = unsafe { dpdk_sys::rte_eth_xstats_get_names(id, std::ptr::null_mut(), 0) };
        self.check(what, count)?;
        let room = count as usize;
        let mut names = vec![rte_eth_xstat_name { name: [0; 64] }; room];
        let mut values = vec![rte_eth_xstat { id: 0, value: 0 }; room];
        // SAFETY: both arrays have as many places as DPDK is told.
        let (named, valued) = unsafe {
            (
                dpdk_sys::rte_eth_xstats_get_names(id, names.as_mut_ptr(), room as u32),
                dpdk_sys::rte_eth_xstats_get(id, values.as_mut_ptr(), room as u32),
            )
        };
        self.check(what, named)?;
        self.check(what, valued)?;
        // More than there is room for means that nothing was written: counters came meanwhile.
        let names = names.get(..named as usize).unwrap_or_default();
        let values = values.get(..valued as usize).unwrap_or_default();
        let name_of = |v: &rte_eth_xstat| {
            let bytes = names.get(v.id as usize)?.name.map(|c| c as u8);
            Some(CStr::from_bytes_until_nul(&bytes).ok()?.to_string_lossy().into_owned())
        };
        Ok(values.iter().filter_map(|v| Some((name_of(v)?, v.value))).collect())
    }

    /// Sets all counters to zero.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn reset_xstats(&mut self) -> Result<(), PortError> {
        // SAFETY: the port is valid and ours.
        let ret = unsafe { dpdk_sys::rte_eth_xstats_reset(self.id().0) };
        self.check("reset its extended counters", ret)
    }
}

/// A port could not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortError {
    /// The port.
    pub port: PortId,
    /// What it could not do.
    pub what: &'static str,
    /// Why: ENOTSUP if its driver never can, EIO or ENODEV if the device is gone.
    pub errno: Errno,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.errno.number() {
            libc::ENOTSUP => "its driver cannot do it",
            libc::EBUSY => "stop it first",
            libc::ENODEV | libc::EIO => "check whether the device is still there",
            _ => "compare Port::info",
        };
        write!(f, "port {} cannot {}: {}; {advice}", self.port, self.what, self.errno)
    }
}

impl error::Error for PortError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.errno)
    }
}
