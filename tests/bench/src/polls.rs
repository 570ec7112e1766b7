//! `receive --polls VARIANT,SIZE,N`: N polls, each of which finds one datagram of SIZE bytes, or nothing if
//! that is 0. Nothing is timed: `tests/scripts/polls.sh` has callgrind count what [`Variant::poll`] executes.

use lm_proto::wire::MAX_PAYLOAD;
use rte::Eal;

use crate::ffi::{BURST, Mode, Sink};
use crate::traffic::Traffic;
use crate::variant::{Failure, SETS, VARIANTS, Variant};

/// What is polled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polls {
    variant: usize,
    size: usize,
    n: usize,
}

impl Polls {
    /// `VARIANT,SIZE,N`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || format!("--polls={text}: give VARIANT,SIZE,N, such as lm,64,1000");
        let words: Vec<_> = text.split(',').collect();
        let [name, size, n] = words[..] else { return Err(wrong().into()) };
        let variant = VARIANTS.iter().position(|(known, _)| *known == name).ok_or_else(wrong)?;
        let (size, n) = (size.parse().map_err(|_| wrong())?, n.parse().map_err(|_| wrong())?);
        if size > MAX_PAYLOAD {
            return Err(wrong().into());
        }
        Ok(Self { variant, size, n })
    }

    /// All of them, behind as many as make everything warm.
    pub(crate) fn run(self, eal: &Eal) -> Result<(), Failure> {
        let (name, kind) = VARIANTS[self.variant];
        let mut variant = Variant::new(eal, name, kind, &SETS[0])?;
        let traffic = Traffic::new(kind.cut(), self.size.max(1), 1, false);
        let mut sink = Sink::new(Mode::Touch, &traffic);
        for _ in 0..self.n {
            if self.size > 0 {
                variant.dma(&traffic, false);
            }
            // A poll takes a burst; a peer takes all.
            let polls = if kind.delivers() { traffic.frames().div_ceil(BURST) } else { 1 };
            (0..polls).for_each(|_| variant.poll(&mut sink, &traffic));
        }
        let want = if self.size > 0 { self.n as u64 } else { 0 };
        let (frames, datagrams) = (sink.frames, sink.datagrams);
        if frames != want * traffic.frames() as u64 || (kind.delivers() && datagrams != want) {
            return Err(format!("{name}: {frames} frames and {datagrams} datagrams, not {want}").into());
        }
        variant.close()
    }
}
