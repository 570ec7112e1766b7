//! [`Capture`]: the contents of a capture file. [`NoCapture`]: why a file is not one.

use std::fmt;
use std::io::{self, ErrorKind};

use super::link_type::LinkType;

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
    /// A capture of frames of this link type, of which none was read yet.
    pub(super) fn of(link: u32) -> Self {
        Self { link, frames: 0, short: 0, cut: None }
    }

    /// One more frame was read: so many bytes of it are there, and so many there were.
    pub(super) fn count(&mut self, here: u32, whole: u32) {
        self.frames += 1;
        self.short += u64::from(here < whole);
    }

    /// What there is of a capture in which a record ended with an error.
    pub(super) fn ended_by(self, e: io::Error) -> Result<Self, NoCapture> {
        if e.kind() == ErrorKind::UnexpectedEof {
            Ok(Self { cut: Some(Cut::Record), ..self })
        } else {
            Err(NoCapture::Io(e))
        }
    }

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
