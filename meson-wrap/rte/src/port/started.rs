//! Reads the setup of a queue that the application set up itself.
//!
//! The crate `lm` calls it before it adopts a queue, to check that the queue is started and fed from the
//! right pool. Nothing is changed. A driver that reports nothing gives `None`.

use dpdk_sys::{rte_eth_rxq_info, rte_mempool};

use super::PortId;
use crate::Eal;

/// Whether the port is started and has this receive queue. A queue whose start was deferred is started.
pub fn is_rx_started(_eal: &Eal, id: PortId, queue: u16) -> bool {
    // SAFETY: EAL is initialised; DPDK checks port, queue and state.
    is_started(unsafe { dpdk_sys::rte_eth_dev_rx_queue_start(id.0, queue) })
}

/// The same of a transmit queue.
pub fn is_tx_started(_eal: &Eal, id: PortId, queue: u16) -> bool {
    // SAFETY: EAL is initialised; DPDK checks port, queue and state.
    is_started(unsafe { dpdk_sys::rte_eth_dev_tx_queue_start(id.0, queue) })
}

/// DPDK checks the port's state and the queue's number first. Then most drivers refuse with ENOTSUP, because
/// they cannot start a single queue. So both results say that the queue is there and started.
fn is_started(ret: i32) -> bool {
    ret == 0 || ret == -libc::ENOTSUP
}

/// The pool that a receive queue was set up with, and its number of descriptors. `None`: the driver does not
/// report them.
pub fn rx_pool_of(_eal: &Eal, id: PortId, queue: u16) -> Option<(*mut rte_mempool, u16)> {
    // SAFETY: EAL is initialised; zeroes are a value of this plain structure, which DPDK fills where it can.
    unsafe {
        let mut info: rte_eth_rxq_info = std::mem::zeroed();
        let ret = dpdk_sys::rte_eth_rx_queue_info_get(id.0, queue, &raw mut info);
        (ret == 0).then_some((info.mp, info.nb_desc))
    }
}
