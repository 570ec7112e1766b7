//! What makes a DPDK port a node of an LM network.
//!
//! `lm-engine` moves datagrams between a program and the queues of one port. A node has to do more than that.
//! It finds out the hardware addresses of its peers, and answers when it is asked for its own. It asks for
//! admission before it sends, where admission control is on. It passes on frames that are not LM's. It may
//! sleep while there is nothing to do. All of this is here, without a command line and without printing, so
//! that the facade (`lm`) and the programs (`lm-apps`) share it.
//!
//! # The modules in the order of use
//!
//! A program fills in a [`PortConfig`], which the module [`config`] explains, and opens a [`NodePort`] with
//! it. The module [`port`] prepares the port, starts it, stops it and closes it. The thread that does so owns
//! the port.
//!
//! A started port has a [`Link`], which the module [`link`] describes. One thread at a time polls it: each
//! [`Link::receive`] gives it one turn. The closure that handles a message also gets the link's sending half,
//! the [`Outlet`].
//!
//! During a turn the link asks the other modules. [`arp`] knows the hardware addresses of peers.
//! [`admission`] knows to which destinations this node may send. If a card steers frames, [`ordinary`] is the
//! queue on which nothing lands, and [`exit`] is the port with which the frames of that queue are exchanged.
//!
//! [`receive_mode`] decides how a loop passes the time in which a turn finds nothing: it polls on, or it
//! sleeps.
//!
//! [`adopted`] makes a link over queues of a port that the application has opened itself.
//!
//! [`tally`] has the counters of a port, as numbers that can be added and subtracted, for reports.
//! [`watch`] shows it to DPDK's telemetry.
//!
//! # What is guaranteed
//!
//! Nothing here blocks, except where its documentation says for how long. Errors name the value that is
//! refused and the way out. Each operation that fails has an enum of its own.
#![forbid(unsafe_code)]

pub mod admission;
pub mod adopted;
pub mod arp;
pub mod config;
pub mod exit;
pub mod link;
pub mod ordinary;
pub mod port;
pub mod receive_mode;
pub mod tally;
pub mod watch;

pub use config::{AdmissionConfig, Identity, PortConfig};
pub use link::{Arrival, Link, Outlet, SentFrom};
pub use port::NodePort;
