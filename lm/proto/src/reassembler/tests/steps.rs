//! What a fragment costs, counted in steps: links followed, words of bitmaps, entries looked at.
//!
//! No clock is read, so the result is the same on every machine.

use super::{Bench, Seen, key_of};
use crate::counters::Reason;
use crate::reassembler::work::steps;
use crate::reassembler::{Key, Limits};

/// Steps for each of `n` fragments that `next` makes of their number: the mean, and the most.
fn cost(b: &mut Bench, n: u64, mut next: impl FnMut(u64) -> (u64, Key, u32, bool, usize)) -> (u64, u64) {
    let data = [0; 1480];
    let (before, mut most) = (steps(), 0);
    for i in 0..n {
        let (now, key, offset, more, len) = next(i);
        let started = steps();
        b.insert(now, key, offset, more, &data[..len]);
        b.expire(now);
        most = most.max(steps() - started);
    }
    ((steps() - before).div_ceil(n), most)
}

const N: u64 = if cfg!(miri) { 300 } else { 20_000 };

/// Streams of all kinds that somebody can send, and what a fragment of each may cost on average: as many
/// steps as its bytes need, and a few for look-ups, however many entries there are.
#[test]
fn a_fragment_costs_the_same_however_many_datagrams_are_incomplete() {
    const STILL: u64 = Limits::STILL_NS;
    type Stream = (&'static str, u64, fn(u64, u64) -> (u64, Key, u32, bool, usize));
    let streams: [Stream; 7] = [
        ("good datagrams of five fragments, as many at once as there is room for", 30, |n, i| {
            let (sender, at) = (i % n, i / n % 5);
            (i, key_of(sender as u32, (i / n / 5) as u16), at as u32 * 1480, at < 4, 1480)
        }),
        ("first fragments of one source", 9, |_, i| (i, key_of(1, i as u16), 0, true, 8)),
        ("first fragments of ever new sources", 9, |_, i| (i, key_of(i as u32, 1), 0, true, 8)),
        ("the same, so slowly that each evicts one", 24, |n, i| {
            (i * (STILL / n + 1), key_of(i as u32, 1), 65_000, true, 8)
        }),
        ("the same beyond the time limit", 24, |_, i| (i * STILL * 50, key_of(i as u32, 1), 65_000, true, 8)),
        ("scattered fragments of 8 bytes of one datagram", 24, |_, i| {
            (i, key_of(1, (i / 1000) as u16), (i * 37 % 8189 * 8) as u32, true, 8)
        }),
        ("fragments that overlap", 30, |n, i| {
            (i, key_of(1, (i % n / 2) as u16), (i % 2) as u32 * 8, true, 1480)
        }),
    ];
    for (name, bound, stream) in streams {
        for datagrams in [1, 16, 64, Limits::MAX_DATAGRAMS] {
            let mut b = Bench::new(datagrams, datagrams);
            let (mean, most) = cost(&mut b, N, |i| stream(datagrams as u64, i));
            assert!(mean <= bound, "{name}: {mean} steps on average of {datagrams} datagrams");
            // A burst of keys whose time is up is paid for by those that were remembered.
            let once = 10 * Limits::MAX_DATAGRAMS as u64;
            assert!(most <= once, "{name}: {most} steps for one fragment of {datagrams} datagrams");
        }
    }
}

/// The choice of who makes room looks at each entry once.
#[test]
fn a_displaced_datagram_costs_a_look_at_each() {
    const MOST: u64 = Limits::MAX_DATAGRAMS as u64;
    let mut b = Bench::new(Limits::MAX_DATAGRAMS, Limits::MAX_DATAGRAMS);
    for id in 0..MOST {
        assert_eq!(b.insert(0, key_of(1, id as u16), 0, true, &[0; 8]), Seen::Pending);
    }
    for id in 0..MOST / 2 {
        let started = steps();
        assert_eq!(b.insert(0, key_of(2, id as u16), 0, true, &[0; 8]), Seen::Pending);
        let took = steps() - started;
        assert!((MOST..MOST + 50).contains(&took), "{took} steps");
    }
    assert_eq!(b.insert(0, key_of(2, 9999), 0, true, &[0; 8]), Seen::Dropped(Reason::ReassemblerFull));
    assert_eq!(b.expire(0).len() as u64, MOST / 2);
}

#[test]
fn nothing_is_due_costs_nothing() {
    let mut b = Bench::new(64, 64);
    for id in 0..64 {
        assert_eq!(b.insert(0, key_of(1, id), 0, true, &[0; 8]), Seen::Pending);
    }
    let started = steps();
    assert_eq!(b.expire(1), []);
    assert_eq!(steps(), started);
}
