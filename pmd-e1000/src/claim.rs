//! [`Claim`]: keeps a port or a queue of this process from having two owners.
//!
//! [`LandingPort`](crate::LandingPort) claims its whole port. The crate `lm` claims each queue that it
//! adopts from an application's port. Two owners of a queue would poll it by turns, and each would lose
//! frames to the other. DPDK does not notice that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{error, fmt};

use rte::port::PortId;

/// What is claimed of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The port with all its queues.
    Whole,
    /// A receive queue.
    Rx(u16),
    /// A transmit queue.
    Tx(u16),
}

impl Part {
    /// Whether the two cannot have different owners.
    fn meets(self, other: Self) -> bool {
        self == Self::Whole || other == Self::Whole || self == other
    }
}

/// What has an owner in this process.
static CLAIMED: Mutex<Vec<(PortId, Part)>> = Mutex::new(Vec::new());

fn claimed() -> MutexGuard<'static, Vec<(PortId, Part)>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port or a queue that has its owner, until this value is dropped.
#[derive(Debug)]
pub struct Claim {
    port: PortId,
    part: Part,
}

impl Claim {
    /// Claims a part of a port.
    ///
    /// # Errors
    /// [`Claimed`]: it has an owner already.
    pub fn new(port: PortId, part: Part) -> Result<Self, Claimed> {
        let mut claimed = claimed();
        check(&claimed, port, part)?;
        claimed.push((port, part));
        Ok(Self { port, part })
    }

    /// What is claimed.
    pub fn part(&self) -> Part {
        self.part
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claimed = claimed();
        if let Some(i) = claimed.iter().position(|&one| one == (self.port, self.part)) {
            claimed.swap_remove(i);
        }
    }
}

/// Looks whether somebody has the whole port.
///
/// # Errors
/// [`Claimed`]: so it is, and nobody else can have a queue of it.
pub fn not_whole(port: PortId) -> Result<(), Claimed> {
    match claimed().iter().find(|&&one| one == (port, Part::Whole)) {
        Some(&(port, has)) => Err(Claimed { port, has }),
        None => Ok(()),
    }
}

fn check(claimed: &[(PortId, Part)], port: PortId, part: Part) -> Result<(), Claimed> {
    match claimed.iter().find(|&&(other, has)| other == port && has.meets(part)) {
        Some(&(_, has)) => Err(Claimed { port, has }),
        None => Ok(()),
    }
}

/// A port, or a queue of it, has an owner already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The port.
    pub port: PortId,
    /// What the owner has of it.
    pub has: Part,
}

impl fmt::Display for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, has } = self;
        match has {
            Part::Whole => write!(
                f,
                "port {port} was opened by lm_open (Port::open): adopt queues of a port that the program opens \
                 itself, or close it first"
            ),
            Part::Rx(queue) => {
                write!(f, "queue {queue} of port {port} is adopted already: close the node that has it first")
            }
            Part::Tx(queue) => write!(
                f,
                "transmit queue {queue} of port {port} is adopted already: close the node that has it first"
            ),
        }
    }
}

impl error::Error for Claimed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_one_owner() {
        let (port, other) = (PortId(900), PortId(901));
        let first = Claim::new(port, Part::Rx(0)).unwrap();
        let error = Claim::new(port, Part::Rx(0)).unwrap_err();
        assert_eq!(error, Claimed { port, has: Part::Rx(0) });
        assert!(error.to_string().starts_with("queue 0 of port 900 is adopted already"), "{error}");
        assert_eq!(Claim::new(port, Part::Whole).unwrap_err(), error, "nor is the port free as a whole");
        let others = [
            Claim::new(port, Part::Rx(1)).unwrap(),
            Claim::new(port, Part::Tx(0)).unwrap(),
            Claim::new(other, Part::Rx(0)).unwrap(),
        ];
        assert!(Claim::new(port, Part::Tx(0)).is_err());
        drop(first);
        assert!(not_whole(port).is_ok());
        drop(others);
        drop(Claim::new(port, Part::Whole).unwrap());
    }

    #[test]
    fn a_whole_port_has_all_its_queues() {
        let port = PortId(902);
        let whole = Claim::new(port, Part::Whole).unwrap();
        for part in [Part::Whole, Part::Rx(0), Part::Rx(7), Part::Tx(0)] {
            let error = Claim::new(port, part).unwrap_err();
            assert_eq!(error, Claimed { port, has: Part::Whole });
            assert!(error.to_string().starts_with("port 902 was opened by lm_open"), "{error}");
        }
        assert!(not_whole(port).is_err());
        drop(whole);
        assert!(Claim::new(port, Part::Tx(0)).is_ok());
    }
}
