//! The protocol by which slots are returned, under the model checker: every order of its steps. Here the
//! barrier is made of two fences.
#![cfg(not(miri))]

mod model;
mod platform;
#[path = "../../../lm/landing/src/returns.rs"]
#[allow(dead_code, reason = "the pool's side is not all used here")]
mod returns;

const BARRIER: platform::Barrier = platform::Barrier::Fences;

#[test]
fn dropped_on_the_owner_thread() {
    model::dropped_on_the_owner_thread();
}

#[test]
fn dropped_elsewhere() {
    model::dropped_elsewhere();
}

#[test]
fn dropped_everywhere() {
    model::dropped_everywhere();
}

#[test]
fn slots_are_used_again() {
    model::slots_are_used_again();
}

#[test]
fn two_pools_go() {
    model::two_pools_go();
}
