//! [`Card`]: what a card's descriptors report of each frame besides its length, and whether it is believed.
//!
//! igb cards can report the IP identification of each frame, and the sum of the bytes behind its IP header.
//! em cards can report the sum of the whole frame. These values are called the card's *words* ([`Words`]).
//! Reading them touches no payload. But datasheets differ about the sum (complemented or not, and in which
//! byte order), emulated cards report zeroes, and a register that switches the words on is lost when the card
//! is reset. So a word is believed only after it was compared with what software found (`Card::hear`,
//! `Card::compare`), and the comparison is repeated from time to time. After one disagreement the words are
//! not used until the next start.
//!
//! An identification is 16 bits that any sender may choose. A sum covers the bytes that the card received,
//! but says nothing about the place to which the card wrote them. `docs/proof.md` says what each may prove.

use std::fmt;

use crate::checksum::fold_sum as fold_host;

/// Which words a device has of each frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// None.
    #[default]
    None,
    /// The IP identification in the lower 16 bits, the sum of what is behind the IP header in the upper ones
    /// (I210 datasheet, 7.1.7.2; RXCSUM.PCSD = 0, IPPCSE = 1).
    Packet,
    /// The sum of the whole frame, without its check sequence, in the upper 16 bits (8254x manual, 3.2.3:
    /// legacy descriptors, RXCSUM.PCSS = 0), and [`Words::TOLD`] in the lower ones. Without that it is not
    /// known what the card said of this frame.
    Frame,
}

impl Words {
    /// What a word of [`Words::Frame`] has in its lower 16 bits if its sum is the card's.
    pub const TOLD: u32 = 1;
}

/// Whether one kind of words is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The device has none.
    #[default]
    Absent,
    /// They are compared with what software found. So many agreed in a row.
    Compared(u16),
    /// They are believed.
    InUse,
    /// They were compared and never fitted.
    Misfit,
    /// They were believed, and then one was wrong.
    Disagreed,
    /// Nobody knows any more which frame a word is of.
    Lost,
}

impl State {
    /// Whether they are believed, or may be believed later.
    fn is_open(self) -> bool {
        matches!(self, Self::Compared(_) | Self::InUse)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Compared(agreed) => write!(f, "being compared, {agreed} agree"),
            Self::InUse => f.write_str("in use"),
            Self::Misfit => f.write_str("off, they are not what the frames say"),
            Self::Disagreed => f.write_str("off, one disagreed with its frame"),
            Self::Lost => f.write_str("off, it is not known any more which frame each is of"),
        }
    }
}

/// A sum as the card may tell it: bit 0, complemented; bit 1, in the other byte order.
type Variant = u8;
const VARIANTS: Variant = 4;

/// What a card says, and how far it is believed.
#[derive(Clone, Copy, Debug)]
pub struct Card {
    words: Words,
    ids: State,
    sums: State,
    /// The last identification that was compared, and how many in a row disagreed.
    last: u16,
    other: u16,
    /// Variants that have agreed so far, a bit each; once in use, one.
    candidates: u8,
    variant: Variant,
    /// How often no variant was left.
    misfits: u8,
    /// Whether the card's sums include the bytes behind the IP packet. `None`: no frame has shown that yet.
    trailers: Option<bool>,
    /// Datagrams proven by a sum of the card's since the last one that was compared.
    unchecked: u32,
    /// Whether the last datagram of several frames had so few that sums alone may prove it.
    few: bool,
}

impl Card {
    /// Identifications of different datagrams in a row that agree before they are believed.
    pub const ENOUGH_IDS: u16 = 16;
    /// Identifications in a row that disagree before they are given up. More than the frames that can come
    /// between a start and the write to the card's register behind it, which all disagree.
    pub const MISFIT_IDS: u16 = 512;
    /// Datagrams in a row whose sums agree before they are believed.
    pub const ENOUGH_SUMS: u16 = 8;
    /// How often no variant may be left before the sums are given up.
    pub const MISFITS: u8 = 16;
    /// One datagram of so many is compared while sums are in use.
    pub const SAMPLE: u32 = 1024;

    /// Of a device with these words, right after its start.
    pub fn new(words: Words) -> Self {
        let there = |is| if is { State::Compared(0) } else { State::Absent };
        Self {
            words,
            ids: there(words == Words::Packet),
            sums: there(words != Words::None),
            last: 0,
            other: 0,
            candidates: (1 << VARIANTS) - 1,
            variant: 0,
            misfits: 0,
            trailers: None,
            unchecked: 0,
            few: true,
        }
    }

    /// Whether identifications are in use.
    pub fn ids(&self) -> State {
        self.ids
    }

    /// Whether sums are in use.
    pub fn sums(&self) -> State {
        self.sums
    }

    /// Which words there are.
    pub fn words(&self) -> Words {
        self.words
    }

    /// Whether the words of the next frames may prove something. Sums alone prove no datagram of more than
    /// three frames. So they are not needed behind such a datagram, as the next one is often as long.
    #[inline]
    pub fn is_needed(&self) -> bool {
        self.few || !self.sums_alone()
    }

    /// Notes whether a datagram of several frames has so `few` that sums alone may prove it. Returns whether
    /// that is new.
    #[inline]
    pub(crate) fn went(&mut self, few: bool) -> bool {
        std::mem::replace(&mut self.few, few) != few
    }

    /// Whether its words are worth keeping.
    #[inline]
    pub fn is_heard(&self) -> bool {
        self.ids.is_open() || self.sums.is_open()
    }

    /// Nobody knows any more which frame a word is of.
    pub(crate) fn lose(&mut self) {
        for state in [&mut self.ids, &mut self.sums] {
            if state.is_open() {
                *state = State::Lost;
            }
        }
    }

    /// Whether identifications are believed, or never will be.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(self.ids, State::Compared(_)) && !matches!(self.sums, State::Compared(_))
    }

    /// Whether what it says of a datagram's frames can stand for a pass over its payload: which datagram each
    /// frame is of, and what all of them sum up to.
    #[inline]
    pub(crate) fn can_prove(&self) -> bool {
        self.ids == State::InUse && self.sums == State::InUse
    }

    /// Whether sums are in use, and there are no identifications beside them.
    #[inline]
    pub(crate) fn sums_alone(&self) -> bool {
        self.words == Words::Frame && self.sums == State::InUse
    }

    /// Compares a card's word of a fragment with the identification in the fragment's intact header.
    pub(crate) fn hear(&mut self, word: u32, id: u16) {
        // A card that reports nothing reports 0. So a datagram whose identification is 0 says nothing about
        // it.
        if id == 0 || !self.ids.is_open() {
            return;
        }
        let agrees = word as u16 == id;
        match self.ids {
            State::InUse if !agrees => self.ids = State::Disagreed,
            State::Compared(agreed) => {
                self.other = if agrees { 0 } else { self.other + 1 };
                self.ids = match agreed {
                    _ if self.other >= Self::MISFIT_IDS => State::Misfit,
                    _ if !agrees => State::Compared(0),
                    agreed if id == self.last => State::Compared(agreed),
                    agreed if agreed + 1 >= Self::ENOUGH_IDS => State::InUse,
                    agreed => State::Compared(agreed + 1),
                };
                self.last = id;
            }
            _ => {}
        }
        if matches!(self.ids, State::Disagreed | State::Misfit) && self.sums.is_open() {
            // They come in one word.
            self.sums = self.ids;
        }
    }

    /// Whether the frame with this word may be of the datagram with this identification.
    #[inline]
    pub(crate) fn allows(&self, word: u32, id: u16) -> bool {
        self.ids != State::InUse || id == 0 || word as u16 == id
    }

    /// Whether all frames with these words may be of the datagram with this identification.
    #[inline]
    pub(crate) fn allow(&self, words: &[u32], id: u16) -> bool {
        self.ids != State::InUse || id == 0 || are_all(words, id)
    }

    /// Whether identifications say that all frames with these words are of the datagram with this one.
    #[inline]
    pub(crate) fn binds(&self, words: &[u32], id: u16) -> bool {
        self.ids == State::InUse && id != 0 && are_all(words, id)
    }

    /// The sum of the IP payloads of the frames with these words, and of what is behind them in the frames.
    /// One's complement, little-endian. `ethernet` is the sum of one Ethernet header, which is subtracted for
    /// each frame if the card sums whole frames. The sum of a good IP header is zero.
    #[inline]
    fn total(&self, words: &[u32], variant: Variant, ethernet: u64) -> u64 {
        let mut raw = fold_host(words.iter().map(|&word| u64::from(word >> 16)).sum());
        if variant & 1 != 0 {
            raw = !raw;
        }
        if variant & 2 != 0 {
            raw = raw.swap_bytes();
        }
        match self.words {
            Words::Frame => u64::from(raw) + words.len() as u64 * u64::from(!fold_host(ethernet)),
            _ => raw.into(),
        }
    }

    /// The same in the variant that is in use.
    #[inline]
    pub(crate) fn sum(&self, words: &[u32], ethernet: u64) -> Option<u64> {
        (self.sums == State::InUse && self.are_told(words)).then(|| self.total(words, self.variant, ethernet))
    }

    /// Whether all of these words have a sum of the card's.
    #[inline(always)]
    fn are_told(&self, words: &[u32]) -> bool {
        self.words != Words::Frame || words.iter().fold(!0, |all, &word| all & word) & Words::TOLD != 0
    }

    /// Whether the sums of the card count what is behind the IP packet in a frame; `None`: not known yet.
    #[inline]
    pub(crate) fn counts_trailers(&self) -> Option<bool> {
        self.trailers
    }

    /// What the card's sums include of bytes behind the IP packet, if these bytes have the sum `sum`. `None`:
    /// it is not known yet whether they are included.
    #[inline]
    pub(crate) fn of_trailer(&self, sum: u64) -> Option<u64> {
        if is_same(sum, 0) { Some(0) } else { self.trailers.map(|counts| if counts { sum } else { 0 }) }
    }

    /// Whether a datagram's sum is to be computed and [compared](Self::compare).
    #[inline]
    pub(crate) fn is_comparing(&self) -> bool {
        match self.sums {
            // Frames that were in the ring may have been written before the card was told to report.
            State::Compared(_) => self.words == Words::Frame || self.ids == State::InUse,
            State::InUse => self.is_due(),
            _ => false,
        }
    }

    /// Whether there is something to be learnt of a datagram whose sum was computed anyhow.
    #[inline]
    pub(crate) fn may_learn(&self) -> bool {
        self.is_comparing() || (self.sums == State::InUse && self.trailers.is_none())
    }

    /// Whether the next datagram is one of those that are compared while sums are in use.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.unchecked >= Self::SAMPLE
    }

    /// Notes that so many datagrams were proven, perhaps by the card's sums.
    #[inline]
    pub(crate) fn proved(&mut self, datagrams: usize) {
        self.unchecked = self.unchecked.saturating_add(datagrams as u32);
    }

    /// Compares the sums in the words of a datagram's frames with computed ones: `inside` is the sum of the
    /// IP payload, and `outside` that of the bytes behind the IP packets.
    pub(crate) fn compare(&mut self, words: &[u32], ethernet: u64, (inside, outside): (u64, u64)) {
        if !self.are_told(words) {
            return;
        }
        let telling = !is_same(outside, 0);
        let this = *self;
        let fits = |variant, counts| {
            let sum = if counts { inside + outside } else { inside };
            is_same(this.total(words, variant, ethernet), sum)
        };
        // Of a variant, whether it fits one way or the other, if that is not known.
        let fits_any = |variant| match this.trailers {
            Some(counts) => fits(variant, counts),
            None => fits(variant, false) || (telling && fits(variant, true)),
        };
        match self.sums {
            State::InUse => {
                self.unchecked = 0;
                if !fits_any(self.variant) {
                    self.sums = State::Disagreed;
                } else if telling && self.trailers.is_none() {
                    self.trailers = Some(fits(self.variant, true));
                }
            }
            State::Compared(agreed) => {
                let left = (0..VARIANTS).filter(|&v| self.candidates >> v & 1 != 0 && fits_any(v));
                self.candidates = left.fold(0, |all, v| all | 1 << v);
                self.sums = match self.candidates.count_ones() {
                    0 => {
                        self.candidates = (1 << VARIANTS) - 1;
                        self.misfits += 1;
                        if self.misfits > Self::MISFITS { State::Misfit } else { State::Compared(0) }
                    }
                    1 if agreed + 1 >= Self::ENOUGH_SUMS => {
                        self.variant = self.candidates.trailing_zeros() as u8;
                        self.unchecked = 0;
                        State::InUse
                    }
                    _ => State::Compared(agreed.saturating_add(1)),
                };
            }
            _ => {}
        }
    }

    /// One that is believed from the start, whose sums are as a little-endian processor adds them.
    #[cfg(any(test, feature = "mock"))]
    pub fn believed(words: Words, sums: bool) -> Self {
        let ids = if words == Words::Packet { State::InUse } else { State::Absent };
        Self { ids, sums: if sums { State::InUse } else { State::Misfit }, candidates: 1, ..Self::new(words) }
    }
}

/// Whether all words have this identification.
#[inline]
fn are_all(words: &[u32], id: u16) -> bool {
    words.iter().fold(0, |other, &word| other | (word as u16 ^ id)) == 0
}

/// Whether two sums are the same in one's complement, where 0 has two forms.
fn is_same(one: u64, other: u64) -> bool {
    fold_host(one) % 0xffff == fold_host(other) % 0xffff
}

#[cfg(test)]
mod tests;
