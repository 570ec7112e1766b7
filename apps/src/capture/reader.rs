//! Reads the bytes of capture files: words in a file's byte order, and bytes to skip.
//!
//! [`super::pcap`] and [`super::pcapng`] call it. It reads through the buffer of its `BufRead`, so skipping
//! needs no memory, however long a record claims to be.

use std::io::{self, BufRead, ErrorKind};

/// Bytes of a frame that libpcap takes at most (`MAXIMUM_SNAPLEN`).
pub(super) const MOST: u32 = 262_144;

/// A file's byte order.
#[derive(Clone, Copy)]
pub(super) struct ByteOrder {
    pub(super) big: bool,
}

impl ByteOrder {
    /// The 16-bit word at `at`.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let word = [bytes[at], bytes[at + 1]];
        if self.big { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) }
    }

    /// The 32-bit word at `at`.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let word = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }
}

/// Fills `bytes`. `None`: the file ends right before them, which is its proper end.
pub(super) fn fill_next(file: &mut impl BufRead, bytes: &mut [u8]) -> io::Result<Option<()>> {
    if file.fill_buf()?.is_empty() {
        return Ok(None);
    }
    file.read_exact(bytes).map(Some)
}

/// Skips `n` bytes. An error of the kind `UnexpectedEof`: the file ends within them.
pub(super) fn skip(file: &mut impl BufRead, n: u32) -> io::Result<()> {
    let mut left = n as usize;
    while left > 0 {
        let there = file.fill_buf()?.len().min(left);
        if there == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        file.consume(there);
        left -= there;
    }
    Ok(())
}
