//! Makes the moves of a plan, and undoes them.
//!
//! lmd calls [`take`] when it takes a card, and [`give`] when it gives the card back. If a move fails,
//! [`take`] undoes it and all before it. [`give`] goes on after a step that cannot be undone, and reports it.

use crate::Step;
use crate::plan::Move;

/// What steps are made in.
pub trait World {
    /// Makes a step. What is so already is left so.
    ///
    /// # Errors
    /// What prevents it, in words.
    fn make(&mut self, step: &Step) -> Result<(), String>;
}

/// What an error of [`take`] says before each step that could not be undone.
pub const LEFT: &str = "and it is not undone";

/// Makes all moves. If one fails, undoes it and those before it.
///
/// # Errors
/// Why the move failed, and what could not be undone.
pub fn take(world: &mut impl World, moves: &[Move]) -> Result<(), String> {
    for (i, one) in moves.iter().enumerate() {
        if let Err(why) = world.make(&one.step) {
            let left = give(world, &moves[..=i]);
            let left: String = left.iter().map(|left| format!("; {LEFT}: {left}")).collect();
            return Err(format!("{}: {why}{left}", one.step));
        }
    }
    Ok(())
}

/// Undoes moves, from the last to the first, whether they were made or not. Returns what could not be undone
/// and why: the rest is undone all the same.
pub fn give(world: &mut impl World, moves: &[Move]) -> Vec<String> {
    undoing(moves).filter_map(|step| world.make(step).err().map(|why| format!("{step}: {why}"))).collect()
}

/// The steps that [`give`] makes, in its order.
pub fn undoing(moves: &[Move]) -> impl Iterator<Item = &Step> {
    moves.iter().rev().flat_map(|one| &one.undo)
}
