//! [`Log`]: the frames that were received and not handed back, oldest first.
//!
//! Its end is the *run*: frames that may become one datagram. The frames before the run *wait*, and the log
//! knows since when. Headers that are known to be intact are kept beside the frames. A token has the slot of
//! one frame, or the slots of several frames in a row. Code that takes a frame out of the log gets the token
//! of its slot with it.

use std::ops::{Index, Range};

use crate::checksum::mix;
use crate::frame::{Frame, Received, Slot, Slots};
use crate::packet::Packet;
use crate::reassembler::Key;
use crate::slot_memory::SlotMemory;

/// A moment: the number of frames received until then, and the time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) frames: u64,
    pub(crate) now: u64,
}

/// Frames in the order of their arrival.
pub(crate) struct Log<S> {
    frames: Vec<Frame>,
    /// The tokens of their slots, oldest first. Each stands beside the index of the first frame whose slot it
    /// has, and also has the slots of all frames up to the next token's first. The newest token has the slots
    /// of folded frames, too.
    slots: Vec<(u32, S)>,
    /// Room for [`Log::take_out`], for the tokens that stay. It is empty between two calls.
    kept: Vec<(u32, S)>,
    /// What the card says of each frame, and then of each folded frame. Empty if words are not kept.
    words: Vec<u32>,
    keeps_words: bool,
    /// Since when the frames before the run wait, one for each.
    since: Vec<Moment>,
    /// Headers that are known to be intact, each with the index of its frame, in ascending order.
    seen: Vec<(u32, Packet)>,
    /// How many of these headers are of datagrams that fall into each bucket. So it can nearly always be told
    /// without a search that no other header of a datagram is known.
    buckets: Vec<u16>,
}

/// Buckets of datagrams: about four for each of the [`WINDOW`](super::Matcher::WINDOW) frames that wait.
const BUCKETS: usize = 1024;

fn bucket(key: &Key) -> usize {
    let addresses = u64::from(key.src) << 32 | u64::from(key.dst);
    mix(addresses ^ u64::from(key.id).rotate_left(24)) as usize % BUCKETS
}

impl<S> Index<usize> for Log<S> {
    type Output = Frame;
    #[inline]
    fn index(&self, index: usize) -> &Frame {
        &self.frames[index]
    }
}

impl<S: Slots> Log<S> {
    /// An empty log, which keeps what the card says of each frame if `keeps_words`.
    pub(crate) fn new(keeps_words: bool) -> Self {
        let mut this = Self {
            frames: Vec::with_capacity(2048),
            slots: Vec::with_capacity(2048),
            since: Vec::with_capacity(2048),
            seen: Vec::with_capacity(2048),
            buckets: vec![0; BUCKETS],
            ..Self::empty()
        };
        if keeps_words {
            this.keep_words();
        }
        this
    }

    /// A log without room, which stands in for another while that is taken out of the matcher.
    pub(crate) fn empty() -> Self {
        Self {
            frames: Vec::new(),
            slots: Vec::new(),
            kept: Vec::new(),
            words: Vec::new(),
            keeps_words: false,
            since: Vec::new(),
            seen: Vec::new(),
            buckets: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The index at which the run begins.
    #[inline]
    pub(crate) fn run(&self) -> usize {
        self.since.len()
    }

    /// Whether the run has a frame.
    #[inline]
    pub(crate) fn has_run(&self) -> bool {
        self.frames.len() > self.since.len()
    }

    #[inline]
    pub(crate) fn last(&self) -> Option<&Frame> {
        self.frames.last()
    }

    #[inline]
    pub(crate) fn first_mut(&mut self) -> Option<&mut Frame> {
        self.frames.first_mut()
    }

    /// Takes the token out of a log that has only one. [`Log::put_token`] puts it back, or another one in its
    /// place.
    #[inline]
    pub(crate) fn take_token(&mut self) -> Option<S> {
        self.slots.pop().map(|(_, slots)| slots)
    }

    /// Gives a token to the log of one frame whose token was [taken](Log::take_token).
    #[inline]
    pub(crate) fn put_token(&mut self, slots: S) {
        self.slots.push((0, slots));
    }

    /// The token that has the newest frame's slot.
    #[inline]
    pub(crate) fn newest_slots_mut(&mut self) -> Option<&mut S> {
        self.slots.last_mut().map(|(_, slots)| slots)
    }

    /// The place behind the token that has the slot of frame `index`.
    #[inline]
    fn place(&self, index: usize) -> usize {
        match self.slots.last() {
            Some(&(first, _)) if first as usize <= index => self.slots.len(),
            _ => self.slots.partition_point(|&(first, _)| first as usize <= index),
        }
    }

    /// The token that has the slot of frame `index`.
    #[inline]
    fn slots_of(&self, index: usize) -> &S {
        &self.slots[self.place(index) - 1].1
    }

    /// Whether one token has the slots of both frames. Then it has the slots of all frames between them, too,
    /// and they lie side by side.
    #[inline]
    pub(crate) fn is_one_token(&self, one: usize, other: usize) -> bool {
        self.place(one) == self.place(other)
    }

    /// A frame, and the token that has its slot.
    pub(crate) fn received(&self, index: usize) -> Received<&S> {
        let word = self.word(index).unwrap_or_default();
        Received { frame: self.frames[index], slots: self.slots_of(index), word }
    }

    #[inline]
    pub(crate) fn push(&mut self, Received { frame, slots, word }: Received<S>) {
        if self.keeps_words {
            self.words.push(word);
        }
        self.push_after_word(frame, slots);
    }

    /// Adds a frame whose word was added before.
    #[inline]
    pub(crate) fn push_after_word(&mut self, frame: Frame, slots: S) {
        self.slots.push((self.frames.len() as u32, slots));
        self.frames.push(frame);
    }

    /// Keeps words from now on. The log has to be empty.
    pub(crate) fn keep_words(&mut self) {
        self.keeps_words = true;
        self.words.reserve(4096);
    }

    /// Keeps no words from now on, and forgets those that it has.
    pub(crate) fn drop_words(&mut self) {
        self.keeps_words = false;
        self.words.clear();
    }

    #[inline]
    pub(crate) fn keeps_words(&self) -> bool {
        self.keeps_words
    }

    /// What the card says of a frame, if words are kept.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> Option<u32> {
        self.words.get(index).copied()
    }

    /// What the card says of the frames from `first` on, and of the folded ones. Empty if words are not kept.
    #[inline]
    pub(crate) fn words_from(&self, first: usize) -> &[u32] {
        self.words.get(first..).unwrap_or_default()
    }

    /// What the card says of the run's frames, and of the folded ones. `None`: words are not kept.
    #[inline]
    pub(crate) fn run_words(&self) -> Option<&[u32]> {
        self.keeps_words.then(|| self.words_from(self.run()))
    }

    /// All words, so that the caller can add those of frames that it folds, and take words out with frames.
    /// Only to be used while words are kept.
    #[inline]
    pub(crate) fn words_mut(&mut self) -> &mut Vec<u32> {
        &mut self.words
    }

    /// Adds `n` full frames of `len` bytes, each one `stride` below the one before. The newest token has
    /// their slots.
    pub(crate) fn extend_below(&mut self, n: usize, len: u16, stride: usize) {
        if let Some(&Frame { at, .. }) = self.frames.last() {
            let frame = |i| Frame { at: at - i * stride, len, slot: Slot::Overlapping, bounce: 0 };
            self.frames.extend((1..=n).map(frame));
        }
    }

    /// Splits a token, if it has to, so that a token begins with frame `index`. Returns the place of that
    /// token. Without a frame of this index that is the end.
    fn cut(&mut self, index: usize) -> usize {
        if index >= self.frames.len() {
            return self.slots.len();
        }
        // Nearly always it is the newest token, which begins there already.
        if let Some(&(first, _)) = self.slots.last()
            && first as usize == index
        {
            return self.slots.len() - 1;
        }
        let place = self.slots.partition_point(|&(first, _)| (first as usize) < index);
        if let Some((first, slots)) = place.checked_sub(1).and_then(|before| self.slots.get_mut(before))
            && let Some(behind) = slots.split_behind(index - *first as usize)
        {
            self.slots.insert(place, (index as u32, behind));
        }
        place
    }

    /// These bytes of the payload of frame `index`.
    #[inline]
    pub(crate) fn piece<'a, M: SlotMemory<Slots = S>>(
        &'a self,
        index: usize,
        piece: Range<usize>,
        memory: &'a M,
    ) -> &'a [u8] {
        memory.bytes(self.slots_of(index), self.frames[index].at + piece.start, piece.len())
    }

    /// Lets the run begin at `index`. The frames before it wait from `moment` on, unless they waited before.
    #[inline]
    pub(crate) fn begin_run(&mut self, index: usize, moment: Moment) {
        self.since.resize(index, moment);
    }

    /// Takes `log[first..]` out, and returns their tokens, oldest first. What is left of the run waits from
    /// `moment` on.
    pub(crate) fn take_from(&mut self, first: usize, moment: Moment) -> impl Iterator<Item = S> {
        let place = self.cut(first);
        self.truncate(first, moment);
        self.slots.drain(place..).map(|(_, slots)| slots)
    }

    /// Takes `log[first..]` out if one token has the slots of these frames and no others, and returns it.
    /// Else nothing is taken out.
    #[inline]
    pub(crate) fn take_one_from(&mut self, first: usize, moment: Moment) -> Option<S> {
        let (_, slots) = self.slots.pop_if(|(index, _)| *index as usize == first)?;
        self.truncate(first, moment);
        Some(slots)
    }

    /// Takes `log[first..]` out, except for the tokens.
    #[inline]
    fn truncate(&mut self, first: usize, moment: Moment) {
        self.frames.truncate(first);
        self.words.truncate(first);
        if !self.seen.is_empty() {
            self.forget_from(first);
        }
        self.since.resize(first, moment);
    }

    /// Takes the newest frame out.
    pub(crate) fn pop(&mut self) -> Option<Received<S>> {
        let len = self.frames.len().checked_sub(1)?;
        self.cut(len);
        let (frame, (_, slots)) = (self.frames.pop()?, self.slots.pop()?);
        let word = self.words.pop().unwrap_or_default();
        self.forget_from(len);
        self.since.truncate(len);
        Some(Received { frame, slots, word })
    }

    /// Forgets the headers of the frames from `first` on.
    fn forget_from(&mut self, first: usize) {
        while let Some((_, packet)) = self.seen.pop_if(|(i, _)| *i as usize >= first) {
            self.buckets[bucket(&packet.key())] -= 1;
        }
    }

    /// Takes frames out of the middle, or from the start, and returns their tokens, oldest first.
    pub(crate) fn remove(&mut self, range: Range<usize>) -> impl Iterator<Item = S> {
        let (start, n) = (range.start, range.len());
        self.cut(range.end);
        let from = self.cut(start);
        let to = self.slots.partition_point(|&(first, _)| (first as usize) < range.end);
        self.slots[to..].iter_mut().for_each(|(first, _)| *first -= n as u32);
        let waiting = |i: usize| i.min(self.since.len());
        self.since.drain(waiting(start)..waiting(range.end));
        self.frames.drain(range.clone());
        if self.keeps_words {
            self.words.drain(range.clone());
        }
        let buckets = &mut self.buckets;
        self.seen.retain_mut(|(i, packet)| {
            let index = *i as usize;
            if index >= range.end {
                *i -= n as u32;
            }
            let goes = range.contains(&index);
            if goes {
                buckets[bucket(&packet.key())] -= 1;
            }
            !goes
        });
        self.slots.drain(from..to).map(|(_, slots)| slots)
    }

    /// Gives each frame from index `from` on to `take`, oldest first, with its index and its header, if that
    /// is known. A frame stays in the log if `take` gives its token back.
    pub(crate) fn take_out(
        &mut self,
        from: usize,
        mut take: impl FnMut(usize, Received<S>, Option<&Packet>) -> Option<S>,
    ) {
        let place = self.cut(from);
        let (mut kept, mut waiting) = (from, from.min(self.since.len()));
        let mut known = self.seen.partition_point(|&(i, _)| (i as usize) < from);
        let mut header = known;
        let mut tokens = self.slots.drain(place..);
        let mut rest = None;
        let all = self.frames.len();
        for i in from..all {
            let (frame, mut packet) = (self.frames[i], None);
            let word = self.words.get(i).copied();
            if let Some(&(index, p)) = self.seen.get(header)
                && index as usize == i
            {
                packet = Some(p);
                header += 1;
            }
            let Some(mut slots) = rest.take().or_else(|| tokens.next().map(|(_, slots)| slots)) else {
                break;
            };
            rest = slots.split_behind(1);
            let received = Received { frame, slots, word: word.unwrap_or_default() };
            let Some(slots) = take(i, received, packet.as_ref()) else {
                if let Some(packet) = packet {
                    self.buckets[bucket(&packet.key())] -= 1;
                }
                continue;
            };
            if let Some(p) = packet {
                self.seen[known] = (kept as u32, p);
                known += 1;
            }
            if let Some(&moment) = self.since.get(i) {
                self.since[waiting] = moment;
                waiting += 1;
            }
            self.kept.push((kept as u32, slots));
            self.frames[kept] = frame;
            if let Some(word) = word {
                self.words[kept] = word;
            }
            kept += 1;
        }
        drop(tokens);
        self.slots.append(&mut self.kept);
        self.frames.truncate(kept);
        if self.keeps_words {
            self.words.drain(kept..all);
        }
        self.seen.truncate(known);
        self.since.truncate(waiting);
    }

    /// How many of the oldest frames have waited since before `moment`, by the number of frames or by the
    /// time.
    pub(crate) fn older_than(&self, moment: Moment) -> usize {
        self.since.partition_point(|m| m.frames < moment.frames || m.now < moment.now)
    }

    /// Notes the header of a frame, which is known to be intact. A header that was noted before stays.
    pub(crate) fn note(&mut self, index: usize, packet: Packet) {
        let at = match self.seen.last() {
            Some(&(i, _)) if i as usize >= index => {
                match self.seen.binary_search_by_key(&(index as u32), |&(i, _)| i) {
                    Ok(_) => return,
                    Err(at) => at,
                }
            }
            _ => self.seen.len(),
        };
        self.seen.insert(at, (index as u32, packet));
        self.buckets[bucket(&packet.key())] += 1;
    }

    /// The header of a frame, if it is known to be intact.
    #[inline]
    pub(crate) fn packet(&self, index: usize) -> Option<&Packet> {
        let at = self.seen.binary_search_by_key(&(index as u32), |&(i, _)| i).ok()?;
        Some(&self.seen[at].1)
    }

    /// The headers that are known to be intact, of the frames from `first` on, oldest first.
    #[inline]
    pub(crate) fn seen_from(&self, first: usize) -> &[(u32, Packet)] {
        match self.seen.last() {
            Some(&(i, _)) if i as usize >= first => {
                &self.seen[self.seen.partition_point(|&(i, _)| (i as usize) < first)..]
            }
            _ => &[],
        }
    }

    /// How many of the known headers may be of this datagram. No more of them are.
    #[inline]
    pub(crate) fn alike(&self, key: &Key) -> usize {
        self.buckets[bucket(key)].into()
    }

    /// How many headers are known to be intact.
    #[inline]
    pub(crate) fn seen(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests;
