//! Reads pcap files: a header, and records of one frame each.
//!
//! [`super::read`] calls [`read`] when the file's first four bytes, its magic number, are those of pcap. The
//! dialects differ in byte order and in the length of a record's header. Versions that libpcap does not read
//! are refused, and a frame that is longer than libpcap takes ends the capture as damaged. Payloads are
//! skipped, not stored.

use std::io::BufRead;

use super::contents::{Capture, Cut, NoCapture};
use super::reader::{ByteOrder, MOST, fill_next, skip};

/// Link types have 26 bits; the rest says whether check sequences were captured.
const LINK: u32 = 0x03ff_ffff;

/// Reads a pcap file behind its magic number. The headers of its records have `header` bytes.
pub(super) fn read(file: &mut impl BufRead, order: ByteOrder, header: usize) -> Result<Capture, NoCapture> {
    let mut rest = [0; 20];
    file.read_exact(&mut rest)?;
    let (major, minor) = (order.u16(&rest, 0), order.u16(&rest, 2));
    // libpcap reads version 543.0 too: files of one system have it.
    if !(major == 2 && minor <= 4 || major == 543 && minor == 0) {
        return Err(NoCapture::Version(major, minor));
    }
    let mut capture = Capture::of(order.u32(&rest, 16) & LINK);
    let mut record = [0; 24];
    loop {
        match fill_next(file, &mut record[..header]) {
            Ok(Some(())) => {}
            Ok(None) => return Ok(capture),
            Err(e) => return capture.ended_by(e),
        }
        let (mut here, mut whole) = (order.u32(&record, 8), order.u32(&record, 12));
        // Old files have the two in the other order.
        if (major == 543 || minor <= 3) && here > whole {
            (here, whole) = (whole, here);
        }
        if here > MOST {
            capture.cut = Some(Cut::Damage);
            return Ok(capture);
        }
        if let Err(e) = skip(file, here) {
            return capture.ended_by(e);
        }
        capture.count(here, whole);
    }
}
