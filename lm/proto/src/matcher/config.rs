//! [`Config`]: the settings of a matcher, and how two frames in a row may lie under them.

use crate::card::Words;
use crate::frame::Frame;
use crate::layout::Geometry;
use crate::policy::{Accept, Require};
use crate::reassembler::Limits;

/// How a matcher is set up.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Fragment sizes.
    pub geometry: Geometry,
    /// What proves a datagram.
    pub require: Require,
    /// Whose datagrams are taken.
    pub accept: Accept,
    /// The device writes frames only inside the receive call, so the newest header is as it arrived.
    pub synchronous: bool,
    /// Nanoseconds after which a frame under way would have been reported, so that headers that did not
    /// change meanwhile, with nothing received, are intact: for cards, whose DMA nobody preempts. `None`:
    /// waiting proves nothing, as a peer process may be stopped in the middle of a frame.
    pub quiet: Option<u64>,
    /// The region is mapped twice, back to back, and is this many bytes long; 0: mapped once.
    pub mirror: usize,
    /// What the device says of each frame beside its length.
    pub words: Words,
    /// Limits of the reassembler.
    pub limits: Limits,
}

impl Config {
    /// Whether `below`, received right after `above`, reached its headers.
    #[inline]
    pub(super) fn reaches(&self, below: &Frame, above: &Frame) -> bool {
        if self.mirror != 0 && below.at > above.at {
            return below.reaches(&Frame { at: above.at + self.mirror, ..*above });
        }
        below.reaches(above)
    }

    /// Whether `below` lies one stride below `above`, under whichever of its addresses.
    #[inline]
    pub(super) fn touches(&self, below: &Frame, above: &Frame) -> bool {
        let at = below.at + self.geometry.stride();
        at == above.at || (self.mirror != 0 && at == above.at + self.mirror)
    }
}
