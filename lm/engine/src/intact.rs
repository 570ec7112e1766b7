//! Checks that the second part of a frame in two slots was not overwritten by the frame below.
//!
//! The engine asks this for each frame that came in two slots, before it copies the parts together. A part
//! that may have been overwritten is never used. The function only compares addresses and reads no memory.

use lm_landing::queue::Behind;
use lm_proto::wire::HEADERS;

/// Whether a frame's second part, a few bytes from `start` on in the slot at `at`, is as it was received. It
/// lies where headers lie otherwise, so the rule for headers decides (`docs/proof.md`). `behind` is the frame
/// that was received next. If there was none, `untouched` says whether the device has not come to the slot
/// below.
pub(crate) fn is_intact(
    at: usize,
    start: usize,
    behind: Option<Behind>,
    mirror: usize,
    untouched: impl FnOnce() -> bool,
) -> bool {
    let Some(behind) = behind else { return untouched() };
    // In a region that is mapped twice, the frame below may be at its other address.
    let lap = if behind.at > at { mirror } else { 0 };
    let end = behind.at + usize::from(behind.len).saturating_sub(HEADERS);
    behind.at > at + lap || end <= start + lap
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_part_is_believed_where_a_header_would_be() {
        let (at, stride, mirror) = (1 << 20, 1480, 1 << 22);
        let start = at - HEADERS;
        let behind = |at, len| Some(Behind { at, len });
        let below = at - stride;
        for (start, longest) in [(start, 1480), (start - 128, 1480 - 128)] {
            let intact =
                |behind, mirror| is_intact(at, start, behind, mirror, || unreachable!("a frame came behind"));
            for (place, mirror) in [(below, 0), (below, mirror), (below + mirror, mirror)] {
                assert!(intact(behind(place, longest), mirror), "it ends where the part begins");
                assert!(!intact(behind(place, longest + 1), mirror));
                assert!(!intact(behind(place, 1514), mirror));
            }
            assert!(intact(behind(at + 4 * stride, 1514), 0), "elsewhere");
            assert!(intact(behind(at - 7 * stride, 1514), 0), "elsewhere");
            assert!(is_intact(at, start, None, 0, || true) && !is_intact(at, start, None, 0, || false));
        }
    }
}
