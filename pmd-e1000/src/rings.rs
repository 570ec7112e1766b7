//! Chooses numbers of descriptors and thresholds with which rings do not stall.
//!
//! [`LandingPort`](crate::LandingPort) calls it before it sets up a port's queues. A number of descriptors
//! that the driver does not take is changed to one that it takes (rounded down), with a warning; it is never
//! refused.

use rte::port::{DescLimits, PortId, PortInfo, RxConf, TxConf};

use lm_landing::device::{Thresholds, Traits};

/// The number of descriptors to set up: `n` within the limits of the driver, rounded down to its steps.
pub(crate) fn ring(id: PortId, what: &str, n: u16, limits: DescLimits) -> u16 {
    let fit = clamp(n, limits);
    if fit != n {
        let DescLimits { min, max, align } = limits;
        log::warn!(
            "port {id}: {fit} descriptors to {what}, not {n}: its driver takes {min} to {max}, in steps of \
             {align}"
        );
    }
    fit
}

/// Descriptors to send from, if no number was asked for.
const USUAL_TXD: u16 = 512;
/// The same for a driver that frees what it has sent only when the descriptor's turn comes again. 64 are room
/// for the largest datagram, in one segment a frame, or for 0.8 ms of full frames at 1 Gb/s. Each descriptor
/// may keep a send buffer, or a message that was sent on from the landing region. So a longer ring would need
/// more memory.
const KEPT_TXD: u16 = 64;

/// The number of descriptors to send from. If `asked` is 0, it is what suits the driver.
pub(crate) fn send_ring(id: PortId, info: &PortInfo, traits: &Traits, asked: u16) -> u16 {
    let usual = if traits.keeps_sent { KEPT_TXD } else { USUAL_TXD };
    ring(id, "send", if asked == 0 { usual } else { asked }, info.tx_desc)
}

fn clamp(n: u16, limits: DescLimits) -> u16 {
    let (min, max) = (limits.min.max(1), limits.max.max(1));
    let n = n.clamp(min.min(max), max);
    if limits.align > 1 { (n / limits.align * limits.align).max(min) } else { n }
}

/// Thresholds of a receive ring. Drivers tell the device of refilled descriptors when there are *more* than
/// `free_thresh` of them. A ring of 32 descriptors with igb's default of 32 would stall. em's default is 0.
pub(crate) fn rx_conf(id: PortId, info: &PortInfo, traits: &Traits, rxd: u16) -> RxConf {
    let (default, most) = (info.default_rx.free_thresh.unwrap_or(0), rxd / 4);
    let free_thresh = (default > most).then_some(most);
    if let Some(thresh) = free_thresh {
        log::info!("port {id}: descriptors go back {thresh} at a time, not {default}: the ring has {rxd}");
    }
    RxConf { free_thresh, wthresh: traits.thresholds.rx_write_back, ..RxConf::default() }
}

/// Thresholds of a transmit ring. Every sent buffer is reported at once, because somebody may wait for it.
pub(crate) fn tx_conf(traits: &Traits) -> TxConf {
    let Thresholds { tx_report, tx_write_back, .. } = traits.thresholds;
    TxConf { rs_thresh: tx_report, wthresh: tx_write_back, ..TxConf::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_what_the_driver_takes() {
        let em = DescLimits { min: 32, max: 4096, align: 8 };
        for (n, fit) in [(1, 32), (32, 32), (33, 32), (47, 40), (512, 512), (5000, 4096)] {
            assert_eq!(clamp(n, em), fit);
        }
        assert_eq!(clamp(7, DescLimits { min: 0, max: u16::MAX, align: 1 }), 7);
    }
}
