//! The memory that datagrams land in, and the memory that they are sent from, on any DPDK device.
//!
//! A receive queue takes its buffers from a mempool. The mempool of this crate gives each buffer an address
//! one stride below the one before, so that fragments which come in descending order form one piece. The
//! crate knows no card: [`device::Traits`] says what landing depends on in a device, and `pmd-e1000` fills it
//! in. `lm-engine` builds messages on top.
//!
//! # Receiving
//!
//! [`device`] says how a device treats posted buffers, and how slots may be laid on it.
//!
//! A landing region is memory. The private module `memory` takes it from DPDK, or maps it twice in a row, so
//! that a datagram may lie across its end; [`dma`] makes memory of the second kind known to a device.
//! [`region`] cuts a region into chunks and knows who needs each of them: a delivered message has a [`Hold`].
//! The private module `returns` brings back what was held, from any thread, and `platform` is what it needs
//! of the machine.
//!
//! [`landing`] is the mempool handler that gives each posted mbuf its address. [`pool`] is the same handler
//! as its owner sees it: the owner configures it, reads what landed, holds slots and releases them. [`slots`]
//! has the token of a slot that was received, which all of that goes by. A device may still be writing when
//! frames are looked at. Therefore the private module `shared` copies such bytes out word by word, and
//! `sentinel` keeps a word in each slot that tells whether a device has come there yet.
//!
//! [`queue`] is a receive queue with its pool. [`queue::feed`] serves applications that have a loop of their
//! own. The private module `prefetch` gives the processor a hint. [`words`] is how a queue learns what a
//! device says of each frame if its driver does not tell.
//!
//! # Sending, and the rest
//!
//! [`send`] has buffers with holes, which are transmitted in place. [`payload`] is the bytes of a delivered
//! datagram, wherever they lie; the private module `pieces` has them where each fragment has a slot of its
//! own. [`owed`] counts what devices still have of pools that are gone. [`clock`] measures nanoseconds by
//! the time-stamp counter.
//!
//! # What is guaranteed
//!
//! No slot is posted to a device while somebody holds it. Memory that a device may still write to is kept
//! until its driver has given back every mbuf, even if the pool is gone; [`owed_by_devices`] says how much
//! that is.

pub mod clock;
pub mod device;
pub mod dma;
pub mod landing;
mod memory;
pub mod owed;
pub mod payload;
mod pieces;
mod platform;
pub mod pool;
mod prefetch;
pub mod queue;
pub mod region;
mod returns;
pub mod send;
mod sentinel;
mod shared;
pub mod slots;
pub mod words;

pub use clock::Clock;
pub use landing::{PoolStats, SlotLayout};
pub use memory::MemoryError;
pub use owed::{OwedByDevices, owed_by_devices};
pub use payload::Payload;
pub use pool::{Landed, LandingError, LandingPool, PoolConfig, RegionKind, SNAPSHOT, Writes};
pub use queue::LandingQueue;
pub use region::{Hold, JoinedCount, orphans};
pub use send::{SendError, SendPool, SendSlot};
pub use slots::LandedSlots;

/// An mbuf as DPDK's functions have it.
pub type RawMbuf = dpdk_sys::rte_mbuf;
