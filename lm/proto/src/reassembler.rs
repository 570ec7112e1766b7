//! Classic IPv4 reassembly (RFC 791, section 3.2) with one copy, for fragments whose headers are all known.
//!
//! Fragments may arrive in any order. The reassembler is safe with hostile input:
//!
//! * Memory is constant: a fixed number of datagrams, one buffer each, and two bitmaps of 8-byte units that
//!   make the work per fragment proportional to its length, however small the fragments are.
//! * Work per fragment does not depend on the number of incomplete datagrams, with one exception: rule 4
//!   below looks at each of them once.
//! * A fragment that overlaps another discards the whole datagram, as RFC 5722 asks for IPv6, and so do
//!   fragments that disagree about its end. The entry stays behind as a *tombstone* until its time is up, so
//!   that the rest of the datagram doesn't begin a new one.
//! * An exact duplicate (offset, length, flag and bytes) is tolerated, as RFC 8200, section 4.5 allows.
//! * Fragments whose marks of explicit congestion notification exclude each other make no datagram (RFC 3168,
//!   section 5.3).
//! * Time is bounded: one second at most from the first fragment that arrived.
//!
//! When all entries are in use, a new datagram gets the first of these, or is refused:
//!
//! 1. an entry whose time is up;
//! 2. the entry that has been without a new fragment for the longest time, [`Limits::STILL_NS`] at least;
//! 3. the entry of the same source that has been without a new fragment for the longest time, if
//!    [`Limits::OVERTAKEN`] other datagrams of that source became whole since: senders send one datagram
//!    behind the other, so the rest of it was lost;
//! 4. if its source has less than its share, and another has more, an entry of a source that has the most: a
//!    tombstone, else the one with the fewest bytes, the newest of several. A share is the number of entries
//!    by the number of sources that have one, the new one among them, and at least one.
//!
//! So a datagram that is nearly whole is kept, and a flood from one source does not exclude others. A
//! datagram that was refused, or lost its entry to another one, cannot become whole. Its key is remembered
//! for as long as an entry would have lasted, so that its other fragments do not begin a new entry.

mod bitmap;
mod chains;
mod entries;
pub(crate) mod expected;
mod list;
mod lost;
mod partial;
pub(crate) mod piece;
mod refused;
mod sources;
pub(crate) mod waiting;
mod work;

use self::bitmap::UNIT;
use self::entries::Entries;
use self::lost::Lost;
use self::partial::{Fit, Partial};
use self::refused::Refused;
use crate::counters::Reason;
use crate::service::Service;
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

/// A fragment, as its IPv4 header describes it. Nothing of it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Where its bytes belong in the IP payload of the datagram.
    pub offset: u32,
    /// Whether others follow.
    pub more: bool,
    /// What its header says besides. The marks of congestion of all fragments count (RFC 3168, section 5),
    /// else those of the first one.
    pub service: Service,
    /// The IP payload that it carries.
    pub data: &'a [u8],
}

/// Gives buffers to the reassembler, and takes them back.
pub trait Store {
    /// A buffer of at least 65,535 bytes, whatever is in them.
    type Buf: AsRef<[u8]> + AsMut<[u8]>;
    /// Takes a buffer. `None`: there is none.
    fn take(&mut self) -> Option<Self::Buf>;
    /// Takes back a buffer that is no longer needed.
    fn give(&mut self, buf: Self::Buf) {
        drop(buf);
    }
}

/// Bounds of a reassembler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams at once, tombstones included: 1 to [`Limits::MAX_DATAGRAMS`], others are taken as the
    /// nearest.
    pub datagrams: usize,
    /// How long a datagram may stay incomplete, in ns: at most [`Limits::MAX_TIMEOUT_NS`], which more is
    /// taken as.
    pub timeout_ns: u64,
    /// Datagrams that may wait where they landed, beside those that are put together by copying: up to
    /// [`Limits::MAX_WAITING`]. 0: all are copied.
    pub waiting: usize,
    /// How many frames may come while a datagram waits. A datagram that takes longer is copied. This bounds
    /// the memory that waiting datagrams hold. 0: all are copied.
    pub window: u64,
}

impl Limits {
    /// The most datagrams at once. The choice of one that makes room takes this many steps.
    pub const MAX_DATAGRAMS: usize = 256;
    /// The most datagrams that wait where they landed.
    pub const MAX_WAITING: usize = 32_768;
    /// The most frames that may come meanwhile.
    pub const MAX_WINDOW: u64 = 1 << 17;
    /// How long a datagram without a new fragment keeps its entry, when all are in use and another begins: 50
    /// ms. The longest datagram takes less than 6 ms at 100 Mb/s, and 64 of them at once 34 ms at 1 Gb/s.
    pub const STILL_NS: u64 = 50_000_000;
    /// How many datagrams of the same source have to become whole before one that gets no new fragment gives
    /// its entry to another of that source, when all are in use. Networks move frames by less. At a loss of
    /// one fragment in ten, entries would else be full of what can't become whole.
    pub const OVERTAKEN: u32 = 16;
    /// One second.
    pub const MAX_TIMEOUT_NS: u64 = 1_000_000_000;
    /// The most fragments of one datagram: 48 bytes each, as over the smallest MTU of IPv4, 68 (RFC 791).
    pub const MAX_FRAGMENTS: u16 = MAX_IP_PAYLOAD.div_ceil(48) as u16;
}

impl Limits {
    /// The nearest limits that are allowed.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            datagrams: self.datagrams.clamp(1, Self::MAX_DATAGRAMS),
            timeout_ns: self.timeout_ns.min(Self::MAX_TIMEOUT_NS),
            waiting: self.waiting.min(Self::MAX_WAITING),
            window: self.window.min(Self::MAX_WINDOW),
        }
    }

    /// Bytes of memory that a reassembler takes for its tables, at most; buffers are extra.
    pub fn tables(self) -> usize {
        let Self { datagrams, waiting, window, .. } = self.bounded();
        datagrams * TABLES_PER_DATAGRAM + waiting::memory(waiting, window)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { datagrams: 64, timeout_ns: Self::MAX_TIMEOUT_NS, waiting: 8192, window: 8192 }
    }
}

/// A datagram whose fragments have all arrived.
#[derive(Debug)]
pub struct Assembled<B> {
    /// Its addresses, identification and protocol.
    pub key: Key,
    /// Its IP payload, at the start.
    pub buf: B,
    /// Bytes of IP payload: 1 to 65,515.
    pub len: usize,
    /// The number of fragments in which it came, without duplicates.
    pub fragments: u16,
    /// What the header of its first fragment said besides; congestion that one of them met is marked (RFC
    /// 3168, section 5.3).
    pub service: Service,
}

/// What became of a fragment.
#[derive(Debug)]
pub enum Outcome<B> {
    /// It is kept, and others are missing.
    Pending,
    /// It was the last one missing. The buffer is the caller's.
    Whole(Assembled<B>),
    /// It was refused, perhaps with its whole datagram.
    Dropped(Reason),
    /// It has come before, with the same bytes.
    Duplicate,
}

/// Two bitmaps of 1 KiB, and all that is kept of entries, sources, losses and refused datagrams.
const TABLES_PER_DATAGRAM: usize = 3 << 10;

const _: () = assert!(
    Limits::MAX_DATAGRAMS * refused::KEYS_PER_DATAGRAM < u16::MAX as usize,
    "places in tables and lists are counted in 16 bits"
);

/// Makes datagrams whole. Call [`insert`](Self::insert) for each fragment, and [`expire`](Self::expire) now
/// and then; both with a clock that doesn't run backwards (if it does, it is taken as standing still).
pub struct Reassembler<B> {
    limits: Limits,
    now: u64,
    entries: Entries,
    /// One for each slot of an entry.
    partials: Box<[Partial<B>]>,
    refused: Refused,
    lost: Lost,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Reassembler<B> {
    /// Allocates everything but the buffers: see [`Limits::tables`]. Nothing is allocated later.
    pub fn new(limits: Limits) -> Self {
        let limits = limits.bounded();
        let n = limits.datagrams;
        Self {
            limits,
            now: 0,
            entries: Entries::new(n),
            partials: (0..n).map(|_| Partial::new()).collect(),
            refused: Refused::new(n * refused::KEYS_PER_DATAGRAM),
            lost: Lost::new(n),
        }
    }

    /// Datagrams that have an entry: incomplete ones and tombstones.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no datagram has an entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Whether a fragment of `key` belongs to a datagram that has an entry, be it a tombstone.
    #[inline]
    pub fn contains(&self, key: &Key) -> bool {
        !self.is_empty() && self.entries.find(key, self.entries.hash(key)).is_some()
    }

    /// The offset of the first byte of this datagram that has arrived. `None`: none has.
    pub fn lowest(&self, key: &Key) -> Option<usize> {
        let partial = &self.partials[self.entries.find(key, self.entries.hash(key))?];
        partial.buf.as_ref().and_then(|_| partial.lowest())
    }

    /// How many fragments of this datagram have arrived, without duplicates.
    pub(crate) fn fragments(&self, key: &Key) -> u64 {
        let slot = self.entries.find(key, self.entries.hash(key));
        let partial = slot.map(|slot| &self.partials[slot]).filter(|partial| partial.buf.is_some());
        partial.map_or(0, |partial| partial.fragments.into())
    }

    /// Notes the marks of congestion, a bit for each, of duplicates of what has arrived of this datagram.
    pub(crate) fn mark(&mut self, key: &Key, marks: u8) {
        if let Some(slot) = self.entries.find(key, self.entries.hash(key)) {
            self.partials[slot].marks |= marks;
        }
    }

    /// Whether a fragment of `key` belongs to a datagram that has an entry, or to one that was refused.
    #[inline]
    pub(crate) fn knows(&mut self, key: &Key) -> bool {
        if self.is_empty() && self.refused.is_empty() {
            return false;
        }
        let hash = self.entries.hash(key);
        self.entries.find(key, hash).is_some() || self.refused.find(key, hash, self.now).is_some()
    }

    /// Why a fragment of this shape is refused by itself, if it is.
    #[inline]
    pub(crate) fn refusal(offset: usize, more: bool, len: usize) -> Option<Reason> {
        if len == 0 {
            return Some(Reason::Empty);
        }
        if !offset.is_multiple_of(UNIT) || (more && !len.is_multiple_of(UNIT)) {
            return Some(Reason::Unaligned);
        }
        (offset > MAX_IP_PAYLOAD || len > MAX_IP_PAYLOAD - offset).then_some(Reason::TooLong)
    }

    /// Takes a fragment of the datagram `key`.
    ///
    /// A fragment that is refused by itself ([`Reason::Empty`], [`Reason::Unaligned`], [`Reason::TooLong`])
    /// leaves no trace. [`Reason::ReassemblerFull`] and [`Reason::NoBuffer`] leave no entry, but what comes
    /// of the datagram later has the same reason. [`Reason::Overlap`], [`Reason::Inconsistent`] and
    /// [`Reason::TooMany`] discard the datagram; what comes of it later is [`Reason::Discarded`], as behind
    /// an eviction. [`Reason::Ecn`] is the end of a datagram that would be whole: nothing of it is left.
    pub fn insert(
        &mut self,
        now_ns: u64,
        key: Key,
        fragment: Fragment<'_>,
        store: &mut impl Store<Buf = B>,
    ) -> Outcome<B> {
        self.now = self.now.max(now_ns);
        let Fragment { offset, more, service, data } = fragment;
        let (offset, len) = (offset as usize, data.len());
        if let Some(reason) = Self::refusal(offset, more, len) {
            return Outcome::Dropped(reason);
        }
        let hash = self.entries.hash(&key);
        let slot = match self.entries.find(&key, hash) {
            Some(slot) if self.entries.entry(slot).deadline > self.now => slot,
            overdue => {
                if let Some(slot) = overdue
                    && let Some(buf) = self.lose(slot, Reason::Timeout)
                {
                    store.give(buf);
                }
                match self.begin(key, hash, store) {
                    Ok(slot) => slot,
                    Err(reason) => return Outcome::Dropped(reason),
                }
            }
        };
        let partial = &mut self.partials[slot];
        let fit = partial.fit(offset, more, len);
        let Some(buf) = &mut partial.buf else { return Outcome::Dropped(Reason::Discarded) };
        let reason = match (buf.as_mut().get_mut(offset..offset + len), fit) {
            (_, Fit::Conflict(reason)) => reason,
            (None, _) => Reason::NoBuffer,
            (Some(bytes), Fit::Again) if *bytes == *data => {
                partial.mark(offset, service);
                return Outcome::Duplicate;
            }
            (Some(_), Fit::Again) => Reason::Overlap,
            (Some(bytes), Fit::New) => {
                bytes.copy_from_slice(data);
                partial.mark(offset, service);
                if partial.add(offset, more, len) {
                    return self.complete(slot, store);
                }
                self.entries.progress(slot, self.now);
                return Outcome::Pending;
            }
        };
        if let Some(buf) = partial.buf.take() {
            store.give(buf);
        }
        Outcome::Dropped(reason)
    }

    /// Gives up a datagram. Returns whether it had an entry that was not a tombstone.
    pub fn discard(&mut self, key: &Key, store: &mut impl Store<Buf = B>) -> bool {
        let slot = self.entries.find(key, self.entries.hash(key));
        let buf = slot.and_then(|slot| self.remove(slot));
        let had = buf.is_some();
        buf.into_iter().for_each(|buf| store.give(buf));
        had
    }

    /// Gives up what is incomplete after its time, one by one, the oldest first, and reports it with
    /// [`Reason::Timeout`]. Datagrams that `insert` took the entry of are reported too, mostly with
    /// [`Reason::Evicted`]: each once, but under the key of another when there were more than
    /// [`Limits::datagrams`] since the last call. Tombstones go silently: they were reported when they were
    /// made. Costs next to nothing when nothing is due.
    #[inline]
    pub fn expire(
        &mut self,
        now_ns: u64,
        store: &mut impl Store<Buf = B>,
        mut report: impl FnMut(Key, Reason),
    ) {
        self.now = self.now.max(now_ns);
        if !self.lost.is_empty() {
            self.lost.drain(&mut report);
        }
        while let Some((slot, &entry)) = self.entries.oldest()
            && entry.deadline <= self.now
        {
            if let Some(buf) = self.remove(slot) {
                store.give(buf);
                report(entry.key, Reason::Timeout);
            }
        }
    }

    /// Gives back every buffer and forgets everything. What is incomplete is reported as if its time were up:
    /// it will not become whole.
    pub fn clear(&mut self, store: &mut impl Store<Buf = B>, mut report: impl FnMut(Key, Reason)) {
        self.lost.drain(&mut report);
        while let Some((slot, &entry)) = self.entries.oldest() {
            if let Some(buf) = self.remove(slot) {
                store.give(buf);
                report(entry.key, Reason::Timeout);
            }
        }
        self.refused.clear();
    }

    /// A new entry for `key`, or why there is none.
    fn begin(&mut self, key: Key, hash: u32, store: &mut impl Store<Buf = B>) -> Result<usize, Reason> {
        if let Some(reason) = self.refused.find(&key, hash, self.now) {
            return Err(reason);
        }
        let mut evicted = None;
        if self.entries.is_full() {
            let Some((slot, reason)) = self.room(key.src) else {
                return Err(self.refuse(key, hash, Reason::ReassemblerFull));
            };
            evicted = self.lose(slot, reason);
        }
        let Some(mut buf) = evicted.or_else(|| store.take()) else {
            return Err(self.refuse(key, hash, Reason::NoBuffer));
        };
        if buf.as_mut().len() < MAX_IP_PAYLOAD {
            store.give(buf);
            return Err(self.refuse(key, hash, Reason::NoBuffer));
        }
        let Some(slot) = self.entries.add(key, hash, self.now, self.until()) else {
            store.give(buf);
            return Err(self.refuse(key, hash, Reason::ReassemblerFull));
        };
        self.partials[slot].begin(buf);
        Ok(slot)
    }

    /// The deadline of a datagram that begins now.
    fn until(&self) -> u64 {
        self.now.saturating_add(self.limits.timeout_ns)
    }

    /// Remembers a datagram of which a fragment was refused.
    fn refuse(&mut self, key: Key, hash: u32, reason: Reason) -> Reason {
        self.refused.add(key, hash, self.until(), reason);
        reason
    }

    /// Chooses the entry that a new datagram of this source gets when all are in use, and says why.
    fn room(&self, source: u32) -> Option<(usize, Reason)> {
        if let Some((slot, oldest)) = self.entries.oldest()
            && oldest.deadline <= self.now
        {
            return Some((slot, Reason::Timeout));
        }
        if let Some((slot, stillest)) = self.entries.stillest()
            && stillest.progress.saturating_add(Limits::STILL_NS) <= self.now
        {
            return Some((slot, Reason::Evicted));
        }
        if let Some((slot, times)) = self.entries.overtaken(source)
            && times >= Limits::OVERTAKEN
        {
            return Some((slot, Reason::Evicted));
        }
        // Of equal ones `min_by_key` takes the first.
        let worth = |slot: &usize| {
            let partial = &self.partials[*slot];
            if partial.buf.is_some() { partial.filled } else { 0 }
        };
        self.entries.newest_displaceable(source).min_by_key(worth).map(|slot| (slot, Reason::Evicted))
    }

    /// Completes a datagram, whose last missing fragment has arrived.
    fn complete(&mut self, slot: usize, store: &mut impl Store<Buf = B>) -> Outcome<B> {
        let key = self.entries.entry(slot).key;
        let partial = &self.partials[slot];
        let (len, fragments, conflict) = (partial.filled, partial.fragments, partial.marks_conflict());
        let service = partial.service();
        self.entries.complete(slot);
        match self.partials[slot].buf.take() {
            Some(buf) if conflict => {
                store.give(buf);
                Outcome::Dropped(Reason::Ecn)
            }
            Some(buf) => Outcome::Whole(Assembled { key, buf, len, fragments, service }),
            None => Outcome::Dropped(Reason::Discarded),
        }
    }

    /// Takes an entry away. What was lost is noted, unless it was a tombstone, and remembered if it could
    /// have become whole in time.
    fn lose(&mut self, slot: usize, reason: Reason) -> Option<B> {
        let (key, hash) = (self.entries.entry(slot).key, self.entries.hash_of(slot));
        if reason == Reason::Evicted {
            self.refuse(key, hash, Reason::Discarded);
        }
        let buf = self.remove(slot)?;
        self.lost.add(key, reason);
        Some(buf)
    }

    fn remove(&mut self, slot: usize) -> Option<B> {
        work::step();
        self.entries.remove(slot);
        self.partials[slot].buf.take()
    }
}

#[cfg(test)]
mod tests;
