//! Capture files, before net_pcap opens them: whether what is in them are Ethernet frames, and all of them.
//!
//! libpcap, which reads them, tells the driver of neither. A capture of anything else is taken for frames,
//! and one that is cut ends without a word. So its rules are repeated here: pcap in both byte orders, with
//! microseconds, nanoseconds or Kuznetzov's longer records, and pcapng. Payloads are passed over.
//!
//! - [`contents`]: what a capture holds, and why a file is none; [`link_type`]: what its frames are;
//! - [`pcap`], [`pcapng`]: the two formats; [`reader`]: the bytes of both.

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
