//! [`Header`]: the header in front of each frame of the kernel's interface (`struct virtio_net_hdr`, virtio
//! 1.2, section 5.1.6).
//!
//! lmd reads it in front of each frame from the kernel and writes it in front of each frame to the kernel.
//! [`Header::complete`] computes a checksum that the kernel left open; places outside of the frame are
//! refused.

use lm_proto::checksum;

use crate::view::put16;

/// Bytes of this header.
pub const LEN: usize = 10;
/// The receiver of the frame has to complete the checksum.
const NEEDS_CHECKSUM: u8 = 1;

/// The kind of long packet, which the receiver of the frame cuts into segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segments {
    /// It is not to be cut.
    #[default]
    None,
    /// TCP over IPv4.
    Tcp4,
    /// Another kind, which lmd did not ask for.
    Other,
}

/// The packet to be cut carries a congestion mark (`VIRTIO_NET_HDR_GSO_ECN`).
const ECN: u8 = 0x80;

/// What the sender of a frame left to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Where the bytes begin that the checksum covers, and where in these bytes its field is. `None`: the
    /// checksum is complete.
    pub checksum: Option<(u16, u16)>,
    /// Whether it is to be cut.
    pub segments: Segments,
    /// Bytes of headers in front of each segment.
    pub headers: u16,
    /// Bytes of payload of each segment.
    pub segment: u16,
}

impl Header {
    /// Reads it from the start of what was read. `None`: there are fewer bytes.
    pub fn parse(b: &[u8]) -> Option<Self> {
        let b = b.first_chunk::<LEN>()?;
        // The kernel uses the machine's byte order unless another one was asked for.
        let word = |at: usize| u16::from_ne_bytes([b[at], b[at + 1]]);
        let segments = match b[1] & !ECN {
            0 => Segments::None,
            1 => Segments::Tcp4,
            _ => Segments::Other,
        };
        let checksum = (b[0] & NEEDS_CHECKSUM != 0).then(|| (word(6), word(8)));
        Some(Self { checksum, segments, headers: word(2), segment: word(4) })
    }

    /// Its bytes.
    pub fn bytes(&self) -> [u8; LEN] {
        let mut b = [0; LEN];
        let (start, place) = self.checksum.unwrap_or_default();
        b[0] = if self.checksum.is_some() { NEEDS_CHECKSUM } else { 0 };
        b[1] = match self.segments {
            Segments::None => 0,
            Segments::Tcp4 => 1,
            Segments::Other => 3,
        };
        for (at, value) in [(2, self.headers), (4, self.segment), (6, start), (8, place)] {
            b[at..at + 2].copy_from_slice(&value.to_ne_bytes());
        }
        b
    }

    /// Completes the checksum of a frame, if that was left to us. Returns whether the places make sense.
    pub fn complete(&self, frame: &mut [u8]) -> bool {
        let Some((start, place)) = self.checksum else { return true };
        let (start, field) = (usize::from(start), usize::from(start) + usize::from(place));
        if field + 2 > frame.len() {
            return false;
        }
        // The field already contains the sum of the pseudo header, which is a part of the checksum.
        let sum = match checksum::header(&frame[start..]) {
            0 => 0xffff,
            sum => sum,
        };
        put16(frame, field, sum);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::pattern;

    #[test]
    fn it_is_read_as_it_is_written() {
        let checksums = [None, Some((34, 6)), Some((54, 16))];
        for checksum in checksums {
            for segments in [Segments::None, Segments::Tcp4, Segments::Other] {
                let header = Header { checksum, segments, headers: 66, segment: 1448 };
                assert_eq!(Header::parse(&header.bytes()), Some(header));
            }
        }
        assert_eq!(Header::parse(&[0; LEN - 1]), None);
        let mut congested = Header { segments: Segments::Tcp4, ..Header::default() }.bytes();
        congested[1] |= ECN;
        assert_eq!(Header::parse(&congested).map(|h| h.segments), Some(Segments::Tcp4));
    }

    #[test]
    fn a_checksum_is_completed_and_then_agrees() {
        for len in [42, 43, 100, 1001] {
            let mut frame = pattern(len);
            // A pseudo header that sums to 0x0a0b.
            frame[40..42].copy_from_slice(&[0x0a, 0x0b]);
            let header = Header { checksum: Some((34, 6)), ..Header::default() };
            assert!(header.complete(&mut frame));
            let mut all = vec![0x0a, 0x0b];
            all.extend(&frame[34..]);
            assert_eq!(checksum::header(&all), 0, "{len}");
        }
    }

    #[test]
    fn places_beyond_the_frame_are_refused() {
        let mut frame = pattern(60);
        for places in [(60, 0), (58, 1), (0, 59), (0xffff, 0xffff)] {
            let header = Header { checksum: Some(places), ..Header::default() };
            assert!(!header.complete(&mut frame), "{places:?}");
        }
        assert_eq!(frame, pattern(60));
    }
}
