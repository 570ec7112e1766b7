//! [`Ordinary`]: the queue of a steered port that nothing lands on, and what is seen there of the steering.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pmd_e1000::steer::Proof;
use rte::Burst;
use rte::port::{MacAddr, RxQueue};

/// What live frames say of each landing address; the port shows it while the loop runs.
#[derive(Debug, Default)]
pub(crate) struct Proofs(Vec<Seen>);

#[derive(Debug)]
struct Seen {
    mac: MacAddr,
    landed: AtomicBool,
    strayed: AtomicBool,
}

impl Proofs {
    /// Nothing is proven of these addresses yet.
    pub(crate) fn new(macs: &[MacAddr]) -> Self {
        let seen = |&mac| Seen { mac, landed: AtomicBool::new(false), strayed: AtomicBool::new(false) };
        Self(macs.iter().map(seen).collect())
    }

    /// A frame came to the landing queue of this number, counted from 0.
    #[inline]
    pub(crate) fn landed(&self, queue: usize) {
        if let Some(seen) = self.0.get(queue).filter(|seen| !seen.landed.load(Ordering::Relaxed)) {
            seen.landed.store(true, Ordering::Relaxed);
        }
    }

    /// A frame for this address came to the ordinary queue: whether it should have landed, and that is news.
    fn strayed(&self, to: &[u8]) -> Option<MacAddr> {
        let seen = self.0.iter().find(|seen| seen.mac.0 == *to)?;
        (!seen.strayed.swap(true, Ordering::Relaxed)).then_some(seen.mac)
    }

    /// Whether no frame was seen of any address.
    fn are_unseen(&self) -> bool {
        self.all().all(|(_, proof)| proof == Proof::Unseen)
    }

    /// Whether one of them is not steered.
    pub(crate) fn are_refuted(&self) -> bool {
        self.all().any(|(_, proof)| proof == Proof::Refuted)
    }

    /// Each address, and what is known.
    pub(crate) fn all(&self) -> impl Iterator<Item = (MacAddr, Proof)> {
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

/// Frames that a poll of the ordinary queue takes: it must not keep the landing queues waiting.
const BURST: usize = 32;

/// The ordinary queue.
pub(crate) struct Ordinary {
    queue: RxQueue,
    burst: Burst<BURST>,
    proofs: Arc<Proofs>,
    /// Frames taken from it.
    pub(crate) frames: u64,
    /// Probes left, and when the next ones are sent.
    probes: u32,
    next: Instant,
}

/// How often live frames are asked for.
const PAUSE: Duration = Duration::from_millis(200);
/// And how many times.
const PROBES: u32 = 25;

impl Ordinary {
    /// The queue, and where to tell what is seen.
    pub(crate) fn new(queue: RxQueue, proofs: Arc<Proofs>) -> Self {
        Self { queue, burst: Burst::new(), proofs, frames: 0, probes: PROBES, next: Instant::now() }
    }

    /// Asks, by `ask`, for a frame to each address, as long as none was seen of any: when there is traffic, an answer
    /// could come in the midst of a datagram, and traffic is proof enough.
    #[inline]
    pub(crate) fn probe(&mut self, now: Instant, ask: impl FnMut(MacAddr)) {
        if self.probes == 0 || now < self.next {
            return;
        }
        (self.probes, self.next) = (self.probes - 1, now + PAUSE);
        if self.proofs.are_unseen() {
            self.proofs.all().map(|(mac, _)| mac).for_each(ask);
        } else {
            self.probes = 0;
        }
    }

    /// Takes what came and shows each frame to `hear`; how many.
    pub(crate) fn receive(&mut self, mut hear: impl FnMut(&[u8])) -> usize {
        let n = self.queue.receive(&mut self.burst);
        for frame in self.burst.drain() {
            let data = frame.data();
            if let Some(mac) = data.get(..6).and_then(|to| self.proofs.strayed(to)) {
                log::error!(
                    "port {}: a frame for {mac} came to queue 0: this card does not steer it; leave --landing-mac out",
                    self.queue.port()
                );
            }
            hear(data);
        }
        self.frames += n as u64;
        n
    }

    /// What is known of the steering.
    pub(crate) fn proofs(&self) -> &Proofs {
        &self.proofs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_prove_and_refute() {
        let macs = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
        let proofs = Proofs::new(&macs);
        proofs.landed(0);
        proofs.landed(7);
        assert_eq!(proofs.strayed(&[2, 0, 0, 0, 0, 9]), None, "ordinary frames are not news");
        assert_eq!(proofs.strayed(&macs[1].0), Some(macs[1]));
        assert_eq!(proofs.strayed(&macs[1].0), None, "told once");
        assert!(proofs.are_refuted() && !proofs.are_unseen());
        let all: Vec<_> = proofs.all().collect();
        assert_eq!(all, [(macs[0], Proof::Steered), (macs[1], Proof::Refuted)]);
    }
}
