//! [`Receiver`]: messages from a landing queue; [`Lander`]: messages from what a loop of your own received.

use std::ops::{Deref, DerefMut};

use pmd_e1000::device::Traits;
use pmd_e1000::queue::{feed, set_layout};
use pmd_e1000::{LandingPool, LandingQueue, SendError, SlotLayout};
use rte::Eal;

use crate::dpdk::engine::{Engine, Intake, ReceiverConfig};
use crate::dpdk::message::Message;

/// A landing queue that gives messages. `Send`, not `Sync`: it belongs to one lcore at a time.
pub struct Receiver {
    // The engine hands slots back before the queue goes: see `close` and `drop`.
    engine: Engine,
    queue: Option<LandingQueue>,
}

impl Receiver {
    /// A receiver on a started port's landing queue.
    ///
    /// # Errors
    /// [`SendError`]: no memory for the buffers that repairs are made in.
    pub fn new(eal: &Eal, queue: LandingQueue, config: &ReceiverConfig) -> Result<Self, SendError> {
        let engine = Engine::new(eal, config, queue.pool(), queue.traits())?;
        Ok(Self { engine, queue: Some(queue) })
    }

    /// Polls once for at most `burst` frames and gives every datagram that became whole to `deliver`. Returns the
    /// frames received. Runs the port's RX callbacks. Behind 32 frames and more the newest datagram may wait for the next
    /// call, whatever that finds: call it until it returns 0 before you sleep.
    #[inline(always)]
    pub fn receive(&mut self, burst: usize, mut deliver: impl FnMut(Message)) -> usize {
        let Some(queue) = &mut self.queue else { return 0 };
        let engine = &mut self.engine;
        let n = queue.poll(burst, &mut Intake { engine, deliver: &mut deliver });
        engine.look(n, queue.pool_mut(), &mut deliver);
        n
    }

    /// Lays the slots that are posted from now on so, if the device allows it; it takes a ring length of frames to take
    /// effect.
    pub fn set_layout(&mut self, layout: SlotLayout) {
        if let Some(queue) = &mut self.queue {
            queue.set_layout(layout);
        }
    }

    /// The landing pool; `None` never, until `close`.
    pub fn pool(&self) -> Option<&LandingPool> {
        self.queue.as_ref().map(LandingQueue::pool)
    }

    /// Ends receiving: waiting frames are dropped and counted, the queue goes back to its port. What is left is
    /// the pool, for [`pmd_e1000::LandingPort::stop`], and the engine with its counters.
    pub fn close(mut self) -> Option<(LandingPool, Engine)> {
        let mut queue = self.queue.take()?;
        self.engine.clear(queue.pool_mut());
        let pool = queue.into_pool();
        Some((pool, self.engine))
    }
}

impl Deref for Receiver {
    type Target = Engine;
    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl DerefMut for Receiver {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

/// The same for an application that has its own port and its own loop: it sets its RX queue up with
/// [`LandingPool::as_ptr`] and gives what `rte_eth_rx_burst` returns to [`Lander::process`].
pub struct Lander {
    engine: Engine,
    pool: LandingPool,
    traits: Traits,
}

impl Lander {
    /// A lander over the pool that feeds the queue of a device with these traits ([`pmd_e1000::device::traits_of`]).
    ///
    /// # Errors
    /// [`SendError`]: no memory for the buffers that repairs are made in.
    pub fn new(
        eal: &Eal,
        pool: LandingPool,
        traits: Traits,
        config: &ReceiverConfig,
    ) -> Result<Self, SendError> {
        let engine = Engine::new(eal, config, &pool, traits)?;
        Ok(Self { engine, pool, traits })
    }

    /// Takes a burst of received mbufs, which go back to the pool, and gives every datagram that became whole to
    /// `deliver`. Call it for empty bursts too, so that time passes, and what 32 frames and more have completed is given out.
    ///
    /// # Safety
    /// The mbufs came from the queue that the pool feeds, all of them and in order, and nobody else has them.
    #[allow(unsafe_code)]
    #[inline(always)]
    pub unsafe fn process(&mut self, mbufs: &[*mut pmd_e1000::RawMbuf], mut deliver: impl FnMut(Message)) {
        self.pool.maintain();
        let engine = &mut self.engine;
        // SAFETY: the caller's promise.
        unsafe { feed(&mut self.pool, mbufs, &mut Intake { engine, deliver: &mut deliver }) };
        engine.look(mbufs.len(), &mut self.pool, &mut deliver);
    }

    /// The landing pool.
    pub fn pool(&self) -> &LandingPool {
        &self.pool
    }

    /// Lays the slots that are posted from now on so, if the device allows it; it takes a ring length of frames to take
    /// effect.
    pub fn set_layout(&mut self, layout: SlotLayout) {
        set_layout(&mut self.pool, &self.traits, layout);
    }

    /// Ends receiving; the port must be stopped before the pool goes.
    pub fn close(mut self) -> (LandingPool, Engine) {
        self.engine.clear(&mut self.pool);
        (self.pool, self.engine)
    }
}

impl Deref for Lander {
    type Target = Engine;
    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl DerefMut for Lander {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}
