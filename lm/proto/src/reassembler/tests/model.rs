//! Against a model that is obviously right: a list of fragments, a map from byte to value, and a list of
//! datagrams that is searched for each question.

use std::collections::{BTreeSet, HashMap, VecDeque};

use proptest::prelude::*;

use super::{Bench, SECOND, Seen, byte, cases, key_of};
use crate::counters::Reason;
use crate::reassembler::{Fragment, Key, Limits, refused};
use crate::service::Service;

struct Datagram {
    key: Key,
    begun: u64,
    /// When its last new fragment came, and the how manieth of all new fragments that was.
    progress: (u64, usize),
    /// How many datagrams of its source had become whole then.
    whole: u32,
    tombstone: bool,
    fragments: Vec<(usize, bool, Vec<u8>)>,
    marks: BTreeSet<u8>,
}

impl Datagram {
    fn insert(&mut self, offset: usize, more: bool, ecn: u8, data: &[u8]) -> Seen {
        if self.tombstone {
            return Seen::Dropped(Reason::Discarded);
        }
        if self.fragments.iter().any(|(o, m, d)| (*o, *m, &d[..]) == (offset, more, data)) {
            self.marks.insert(ecn);
            return Seen::Duplicate;
        }
        let all = || self.fragments.iter().map(|(o, m, d)| (o + d.len(), *m));
        let end = offset + data.len();
        let clash = |(e, m): (usize, bool)| match (m, more) {
            (false, false) => e != end,
            (false, true) => end >= e,
            (true, false) => e >= end,
            (true, true) => false,
        };
        let bytes: HashMap<usize, u8> = self
            .fragments
            .iter()
            .flat_map(|(o, _, d)| d.iter().enumerate().map(move |(i, &b)| (o + i, b)))
            .collect();
        let refused = if all().any(clash) {
            Some(Reason::Inconsistent)
        } else if (offset..end).any(|at| bytes.contains_key(&at)) {
            Some(Reason::Overlap)
        } else if self.fragments.len() == usize::from(Limits::MAX_FRAGMENTS) {
            Some(Reason::TooMany)
        } else {
            None
        };
        if let Some(reason) = refused {
            self.tombstone = true;
            return Seen::Dropped(reason);
        }
        self.marks.insert(ecn);
        self.fragments.push((offset, more, data.to_vec()));
        let mut bytes = bytes;
        bytes.extend(data.iter().enumerate().map(|(i, &b)| (offset + i, b)));
        let end = self.fragments.iter().find(|(_, more, _)| !more).map(|(o, _, d)| o + d.len());
        let whole: Option<Vec<u8>> = end.and_then(|end| (0..end).map(|at| bytes.get(&at).copied()).collect());
        match whole {
            None => Seen::Pending,
            Some(_) if self.marks.contains(&0b00) && self.marks.contains(&0b11) => Seen::Dropped(Reason::Ecn),
            Some(whole) => Seen::Whole(whole, self.fragments.len() as u16),
        }
    }

    fn filled(&self) -> usize {
        if self.tombstone { 0 } else { self.fragments.iter().map(|(_, _, d)| d.len()).sum() }
    }
}

struct Model {
    /// In the order of arrival.
    datagrams: Vec<Datagram>,
    most: usize,
    buffers: usize,
    lost: Vec<(Key, Reason)>,
    /// What can't become whole: until when it is remembered, and why.
    refused: VecDeque<(Key, u64, Reason)>,
    new_fragments: usize,
    /// Datagrams that became whole, by source.
    whole: HashMap<u32, u32>,
}

impl Model {
    fn new(most: usize, buffers: usize) -> Self {
        let (datagrams, lost, refused) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { datagrams, most, buffers, lost, refused, new_fragments: 0, whole: HashMap::new() }
    }

    fn whole(&self, source: u32) -> u32 {
        self.whole.get(&source).copied().unwrap_or(0)
    }

    fn refuse(&mut self, now: u64, key: Key, reason: Reason) {
        if self.refused.len() == self.most * refused::KEYS_PER_DATAGRAM {
            self.refused.pop_front();
        }
        self.refused.push_back((key, now + SECOND, reason));
    }

    fn lose(&mut self, at: usize, now: u64) {
        let d = self.datagrams.remove(at);
        let reason = if d.begun + SECOND <= now { Reason::Timeout } else { Reason::Evicted };
        if reason == Reason::Evicted {
            self.refuse(now, d.key, Reason::Discarded);
        }
        if !d.tombstone {
            self.lost.push((d.key, reason));
        }
    }

    /// Who goes for a new datagram of this source.
    fn victim(&self, now: u64, source: u32) -> Option<usize> {
        if self.datagrams[0].begun + SECOND <= now {
            return Some(0);
        }
        let stillest = (0..self.most).min_by_key(|&at| self.datagrams[at].progress)?;
        if self.datagrams[stillest].progress.0 + Limits::STILL_NS <= now {
            return Some(stillest);
        }
        let own = (0..self.most).filter(|&at| self.datagrams[at].key.src == source);
        if let Some(at) = own.min_by_key(|&at| self.datagrams[at].progress)
            && self.whole(source) - self.datagrams[at].whole >= Limits::OVERTAKEN
        {
            return Some(at);
        }
        let of = |source: u32| self.datagrams.iter().filter(|d| d.key.src == source).count();
        let mut sources: BTreeSet<u32> = self.datagrams.iter().map(|d| d.key.src).collect();
        sources.insert(source);
        let share = (self.most / sources.len()).max(1);
        let greatest = sources.iter().map(|&s| of(s)).max()?;
        if of(source) >= share || greatest <= share {
            return None;
        }
        let may_go = (0..self.most).rev().filter(|&at| of(self.datagrams[at].key.src) == greatest);
        may_go.min_by_key(|&at| self.datagrams[at].filled())
    }

    fn begin(&mut self, now: u64, key: Key) -> Result<(), Reason> {
        self.refused.retain(|&(_, until, _)| until > now);
        if let Some(&(_, _, reason)) = self.refused.iter().find(|(k, _, _)| *k == key) {
            return Err(reason);
        }
        if self.datagrams.len() == self.most {
            let Some(at) = self.victim(now, key.src) else {
                self.refuse(now, key, Reason::ReassemblerFull);
                return Err(Reason::ReassemblerFull);
            };
            self.lose(at, now);
        }
        if self.datagrams.iter().filter(|d| !d.tombstone).count() == self.buffers {
            self.refuse(now, key, Reason::NoBuffer);
            return Err(Reason::NoBuffer);
        }
        let (fragments, marks) = (Vec::new(), BTreeSet::new());
        let progress = (now, self.new_fragments);
        let whole = self.whole(key.src);
        self.datagrams.push(Datagram {
            key,
            begun: now,
            progress,
            whole,
            tombstone: false,
            fragments,
            marks,
        });
        Ok(())
    }

    fn insert(&mut self, now: u64, key: Key, fragment: &Fragment<'_>) -> Seen {
        let Fragment { more, service: Service { tos: ecn, .. }, data, .. } = *fragment;
        let offset = fragment.offset as usize;
        if data.is_empty() {
            return Seen::Dropped(Reason::Empty);
        }
        if !offset.is_multiple_of(8) || (more && !data.len().is_multiple_of(8)) {
            return Seen::Dropped(Reason::Unaligned);
        }
        if offset + data.len() > 65_515 {
            return Seen::Dropped(Reason::TooLong);
        }
        let position = |m: &Self| m.datagrams.iter().position(|d| d.key == key);
        if let Some(at) = position(self)
            && self.datagrams[at].begun + SECOND <= now
        {
            self.lose(at, now);
        }
        if position(self).is_none()
            && let Err(reason) = self.begin(now, key)
        {
            return Seen::Dropped(reason);
        }
        let Some(at) = position(self) else { unreachable!() };
        let seen = self.datagrams[at].insert(offset, more, ecn, data);
        match seen {
            Seen::Whole(..) | Seen::Dropped(Reason::Ecn) => {
                *self.whole.entry(key.src).or_default() += 1;
                self.datagrams.remove(at);
            }
            Seen::Pending => {
                self.new_fragments += 1;
                self.datagrams[at].progress = (now, self.new_fragments);
                self.datagrams[at].whole = self.whole(key.src);
            }
            Seen::Dropped(_) | Seen::Duplicate => {}
        }
        seen
    }

    fn expire(&mut self, now: u64) -> Vec<(Key, Reason)> {
        while self.datagrams.first().is_some_and(|d| d.begun + SECOND <= now) {
            self.lose(0, now);
        }
        std::mem::take(&mut self.lost)
    }
}

#[derive(Clone, Debug)]
struct Step {
    wait: u64,
    key: Key,
    unit: u32,
    len: usize,
    more: bool,
    ecn: u8,
    version: u8,
    expire: bool,
    discard: bool,
    /// Datagrams in one piece of the same sender before this.
    singles: u16,
}

/// Datagrams of four senders, of which one sends as many as the others together.
fn any_key() -> impl Strategy<Value = Key> {
    (0..6_u32, 0..5_u16).prop_map(|(sender, id)| key_of(sender.min(3), id))
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![
        16 => Just(0),
        6 => 0..Limits::STILL_NS / 4,
        2 => Limits::STILL_NS - 1..Limits::STILL_NS + 2,
        1 => SECOND / 2..SECOND + 2,
    ];
    let unit = prop_oneof![20 => 0..6_u32, 1 => 8186..8192_u32];
    let len = prop_oneof![8 => (1..4_usize).prop_map(|u| u * 8), 1 => 0..20_usize];
    let (version, more) = (prop::bool::weighted(0.03), prop::bool::weighted(0.7));
    let ecn = prop_oneof![3 => Just(0b10_u8), 1 => 0..4_u8];
    let singles = prop_oneof![10 => Just(0_u16), 1 => 0..Limits::OVERTAKEN as u16 + 2];
    let also = (prop::bool::weighted(0.3), prop::bool::weighted(0.01), singles);
    (wait, any_key(), unit, len, more, ecn, version, also).prop_map(
        |(wait, key, unit, len, more, ecn, version, (expire, discard, singles))| Step {
            wait,
            key,
            unit,
            len,
            more,
            ecn,
            version: version.into(),
            expire,
            discard,
            singles,
        },
    )
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn does_what_the_model_does(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 40 } else { 200 }),
        most in 1..=9_usize,
        spare in -2..=1_isize,
    ) {
        let buffers = most.saturating_add_signed(spare).max(1);
        let mut bench = Bench::new(most, buffers);
        let mut model = Model::new(most, buffers);
        let mut now = 5;
        let mut id = 1000;
        for s in steps {
            for _ in 0..s.singles {
                id += 1;
                let key = Key { id, ..s.key };
                let fragment = Fragment { offset: 0, more: false, service: Service::default(), data: &[1] };
                prop_assert_eq!(bench.insert_marked(now, key, fragment), model.insert(now, key, &fragment));
                if model.lost.len() == most {
                    prop_assert_eq!(bench.expire(now), model.expire(now));
                }
            }
            now += s.wait;
            if s.expire {
                prop_assert_eq!(bench.expire(now), model.expire(now));
            }
            if s.discard {
                let at = model.datagrams.iter().position(|d| d.key == s.key);
                let had = at.is_some_and(|at| !model.datagrams.remove(at).tombstone);
                prop_assert_eq!(bench.r.discard(&s.key, &mut bench.pool), had);
            }
            let offset = s.unit * 8 + u32::from(s.len == 7);
            let data: Vec<u8> = (0..s.len).map(|i| byte(s.key.id, offset as usize + i, s.version)).collect();
            let service = Service { tos: s.ecn, ttl: 9 };
            let fragment = Fragment { offset, more: s.more, service, data: &data };
            prop_assert_eq!(bench.insert_marked(now, s.key, fragment), model.insert(now, s.key, &fragment));
            prop_assert_eq!(bench.r.len(), model.datagrams.len());
            prop_assert_eq!(bench.pool.out, model.datagrams.iter().filter(|d| !d.tombstone).count());
            for (sender, id) in (0..4).flat_map(|sender| (0..5).map(move |id| (sender, id))) {
                let key = key_of(sender, id);
                prop_assert_eq!(bench.r.contains(&key), model.datagrams.iter().any(|d| d.key == key));
            }
            // Beyond as many records as datagrams the keys are inexact: don't let it come so far.
            if model.lost.len() == most {
                prop_assert_eq!(bench.expire(now), model.expire(now));
            }
        }
    }
}
