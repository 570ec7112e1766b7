//! [`Tally`]: the counters of a port and its engine.
//!
//! The session makes one for each port and each run. Reports and the summary add them. It dereferences to the
//! port's counters, which are `lm-node`'s.

use std::ops::{Deref, DerefMut};

use lm_node::tally;

use crate::engine_tally::EngineTally;

/// Everything counted on a port, or on all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// By the port.
    pub(crate) port: tally::Tally,
    /// By the engine.
    pub(crate) engine: EngineTally,
}

impl Tally {
    /// Adds another one.
    pub(crate) fn add(&mut self, other: &Self) {
        self.port.add(&other.port);
        self.engine.add(&other.engine);
    }
}

impl From<tally::Tally> for Tally {
    fn from(port: tally::Tally) -> Self {
        Self { port, engine: EngineTally::default() }
    }
}

impl Deref for Tally {
    type Target = tally::Tally;
    fn deref(&self) -> &tally::Tally {
        &self.port
    }
}

impl DerefMut for Tally {
    fn deref_mut(&mut self) -> &mut tally::Tally {
        &mut self.port
    }
}
