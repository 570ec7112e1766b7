//! The kernel's side of lmd: a TAP interface that outlives its program, and the routes on it.
//!
//! It knows nothing of LM, of DPDK, or of what is in a frame.
//!
//! - [`tap`] creates or opens a [`Tap`], and reads and writes its frames.
//! - [`interface`] sets an interface's name, MAC address, MTU, flags, groups and IPv6 MTU.
//! - [`routes`] corrects the routes of the interface when the kernel reports a change. [`rtnetlink`] asks for
//!   addresses and routes and changes them. Both use a `socket`, the messages of [`netlink`], and the
//!   [`numbers`] of both.
//! - [`absence`] tells errors that say that something is not there from others.
//! - [`files`] has open files closed when another program is executed, and [`held`] has signals wait
//!   meanwhile.
//! - [`rights`] gives up capabilities in all threads.
//! - `request` has the structures for ioctl(2).
//!
//! `unsafe` is used only for system calls: ioctl(2), with structures of the layouts in netdevice(7) and in
//! the kernel's `if_tun.h`, a socket of netlink(7), capset(2) in a signal's
//! handler, sigprocmask(2), and fcntl(2).

pub mod absence;
pub mod files;
pub mod held;
pub mod interface;
pub mod netlink;
pub mod numbers;
mod request;
pub mod rights;
pub mod routes;
pub mod rtnetlink;
mod socket;
pub mod tap;

pub use interface::Interface;
pub use routes::Routes;
pub use rtnetlink::Rtnetlink;
pub use tap::{Tap, TapError};
