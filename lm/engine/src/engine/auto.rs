//! Applies the decisions of `lm_proto::auto_layout` to the landing pool.

use lm_landing::SlotLayout;
use lm_proto::frame::Slot;

use super::Engine;

impl Engine {
    /// Slots are laid by what arrives from now on; they are laid so now.
    pub(crate) fn set_auto(&mut self, laid: Option<SlotLayout>) {
        self.matcher.set_auto(laid.map(slot_of));
    }

    /// How slots are to be laid, if that is to change now.
    #[inline(always)]
    pub(crate) fn next_layout(&mut self) -> Option<SlotLayout> {
        self.matcher.next_layout().map(|slot| match slot {
            Slot::Overlapping => SlotLayout::Overlapping,
            Slot::Separate | Slot::Damaged => SlotLayout::Separate,
        })
    }

    /// The source of a datagram that LM's tag agreed with, if there was one since this was asked last.
    #[inline(always)]
    pub(crate) fn take_tagged(&mut self) -> Option<u32> {
        self.matcher.take_tagged()
    }

    /// Whether slots are laid by what arrives.
    pub fn is_auto(&self) -> bool {
        self.matcher.is_auto()
    }
}

/// How the matcher calls a layout.
pub(super) fn slot_of(layout: SlotLayout) -> Slot {
    match layout {
        SlotLayout::Overlapping => Slot::Overlapping,
        SlotLayout::Separate => Slot::Separate,
    }
}
