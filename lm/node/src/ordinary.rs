//! [`Ordinary`]: the queue of a steered port that nothing lands on, and what is seen there of the steering.

use std::sync::Arc;
use std::time::Instant;

use pmd_e1000::probe::{Probing, Proofs};
use rte::port::{MacAddr, RxQueue};
use rte::{Burst, Mbuf};

use crate::exit::Exit;

/// Frames that a poll of the ordinary queue takes: it must not keep the landing queues waiting.
const BURST: usize = 32;

/// The ordinary queue.
pub struct Ordinary {
    queue: RxQueue,
    burst: Burst<BURST>,
    probing: Probing,
    /// Where frames go that are not ours.
    exit: Option<Exit>,
    /// Frames taken from it.
    pub frames: u64,
    /// Frames from the exit for which there was no room.
    lost: u64,
}

impl Ordinary {
    /// The queue, where to tell what is seen, and where its frames go, if anywhere.
    pub fn new(queue: RxQueue, proofs: Arc<Proofs>, exit: Option<Exit>) -> Self {
        Self {
            queue,
            burst: Burst::new(),
            probing: Probing::new(proofs, Instant::now()),
            exit,
            frames: 0,
            lost: 0,
        }
    }

    /// Asks, by `ask`, for a frame to each landing address, as long as none was seen of any.
    #[inline]
    pub fn probe(&mut self, now: Instant, ask: impl FnMut(MacAddr)) {
        self.probing.due(now, ask);
    }

    /// Takes what came and shows each frame to `hear`, which says whether it was for us alone; how many.
    pub fn receive(&mut self, mut hear: impl FnMut(&[u8]) -> bool) -> usize {
        let n = self.queue.receive(&mut self.burst);
        for frame in self.burst.drain() {
            let data = frame.data();
            if let Some(mac) = self.probing.proofs().strayed(data) {
                log::error!(
                    "port {}: a frame for {mac} came to queue 0: this card does not steer it; leave --landing-mac out",
                    self.queue.port()
                );
            }
            if !hear(data)
                && let Some(exit) = &mut self.exit
            {
                exit.push(frame);
            }
        }
        self.frames += n as u64;
        n
    }

    /// Gives each frame to `send` that comes in by the exit; how many. What finds no room is lost, as on any full queue, and
    /// counted.
    pub fn outgoing(&mut self, mut send: impl FnMut(Mbuf) -> bool) -> usize {
        let lost = &mut self.lost;
        self.exit.as_mut().map_or(0, |exit| exit.turn(|frame| *lost += u64::from(!send(frame))))
    }

    /// Frames between the exit and this port that found no room, either way.
    pub fn lost(&self) -> u64 {
        self.lost + self.exit.as_ref().map_or(0, |exit| exit.lost)
    }

    /// What is known of the steering.
    pub fn proofs(&self) -> &Proofs {
        self.probing.proofs()
    }
}
