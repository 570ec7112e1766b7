//! Receive modes: how a loop passes the time in which it finds nothing.
//!
//! - `poll`: it polls on, as DPDK's loops do. This has the least latency, and takes a whole CPU.
//! - `interrupt`: it sleeps as soon as a poll finds nothing, and a frame wakes it.
//! - `adaptive`: it polls while there is traffic, and sleeps when none came for an idle spell (`--rx-idle`).
//!
//! DPDK's l3fwd-power does the same. A sleep ends when a frame arrives, at the time that the loop gives, or
//! after [`LONGEST`]. So the loop reacts to commands, signals and the clock after that time at the latest.
//! `nap` explains why no frame is missed.
//!
//! A loop has an [`Idler`], tells it what each turn found, and implements [`Sleeper`] over the ports that it
//! polls.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use rte::port::{RxInterrupt, wait_for};

/// How a loop that finds nothing passes the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RxMode {
    /// The loop polls on.
    Poll,
    /// The loop sleeps until a frame interrupts.
    Interrupt,
    /// The loop polls under load, and sleeps after an idle spell.
    Adaptive,
}

/// The longest sleep.
pub const LONGEST: Duration = Duration::from_millis(10);
/// The longest sleep where something besides frames may need a turn: admission control's clock, or another
/// port.
pub const BRIEF: Duration = Duration::from_millis(1);
/// A shorter sleep is not worth it: falling asleep and waking up take about as long.
const SHORTEST: Duration = Duration::from_micros(20);

/// Decides when a loop may sleep, and lets it sleep.
#[derive(Clone, Copy, Debug)]
pub struct Idler {
    mode: RxMode,
    spell: Duration,
    /// The end of the first turn that found nothing since one found something.
    since: Option<Instant>,
}

impl Idler {
    /// An idler for this mode. `spell` is how long nothing must come before an adaptive loop sleeps.
    pub fn new(mode: RxMode, spell: Duration) -> Self {
        Self { mode, spell, since: None }
    }

    /// Whether the loop never sleeps.
    pub fn polls(&self) -> bool {
        self.mode == RxMode::Poll
    }

    /// Tells that a turn found something.
    #[inline]
    pub fn worked(&mut self) {
        self.since = None;
    }

    /// A turn that ended at `now` found nothing. Returns how long the loop may sleep, `most` at the longest.
    /// `None`: it polls on. A sleep that no frame ends does not end the idle spell, so another one follows.
    fn idle(&mut self, now: Instant, most: Duration) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        let may = match self.mode {
            RxMode::Poll => false,
            RxMode::Interrupt => true,
            RxMode::Adaptive => now.saturating_duration_since(since) >= self.spell,
        };
        (may && most >= SHORTEST).then(|| most.min(LONGEST))
    }

    /// Sleeps after a turn that ended at `now` and found nothing, if the mode allows it, and for `most` at
    /// the longest. Returns how much the turn found that ended the sleep; `None`: there was no sleep. If a
    /// device fails to interrupt, the loop polls from then on.
    pub fn sleep(&mut self, sleeper: &mut impl Sleeper, now: Instant, most: Duration) -> Option<usize> {
        let most = self.idle(now, most)?;
        match nap(sleeper, most) {
            Ok(found) => {
                if found > 0 {
                    self.worked();
                }
                Some(found)
            }
            Err(why) => {
                log::warn!("sleeping failed, polling from now on: {why}");
                self.mode = RxMode::Poll;
                None
            }
        }
    }
}

/// A loop that polls queues and may sleep in between.
pub trait Sleeper {
    /// The interrupts of all its queues.
    fn interrupts(&mut self) -> impl Iterator<Item = &mut RxInterrupt>;

    /// Files that also wake it when they become readable. By default there are none.
    fn files(&self) -> impl Iterator<Item = RawFd> {
        std::iter::empty()
    }

    /// Takes one turn. Returns how much it found.
    fn look(&mut self) -> usize;
}

/// Sleeps for `most` at the longest, and looks afterwards. Returns how much was found. A frame that comes
/// before interrupts are enabled is found by the look that follows them. One that comes later interrupts.
/// Where there are no interrupts nothing is to be found that the turn before did not find.
fn nap(sleeper: &mut impl Sleeper, most: Duration) -> io::Result<usize> {
    let mut enabled = false;
    for interrupt in sleeper.interrupts() {
        interrupt.enable().map_err(|e| io::Error::other(e.to_string()))?;
        enabled = true;
    }
    let mut found = if enabled { sleeper.look() } else { 0 };
    if found == 0 {
        let files: Vec<_> = sleeper.files().collect();
        wait_for(sleeper.interrupts(), &files, most)?;
        found = sleeper.look();
    }
    for interrupt in sleeper.interrupts() {
        interrupt.disable().map_err(|e| io::Error::other(e.to_string()))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPELL: Duration = Duration::from_micros(500);
    const US: Duration = Duration::from_micros(1);

    #[test]
    fn polling_never_sleeps() {
        let (mut idler, t) = (Idler::new(RxMode::Poll, SPELL), Instant::now());
        assert!(idler.polls());
        assert_eq!(idler.idle(t, LONGEST), None);
        assert_eq!(idler.idle(t + LONGEST, LONGEST), None);
    }

    #[test]
    fn interrupts_are_waited_for_at_once() {
        let (mut idler, t) = (Idler::new(RxMode::Interrupt, SPELL), Instant::now());
        assert_eq!(idler.idle(t, Duration::MAX), Some(LONGEST));
        assert_eq!(idler.idle(t, 300 * US), Some(300 * US));
        assert_eq!(idler.idle(t, 3 * US), None, "somebody is due so soon that it is not worth it");
    }

    #[test]
    fn adaptive_polls_for_an_idle_spell_and_then_sleeps_until_there_is_work() {
        let (mut idler, t) = (Idler::new(RxMode::Adaptive, SPELL), Instant::now());
        assert_eq!(idler.idle(t, LONGEST), None);
        assert_eq!(idler.idle(t + 499 * US, LONGEST), None);
        idler.worked();
        assert_eq!(idler.idle(t + 600 * US, LONGEST), None, "the spell begins anew");
        assert_eq!(idler.idle(t + 1099 * US, LONGEST), None);
        assert_eq!(idler.idle(t + 1100 * US, LONGEST), Some(LONGEST));
        assert_eq!(
            idler.idle(t + 1101 * US, LONGEST),
            Some(LONGEST),
            "a sleep that found nothing, another one"
        );
        idler.worked();
        assert_eq!(idler.idle(t + 1102 * US, LONGEST), None);
    }

    /// A loop over a device that cannot interrupt.
    struct Looks(usize);

    impl Sleeper for Looks {
        fn interrupts(&mut self) -> impl Iterator<Item = &mut RxInterrupt> {
            std::iter::empty()
        }

        fn look(&mut self) -> usize {
            self.0 += 1;
            0
        }
    }

    #[test]
    fn without_interrupts_a_sleep_is_one_look() {
        let (mut idler, mut looks) = (Idler::new(RxMode::Interrupt, SPELL), Looks(0));
        assert_eq!(idler.sleep(&mut looks, Instant::now(), 50 * US), Some(0));
        assert_eq!(looks.0, 1);
        assert_eq!(Idler::new(RxMode::Poll, SPELL).sleep(&mut looks, Instant::now(), 50 * US), None);
        assert_eq!(looks.0, 1);
    }

    #[test]
    fn a_clock_that_went_back_does_no_harm() {
        let (mut idler, t) = (Idler::new(RxMode::Adaptive, SPELL), Instant::now());
        assert_eq!(idler.idle(t + LONGEST, LONGEST), None);
        assert_eq!(idler.idle(t, LONGEST), None);
    }
}
