//! Mocks to test on: a world of a few nodes in which each step can be chosen, and a cluster of many nodes in
//! virtual time.
//!
//! The model checker (`ac/tests/model.rs`) makes all steps of a [`World`], and the fuzz harness makes those
//! that a [`scenario`] says. `ac/tests/cluster.rs` measures on a [`Cluster`]. Both run the same nodes as
//! programs do. A world says at once when two nodes may send to one landing queue. The same input always
//! gives the same run.

mod attacker;
mod canonical;
mod cluster;
mod random;
pub mod scenario;
mod world;

pub use cluster::{Cluster, Happening, Wire};
pub use random::Random;
pub use world::{Act, Faults, Lie, Number, World};
