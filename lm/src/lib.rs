//! Lightweight Messages: UDP datagrams of up to 65,507 bytes over commodity gigabit NICs, without a copy.
//!
//! A program initialises DPDK, opens a port as a node with an address, and polls it:
//!
//! ```no_run
//! use std::net::Ipv4Addr;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let eal = lm::Eal::init(std::env::args())?;
//! let mut port = lm::Port::open(&eal, "net_tap0", lm::Config::new(Ipv4Addr::new(10, 1, 0, 2)).udp_port(7000))?;
//! while port.is_running() {
//!     port.poll(|message, port| {
//!         println!("{} bytes from {}", message.len(), message.from());
//!         let from = message.from();
//!         port.forward(message, from);
//!     })?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - [`Eal`] is DPDK's environment.
//! - [`Config`] says who the node is, and changes defaults that fit most.
//! - [`Port`] receives and sends. [`Port::poll`] says what reaches its closure.
//! - [`Outbound`] is the way out: [`Outbound::send`] copies, [`Outbound::forward`] and [`Outbound::send_buffer`] do not.
//!   Nothing blocks. A full queue or an unknown peer is no error: the message waits, and [`Sent`] says so.
//! - [`Message`] is a datagram that is whole. Any thread may have it.
//! - [`Stopper`] ends a loop from another thread. The library installs no signal handler.
//! - [`Landing`] and [`AdoptedQueue`] land in an application that has its own port and its own loop.
//!
//! A port has one receive queue, or, where a card can steer frames, one for each of [`Config::landing_macs`]; one poll looks at
//! all of them. More lcores take more ports: a [`Port`] may be moved to another thread, such as a worker lcore
//! ([`Eal::launch`]).
//!
//! This crate is a face. What it stands on, from the ground up: `rte` (owners for DPDK), `lm-proto` (wire format, matcher,
//! reassembly; no DPDK), `lm-landing` (memory that descends), `pmd-e1000` (what is known of cards), `lm-engine` (messages on
//! queues), `lm-node` (neighbours, admission, idling).
#![deny(unsafe_code)]

mod adopt;
mod config;
mod eal;
mod outbound;
mod port;

pub use ac::{Key, Policy};
pub use adopt::{AdoptError, AdoptedQueue, Landing};
pub use config::Config;
pub use eal::Eal;
pub use lm_engine::{Message, SendBuffer};
pub use lm_node::tally::Tally;
pub use lm_proto::alf::ChecksumMode;
pub use lm_proto::counters::{Counters, Reason};
pub use lm_proto::policy::{Require, WholeBy};
pub use outbound::{Outbound, SendError, Sent};
pub use port::{PollError, Port, PortError, Stopper};
/// Owners for DPDK itself: mbufs, pools, lcores.
pub use rte;
