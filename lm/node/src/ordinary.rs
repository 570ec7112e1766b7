//! [`Ordinary`]: the queue of a steered port on which nothing lands.
//!
//! On a card that steers, queue 0 gets all frames that are not for a landing address. A [`Link`](crate::Link)
//! polls it after the landing queues. It handles control messages and ARP itself, and passes all other frames
//! to the [`Exit`], if there is one. The frames that arrive here also show whether the card steers as
//! configured.

use std::sync::Arc;
use std::time::Instant;

use pmd_e1000::probe::{Probing, Proofs};
use rte::port::{MacAddr, RxQueue};
use rte::{Burst, Mbuf};

use crate::exit::Exit;

/// Frames that a poll of the ordinary queue takes. It is small, because the landing queues wait meanwhile.
const BURST: usize = 32;

/// The ordinary queue, and the exit that its frames go on to.
pub struct Ordinary {
    queue: RxQueue,
    burst: Burst<BURST>,
    probing: Probing,
    /// Where frames go that are not for us alone.
    exit: Option<Exit>,
    /// Frames taken from the queue.
    pub frames: u64,
    /// Frames from the exit for which the steered port had no room.
    lost: u64,
}

impl Ordinary {
    /// `proofs` is told what is seen of the steering. Frames go on to `exit`; without one they are dropped.
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

    /// Calls `ask` for each landing address that no frame has been seen for yet, when it is time to ask
    /// again.
    #[inline]
    pub fn probe(&mut self, now: Instant, ask: impl FnMut(MacAddr)) {
        self.probing.due(now, ask);
    }

    /// Takes what came and shows each frame to `hear`, which says whether the frame was for us alone. Returns
    /// how many came.
    pub fn receive(&mut self, mut hear: impl FnMut(&[u8]) -> bool) -> usize {
        let n = self.queue.receive(&mut self.burst);
        for frame in self.burst.drain() {
            let data = frame.data();
            if let Some(mac) = self.probing.proofs().strayed(data) {
                log::error!(
                    "port {}: a frame for {mac} came to queue 0: this card does not steer it; leave \
                     --landing-mac out",
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

    /// Gives each frame that comes in by the exit to `send`, which says whether there was room for it.
    /// Returns how many came. A frame without room is lost, as on any full queue, and counted in
    /// [`Ordinary::lost`].
    pub fn outgoing(&mut self, mut send: impl FnMut(Mbuf) -> bool) -> usize {
        let lost = &mut self.lost;
        self.exit.as_mut().map_or(0, |exit| exit.turn(|frame| *lost += u64::from(!send(frame))))
    }

    /// Frames between the exit and this port that found no room, in both directions.
    pub fn lost(&self) -> u64 {
        self.lost + self.exit.as_ref().map_or(0, |exit| exit.lost)
    }

    /// What the frames so far have shown about steering.
    pub fn proofs(&self) -> &Proofs {
        self.probing.proofs()
    }
}
