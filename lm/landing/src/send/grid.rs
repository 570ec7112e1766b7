//! [`Grid`]: parts of a buffer at equal distances, one for each fragment of a datagram.
//!
//! The numbers of a grid say where all parts are, so nothing is kept for each of them, and no two can have a
//! byte in common. [`SendSlot::into_packets`](super::SendSlot::into_packets) and the functions of `show`
//! point mbufs to the parts.

use std::ops::Range;

/// Parts of a buffer, each of which an mbuf can show. They go up, one *pitch* from start to start. What would
/// lie in front of the buffer, or behind an end, is left out of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    parts: u16,
    /// Bytes of a part, no more than the pitch.
    len: u16,
    pitch: usize,
    /// Where the first part starts, from so many bytes in front of the buffer.
    start: usize,
    before: usize,
    /// Where the last part ends at the latest.
    end: usize,
}

impl Grid {
    /// `parts` parts of `len` bytes. The first starts `start` bytes into what lies `before` bytes in front of
    /// the buffer, and each other one a `pitch` behind that before it. They end at `end`.
    ///
    /// `None`: there are none, or more than DPDK can count, one is too long for an mbuf, they overlap, or
    /// they reach beyond what can be addressed.
    #[inline]
    pub fn new(parts: usize, len: usize, pitch: usize, start: [usize; 2], end: usize) -> Option<Self> {
        let [before, start] = start;
        let (parts, len) = (u16::try_from(parts).ok()?, u16::try_from(len).ok()?);
        // Then no sum below overflows.
        pitch.checked_mul(parts.into())?.checked_add(start)?;
        (parts > 0 && usize::from(len) <= pitch).then_some(Self { parts, len, pitch, start, before, end })
    }

    /// One part, the first `len` bytes. `None`: it is too long for an mbuf.
    #[inline]
    pub fn one(len: usize) -> Option<Self> {
        Self::new(1, len, len, [0, 0], len)
    }

    /// How many parts there are.
    #[inline]
    pub fn parts(&self) -> u16 {
        self.parts
    }

    /// Whether all parts lie in a buffer of so many bytes.
    #[inline]
    pub fn is_within(&self, bytes: usize) -> bool {
        self.end <= bytes
    }

    /// Where the parts lie, in order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let this = *self;
        (0..this.parts).map(move |i| this.part(i)).map(|part| part.start..part.end())
    }

    /// From the first byte of all parts to the last.
    #[inline]
    pub(super) fn span(&self) -> Range<usize> {
        let (first, last) = (self.part(0), self.part(self.parts - 1));
        first.start..last.end()
    }

    /// Part `index`, of those that there are.
    #[inline]
    pub(super) fn part(&self, index: u16) -> Part {
        let start = usize::from(index) * self.pitch + self.start;
        let place = |at: usize| at.saturating_sub(self.before).min(self.end);
        let (start, end) = (place(start), place(start + usize::from(self.len)));
        // No more than `len`, as each of them moved up by no more than the other.
        Part { start, len: (end - start) as u16 }
    }
}

/// A part: where it starts in the buffer, and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) len: u16,
}

impl Part {
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.start + usize::from(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of every grid that can be made: its parts are within, in order and apart.
    #[test]
    fn parts_are_within_in_order_and_apart() {
        let mut made = 0;
        for parts in 0..5 {
            for (len, pitch) in [(0, 0), (0, 3), (2, 3), (3, 3), (4, 3), (1, 0)] {
                for (before, start) in [(0, 0), (0, 2), (2, 0), (2, 1), (9, 0)] {
                    for end in 0..12 {
                        let Some(grid) = Grid::new(parts, len, pitch, [before, start], end) else {
                            assert!(parts == 0 || len > pitch, "{parts} of {len}, {pitch} apart");
                            continue;
                        };
                        made += 1;
                        assert!(grid.is_within(end) && (end == 0 || !grid.is_within(end - 1)));
                        let mut free = 0;
                        for part in (0..grid.parts()).map(|i| grid.part(i)) {
                            assert!(free <= part.start && part.end() <= end, "{grid:?}: {part:?}");
                            assert!(usize::from(part.len) <= len, "{grid:?}: {part:?}");
                            free = part.end();
                        }
                        assert_eq!(grid.span(), grid.part(0).start..free);
                    }
                }
            }
        }
        assert!(made > 500, "{made}");
    }

    #[test]
    fn parts_are_where_a_datagram_has_them() {
        let at = |grid: Grid| {
            (0..grid.parts()).map(|i| (grid.part(i).start, grid.part(i).len)).collect::<Vec<_>>()
        };
        // The pieces of 7168 bytes, behind a UDP header of 8, and the frames of a send buffer.
        let pieces = Grid::new(5, 1480, 1480, [8, 0], 7168).expect("valid");
        assert_eq!(at(pieces), [(0, 1472), (1472, 1480), (2952, 1480), (4432, 1480), (5912, 1256)]);
        let frames = Grid::new(3, 1514, 1516, [0, 2], 2 + 2 * 1516 + 60).expect("valid");
        assert_eq!(at(frames), [(2, 1514), (1518, 1514), (3034, 60)]);
        assert_eq!(at(Grid::one(5).expect("valid")), [(0, 5)]);
    }

    #[test]
    fn what_cannot_be_counted_or_addressed_is_refused() {
        assert!(Grid::one(65_535).is_some() && Grid::one(65_536).is_none());
        assert!(Grid::new(65_535, 1, 1, [0, 0], 9).is_some() && Grid::new(65_536, 1, 1, [0, 0], 9).is_none());
        assert!(Grid::new(2, 1, usize::MAX / 2, [0, 1], 9).is_some());
        assert!(Grid::new(2, 1, usize::MAX / 2, [0, 2], 9).is_none());
        assert!(Grid::new(2, 1, usize::MAX / 2 + 1, [0, 0], 9).is_none());
    }
}
