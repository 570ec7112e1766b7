//! Moves a network card from the kernel's driver to one that DPDK works with, has another interface take its
//! addresses, and gives all of it back.
//!
//! It knows nothing of LM or of DPDK.
//!
//! - [`facts`] reads what the system says of a card, and [`refusal`] says why it is not to be moved.
//! - [`settings`] are what an interface has that can be moved.
//! - [`saved`] is what has to be put back. It is written down before anything is changed ([`store`]).
//! - [`plan`] makes a list of moves of it, each with what undoes it. Undoing is right whether or not the move
//!   was made, so that giving back after a crash is the same as giving back. What a move and its undoing
//!   consist of are the steps in `step`.
//! - [`run`] makes moves, and undoes them, in a [`World`]. [`system`] is the real one. `model`, in tests
//!   only, is one that is obviously right.
//! - [`address`] and [`route`] are the kernel's own messages, so that nothing of them is lost. `hex` writes
//!   them as text into the file.
#![forbid(unsafe_code)]

pub mod address;
pub mod facts;
mod hex;
pub mod plan;
pub mod refusal;
pub mod route;
pub mod run;
pub mod saved;
pub mod settings;
mod step;
pub mod store;
pub mod system;

#[cfg(test)]
mod model;

pub use address::Address;
pub use route::Route;
pub use run::World;
pub use saved::Saved;
pub use settings::Settings;
pub use step::Step;

/// A MAC address as people write it.
pub(crate) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
