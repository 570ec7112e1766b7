//! [`SenderConfig`] and [`SenderStats`]: the settings and the counters of a sender.
//!
//! A program passes the settings to [`Sender::new`](super::Sender::new), and reads the counters by
//! [`Sender::stats`](super::Sender::stats). The counters begin at zero when the sender is made, and never
//! decrease.

use lm_proto::alf::ChecksumMode;
use lm_proto::layout::Geometry;

/// The settings of a sender.
#[derive(Clone, Copy, Debug)]
pub struct SenderConfig {
    /// The sizes of fragments.
    pub geometry: Geometry,
    /// Whether UDP checksums are computed. Without one a kernel can't tell a wrong reassembly (RFC 4963).
    pub checksum: ChecksumMode,
    /// The most mbufs of the pool for headers that may be in flight, for devices whose ring must never be
    /// full. `None`: any number.
    pub in_flight: Option<u32>,
    /// The device answers a frame that it can never send as it answers a full queue. Such a frame is dropped
    /// and counted after some attempts; without that nothing would be sent any more.
    pub refuses: bool,
}

/// What a sender counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderStats {
    /// Datagrams given to the queue.
    pub datagrams: u64,
    /// Bytes of their payload.
    pub bytes: u64,
    /// Frames that the queue took.
    pub frames: u64,
    /// Datagrams that were copied whole behind their headers, because that costs less than a segment of their
    /// own.
    pub inlined: u64,
    /// Datagrams of several fragments that were sent first fragment first.
    pub forward: u64,
    /// Times that the queue was full.
    pub would_block: u64,
    /// Datagrams that were given up because a frame would not have had the length that its headers say. This
    /// is an error in LM, and is logged.
    pub malformed: u64,
    /// Frames that were dropped because the device did not take them however often it was asked, see
    /// [`SenderConfig::refuses`].
    pub refused: u64,
}

impl SenderStats {
    /// Combines each counter with the other's by `f`.
    #[must_use]
    pub fn combine(&self, other: &Self, f: fn(u64, u64) -> u64) -> Self {
        Self {
            datagrams: f(self.datagrams, other.datagrams),
            bytes: f(self.bytes, other.bytes),
            frames: f(self.frames, other.frames),
            inlined: f(self.inlined, other.inlined),
            forward: f(self.forward, other.forward),
            would_block: f(self.would_block, other.would_block),
            malformed: f(self.malformed, other.malformed),
            refused: f(self.refused, other.refused),
        }
    }
}
