//! What becomes of frames between the kernel's interface and the wire. Pure: no system call, no DPDK, no
//! clock.
//!
//! The kernel's interface takes and gives whole datagrams; the wire has an MTU. A frame from the kernel is
//! looked at by [`outward`], which says what it is for the wire: to be sent as it is, as a datagram of LM's,
//! cut, answered, or kept until its other piece comes.
//!
//! - [`view`]: where the headers lie in a frame, and what the one of IPv4 says;
//! - [`virtio`]: the header in front of each frame, by which checksums and segments are left to the other
//!   side;
//! - [`pair`]: the two pieces of a datagram that is longer than the kernel's interface takes;
//! - [`cut`]: IPv4 of any protocol, cut for the wire;
//! - [`too_big`]: the answer to what must not be cut, and how often it is given;
//! - [`mss`]: TCP's segments are made to fit the wire when a connection begins;
//! - [`segment`]: checksums of the segments that long TCP was cut into;
//! - [`inward`]: the headers of a datagram that came whole, for the kernel.
#![forbid(unsafe_code)]

pub mod cut;
pub mod inward;
pub mod mss;
pub mod outward;
pub mod pair;
pub mod segment;
pub mod too_big;
pub mod view;
pub mod virtio;

pub use outward::{Out, Wire};

/// Frames for tests.
#[cfg(test)]
mod samples;
