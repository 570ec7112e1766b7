//! Decides what happens to frames between the kernel's interface and the wire. Pure: no system call, no DPDK,
//! no clock.
//!
//! The kernel's interface carries whole datagrams, and the wire has a small MTU. For each frame from the
//! kernel, [`outward`] decides whether it is sent as it is, sent as a datagram of LM, cut into fragments,
//! answered by ICMP, or kept until its second part arrives.
//!
//! - [`view`] finds the headers in a frame, and reads the IPv4 header.
//! - [`virtio`] reads and writes the header in front of each frame. It says which checksums and segments the
//!   other side has to complete.
//! - [`pair`] joins the two parts of a datagram that is longer than the MTU of the kernel's interface.
//! - [`cut`] cuts an IPv4 packet of any protocol into fragments for the wire.
//! - [`too_big`] makes the ICMP answer to a packet that must not be cut, and limits their rate.
//! - [`mss`] lowers the segment size that TCP announces when a connection begins.
//! - [`segment`] says how a long TCP packet is cut into segments, and completes their headers.
//! - [`run`] decides which TCP segments from the wire become one packet.
//! - [`inward`] makes the headers of a whole datagram for the kernel.
#![forbid(unsafe_code)]

pub mod cut;
pub mod inward;
pub mod mss;
pub mod outward;
pub mod pair;
pub mod run;
pub mod segment;
pub mod too_big;
pub mod view;
pub mod virtio;

pub use outward::{Out, Wire};

/// Frames for tests.
#[cfg(test)]
mod samples;
