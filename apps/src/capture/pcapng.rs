//! Reads pcapng files: sections of blocks, some of which contain a frame.
//!
//! [`super::read`] calls [`read`] when a file begins with a section. Each section has its own byte order and
//! its own interfaces. A block must repeat its length at its end. A wrong length, an unknown interface or an
//! interface of another link type ends the capture, and the frames before it count. Payloads are skipped, not
//! stored.

use std::io::{self, BufRead};

use super::contents::{Capture, Cut, NoCapture};
use super::reader::{ByteOrder, MOST, fill_next, skip};

/// Bytes of a block that libpcap takes at most.
const MOST_BLOCK: u32 = 16 << 20;
/// Bytes of a block's type and length.
const BLOCK: u32 = 8;
/// The type of the block that a section begins with.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
/// The word that tells a section's byte order.
pub(super) const ORDER: u32 = 0x1a2b_3c4d;

/// Reads a pcapng file behind the first word of its first block.
pub(super) fn read(file: &mut impl BufRead) -> Result<Capture, NoCapture> {
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let order = byte_order(&head, 4).ok_or(NoCapture::Version(0, 0))?;
    let mut reader = Blocks { order, interfaces: Vec::new() };
    let mut capture = Capture::of(u32::MAX);
    let first = order.u32(&head, 0);
    let done = reader.section(file, first).and_then(|()| reader.run(file, &mut capture));
    match done {
        Ok(()) => {}
        Err(Stop::Cut(cut)) => capture.cut = Some(cut),
        Err(Stop::Io(e)) => capture = capture.ended_by(e)?,
        Err(Stop::Version(major, minor)) => return Err(NoCapture::Version(major, minor)),
    }
    if capture.link == u32::MAX { Err(NoCapture::NoInterface) } else { Ok(capture) }
}

fn byte_order(bytes: &[u8], at: usize) -> Option<ByteOrder> {
    [true, false].map(|big| ByteOrder { big }).into_iter().find(|order| order.u32(bytes, at) == ORDER)
}

/// Why reading ends.
enum Stop {
    Cut(Cut),
    Version(u16, u16),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// Reads a section, block by block.
struct Blocks {
    order: ByteOrder,
    /// Bytes of a frame that each interface of the section captures; 0: all.
    interfaces: Vec<u32>,
}

impl Blocks {
    /// Reads the rest of a section's header, which has `len` bytes in all, behind the word that tells its
    /// byte order.
    fn section(&mut self, file: &mut impl BufRead, len: u32) -> Result<(), Stop> {
        let mut version = [0; 4];
        file.read_exact(&mut version)?;
        let (major, minor) = (self.order.u16(&version, 0), self.order.u16(&version, 2));
        if !(major == 1 && (minor == 0 || minor == 2)) {
            return Err(Stop::Version(major, minor));
        }
        self.interfaces.clear();
        // The rest of the block, up to the length that it repeats.
        let left = fitting(len)?.checked_sub(BLOCK + 12).ok_or(Stop::Cut(Cut::Damage))?;
        skip(file, left)?;
        self.trailer(file, len)
    }

    /// Reads the length that a block repeats at its end.
    fn trailer(&self, file: &mut impl BufRead, len: u32) -> Result<(), Stop> {
        let mut again = [0; 4];
        file.read_exact(&mut again)?;
        if self.order.u32(&again, 0) == len { Ok(()) } else { Err(Stop::Cut(Cut::Damage)) }
    }

    /// Reads all blocks to the end of the file.
    fn run(&mut self, file: &mut impl BufRead, capture: &mut Capture) -> Result<(), Stop> {
        let mut head = [0; 8];
        while fill_next(file, &mut head)?.is_some() {
            let kind = self.order.u32(&head, 0);
            if kind == SECTION {
                let mut magic = [0; 4];
                file.read_exact(&mut magic)?;
                self.order = byte_order(&magic, 0).ok_or(Stop::Cut(Cut::Damage))?;
                self.section(file, self.order.u32(&head, 4))?;
                continue;
            }
            let len = self.order.u32(&head, 4);
            let body = fitting(len)? - BLOCK - 4;
            let frame = self.block(file, kind, body, capture)?;
            self.trailer(file, len)?;
            if let Some((here, whole)) = frame {
                capture.count(here, whole);
            }
        }
        Ok(())
    }

    /// Reads a block up to its trailer. If it contains a frame, returns how many bytes of it are in the file,
    /// and how many it had on the wire.
    fn block(
        &mut self,
        file: &mut impl BufRead,
        kind: u32,
        body: u32,
        capture: &mut Capture,
    ) -> Result<Option<(u32, u32)>, Stop> {
        // How many bytes at its front are needed here.
        let wanted: u32 = match kind {
            1 => 8,
            2 | 6 => 20,
            3 => 4,
            _ => 0,
        };
        let rest = body.checked_sub(wanted).ok_or(Stop::Cut(Cut::Damage))?;
        let mut fixed = [0; 20];
        file.read_exact(&mut fixed[..wanted as usize])?;
        let order = self.order;
        let mut frame = None;
        match kind {
            // An interface.
            1 => {
                let link = u32::from(order.u16(&fixed, 0));
                if capture.link == u32::MAX {
                    capture.link = link;
                } else if capture.link != link {
                    return Err(Stop::Cut(Cut::Link(link)));
                }
                self.interfaces.push(order.u32(&fixed, 4));
            }
            // A frame: the enhanced packet block, and the older packet block.
            2 | 6 => {
                let interface =
                    if kind == 6 { order.u32(&fixed, 0) } else { u32::from(order.u16(&fixed, 0)) };
                self.interface(interface)?;
                frame = Some((order.u32(&fixed, 12), order.u32(&fixed, 16)));
            }
            // A simple packet block: a frame of the first interface, cut at that interface's limit.
            3 => {
                let (whole, most) = (order.u32(&fixed, 0), self.interface(0)?);
                let here = if most == 0 { whole } else { whole.min(most) };
                frame = Some((here, whole));
            }
            _ => {}
        }
        if frame.is_some_and(|(here, _)| here > rest || here > MOST) {
            return Err(Stop::Cut(Cut::Damage));
        }
        skip(file, rest)?;
        Ok(frame)
    }

    fn interface(&self, number: u32) -> Result<u32, Stop> {
        self.interfaces.get(number as usize).copied().ok_or(Stop::Cut(Cut::Damage))
    }
}

/// A block's length, if a block can have it.
fn fitting(len: u32) -> Result<u32, Stop> {
    let fits = (BLOCK + 4..=MOST_BLOCK).contains(&len) && len.is_multiple_of(4);
    if fits { Ok(len) } else { Err(Stop::Cut(Cut::Damage)) }
}
