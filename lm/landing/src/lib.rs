//! The memory that datagrams land in, and the memory that they are sent from, on any DPDK device.
//!
//! Nothing here knows a card: what landing has to know of a device is told by [`device::Traits`].
//!
//! - [`device`]: how a device treats posted buffers, and how slots may be laid on it;
//! - `memory` (private): DPDK's memory, or memory mapped twice; [`dma`] makes the latter known to devices;
//! - [`region`]: chunks, and who still needs them; [`region::Hold`] is what a delivered message has of them;
//! - `returns`: how what is held comes back, from any thread; `platform` is what it takes from the machine;
//! - [`owed`]: what devices still have of pools that are gone;
//! - `shared`: bytes that a device may be writing are copied out word by word;
//! - [`landing`]: the mempool handler, which gives each posted mbuf its descending address;
//! - `sentinel`: a word in each slot, by which it is known that no device has come there yet;
//! - [`pool`]: the handler as its owner sees it: configuration, reading what landed, holding and releasing
//!   slots;
//! - [`queue`]: a receive queue and its pool; [`queue::feed`] for applications with a loop of their own;
//! - [`send`]: send buffers with holes, transmitted in place;
//! - [`payload`]: the bytes of a delivered datagram, wherever they lie;
//! - [`clock`]: nanoseconds by the time-stamp counter.

pub mod clock;
pub mod device;
pub mod dma;
pub mod landing;
mod memory;
pub mod owed;
pub mod payload;
mod platform;
pub mod pool;
pub mod queue;
pub mod region;
mod returns;
pub mod send;
mod sentinel;
mod shared;

pub use clock::Clock;
pub use landing::{PoolStats, SlotLayout};
pub use memory::MemoryError;
pub use owed::{OwedByDevices, owed_by_devices};
pub use payload::Payload;
pub use pool::{HEAD, Landed, LandingError, LandingPool, PoolConfig, RegionKind, SNAPSHOT, Writes};
pub use queue::LandingQueue;
pub use region::{Hold, orphans};
pub use send::{SendError, SendPool, SendSlot};

/// An mbuf as DPDK's functions have it.
pub type RawMbuf = dpdk_sys::rte_mbuf;
