//! Counts what a port's device has lost, from the opening of the port to its end.
//!
//! A device's counters are reset when a command clears them, and on some devices when the port is stopped.
//! Therefore [`NodePort`] reads them before, and keeps the sum.

use pmd_e1000::LandingPort;
use rte::port::PortError;

use super::NodePort;
use crate::tally::DeviceTally;

impl NodePort {
    /// Asks the device what it has lost since it was last asked, and adds that to [`NodePort::past`]. Returns
    /// the sum so far.
    pub fn count_device(&mut self) -> DeviceTally {
        match self.landing.port().stats() {
            Ok(stats) => {
                let now = DeviceTally::of(&stats);
                self.past.device.add(&now.since(&self.device));
                self.device = now;
            }
            // Some devices have no statistics.
            Err(e) => log::debug!("port {}: {e}", self.id()),
        }
        self.past.device
    }

    /// Clears the device's counters by `reset`. The sum of its losses is kept.
    ///
    /// # Errors
    /// [`PortError`]: the driver cannot clear them.
    pub fn clear(
        &mut self,
        reset: impl FnOnce(&mut LandingPort) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        self.count_device();
        reset(&mut self.landing)?;
        self.device =
            self.landing.port().stats().map_or_else(|_| DeviceTally::default(), |s| DeviceTally::of(&s));
        Ok(())
    }
}
