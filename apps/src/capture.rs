//! Capture files, before net_pcap opens them: whether what is in them are Ethernet frames, and all of them.
//!
//! libpcap, which reads them, tells the driver of neither: a capture of anything else is taken for frames, and one that is cut
//! ends without a word. So its rules are repeated here: pcap in both byte orders, with microseconds, nanoseconds or
//! Kuznetzov's longer records, and pcapng. Payloads are passed over.

use std::fmt;
use std::io::{self, BufRead, ErrorKind};

/// What a capture is, as far as it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    /// The link type of the frames (that of the first interface; libpcap ends at another).
    pub(crate) link: u32,
    /// Frames that can be read.
    pub(crate) frames: u64,
    /// Frames of which only the beginning was captured.
    pub(crate) short: u64,
    /// Why it ends before its end, if it does.
    pub(crate) cut: Option<Cut>,
}

/// Why a capture ends before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It stops within a record.
    Record,
    /// A record cannot be what it says: too long, or inconsistent.
    Damage,
    /// Another interface has other frames.
    Link(u32),
}

impl Capture {
    /// What is missing of it, in words; `None`: nothing.
    pub(crate) fn missing(&self) -> Option<String> {
        let Self { frames, short, .. } = self;
        match self.cut {
            Some(Cut::Record) => {
                Some(format!("it is cut: it ends within a record, behind {frames} whole frames"))
            }
            Some(Cut::Damage) => Some(format!("it is damaged: what follows {frames} frames is no record")),
            Some(Cut::Link(link)) => Some(format!(
                "it ends for libpcap behind {frames} frames: another interface is {}",
                LinkType(link)
            )),
            None if *short > 0 => {
                Some(format!("{short} of {frames} frames are cut: capture whole ones (-s 0)"))
            }
            None => None,
        }
    }
}

/// Why a file is no capture.
#[derive(Debug)]
pub(crate) enum NoCapture {
    /// It is too short for a header.
    Short,
    /// It begins like none.
    Magic([u8; 4]),
    /// A version that libpcap does not read, or a header that makes no sense.
    Version(u16, u16),
    /// pcapng without an interface.
    NoInterface,
    /// It cannot be read.
    Io(io::Error),
}

impl fmt::Display for NoCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it is no capture: it ends within its header"),
            Self::Magic([a, b, c, d]) => {
                write!(
                    f,
                    "it is no capture: it begins with {a:02x}{b:02x}{c:02x}{d:02x}, as neither pcap nor pcapng does"
                )
            }
            Self::Version(major, minor) => {
                write!(f, "it is a capture of version {major}.{minor}, which libpcap does not read")
            }
            Self::NoInterface => f.write_str("it is a pcapng capture without an interface"),
            Self::Io(e) => e.fmt(f),
        }
    }
}

impl From<io::Error> for NoCapture {
    fn from(e: io::Error) -> Self {
        if e.kind() == ErrorKind::UnexpectedEof { Self::Short } else { Self::Io(e) }
    }
}

/// Ethernet's link type.
pub(crate) const ETHERNET: u32 = 1;

/// A link type by name, as tcpdump's registry has them.
pub(crate) struct LinkType(pub(crate) u32);

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0 => "NULL",
            ETHERNET => "ETHERNET",
            3 => "AX25",
            6 => "IEEE802_5",
            7 => "ARCNET_BSD",
            8 => "SLIP",
            9 => "PPP",
            10 => "FDDI",
            12 | 14 | 101 => "RAW",
            50 => "PPP_HDLC",
            51 => "PPP_ETHER",
            104 => "C_HDLC",
            105 => "IEEE802_11",
            107 => "FRELAY",
            108 => "LOOP",
            113 => "LINUX_SLL",
            117 => "PFLOG",
            119 => "IEEE802_11_PRISM",
            127 => "IEEE802_11_RADIOTAP",
            163 => "IEEE802_11_AVS",
            187 => "BLUETOOTH_HCI_H4",
            189 => "USB_LINUX",
            192 => "PPI",
            195 => "IEEE802_15_4_WITHFCS",
            201 => "BLUETOOTH_HCI_H4_WITH_PHDR",
            220 => "USB_LINUX_MMAPPED",
            226 => "IPNET",
            227 => "CAN_SOCKETCAN",
            228 => "IPV4",
            229 => "IPV6",
            230 => "IEEE802_15_4_NOFCS",
            239 => "NFLOG",
            249 => "USBPCAP",
            253 => "NETLINK",
            276 => "LINUX_SLL2",
            n => return write!(f, "link type {n}"),
        };
        f.write_str(name)
    }
}

/// Bytes of a frame that libpcap takes at most (`MAXIMUM_SNAPLEN`).
const MOST: u32 = 262_144;
/// Bytes of a pcapng block that it takes at most.
const MOST_BLOCK: u32 = 16 << 20;
/// Link types have 26 bits; the rest says whether check sequences were captured.
const LINK: u32 = 0x03ff_ffff;

/// Reads a capture to its end.
pub(crate) fn read(file: &mut impl BufRead) -> Result<Capture, NoCapture> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    let mut pcap = |big, header| pcap(&mut *file, Words { big }, header);
    match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => pcap(true, 16),
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => pcap(false, 16),
        [0xa1, 0xb2, 0xcd, 0x34] => pcap(true, 24),
        [0x34, 0xcd, 0xb2, 0xa1] => pcap(false, 24),
        [0x0a, 0x0d, 0x0d, 0x0a] => pcapng(file),
        _ => Err(NoCapture::Magic(magic)),
    }
}

/// A file's byte order.
#[derive(Clone, Copy)]
struct Words {
    big: bool,
}

impl Words {
    fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let word = [bytes[at], bytes[at + 1]];
        if self.big { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) }
    }

    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let word = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }
}

/// Fills `bytes`; `None`: the file ends right before them.
fn next(file: &mut impl BufRead, bytes: &mut [u8]) -> io::Result<Option<()>> {
    if file.fill_buf()?.is_empty() {
        return Ok(None);
    }
    file.read_exact(bytes).map(Some)
}

/// Passes over so many bytes; fewer are left: the file is cut.
fn skip(file: &mut impl BufRead, n: u32) -> io::Result<()> {
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

/// What an error within a record means.
fn end(e: io::Error, capture: &mut Capture) -> Result<(), NoCapture> {
    if e.kind() != ErrorKind::UnexpectedEof {
        return Err(NoCapture::Io(e));
    }
    capture.cut = Some(Cut::Record);
    Ok(())
}

/// A pcap file behind its magic number, with records that have headers of so many bytes.
fn pcap(file: &mut impl BufRead, words: Words, header: usize) -> Result<Capture, NoCapture> {
    let mut rest = [0; 20];
    file.read_exact(&mut rest)?;
    let (major, minor) = (words.u16(&rest, 0), words.u16(&rest, 2));
    // Files of one system have 543.
    if !(major == 2 && minor <= 4 || major == 543 && minor == 0) {
        return Err(NoCapture::Version(major, minor));
    }
    let mut capture = Capture { link: words.u32(&rest, 16) & LINK, frames: 0, short: 0, cut: None };
    let mut record = [0; 24];
    loop {
        match next(file, &mut record[..header]) {
            Ok(Some(())) => {}
            Ok(None) => return Ok(capture),
            Err(e) => return end(e, &mut capture).map(|()| capture),
        }
        let (mut here, mut whole) = (words.u32(&record, 8), words.u32(&record, 12));
        // Old files have the two in the other order.
        if (major == 543 || minor <= 3) && here > whole {
            (here, whole) = (whole, here);
        }
        if here > MOST {
            capture.cut = Some(Cut::Damage);
            return Ok(capture);
        }
        if let Err(e) = skip(file, here) {
            return end(e, &mut capture).map(|()| capture);
        }
        capture.frames += 1;
        capture.short += u64::from(here < whole);
    }
}

/// Bytes of a pcapng block's type and length.
const BLOCK: u32 = 8;
/// Block types, and the word that tells a section's byte order.
const SECTION: u32 = 0x0a0d_0d0a;
const ORDER: u32 = 0x1a2b_3c4d;

/// A pcapng file behind the first word of its first block.
fn pcapng(file: &mut impl BufRead) -> Result<Capture, NoCapture> {
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let words = order(&head, 4).ok_or(NoCapture::Version(0, 0))?;
    let mut reader = Blocks { words, interfaces: Vec::new() };
    let mut capture = Capture { link: u32::MAX, frames: 0, short: 0, cut: None };
    let first = words.u32(&head, 0);
    let done = reader.section(file, first).and_then(|()| reader.run(file, &mut capture));
    match done {
        Ok(()) => {}
        Err(Stop::Cut(cut)) => capture.cut = Some(cut),
        Err(Stop::Io(e)) => end(e, &mut capture)?,
        Err(Stop::Version(major, minor)) => return Err(NoCapture::Version(major, minor)),
    }
    if capture.link == u32::MAX { Err(NoCapture::NoInterface) } else { Ok(capture) }
}

fn order(bytes: &[u8], at: usize) -> Option<Words> {
    [true, false].map(|big| Words { big }).into_iter().find(|words| words.u32(bytes, at) == ORDER)
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

struct Blocks {
    words: Words,
    /// Bytes of a frame that each interface of the section captures; 0: all.
    interfaces: Vec<u32>,
}

impl Blocks {
    /// The rest of a section's header, of `len` bytes in all, behind the word that tells its byte order.
    fn section(&mut self, file: &mut impl BufRead, len: u32) -> Result<(), Stop> {
        let mut version = [0; 4];
        file.read_exact(&mut version)?;
        let (major, minor) = (self.words.u16(&version, 0), self.words.u16(&version, 2));
        if !(major == 1 && (minor == 0 || minor == 2)) {
            return Err(Stop::Version(major, minor));
        }
        self.interfaces.clear();
        // What is left of it before its length is repeated.
        let left = fitting(len)?.checked_sub(BLOCK + 12).ok_or(Stop::Cut(Cut::Damage))?;
        skip(file, left)?;
        self.trailer(file, len)
    }

    /// The length again, at a block's end.
    fn trailer(&self, file: &mut impl BufRead, len: u32) -> Result<(), Stop> {
        let mut again = [0; 4];
        file.read_exact(&mut again)?;
        if self.words.u32(&again, 0) == len { Ok(()) } else { Err(Stop::Cut(Cut::Damage)) }
    }

    /// Block by block, to the end.
    fn run(&mut self, file: &mut impl BufRead, capture: &mut Capture) -> Result<(), Stop> {
        let mut head = [0; 8];
        while next(file, &mut head)?.is_some() {
            let kind = self.words.u32(&head, 0);
            if kind == SECTION {
                let mut magic = [0; 4];
                file.read_exact(&mut magic)?;
                self.words = order(&magic, 0).ok_or(Stop::Cut(Cut::Damage))?;
                self.section(file, self.words.u32(&head, 4))?;
                continue;
            }
            let len = self.words.u32(&head, 4);
            let body = fitting(len)? - BLOCK - 4;
            let frame = self.block(file, kind, body, capture)?;
            self.trailer(file, len)?;
            if let Some((here, whole)) = frame {
                capture.frames += 1;
                capture.short += u64::from(here < whole);
            }
        }
        Ok(())
    }

    /// A block up to its trailer: if it holds a frame, the bytes that are there and those that there were.
    fn block(
        &mut self,
        file: &mut impl BufRead,
        kind: u32,
        body: u32,
        capture: &mut Capture,
    ) -> Result<Option<(u32, u32)>, Stop> {
        // The words of it that matter.
        let wanted: u32 = match kind {
            1 => 8,
            2 | 6 => 20,
            3 => 4,
            _ => 0,
        };
        let rest = body.checked_sub(wanted).ok_or(Stop::Cut(Cut::Damage))?;
        let mut fixed = [0; 20];
        file.read_exact(&mut fixed[..wanted as usize])?;
        let words = self.words;
        let mut frame = None;
        match kind {
            // An interface.
            1 => {
                let link = u32::from(words.u16(&fixed, 0));
                if capture.link == u32::MAX {
                    capture.link = link;
                } else if capture.link != link {
                    return Err(Stop::Cut(Cut::Link(link)));
                }
                self.interfaces.push(words.u32(&fixed, 4));
            }
            // A frame, of today and of old.
            2 | 6 => {
                let interface =
                    if kind == 6 { words.u32(&fixed, 0) } else { u32::from(words.u16(&fixed, 0)) };
                self.interface(interface)?;
                frame = Some((words.u32(&fixed, 12), words.u32(&fixed, 16)));
            }
            // A frame of the first interface, as much of it as that captures.
            3 => {
                let (whole, most) = (words.u32(&fixed, 0), self.interface(0)?);
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

#[cfg(test)]
mod tests;
