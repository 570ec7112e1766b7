//! [`PortInfo`]: the properties and capabilities of a port, as its driver reports them.
//!
//! `pmd-e1000` decides by them how a device may be used, and the programs show them. All texts are copied, so
//! a [`PortInfo`] outlives its port.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use dpdk_sys::{rte_eth_conf, rte_eth_desc_lim, rte_eth_dev_info, rte_eth_dev_owner, rte_eth_rxq_info};

use super::status::{MacAddr, PortError, check, mac};
use super::{Port, PortId, RxConf, TxConf};
use crate::Eal;

/// How many descriptors a ring may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescLimits {
    /// The least number.
    pub min: u16,
    /// The largest number.
    pub max: u16,
    /// The number is a multiple of this.
    pub align: u16,
}

/// The properties and capabilities of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// The driver, such as `net_e1000_igb`.
    pub driver: String,
    /// The device, such as `0000:01:00.0` or `net_null0`.
    pub device: String,
    /// The bus, such as `pci` or `vdev`.
    pub bus: String,
    /// The first MAC address.
    pub mac: MacAddr,
    /// NUMA node; `None`: unknown.
    pub socket: Option<u32>,
    /// At most so many RX queues.
    pub max_rx_queues: u16,
    /// At most so many TX queues.
    pub max_tx_queues: u16,
    /// At most so many MAC addresses.
    pub max_mac_addrs: u32,
    /// At most so many VMDq pools.
    pub max_vmdq_pools: u16,
    /// Smallest MTU, in bytes of IP.
    pub min_mtu: u16,
    /// Largest MTU, in bytes of IP.
    pub max_mtu: u16,
    /// Smallest RX buffer, in bytes.
    pub min_rx_bufsize: u32,
    /// Longest frame that can be received, in bytes.
    pub max_rx_pktlen: u32,
    /// RX rings.
    pub rx_desc: DescLimits,
    /// TX rings.
    pub tx_desc: DescLimits,
    /// `RTE_ETH_RX_OFFLOAD_*` that it has.
    pub rx_offload_capa: u64,
    /// `RTE_ETH_TX_OFFLOAD_*` that it has.
    pub tx_offload_capa: u64,
    /// Those of them that each queue can choose.
    pub rx_queue_offload_capa: u64,
    /// Those of them that each queue can choose.
    pub tx_queue_offload_capa: u64,
    /// `RTE_ETH_RSS_*` that it has.
    pub rss_capa: u64,
    /// The driver's own settings of an RX queue.
    pub default_rx: RxConf,
    /// The driver's own settings of a TX queue.
    pub default_tx: TxConf,
}

impl From<rte_eth_desc_lim> for DescLimits {
    fn from(limits: rte_eth_desc_lim) -> Self {
        Self { min: limits.nb_min, max: limits.nb_max, align: limits.nb_align }
    }
}

/// Copies a name of DPDK's; empty if there is none.
///
/// # Safety
/// `name` is null or a NUL-terminated string.
unsafe fn copy(name: *const c_char) -> String {
    if name.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

/// What DPDK tells of a port, if there is such a port.
fn raw_info(id: PortId) -> Result<rte_eth_dev_info, PortError> {
    let mut info = MaybeUninit::<rte_eth_dev_info>::zeroed();
    // SAFETY: any port number can be asked for; DPDK fills the structure of a valid one.
    let ret = unsafe { dpdk_sys::rte_eth_dev_info_get(id.0, info.as_mut_ptr()) };
    check(id, "be asked what it is", ret)?;
    // SAFETY: zeroes are a value of the structure, and DPDK has filled it.
    Ok(unsafe { info.assume_init() })
}

/// Whether another part of DPDK uses the port: it has an owner in DPDK's table, as those of net_failsafe
/// have, or is a member of a bonding device, which sets a flag only.
pub(super) fn is_owned(id: PortId) -> bool {
    // The flag is `RTE_ETH_DEV_BONDING_MEMBER`, and had another name until 23.07.
    const MEMBER: u32 = 1 << 2;
    // SAFETY: plain data of which zeroes are a value: no owner. Any port number can be asked for.
    let owner = unsafe {
        let mut owner: rte_eth_dev_owner = std::mem::zeroed();
        dpdk_sys::rte_eth_dev_owner_get(id.0, &raw mut owner);
        owner.id
    };
    // SAFETY: null, or flags of a valid port's data, which live as long as the port.
    let flags = raw_info(id).ok().and_then(|info| unsafe { info.dev_flags.as_ref() }.copied());
    owner != 0 || flags.is_some_and(|flags| flags & MEMBER != 0)
}

/// The name of a port's driver. `None`: there is no such port, or its driver has no name.
pub(super) fn driver_of(id: PortId) -> Option<String> {
    let name = raw_info(id).ok()?.driver_name;
    // SAFETY: a driver's name is null or a string that lives as long as the driver.
    (!name.is_null()).then(|| unsafe { copy(name) })
}

/// The `RTE_ETH_RX_OFFLOAD_*` that are in force on a port, whoever has configured it: the port's and, where
/// the driver tells of them, those of a queue that is set up. A port that there is not, or that is not
/// configured, has none.
pub fn rx_offloads_of(_eal: &Eal, id: PortId, queue: Option<u16>) -> u64 {
    let mut conf = MaybeUninit::<rte_eth_conf>::zeroed();
    // SAFETY: EAL is initialised. Any port number can be asked for; DPDK fills the structure of a valid one.
    // Zeroes are a value of it.
    let port = unsafe {
        dpdk_sys::rte_eth_dev_conf_get(id.0, conf.as_mut_ptr());
        conf.assume_init().rxmode.offloads
    };
    let Some(queue) = queue else { return port };
    let mut info = MaybeUninit::<rte_eth_rxq_info>::zeroed();
    // SAFETY: as above, of any queue number. Many drivers do not tell: then it stays as it is.
    let own = unsafe {
        dpdk_sys::rte_eth_rx_queue_info_get(id.0, queue, info.as_mut_ptr());
        info.assume_init().conf.offloads
    };
    port | own
}

/// The properties and capabilities of a port, whether it is open here or not.
///
/// # Errors
/// [`PortError`]: there is no such port, or its driver does not say.
pub fn info_of(_eal: &Eal, id: PortId) -> Result<PortInfo, PortError> {
    let info = raw_info(id)?;
    // SAFETY: the device of a valid port lives as long as the port; its names and its bus are static or
    // live as long as the device.
    let (driver, device, bus) = unsafe {
        let driver = copy(info.driver_name);
        if info.device.is_null() {
            (driver, String::new(), String::new())
        } else {
            let bus = dpdk_sys::rte_dev_bus(info.device);
            let bus = if bus.is_null() { String::new() } else { copy(dpdk_sys::rte_bus_name(bus)) };
            (driver, copy(dpdk_sys::rte_dev_name(info.device)), bus)
        }
    };
    // SAFETY: any port number can be asked for.
    let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(id.0) };
    let (rx, tx) = (info.default_rxconf, info.default_txconf);
    Ok(PortInfo {
        driver,
        device,
        bus,
        mac: mac(id)?,
        socket: u32::try_from(socket).ok(),
        max_rx_queues: info.max_rx_queues,
        max_tx_queues: info.max_tx_queues,
        max_mac_addrs: info.max_mac_addrs,
        max_vmdq_pools: info.max_vmdq_pools,
        min_mtu: info.min_mtu,
        max_mtu: info.max_mtu,
        min_rx_bufsize: info.min_rx_bufsize,
        max_rx_pktlen: info.max_rx_pktlen,
        rx_desc: info.rx_desc_lim.into(),
        tx_desc: info.tx_desc_lim.into(),
        rx_offload_capa: info.rx_offload_capa,
        tx_offload_capa: info.tx_offload_capa,
        rx_queue_offload_capa: info.rx_queue_offload_capa,
        tx_queue_offload_capa: info.tx_queue_offload_capa,
        rss_capa: info.flow_type_rss_offloads,
        default_rx: RxConf {
            free_thresh: Some(rx.rx_free_thresh),
            pthresh: Some(rx.rx_thresh.pthresh),
            hthresh: Some(rx.rx_thresh.hthresh),
            wthresh: Some(rx.rx_thresh.wthresh),
            drop: Some(rx.rx_drop_en != 0),
            offloads: rx.offloads,
        },
        default_tx: TxConf {
            rs_thresh: Some(tx.tx_rs_thresh),
            free_thresh: Some(tx.tx_free_thresh),
            pthresh: Some(tx.tx_thresh.pthresh),
            hthresh: Some(tx.tx_thresh.hthresh),
            wthresh: Some(tx.tx_thresh.wthresh),
            offloads: tx.offloads,
        },
    })
}

impl Port {
    pub(super) fn raw_info(&self) -> Result<rte_eth_dev_info, PortError> {
        raw_info(self.id())
    }

    /// The properties and capabilities of this port.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn info(&self) -> Result<PortInfo, PortError> {
        info_of(self.eal(), self.id())
    }
}
