//! Faults of drivers in some releases of DPDK, as one table. It is used when the program runs, because the
//! library may be another update than at build time.
//!
//! `demands` asks it when a port is checked, and `lm-node` and lm-netpipe ask for the room that headers
//! need. A row says in which releases the fault is, from one to another.

use rte::Release;

use crate::devargs::{Devargs, Memif};

/// A fault of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quirk {
    /// net_memif, sending: if the mbufs of a burst all come from one pool, and its room is no larger than a
    /// buffer, each segment is sent in a buffer of its own.
    SegmentsApart,
    /// net_memif, receiving: if the room of mbufs is no smaller than a buffer, 32 mbufs are taken at a time,
    /// and those that are not used are given back.
    TakesInAdvance,
    /// net_memif, receiving from a peer that sends chains of buffers: the contents of the second buffer
    /// overwrite those of the first.
    GarblesChains,
    /// net_memif, receiving with `zero-copy=yes`: the driver fills a part of its ring that goes past the
    /// end, and writes beyond it.
    OverrunsRing,
}

/// The quirk, the first release that has it, and the first that has it no longer.
type Row = (Quirk, Release, Release);

/// No release without it is known.
const NEVER: Release = Release(u32::MAX, 0, 0);

const TABLE: &[Row] = &[
    (Quirk::SegmentsApart, Release(23, 3, 0), NEVER),
    (Quirk::TakesInAdvance, Release(23, 3, 0), NEVER),
    // Mended in the stable updates of 24.11 and 25.11.
    (Quirk::GarblesChains, Release(23, 3, 0), Release(24, 11, 5)),
    (Quirk::GarblesChains, Release(25, 3, 0), Release(25, 11, 1)),
    // Mended in 24.11, and in the stable updates of 22.11 and 23.11.
    (Quirk::OverrunsRing, Release(0, 0, 0), Release(22, 11, 7)),
    (Quirk::OverrunsRing, Release(23, 3, 0), Release(23, 11, 3)),
    (Quirk::OverrunsRing, Release(24, 3, 0), Release(24, 11, 0)),
];

impl Quirk {
    /// Whether this release has it.
    pub fn is_in(self, release: Release) -> bool {
        TABLE.iter().any(|&(quirk, first, end)| quirk == self && (first..end).contains(&release))
    }
}

/// The room of the mbufs that frames begin with, in bytes with the headroom, on a port with this driver and
/// these device arguments. It is `least`. On net_memif with [`Quirk::SegmentsApart`] it is more than a
/// buffer, so that a frame of several mbufs stays in one buffer.
pub fn header_room(least: u16, driver: &str, args: &str, dpdk: Release) -> u16 {
    if driver != "net_memif" || !Quirk::SegmentsApart.is_in(dpdk) {
        return least;
    }
    let buffer = Memif::of(&Devargs::parse(args)).bsize.saturating_add(128 + 64);
    least.max(u16::try_from(buffer).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_more_room_than_a_buffer_of_memif_has() {
        let room = |driver, args, dpdk| header_room(320, driver, args, dpdk);
        assert_eq!(room("net_memif", "id=0", Release(22, 11, 0)), 320);
        assert_eq!(room("net_e1000_igb", "", Release(24, 11, 0)), 320);
        assert!(room("net_memif", "id=0", Release(23, 3, 0)) > 128 + 2048);
        assert!(room("net_memif", "id=0,bsize=9014", Release(24, 11, 0)) > 128 + 9014);
        assert_eq!(room("net_memif", "bsize=99999", Release(24, 11, 0)), u16::MAX);
        assert_eq!(room("net_memif", "bsize=64", Release(24, 11, 0)), 320, "never less than was asked for");
    }

    #[test]
    fn updates_end_what_they_mend() {
        let garbles = |update| Quirk::GarblesChains.is_in(update);
        assert!(!garbles(Release(22, 11, 11)));
        assert!(garbles(Release(23, 11, 2)) && garbles(Release(24, 11, 4)) && garbles(Release(25, 11, 0)));
        assert!(!garbles(Release(24, 11, 8)) && !garbles(Release(25, 11, 4)) && !garbles(Release(26, 3, 0)));
        assert!(!Quirk::SegmentsApart.is_in(Release(22, 11, 11)));
        assert!(Quirk::SegmentsApart.is_in(Release(26, 7, 0)));
        let overruns = |update| Quirk::OverrunsRing.is_in(update);
        assert!(overruns(Release(22, 11, 0)) && overruns(Release(22, 11, 6)) && overruns(Release(21, 11, 9)));
        assert!(overruns(Release(23, 11, 2)) && overruns(Release(24, 7, 0)));
        assert!(
            !overruns(Release(22, 11, 7)) && !overruns(Release(23, 11, 3)) && !overruns(Release(24, 11, 0))
        );
    }
}
