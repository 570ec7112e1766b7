//! A loop that drives a [`Node`], and the channels that connect it to data lcores and callers.
//!
//! - A data lcore has a [`Lane`]. It passes in the control messages that it received. It gets back the
//!   messages to transmit, and orders about its landing queues. A lane never blocks and never allocates. A
//!   message that does not fit into the channel is lost, as on a network, and counted.
//! - An application thread has a [`Caller`]. It makes requests, and learns their outcome.
//! - [`Control`] is the loop's state, also called the pump. [`Control::turn`] does the work of one turn and
//!   returns, so it can run on a data lcore between two polls. [`run`] calls it until it is told to stop, on
//!   an EAL lcore or on a thread of the application. This module starts no thread.

mod latency;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};

pub use self::latency::Latency;
use crate::event::Event;
use crate::node::{Node, RequestError, Transmit};
use crate::time::Instant;
use crate::wire::{MAX_LENGTH, NodeId};

/// Messages and orders that wait in a channel at most.
const CHANNEL: usize = 1024;
/// Messages that one turn takes in, so that time passes between turns.
const BATCH: usize = 256;

/// A control message: the payload of a UDP datagram to [`crate::PORT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlMessage {
    bytes: [u8; MAX_LENGTH],
    length: u8,
}

impl ControlMessage {
    /// The payload; `None` if it is longer than any control message.
    pub fn new(payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_LENGTH];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self { bytes, length: payload.len() as u8 })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// What a data lcore is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Send this to a node; [`NodeId::ALL`]: to all.
    Transmit {
        /// What it is, and who it is for.
        what: Transmit,
        /// The payload, from and to [`crate::PORT`].
        message: ControlMessage,
    },
    /// The queue lands for `holder` from now on: overlapping slots.
    Open {
        /// The landing queue.
        queue: u8,
        /// Who may send to it.
        holder: NodeId,
    },
    /// Nobody may send to the queue any more. Post separate slots, and call [`Lane::drained`] when no
    /// overlapping slot is posted any more.
    Close {
        /// The landing queue.
        queue: u8,
    },
}

/// What lanes and callers send to the pump.
#[derive(Clone, Copy)]
enum Input {
    Message(ControlMessage),
    Stray(NodeId),
    Drained(u8),
    Request { to: NodeId, size: u64, priority: u8, caller: usize },
    Release(NodeId),
}

/// The end of the channels that a data lcore has.
#[derive(Debug)]
pub struct Lane {
    inputs: Sender<Input>,
    orders: Receiver<Order>,
    lost: Arc<AtomicU64>,
}

impl Lane {
    /// A control message was received: `payload` of a datagram to [`crate::PORT`].
    pub fn received(&self, payload: &[u8]) {
        match ControlMessage::new(payload) {
            Some(message) => self.put(Input::Message(message)),
            None => self.lose(),
        }
    }

    /// A frame of `from` reached a landing queue that it has no grant for.
    pub fn stray(&self, from: NodeId) {
        self.put(Input::Stray(from));
    }

    /// Tells that no overlapping slot is posted in the ring of `queue` any more.
    pub fn drained(&self, queue: u8) {
        self.put(Input::Drained(queue));
    }

    /// The next order.
    pub fn order(&self) -> Option<Order> {
        self.orders.try_recv().ok()
    }

    fn put(&self, input: Input) {
        if self.inputs.try_send(input).is_err() {
            self.lose();
        }
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// The end of the channels that an application's thread has. [`Control::caller`] makes one for each thread.
#[derive(Debug)]
pub struct Caller {
    inputs: Sender<Input>,
    events: Receiver<Answer>,
    number: usize,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The request was made.
    Taken {
        /// The destination.
        to: NodeId,
        /// The number that events name.
        request: u64,
    },
    /// The request was not made.
    NotTaken {
        /// The destination.
        to: NodeId,
        /// Why.
        why: RequestError,
    },
    /// Something happened to it.
    Event(Event),
}

impl Caller {
    /// Asks to send `size` bytes to `to` for landing. Returns at once; [`Caller::answer`] has the answers.
    ///
    /// # Errors
    /// [`Busy`]: the pump's channel is full, or the pump was dropped.
    pub fn request(&self, to: NodeId, size: u64, priority: u8) -> Result<(), Busy> {
        self.put(Input::Request { to, size, priority, caller: self.number })
    }

    /// Ends a grant, or takes the request back.
    ///
    /// # Errors
    /// As [`Caller::request`].
    pub fn release(&self, to: NodeId) -> Result<(), Busy> {
        self.put(Input::Release(to))
    }

    /// The next answer.
    pub fn answer(&self) -> Option<Answer> {
        self.events.try_recv().ok()
    }

    fn put(&self, input: Input) -> Result<(), Busy> {
        self.inputs.try_send(input).map_err(|e| match e {
            TrySendError::Full(_) => Busy::Full,
            TrySendError::Disconnected(_) => Busy::Gone,
        })
    }
}

/// Why the pump did not take a request or a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Busy {
    /// Its channel is full: ask again.
    Full,
    /// The pump was dropped.
    Gone,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "admission control has more requests than it can take in now; ask again",
            Self::Gone => "admission control has ended",
        })
    }
}

impl std::error::Error for Busy {}

/// Calls `turn` until `stop` is set. `turn` returns how much it did. After `patience` turns in a row that did
/// nothing, the CPU is offered to other threads between two turns.
pub fn run(stop: &AtomicBool, patience: u32, mut turn: impl FnMut() -> usize) {
    let mut idle = 0_u32;
    while !stop.load(Ordering::Acquire) {
        idle = if turn() > 0 { 0 } else { idle.saturating_add(1) };
        if idle > patience {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

/// The pump: a node, its channels, and who asked for what.
#[derive(Debug)]
pub struct Control {
    node: Node,
    inputs: Receiver<Input>,
    /// The sending end of `inputs`. Lanes and callers get clones of it.
    input_sender: Sender<Input>,
    lanes: Vec<Sender<Order>>,
    callers: Vec<Sender<Answer>>,
    /// Who asked for which destination, and when.
    asked: Vec<(NodeId, usize, Instant)>,
    lost: Arc<AtomicU64>,
    latency: Latency,
}

impl Control {
    /// A pump that drives this node.
    pub fn new(node: Node) -> Self {
        let (input_sender, inputs) = bounded(CHANNEL);
        let asked = Vec::with_capacity(node.config().nodes + 1);
        Self {
            node,
            inputs,
            input_sender,
            lanes: Vec::new(),
            callers: Vec::new(),
            asked,
            lost: Arc::default(),
            latency: Latency::default(),
        }
    }

    /// A lane for a data lcore. Messages to transmit go to the first lane, orders about queues to all.
    pub fn lane(&mut self) -> Lane {
        let (to, orders) = bounded(CHANNEL);
        self.lanes.push(to);
        Lane { inputs: self.input_sender.clone(), orders, lost: self.lost.clone() }
    }

    /// An end for an application thread.
    pub fn caller(&mut self) -> Caller {
        let (to, events) = bounded(CHANNEL);
        self.callers.push(to);
        Caller { inputs: self.input_sender.clone(), events, number: self.callers.len() - 1 }
    }

    /// Does the work that there is at `now`, at most 256 inputs, and returns how many things were done.
    pub fn turn(&mut self, now: Instant) -> usize {
        let mut done = 0;
        while done < BATCH {
            match self.inputs.try_recv() {
                Ok(input) => self.take(input, now),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            done += 1;
            self.flush(now);
        }
        if self.node.poll_timeout().is_some_and(|at| at <= now) {
            self.node.handle_timeout(now);
            done += 1;
            self.flush(now);
        }
        done
    }

    fn take(&mut self, input: Input, now: Instant) {
        match input {
            // The node counts a message that it refuses.
            Input::Message(message) => _ = self.node.handle(message.bytes(), now),
            Input::Stray(from) => self.node.stray(from, now),
            Input::Drained(queue) => self.node.drained(queue, now),
            Input::Release(to) => {
                self.node.release(to, now);
                self.asked.retain(|&(other, ..)| other != to);
            }
            Input::Request { to, size, priority, caller } => {
                let answer = match self.node.request(to, size, priority, now) {
                    Ok(request) => {
                        self.asked.retain(|&(other, ..)| other != to);
                        self.asked.push((to, caller, now));
                        Answer::Taken { to, request }
                    }
                    Err(why) => Answer::NotTaken { to, why },
                };
                self.tell(caller, answer);
            }
        }
    }

    /// Passes on what the node has to say.
    fn flush(&mut self, now: Instant) {
        // First the orders, then the messages: a queue has overlapping slots before its holder is told.
        while let Some(event) = self.node.poll_event() {
            match event {
                Event::Opened { queue, holder, .. } => self.order_all(Order::Open { queue, holder }),
                Event::Closed { queue } => self.order_all(Order::Close { queue }),
                Event::Expired { queue, holder } => {
                    log::warn!("queue {queue}: {holder} did not end its grant, the lease has run out");
                }
                Event::Refused { applicant, reason } => log::info!("{applicant} was refused: {reason:?}"),
                Event::Granted { to, .. }
                | Event::Renewed { to, .. }
                | Event::Ordinary { to, .. }
                | Event::Cancelled { to, .. }
                | Event::Queued { to, .. }
                | Event::Unanswered { to, .. }
                | Event::Revoked { to, .. }
                | Event::Lapsed { to, .. } => self.answer(to, event, now),
            }
        }
        let mut bytes = [0; MAX_LENGTH];
        while let Some(what) = self.node.poll_transmit(&mut bytes) {
            let message = ControlMessage { bytes, length: what.length as u8 };
            self.order(0, Order::Transmit { what, message });
        }
    }

    fn answer(&mut self, to: NodeId, event: Event, now: Instant) {
        let Some(at) = self.asked.iter().position(|&(other, ..)| other == to) else { return };
        let (_, caller, since) = self.asked[at];
        match event {
            Event::Granted { .. } => self.latency.add(now.since(since)),
            Event::Renewed { .. } | Event::Queued { .. } => {}
            // The end of it.
            _ => _ = self.asked.swap_remove(at),
        }
        self.tell(caller, Answer::Event(event));
    }

    fn tell(&self, caller: usize, answer: Answer) {
        // A caller that is gone wants no answer; one that does not listen loses it.
        if let Err(TrySendError::Full(_)) = self.callers[caller].try_send(answer) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn order_all(&self, order: Order) {
        (0..self.lanes.len()).for_each(|lane| self.order(lane, order));
    }

    fn order(&self, lane: usize, order: Order) {
        let sent = self.lanes.get(lane).map(|lane| lane.try_send(order));
        if !matches!(sent, Some(Ok(()))) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How long requests took to be granted.
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Messages, orders and answers that found a channel full.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
