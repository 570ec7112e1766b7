//! Mocks to test on: a world of a few nodes where anything that may happen can be made to, step by step, for
//! the model checker and the fuzz harness; and a cluster of many in virtual time, for figures.

mod attacker;
mod canonical;
mod cluster;
mod random;
pub mod scenario;
mod world;

pub use cluster::{Cluster, Happening, Wire};
pub use random::Random;
pub use world::{Act, Faults, Lie, Number, World};
