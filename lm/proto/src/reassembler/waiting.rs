//! [`Waiting`]: datagrams whose fragments wait where they landed, and are never copied.
//!
//! Whoever sends fragments in the ordinary way cuts a datagram into parts of equal length, the last one
//! perhaps shorter. So a fragment has a number, its offset by that length, and whether all are here is told
//! by a bitmap of 128 bits. What does not fit that, for whatever reason, is none of this table's: the
//! datagram goes on in the [`Reassembler`](super::Reassembler), which takes any fragments and copies them.
//!
//! As there, memory is constant, and a fragment costs a constant number of steps, whoever sends it:
//!
//! * A fixed number of datagrams may wait. A source may begin another one only if it has no more than there
//!   are free entries: so one that sends nothing but first fragments takes half of them, a second one a
//!   quarter, and so on, and there is nearly always an entry for somebody new. Sources are counted in buckets
//!   that a secret hash chooses.
//! * What waits holds slots, and the memory between them can't be used again either. So a datagram waits for
//!   a number of frames ([`Limits::window`]) and for its time, whichever is over first.
//!   All that is held was among the newest frames, so as many slots, from the oldest one on, are the bound.

use super::chains::{Chains, Seeds};
use super::list::Lists;
use super::{Key, Limits};
use crate::frame::FRONT;
use crate::service::Service;

/// The most fragments of a datagram that waits: 512 bytes each, which is less than IPv4's least MTU that
/// every host takes makes of it.
pub(crate) const PLACES: usize = u128::BITS as usize;
/// Fragments that lie side by side in a block.
const BLOCK: usize = 8;
/// Buckets that sources are counted in.
const BUCKETS: usize = 1 << 12;
/// No fragment, no block.
const NONE: u32 = u32::MAX;

/// What an IPv4 header says of a fragment, and it is known to be good: at least one byte, in whole units of 8
/// if `more` follow, within 65,515.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) offset: usize,
    pub(crate) more: bool,
    pub(crate) len: usize,
}

/// A fragment where it landed: the token of its slot, where its bytes are, and what its header says besides.
#[derive(Debug)]
pub(crate) struct Piece<S> {
    pub(crate) slots: S,
    pub(crate) at: usize,
    pub(crate) len: u16,
    pub(crate) service: Service,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing is there yet.
    New(usize),
    /// One of the same shape is there.
    Again(usize),
    /// It does not fit those that are there, or is not cut as they are.
    Odd,
}

/// A datagram that waits. What each fragment needs comes first.
#[derive(Clone, Copy)]
struct Entry {
    /// Which fragments are here.
    here: u128,
    key: Key,
    hash: u32,
    /// Sum of the payloads so far, without the UDP header.
    sum: u64,
    deadline: u64,
    /// Frames that had come before it.
    begun: u64,
    /// Bytes of every fragment but the last.
    unit: u16,
    /// Bytes of the last fragment.
    last_len: u16,
    /// The number of the last fragment; beyond all places: it is not here.
    last: u8,
    /// Marks of explicit congestion notification that fragments had, a bit for each of the four.
    marks: u8,
    /// What the header of the first fragment says, once that is here.
    first: Service,
    /// Where its source is counted.
    bucket: u16,
    /// The first bytes of the first fragment, once that is here.
    front: [u8; FRONT],
    blocks: [u32; PLACES / BLOCK],
}

/// The last fragment is not here.
const OPEN: u8 = u8::MAX;
const _: () = assert!(PLACES < OPEN as usize && PLACES.is_multiple_of(BLOCK));

/// What is known of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) key: Key,
    /// Sum of all its payload, without the UDP header.
    pub(crate) sum: u64,
    /// Its UDP header, if its first fragment is here.
    pub(crate) front: [u8; FRONT],
    /// Bytes of every fragment but the last.
    pub(crate) unit: usize,
    /// The number of the last fragment, if that is here.
    pub(crate) last: Option<usize>,
    /// Bytes of IP payload, if the last fragment is here.
    pub(crate) len: usize,
    /// Marks of explicit congestion notification, a bit for each.
    pub(crate) marks: u8,
    /// What the header of the first fragment said, if that is here.
    pub(crate) first: Service,
    here: u128,
    blocks: [u32; PLACES / BLOCK],
}

impl Told {
    /// How many fragments are here.
    pub(crate) fn fragments(&self) -> u16 {
        self.here.count_ones() as u16
    }

    /// What the whole datagram is given out with.
    pub(crate) fn service(&self) -> Service {
        self.first.with_marks(self.marks)
    }
}

/// Whether a datagram with these first bytes has a UDP checksum.
#[inline]
pub(crate) fn has_checksum(front: &[u8; FRONT]) -> bool {
    front[FRONT - 2..] != [0; 2]
}

/// Bytes of a token and its piece, at most.
const PIECE: usize = 48;

/// Bytes of the table for so many datagrams and frames, at most.
pub(crate) fn memory(datagrams: usize, window: u64) -> usize {
    let blocks = most_blocks(datagrams, window);
    // Links, chains and the list of free ones beside an entry.
    datagrams * (size_of::<Entry>() + 24) + blocks * (BLOCK * PIECE + size_of::<u32>()) + 2 * BUCKETS
}

/// Each frame that is held takes a block at most.
fn most_blocks(datagrams: usize, window: u64) -> usize {
    (datagrams * PLACES / BLOCK).min(usize::try_from(window).unwrap_or(usize::MAX))
}

/// Datagrams in the making, in pieces; `S` is the token of a slot.
pub(crate) struct Waiting<S> {
    seeds: Seeds,
    chains: Chains,
    /// As many as were ever needed at once.
    entries: Vec<Entry>,
    most: usize,
    free: Vec<u16>,
    by_age: Lists,
    /// Entries of the sources of each bucket.
    sources: Box<[u16]>,
    blocks: Vec<[Option<Piece<S>>; BLOCK]>,
    most_blocks: usize,
    free_blocks: Vec<u32>,
    /// Fragments that wait.
    frames: usize,
    timeout: u64,
    window: u64,
    now: u64,
}

impl<S> Waiting<S> {
    /// Within these limits. Nothing is allocated later.
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

    /// Fragments that wait, each of which holds a slot.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// Whether nothing waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.entries.len()
    }

    /// Whether anything may wait here.
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

    /// Whether a datagram of this key waits.
    #[inline]
    pub(crate) fn contains(&self, key: &Key) -> bool {
        !self.is_empty() && self.find(key, self.hash(key)).is_some()
    }

    /// Whether this one has waited too long.
    #[inline]
    pub(crate) fn is_over(&self, slot: usize, now: u64) -> bool {
        self.entries[slot].deadline <= now.max(self.now)
    }

    /// A new entry for a key that has none; `None`: all are in use, or its source has more than its share.
    /// `unit` is the length of fragments that is assumed until one is seen.
    pub(crate) fn begin(&mut self, key: Key, hash: u32, now: u64, frames: u64, unit: u16) -> Option<usize> {
        self.now = self.now.max(now);
        let bucket = self.seeds.hash([key.src, 0, 0]) as usize % self.sources.len();
        let free = self.most - (self.entries.len() - self.free.len());
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
        self.chains.add(hash, slot);
        self.by_age.push(0, slot);
        Some(slot)
    }

    /// Where a fragment belongs in this datagram.
    #[inline]
    pub(crate) fn place(&self, slot: usize, shape: &Shape) -> Place {
        let entry = &self.entries[slot];
        let unit = if shape.more && entry.here == 0 { shape.len } else { usize::from(entry.unit) };
        let number = shape.offset / unit.max(1);
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

    /// Whether the payload of the next fragment of this datagram has to be summed: not if it has no checksum.
    #[inline]
    pub(crate) fn sums(&self, slot: usize) -> bool {
        let entry = &self.entries[slot];
        entry.here & 1 == 0 || has_checksum(&entry.front)
    }

    /// The fragment with this number, be it a duplicate, came with this.
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

    /// Whether there is another block.
    #[inline]
    fn has_block(&self) -> bool {
        !self.free_blocks.is_empty() || self.blocks.len() < self.most_blocks
    }

    /// Where the bytes of this datagram begin that are here; `None`: there are none.
    pub(crate) fn lowest(&self, key: &Key) -> Option<usize> {
        let entry = &self.entries[self.find(key, self.hash(key))?];
        (entry.here != 0).then(|| entry.here.trailing_zeros() as usize * usize::from(entry.unit))
    }

    /// The fragment with this number.
    #[inline]
    pub(crate) fn piece(&self, slot: usize, number: usize) -> Option<&Piece<S>> {
        let block = *self.entries[slot].blocks.get(number / BLOCK)?;
        self.blocks.get(block as usize)?[number % BLOCK].as_ref()
    }

    /// Adds a fragment to its [new](Place::New) place; true: the datagram is whole. `sum` is that of its
    /// payload, and `front` are its first bytes if it is the first one.
    ///
    /// # Errors
    /// The piece: there is no room for it.
    #[inline]
    pub(crate) fn add(
        &mut self,
        slot: usize,
        number: usize,
        shape: &Shape,
        piece: Piece<S>,
        (sum, front): (u64, [u8; FRONT]),
    ) -> Result<bool, Piece<S>> {
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
        entry.marks |= 1 << (piece.service.tos & 3);
        entry.sum += sum;
        entry.here |= 1 << number;
        if number == 0 {
            (entry.front, entry.first) = (front, piece.service);
        }
        if shape.more {
            entry.unit = shape.len as u16;
        } else {
            (entry.last, entry.last_len) = (number as u8, shape.len as u16);
        }
        self.blocks[*block as usize][number % BLOCK] = Some(piece);
        self.frames += 1;
        Ok(entry.last != OPEN && entry.here.trailing_ones() == u32::from(entry.last) + 1)
    }

    /// What is known of a datagram that waits.
    #[inline]
    pub(crate) fn told(&self, slot: usize) -> Told {
        let Entry { here, key, sum, unit, last, last_len, marks, first, front, blocks, .. } =
            self.entries[slot];
        let unit = usize::from(unit);
        let last = Some(usize::from(last)).filter(|_| last != OPEN);
        let len = last.map_or(0, |last| last * unit + usize::from(last_len));
        Told { key, sum, front, unit, last, len, marks, first, here, blocks }
    }

    /// Takes a datagram out; its pieces are to be taken, too, all of them: [`Self::next_piece`].
    #[inline]
    pub(crate) fn remove(&mut self, slot: usize) -> Told {
        let Entry { hash, bucket, here, .. } = self.entries[slot];
        self.frames -= here.count_ones() as usize;
        self.chains.remove(hash, slot);
        self.by_age.remove(slot);
        self.sources[usize::from(bucket)] -= 1;
        self.free.push(slot as u16);
        self.told(slot)
    }

    /// The next piece of a datagram that was taken out, in its order, and its number.
    #[inline]
    pub(crate) fn next_piece(&mut self, told: &mut Told) -> Option<(usize, Piece<S>)> {
        if told.here == 0 {
            return None;
        }
        let number = told.here.trailing_zeros() as usize;
        told.here &= told.here - 1;
        let block = told.blocks[number / BLOCK];
        let piece = self.blocks[block as usize][number % BLOCK].take();
        if told.here >> (number / BLOCK * BLOCK) & ((1 << BLOCK) - 1) == 0 {
            self.free_blocks.push(block);
        }
        piece.map(|piece| (number, piece))
    }

    /// The datagram that has waited longest, if it has waited too long; and whether its time is over.
    #[inline]
    pub(crate) fn overdue(&mut self, now: u64, frames: u64) -> Option<(usize, bool)> {
        if self.is_empty() {
            return None;
        }
        self.now = self.now.max(now);
        let slot = self.by_age.first(0)?;
        let entry = &self.entries[slot];
        let late = entry.deadline <= self.now;
        // Where frames are counted anew, what had begun before has waited long enough, too.
        (late || frames.wrapping_sub(entry.begun) >= self.window).then_some((slot, late))
    }

    /// The datagram that has waited longest.
    pub(crate) fn oldest(&self) -> Option<usize> {
        if self.is_empty() { None } else { self.by_age.first(0) }
    }
}
