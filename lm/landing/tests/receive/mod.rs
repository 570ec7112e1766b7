//! Takes a driver's burst as a receive queue does: each frame with the token of its slot.
//!
//! The tests `pool`, `slots` and `owed` use it, so that they need no port.

use lm_landing::queue::{Behind, Burst, FrameSink, Part, feed};
use lm_landing::{Landed, LandingPool, SlotLayout};
use lm_proto::frame::Frames;
use rte::sys::rte_mbuf;

/// Keeps what it takes.
struct Keep(Vec<Landed>);

impl FrameSink for Keep {
    fn prepare(&self, _: &Burst<'_>) {}

    fn take_plain(&mut self, _: &LandingPool, burst: &mut Burst<'_>) {
        while let Some(plain) = burst.next() {
            let (frame, slots, word) = (plain.frame, plain.slots, plain.word);
            self.0.push(Landed {
                at: frame.at,
                len: frame.len,
                layout: SlotLayout::Overlapping,
                damaged: false,
                bounce: 0,
                slots,
                word,
            });
        }
    }

    fn take_two(&mut self, _: &LandingPool, parts: [Part; 2], _: Option<Behind>) -> Result<(), [Part; 2]> {
        Err(parts)
    }

    fn take(&mut self, _: &LandingPool, landed: Landed) {
        self.0.push(landed);
    }
}

/// Gives received mbufs back to the pool, and returns the frames that were in them.
///
/// # Safety
/// As for [`feed`].
pub(crate) unsafe fn receive(pool: &mut LandingPool, mbufs: &[*mut rte_mbuf]) -> Vec<Landed> {
    let mut kept = Keep(Vec::new());
    // SAFETY: the caller's promise.
    unsafe { feed(pool, mbufs, &mut kept) };
    kept.0
}
