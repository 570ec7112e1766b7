//! [`Order`]: a command to the running forwarding loop, and the [`Report`] that answers it.

use std::sync::mpsc::SyncSender;

use lm_proto::policy::Require;

use crate::parse::Slots;
use crate::testpmd::tally::Tally;
use lm_node::admission::View;
use lm_node::tally::PoolView;

/// What the loop is told while it runs.
pub(crate) enum Order {
    /// End.
    Stop,
    /// Say what has been counted.
    Report(SyncSender<Vec<Report>>),
    /// Frames that a poll takes.
    Burst(usize),
    /// Whether received datagrams are shown.
    Verbose(u8),
    /// How slots are laid from now on.
    Slots(Slots),
    /// What proves a datagram.
    Require(Require),
}

/// What a lane has done so far.
pub(crate) struct Report {
    /// What was counted since the port's start; by the engine, since it was made.
    pub(crate) tally: Tally,
    /// The landing pool.
    pub(crate) pool: Option<PoolView>,
    /// Admission control, with `--ac`.
    pub(crate) admission: Option<View>,
}
