//! Rings that don't stall: how many descriptors a driver takes, and its thresholds.

use rte::port::{DescLimits, PortId, PortInfo, RxConf, TxConf};

/// Descriptors that the driver takes.
pub(crate) fn ring(id: PortId, what: &str, n: u16, limits: DescLimits) -> u16 {
    let fit = clamp(n, limits);
    if fit != n {
        let DescLimits { min, max, align } = limits;
        log::warn!(
            "port {id}: {fit} descriptors to {what}, not {n}: its driver takes {min} to {max}, by {align}"
        );
    }
    fit
}

/// Descriptors to send from on cards: room for the largest datagram, in one segment a frame.
const CARD_TXD: u16 = 64;

/// Descriptors to send from. The cards' drivers free what they have sent only when the descriptor's turn comes again, so
/// a long ring would keep all send buffers.
pub(crate) fn send_ring(id: PortId, info: &PortInfo, n: u16) -> u16 {
    let n = ring(id, "send", n, info.tx_desc);
    if info.driver.starts_with("net_e1000") && n > CARD_TXD {
        log::info!(
            "port {id}: {CARD_TXD} descriptors to send, not {n}: {} keeps what they held",
            info.driver
        );
        return CARD_TXD;
    }
    n
}

fn clamp(n: u16, limits: DescLimits) -> u16 {
    let (min, max) = (limits.min.max(1), limits.max.max(1));
    let n = n.clamp(min.min(max), max);
    if limits.align > 1 { (n / limits.align * limits.align).max(min) } else { n }
}

/// Of e1000 drivers: igb and its virtual functions.
fn is_igb(driver: &str) -> bool {
    matches!(driver, "net_e1000_igb" | "net_e1000_igb_vf")
}

/// Thresholds of a receive ring. Drivers tell the device of refilled descriptors when there are *more* than
/// `free_thresh` of them: a ring of 32 with igb's default of 32 never goes on. em's default is 0, igb's write-back
/// threshold 4 keeps frames from us until four are there.
pub(crate) fn rx_conf(id: PortId, info: &PortInfo, rxd: u16) -> RxConf {
    let (default, most) = (info.default_rx.free_thresh.unwrap_or(0), rxd / 4);
    let free_thresh = (default > most).then_some(most);
    if let Some(thresh) = free_thresh {
        log::info!("port {id}: descriptors go back {thresh} at a time, not {default}: the ring has {rxd}");
    }
    RxConf { free_thresh, wthresh: is_igb(&info.driver).then_some(1), ..RxConf::default() }
}

/// Thresholds of a transmit ring, so that every sent buffer is reported at once: it is waited for.
pub(crate) fn tx_conf(info: &PortInfo) -> TxConf {
    TxConf {
        rs_thresh: (info.driver == "net_e1000_em").then_some(1),
        wthresh: is_igb(&info.driver).then_some(1),
        ..TxConf::default()
    }
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
