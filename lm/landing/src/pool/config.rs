//! [`PoolConfig`]: the settings of a landing pool, and the smallest region that they need.

use rte::port::PortId;

use crate::landing::{AHEAD, SlotLayout, separate_pitch};
use crate::region::CHUNK;

/// Where the landing region lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionKind {
    /// In DPDK's memory: any device can land there. A datagram across its end is copied.
    Dpdk,
    /// In memory mapped twice, so that it has no end: for devices that do no DMA, or that [`Writes::port`]
    /// names.
    Mirrored,
}

/// What a device that writes into the region itself demands of it; by default, none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Bytes that the driver is to be told a slot has; 0, or less than the room: the room.
    pub declared: usize,
    /// No slot crosses a multiple of this, in the device's addresses; 0: any may. Slots never overlap then.
    pub boundary: usize,
    /// The port whose device it is: memory mapped twice is made known to it.
    pub port: Option<PortId>,
    /// It writes at any time, not only inside the receive call: slots are marked, so that
    /// [`LandingPool::below`](crate::LandingPool::below) can tell.
    pub at_any_time: bool,
}

/// What a landing pool is made of.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Unique in the process, at most 16 bytes.
    pub name: String,
    /// Descriptors of the queue that it feeds.
    pub descriptors: u16,
    /// mbufs beyond the descriptors: what a driver or a burst has in hand.
    pub spare_mbufs: u32,
    /// Bytes of landing region.
    pub region: usize,
    /// Bytes that it may grow to while the application holds messages.
    pub max_region: usize,
    /// Where it lies.
    pub kind: RegionKind,
    /// IP payload of a full fragment, bytes, a multiple of 8.
    pub stride: usize,
    /// Bytes that the device may write into a slot, from the frame's start.
    pub room: usize,
    /// How slots are laid first.
    pub layout: SlotLayout,
    /// NUMA node; `None`: any.
    pub socket: Option<u32>,
    /// What the device demands that writes there.
    pub writes: Writes,
}

impl PoolConfig {
    /// The least region for a queue: its ring and the slots that are placed ahead, the datagram that is being
    /// put together, what separate slots leave at breaks between pages, four chunks. With less, a ring whose
    /// every slot is posted finds no place for the next one, which drivers want before they hand over the
    /// frame that would make room: it never goes on.
    pub fn least_region(descriptors: u16, stride: usize, room: usize) -> usize {
        let pitch = stride.max(separate_pitch(room));
        let slots = usize::from(descriptors) + AHEAD as usize + (64 << 10) / stride.max(1) + 1;
        let breaks = slots * pitch / PAGE + 1;
        ((slots + breaks) * pitch + 4 * CHUNK).next_multiple_of(CHUNK)
    }

    /// Slots that must not cross a boundary lie apart: overlapping ones lie where they must.
    pub(super) fn allowed(&self, layout: SlotLayout) -> SlotLayout {
        if self.writes.boundary == 0 { layout } else { SlotLayout::Separate }
    }
}

/// The longest stride: an mbuf tells its buffer's length in 16 bits.
pub(super) const MOST_STRIDE: usize = 65_368;

/// Physical memory may break off at the end of a page this large.
const PAGE: usize = 2 << 20;
