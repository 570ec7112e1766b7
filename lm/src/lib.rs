//! Lightweight Messages: UDP datagrams of up to 65,507 bytes over commodity gigabit NICs, without a copy.
//!
//! A program initialises DPDK, opens a port as a node with an address, and polls it:
//!
//! ```no_run
//! use std::net::Ipv4Addr;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let eal = lm::Eal::init(std::env::args())?;
//! let config = lm::Config::new(Ipv4Addr::new(10, 1, 0, 2)).udp_port(7000);
//! let mut port = lm::Port::open(&eal, "net_tap0", config)?;
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
//! # The types in the order of use
//!
//! [`Eal`] is DPDK's environment. A process has one, and everything else keeps it alive.
//!
//! [`Config`] says who the node is. Its defaults fit most nodes, and its methods change them, with units and
//! ranges.
//!
//! [`Port`] receives and sends. [`Port::poll`] says which datagrams reach its closure. [`Port::counters`]
//! counts all others by [`Reason`].
//!
//! [`Message`] is a datagram that is whole. It keeps the memory that it landed in until it is dropped. Any
//! thread may have it. [`Require`] says what counts as proof that it is whole, and [`WholeBy`] what the proof
//! was.
//!
//! [`Outbound`] sends. [`Outbound::send`] copies. [`Outbound::forward`] and
//! [`Outbound::send_buffer`] do not. None of them blocks. A full queue or an unknown peer is no error: the
//! message waits, and [`Sent`] says so.
//!
//! [`Stopper`] ends a loop from another thread. The library installs no signal handler.
//!
//! [`Landing`] and [`AdoptedQueue`], in the module `adopt`, are for an application that has its own EAL, its
//! own port and its own loop. [`AdoptedPort`], in `adopted_port`, sends, too, and answers ARP. [`NotReady`]
//! says what is missing before it can. `outbound` has what both kinds of ports share: [`Outbound`], and the
//! queue of messages that wait.
//!
//! # Several queues
//!
//! A port has one receive queue. Where a card can steer frames, it has one for each of
//! [`Config::landing_macs`], and one poll looks at all of them. More lcores take more ports: a [`Port`] may
//! be moved to another thread, such as a worker lcore ([`Eal::launch`]).
//!
//! # Errors
//!
//! Each operation has an error enum of its own. Its text names the value that is refused and the way out, and
//! `source` is the error of the layer below.
//!
//! # The crates below
//!
//! This crate is a facade. From the bottom, it stands on `rte` (owners for DPDK), `lm-proto` (wire format,
//! matcher and reassembly, without DPDK), `lm-landing` (the memory that datagrams land in), `pmd-e1000` (what
//! is known of cards), `lm-engine` (messages on queues) and `lm-node` (neighbours, admission control,
//! idling).
#![deny(unsafe_code)]

mod adopt;
mod adopted_port;
mod config;
mod eal;
mod moment;
mod not_ready;
mod outbound;
mod port;

pub use ac::{Key, Policy};
pub use adopt::{AdoptError, AdoptedQueue, Landing};
pub use adopted_port::AdoptedPort;
pub use config::Config;
pub use eal::Eal;
pub use lm_engine::{Arrived, Message, SendBuffer};
pub use lm_landing::SlotLayout;
pub use lm_node::tally::Tally;
pub use lm_proto::alf::ChecksumMode;
pub use lm_proto::counters::{Counters, Reason};
pub use lm_proto::order::{Mark, Order};
pub use lm_proto::policy::{Require, WholeBy};
pub use not_ready::NotReady;
pub use outbound::{Outbound, SendError, Sent};
pub use pmd_e1000::claim::Claimed;
pub use port::{PollError, Port, PortError, Stopper};
/// Owners for DPDK itself: mbufs, pools, lcores.
pub use rte;
