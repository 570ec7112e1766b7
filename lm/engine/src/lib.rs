//! The engine on DPDK ports.
//!
//! - [`engine`]: matcher, buffers to repair in and a queue for strangers around a landing pool;
//! - [`message`]: a delivered datagram;
//! - [`receiver`]: an engine with its receive queue, and [`receiver::Lander`] for applications with a loop of
//!   their own;
//! - [`buffer`]: a send buffer with holes, filled in whatever way;
//! - [`sender`]: seals and transmits it, last fragment first.

#![deny(unsafe_code)]

pub mod buffer;
pub mod engine;
pub mod message;
#[cfg(doctest)]
mod misuse;
pub mod receiver;
pub mod sender;

pub use buffer::SendBuffer;
pub use engine::{ReceiverConfig, ReceiverError};
pub use message::Message;
pub use receiver::{Lander, Receiver};
pub use sender::{Sender, SenderConfig, SenderError, SenderStats, WouldBlock};
