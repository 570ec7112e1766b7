//! The protocol by which slots are returned, without the light side of its barrier: the model checker must
//! find the segment that nobody frees. So the test fails if the checker finds nothing.
#![cfg(not(miri))]
#![allow(dead_code, reason = "one scenario is enough")]

mod model;
mod platform;
#[path = "../../../lm/landing/src/returns.rs"]
mod returns;

const BARRIER: platform::Barrier = platform::Barrier::NoLight;

#[test]
#[should_panic(expected = "freed once, and without anybody who comes to look")]
fn a_segment_is_never_freed() {
    model::dropped_on_the_owner_thread();
}
