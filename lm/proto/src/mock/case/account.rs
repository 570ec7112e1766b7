//! Whether the counters of a matcher say what was seen of it, nothing that came goes uncounted, and the work
//! was bounded.

use super::super::cost::BOUNDS;
use super::super::{Mock, Work};
use crate::counters::{Counters, Reason};
use crate::layout::Geometry;

/// Checks the counters `c` of a matcher that got so many frames.
///
/// # Errors
/// What does not add up.
pub(super) fn check(c: &Counters, mock: &Mock, frames: u64) -> Result<(), String> {
    let all = &mock.delivered;
    let bytes = |copied: bool| {
        all.iter().filter(|d| d.copied || !copied).map(|d| d.payload.len() as u64).sum::<u64>()
    };
    let seen = [
        ("datagrams", c.datagrams, all.len() as u64),
        ("bytes", c.bytes, bytes(false)),
        ("copied datagrams", c.copied_datagrams, all.iter().filter(|d| d.copied).count() as u64),
        ("copied bytes", c.copied_bytes, bytes(true)),
        ("frames", c.frames, frames),
        ("foreign", c.foreign, mock.strangers.len() as u64),
    ];
    match seen.iter().find(|(_, said, was)| said != was) {
        Some((what, said, was)) => Err(format!("the counters say {said} {what}, and it were {was}")),
        None => nothing_goes_uncounted(c, mock),
    }
}

/// Each frame is delivered, handed out, a duplicate, or counted with a drop.
fn nothing_goes_uncounted(c: &Counters, mock: &Mock) -> Result<(), String> {
    use Reason::{BadHeader, Discarded, Empty, LostFrame, NoBuffer, OverBudget, Oversize, StrangerLost};
    let delivered: u64 = mock.delivered.iter().map(|d| u64::from(d.whole.fragments)).sum();
    let told = delivered + c.foreign + c.duplicates;
    let drops = c.drops().map(|(_, n)| n).sum::<u64>() - c.dropped(OverBudget);
    // These count frames. The others count datagrams, or what has come of them.
    let frames: u64 = [BadHeader, Oversize, LostFrame, Empty, Discarded, StrangerLost]
        .into_iter()
        .map(|reason| c.dropped(reason))
        .sum();
    let fits = match c.frames.checked_sub(told) {
        Some(lost) if drops == frames => lost == drops,
        // What has no buffer is counted, and goes on waiting. It may be delivered later.
        Some(_) if c.dropped(NoBuffer) > 0 => true,
        Some(lost) => lost > 0 && drops <= lost,
        None => false,
    };
    if fits { Ok(()) } else { Err(format!("of {} frames, {told} are accounted for: {c:?}", c.frames)) }
}

/// Frames' worth of work that a matcher may have saved up when a case begins.
const SAVED: u64 = 3000;

/// No case takes more than its frames may take, and what was saved.
pub(super) fn work_is_bounded(work: &Work, geometry: Geometry) -> Result<(), String> {
    let (frames, full) = ((work.frames + SAVED) as f64, geometry.full_frame() as f64);
    let done = [
        ("headers", work.headers as f64, BOUNDS.headers),
        ("reads", work.reads as f64, BOUNDS.reads),
        ("full frames summed", work.bytes as f64 / full, BOUNDS.bytes),
        ("full frames looked at", work.whole as f64 / full, BOUNDS.whole),
        ("buffers taken", work.takes as f64, BOUNDS.takes),
    ];
    match done.iter().find(|(_, n, bound)| *n > bound * frames) {
        None => Ok(()),
        Some((what, n, bound)) => {
            Err(format!("{n:.0} {what} for {} frames: the bound is {bound} a frame", work.frames))
        }
    }
}
