//! The engine: datagrams in and out of the queues of a DPDK port.
//!
//! `lm-proto` decides what is a whole datagram, and `lm-landing` owns the memory that frames land in. This
//! crate joins the two on a port's queues. `lm-node` and `lm` stand on it. Programs with a loop of their own
//! use it directly.
//!
//! # Receiving
//!
//! A [`Receiver`] is a receive queue together with its engine. The program polls it, and it calls a closure
//! with each datagram that has become whole. The module [`engine`] does the work in between: the matcher
//! looks at the frames of a burst, datagrams that did not land whole are repaired in buffers of the engine,
//! and frames that are not LM's go to a queue for strangers. Of a frame that came in two slots, [`intact`]
//! says whether the second part is still as it was received.
//!
//! A [`Message`], in the module `message`, is a delivered datagram. It holds the memory that it landed in
//! until it is dropped. Any thread may use it. The module `unchanged` keeps the checksum and digest with
//! which a message arrived, as long as its payload cannot have been changed.
//!
//! The module [`receiver`] has the [`Receiver`] and the [`AdoptedReceiver`]. The latter is for an application
//! that calls `rte_eth_rx_burst` itself and passes the received mbufs to it.
//!
//! # Sending
//!
//! A [`SendBuffer`], in the module [`buffer`], is memory with holes where the headers will be. The program
//! writes its payload there, by [`std::io::Write`] or block by block. A [`Sender`], in the module [`sender`],
//! fills the holes and sends the fragments, the last one first. It never blocks: if the queue is full, the
//! caller gets the buffer back in a [`WouldBlock`]. A [`Message`] that cannot be sent on comes back in an
//! [`Unsent`], which says whether the queue is full or the device cannot read the memory.
//!
//! # Threads
//!
//! Receivers and senders belong to the thread that polls them, and can be moved to another one. Memory comes
//! back from any thread.
//!
//! # What does not compile
//!
//! The module `misuse` has no code. Its examples are programs that the compiler must refuse, each beside one
//! that it takes.

#![deny(unsafe_code)]

mod arrived;
pub mod buffer;
pub mod engine;
pub mod intact;
mod message;
#[cfg(doctest)]
mod misuse;
pub mod receiver;
pub mod sender;
mod unchanged;

pub use arrived::Arrived;
pub use buffer::SendBuffer;
pub use engine::{ReceiverConfig, ReceiverError};
pub use message::Message;
pub use receiver::{AdoptedReceiver, Receiver};
pub use sender::{Sender, SenderConfig, SenderError, SenderStats, Unsent, WouldBlock};
