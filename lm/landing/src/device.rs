//! [`Traits`]: what landing has to know of a device. A crate that knows devices, such as `pmd-e1000`, makes
//! the value. Here is data only, and nothing is decided.

use lm_proto::card::Words;

use crate::landing::SlotLayout;

/// How slots may be laid on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Overlapping or separate.
    Both,
    /// Separate only, and why.
    SeparateOnly(&'static str),
}

/// Ring thresholds. `None`: the driver's default is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// How many received frames the device reports at a time.
    pub rx_write_back: Option<u8>,
    /// How many sent frames it reports at a time.
    pub tx_write_back: Option<u8>,
    /// After how many sent frames the driver asks the device for a report.
    pub tx_report: Option<u16>,
}

/// What a device does with posted buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Layouts that are safe.
    pub allowed: Allowed,
    /// Frames are written only inside the receive call.
    pub synchronous: bool,
    /// Nanoseconds after which hardware would have reported a frame that it had begun to write. `None`: a
    /// peer process writes frames, which may be stopped at any moment.
    pub quiet_ns: Option<u64>,
    /// The layout that serves the device's usual peer best.
    pub preferred: SlotLayout,
    /// The driver never gives posted buffers back.
    pub keeps_posted: bool,
    /// The driver frees what it has sent only when the descriptor's turn comes again, a ring later.
    pub keeps_sent: bool,
    /// A transmit ring that is full of frames of several segments overwrites slots that are in use.
    pub full_ring_overwrites: bool,
    /// The driver answers a frame that it can never send as it answers a full queue: it takes nothing.
    pub refuses: bool,
    /// The ring settings that its driver needs.
    pub thresholds: Thresholds,
    /// Buffers must lie in DPDK's memory: a device, or a peer process, writes them.
    pub needs_dpdk_memory: bool,
    /// The length of a buffer that the device has to be told, in bytes. 0: the length of a frame is enough.
    pub declared_room: usize,
    /// How many bytes from a frame's start the device may write. 0: no more than a frame.
    pub reach: usize,
    /// No write of the device may cross a multiple of this address. 0: any write may.
    pub boundary: usize,
    /// It writes into memory itself (DMA), by addresses that may differ from the program's.
    pub dma: bool,
    /// What its descriptors may say of each frame; whether that is believed is found out while it runs.
    pub words: Words,
}
