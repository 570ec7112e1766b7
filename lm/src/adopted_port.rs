//! [`AdoptedPort`]: a node on two queues of a port that the application opened itself.
//!
//! [`AdoptedQueue`](crate::AdoptedQueue) only receives. This one sends, too, and answers ARP. The
//! application keeps its port and its other queues.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lm_engine::{Arrived, Message};
use lm_node::Link;
use lm_node::adopted::adopt;
use lm_node::tally::Tally;
use pmd_e1000::claim::{Claim, Part};
use rte::port::{PortId, TxQueue, is_rx_started, is_tx_started, is_up, rx_pool_of};

use crate::adopt::{AdoptError, Landing, POOLS};
use crate::config::Config;
use crate::eal::Eal;
use crate::moment::Moment;
use crate::not_ready::NotReady;
use crate::outbound::{Ahead, Outbound, Outbox, turn};

/// How long [`AdoptedPort::close`] waits for the device to take the last frames.
const LINGER: Duration = Duration::from_millis(100);

/// A landing queue and a transmit queue of the application's port, as a node. It belongs to the thread that
/// polls it.
pub struct AdoptedPort {
    link: Link,
    config: Config,
    outbox: Outbox,
    ahead: Ahead,
    moment: Moment,
    up: Arc<AtomicBool>,
    eal: Eal,
    id: PortId,
    ignored: u64,
    // Dropped when nobody uses the queues any more.
    _claims: Vec<Claim>,
}

impl Landing {
    /// Looks whether queue `queue` of the port can be adopted: the port is started, has this queue to
    /// receive from and `tx_queue` to send on, and the receive queue was set up with this memory and as many
    /// descriptors as `config` says, where the driver tells.
    ///
    /// # Errors
    /// [`NotReady`] says what is missing.
    pub fn check(&self, queue: u16, tx_queue: u16, config: &Config) -> Result<(), NotReady> {
        let (eal, id) = self.parts();
        if !is_rx_started(eal.as_rte(), id, queue) {
            return Err(NotReady::NotStarted { port: id.0, queue });
        }
        if !is_tx_started(eal.as_rte(), id, tx_queue) {
            return Err(NotReady::NoTransmit { port: id.0, queue: tx_queue });
        }
        match rx_pool_of(eal.as_rte(), id, queue) {
            Some((pool, _)) if pool != self.mempool() => Err(NotReady::Pool { port: id.0, queue }),
            Some((_, has)) if has != config.node.rxd => {
                Err(NotReady::Descriptors { port: id.0, queue, has, said: config.node.rxd })
            }
            _ => Ok(()),
        }
    }

    /// As [`Landing::adopt`], and takes queue `tx_queue` to send on. `config` is the one that the memory was
    /// made with. Admission control and steering are not for adopted ports.
    ///
    /// # Safety
    /// As for [`Landing::adopt`]. As long as the result lives, only its thread sends on `tx_queue`.
    ///
    /// # Errors
    /// [`AdoptError`]: [`Landing::check`] finds something, one of the queues is adopted already, or memory is
    /// short.
    #[allow(unsafe_code)]
    pub unsafe fn adopt_port(
        mut self,
        queue: u16,
        tx_queue: u16,
        config: Config,
    ) -> Result<AdoptedPort, AdoptError> {
        self.check(queue, tx_queue, &config).map_err(AdoptError::Queue)?;
        self.check_timestamps(queue)?;
        let claims = self.claim(&[Part::Rx(queue), Part::Tx(tx_queue)])?;
        let (eal, id) = self.parts();
        let eal = eal.clone();
        let up = Arc::new(AtomicBool::new(false));
        // SAFETY: the caller's promise.
        let (landing, tx) = unsafe { (self.into_queue(queue), TxQueue::adopt(eal.as_rte(), id, tx_queue)) };
        // A pool outlives the node as long as a device has mbufs of it, so the queue's number is not enough.
        let name = format!("a{}", POOLS.fetch_add(1, Ordering::Relaxed));
        let link = adopt(eal.as_rte(), &name, landing, tx, &config.node, Arc::clone(&up));
        let link = link.map_err(AdoptError::Link)?;
        let (outbox, ahead, moment) = (Outbox::default(), Ahead::new(), Moment::new(eal.as_rte()));
        Ok(AdoptedPort { link, config, outbox, ahead, moment, up, eal, id, ignored: 0, _claims: claims })
    }
}

impl AdoptedPort {
    /// Polls once, as [`Port::poll`](crate::Port::poll) does. Returns how much was found.
    pub fn poll(&mut self, each: impl FnMut(Message, &mut Outbound<'_>)) -> usize {
        let Self { link, config, outbox, ahead, moment, up, eal, id, ignored, .. } = self;
        let now = moment.now();
        if !up.load(Ordering::Relaxed) {
            up.store(is_up(eal.as_rte(), *id), Ordering::Relaxed);
        }
        ahead.catch_up(link) + turn(link, config, outbox, ignored, now, each)
    }

    /// Polls once, as [`Port::poll_ahead`](crate::Port::poll_ahead) does. Returns how much was found.
    #[inline]
    pub fn poll_ahead(&mut self, each: impl FnMut(Arrived<'_>)) -> usize {
        let Self { link, config, outbox, ahead, moment, up, eal, id, ignored, .. } = self;
        let now = moment.now();
        if !up.load(Ordering::Relaxed) {
            up.store(is_up(eal.as_rte(), *id), Ordering::Relaxed);
        }
        ahead.turn(link, config, outbox, ignored, now, each)
    }

    /// The way out for messages of the last [`AdoptedPort::poll_ahead`]: see
    /// [`Port::outbound_of_poll`](crate::Port::outbound_of_poll).
    #[inline]
    pub fn outbound_of_poll(&mut self) -> Outbound<'_> {
        Outbound { outlet: &mut self.link.outlet, outbox: &mut self.outbox, now: self.ahead.polled() }
    }

    /// The way out, for messages that are not sent during a poll.
    pub fn outbound(&mut self) -> Outbound<'_> {
        Outbound { outlet: &mut self.link.outlet, outbox: &mut self.outbox, now: Instant::now() }
    }

    /// Where the node can be sent to. The port is 0 if datagrams to any port are taken.
    pub fn address(&self) -> SocketAddrV4 {
        self.config.address()
    }

    /// What was counted since the queues were adopted. The device's own losses are the application's to ask
    /// for.
    pub fn counters(&self) -> Tally {
        self.link.tally()
    }

    /// Datagrams that arrived whole, but for another address or another UDP port.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// How many messages were dropped on the way out, and how many wait there now.
    pub fn unsent(&self) -> (u64, usize) {
        (self.outbox.dropped(), self.outbox.len())
    }

    /// Gives the queues back. Messages that wait are dropped; the device has up to 100 ms to take the last
    /// frames. The application closes its port afterwards.
    pub fn close(mut self) {
        let begun = Instant::now();
        while self.link.outlet.sender.flush() > 0 && begun.elapsed() < LINGER {
            thread::yield_now();
        }
    }
}
