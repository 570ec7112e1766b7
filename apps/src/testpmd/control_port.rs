//! [`ControlPort`]: a port of lm-testpmd: a `NodePort`, and the counters of its earlier runs.
//!
//! [`super::session`] owns the ports, in the control thread. While forwarding runs, the link of a port is
//! with the forwarding loop, and the port has none. [`Closed`] is what remains of a port for the summary.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use lm_node::NodePort;
use lm_node::tally::{self, DeviceTally};
use rte::Eal;
use rte::port::{PortError, PortId, PortStats};

use crate::engine_tally::EngineTally;
use crate::explain::{explain_open, explain_start};
use crate::port_options::PortOptions;
use crate::signals;
use crate::testpmd::tally::Tally;

/// A port and its history.
pub(crate) struct ControlPort {
    port: NodePort,
    /// What its engines did in earlier runs.
    pub(crate) engine: EngineTally,
    /// What the present link had done when forwarding began.
    pub(crate) base: tally::Tally,
    /// What the device had lost when forwarding began.
    pub(crate) base_device: DeviceTally,
    /// The counters at the last `show port stats`, and when that was.
    pub(crate) shown: Option<(Instant, PortStats)>,
}

impl ControlPort {
    /// Takes a port and prepares it.
    pub(crate) fn open(eal: &Eal, id: PortId, options: &PortOptions) -> Result<Self, String> {
        Ok(Self {
            port: NodePort::open(eal, id, &options.config(id)).map_err(|e| explain_open(&e))?,
            engine: EngineTally::default(),
            base: tally::Tally::default(),
            base_device: DeviceTally::default(),
            shown: None,
        })
    }

    /// Starts the port. A signal ends the wait for a net_memif server.
    pub(crate) fn start(&mut self, eal: &Eal, options: &PortOptions) -> Result<(), String> {
        let identity = options.identity()?;
        let config = options.config(self.port.id());
        self.port.start(eal, &config, &identity, signals::is_ending).map_err(|e| explain_start(&e, &config))
    }

    /// Stops the port.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        self.base = tally::Tally::default();
        self.port.stop().map_err(|e| e.to_string())
    }

    /// The memory that the started port uses for receiving, in words.
    pub(crate) fn memory(&self, options: &PortOptions) -> String {
        self.port.memory(&options.config(self.port.id()))
    }

    /// The counters of earlier links and runs, without those of the present link.
    pub(crate) fn past(&self) -> Tally {
        Tally { port: self.port.past.clone(), engine: self.engine.clone() }
    }

    /// Clears the device's counters, by `reset`; what it has lost is not forgotten.
    pub(crate) fn clear(
        &mut self,
        reset: impl FnOnce(&mut pmd_e1000::LandingPort) -> Result<(), PortError>,
    ) -> Result<(), String> {
        self.port.clear(reset).map_err(|e| e.to_string())?;
        self.shown = None;
        Ok(())
    }

    /// Stops and closes the port. Returns how many mbufs are in the landing pool then.
    pub(crate) fn close(self) -> Result<u32, String> {
        self.port.close().map_err(|e| e.to_string())
    }
}

/// What remains of a port.
pub(crate) struct Closed {
    /// What it did.
    pub(crate) total: Tally,
    /// mbufs in the landing pool before the start.
    pub(crate) pool_before: u32,
    /// And after it was closed.
    pub(crate) pool_after: u32,
    /// How long forwarding ran.
    pub(crate) elapsed: Duration,
    /// CPU time of its loop.
    pub(crate) cpu: Duration,
}

impl Deref for ControlPort {
    type Target = NodePort;
    fn deref(&self) -> &NodePort {
        &self.port
    }
}

impl DerefMut for ControlPort {
    fn deref_mut(&mut self) -> &mut NodePort {
        &mut self.port
    }
}
