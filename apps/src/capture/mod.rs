//! Checks capture files before net_pcap opens them: whether they contain Ethernet frames, and are complete.
//!
//! libpcap, which reads them for the driver, reports neither. It would treat other packets as Ethernet
//! frames, and silently end at a truncated record. So this module reads the formats itself: pcap in both byte
//! orders, with microseconds, nanoseconds or Kuznetzov's longer records, and pcapng. It skips the payloads.
//!
//! - [`contents`]: the contents of a capture, and why a file is not one. [`link_type`]: the kind of frames.
//! - [`pcap`], [`pcapng`]: the two formats. [`reader`]: reads the bytes of both.

mod contents;
mod link_type;
mod pcap;
mod pcapng;
mod reader;

use std::io::BufRead;

use self::reader::ByteOrder;

pub(crate) use self::contents::{Capture, NoCapture};
pub(crate) use self::link_type::{ETHERNET, LinkType};

/// Reads a capture to its end.
pub(crate) fn read(file: &mut impl BufRead) -> Result<Capture, NoCapture> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    let mut pcap = |big, header| pcap::read(&mut *file, ByteOrder { big }, header);
    match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => pcap(true, 16),
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => pcap(false, 16),
        [0xa1, 0xb2, 0xcd, 0x34] => pcap(true, 24),
        [0x34, 0xcd, 0xb2, 0xa1] => pcap(false, 24),
        [0x0a, 0x0d, 0x0d, 0x0a] => pcapng::read(file),
        _ => Err(NoCapture::Magic(magic)),
    }
}

#[cfg(test)]
mod tests;
