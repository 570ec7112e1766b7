//! [`Timestamps`]: refuses queues whose frames begin with a time stamp.
//!
//! A device that stamps received frames may put the stamp in front of the frame, in the same buffer. I225 and
//! I226 write 16 bytes (`igc_txrx.c`, `eth_igc_timesync_enable`, DPDK 23.03 and later). Each frame then lies
//! 16 bytes higher in its slot than landing expects: payloads are not contiguous, and the end of a full frame
//! overwrites the datagram above. LM does not enable time stamps. An application that opens its port itself
//! may do so, and `rte_eth_timesync_enable` enables them on all queues of a port.

use std::{error, fmt};

use dpdk_sys::RTE_ETH_RX_OFFLOAD_TIMESTAMP;
use rte::Eal;
use rte::port::{PortId, rx_offloads_of};

/// Nothing can land on a queue, because the frames that it receives begin with a time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// The port.
    pub port: PortId,
    /// Its queue; `None`: all of them, by the port's configuration.
    pub queue: Option<u16>,
    /// The `RTE_ETH_RX_OFFLOAD_*` that were found.
    pub offloads: u64,
}

impl fmt::Display for Timestamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.port)?;
        if let Some(queue) = self.queue {
            write!(f, ", queue {queue}")?;
        }
        write!(
            f,
            ": datagrams cannot land, because a time stamp lies in front of each frame: its receive offloads \
             are {:#x}, and RTE_ETH_RX_OFFLOAD_TIMESTAMP ({RTE_ETH_RX_OFFLOAD_TIMESTAMP:#x}) is one of them; \
             configure port and queue without it, and do not call rte_eth_timesync_enable",
            self.offloads
        )
    }
}

impl error::Error for Timestamps {}

/// Refuses a queue whose frames are stamped. Without a queue, refuses a port that is configured so. A port
/// that is not configured yet passes, so check again when its queue is set up.
///
/// # Errors
/// [`Timestamps`].
pub fn check_timestamps(eal: &Eal, port: PortId, queue: Option<u16>) -> Result<(), Timestamps> {
    judge(port, queue, rx_offloads_of(eal, port, queue))
}

fn judge(port: PortId, queue: Option<u16>, offloads: u64) -> Result<(), Timestamps> {
    let is_stamped = offloads & RTE_ETH_RX_OFFLOAD_TIMESTAMP != 0;
    if is_stamped { Err(Timestamps { port, queue, offloads }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpdk_sys::RTE_ETH_RX_OFFLOAD_VLAN_STRIP;

    #[test]
    fn stamped_queues_are_refused_with_the_value_and_the_way_out() {
        let offloads = RTE_ETH_RX_OFFLOAD_TIMESTAMP | RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
        let told = judge(PortId(3), Some(2), offloads).expect_err("stamped").to_string();
        for word in [
            "port 3, queue 2",
            &*format!("{offloads:#x}"),
            "RTE_ETH_RX_OFFLOAD_TIMESTAMP",
            "configure port and queue without it",
            "rte_eth_timesync_enable",
        ] {
            assert!(told.contains(word), "{word} in: {told}");
        }
        let told = judge(PortId(0), None, RTE_ETH_RX_OFFLOAD_TIMESTAMP).expect_err("stamped").to_string();
        assert!(told.starts_with("port 0: "), "{told}");
    }

    #[test]
    fn every_other_offload_passes() {
        for offloads in [0, RTE_ETH_RX_OFFLOAD_VLAN_STRIP, !RTE_ETH_RX_OFFLOAD_TIMESTAMP] {
            assert_eq!(judge(PortId(0), Some(0), offloads), Ok(()), "{offloads:#x}");
        }
    }
}
