//! Lightweight Messages: UDP datagrams of up to 65,507 bytes over commodity gigabit NICs, without a copy.
pub use lm_engine::*;
