//! [`PortSetup`]: the user's settings of a landing port.

use lm_landing::landing::SlotLayout;

/// What a landing port is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSetup {
    /// Descriptors to receive into.
    pub rxd: u16,
    /// Descriptors to send from; 0: as suits the driver, 64 where it keeps what it has sent until the
    /// descriptor's turn comes again, else 512.
    pub txd: u16,
    /// Bytes of IP packet on the link.
    pub mtu: u16,
    /// How slots are laid first, separate if the device allows no other; `None`: as suits the device best.
    pub layout: Option<SlotLayout>,
    /// Where the layout is left to the device: slots are separate first, and overlap when LM alone sends.
    pub auto: bool,
    /// Bytes of landing region.
    pub region: usize,
    /// Bytes that it may grow to while messages are held; twice the region at least.
    pub max_region: usize,
    /// Map the region twice where the device lets us, so that nothing is copied at its end.
    pub mirror: bool,
    /// mbufs beyond the descriptors.
    pub spare_mbufs: u32,
    /// Take frames for any address, as testpmd does.
    pub promiscuous: bool,
    /// Where it cannot be proven that a card's writes keep their order, believe that they do: overlapping
    /// slots then rest on your word.
    pub assume_ordered: bool,
    /// Receive queues can interrupt, so that a thread may sleep:
    /// [`Queues::interrupts`](super::Queues::interrupts).
    pub interrupts: bool,
}

impl PortSetup {
    /// How slots are laid first, if that is said.
    pub(super) fn first_layout(&self) -> Option<SlotLayout> {
        self.layout.or(self.auto.then_some(SlotLayout::Separate))
    }
}

impl Default for PortSetup {
    /// 512 descriptors to receive into, as many to send from as suit the driver, MTU 1500, 4 MB of region
    /// that may grow to 16.
    fn default() -> Self {
        Self {
            rxd: 512,
            txd: 0,
            mtu: 1500,
            layout: None,
            auto: false,
            region: 4 << 20,
            max_region: 16 << 20,
            mirror: true,
            spare_mbufs: 576,
            promiscuous: true,
            assume_ordered: false,
            interrupts: false,
        }
    }
}
