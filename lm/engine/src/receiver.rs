//! [`Receiver`]: messages from a landing queue. [`AdoptedReceiver`]: messages from the mbufs that a loop of
//! your own received.
//!
//! Both give everything back when they are dropped, whenever that is: slots of datagrams that are not whole,
//! strangers that nobody took, buffers. Messages keep their memory until they are dropped themselves, and
//! what is posted to a device stays until its port is closed ([`lm_landing::owed_by_devices`]).

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;

use lm_landing::device::{Allowed, Traits};
use lm_landing::queue::{feed, set_layout};
use lm_landing::{LandingPool, LandingQueue, SlotLayout};
use rte::{Eal, Mbuf};

use crate::arrived::Arrived;
use crate::engine::{Engine, MatcherFeed, ReceiverConfig, ReceiverError};
use lm_proto::policy::Require;

/// A landing queue that gives messages. `Send`, not `Sync`: it belongs to one lcore at a time.
///
/// Its engine can be looked at, and told what to do by the functions here; it stays with its queue.
pub struct Receiver {
    engine: Engine,
    /// `None` once it was closed.
    queue: Option<LandingQueue>,
}

impl Receiver {
    /// A receiver on a started port's landing queue.
    ///
    /// # Errors
    /// [`ReceiverError`]: no memory for the buffers that repairs are made in, or a geometry that is not the
    /// queue's.
    pub fn new(eal: &Eal, queue: LandingQueue, config: &ReceiverConfig) -> Result<Self, ReceiverError> {
        let engine = Engine::new(eal, config, queue.pool(), queue.traits())?;
        Ok(Self { engine, queue: Some(queue) })
    }

    /// Polls once for at most `burst` frames and gives every datagram that became whole to `deliver`. Returns
    /// the frames received. Runs the port's RX callbacks. Behind 32 frames and more the newest datagram may
    /// wait for the next call, whatever that finds: call it until it returns 0 before you sleep.
    #[inline]
    pub fn receive(&mut self, burst: usize, mut deliver: impl FnMut(Arrived<'_>)) -> usize {
        let Some(queue) = &mut self.queue else { return 0 };
        let engine = &mut self.engine;
        let n = queue.poll(burst, &mut MatcherFeed { engine, deliver: &mut deliver });
        engine.look(n, queue.pool(), &mut deliver);
        if let Some(layout) = engine.next_layout() {
            queue.set_layout(layout);
        }
        n
    }

    /// Lets what arrives decide the layout of slots ([`lm_proto::auto_layout`]), if the device allows both
    /// layouts. It begins with the present one.
    pub fn set_auto(&mut self) {
        if let Some(queue) = &self.queue {
            self.engine.set_auto(followed(&queue.traits(), queue.pool()));
        }
    }

    /// Fixes the layout of slots that are posted from now on, if the device allows it. It takes effect after
    /// one ring length of frames.
    pub fn set_layout(&mut self, layout: SlotLayout) {
        self.engine.set_auto(None);
        if let Some(queue) = &mut self.queue {
            queue.set_layout(layout);
        }
    }

    /// The landing pool. It is never `None` before `close`.
    pub fn pool(&self) -> Option<&LandingPool> {
        self.queue.as_ref().map(LandingQueue::pool)
    }

    /// Ends receiving: waiting frames are dropped and counted. Returns the pool, for
    /// `pmd_e1000::LandingPort::stop`, and the engine with its counters.
    #[allow(unsafe_code)]
    pub fn close(self) -> Option<(LandingPool, Engine)> {
        let mut this = ManuallyDrop::new(self);
        this.clear();
        let queue = this.queue.take();
        // SAFETY: `this` is not dropped, nor used any more; its queue was taken out.
        let engine = unsafe { ptr::read(&raw const this.engine) };
        Some((queue?.into_pool(), engine))
    }

    fn clear(&mut self) {
        if let Some(queue) = &self.queue {
            self.engine.clear(queue.pool());
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The layout of a pool's slots, if what arrives may decide it.
fn followed(traits: &Traits, pool: &LandingPool) -> Option<SlotLayout> {
    (traits.allowed == Allowed::Both).then(|| pool.layout())
}

/// The functions of the engine that a [`Receiver`] and an [`AdoptedReceiver`] offer.
macro_rules! engine {
    ($owner:ty) => {
        impl $owner {
            /// Sets the counters to zero.
            pub fn clear_counters(&mut self) {
                self.engine.clear_counters();
            }

            /// The next frame that is not LM's.
            pub fn next_stranger(&mut self) -> Option<Mbuf> {
                self.engine.next_stranger()
            }

            /// Counts a stranger that nobody took.
            pub fn lose_stranger(&mut self) {
                self.engine.lose_stranger();
            }

            /// The source address of a datagram that LM's tag agreed with, if there was one since this was
            /// asked last: a node of LM's, unless it is forged.
            #[inline]
            pub fn take_tagged(&mut self) -> Option<u32> {
                self.engine.take_tagged()
            }

            /// Changes what counts as proof.
            pub fn set_require(&mut self, require: Require) {
                self.engine.set_require(require);
            }
        }

        impl Deref for $owner {
            type Target = Engine;
            fn deref(&self) -> &Engine {
                &self.engine
            }
        }
    };
}

engine!(Receiver);
engine!(AdoptedReceiver);

/// The same for an application that has its own port and its own loop: it sets its RX queue up with
/// [`LandingPool::as_ptr`] and gives what `rte_eth_rx_burst` returns to [`AdoptedReceiver::process`].
pub struct AdoptedReceiver {
    engine: Engine,
    pool: LandingPool,
    traits: Traits,
}

impl AdoptedReceiver {
    /// A receiver over the pool that feeds the queue of a device with these traits
    /// (`pmd_e1000::device::traits_of`).
    ///
    /// # Errors
    /// [`ReceiverError`]: no memory for the buffers that repairs are made in, or a geometry that is not the
    /// pool's.
    pub fn new(
        eal: &Eal,
        pool: LandingPool,
        traits: Traits,
        config: &ReceiverConfig,
    ) -> Result<Self, ReceiverError> {
        let engine = Engine::new(eal, config, &pool, traits)?;
        Ok(Self { engine, pool, traits })
    }

    /// Takes a burst of received mbufs, which go back to the pool, and gives every datagram that became whole
    /// to `deliver`. Call it for empty bursts too, so that time passes, and what 32 frames and more have
    /// completed is given out.
    ///
    /// # Safety
    /// The mbufs came from the queue that the pool feeds, all of them and in order, and nobody else has them.
    /// The device is one with the traits that [`AdoptedReceiver::new`] was told, and writes no more into a
    /// slot than the pool's room. The thread is the one that polls the queue ([`LandingPool::as_ptr`]).
    #[allow(unsafe_code)]
    #[inline]
    pub unsafe fn process(
        &mut self,
        mbufs: &[*mut lm_landing::RawMbuf],
        mut deliver: impl FnMut(Arrived<'_>),
    ) {
        self.pool.maintain();
        let engine = &mut self.engine;
        if !mbufs.is_empty() {
            // SAFETY: the caller's promise.
            unsafe { feed(&mut self.pool, mbufs, &mut MatcherFeed { engine, deliver: &mut deliver }) };
        }
        engine.look(mbufs.len(), &self.pool, &mut deliver);
        if let Some(layout) = engine.next_layout() {
            set_layout(&mut self.pool, &self.traits, layout);
        }
    }

    /// Lets what arrives decide the layout of slots, as [`Receiver::set_auto`] does.
    pub fn set_auto(&mut self) {
        self.engine.set_auto(followed(&self.traits, &self.pool));
    }

    /// The landing pool.
    pub fn pool(&self) -> &LandingPool {
        &self.pool
    }

    /// Fixes the layout of slots that are posted from now on, if the device allows it. It takes effect after
    /// one ring length of frames.
    pub fn set_layout(&mut self, layout: SlotLayout) {
        self.engine.set_auto(None);
        set_layout(&mut self.pool, &self.traits, layout);
    }

    /// Ends receiving. Close the port before the pool is dropped.
    #[allow(unsafe_code)]
    pub fn close(self) -> (LandingPool, Engine) {
        let mut this = ManuallyDrop::new(self);
        this.clear();
        // SAFETY: `this` is not dropped, nor used any more.
        unsafe { (ptr::read(&raw const this.pool), ptr::read(&raw const this.engine)) }
    }

    fn clear(&mut self) {
        self.engine.clear(&self.pool);
    }
}

impl Drop for AdoptedReceiver {
    fn drop(&mut self) {
        self.clear();
    }
}
