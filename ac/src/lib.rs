//! Admission control: which node may send to which landing queue, and when.
//!
//! A datagram lands whole only if no other frames reach the landing queue between its fragments. On a card
//! with one receive queue, a protocol has to make sure of that (section 3.3 of the paper "LM"). This crate is
//! that protocol, sans-IO: it uses no sockets, no clock, no threads and no DPDK. `docs/admission-control.md`
//! specifies it.
//!
//! # The modules in order
//! `time` has the [`Instant`] that every call gets. [`wire`] encodes the seven messages, which share one
//! layout, and `mac` signs them with a [`Key`]. `list` is the list LM_RECV_ADDR with the paper's flags.
//! [`machine`] is the state machine: one table has all transitions of both roles and both policies. `peers`
//! stores the incarnation of every other node, and which of its messages were seen. `waiting` is the fair
//! queue of `PerReceiver`. `node` joins them in [`Node`]; its documentation says in which order to call
//! `handle`, `request`, `release`, `poll_transmit`, `poll_timeout` and `poll_event`. `config` has the
//! [`Config`], with the times on which safety depends. An [`Event`], in `event`, tells the caller what
//! happened. [`Counters`], in `counters`, say why messages were dropped. [`control`] is a loop that drives a
//! node, with channels to data lcores.
//!
//! The feature `mock` adds a small world for the model checker and the fuzz harness, and a cluster in
//! virtual time.
//!
//! # Beside the data path
//! A data lcore needs only a [`Grant`] of this crate. A grant is plain data: before each datagram the lcore
//! compares `until` with its clock. Frames to [`PORT`], and frames of nodes without a grant (*strays*), go to
//! the thread that drives the node. `handle` allocates nothing.
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
