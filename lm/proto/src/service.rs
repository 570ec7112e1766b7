//! [`Service`]: the type of service of a datagram, with the mark of congestion (RFC 2474, RFC 3168), and its
//! time to live.
//!
//! The matcher takes it from the first fragment, and adds the marks of the others. A message has it, and lmd
//! writes it into the frame that it gives to the kernel.

use crate::checksum::header;
use crate::wire::{ETHERNET, HEADERS};

/// The type of service and the time to live of a datagram, as it came or as it is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Type of service; its last two bits are the mark of congestion.
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
}

impl Default for Service {
    /// The values with which LM sends unless it is told otherwise.
    fn default() -> Self {
        Self { tos: 0, ttl: 64 }
    }
}

impl Service {
    /// The service of a datagram whose fragments had these marks, a bit for each. If one of them met
    /// congestion, the datagram is marked (RFC 3168, section 5.3).
    pub(crate) fn with_marks(self, marks: u8) -> Self {
        let met = if marks & 1 << 0b11 != 0 { 0b11 } else { 0 };
        Self { tos: self.tos | met, ..self }
    }

    /// Writes it into the header of a frame, Ethernet and IPv4 without options, whose checksum is right, and
    /// is right afterwards. A frame that is too short stays as it is.
    ///
    /// ```
    /// use lm_proto::{checksum::header, service::Service};
    /// let mut frame = [0; 34];
    /// frame[14] = 0x45;
    /// Service { tos: 3, ttl: 1 }.stamp(&mut frame);
    /// assert_eq!((frame[15], frame[22], header(&frame[14..])), (3, 1, 0));
    /// ```
    pub fn stamp(self, frame: &mut [u8]) {
        let Some(ip) = frame.get_mut(ETHERNET..HEADERS) else { return };
        ip[1] = self.tos;
        ip[8] = self.ttl;
        ip[10..12].fill(0);
        let sum = header(ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}
