//! What makes a DPDK port a node of an LM network, without a command line and without printing.
//!
//! A port that lands (`pmd-e1000`) and an engine on it (`lm-engine`) move datagrams. A node also has neighbours, answers ARP, asks
//! for admission, passes on what is not LM's, and may sleep when there is nothing to do. Programs make a [`NodePort`] from a
//! [`PortConfig`], start it, and give its [`Link`] turns on one thread.
//!
//! - [`config`]: what a node is told;
//! - [`port`]: the port, prepared, started, stopped;
//! - [`link`]: a started port as a loop sees it: messages in, messages out;
//! - [`arp`]: MAC addresses of the peers;
//! - [`admission`]: who may send, by admission control;
//! - [`ordinary`]: the queue that nothing lands on; [`exit`]: the port that its frames go on to;
//! - [`receive_mode`]: how a loop passes the time in which it finds nothing;
//! - [`tally`]: what a port did, as numbers that can be added and subtracted.
#![forbid(unsafe_code)]

pub mod admission;
pub mod arp;
pub mod config;
pub mod exit;
pub mod link;
pub mod ordinary;
pub mod port;
pub mod receive_mode;
pub mod tally;

pub use config::{AdmissionConfig, Identity, PortConfig};
pub use link::{Link, Outlet};
pub use port::NodePort;
