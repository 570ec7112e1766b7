//! [`QueueSlot`]: the place of a landing queue in its port. It has the queue's pool while the queue is not in
//! use.
//!
//! [`LandingPort`](crate::LandingPort) has one for each landing queue. A pool goes back only to the place
//! that it came from, which its name decides.

use lm_landing::pool::LandingPool;

/// A landing queue's place in its port.
pub(crate) struct QueueSlot {
    /// The pool, while the queue is not out.
    pub pool: Option<LandingPool>,
    /// What the pool is known by.
    name: String,
}

impl QueueSlot {
    pub(crate) fn new(pool: LandingPool) -> Self {
        let name = pool.config().name.clone();
        Self { pool: Some(pool), name }
    }

    /// Whether the pool belongs here.
    pub(crate) fn is_of(&self, pool: &LandingPool) -> bool {
        self.name == pool.config().name
    }
}
