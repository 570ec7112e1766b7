//! What is known of e1000 and igb cards, and of the virtual devices that stand in for them.
//!
//! Landing is safe on a device only if the device writes where it was told to, in order, and no more than it
//! was told. Whether that holds is a matter of the driver, the card, its bus and its settings. This crate
//! finds it out, and sets ports up such that it does hold. It tells the result to `lm-landing`, which knows
//! no card. `lm-node` opens its ports here.
//!
//! # From a device to a verdict
//!
//! [`device`] is a table of drivers: which of them honour posted buffers, and how slots may be laid on them.
//! [`devargs`] reads a device's arguments as its driver does, since virtual devices change their behaviour by
//! them. [`demands`] checks that these arguments and a port's setup go together. [`quirks`] is what drivers
//! do in some releases of DPDK only.
//!
//! [`cards`] is the table of e1000 and igb cards, by PCI id, with their errata. [`pci`] reads what a card
//! says of itself in its configuration space. [`order`] proves from this that the card's writes keep their
//! order. [`overlap`] puts all of it together: how slots may be laid on this port, and why.
//!
//! # Steering
//!
//! [`steer`] plans which frames go to which landing queue. [`probe`] sees whether they really do. The private
//! module `rules` takes filters out that do not work.
//!
//! # The port
//!
//! [`port`] is a port that is set up such that landing on it is safe. [`claim`] keeps ports and queues from
//! having two owners. [`timestamps`] refuses queues whose frames do not begin where their buffers say, also
//! those of an application's own ports. [`em_ring`] reads what em cards say of each frame in their receive
//! ring. Private are `rings` (how many descriptors), `queue_slot` (a queue's pool, in the port or out),
//! `interrupt` (whether the port can wake a sleeping thread), `card_words` (what its card can say of each
//! frame) and `registers` (of a card).

mod card_words;
pub mod cards;
pub mod claim;
pub mod demands;
pub mod devargs;
pub mod device;
pub mod em_ring;
mod interrupt;
pub mod order;
pub mod overlap;
pub mod pci;
pub mod port;
pub mod probe;
mod queue_slot;
pub mod quirks;
mod registers;
mod rings;
mod rules;
pub mod steer;
pub mod timestamps;

pub use interrupt::can_interrupt;
pub use port::{LandingPort, PortError, PortSetup, Queues};
