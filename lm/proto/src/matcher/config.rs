//! [`Config`]: the settings of a matcher, and how two frames in a row may lie under them.
//!
//! The engine fills one in from a receiver's settings and from what is known of the device, and passes it to
//! `Matcher::new`. What it says of the device has to be true, because it decides which headers count as
//! intact.

use crate::card::Words;
use crate::frame::Frame;
use crate::layout::Geometry;
use crate::policy::{Accept, Require};
use crate::reassembler::Limits;

/// The settings of a matcher.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The sizes of fragments.
    pub geometry: Geometry,
    /// What proves a datagram.
    pub require: Require,
    /// The addresses whose datagrams are taken.
    pub accept: Accept,
    /// The device writes frames only inside the receive call, so the newest header is as it arrived.
    pub synchronous: bool,
    /// Nanoseconds after which the device would have reported a frame that it had begun to write. If nothing
    /// was received for so long and headers did not change meanwhile, they are intact. This is for cards,
    /// whose DMA is not interrupted. `None`: waiting proves nothing, because a peer process may be stopped in
    /// the middle of a frame.
    pub quiet: Option<u64>,
    /// The length in bytes of a region that is mapped twice in a row. 0: it is mapped once.
    pub mirror: usize,
    /// What the device says of each frame besides its length.
    pub words: Words,
    /// Limits of the reassembler.
    pub limits: Limits,
}

impl Config {
    /// Whether the frame `below`, which was received right after `above`, reached the headers of `above`.
    #[inline]
    pub(super) fn reaches(&self, below: &Frame, above: &Frame) -> bool {
        if self.mirror != 0 && below.at > above.at {
            return below.reaches(&Frame { at: above.at + self.mirror, ..*above });
        }
        below.reaches(above)
    }

    /// Whether `below` lies one stride below `above`, at either of its addresses.
    #[inline]
    pub(super) fn touches(&self, below: &Frame, above: &Frame) -> bool {
        let at = below.at + self.geometry.stride();
        at == above.at || (self.mirror != 0 && at == above.at + self.mirror)
    }
}
