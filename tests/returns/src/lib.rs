//! `lm/landing/src/returns.rs`, compiled without DPDK: the code that is checked is the code that runs.
//!
//! - `tests/threads.rs` runs it on real threads that hold real memory, also under Miri (`make miri`), which
//!   sees a reference to a segment that another thread has freed;
//! - `tests/fences.rs` has a model checker go through every order of its steps, both sides of the asymmetric
//!   barrier as sequentially consistent fences;
//! - `tests/pairs.rs` does the same with both sides as something weaker, which orders nothing but the one
//!   against the other;
//! - `tests/no_light.rs` and `tests/no_heavy.rs` take one side away: the checker must find that a segment is
//!   never freed.
