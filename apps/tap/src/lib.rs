//! The kernel's side of lmd: a TAP interface that outlives its program, and the routes on it.
//!
//! It knows nothing of LM, of DPDK, or of what is in a frame.
//!
//! - [`tap`]: a [`Tap`] is opened or attached to, frames are read from it and written to it;
//! - [`interface`]: an interface's MAC address, MTU, flags and IPv6 MTU;
//! - [`routes`]: the interface's routes are kept right, as the kernel tells of them; `netlink`: how;
//! - `request`: the structures that are given to ioctl(2).
//!
//! `unsafe` is in system calls alone: ioctl(2), with structures of the layout that netdevice(7) and the kernel's
//! `if_tun.h` name, and a socket of netlink(7).

pub mod interface;
mod netlink;
mod request;
pub mod routes;
pub mod tap;

pub use interface::Interface;
pub use routes::Routes;
pub use tap::{Tap, TapError};
