//! [`Order`]: a command to the running forwarding loop, and the [`Report`] that answers it.
//!
//! The control thread sends orders through [`super::Forwarder`]. The loop reads them between two turns, so a
//! link is changed only by the thread that owns it.

use std::sync::mpsc::SyncSender;

use lm_proto::policy::Require;

use crate::parse::Slots;
use crate::testpmd::tally::Tally;
use lm_node::admission::View;
use lm_node::tally::PoolView;

/// What the control thread tells a running loop.
pub(crate) enum Order {
    /// End forwarding.
    Stop,
    /// Report what has been counted.
    Report(SyncSender<Vec<Report>>),
    /// Frames that a poll takes.
    Burst(usize),
    /// Whether received datagrams are shown.
    Verbose(u8),
    /// The layout of slots from now on.
    Slots(Slots),
    /// The proofs that are accepted from now on.
    Require(Require),
}

/// The counters of a link and its engine.
pub(crate) struct Report {
    /// The port's counters since its start, and the engine's since it was made.
    pub(crate) tally: Tally,
    /// The landing pool.
    pub(crate) pool: Option<PoolView>,
    /// Admission control, with `--ac`.
    pub(crate) admission: Option<View>,
}
