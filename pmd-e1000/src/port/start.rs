//! Starts and stops a [`LandingPort`], and hands its queues out.
//!
//! The driver fills the rings when a port is started, so the layout of slots is chosen directly before.
//! Drivers reset their cards while they start, so the conditions for overlap are checked again directly
//! after. A port stops only when all its queues have come back.

use lm_landing::device::Allowed;
use lm_landing::pool::LandingPool;
use lm_landing::queue::LandingQueue;
use rte::Errno;
use rte::port::{InterruptError, RxInterrupt, RxQueue, StartError, StopError, TxQueue};

use super::LandingPort;
use super::plan::{choose, warn_if_separate};
use crate::em_ring::EmRing;
use crate::overlap::Verdict;
use crate::queue_slot::QueueSlot;
use crate::steer::Steering;

/// The queues of a started port.
pub struct Queues {
    /// The queue for frames that are not steered. `None`: nothing is steered, and all frames go to one
    /// landing queue.
    pub ordinary: Option<RxQueue>,
    /// The landing queues, in the order of their addresses.
    pub landing: Vec<LandingQueue>,
    /// The way out.
    pub tx: TxQueue,
    /// The interrupts of all receive queues, if the setup asks for them
    /// ([`PortSetup::interrupts`](super::PortSetup::interrupts)).
    pub interrupts: Vec<RxInterrupt>,
}

impl LandingPort {
    /// Starts a port that nothing is steered on, and hands its queues out. `None` if they are out already, or
    /// if the port is steered: see [`LandingPort::start_all`].
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(&mut self) -> Result<Option<(LandingQueue, TxQueue)>, StartError> {
        if self.steering.is_some() {
            return Ok(None);
        }
        let queues = self.start_all()?;
        Ok(queues.and_then(|mut queues| Some((queues.landing.pop()?, queues.tx))))
    }

    /// Starts the port and hands its queues out. `None` for the queues if they are out already.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_all(&mut self) -> Result<Option<Queues>, StartError> {
        if self.queue_slots.iter().any(|queue_slot| queue_slot.pool.is_none()) {
            return Ok(None);
        }
        // The start fills the rings, so the layout is chosen before.
        let verdict = self.policy.settle();
        self.lay(verdict);
        self.port.start()?;
        // Drivers reset their cards when they start them: what was put right may not be so any more.
        let verdict = self.policy.verify();
        if verdict.traits.allowed == self.verdict.traits.allowed {
            self.verdict = verdict;
        } else {
            let id = self.port.id();
            self.port.stop().map_err(|e| match e {
                StopError::Refused(id, errno) => StartError::Refused(id, errno),
                // Queues are out.
                _ => StartError::Refused(id, Errno::of_return(-libc::EBUSY)),
            })?;
            self.lay(verdict);
            self.port.start()?;
        }
        if let Some(steering) = &mut self.steering
            && let Err(e) = steering.apply(&mut self.port)
        {
            self.port.stop().unwrap_or_else(|e| log::error!("{e}"));
            return Err(e);
        }
        if self.setup.promiscuous
            && let Err(e) = self.port.set_promiscuous(true)
        {
            log::debug!("{e}");
        }
        let (spoken, ring) = self.card_words.prepare(&self.info.device, || self.em_ring());
        (self.verdict.traits.words, self.words_why) = (spoken.words, spoken.why);
        let interrupts = match self.interrupts() {
            Ok(interrupts) => interrupts,
            Err(e) => {
                self.port.stop().unwrap_or_else(|e| log::error!("{e}"));
                return Err(e);
            }
        };
        Ok(self.hand_out(interrupts, ring))
    }

    /// The receive ring of a port that was just started, which has one queue and em as its driver.
    fn em_ring(&self) -> Result<EmRing, String> {
        let [QueueSlot { pool: Some(pool), .. }] = &self.queue_slots[..] else {
            return Err("it has more than one landing queue".to_owned());
        };
        if self.verdict.traits.allowed != Allowed::Both {
            return Err("sums are of use in overlapping slots alone".to_owned());
        }
        let queue = self.steering.as_ref().map_or(0, Steering::first_queue);
        // SAFETY: `start_all` has just started the port and has handed no queue out yet; it calls this for em
        // alone (`CardWords::of`).
        unsafe { EmRing::open(self.port.eal(), self.port.id(), queue, pool) }
    }

    /// The interrupts of all receive queues, with nothing to hold them back.
    fn interrupts(&mut self) -> Result<Vec<RxInterrupt>, StartError> {
        let Some(wake) = &self.wake else { return Ok(Vec::new()) };
        let id = self.port.id();
        let no = |why: String| StartError::NoInterrupt(id, why);
        wake.prepare()
            .map_err(|e| no(format!("the register that holds its interrupts back cannot be cleared: {e}")))?;
        let queues = self.steering.as_ref().map_or(0, Steering::first_queue) + self.queue_slots.len() as u16;
        let all = (0..queues).map(|queue| self.port.rx_interrupt(queue));
        all.collect::<Result<_, InterruptError>>().map_err(|e| no(e.to_string()))
    }

    fn hand_out(&mut self, interrupts: Vec<RxInterrupt>, mut ring: Option<EmRing>) -> Option<Queues> {
        let first = self.steering.as_ref().map_or(0, Steering::first_queue);
        let ordinary = if first > 0 { Some(self.port.take_rx(0)?) } else { None };
        let tx = self.port.take_tx(0)?;
        let mut landing = Vec::new();
        for (i, queue_slot) in self.queue_slots.iter_mut().enumerate() {
            let rx = self.port.take_rx(first + i as u16)?;
            // SAFETY: queue `first + i` was set up with the pool of its place when the port was opened; the
            // traits are its driver's.
            let queue = unsafe { LandingQueue::new(rx, queue_slot.pool.take()?, self.verdict.traits) };
            landing.push(match ring.take() {
                // SAFETY: the port has one landing queue, and this is its ring, since the start that was just
                // done (`em_ring`).
                Some(ring) => unsafe { queue.with_words(Box::new(ring)) },
                None => queue,
            });
        }
        Some(Queues { ordinary, landing, tx, interrupts })
    }

    /// Lays the slots that the port is started with.
    fn lay(&mut self, verdict: Verdict) {
        if verdict.traits.allowed != self.verdict.traits.allowed {
            warn_if_separate(self.port.id(), &self.info.driver, &verdict, self.setup.layout);
        }
        self.layout = choose(&verdict.traits, self.setup.first_layout());
        self.verdict = verdict;
        for pool in self.queue_slots.iter_mut().filter_map(|queue_slot| queue_slot.pool.as_mut()) {
            pool.set_layout(self.layout);
        }
    }

    /// Stops the port. `pool` is what [`LandingQueue::into_pool`] gave.
    ///
    /// # Errors
    /// As [`LandingPort::stop_all`].
    pub fn stop(&mut self, pool: LandingPool) -> Result<(), StopError> {
        self.stop_all([pool])
    }

    /// Stops the port. `pools` are what [`LandingQueue::into_pool`] gave of each queue.
    ///
    /// # Errors
    /// [`StopError`]: other queues are still out, or the driver refuses. The pools are back in any case.
    pub fn stop_all(&mut self, pools: impl IntoIterator<Item = LandingPool>) -> Result<(), StopError> {
        for mut pool in pools {
            let Some(queue_slot) = self.queue_slots.iter_mut().find(|queue_slot| queue_slot.is_of(&pool))
            else {
                // It is dropped with its lease: its own port may be stopped by another thread once that ends.
                log::warn!("port {}: pool {} is another port's", self.port.id(), pool.config().name);
                continue;
            };
            // SAFETY: it is this port's. On this thread, which stops the port, nobody polls; the pool stays
            // in its place from here on.
            unsafe { pool.end_lease() };
            queue_slot.pool = Some(pool);
        }
        self.port.stop()?;
        if self.verdict.traits.keeps_posted {
            for pool in self.queue_slots.iter_mut().filter_map(|queue_slot| queue_slot.pool.as_mut()) {
                // SAFETY: the port is stopped, and this driver neither uses nor frees what it had posted any
                // more.
                unsafe { pool.reclaim() };
            }
        }
        Ok(())
    }
}
