//! [`Capture`]: the contents of a capture file. [`NoCapture`]: why a file is not a capture.
//!
//! [`super::pcap`] and [`super::pcapng`] fill in a [`Capture`]. [`crate::vdevs`] reads its link type, and
//! shows the user what [`Capture::missing`] says. Frames are counted here, and none is kept.

use std::fmt;
use std::io::{self, ErrorKind};

use super::link_type::LinkType;

/// The contents of a capture, up to the place where reading had to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    /// The link type of the frames (that of the first interface; libpcap ends at another).
    pub(crate) link: u32,
    /// Frames that can be read.
    pub(crate) frames: u64,
    /// Frames of which only the beginning was captured.
    pub(crate) short: u64,
    /// Why reading stopped before the end of the file; `None`: it did not.
    pub(crate) cut: Option<Cut>,
}

/// Why reading stopped before the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The file ends within a record.
    Record,
    /// A record is longer than any can be, or contradicts itself.
    Damage,
    /// Another interface has frames of another link type.
    Link(u32),
}

impl Capture {
    /// A capture of frames of this link type, of which none was read yet.
    pub(super) fn of(link: u32) -> Self {
        Self { link, frames: 0, short: 0, cut: None }
    }

    /// Counts a frame. `here` bytes of it are in the file, and it had `whole` bytes on the wire.
    pub(super) fn count(&mut self, here: u32, whole: u32) {
        self.frames += 1;
        self.short += u64::from(here < whole);
    }

    /// The result when reading a record ended with an error: a capture that is cut, or no capture.
    pub(super) fn ended_by(self, e: io::Error) -> Result<Self, NoCapture> {
        if e.kind() == ErrorKind::UnexpectedEof {
            Ok(Self { cut: Some(Cut::Record), ..self })
        } else {
            Err(NoCapture::Io(e))
        }
    }

    /// What the user will not receive of this capture, in words; `None`: nothing is missing.
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
    /// The file is too short for a header.
    Short,
    /// The file begins as no capture does, with these bytes.
    Magic([u8; 4]),
    /// A version that libpcap does not read, or a header that makes no sense.
    Version(u16, u16),
    /// pcapng without an interface.
    NoInterface,
    /// The file cannot be read.
    Io(io::Error),
}

impl fmt::Display for NoCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it is no capture: it ends within its header"),
            Self::Magic([a, b, c, d]) => {
                write!(
                    f,
                    "it is no capture: it begins with {a:02x}{b:02x}{c:02x}{d:02x}, as neither pcap nor \
                     pcapng does"
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
