//! Admission control: who may land on whom, and when.
#![forbid(unsafe_code)]

mod config;
pub mod control;
mod counters;
mod event;
mod list;
mod mac;
pub mod machine;
#[cfg(feature = "mock")]
pub mod mock;
mod node;
mod peers;
mod time;
mod waiting;
pub mod wire;

pub use config::{Config, ConfigError};
pub use counters::Counters;
pub use event::{Event, Grant};
pub use list::{Entry, Flag, ReceiverList};
pub use mac::Key;
pub use machine::{Policy, State};
pub use node::{HandleError, Node, RequestError, Transmit};
pub use time::Instant;
pub use waiting::TOP_PRIORITY;
pub use wire::{Kind, MAX_LENGTH, NodeId, PORT, Reason};
