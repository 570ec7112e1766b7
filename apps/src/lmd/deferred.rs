//! [`Deferred`]: datagrams that wait for leave of their receiver, with `--ac`.
//!
//! Who waits holds up the datagrams to the same receiver, and nothing else. A receiver that gives no leave in
//! time is sent to without it, as without `--ac`, and is asked again later: it may have no admission control.

use std::collections::VecDeque;

use lm_proto::alf::Ends;

/// Datagrams that wait at most. Then nothing is read from the kernel.
const MOST: usize = 16;
/// Nanoseconds that a datagram waits at most: more than a lease, which another sender may have.
const PATIENCE: u64 = 500_000_000;
/// Nanoseconds for which a receiver that gave no leave is not asked.
const SILENCE: u64 = 2_000_000_000;

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

    /// Whether no more may wait.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= MOST
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

    /// A datagram that is to be sent. It is given back with where it goes, or else it waits. `may` asks for
    /// leave.
    pub(crate) fn ask(
        &mut self,
        datagram: T,
        ends: Ends,
        now: u64,
        may: impl FnOnce(Ends) -> Option<Ends>,
    ) -> Option<(T, Ends)> {
        let dst = ends.flow.dst;
        let first = self.waiting.iter().all(|(_, other, _)| other.flow.dst != dst);
        let to = if first { self.unasked(ends, now).or_else(|| may(ends)) } else { None };
        if let Some(to) = to {
            return Some((datagram, to));
        }
        self.waiting.push_back((datagram, ends, now));
        None
    }

    /// The next one that may go by now, and where to.
    pub(crate) fn next(&mut self, now: u64, mut may: impl FnMut(Ends) -> Option<Ends>) -> Option<(T, Ends)> {
        let mut held: Vec<u32> = Vec::new();
        for at in 0..self.waiting.len() {
            let (_, ends, since) = &self.waiting[at];
            let (ends, since) = (*ends, *since);
            if held.contains(&ends.flow.dst) {
                continue;
            }
            let mut to = self.unasked(ends, now).or_else(|| may(ends));
            if to.is_none() && now.saturating_sub(since) >= PATIENCE {
                self.silent.push((ends.flow.dst, now + SILENCE));
                to = self.unasked(ends, now);
            }
            match to {
                Some(to) => return self.waiting.remove(at).map(|(datagram, ..)| (datagram, to)),
                None => held.push(ends.flow.dst),
            }
        }
        None
    }

    /// One that may go found no room on the wire.
    pub(crate) fn put_back(&mut self, datagram: T, ends: Ends, now: u64) {
        self.waiting.push_front((datagram, ends, now));
    }

    /// Where a datagram goes whose receiver is not asked at present.
    fn unasked(&mut self, ends: Ends, now: u64) -> Option<Ends> {
        self.silent.retain(|(_, until)| now < *until);
        let silent = self.silent.iter().any(|(dst, _)| *dst == ends.flow.dst);
        self.without += u64::from(silent);
        silent.then_some(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lm_proto::wire::Flow;

    fn to(dst: u32) -> Ends {
        Ends { src_mac: [2; 6], dst_mac: [4; 6], flow: Flow { src: 1, dst, src_port: 1, dst_port: 2 } }
    }

    #[test]
    fn one_receiver_holds_up_no_other() {
        let mut all = Deferred::default();
        assert!(all.ask('a', to(7), 0, |_| None).is_none());
        assert!(all.ask('b', to(7), 0, Some).is_none(), "it stays behind the first");
        assert_eq!(all.ask('c', to(8), 0, Some), Some(('c', to(8))));
        assert!(all.ask('d', to(9), 0, |_| None).is_none());
        let mut asked = Vec::new();
        let none = all.next(1, |ends| {
            asked.push(ends.flow.dst);
            None
        });
        assert_eq!((none, asked), (None, vec![7, 9]));
        let only_nine = |ends: Ends| (ends.flow.dst == 9).then_some(ends);
        assert_eq!(all.next(1, only_nine), Some(('d', to(9))));
        assert_eq!(all.next(1, Some), Some(('a', to(7))));
        all.put_back('a', to(7), 1);
        assert_eq!([all.next(1, Some), all.next(1, Some)], [Some(('a', to(7))), Some(('b', to(7)))]);
        assert_eq!((all.len(), all.without()), (0, 0));
    }

    #[test]
    fn who_gives_no_leave_is_sent_to_without_it_for_a_while() {
        let mut all = Deferred::default();
        assert!(all.ask('a', to(7), 0, |_| None).is_none());
        assert_eq!(all.next(PATIENCE - 1, |_| None), None);
        assert_eq!(all.next(PATIENCE, |_| None), Some(('a', to(7))));
        assert_eq!(all.ask('b', to(7), PATIENCE + SILENCE - 1, |_| None), Some(('b', to(7))));
        assert_eq!(all.without(), 2);
        assert!(all.ask('c', to(7), PATIENCE + SILENCE, |_| None).is_none(), "it is asked again");
    }

    #[test]
    fn how_many_wait_is_bounded_by_who_asks() {
        let mut all = Deferred::default();
        for n in 0..MOST {
            assert!(!all.is_full());
            assert!(all.ask(n, to(n as u32), 0, |_| None).is_none());
        }
        assert!(all.is_full());
        assert_eq!((all.clear(), all.len()), (MOST, 0));
    }
}
