//! How many bytes a datagram takes on a gigabit wire: each frame counts as at least 64 bytes, with check
//! sequence, preamble and gap.
//!
//! The transports call it to answer [`super::Transport::wire_bytes`], by which `--pace` is kept.

use lm_proto::layout::stride;
use lm_proto::wire::{FCS, HEADERS, MIN_FRAME, UDP};

/// Bytes of preamble and gap.
const GAP: usize = 20;

/// Bytes that frames of these lengths take; their check sequences are not in the lengths.
pub(super) fn on_wire(frames: impl Iterator<Item = usize>) -> usize {
    frames.map(|len| len.max(MIN_FRAME) + FCS + GAP).sum()
}

/// The lengths of a datagram's frames, as everybody but LM sends it.
pub(super) fn frames(payload: usize, mtu: u16) -> impl Iterator<Item = usize> {
    let (all, stride) = (payload + UDP, usize::from(stride(mtu)));
    (0..all.div_ceil(stride)).map(move |i| HEADERS + stride.min(all - i * stride))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By IEEE 802.3: 960.1 Mb/s for 7168 bytes, 961.6 for 65,507.
    #[test]
    fn wire_bytes_are_those_of_gigabit_ethernet() {
        let mbps = |n: usize| (n * 1000) as f64 / on_wire(frames(n, 1500)) as f64;
        assert_eq!((mbps(7168) * 10.0).round() as u64, 9601);
        assert_eq!((mbps(65_507) * 10.0).round() as u64, 9616);
        assert_eq!(on_wire(frames(1, 1500)), 84);
        assert_eq!(frames(7168, 1500).collect::<Vec<_>>(), [1514, 1514, 1514, 1514, 1290]);
    }
}
