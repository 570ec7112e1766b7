//! [`Waiting`]: datagrams whose fragments wait where they landed, to be given out without a copy.
//!
//! A stack that sends in the ordinary way cuts a datagram into fragments of equal length, of which the last
//! one may be shorter. So a fragment has a number, which is its offset divided by that length, and a bitmap
//! of 128 bits tells whether all are here. A datagram that was cut in another way, or for which there is no
//! room, goes on in the [`Reassembler`](super::Reassembler), which takes any fragments and copies them.
//!
//! As in the reassembler, memory is constant, and a fragment costs a constant number of steps, whoever sends
//! it:
//!
//! * A fixed number of datagrams may wait. A source may begin another one only if it has no more entries than
//!   are free. So a source that sends nothing but first fragments gets half of the entries, a second one a
//!   quarter, and so on, and there is nearly always an entry for a new source. Sources are counted in buckets
//!   that a secret hash chooses.
//! * Fragments that wait hold slots, and the memory between them cannot be used again either. So a datagram
//!   waits until its time is over, or until [`Limits::window`] frames have come, whichever is first. All
//!   slots that are held were filled by the newest frames, and so this number bounds them.

use super::chains::{Chains, Seeds};
use super::expected::Expected;
use super::list::Lists;
use super::piece::{Piece, Place, Shape};
use super::{Key, Limits};
use crate::frame::FRONT;
use crate::raw_headers::RawHeaders;
use crate::service::Service;

/// The most fragments of a datagram that waits. The largest datagram has as many if a fragment has 512 bytes.
/// At an MTU of 576, which every IPv4 host accepts (RFC 791), a fragment has 552 bytes.
pub(crate) const PLACES: usize = u128::BITS as usize;
/// How many fragments a block has room for. They have successive numbers.
const BLOCK: usize = 8;
/// How many buckets sources are counted in.
const BUCKETS: usize = 1 << 12;
/// The number that stands for no block.
const NONE: u32 = u32::MAX;

/// A datagram that waits.
#[derive(Clone, Copy)]
struct Entry {
    /// A bit for each fragment that is here.
    here: u128,
    key: Key,
    hash: u32,
    /// The sum of the payloads so far, without the UDP header. Payloads are not summed any more once it is
    /// known that the datagram has no checksum.
    sum: u64,
    deadline: u64,
    /// The number of frames that had come when it began.
    begun: u64,
    /// Bytes of every fragment but the last. It is an assumption as long as no fragment but the last is here.
    unit: u16,
    /// Bytes of the last fragment.
    last_len: u16,
    /// The number of the last fragment. [`OPEN`]: it is not here.
    last: u8,
    /// The marks of explicit congestion notification that fragments had, a bit for each of the four marks.
    marks: u8,
    /// The service of the first fragment, once that is here.
    first: Service,
    /// The bucket that its source is counted in.
    bucket: u16,
    /// The first bytes of the first fragment, once that is here.
    front: [u8; FRONT],
    /// The blocks with its fragments, by number. [`NONE`]: none of these fragments is here.
    blocks: [u32; PLACES / BLOCK],
}

/// The value of [`Entry::last`] while the last fragment is not here.
const OPEN: u8 = u8::MAX;
const _: () = assert!(PLACES < OPEN as usize && PLACES.is_multiple_of(BLOCK));

/// What is known of a datagram that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingInfo {
    pub(crate) key: Key,
    /// The sum of all its payload, without the UDP header, if it has a checksum.
    pub(crate) sum: u64,
    /// Its UDP header, if its first fragment is here.
    pub(crate) front: [u8; FRONT],
    /// Bytes of every fragment but the last.
    pub(crate) unit: usize,
    /// The number of the last fragment, if that is here.
    pub(crate) last: Option<usize>,
    /// Bytes of its IP payload, if the last fragment is here. Else 0.
    pub(crate) len: usize,
    /// The marks of explicit congestion notification that fragments had, a bit for each of the four marks.
    pub(crate) marks: u8,
    /// The service of the first fragment, if that is here.
    pub(crate) first: Service,
    here: u128,
    blocks: [u32; PLACES / BLOCK],
}

impl WaitingInfo {
    /// How many fragments are here.
    pub(crate) fn fragments(&self) -> u16 {
        self.here.count_ones() as u16
    }

    /// The service that the whole datagram is given out with.
    pub(crate) fn service(&self) -> Service {
        self.first.with_marks(self.marks)
    }
}

/// Whether a datagram with these first bytes has a UDP checksum.
#[inline]
pub(crate) fn has_checksum(front: &[u8; FRONT]) -> bool {
    front[FRONT - 2..] != [0; 2]
}

/// The most bytes of a [`Piece`] with its token.
const PIECE: usize = 48;

/// The most bytes of a table for so many datagrams and this window.
pub(crate) fn memory(datagrams: usize, window: u64) -> usize {
    let blocks = most_blocks(datagrams, window);
    // Beside its entry, a datagram needs links, a place in the chains, and a place in the list of free
    // entries.
    datagrams * (size_of::<Entry>() + 24)
        + blocks * (BLOCK * PIECE + size_of::<u32>())
        + 2 * BUCKETS
        + Expected::memory()
}

/// How many blocks are enough: all blocks of all entries, or one for each frame that may be held.
fn most_blocks(datagrams: usize, window: u64) -> usize {
    (datagrams * PLACES / BLOCK).min(usize::try_from(window).unwrap_or(usize::MAX))
}

/// The table of datagrams that wait. `S` is the token of a slot.
pub(crate) struct Waiting<S> {
    seeds: Seeds,
    chains: Chains,
    /// As many entries as were ever in use at once. Those that are not in use now are in `free`.
    entries: Vec<Entry>,
    most: usize,
    free: Vec<u16>,
    /// The entry of the last fragment. `usize::MAX`: it is not in use any more.
    recent: usize,
    /// What comes next of datagrams in forward order.
    pub(crate) expected: Expected,
    by_age: Lists,
    /// How many entries the sources of each bucket have.
    sources: Box<[u16]>,
    blocks: Vec<[Option<Piece<S>>; BLOCK]>,
    most_blocks: usize,
    free_blocks: Vec<u32>,
    /// How many fragments wait.
    frames: usize,
    timeout: u64,
    window: u64,
    now: u64,
}

impl<S> Waiting<S> {
    /// An empty table with these limits. Nothing is allocated later.
    pub(crate) fn new(limits: Limits) -> Self {
        let Limits { waiting, timeout_ns: timeout, window, .. } = limits.bounded();
        let most = if window == 0 { 0 } else { waiting };
        let most_blocks = most_blocks(most, window);
        Self {
            seeds: Seeds::new(),
            chains: Chains::new(most),
            entries: Vec::with_capacity(most),
            most,
            free: Vec::with_capacity(most),
            recent: usize::MAX,
            expected: Expected::new(),
            by_age: Lists::new(most, 1),
            sources: vec![0; if most > 0 { BUCKETS } else { 1 }].into(),
            blocks: Vec::with_capacity(most_blocks),
            most_blocks,
            free_blocks: Vec::with_capacity(most_blocks),
            frames: 0,
            timeout,
            window,
            now: 0,
        }
    }

    /// How many fragments wait. Each of them holds a slot.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// How many datagrams wait.
    #[inline]
    fn in_use(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether no datagram waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.in_use() == 0
    }

    /// Whether the limits let any datagram wait.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.most > 0
    }

    #[inline]
    pub(crate) fn hash(&self, key: &Key) -> u32 {
        self.seeds.hash([key.src, key.dst, u32::from(key.id) << 8 | u32::from(key.protocol)])
    }

    #[inline]
    pub(crate) fn find(&self, key: &Key, hash: u32) -> Option<usize> {
        self.chains.find(hash, |slot| self.entries[slot].key == *key)
    }

    /// The entry of a key, if it is that of the fragment before. A datagram's fragments often follow one
    /// another, and [`Self::find`] takes several times as long.
    #[inline]
    pub(crate) fn find_again(&self, key: &Key) -> Option<usize> {
        self.entries.get(self.recent).is_some_and(|entry| entry.key == *key).then_some(self.recent)
    }

    /// Notes that the next fragment may be of this datagram, for [`Self::find_again`].
    #[inline]
    pub(crate) fn expect(&mut self, slot: usize) {
        self.recent = slot;
    }

    /// Whether a datagram of this key waits.
    #[inline]
    pub(crate) fn contains(&self, key: &Key) -> bool {
        !self.is_empty() && self.find(key, self.hash(key)).is_some()
    }

    /// Whether the time of the datagram in this entry is over.
    #[inline]
    pub(crate) fn is_over(&self, slot: usize, now: u64) -> bool {
        self.entries[slot].deadline <= now.max(self.now)
    }

    /// A new entry for a key that has none. `None`: all entries or blocks are in use, or the source has more
    /// than its share. `unit` is the length of a fragment that is assumed if the last fragment comes first.
    pub(crate) fn begin(&mut self, key: Key, hash: u32, now: u64, frames: u64, unit: u16) -> Option<usize> {
        self.now = self.now.max(now);
        let bucket = self.seeds.hash([key.src, 0, 0]) as usize % self.sources.len();
        let free = self.most - self.in_use();
        let has = usize::from(self.sources[bucket]);
        if free == 0 || has > free || !self.has_block() {
            return None;
        }
        let entry = Entry {
            here: 0,
            key,
            hash,
            sum: 0,
            deadline: self.now.saturating_add(self.timeout),
            begun: frames,
            unit,
            last_len: 0,
            last: OPEN,
            marks: 0,
            first: Service::default(),
            bucket: bucket as u16,
            front: [0; FRONT],
            blocks: [NONE; PLACES / BLOCK],
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[usize::from(slot)] = entry;
            usize::from(slot)
        } else {
            self.entries.push(entry);
            self.entries.len() - 1
        };
        self.sources[bucket] += 1;
        self.expected.there_are(self.in_use());
        self.chains.add(hash, slot);
        self.by_age.push(0, slot);
        self.recent = slot;
        Some(slot)
    }

    /// Where a fragment belongs in this datagram.
    #[inline]
    pub(crate) fn place(&self, slot: usize, shape: &Shape) -> Place {
        let entry = &self.entries[slot];
        let unit = if shape.more && entry.here == 0 { shape.len } else { usize::from(entry.unit) };
        // 32 bits are divided faster than 64.
        let number = (shape.offset as u32 / unit.max(1) as u32) as usize;
        if number >= PLACES || number * unit != shape.offset {
            return Place::Odd;
        }
        let there = entry.here >> number & 1 != 0;
        let (last, last_len) = (usize::from(entry.last), usize::from(entry.last_len));
        match shape.more {
            true if shape.len != unit || (entry.last != OPEN && number >= last) => Place::Odd,
            true if there => Place::Again(number),
            true => Place::New(number),
            false if there && number == last && shape.len == last_len => Place::Again(number),
            false if entry.here >> number != 0 || entry.last != OPEN || shape.len > unit => Place::Odd,
            false => Place::New(number),
        }
    }

    /// Whether the payload of the next fragment of this datagram has to be summed. It need not be if the
    /// first fragment is here and says that the datagram has no checksum.
    #[inline]
    pub(crate) fn sums(&self, slot: usize) -> bool {
        let entry = &self.entries[slot];
        entry.here & 1 == 0 || has_checksum(&entry.front)
    }

    /// Notes the service of a fragment with this number, which may be a duplicate.
    #[inline]
    pub(crate) fn mark(&mut self, slot: usize, number: usize, service: Service) {
        let entry = &mut self.entries[slot];
        entry.marks |= 1 << (service.tos & 3);
        if number == 0 {
            entry.first = service;
        }
    }

    /// Whether there is room for a fragment with this number.
    #[inline]
    pub(crate) fn has_room(&self, slot: usize, number: usize) -> bool {
        self.entries[slot].blocks.get(number / BLOCK).is_some_and(|&block| block != NONE) || self.has_block()
    }

    /// Whether a block is free.
    #[inline]
    fn has_block(&self) -> bool {
        !self.free_blocks.is_empty() || self.blocks.len() < self.most_blocks
    }

    /// The offset of the first fragment of this datagram that is here. `None`: none is here.
    pub(crate) fn lowest(&self, key: &Key) -> Option<usize> {
        let entry = &self.entries[self.find(key, self.hash(key))?];
        (entry.here != 0).then(|| entry.here.trailing_zeros() as usize * usize::from(entry.unit))
    }

    /// The fragment with this number, if it is here.
    #[inline]
    pub(crate) fn piece(&self, slot: usize, number: usize) -> Option<&Piece<S>> {
        let block = *self.entries[slot].blocks.get(number / BLOCK)?;
        self.blocks.get(block as usize)?[number % BLOCK].as_ref()
    }

    /// Adds a fragment whose place is [new](Place::New). Returns true if the datagram is whole now. `sum` is
    /// the sum of its payload, without the UDP header. `front` has its first bytes if it is the first
    /// fragment. `headers` are those of the fragment, if they tell what the next one's will be.
    ///
    /// # Errors
    /// The piece: there is no room for it.
    #[inline]
    pub(crate) fn add(
        &mut self,
        (slot, number): (usize, usize),
        shape: &Shape,
        headers: Option<RawHeaders>,
        piece: Piece<S>,
        (sum, front): (u64, [u8; FRONT]),
    ) -> Result<bool, Piece<S>> {
        let service = piece.service;
        self.put(slot, number, piece, sum)?;
        let entry = &mut self.entries[slot];
        entry.marks |= 1 << (service.tos & 3);
        if number == 0 {
            (entry.front, entry.first) = (front, service);
        }
        if shape.more {
            entry.unit = shape.len as u16;
        } else {
            (entry.last, entry.last_len) = (number as u8, shape.len as u16);
        }
        let in_order = entry.here == u128::MAX >> (PLACES - 1 - number);
        match headers.filter(|_| shape.more && in_order) {
            Some(headers) => self.expected.begin(headers, slot, number, entry.unit),
            None => self.expected.forget(&entry.key, slot),
        }
        Ok(entry.last != OPEN && entry.here.trailing_ones() == u32::from(entry.last) + 1)
    }

    /// Puts a fragment where it belongs.
    ///
    /// # Errors
    /// The piece: there is no room for it.
    #[inline(always)]
    fn put(&mut self, slot: usize, number: usize, piece: Piece<S>, sum: u64) -> Result<(), Piece<S>> {
        let entry = &mut self.entries[slot];
        let block = &mut entry.blocks[number / BLOCK];
        if *block == NONE {
            *block = match self.free_blocks.pop() {
                Some(block) => block,
                None if self.blocks.len() < self.most_blocks => {
                    self.blocks.push([const { None }; BLOCK]);
                    self.blocks.len() as u32 - 1
                }
                None => return Err(piece),
            };
        }
        entry.sum += sum;
        entry.here |= 1 << number;
        self.blocks[*block as usize][number % BLOCK] = Some(piece);
        self.frames += 1;
        Ok(())
    }

    /// Looks for the fragment with these headers among those that are expected. Returns the entry of its
    /// datagram, its number and its length. Such a fragment is neither the first nor the last, and the first
    /// to come with its number.
    #[inline]
    pub(crate) fn find_expected(&mut self, headers: RawHeaders, now: u64) -> Option<(usize, usize, u16)> {
        let &mut next = self.expected.find(headers)?;
        (!self.is_over(next.slot(), now)).then(|| (next.slot(), next.number.into(), next.len))
    }

    /// Adds the fragment with these headers, which was [expected](Self::find_expected).
    ///
    /// # Errors
    /// The piece: there is no room for it.
    #[inline]
    pub(crate) fn add_expected(
        &mut self,
        (slot, number): (usize, usize),
        headers: RawHeaders,
        piece: Piece<S>,
        sum: u64,
    ) -> Result<(), Piece<S>> {
        self.put(slot, number, piece, sum)?;
        if let Some(next) = self.expected.find(headers) {
            Expected::go_on(next);
        }
        Ok(())
    }

    /// What is known of a datagram that waits.
    #[inline]
    pub(crate) fn info(&self, slot: usize) -> WaitingInfo {
        let Entry { here, key, sum, unit, last, last_len, marks, first, front, blocks, .. } =
            self.entries[slot];
        let unit = usize::from(unit);
        let last = Some(usize::from(last)).filter(|_| last != OPEN);
        let len = last.map_or(0, |last| last * unit + usize::from(last_len));
        WaitingInfo { key, sum, front, unit, last, len, marks, first, here, blocks }
    }

    /// Takes a datagram out. The caller has to take all of its pieces, too, by [`Self::next_piece`], because
    /// only that frees its blocks.
    #[inline]
    pub(crate) fn remove(&mut self, slot: usize) -> WaitingInfo {
        let Entry { key, hash, bucket, here, .. } = self.entries[slot];
        self.expected.forget(&key, slot);
        self.frames -= here.count_ones() as usize;
        self.chains.remove(hash, slot);
        self.by_age.remove(slot);
        self.sources[usize::from(bucket)] -= 1;
        self.free.push(slot as u16);
        self.expected.there_are(self.in_use());
        if slot == self.recent {
            self.recent = usize::MAX;
        }
        self.info(slot)
    }

    /// The next piece of a datagram that was taken out, and its number. The pieces come in order.
    #[inline]
    pub(crate) fn next_piece(&mut self, info: &mut WaitingInfo) -> Option<(usize, Piece<S>)> {
        if info.here == 0 {
            return None;
        }
        let number = info.here.trailing_zeros() as usize;
        info.here &= info.here - 1;
        let block = info.blocks[number / BLOCK];
        let piece = self.blocks[block as usize][number % BLOCK].take();
        if info.here >> (number / BLOCK * BLOCK) & ((1 << BLOCK) - 1) == 0 {
            self.free_blocks.push(block);
        }
        piece.map(|piece| (number, piece))
    }

    /// The datagram that has waited longest, if it has waited too long, and whether its time is over. If that
    /// is not over, too many frames have come.
    #[inline]
    pub(crate) fn overdue(&mut self, now: u64, frames: u64) -> Option<(usize, bool)> {
        if self.is_empty() {
            return None;
        }
        self.now = self.now.max(now);
        let slot = self.by_age.first(0)?;
        let entry = &self.entries[slot];
        let late = entry.deadline <= self.now;
        // The difference wraps if the count of frames began anew. Then the datagram has waited long enough,
        // too.
        (late || frames.wrapping_sub(entry.begun) >= self.window).then_some((slot, late))
    }

    /// The datagram that has waited longest.
    pub(crate) fn oldest(&self) -> Option<usize> {
        if self.is_empty() { None } else { self.by_age.first(0) }
    }
}
