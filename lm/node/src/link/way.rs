//! [`Way`]: lets admission control send through the outlet of its link.
//!
//! The outlet makes one for each turn of admission control. Flush frames to a node whose MAC address is
//! unknown count as sent: no datagram can have gone to its ring.

use std::time::Instant;

use lm_proto::wire::Mac;

use super::Outlet;
use crate::admission::Wire;
use crate::admission::frames::control_flow;

/// The outlet, as admission control uses it to send at the moment `now`.
pub(super) struct Way<'a> {
    pub(super) outlet: &'a mut Outlet,
    pub(super) now: Instant,
}

impl Wire for Way<'_> {
    fn message(&mut self, to: ac::NodeId, from: Option<Mac>, payload: &[u8]) {
        self.outlet.send_control(to, from, payload, self.now);
    }

    fn flush(&mut self, to: ac::NodeId, landing: Option<Mac>, frames: u16) -> u16 {
        let flow = control_flow(self.outlet.ours.src, to);
        match self.outlet.address(flow, self.now) {
            Some((mut ends, _)) => {
                ends.dst_mac = landing.unwrap_or(ends.dst_mac);
                self.outlet.send_flush(flow.dst, &ends, frames)
            }
            // The destination has no known MAC address, so nothing of ours is in its ring: the frames count
            // as sent.
            None => frames,
        }
    }
}
