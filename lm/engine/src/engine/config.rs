//! [`ReceiverConfig`]: the settings of a receiver, and [`ReceiverError`]: why there can be none.
//!
//! A program passes the settings to [`Receiver::new`](crate::Receiver::new) or to an
//! [`AdoptedReceiver`](crate::AdoptedReceiver). [`ReceiverConfig::memory`] says beforehand how much memory a
//! receiver takes; it takes no more later.

use std::fmt;

use lm_landing::SendError;
use lm_proto::layout::Geometry;
use lm_proto::policy::{Accept, Require};
use lm_proto::reassembler::Limits;
use rte::mempool::Mempool;

/// The settings of a receiver.
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// The sizes of fragments.
    pub geometry: Geometry,
    /// What proves that a datagram is whole.
    pub require: Require,
    /// The addresses whose datagrams are taken.
    pub accept: Accept,
    /// Limits of the reassembler.
    pub limits: Limits,
    /// How many buffers of 64 KiB there are for repairs and for messages that had to be copied. Such a
    /// message keeps its buffer until it is dropped. There is one buffer more for each datagram of
    /// [`Limits::datagrams`], so that incomplete datagrams do not use up these.
    pub copies: usize,
    /// The pool that frames which are not LM's are copied to. `None`: they are dropped and counted.
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

/// The length of a buffer that datagrams are copied to, in bytes.
pub(super) const COPY: usize = 1 << 16;

impl ReceiverConfig {
    /// The number of buffers of 64 KiB in all.
    pub fn buffers(&self) -> usize {
        self.limits.bounded().datagrams + self.copies.max(1)
    }

    /// How many bytes of memory a receiver takes for datagrams that do not land in one piece. These are its
    /// buffers, in DPDK's memory, and the reassembler's tables.
    pub fn memory(&self) -> usize {
        self.buffers() * COPY + self.limits.tables()
    }
}

/// Why there can be no receiver.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReceiverError {
    /// There is no memory for the buffers that repairs are made in.
    Buffers(SendError),
    /// The pool's slots are for fragments of another size.
    Stride {
        /// The payload of a full fragment in bytes, as the receiver's settings say.
        geometry: usize,
        /// The same, as the pool's settings say.
        pool: usize,
    },
}

impl fmt::Display for ReceiverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffers(e) => e.fmt(f),
            Self::Stride { geometry, pool } => write!(
                f,
                "a receiver of fragments of {geometry} bytes cannot use a pool whose slots are for fragments \
                 of {pool} bytes: give both the same MTU"
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
