//! Ports prepared for landing, and the pools that feed them.
//!
//! - [`device`]: which drivers honour posted buffers, and how slots may be laid on them;
//! - [`devargs`]: a device's arguments as its driver reads them; [`demands`]: what must hold between them and a port's setup;
//! - [`cards`]: the same of e1000 and igb cards, by PCI id; [`pci`] reads what a card says of itself, and [`order`]
//!   proves that its writes keep their order; [`judge`] puts all of this together for a port;
//! - `memory` (private): DPDK's memory, or memory mapped twice; [`dma`] makes the latter known to devices;
//! - [`region`]: chunks, and who still needs them; [`region::Hold`] is what a delivered message has of them;
//! - `returns`: how what is held comes back, from any thread; `platform` is what it takes from the machine;
//! - [`owed`]: what devices still have of pools that are gone;
//! - `shared`: bytes that a device may be writing are copied out word by word;
//! - [`landing`]: the mempool handler, which gives each posted mbuf its descending address;
//! - [`pool`]: the same as its owner sees it;
//! - [`queue`]: a receive queue and its pool; [`queue::feed`] for applications with a loop of their own;
//! - [`send`]: send buffers with holes, transmitted in place;
//! - [`payload`]: the bytes of a delivered datagram, wherever they lie;
//! - [`clock`]: nanoseconds by the time-stamp counter;
//! - [`steer`]: which frames go to which landing queue; [`probe`]: whether they do; `rules` (private): filters that do not
//!   are taken out;
//! - [`port`]: a port, set up so that all of this is safe; `rings`, `seat` and `interrupt` (private) are
//!   parts of it.

pub mod cards;
pub mod clock;
pub mod demands;
pub mod devargs;
pub mod device;
pub mod dma;
mod interrupt;
pub mod judge;
pub mod landing;
mod memory;
pub mod order;
pub mod owed;
pub mod payload;
pub mod pci;
mod platform;
pub mod pool;
pub mod port;
pub mod probe;
pub mod queue;
pub mod region;
mod returns;
mod rings;
mod rules;
mod seat;
pub mod send;
mod sentinel;
mod shared;
pub mod steer;

pub use clock::Clock;
pub use landing::{PoolStats, SlotLayout};
pub use memory::MemoryError;
pub use owed::{OwedByDevices, owed_by_devices};
pub use payload::Payload;
pub use pool::{HEAD, Landed, LandingError, LandingPool, PoolConfig, RegionKind, SNAPSHOT, Writes};
pub use port::{LandingPort, PortError, PortSetup, Queues};
pub use queue::LandingQueue;
pub use region::{Hold, orphans};
pub use send::{SendError, SendPool, SendSlot};
pub use sentinel::Below;

/// An mbuf as DPDK's functions have it.
pub type RawMbuf = dpdk_sys::rte_mbuf;
