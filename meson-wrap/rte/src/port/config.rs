//! Configures a stopped port and sets up its queues.
//!
//! `pmd-e1000`, `lm-node` and lm-netpipe call it before they start a port. A started port is refused. The
//! port keeps a share of each queue's pool for as long as the driver may use it. The offload `MBUF_FAST_FREE`
//! is refused, because drivers then free mbufs that others still hold.

use std::{error, fmt};

use dpdk_sys::{rte_eth_conf, rte_eth_thresh};

use super::made::blind_length;
use super::{Port, PortId, RxSlot, TxSlot, owned_among_open};
use crate::Errno;
use crate::mempool::{Mempool, PoolRef};

/// How arriving frames are spread over the RX queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MqMode {
    /// They are not spread.
    #[default]
    None,
    /// By a hash over these fields (`RTE_ETH_RSS_*`), with the driver's key.
    Rss {
        /// `RTE_ETH_RSS_*`.
        functions: u64,
    },
    /// By destination MAC address: [`Port::mac_addr_add`] says which address leads to which pool.
    VmdqByMac {
        /// How many pools: 8, 16, 32 or 64, as the device has them.
        pools: u8,
        /// What else each pool accepts: `RTE_ETH_VMDQ_ACCEPT_*`.
        accept: u32,
    },
}

/// A port's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// How many RX queues.
    pub rx_queues: u16,
    /// How many TX queues.
    pub tx_queues: u16,
    /// Bytes of IP in a frame; `None`: the driver's default, mostly 1500.
    pub mtu: Option<u16>,
    /// `RTE_ETH_RX_OFFLOAD_*` for all RX queues.
    pub rx_offloads: u64,
    /// `RTE_ETH_TX_OFFLOAD_*` for all TX queues, but for `MBUF_FAST_FREE`, which is refused: drivers then
    /// free mbufs without a look at who else has them.
    pub tx_offloads: u64,
    /// How arriving frames are spread over the RX queues.
    pub mq_mode: MqMode,
    /// Whether RX queues can interrupt: [`Port::rx_interrupt`].
    pub rx_interrupts: bool,
}

impl Default for PortConfig {
    /// One queue each way, and nothing else.
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            mtu: None,
            rx_offloads: 0,
            tx_offloads: 0,
            mq_mode: MqMode::None,
            rx_interrupts: false,
        }
    }
}

/// An RX queue's settings; `None` leaves the driver's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxConf {
    /// The driver refills the ring when so many descriptors are free.
    pub free_thresh: Option<u16>,
    /// Prefetch threshold of the ring.
    pub pthresh: Option<u8>,
    /// Host threshold of the ring.
    pub hthresh: Option<u8>,
    /// Write-back threshold of the ring.
    pub wthresh: Option<u8>,
    /// Drop frames when this queue is full, instead of holding up the others.
    pub drop: Option<bool>,
    /// More `RTE_ETH_RX_OFFLOAD_*` than the port's.
    pub offloads: u64,
}

/// A TX queue's settings; `None` leaves the driver's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxConf {
    /// The driver asks for a completion report every so many descriptors.
    pub rs_thresh: Option<u16>,
    /// The driver frees sent mbufs when fewer than so many descriptors are free.
    pub free_thresh: Option<u16>,
    /// Prefetch threshold of the ring.
    pub pthresh: Option<u8>,
    /// Host threshold of the ring.
    pub hthresh: Option<u8>,
    /// Write-back threshold of the ring.
    pub wthresh: Option<u8>,
    /// More `RTE_ETH_TX_OFFLOAD_*` than the port's; see [`PortConfig::tx_offloads`].
    pub offloads: u64,
}

impl PortConfig {
    fn to_dpdk(self) -> Option<rte_eth_conf> {
        // SAFETY: the structure is plain data (numbers, optional pointers, unions of these): zeroes are a
        // value of it, and the one that DPDK documents as the default.
        let mut conf: rte_eth_conf = unsafe { std::mem::zeroed() };
        conf.rxmode.mtu = self.mtu.map_or(0, u32::from);
        conf.rxmode.offloads = self.rx_offloads;
        conf.txmode.offloads = self.tx_offloads;
        conf.intr_conf.set_rxq(u32::from(self.rx_interrupts));
        match self.mq_mode {
            MqMode::None => {}
            MqMode::Rss { functions } => {
                conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
                conf.rx_adv_conf.rss_conf.rss_hf = functions;
            }
            MqMode::VmdqByMac { pools, accept } => {
                conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_VMDQ_ONLY;
                let vmdq = &mut conf.rx_adv_conf.vmdq_rx_conf;
                vmdq.nb_queue_pools = match pools {
                    8 => dpdk_sys::RTE_ETH_8_POOLS,
                    16 => dpdk_sys::RTE_ETH_16_POOLS,
                    32 => dpdk_sys::RTE_ETH_32_POOLS,
                    64 => dpdk_sys::RTE_ETH_64_POOLS,
                    _ => return None,
                };
                vmdq.rx_mode = accept;
            }
        }
        Some(conf)
    }
}

fn threshold(to: &mut rte_eth_thresh, p: Option<u8>, h: Option<u8>, w: Option<u8>) {
    to.pthresh = p.unwrap_or(to.pthresh);
    to.hthresh = h.unwrap_or(to.hthresh);
    to.wthresh = w.unwrap_or(to.wthresh);
}

impl Port {
    /// Configures a stopped port. Afterwards all queues must be set up (again).
    ///
    /// # Errors
    /// [`ConfigureError`]. The port then has no configuration. EBUSY: it would use another port that is open
    /// in this process, as a bonding device uses its members.
    pub fn configure(&mut self, config: &PortConfig) -> Result<(), ConfigureError> {
        let id = self.id();
        let mut state = self.shared.lock();
        if state.started {
            return Err(ConfigureError::Started(id));
        }
        let refused = |errno| ConfigureError::Refused { port: id, config: *config, errno };
        let conf = Some(config).filter(|c| !is_unsound(c.tx_offloads)).and_then(|c| c.to_dpdk());
        let conf = conf.ok_or_else(|| refused(Errno::of_return(-libc::EINVAL)))?;
        state.rx.iter_mut().for_each(|q| q.ready = false);
        state.tx.iter_mut().for_each(|q| q.ready = false);
        let owned = owned_among_open();
        // SAFETY: the port is valid, stopped and ours; DPDK copies the configuration.
        let ret = unsafe {
            dpdk_sys::rte_eth_dev_configure(id.0, config.rx_queues, config.tx_queues, &raw const conf)
        };
        // Queues that are not configured any more are released by now, so their pools can go. After an error
        // DPDK may still have some of them: then nothing goes.
        Errno::check(ret).map_err(refused)?;
        if owned_among_open() > owned {
            (state.rx, state.tx) = (Vec::new(), Vec::new());
            return Err(refused(Errno::of_return(-libc::EBUSY)));
        }
        state.rx.resize_with(usize::from(config.rx_queues), RxSlot::default);
        state.tx.resize_with(usize::from(config.tx_queues), TxSlot::default);
        Ok(())
    }

    /// Sets an RX queue up with `descriptors` descriptors (0: the driver's default), fed from `pool`.
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn rx_queue_setup(
        &mut self,
        queue: u16,
        descriptors: u16,
        conf: &RxConf,
        pool: &Mempool,
    ) -> Result<(), QueueError> {
        // SAFETY: a stock pool may be used by any thread.
        unsafe { self.rx_queue_setup_unchecked(queue, descriptors, conf, pool.share()) }
    }

    /// Sets an RX queue up that is fed from any pool of mbufs. The port keeps the pool while the queue needs
    /// it.
    ///
    /// # Safety
    /// If the pool's handler is made for one thread, then the queue, the packets received from it (`Burst`
    /// and `Mbuf` are Send), the pool, and the port (whose start, stop and close fill and empty the queue)
    /// are used by one thread at a time.
    ///
    /// # Errors
    /// [`QueueError`].
    pub unsafe fn rx_queue_setup_unchecked(
        &mut self,
        queue: u16,
        descriptors: u16,
        conf: &RxConf,
        pool: PoolRef,
    ) -> Result<(), QueueError> {
        let id = self.id();
        let refused = |errno| QueueError::Refused { port: id, queue, descriptors, errno };
        let info = self.raw_info().map_err(|e| refused(e.errno))?;
        let mut state = self.shared.lock();
        if state.started {
            return Err(QueueError::Started(id));
        }
        let slot = state.rx.get_mut(usize::from(queue)).ok_or(QueueError::NoSuchQueue(id, queue))?;
        // SAFETY: the pool lives, and is one of mbufs.
        let room = unsafe { dpdk_sys::rte_pktmbuf_data_room_size(pool.as_ptr()) };
        if blind_length(&info) > room.saturating_sub(dpdk_sys::RTE_PKTMBUF_HEADROOM as u16).into() {
            return Err(refused(Errno::of_return(-libc::EINVAL)));
        }
        let mut rx = info.default_rxconf;
        threshold(&mut rx.rx_thresh, conf.pthresh, conf.hthresh, conf.wthresh);
        rx.rx_free_thresh = conf.free_thresh.unwrap_or(rx.rx_free_thresh);
        rx.rx_drop_en = conf.drop.map_or(rx.rx_drop_en, u8::from);
        rx.offloads = conf.offloads;
        slot.ready = false;
        // SAFETY: the port is valid, stopped and ours, and has this queue; the slot keeps the pool; DPDK
        // copies `rx`.
        let ret = unsafe {
            dpdk_sys::rte_eth_rx_queue_setup(
                id.0,
                queue,
                descriptors,
                socket_of(id),
                &raw const rx,
                pool.as_ptr(),
            )
        };
        match Errno::check(ret) {
            // The queue of an earlier setup has been released, so its pool can be dropped.
            Ok(()) => {
                slot.pool = Some(pool);
                slot.ready = true;
                Ok(())
            }
            Err(errno) => {
                // The driver may have kept either pool.
                if slot.pool.is_none() {
                    slot.pool = Some(pool);
                } else {
                    std::mem::forget(pool);
                }
                Err(refused(errno))
            }
        }
    }

    /// Sets a TX queue up with `descriptors` descriptors (0: the driver's default).
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn tx_queue_setup(&mut self, queue: u16, descriptors: u16, conf: &TxConf) -> Result<(), QueueError> {
        let id = self.id();
        let refused = |errno| QueueError::Refused { port: id, queue, descriptors, errno };
        let info = self.raw_info().map_err(|e| refused(e.errno))?;
        let mut state = self.shared.lock();
        if state.started {
            return Err(QueueError::Started(id));
        }
        if is_unsound(conf.offloads) {
            return Err(refused(Errno::of_return(-libc::EINVAL)));
        }
        let slot = state.tx.get_mut(usize::from(queue)).ok_or(QueueError::NoSuchQueue(id, queue))?;
        let mut tx = info.default_txconf;
        threshold(&mut tx.tx_thresh, conf.pthresh, conf.hthresh, conf.wthresh);
        tx.tx_rs_thresh = conf.rs_thresh.unwrap_or(tx.tx_rs_thresh);
        tx.tx_free_thresh = conf.free_thresh.unwrap_or(tx.tx_free_thresh);
        tx.offloads = conf.offloads;
        slot.ready = false;
        // SAFETY: the port is valid, stopped and ours, and has this queue; DPDK copies `tx`.
        let ret = unsafe {
            dpdk_sys::rte_eth_tx_queue_setup(id.0, queue, descriptors, socket_of(id), &raw const tx)
        };
        Errno::check(ret).map_err(refused)?;
        slot.ready = true;
        Ok(())
    }
}

/// Whether a driver with these offloads assumes that each mbuf has one owner, and that all come from one
/// pool.
fn is_unsound(tx_offloads: u64) -> bool {
    tx_offloads & dpdk_sys::RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE != 0
}

/// The port's NUMA node; -1, any, if it has none.
fn socket_of(id: PortId) -> u32 {
    // SAFETY: any port number can be asked for.
    unsafe { dpdk_sys::rte_eth_dev_socket_id(id.0) as u32 }
}

/// Why [`Port::configure`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigureError {
    /// The port is started.
    Started(PortId),
    /// DPDK or the driver refuses.
    Refused {
        /// The port.
        port: PortId,
        /// What it was to do.
        config: PortConfig,
        /// Why.
        errno: Errno,
    },
}

impl fmt::Display for ConfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(id) => write!(f, "port {id} is started: stop it before it is configured"),
            Self::Refused { port, config, errno } => {
                let PortConfig {
                    rx_queues,
                    tx_queues,
                    mtu,
                    rx_offloads,
                    tx_offloads,
                    mq_mode,
                    rx_interrupts,
                } = config;
                write!(
                    f,
                    "port {port} cannot be configured with {rx_queues} RX and {tx_queues} TX queues, mtu \
                     {mtu:?}, offloads {rx_offloads:#x} and {tx_offloads:#x}, {mq_mode:?}, interrupts \
                     {rx_interrupts}: {errno}; compare Port::info"
                )
            }
        }
    }
}

impl error::Error for ConfigureError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Started(_) => None,
            Self::Refused { errno, .. } => Some(errno),
        }
    }
}

/// Why a queue was not set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// The port is started.
    Started(PortId),
    /// The port was not configured to have this queue.
    NoSuchQueue(PortId, u16),
    /// DPDK or the driver refuses.
    Refused {
        /// The port.
        port: PortId,
        /// The queue.
        queue: u16,
        /// How many descriptors it was to have.
        descriptors: u16,
        /// Why.
        errno: Errno,
    },
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(id) => write!(f, "port {id} is started: stop it before its queues are set up"),
            Self::NoSuchQueue(id, queue) => {
                write!(
                    f,
                    "port {id} is not configured to have a queue {queue}: configure it with more queues"
                )
            }
            Self::Refused { port, queue, descriptors, errno } => write!(
                f,
                "queue {queue} of port {port} cannot have {descriptors} descriptors: {errno}; compare the \
                 limits, offloads and the pool's data room with Port::info"
            ),
        }
    }
}

impl error::Error for QueueError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Started(_) | Self::NoSuchQueue(..) => None,
            Self::Refused { errno, .. } => Some(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_offload_breaks_what_mbufs_promise() {
        let fast = dpdk_sys::RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
        assert!(is_unsound(fast) && is_unsound(u64::MAX));
        assert!(!is_unsound(!fast));
    }
}
