//! Counts the slots that devices still have after their landing pool was dropped.
//!
//! A device writes into posted slots until its port is closed, even if the pool was dropped before. So the
//! memory is kept until its driver has given back every mbuf, and is counted here.

use std::sync::atomic::{AtomicU64, Ordering};

static SLOTS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Slots that devices may still write to although their pools were dropped, and the bytes of region that are
/// kept for them. Both are zero when the ports are closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwedByDevices {
    /// Posted slots.
    pub slots: u64,
    /// Bytes of landing region.
    pub bytes: u64,
}

/// What devices still have of pools that were dropped, in this process.
pub fn owed_by_devices() -> OwedByDevices {
    OwedByDevices { slots: SLOTS.load(Ordering::Relaxed), bytes: BYTES.load(Ordering::Relaxed) }
}

/// One pool's part of it.
pub(crate) struct Owed {
    slots: u64,
    bytes: u64,
}

impl Owed {
    pub(crate) fn count(slots: usize, bytes: usize) -> Self {
        let this = Self { slots: slots as u64, bytes: bytes as u64 };
        SLOTS.fetch_add(this.slots, Ordering::Relaxed);
        BYTES.fetch_add(this.bytes, Ordering::Relaxed);
        this
    }

    /// Notes that this many slots are still out.
    pub(crate) fn left(&mut self, slots: usize) {
        let slots = slots as u64;
        SLOTS.fetch_sub(self.slots.saturating_sub(slots), Ordering::Relaxed);
        self.slots = self.slots.min(slots);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        SLOTS.fetch_sub(self.slots, Ordering::Relaxed);
        BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
