//! The kernel's side of lmd: a TAP interface that outlives its program, and the routes on it.
//!
//! It knows nothing of LM, of DPDK, or of what is in a frame.
//!
//! - [`tap`]: a [`Tap`] is opened or attached to, frames are read from it and written to it;
//! - [`interface`]: an interface's MAC address, MTU, flags and IPv6 MTU;
//! - [`request`]: the structures that both give to ioctl(2).
//!
//! `unsafe` is in the calls of ioctl(2) alone, each with a structure of the layout that netdevice(7) and the
//! kernel's `if_tun.h` name.

pub mod interface;
mod request;
pub mod tap;

pub use interface::Interface;
pub use tap::{Tap, TapError};
