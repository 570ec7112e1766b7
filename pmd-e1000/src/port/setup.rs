//! [`PortSetup`]: the user's settings of a landing port.
//!
//! A caller fills one in, usually from its default, and passes it to
//! [`LandingPort::open`](super::LandingPort::open). Nothing is checked here; opening the port refuses
//! settings that its device cannot have, or changes numbers of descriptors to what the driver takes.

use lm_landing::landing::SlotLayout;

/// The settings of a landing port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSetup {
    /// Descriptors to receive into.
    pub rxd: u16,
    /// Descriptors to send from. 0: 64 for a driver that keeps what it has sent until the descriptor's turn
    /// comes again, else 512.
    pub txd: u16,
    /// The MTU: the largest IP packet on the link, in bytes.
    pub mtu: u16,
    /// The first layout of slots. Slots are separate if the device allows nothing else. `None`: the layout
    /// that suits the device best.
    pub layout: Option<SlotLayout>,
    /// If no layout is set: slots are separate at first, and overlap while only LM sends.
    pub auto: bool,
    /// The landing region in bytes.
    pub region: usize,
    /// Bytes that the region may grow to while messages are held; at least twice the region.
    pub max_region: usize,
    /// Map the region twice, if the device allows it, so that nothing is copied at its end.
    pub mirror: bool,
    /// mbufs beyond the descriptors.
    pub spare_mbufs: u32,
    /// Receive frames for any hardware address, as testpmd does.
    pub promiscuous: bool,
    /// If it cannot be proven that a card's writes keep their order, assume that they do. Whoever sets this
    /// is responsible for it.
    pub assume_ordered: bool,
    /// Have the card say what it can of each frame ([`lm_proto::card`]). To be left out where frames can
    /// overtake each other without a router, as on links that are bundled packet by packet.
    pub card_words: bool,
    /// Receive queues can interrupt, so that a thread may sleep:
    /// [`Queues::interrupts`](super::Queues::interrupts).
    pub interrupts: bool,
}

impl PortSetup {
    /// The first layout of slots, if the settings determine it.
    pub(super) fn first_layout(&self) -> Option<SlotLayout> {
        self.layout.or(self.auto.then_some(SlotLayout::Separate))
    }
}

impl Default for PortSetup {
    /// 512 descriptors to receive into, as many to send from as suit the driver, MTU 1500, and a region of 4
    /// MiB that may grow to 16 MiB.
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
            card_words: true,
            interrupts: false,
        }
    }
}
