//! One entry of the table, and its states.

use std::time::Duration;

use super::{IN_USE, PAUSE, REACHABLE};
use crate::wire::Mac;

/// Questions before silence is an answer.
pub(super) const TRIES: u8 = 3;
/// Between two questions to an owner that nobody contests.
pub(super) const RENEWAL: Duration = Duration::from_secs(1);
/// Between two questions to one whose address is claimed: three of them are a second.
pub(super) const CONTEST: Duration = Duration::from_millis(333);
/// The time between two broadcast questions while a datagram may wait for the answer.
pub(super) const EAGER: Duration = Duration::from_millis(50);
/// How many of those there are.
pub(super) const EAGER_TRIES: u8 = 4;
/// Between two questions to everybody, later.
pub(super) const LAZY: Duration = Duration::from_secs(1);

/// An address that everybody is asked for.
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
    /// Nobody was asked yet.
    pub(super) fn new(now: Duration) -> Self {
        Self { used: now, since: None, due: now, tries: 0 }
    }

    /// A question went out.
    pub(super) fn sent(&mut self, now: Duration) {
        self.since.get_or_insert(now);
        self.tries = self.tries.saturating_add(1);
        self.due = now + if self.tries < EAGER_TRIES { EAGER } else { LAZY };
    }

    /// What nobody needs any more is not asked for.
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
    /// Who else says that the address is its own, and whether that is a node of LM's.
    claim: Option<(Mac, bool)>,
    /// No question about a claim before then.
    quiet: Duration,
}

/// What the owner is being asked.
#[derive(Clone, Copy, Debug)]
struct Question {
    tries: u8,
    due: Duration,
}

/// What time has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Stays,
    /// The old owner was silent, and who claimed the address has it.
    Moved {
        /// The old owner.
        old: Mac,
    },
    /// The owner was silent.
    Gone,
}

impl Known {
    /// An entry that answered at `confirmed`, if it did. `lm`: its owner is a node of LM's.
    pub(super) fn new(mac: Mac, lm: bool, touched: Duration, confirmed: Option<Duration>) -> Self {
        Self { mac, lm: Some(lm), touched, confirmed, question: None, claim: None, quiet: Duration::ZERO }
    }

    /// When it has to be asked, or judged.
    pub(super) fn due(&self) -> Option<Duration> {
        self.question.map(|question| question.due)
    }

    /// It is used: whether it must be asked, as its last answer is old.
    pub(super) fn renew(&mut self, now: Duration) -> bool {
        let fresh = self.confirmed.is_some_and(|then| now.saturating_sub(then) < REACHABLE);
        let ask = !fresh && self.question.is_none();
        if ask {
            self.question = Some(Question { tries: 0, due: now });
        }
        ask
    }

    /// Its owner spoke. That answers a question, if one was sent; else anybody can have said it.
    pub(super) fn alive(&mut self, now: Duration) {
        if self.question.is_some_and(|question| question.tries > 0) {
            self.confirmed = Some(now);
            if self.claim.take().is_some() {
                self.quiet = now + PAUSE;
            }
            self.question = None;
        }
    }

    /// Another one says that the address is its own: whether that begins a question.
    pub(super) fn claimed(&mut self, mac: Mac, lm: bool, now: Duration) -> bool {
        let first = self.claim.replace((mac, lm)).is_none();
        if first {
            self.question = Some(Question { tries: 0, due: now.max(self.quiet) });
        }
        first
    }

    /// A question went out.
    pub(super) fn sent(&mut self, now: Duration) {
        let pause = if self.claim.is_some() { CONTEST } else { RENEWAL };
        if let Some(question) = &mut self.question {
            question.tries += 1;
            question.due = now + pause;
        }
    }

    /// What silence means, once there were enough questions.
    pub(super) fn judge(&mut self, now: Duration) -> Verdict {
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
