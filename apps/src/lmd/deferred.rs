//! [`Deferred`]: datagrams that wait for leave of their receiver, with `--ac`.
//!
//! A datagram that waits holds up later datagrams to the same receiver, and no others. If a receiver gives no
//! leave in time, its datagrams are sent without leave, as without `--ac`: it may have no admission control.
//! It is asked again later. If too many datagrams wait, the oldest is sent without leave. Leave is for the
//! landing queue, and a datagram without leave is not sent there. So no node that has leave is disturbed.

use std::collections::VecDeque;

use lm_proto::alf::Ends;

/// Datagrams that wait at most. One more sends the oldest on its way.
const MOST: usize = 16;
/// Nanoseconds that a datagram waits at most: more than a lease, which another sender may have.
const PATIENCE: u64 = 500_000_000;
/// Nanoseconds for which a receiver that gave no leave is not asked.
const SILENCE: u64 = 2_000_000_000;

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Where the receiver wants it, or where everybody sends to.
    pub(crate) to: Ends,
    /// Where everybody sends to.
    ends: Ends,
    /// Whether the receiver has given leave.
    has_leave: bool,
    /// Since when the datagram has waited.
    since: u64,
}

/// Datagrams that wait, the oldest first.
#[derive(Debug)]
pub(crate) struct Deferred<T> {
    waiting: VecDeque<(T, Ends, u64)>,
    /// Receivers that gave no leave, and until when they are not asked.
    silent: Vec<(u32, u64)>,
    /// How many went without leave.
    without: u64,
}

impl<T> Default for Deferred<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), silent: Vec::new(), without: 0 }
    }
}

impl<T> Deferred<T> {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether more than [`MOST`] datagrams wait. Then [`Self::next`] gives the oldest one, whether or not
    /// its receiver has given leave.
    pub(crate) fn is_over(&self) -> bool {
        self.len() > MOST
    }

    /// How many went without leave.
    pub(crate) fn without(&self) -> u64 {
        self.without
    }

    /// Forgets all that wait. Returns how many those were.
    pub(crate) fn clear(&mut self) -> usize {
        let n = self.len();
        self.waiting.clear();
        n
    }

    /// Takes a datagram that is to be sent, and asks for leave by `may`. If the datagram may go now, it is
    /// returned with where it goes, and the caller tells [`Self::went`] when it went. Otherwise it waits.
    pub(crate) fn ask(
        &mut self,
        datagram: T,
        ends: Ends,
        now: u64,
        may: impl FnOnce(Ends) -> Option<Ends>,
    ) -> Option<(T, Way)> {
        let dst = ends.flow.dst;
        let first = self.waiting.iter().all(|(_, other, _)| other.flow.dst != dst);
        if let Some(way) = if first { self.way(ends, now, now, may) } else { None } {
            return Some((datagram, way));
        }
        self.waiting.push_back((datagram, ends, now));
        None
    }

    /// The next one that may go by now, and where to. Tell [`Self::went`] when it went, or else
    /// [`Self::put_back`].
    pub(crate) fn next(&mut self, now: u64, mut may: impl FnMut(Ends) -> Option<Ends>) -> Option<(T, Way)> {
        let mut held: Vec<u32> = Vec::new();
        for at in 0..self.waiting.len() {
            let (_, ends, since) = &self.waiting[at];
            let (ends, since) = (*ends, *since);
            if held.contains(&ends.flow.dst) {
                continue;
            }
            let mut way = self.way(ends, since, now, &mut may);
            if way.is_none() && self.is_over() {
                way = Some(Way { to: ends, ends, has_leave: false, since });
            }
            if way.is_none() && now.saturating_sub(since) >= PATIENCE {
                self.silent.push((ends.flow.dst, now + SILENCE));
                way = self.way(ends, since, now, &mut may);
            }
            match way {
                Some(way) => return self.waiting.remove(at).map(|(datagram, ..)| (datagram, way)),
                None => held.push(ends.flow.dst),
            }
        }
        None
    }

    /// One that went this way is on the wire.
    pub(crate) fn went(&mut self, way: &Way) {
        self.without += u64::from(!way.has_leave);
    }

    /// One that [`Self::next`] gave found no room on the wire. It has waited as long as before, and is the
    /// next one.
    pub(crate) fn put_back(&mut self, datagram: T, way: &Way) {
        self.waiting.push_front((datagram, way.ends, way.since));
    }

    /// Where a datagram goes now: without leave, if its receiver is not asked at present.
    fn way(
        &mut self,
        ends: Ends,
        since: u64,
        now: u64,
        may: impl FnOnce(Ends) -> Option<Ends>,
    ) -> Option<Way> {
        self.silent.retain(|(_, until)| now < *until);
        let has_leave = self.silent.iter().all(|(dst, _)| *dst != ends.flow.dst);
        let to = if has_leave { may(ends)? } else { ends };
        Some(Way { to, ends, has_leave, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm_proto::wire::Flow;

    fn to(dst: u32) -> Ends {
        Ends { src_mac: [2; 6], dst_mac: [4; 6], flow: Flow { src: 1, dst, src_port: 1, dst_port: 2 } }
    }

    /// What went, and where to.
    fn sent(all: &mut Deferred<char>, given: Option<(char, Way)>) -> Option<(char, Ends)> {
        given.map(|(datagram, way)| {
            all.went(&way);
            (datagram, way.to)
        })
    }

    fn ask(
        all: &mut Deferred<char>,
        datagram: char,
        dst: u32,
        now: u64,
        gives: bool,
    ) -> Option<(char, Ends)> {
        let given = all.ask(datagram, to(dst), now, |ends| gives.then_some(ends));
        sent(all, given)
    }

    fn next(all: &mut Deferred<char>, now: u64, gives: impl Fn(u32) -> bool) -> Option<(char, Ends)> {
        let given = all.next(now, |ends| gives(ends.flow.dst).then_some(ends));
        sent(all, given)
    }

    #[test]
    fn one_receiver_holds_up_no_other() {
        let all = &mut Deferred::default();
        assert_eq!(ask(all, 'a', 7, 0, false), None);
        assert_eq!(ask(all, 'b', 7, 0, true), None, "it stays behind the first");
        assert_eq!(ask(all, 'c', 8, 0, true), Some(('c', to(8))));
        assert_eq!(ask(all, 'd', 9, 0, false), None);
        let mut asked = Vec::new();
        let none = all.next(1, |ends| {
            asked.push(ends.flow.dst);
            None
        });
        assert_eq!((none, asked), (None, vec![7, 9]));
        assert_eq!(next(all, 1, |dst| dst == 9), Some(('d', to(9))));
        let (a, way) = all.next(1, Some).expect("leave");
        all.put_back(a, &way);
        let both = [next(all, 1, |_| true), next(all, 1, |_| true)];
        assert_eq!(both, [Some(('a', to(7))), Some(('b', to(7)))]);
        assert_eq!((all.len(), all.without()), (0, 0));
    }

    #[test]
    fn who_gives_no_leave_is_sent_to_without_it_for_a_while() {
        let all = &mut Deferred::default();
        assert_eq!(ask(all, 'a', 7, 0, false), None);
        assert_eq!(next(all, PATIENCE - 1, |_| false), None);
        assert_eq!(next(all, PATIENCE, |_| false), Some(('a', to(7))));
        assert_eq!(ask(all, 'b', 7, PATIENCE + SILENCE - 1, false), Some(('b', to(7))));
        assert_eq!(all.without(), 2);
        assert_eq!(ask(all, 'c', 7, PATIENCE + SILENCE, false), None, "it is asked again");
    }

    #[test]
    fn what_found_no_room_is_counted_when_it_went() {
        let all = &mut Deferred::default();
        assert_eq!(ask(all, 'a', 7, 0, false), None);
        for _ in 0..3 {
            let (a, way) = all.next(PATIENCE, |_| None).expect("it waited long enough");
            all.put_back(a, &way);
        }
        assert_eq!(next(all, PATIENCE, |_| false), Some(('a', to(7))));
        assert_eq!(all.without(), 1);
        for _ in 0..3 {
            assert!(all.ask('b', to(7), PATIENCE, |_| None).is_some(), "it is not asked");
        }
        assert_eq!(all.without(), 1, "there was no room for the second");
        assert_eq!(ask(all, 'b', 7, PATIENCE, false), Some(('b', to(7))));
        assert_eq!(all.without(), 2);
    }

    #[test]
    fn no_room_changes_neither_its_time_nor_its_address() {
        let all = &mut Deferred::default();
        assert_eq!(ask(all, 'a', 7, 0, false), None);
        let landing = Ends { dst_mac: [6; 6], ..to(7) };
        let (a, way) = all.next(PATIENCE - 1, |_| Some(landing)).expect("leave");
        assert_eq!(way.to, landing);
        all.put_back(a, &way);
        // The leave is over before there is room.
        assert_eq!(
            next(all, PATIENCE, |_| false),
            Some(('a', to(7))),
            "a landing queue is for who has leave"
        );
    }

    #[test]
    fn one_too_many_sends_the_oldest_without_leave() {
        let all = &mut Deferred::default();
        for n in 0..MOST as u32 {
            assert_eq!(ask(all, 'a', n / 2, 0, false), None);
        }
        assert!(!all.is_over());
        assert_eq!(next(all, 1, |_| false), None, "there is room for all");
        assert_eq!(ask(all, 'b', 99, 1, false), None);
        assert!(all.is_over());
        // There was no room on the wire: it is still the one that goes.
        let (a, way) = all.next(1, |_| None).expect("the oldest");
        all.put_back(a, &way);
        assert_eq!(next(all, 1, |_| false), Some(('a', to(0))));
        assert_eq!((all.is_over(), all.without()), (false, 1));
        assert_eq!(next(all, 1, |_| false), None);
        // Receiver 0 was sent to because too many datagrams waited, not because it gave no leave in time. So
        // it is still asked, and its next datagram goes with the leave that it gives now.
        assert_eq!(next(all, 1, |dst| dst == 0), Some(('a', to(0))));
        assert_eq!((all.without(), all.clear(), all.len()), (1, MOST - 1, 0));
    }
}
