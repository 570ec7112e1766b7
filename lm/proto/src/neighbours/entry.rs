//! [`Known`] and [`Asked`]: one entry of the table of neighbours, and its states.
//!
//! [`Neighbours`](super::Neighbours) tells an entry what was heard and what time it is, sends the questions
//! that are due, and carries out the verdict. An address changes only after its owner was asked [`TRIES`]
//! times and did not answer.

use std::time::Duration;

use super::{IN_USE, PAUSE, REACHABLE};
use crate::wire::Mac;

/// How many questions an owner may leave unanswered before it counts as gone.
pub(super) const TRIES: u8 = 3;
/// The time between two questions to an owner whose address nobody else claims.
pub(super) const RENEWAL: Duration = Duration::from_secs(1);
/// The time between two questions to an owner whose address is claimed. Three of them take a second.
pub(super) const CONTEST: Duration = Duration::from_millis(333);
/// The time between two broadcast questions while a datagram may wait for the answer.
pub(super) const EAGER: Duration = Duration::from_millis(50);
/// How many of those there are.
pub(super) const EAGER_TRIES: u8 = 4;
/// The time between two broadcast questions after these.
pub(super) const LAZY: Duration = Duration::from_secs(1);

/// An address whose owner is not known, and is asked for by broadcast.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// When it was last needed.
    pub(super) used: Duration,
    /// When the first question went out.
    pub(super) since: Option<Duration>,
    /// When the next one is due.
    pub(super) due: Duration,
    tries: u8,
}

impl Asked {
    /// An address for which no question has gone out.
    pub(super) fn new(now: Duration) -> Self {
        Self { used: now, since: None, due: now, tries: 0 }
    }

    /// Notes that a question went out.
    pub(super) fn sent(&mut self, now: Duration) {
        self.since.get_or_insert(now);
        self.tries = self.tries.saturating_add(1);
        self.due = now + if self.tries < EAGER_TRIES { EAGER } else { LAZY };
    }

    /// Puts the next question off, if the address was not needed lately.
    pub(super) fn rest(&mut self, now: Duration) {
        if self.due <= now && now.saturating_sub(self.used) > IN_USE {
            self.due = now + LAZY;
        }
    }
}

/// An address whose owner is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The owner's hardware address.
    pub(super) mac: Mac,
    /// Whether the owner is a node of LM's, by the last that it said; `None`: it has said nothing yet.
    pub(super) lm: Option<bool>,
    /// When it was last used (a peer), or heard of (a stranger).
    pub(super) touched: Duration,
    /// When it last answered.
    confirmed: Option<Duration>,
    question: Option<Question>,
    /// The hardware address that claims the IP address, and whether it is a node of LM's.
    claim: Option<(Mac, bool)>,
    /// Before this moment no question about a claim is sent.
    quiet: Duration,
}

/// The question that the owner is being asked.
#[derive(Clone, Copy, Debug)]
struct Question {
    tries: u8,
    due: Duration,
}

/// What follows from the answers that came or did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing changes.
    Stays,
    /// The old owner did not answer, and the address went to whoever claimed it.
    Moved {
        /// The old owner.
        old: Mac,
    },
    /// The owner did not answer.
    Gone,
}

impl Known {
    /// An entry whose owner answered at `confirmed`, if it did. `lm`: whether the owner is a node of LM's.
    pub(super) fn new(mac: Mac, lm: bool, touched: Duration, confirmed: Option<Duration>) -> Self {
        Self { mac, lm: Some(lm), touched, confirmed, question: None, claim: None, quiet: Duration::ZERO }
    }

    /// When the owner has to be asked, or [`Known::settle_unanswered`] has to be called.
    pub(super) fn due(&self) -> Option<Duration> {
        self.question.map(|question| question.due)
    }

    /// Notes that the entry is used. Returns whether a question begins, because the last answer is old.
    pub(super) fn renew(&mut self, now: Duration) -> bool {
        let fresh = self.confirmed.is_some_and(|then| now.saturating_sub(then) < REACHABLE);
        let ask = !fresh && self.question.is_none();
        if ask {
            self.question = Some(Question { tries: 0, due: now });
        }
        ask
    }

    /// Notes a packet of the owner. It counts as an answer only if a question was sent, because anybody can
    /// have sent the packet.
    pub(super) fn alive(&mut self, now: Duration) {
        if self.question.is_some_and(|question| question.tries > 0) {
            self.confirmed = Some(now);
            if self.claim.take().is_some() {
                self.quiet = now + PAUSE;
            }
            self.question = None;
        }
    }

    /// Notes that another hardware address claims the IP address. Returns whether a question begins.
    pub(super) fn claimed(&mut self, mac: Mac, lm: bool, now: Duration) -> bool {
        let first = self.claim.replace((mac, lm)).is_none();
        if first {
            self.question = Some(Question { tries: 0, due: now.max(self.quiet) });
        }
        first
    }

    /// Notes that a question went out.
    pub(super) fn sent(&mut self, now: Duration) {
        let pause = if self.claim.is_some() { CONTEST } else { RENEWAL };
        if let Some(question) = &mut self.question {
            question.tries += 1;
            question.due = now + pause;
        }
    }

    /// Decides what follows if the owner has not answered enough questions.
    pub(super) fn settle_unanswered(&mut self, now: Duration) -> Verdict {
        if self.question.is_none_or(|question| question.tries < TRIES || now < question.due) {
            return Verdict::Stays;
        }
        self.question = None;
        let Some((new, lm)) = self.claim.take() else { return Verdict::Gone };
        let old = std::mem::replace(&mut self.mac, new);
        self.lm = Some(lm);
        self.confirmed = None;
        self.quiet = now + PAUSE;
        Verdict::Moved { old }
    }
}
