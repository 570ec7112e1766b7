//! [`Proofs`] and [`Probing`]: tests by live frames whether a card steers.
//!
//! Drivers accept rules that their devices ignore, so only a received frame proves that a rule works. A
//! landing address has a [`Proof`]: frames for it were seen on its landing queue, or on the ordinary queue,
//! which refutes the rule. As long as no frame was seen, the node has to cause one: [`Probing::due`] says
//! when, and for which addresses. (The answer to an ARP probe from the address, as in RFC 5227, is sent to
//! it.)
//!
//! The thread that polls the queues reports frames: [`Proofs::landed`] for a landing queue that had frames,
//! and [`Proofs::strayed`] for each frame of the ordinary queue. The owner of the port regularly calls
//! [`LandingPort::look_at_steering`](crate::LandingPort::look_at_steering), which removes refuted rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rte::port::MacAddr;

/// What live frames have shown of a steered address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// No frame was seen yet.
    #[default]
    Unseen,
    /// Frames for it came to its queue, and none to the ordinary queue.
    Steered,
    /// A frame for it came to the ordinary queue: the card does not steer.
    Refuted,
}

impl Proof {
    /// Notes that a frame for the address came to its landing queue.
    pub fn landed(&mut self) {
        if *self == Self::Unseen {
            *self = Self::Steered;
        }
    }

    /// Notes that a frame for the address came to the ordinary queue. Returns whether it is the first one.
    pub fn strayed(&mut self) -> bool {
        std::mem::replace(self, Self::Refuted) != Self::Refuted
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unseen => "no frame seen yet",
            Self::Steered => "proven by live frames",
            Self::Refuted => "refuted: frames for it came to queue 0",
        }
    }
}

/// What live frames have shown of each landing address. Any thread may report and ask.
#[derive(Debug, Default)]
pub struct Proofs(Vec<Seen>);

#[derive(Debug)]
struct Seen {
    mac: MacAddr,
    landed: AtomicBool,
    strayed: AtomicBool,
}

impl Proofs {
    /// Nothing is proven of these addresses yet.
    pub fn new(macs: &[MacAddr]) -> Self {
        let seen = |&mac| Seen { mac, landed: AtomicBool::new(false), strayed: AtomicBool::new(false) };
        Self(macs.iter().map(seen).collect())
    }

    /// Notes that a frame came to the landing queue of this number, counted from 0.
    #[inline]
    pub fn landed(&self, queue: usize) {
        if let Some(seen) = self.0.get(queue).filter(|seen| !seen.landed.load(Ordering::Relaxed)) {
            seen.landed.store(true, Ordering::Relaxed);
        }
    }

    /// Notes a frame that came to the ordinary queue. If it should have come to a landing queue and is the
    /// first such frame, returns the address of that queue.
    #[inline]
    pub fn strayed(&self, frame: &[u8]) -> Option<MacAddr> {
        let to = frame.get(..6)?;
        let seen = self.0.iter().find(|seen| seen.mac.0 == *to)?;
        (!seen.strayed.swap(true, Ordering::Relaxed)).then_some(seen.mac)
    }

    /// Whether no frame was seen of any address.
    pub fn are_unseen(&self) -> bool {
        self.all().all(|(_, proof)| proof == Proof::Unseen)
    }

    /// Whether one of them is not steered.
    pub fn are_refuted(&self) -> bool {
        self.all().any(|(_, proof)| proof == Proof::Refuted)
    }

    /// Each address, and what is known of it.
    pub fn all(&self) -> impl Iterator<Item = (MacAddr, Proof)> {
        self.0.iter().map(|seen| {
            let mut proof = Proof::default();
            if seen.landed.load(Ordering::Relaxed) {
                proof.landed();
            }
            if seen.strayed.load(Ordering::Relaxed) {
                proof.strayed();
            }
            (seen.mac, proof)
        })
    }
}

/// The time between two attempts to cause live frames.
const PAUSE: Duration = Duration::from_millis(200);
/// The number of attempts.
const PROBES: u32 = 25;

/// Decides when to cause live frames.
#[derive(Debug)]
pub struct Probing {
    proofs: Arc<Proofs>,
    /// Probes left, and when the next ones are sent.
    left: u32,
    next: Instant,
}

impl Probing {
    /// Begins at `now`.
    pub fn new(proofs: Arc<Proofs>, now: Instant) -> Self {
        Self { proofs, left: PROBES, next: now }
    }

    /// Calls `ask` for each address, if it is time to, and only as long as no frame was seen for any of them.
    /// (Where there is traffic, an answer could come in the middle of a datagram, and the traffic shows
    /// enough.)
    #[inline]
    pub fn due(&mut self, now: Instant, ask: impl FnMut(MacAddr)) {
        if self.left == 0 || now < self.next {
            return;
        }
        (self.left, self.next) = (self.left - 1, now + PAUSE);
        if self.proofs.are_unseen() {
            self.proofs.all().map(|(mac, _)| mac).for_each(ask);
        } else {
            self.left = 0;
        }
    }

    /// What the frames so far have shown.
    pub fn proofs(&self) -> &Proofs {
        &self.proofs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_steers_in_fact_is_told_from_one_that_does_not() {
        let mut proof = Proof::default();
        proof.landed();
        assert_eq!(proof, Proof::Steered);
        assert!(proof.strayed() && !proof.strayed(), "news only once");
        proof.landed();
        assert_eq!(proof, Proof::Refuted, "what was refuted stays so");
    }

    const MACS: [MacAddr; 2] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];

    #[test]
    fn frames_prove_and_refute() {
        let proofs = Proofs::new(&MACS);
        proofs.landed(0);
        proofs.landed(7);
        assert_eq!(proofs.strayed(&[2, 0, 0, 0, 0, 9, 1]), None, "ordinary frames are not news");
        assert_eq!(proofs.strayed(&[2, 0, 0]), None);
        assert_eq!(proofs.strayed(&MACS[1].0), Some(MACS[1]));
        assert_eq!(proofs.strayed(&MACS[1].0), None, "told once");
        assert!(proofs.are_refuted() && !proofs.are_unseen());
        let all: Vec<_> = proofs.all().collect();
        assert_eq!(all, [(MACS[0], Proof::Steered), (MACS[1], Proof::Refuted)]);
    }

    #[test]
    fn frames_are_asked_for_in_turn_until_one_is_seen() {
        let (proofs, now) = (Arc::new(Proofs::new(&MACS)), Instant::now());
        let mut probing = Probing::new(Arc::clone(&proofs), now);
        let mut asked = |at| {
            let mut macs = Vec::new();
            probing.due(now + at, |mac| macs.push(mac));
            macs
        };
        assert_eq!(asked(Duration::ZERO), MACS);
        assert_eq!(asked(PAUSE / 2), []);
        assert_eq!(asked(PAUSE), MACS);
        proofs.landed(1);
        assert_eq!(asked(3 * PAUSE), []);
    }

    #[test]
    fn nobody_is_asked_for_ever() {
        let (proofs, now) = (Arc::new(Proofs::new(&MACS)), Instant::now());
        let mut probing = Probing::new(proofs, now);
        let mut questions = 0;
        (0..100).for_each(|i| probing.due(now + i * PAUSE, |_| questions += 1));
        assert_eq!(questions, 2 * PROBES);
    }
}
