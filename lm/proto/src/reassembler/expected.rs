//! [`Expected`]: which headers the next fragment of a datagram will have.
//!
//! Most stacks send the fragments of a datagram in forward order. Each header is then that of the fragment
//! before it with another offset, and the checksum that follows from this. So three comparisons tell where
//! such a fragment belongs, and that its header is good. The last fragment has another length, and is not
//! expected.
//!
//! The table is small, and a datagram whose place another one has taken is only slower. Where thousands of
//! datagrams come at once, the table would cost more than it saves, as it is one more place in memory for
//! each fragment. So nothing is expected then.

use super::Key;
use super::waiting::PLACES as NUMBERS;
use crate::raw_headers::RawHeaders;
use crate::wire::MAX_IP_PAYLOAD;

/// How many datagrams have a place.
const PLACES: usize = 1024;
/// While more datagrams than this wait, nothing is expected, until fewer than half as many do.
const MANY: usize = if cfg!(test) { 2 } else { PLACES / 2 };
/// The number that stands for no entry.
const NONE: u32 = u32::MAX;

/// A fragment that is expected: the fragments before it of its datagram are all here, in order, and no other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    headers: RawHeaders,
    /// The entry of its datagram in [`Waiting`](super::waiting::Waiting).
    slot: u32,
    /// Its number.
    pub(crate) number: u8,
    /// The largest number that may be expected.
    most: u8,
    /// Bytes of its payload.
    pub(crate) len: u16,
}

impl Next {
    /// The entry of its datagram.
    #[inline]
    pub(crate) fn slot(&self) -> usize {
        self.slot as usize
    }
}

/// No fragment.
const NOTHING: Next = Next { headers: RawHeaders::ZERO, slot: NONE, number: 0, most: 0, len: 0 };

/// The expected fragments.
pub(crate) struct Expected {
    places: Box<[Next]>,
    /// Whether anything is expected. If not, the table is empty.
    is_on: bool,
    /// Tests compare: nothing is expected, and all headers are parsed.
    #[cfg(test)]
    pub(crate) off: bool,
}

impl Expected {
    /// Nothing is expected.
    pub(crate) fn new() -> Self {
        Self {
            places: vec![NOTHING; PLACES].into(),
            is_on: true,
            #[cfg(test)]
            off: false,
        }
    }

    /// Bytes of a table.
    pub(crate) const fn memory() -> usize {
        PLACES * size_of::<Next>()
    }

    /// Whether anything is expected.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// So many datagrams wait now: one more than before, or one less.
    #[inline]
    pub(crate) fn there_are(&mut self, waiting: usize) {
        if self.is_on && waiting > MANY {
            self.is_on = false;
            self.places.fill(NOTHING);
        } else if !self.is_on && waiting <= MANY / 2 {
            self.is_on = true;
        }
    }

    #[inline]
    fn place(&mut self, src: u32, dst: u32, id: u16) -> &mut Next {
        // Neighbouring addresses and identifications get different places.
        let key = (u64::from(src) << 32 | u64::from(dst)) ^ u64::from(id) << 20;
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &mut self.places[(hash >> (u64::BITS - PLACES.ilog2())) as usize]
    }

    /// The expected fragment that has these headers.
    #[inline]
    pub(crate) fn find(&mut self, headers: RawHeaders) -> Option<&mut Next> {
        #[cfg(test)]
        if self.off {
            return None;
        }
        let next = self.place(headers.src(), headers.dst(), headers.id());
        (next.slot != NONE && next.headers.are_same(headers)).then_some(next)
    }

    /// The expected fragment is here. From now on the fragment behind it is, if there may be one.
    #[inline]
    pub(crate) fn go_on(next: &mut Next) {
        if next.number < next.most {
            next.headers = next.headers.further(next.len);
            next.number += 1;
        } else {
            next.slot = NONE;
        }
    }

    /// Fragment `number` of the datagram in entry `slot` is here, and all before it. It has these headers and
    /// `len` bytes of payload. The next one is expected.
    #[inline]
    pub(crate) fn begin(&mut self, headers: RawHeaders, slot: usize, number: usize, len: u16) {
        if !self.is_on {
            return;
        }
        let most = (MAX_IP_PAYLOAD / usize::from(len.max(1))).min(NUMBERS).saturating_sub(1) as u8;
        let next = self.place(headers.src(), headers.dst(), headers.id());
        *next = Next { headers, slot: slot as u32, number: number as u8, most, len };
        Self::go_on(next);
    }

    /// Nothing is expected of the datagram with this key, which is in entry `slot`.
    #[inline]
    pub(crate) fn forget(&mut self, key: &Key, slot: usize) {
        if !self.is_on {
            return;
        }
        let next = self.place(key.src, key.dst, key.id);
        if next.slot == slot as u32 {
            next.slot = NONE;
        }
    }
}
