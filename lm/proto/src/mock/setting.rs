//! [`Setting`]: what a case sets besides its policy and its device: limits, a card's words, slots that are
//! laid by what arrives, and what the program does meanwhile.
//!
//! `grammar` chooses one for each case, and [`super::case`] plays it. None of it changes what may be
//! delivered.

use std::collections::VecDeque;

use super::case::{Arrival, Step};
use super::frames::TO;
use super::random::Random;
use super::{MockMatcher, card};
use crate::card::{Card, Words};
use crate::frame::Slot;
use crate::matcher::{Config, Matcher};
use crate::policy::Accept;
use crate::reassembler::Limits;
use crate::wire::{self, ETHERNET, Mac};

/// A card that says something of each frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Nothing.
    Nothing,
    /// Identifications.
    Ids,
    /// Identifications and sums.
    Packet,
    /// Sums of whole frames.
    Frame,
}

/// The rest of a case.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How much may wait.
    pub limits: Limits,
    /// Slots are laid by what arrives, so many frames before they are filled.
    pub auto: Option<usize>,
    /// The card.
    pub card: Says,
    /// It is believed from the start.
    pub believed: bool,
    /// What waits is copied behind every so many frames; 0: never.
    pub relieve: usize,
    /// Everything is given up behind every so many frames; 0: never.
    pub clear: usize,
    /// What was sent to this hardware address is taken. Senders of odd addresses send to another one.
    pub mac: Option<Mac>,
    /// What came in one frame is handed out.
    pub fragmented: bool,
}

impl Default for Setting {
    fn default() -> Self {
        let limits = Limits { window: 256, ..Limits::default() };
        Self {
            limits,
            auto: None,
            card: Says::Nothing,
            believed: false,
            relieve: 0,
            clear: 0,
            mac: None,
            fragmented: false,
        }
    }
}

impl Setting {
    /// Any setting; a `calm` one gives nothing up.
    pub(super) fn any(random: &mut Random, calm: bool) -> Self {
        let mut this = Self { believed: random.once_in(2), ..Self::default() };
        if calm {
            this.card = random.pick(&[Says::Nothing, Says::Ids, Says::Packet, Says::Frame]);
            return this;
        }
        // Where a frame comes before another one's turn, sums do not tell.
        this.card = random.pick(&[Says::Nothing, Says::Nothing, Says::Ids]);
        if random.once_in(2) {
            this.limits = Limits {
                datagrams: random.pick(&[1, 2, 3, 8, 64]),
                waiting: random.pick(&[0, 1, 2, 3, 8, 8192]),
                window: random.pick(&[0, 1, 2, 5, 17, 64, 256]),
                timeout_ns: random.pick(&[1_000_000, 300_000_000, 1_000_000_000]),
            };
        }
        if random.once_in(3) {
            this.auto = Some(random.pick(&[0, 1, 5, 64]));
        }
        if random.once_in(4) {
            this.relieve = random.within(1, 100);
        }
        if random.once_in(8) {
            this.clear = random.within(1, 100);
        }
        if random.once_in(4) {
            this.mac = Some(TO);
        }
        this.fragmented = random.once_in(8);
        this
    }

    /// What the mock's descriptors say.
    pub(super) fn words(&self) -> Option<fn(&[u8]) -> u32> {
        match self.card {
            Says::Nothing => None,
            Says::Ids => Some(card::id_alone),
            Says::Packet => Some(card::packet),
            Says::Frame => Some(card::whole),
        }
    }

    /// A matcher with this setting, whose first slots lie so.
    pub(super) fn matcher(&self, config: Config, first: Slot) -> MockMatcher {
        let words = match self.card {
            Says::Nothing => Words::None,
            Says::Ids | Says::Packet => Words::Packet,
            Says::Frame => Words::Frame,
        };
        let accept = Accept { fragmented: self.fragmented, mac: self.mac, ..config.accept };
        let mut matcher = Matcher::new(Config { limits: self.limits, accept, words, ..config });
        if self.believed && words != Words::None {
            matcher.believe(Card::believed(words, self.card != Says::Ids));
        }
        if self.auto.is_some() {
            matcher.set_auto(Some(first));
        }
        matcher
    }

    /// The ring, if slots are laid by what arrives.
    pub(super) fn ring(&self, first: Slot) -> Option<Ring> {
        let posted = self.auto?;
        Some(Ring { posted: std::iter::repeat_n(first, posted).collect(), newest: first })
    }
}

/// The IPv4 source of a frame, with a VLAN tag or without.
pub(super) fn source(frame: &[u8]) -> Option<u32> {
    let tag = if wire::ether_type(frame)? == 0x8100 { wire::VLAN } else { 0 };
    let at = ETHERNET + tag + 12;
    frame.get(at..at + 4).map(|source| wire::be32(source, 0))
}

/// Has senders of odd addresses send to another station.
pub(super) fn send_elsewhere(steps: &mut [Step]) {
    for step in steps {
        let Step::Frame(Arrival { bytes, originals, .. }) = step else { continue };
        if source(bytes).is_some_and(|source| source % 2 == 1) {
            originals.iter_mut().chain([bytes]).for_each(|frame| frame[5] ^= 0x80);
        }
    }
}

/// How the slots lie that are posted.
pub(super) struct Ring {
    posted: VecDeque<Slot>,
    newest: Slot,
}

impl Ring {
    /// How the next slot lies.
    pub(super) fn next(&mut self) -> Slot {
        self.posted.push_back(self.newest);
        self.posted.pop_front().unwrap_or(self.newest)
    }

    /// Lays the slots from now on as the matcher wants them.
    pub(super) fn follow(&mut self, matcher: &mut MockMatcher) {
        self.newest = matcher.next_layout().unwrap_or(self.newest);
    }
}
