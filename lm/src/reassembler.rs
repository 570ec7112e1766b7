//! Classic IPv4 reassembly (RFC 791, section 3.2) with one copy, for fragments whose headers are all known.
//!
//! Fragments come in any order. It is as safe with hostile input as with good:
//!
//! * Memory is constant: a fixed number of datagrams, one buffer each, and two bitmaps of 8-byte units that
//!   make the work per fragment proportional to its length, however small the fragments are.
//! * A fragment that overlaps another discards the whole datagram, as RFC 5722 asks for IPv6, and so do
//!   fragments that disagree about its end. The entry stays behind as a *tombstone* until its time is up, so
//!   that the rest of the datagram doesn't begin a new one.
//! * An exact duplicate (offset, length, flag and bytes) is tolerated, as RFC 8200, section 4.5 allows.
//! * Time is bounded: one second at most from the first fragment that arrived.
//! * When all entries are in use the oldest makes room.

mod bitmap;
mod partial;

use self::bitmap::UNIT;
use self::partial::{Fit, Partial};
use crate::counters::Reason;
use crate::wire::MAX_IP_PAYLOAD;

/// What the fragments of a datagram have in common (RFC 791, section 3.2): addresses in host order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key {
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
    /// Identification.
    pub id: u16,
    /// Protocol.
    pub protocol: u8,
}

/// Where buffers come from and go to.
pub trait Store {
    /// A buffer of at least 65,535 bytes, whatever is in them.
    type Buf: AsRef<[u8]> + AsMut<[u8]>;
    /// A buffer; `None`: out of memory.
    fn take(&mut self) -> Option<Self::Buf>;
    /// Takes back a buffer that is no longer needed.
    fn give(&mut self, buf: Self::Buf) {
        drop(buf);
    }
}

/// Bounds of a reassembler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams at once, tombstones included: 1 to [`Limits::MAX_DATAGRAMS`], others are taken as the nearest.
    pub datagrams: usize,
    /// How long a datagram may stay incomplete, in ns: at most [`Limits::MAX_TIMEOUT_NS`], which more is
    /// taken as.
    pub timeout_ns: u64,
}

impl Limits {
    /// The most datagrams at once: keys are looked up one after the other.
    pub const MAX_DATAGRAMS: usize = 64;
    /// One second.
    pub const MAX_TIMEOUT_NS: u64 = 1_000_000_000;
    /// The most fragments of one datagram: 48 bytes each, as over the smallest MTU of IPv4, 68 (RFC 791).
    pub const MAX_FRAGMENTS: u16 = MAX_IP_PAYLOAD.div_ceil(48) as u16;
}

impl Default for Limits {
    fn default() -> Self {
        Self { datagrams: 32, timeout_ns: Self::MAX_TIMEOUT_NS }
    }
}

/// A datagram that is all there.
#[derive(Debug)]
pub struct Assembled<B> {
    /// Whose it is.
    pub key: Key,
    /// Its IP payload, at the start.
    pub buf: B,
    /// Bytes of IP payload: 1 to 65,515.
    pub len: usize,
    /// In how many fragments it came, duplicates not counted.
    pub fragments: u16,
}

/// What became of a fragment.
#[derive(Debug)]
pub enum Outcome<B> {
    /// It is kept; others are missing.
    Pending,
    /// It was the last one missing. The buffer is the caller's.
    Whole(Assembled<B>),
    /// It was refused, perhaps with its whole datagram.
    Dropped(Reason),
    /// It had been here before, with the same bytes.
    Duplicate,
}

/// An entry in use, in the order of arrival of first fragments: so of deadlines, too.
struct Entry {
    key: Key,
    deadline: u64,
    /// Index of its `Partial`.
    slot: usize,
}

/// Makes datagrams whole. Call [`insert`](Self::insert) for each fragment, and [`expire`](Self::expire) now
/// and then; both with a clock that doesn't run backwards (if it does, it is taken as standing still).
pub struct Reassembler<B> {
    limits: Limits,
    now: u64,
    entries: Vec<Entry>,
    /// As many as there may be entries.
    partials: Vec<Partial<B>>,
    free: Vec<usize>,
    /// Datagrams that `insert` took away from others' fragments, for `expire` to report: how often.
    lost: Vec<(Key, Reason, u64)>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Reassembler<B> {
    /// Sets aside everything but the buffers: about 2 KB per datagram.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            datagrams: limits.datagrams.clamp(1, Limits::MAX_DATAGRAMS),
            timeout_ns: limits.timeout_ns.min(Limits::MAX_TIMEOUT_NS),
        };
        let n = limits.datagrams;
        Self {
            limits,
            now: 0,
            entries: Vec::with_capacity(n),
            partials: (0..n).map(|_| Partial::new(None)).collect(),
            free: (0..n).collect(),
            lost: Vec::with_capacity(n + 1),
        }
    }

    /// Datagrams that have an entry: incomplete ones and tombstones.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no datagram has an entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a fragment of `key` belongs to a datagram that has an entry, be it a tombstone.
    #[inline]
    pub fn contains(&self, key: &Key) -> bool {
        self.find(key).is_some()
    }

    /// Takes a fragment: `data` is the IP payload that it carries for the bytes from `offset` on, `more` says
    /// that others follow. Nothing of it is trusted.
    ///
    /// A fragment that is refused by itself ([`Reason::Empty`], [`Reason::Unaligned`], [`Reason::TooLong`],
    /// [`Reason::NoBuffer`]) leaves no entry. [`Reason::Overlap`], [`Reason::Inconsistent`] and
    /// [`Reason::TooMany`] discard its datagram; what comes of that later is [`Reason::Discarded`].
    pub fn insert(
        &mut self,
        now_ns: u64,
        key: Key,
        offset: u32,
        more: bool,
        data: &[u8],
        store: &mut impl Store<Buf = B>,
    ) -> Outcome<B> {
        self.now = self.now.max(now_ns);
        let (offset, len) = (offset as usize, data.len());
        if len == 0 {
            return Outcome::Dropped(Reason::Empty);
        }
        if !offset.is_multiple_of(UNIT) || (more && !len.is_multiple_of(UNIT)) {
            return Outcome::Dropped(Reason::Unaligned);
        }
        if offset > MAX_IP_PAYLOAD || len > MAX_IP_PAYLOAD - offset {
            return Outcome::Dropped(Reason::TooLong);
        }
        let at = match self.find(&key) {
            Some(at) if self.entries[at].deadline > self.now => at,
            overdue => {
                if let Some(at) = overdue
                    && let Some(buf) = self.lose(at, Reason::Timeout)
                {
                    store.give(buf);
                }
                match self.begin(key, store) {
                    Some(at) => at,
                    None => return Outcome::Dropped(Reason::NoBuffer),
                }
            }
        };
        let partial = &mut self.partials[self.entries[at].slot];
        let fit = partial.fit(offset, more, len);
        let Some(buf) = &mut partial.buf else { return Outcome::Dropped(Reason::Discarded) };
        let reason = match (buf.as_mut().get_mut(offset..offset + len), fit) {
            (_, Fit::Conflict(reason)) => reason,
            (None, _) => Reason::NoBuffer,
            (Some(bytes), Fit::Again) if *bytes == *data => return Outcome::Duplicate,
            (Some(_), Fit::Again) => Reason::Overlap,
            (Some(bytes), Fit::New) => {
                bytes.copy_from_slice(data);
                if !partial.add(offset, more, len) {
                    return Outcome::Pending;
                }
                let (len, fragments) = (partial.filled, partial.fragments);
                return match self.remove(at) {
                    Some(buf) => Outcome::Whole(Assembled { key, buf, len, fragments }),
                    None => Outcome::Dropped(Reason::Discarded),
                };
            }
        };
        if let Some(buf) = partial.buf.take() {
            store.give(buf);
        }
        Outcome::Dropped(reason)
    }

    /// Gives up a datagram that has an entry: whether it had, and was not a tombstone.
    pub fn discard(&mut self, key: &Key, store: &mut impl Store<Buf = B>) -> bool {
        let buf = self.find(key).and_then(|at| self.remove(at));
        let had = buf.is_some();
        buf.into_iter().for_each(|buf| store.give(buf));
        had
    }

    /// Gives up what is incomplete after its time, and reports it with [`Reason::Timeout`]. Datagrams that
    /// `insert` took the entry of are reported too, mostly with [`Reason::Evicted`]: each once, but under the
    /// key of another when there were more than [`Limits::datagrams`] since the last call. Tombstones go
    /// silently: they were reported when they were made. Costs next to nothing when nothing is due.
    #[inline]
    pub fn expire(
        &mut self,
        now_ns: u64,
        store: &mut impl Store<Buf = B>,
        mut report: impl FnMut(Key, Reason),
    ) {
        self.now = self.now.max(now_ns);
        for (key, reason, times) in self.lost.drain(..) {
            (0..times).for_each(|_| report(key, reason));
        }
        while let Some(&Entry { key, deadline, .. }) = self.entries.first()
            && deadline <= self.now
        {
            if let Some(buf) = self.remove(0) {
                store.give(buf);
                report(key, Reason::Timeout);
            }
        }
    }

    /// Gives back every buffer and forgets everything, without a report.
    pub fn clear(&mut self, store: &mut impl Store<Buf = B>) {
        while !self.entries.is_empty() {
            if let Some(buf) = self.remove(0) {
                store.give(buf);
            }
        }
        self.lost.clear();
    }

    /// Its place in `entries`. The newest is the likeliest.
    fn find(&self, key: &Key) -> Option<usize> {
        self.entries.iter().rposition(|e| e.key == *key)
    }

    /// A new entry for `key`, in the place of the oldest if there is no other.
    fn begin(&mut self, key: Key, store: &mut impl Store<Buf = B>) -> Option<usize> {
        let evicted = match self.entries.first() {
            Some(oldest) if self.free.is_empty() => {
                let reason = if oldest.deadline <= self.now { Reason::Timeout } else { Reason::Evicted };
                self.lose(0, reason)
            }
            _ => None,
        };
        let mut buf = evicted.or_else(|| store.take())?;
        if buf.as_mut().len() < MAX_IP_PAYLOAD {
            store.give(buf);
            return None;
        }
        let slot = self.free.pop()?;
        self.partials[slot] = Partial::new(Some(buf));
        self.entries.push(Entry { key, deadline: self.now.saturating_add(self.limits.timeout_ns), slot });
        Some(self.entries.len() - 1)
    }

    /// Removes an entry and notes what was lost, unless it was a tombstone.
    fn lose(&mut self, at: usize, reason: Reason) -> Option<B> {
        let key = self.entries[at].key;
        let buf = self.remove(at)?;
        let full = self.lost.len() >= self.limits.datagrams;
        match self.lost.iter_mut().rev().find(|(_, r, _)| full && *r == reason) {
            Some((_, _, times)) => *times += 1,
            None => self.lost.push((key, reason, 1)),
        }
        Some(buf)
    }

    fn remove(&mut self, at: usize) -> Option<B> {
        let entry = self.entries.remove(at);
        self.free.push(entry.slot);
        self.partials[entry.slot].buf.take()
    }
}

#[cfg(test)]
mod tests;
