//! [`PoolConfig`]: the settings of a landing pool, and the smallest region that they need.
//!
//! `pmd-e1000` fills one in for each landing queue, from what it knows of the device.
//! [`LandingPool::create`](crate::LandingPool::create) checks it, and refuses a stride or a region with which
//! a ring could not work.

use rte::port::PortId;

use crate::landing::{AHEAD, SlotLayout, separate_pitch};
use crate::region::CHUNK;

/// Where the landing region lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionKind {
    /// In DPDK's memory, to which any device can write. A datagram across its end is copied.
    Dpdk,
    /// In memory that is mapped twice in a row, so that a datagram may lie across its end. It is for devices
    /// that do no DMA, or for the one of [`Writes::port`].
    Mirrored,
}

/// What is demanded by a device that writes into the region itself. The default is for a device that does
/// not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// The length of a slot that the driver is told, in bytes. At least the room is told.
    pub declared: usize,
    /// No slot crosses a multiple of this, in the device's addresses, and slots never overlap. 0: there is no
    /// such boundary.
    pub boundary: usize,
    /// The port of the device. Memory that is mapped twice is made known to it.
    pub port: Option<PortId>,
    /// The device writes at any time, not only inside the receive call. Slots are marked, so that
    /// [`LandingPool::below`](crate::LandingPool::below) can tell which of them it has reached.
    pub at_any_time: bool,
}

/// What a landing pool is made of.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Unique in the process, at most 16 bytes.
    pub name: String,
    /// Descriptors of the queue that it feeds.
    pub descriptors: u16,
    /// mbufs beyond the descriptors, for those that a driver or a burst has at the moment.
    pub spare_mbufs: u32,
    /// Bytes of landing region.
    pub region: usize,
    /// Bytes that the region may grow to while the application holds messages.
    pub max_region: usize,
    /// Where the region lies.
    pub kind: RegionKind,
    /// IP payload of a full fragment, bytes, a multiple of 8.
    pub stride: usize,
    /// Bytes that the device may write into a slot, from the frame's start.
    pub room: usize,
    /// How slots are laid first.
    pub layout: SlotLayout,
    /// NUMA node; `None`: any.
    pub socket: Option<u32>,
    /// What the device demands.
    pub writes: Writes,
}

impl PoolConfig {
    /// The smallest region for a queue, in bytes. It has room for the ring, the slots that are placed ahead,
    /// the datagram that is being put together, what separate slots leave free at breaks between pages, and
    /// four chunks. In a smaller region all slots could be posted. A driver wants the next slot before it
    /// hands over a frame, so no frame would ever come to make room.
    pub fn least_region(descriptors: u16, stride: usize, room: usize) -> usize {
        let pitch = stride.max(separate_pitch(room));
        let slots = usize::from(descriptors) + AHEAD as usize + (64 << 10) / stride.max(1) + 1;
        let breaks = slots * pitch / PAGE + 1;
        ((slots + breaks) * pitch + 4 * CHUNK).next_multiple_of(CHUNK)
    }

    /// The layout that is possible. Slots that must not cross a boundary are separate, because the places of
    /// overlapping slots cannot be chosen.
    pub(super) fn allowed(&self, layout: SlotLayout) -> SlotLayout {
        if self.writes.boundary == 0 { layout } else { SlotLayout::Separate }
    }
}

/// The longest stride. An mbuf has its buffer's length in 16 bits.
pub(super) const MOST_STRIDE: usize = 65_368;

/// The page size. Physical memory may have a break at the end of each page.
const PAGE: usize = 2 << 20;
