//! [`Opened`]: what lmd has opened when it starts.
//!
//! [`super::setup`] makes one, and [`Daemon::new`](super::daemon::Daemon::new) takes it. Whoever has one has
//! a port that is started and an interface that is up.

use lm_node::{NodePort, PortConfig};
use lm_proto::wire::Mac;
use lm_tap::{Routes, Tap};

/// A started port, and the interface that programs see.
pub(crate) struct Opened {
    pub(crate) port: NodePort,
    pub(crate) config: PortConfig,
    pub(crate) tap: Tap,
    pub(crate) mac: Mac,
    pub(crate) routes: Routes,
    /// Lines about the start, for standard output.
    pub(crate) said: Vec<String>,
}
