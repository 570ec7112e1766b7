//! Admission control: who may land on whom, and when.
//!
//! A datagram lands whole only if exactly its fragments reach the landing queue meanwhile. On a card with one
//! receive queue a protocol has to see to that: the paper's section 3.3 of "LM". This crate is that protocol,
//! sans-IO: no sockets, no clock, no threads, no DPDK. `docs/admission-control.md` specifies it; here is
//! where things are.
//!
//! # The modules in order
//! [`wire`] is the six messages as bytes, all of one layout, with the MAC of [`Key`]. `list` is the
//! LM_RECV_ADDR list with the paper's flags. [`machine`] is the state machine: one table of transitions for
//! both roles and both policies, and nothing that is not in it happens. `peers` remembers of every node its
//! incarnation and the messages seen; `waiting` is the fair queue of `PerReceiver`. [`Node`] puts them
//! together: `handle`, `request`, `release`, `poll_transmit`, `poll_timeout`, `poll_event`; its documentation
//! is the contract. [`Config`] has the times that safety rests on, [`Event`] what comes out, [`Counters`] a
//! name for every drop.
//!
//! With the feature `mock`: a small world for the model checker and the fuzz harness, and a cluster in
//! virtual time.
//!
//! # Beside the data path
//! A data lcore needs nothing of this crate but a [`Grant`], which is plain data: it compares `until` with
//! its clock before each datagram and asks nobody. Frames to [`PORT`] and strays go to whoever pumps the
//! node. `handle` allocates nothing.
//!
//! # An example
//! ```
//! use ac::{Config, Event, Instant, MAX_LENGTH, Node, NodeId, Policy};
//! use std::time::Duration;
//!
//! let config = |n| Config::new(NodeId(n), 1, Policy::PerReceiver);
//! let mut sender = Node::new(config(1), Instant::ZERO)?;
//! let mut receiver = Node::new(config(2), Instant::ZERO)?;
//! let now = Instant::ZERO + Duration::from_millis(200); // rested
//! receiver.handle_timeout(now);
//!
//! sender.request(NodeId(2), 65_507, 0, now)?;
//! let mut bytes = [0; MAX_LENGTH];
//! while let Some(message) = sender.poll_transmit(&mut bytes) {
//!     receiver.handle(&bytes[..message.length], now)?;
//! }
//! while let Some(message) = receiver.poll_transmit(&mut bytes) {
//!     sender.handle(&bytes[..message.length], now)?;
//! }
//! assert!(matches!(sender.poll_event(), Some(Event::Granted { to: NodeId(2), .. })));
//! assert!(matches!(receiver.poll_event(), Some(Event::Opened { holder: NodeId(1), .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod config;
pub mod control;
mod counters;
mod event;
mod list;
mod mac;
pub mod machine;
#[cfg(feature = "mock")]
pub mod mock;
mod node;
mod peers;
mod time;
mod waiting;
pub mod wire;

pub use config::{Config, ConfigError};
pub use counters::Counters;
pub use event::{Event, Grant};
pub use list::{Entry, Flag, ReceiverList};
pub use mac::Key;
pub use machine::{Policy, State};
pub use node::{HandleError, Node, RequestError, Transmit};
pub use time::Instant;
pub use waiting::TOP_PRIORITY;
pub use wire::{HardwareAddress, Kind, MAX_LENGTH, NodeId, PORT, Reason};
