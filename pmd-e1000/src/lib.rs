//! What is known of e1000 and igb cards, and of the virtual devices that stand in for them: what may land on
//! which, and ports that are set up for it.
//!
//! - [`device`]: which drivers honour posted buffers, and how slots may be laid on them;
//! - [`devargs`]: a device's arguments as its driver reads them; [`demands`]: what must hold between them and
//!   a port's setup;
//! - [`cards`]: the same of e1000 and igb cards, by PCI id; [`pci`] reads what a card says of itself, and
//!   [`order`] proves that its writes keep their order; [`overlap`] puts all of this together for a port;
//! - [`steer`]: which frames go to which landing queue; [`probe`]: whether they do; `rules` (private):
//!   filters that do not are taken out;
//! - [`port`]: a port, set up so that all of this is safe; `rings`, `queue_slot` and `interrupt` (private)
//!   are parts of it.

pub mod cards;
pub mod demands;
pub mod devargs;
pub mod device;
mod interrupt;
pub mod order;
pub mod overlap;
pub mod pci;
pub mod port;
pub mod probe;
mod queue_slot;
mod rings;
mod rules;
pub mod steer;

pub use port::{LandingPort, PortError, PortSetup, Queues};
