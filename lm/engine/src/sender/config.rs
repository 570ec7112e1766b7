//! [`SenderConfig`] and [`SenderStats`]: the settings and the counters of a sender.

use lm_proto::alf::ChecksumMode;
use lm_proto::layout::Geometry;

/// How a sender is set up.
#[derive(Clone, Copy, Debug)]
pub struct SenderConfig {
    /// Fragment sizes.
    pub geometry: Geometry,
    /// Whether UDP checksums are computed. Without one a kernel can't tell a wrong reassembly (RFC 4963).
    pub checksum: ChecksumMode,
    /// mbufs in flight at most, for devices that must not be filled to the brim; counted in `headers`.
    pub in_flight: Option<u32>,
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
    /// Datagrams that were copied as a whole behind their headers, which cost less than showing them to the
    /// device.
    pub inlined: u64,
    /// Datagrams of several fragments that went first fragment first.
    pub forward: u64,
    /// Times that it was full.
    pub would_block: u64,
    /// Datagrams that were given up because a frame would not have had the length that its headers say: a
    /// defect, logged.
    pub malformed: u64,
}

impl SenderStats {
    /// Counter by counter: both, by `f`.
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
        }
    }
}
