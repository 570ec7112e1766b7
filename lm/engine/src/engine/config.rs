//! How a receiver is set up, and why there can be none.

use std::fmt;

use lm_landing::SendError;
use lm_proto::layout::Geometry;
use lm_proto::policy::{Accept, Require};
use lm_proto::reassembler::Limits;
use rte::mempool::Mempool;

/// How a receiver is set up.
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// Fragment sizes.
    pub geometry: Geometry,
    /// What proves that a datagram is whole.
    pub require: Require,
    /// Whose datagrams are taken.
    pub accept: Accept,
    /// Limits of the reassembler.
    pub limits: Limits,
    /// Buffers of 64 KiB for repairs, and for messages that had to be copied, which hold them until they are
    /// dropped. So many beyond one for each datagram of [`Limits::datagrams`]: incomplete datagrams leave
    /// these alone.
    pub copies: usize,
    /// Where frames that are not LM's are copied to; `None`: they are dropped and counted.
    pub strangers: Option<Mempool>,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            geometry: Geometry::ETHERNET,
            require: Require::default(),
            accept: Accept::default(),
            limits: Limits::default(),
            copies: 32,
            strangers: None,
        }
    }
}

/// Bytes of a buffer that datagrams are copied to.
pub(super) const COPY: usize = 1 << 16;

impl ReceiverConfig {
    /// Buffers of 64 KiB in all.
    pub fn buffers(&self) -> usize {
        self.limits.bounded().datagrams + self.copies.max(1)
    }

    /// Bytes of memory that a receiver takes for datagrams that don't land in one piece: its buffers, in
    /// DPDK's memory, and the reassembler's tables.
    pub fn memory(&self) -> usize {
        self.buffers() * COPY + self.limits.tables()
    }
}

/// There can be no receiver.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReceiverError {
    /// No memory for the buffers that repairs are made in.
    Buffers(SendError),
    /// The pool lays its slots for fragments of another size.
    Stride {
        /// Bytes of a full fragment's payload, as the receiver was told.
        geometry: usize,
        /// The same, as the pool was told.
        pool: usize,
    },
}

impl fmt::Display for ReceiverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffers(e) => e.fmt(f),
            Self::Stride { geometry, pool } => write!(
                f,
                "a receiver of fragments of {geometry} bytes cannot use a pool whose slots are laid for \
                 {pool}: give both the same MTU"
            ),
        }
    }
}

impl std::error::Error for ReceiverError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Buffers(e) => Some(e),
            Self::Stride { .. } => None,
        }
    }
}
