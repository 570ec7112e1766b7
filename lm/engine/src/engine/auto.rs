//! Passes the layout that `lm_proto::auto_layout` decides on from the matcher to the receiver.
//!
//! A receiver whose layout is *auto* asks `next_layout` in each poll, and changes the layout of its pool when
//! there is an answer. Nothing is decided here: the rules are in `lm_proto::auto_layout`.

use lm_landing::SlotLayout;
use lm_proto::frame::Slot;

use super::Engine;

impl Engine {
    /// Lets what arrives decide the layout from now on. `laid` is the present layout. `None`: the layout
    /// stays as it is.
    pub(crate) fn set_auto(&mut self, laid: Option<SlotLayout>) {
        self.matcher.set_auto(laid.map(slot_of));
    }

    /// The layout that slots are to get, if it has to change now.
    #[inline]
    pub(crate) fn next_layout(&mut self) -> Option<SlotLayout> {
        self.matcher.next_layout().map(|slot| match slot {
            Slot::Overlapping => SlotLayout::Overlapping,
            Slot::Separate | Slot::Damaged => SlotLayout::Separate,
        })
    }

    /// The source of a datagram that LM's tag agreed with, if there was one since this was asked last.
    #[inline]
    pub(crate) fn take_tagged(&mut self) -> Option<u32> {
        self.matcher.take_tagged()
    }

    /// Whether what arrives decides the layout.
    pub fn is_auto(&self) -> bool {
        self.matcher.is_auto()
    }
}

/// The matcher's name of a layout.
pub(super) fn slot_of(layout: SlotLayout) -> Slot {
    match layout {
        SlotLayout::Overlapping => Slot::Overlapping,
        SlotLayout::Separate => Slot::Separate,
    }
}
