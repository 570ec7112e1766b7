//! What can happen in a [`World`](super::World), and how much of it may still happen.
//!
//! The model checker and the scenarios of the fuzz harness choose among these acts. [`Faults`] bounds the
//! losses, crashes and lies.

/// Faults that may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Faults {
    /// Control messages that may be lost.
    pub losses: u8,
    /// Control messages that may be doubled.
    pub duplicates: u8,
    /// Nodes that may crash.
    pub crashes: u8,
    /// Crashed nodes that may come back.
    pub restarts: u8,
    /// Moments that may pass with control messages still on the wire: they come late, behind the timer.
    /// Otherwise they come in any order, but before the next moment that matters.
    pub late: u8,
    /// Messages that a member may make up in the name of others, and sign.
    pub lies: u8,
    /// Messages that somebody may have recorded and play again.
    pub replays: u8,
    /// The incarnation in which a crashed node comes back.
    pub number: Number,
}

/// The incarnation of a node that comes back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Number {
    /// One below that of the life before: a clock that went back.
    #[default]
    Lower,
    /// One above it: a counter on a disk.
    Higher,
    /// That of the life before: no clock, no disk.
    Same,
}

/// Something that can happen next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Act {
    /// The application makes this one of its requests.
    Ask(usize),
    /// The application of this request is done.
    Release(usize),
    /// This control message arrives.
    Deliver(usize),
    /// This control message is lost.
    Lose(usize),
    /// This control message arrives, and a copy of it is still on its way.
    Duplicate(usize),
    /// Time goes on to the next moment that matters.
    Wait,
    /// This node crashes.
    Crash(usize),
    /// This node comes back and knows nothing.
    Restart(usize),
    /// A member says this.
    Lie(Lie),
    /// This recorded message arrives once more.
    Replay(usize),
}

/// What a member that has the key may say in the name of another. Each lie uses the largest number that a
/// field can have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lie {
    /// `LM_REQ` of the last incarnation there is.
    LastLife {
        /// In whose name.
        of: usize,
        /// To whom.
        to: usize,
    },
    /// The answer to an overheard challenge (its place on the wire), in the name of the last incarnation
    /// there is.
    Overheard(usize),
    /// `LM_ENDME` in the name of the present life, with the last sequence number and the last request there
    /// are.
    LastNumbers {
        /// In whose name.
        of: usize,
        /// To whom.
        to: usize,
    },
    /// `LM_CHALLENGE` that knows more of the addressee's life than there is.
    Known {
        /// In whose name.
        of: usize,
        /// To whom.
        to: usize,
    },
}
