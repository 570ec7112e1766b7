//! Which datagram gets an entry when all are in use.
//!
//! Honest senders, floods and lossy senders compete. The rules are those in the reassembler's documentation.

use super::{Bench, SECOND, Seen, byte, key_of};
use crate::counters::Reason;
use crate::reassembler::Limits;

const FULL: Seen = Seen::Dropped(Reason::ReassemblerFull);
const DISCARDED: Seen = Seen::Dropped(Reason::Discarded);
const UNIT: [u8; 8] = [3; 8];

/// One sender of several that send their datagrams fragment by fragment, in turn.
const FRAGMENTS: usize = 5;

/// Each of `senders` sends one datagram, all at once; how many are delivered.
fn round(b: &mut Bench, now: u64, id: u16, senders: u32) -> usize {
    let whole: Vec<u8> = (0..FRAGMENTS * 8).map(|at| byte(id, at, 0)).collect();
    let mut delivered = 0;
    for at in 0..FRAGMENTS {
        for sender in 0..senders {
            let data = &whole[at * 8..][..8];
            match b.insert(now, key_of(sender, id), at as u32 * 8, at + 1 < FRAGMENTS, data) {
                Seen::Whole(bytes, _) => {
                    assert!(bytes == whole);
                    delivered += 1;
                }
                Seen::Pending | Seen::Dropped(Reason::ReassemblerFull) => {}
                seen => panic!("{seen:?} at {at} of {sender}"),
            }
        }
    }
    delivered
}

#[test]
fn as_many_senders_at_once_as_there_are_entries_are_all_delivered() {
    let mut b = Bench::new(64, 64);
    for senders in [1, 2, 16, 17, 40, 63, 64] {
        for id in 0..if cfg!(miri) { 1 } else { 40 } {
            assert_eq!(round(&mut b, 0, id, senders), senders as usize, "datagram {id} of {senders}");
            assert!(b.r.is_empty());
        }
        b.r.clear(&mut b.pool, |_, _| {});
    }
}

/// The clock stands still, so no round can live on what the round before has left to time out.
#[test]
fn of_more_senders_than_entries_as_many_are_delivered_as_there_are_entries_in_every_round() {
    for senders in [65, 66, 128, 200] {
        let mut b = Bench::new(64, 64);
        for id in 0..if cfg!(miri) { 1 } else { 40 } {
            let delivered = round(&mut b, 0, id, senders);
            assert!(delivered >= 64, "{delivered} in round {id} of {senders}");
        }
    }
}

#[test]
fn what_is_refused_begins_no_entry_later() {
    let mut b = Bench::new(2, 2);
    for sender in 1..=2 {
        assert_eq!(b.insert(0, key_of(sender, 1), 0, true, &UNIT), Seen::Pending);
    }
    assert_eq!(b.insert(0, key_of(3, 1), 0, true, &UNIT), FULL);
    assert_eq!(b.insert(0, key_of(1, 1), 8, false, &UNIT), Seen::Whole([3; 16].to_vec(), 2));
    // There is room now, but not for the rest of that one.
    assert_eq!(b.insert(0, key_of(3, 1), 8, false, &UNIT), FULL);
    assert_eq!(b.r.len(), 1);
    assert_eq!(b.insert(0, key_of(3, 2), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.expire(SECOND).len(), 2);
    assert_eq!(b.insert(SECOND, key_of(3, 1), 0, true, &UNIT), Seen::Pending, "forgotten after its time");
}

#[test]
fn the_oldest_of_the_refused_is_forgotten_first() {
    let mut b = Bench::new(1, 1);
    assert_eq!(b.insert(0, key_of(1, 1), 0, true, &UNIT), Seen::Pending);
    for id in 0..5 {
        assert_eq!(b.insert(0, key_of(2, id), 0, true, &UNIT), FULL);
    }
    assert!(b.r.discard(&key_of(1, 1), &mut b.pool));
    for id in 1..5 {
        assert_eq!(b.insert(0, key_of(2, id), 8, true, &UNIT), FULL);
    }
    assert_eq!(b.insert(0, key_of(2, 0), 8, true, &UNIT), Seen::Pending, "one more than are remembered");
}

#[test]
fn a_flood_from_one_source_keeps_nobody_out() {
    let mut b = Bench::new(64, 64);
    let (mut now, mut delivered, mut flood) = (0, 0, 0_u16);
    let rounds = if cfg!(miri) { 2 } else { 200 };
    for id in 0..rounds {
        for at in 0..FRAGMENTS {
            for sender in 1..=10 {
                // Twenty first fragments for each honest one.
                for _ in 0..20 {
                    flood = flood.wrapping_add(1);
                    let seen = b.insert(now, key_of(99, flood), 0, true, &UNIT);
                    assert!(!matches!(seen, Seen::Whole(..)));
                }
                now += 10_000;
                match b.insert(now, key_of(sender, id), at as u32 * 8, at + 1 < FRAGMENTS, &UNIT) {
                    Seen::Whole(..) => delivered += 1,
                    seen => assert_eq!(seen, Seen::Pending, "{at} of {sender}"),
                }
            }
        }
        b.expire(now);
    }
    assert_eq!(delivered, 10 * usize::from(rounds));
}

#[test]
fn first_fragments_of_any_source_evict_nothing_that_makes_progress() {
    let mut b = Bench::new(64, 64);
    for sender in 0..64 {
        assert_eq!(b.insert(0, key_of(sender, 1), 0, true, &[0; 1480]), Seen::Pending);
    }
    let (step, mut junk) = (Limits::STILL_NS - 1, 0);
    for i in 1..10 {
        for sender in 0..64 {
            // In the end entries are free.
            for _ in 0..if i == 9 { 0 } else { 10 } {
                junk += 1;
                assert_eq!(b.insert(i * step, key_of(1000 + junk, 1), 0, true, &UNIT), FULL);
            }
            let seen = b.insert(i * step, key_of(sender, 1), i as u32 * 1480, i < 9, &[0; 1480]);
            assert!(matches!((i, seen), (1..9, Seen::Pending) | (9, Seen::Whole(..))), "{i} {sender}");
        }
    }
    assert_eq!(b.expire(9 * step), []);
}

#[test]
fn what_stands_still_makes_room_the_stillest_first() {
    let mut b = Bench::new(3, 3);
    for (now, id) in [(0, 1), (1, 2), (2, 3)] {
        assert_eq!(b.insert(now, key_of(1, id), 0, true, &UNIT), Seen::Pending);
    }
    assert_eq!(b.insert(3, key_of(1, 1), 8, true, &UNIT), Seen::Pending, "progress");
    assert_eq!(b.insert(4, key_of(1, 2), 0, true, &UNIT), Seen::Duplicate, "none");
    let still = Limits::STILL_NS;
    assert_eq!(b.insert(still, key_of(1, 4), 0, true, &UNIT), FULL, "not yet");
    assert_eq!(b.insert(still + 1, key_of(1, 5), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.expire(still + 1), [(key_of(1, 2), Reason::Evicted)]);
    assert_eq!(b.insert(still + 1, key_of(1, 6), 0, true, &UNIT), FULL);
    assert_eq!(b.insert(still + 2, key_of(1, 7), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.expire(still + 2), [(key_of(1, 3), Reason::Evicted)]);
    // What lost its entry does not begin another.
    assert_eq!(b.insert(still + 2, key_of(1, 2), 8, false, &UNIT), DISCARDED);
    assert_eq!(b.insert(still + 2, key_of(1, 1), 16, false, &UNIT), Seen::Whole([3; 24].to_vec(), 3));
}

#[test]
fn a_source_with_its_share_displaces_nobody_and_one_without_displaces_the_least_of_the_greatest() {
    let mut b = Bench::new(6, 6);
    for (id, units) in [(1, 3), (2, 1), (3, 1), (4, 2)] {
        assert_eq!(b.insert(0, key_of(1, id), 0, true, &vec![0; units * 8]), Seen::Pending);
    }
    for id in 1..=2 {
        assert_eq!(b.insert(0, key_of(2, id), 0, true, &UNIT), Seen::Pending);
    }
    // Two sources: three entries each. The second has two, the first four: the newest with one unit goes.
    assert_eq!(b.insert(0, key_of(2, 3), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.expire(0), [(key_of(1, 3), Reason::Evicted)]);
    assert_eq!(b.insert(0, key_of(2, 4), 0, true, &UNIT), FULL, "three are the share");
    assert_eq!(b.insert(0, key_of(1, 5), 0, true, &UNIT), FULL);
    // Three sources: two each. A tombstone goes before all others, and without a report.
    assert_eq!(b.insert(0, key_of(1, 1), 8, true, &[1; 16]), Seen::Dropped(Reason::Overlap));
    assert_eq!(b.insert(0, key_of(3, 1), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.expire(0), []);
    assert!(!b.r.contains(&key_of(1, 1)));
    assert_eq!(b.insert(0, key_of(1, 1), 24, false, &UNIT), DISCARDED, "as behind the tombstone");
    // Now the second has three, one too many, and so the newest of its three goes.
    assert_eq!(b.insert(0, key_of(3, 2), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.expire(0), [(key_of(2, 3), Reason::Evicted)]);
    assert_eq!(b.insert(0, key_of(3, 3), 0, true, &UNIT), FULL);
    assert_eq!(
        b.insert(0, key_of(4, 1), 0, true, &UNIT),
        Seen::Pending,
        "four sources: one each, and three have two"
    );
}

#[test]
fn what_is_overdue_makes_room_before_all_others() {
    let mut b = Bench::new(2, 2);
    assert_eq!(b.insert(0, key_of(1, 1), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.insert(1, key_of(1, 2), 0, true, &UNIT), Seen::Pending);
    // The first is overdue, the second is still for longer.
    assert_eq!(b.insert(SECOND - 1, key_of(1, 1), 8, true, &UNIT), Seen::Pending);
    assert_eq!(b.insert(SECOND, key_of(1, 3), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.expire(SECOND), [(key_of(1, 1), Reason::Timeout)]);
    // Its time is up, so it is not remembered.
    assert!(b.r.contains(&key_of(1, 2)));
    assert_eq!(b.insert(SECOND + 1, key_of(1, 1), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.expire(SECOND + 1), [(key_of(1, 2), Reason::Timeout)]);
}

/// One sender on a path that loses a fragment in ten, as fast as can be: what is lost does not keep out what
/// comes.
#[test]
fn a_lossy_source_fills_no_entries_for_long() {
    let mut b = Bench::new(64, 64);
    let (mut random, mut sent_whole, mut delivered) = (1_u64, 0, 0);
    for id in 0..if cfg!(miri) { 200 } else { 20_000_u16 } {
        let mut missing = false;
        for at in 0..FRAGMENTS {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            if random >> 32 & 0xff < 26 {
                missing = true;
                continue;
            }
            let seen = b.insert(u64::from(id), key_of(1, id), at as u32 * 8, at + 1 < FRAGMENTS, &UNIT);
            delivered += u32::from(matches!(seen, Seen::Whole(..)));
        }
        sent_whole += u32::from(!missing);
    }
    assert!(delivered * 100 >= sent_whole * 99, "{delivered} of {sent_whole} that came whole");
}

#[test]
fn what_others_of_its_source_overtook_makes_room_for_that_source_only() {
    let mut b = Bench::new(2, 2);
    let one = |b: &mut Bench, sender: u32, id: u16| {
        assert_eq!(b.insert(0, key_of(sender, id), 0, true, &UNIT), Seen::Pending);
        assert_eq!(b.insert(0, key_of(sender, id), 8, false, &UNIT), Seen::Whole([3; 16].to_vec(), 2));
    };
    assert_eq!(b.insert(0, key_of(1, 1), 0, true, &UNIT), Seen::Pending);
    for id in 100..100 + Limits::OVERTAKEN as u16 - 1 {
        one(&mut b, 1, id);
    }
    for id in 200..300 {
        one(&mut b, 2, id);
    }
    assert_eq!(b.insert(0, key_of(1, 2), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.insert(0, key_of(1, 3), 0, true, &UNIT), FULL, "one too few");
    assert_eq!(b.insert(0, key_of(1, 2), 8, false, &UNIT), Seen::Whole([3; 16].to_vec(), 2));
    assert_eq!(b.insert(0, key_of(2, 1), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.insert(0, key_of(3, 1), 0, true, &UNIT), FULL, "not for another source");
    assert_eq!(b.insert(0, key_of(1, 4), 0, true, &UNIT), Seen::Pending);
    assert_eq!(b.expire(0), [(key_of(1, 1), Reason::Evicted)]);
}

#[test]
fn what_is_incomplete_when_all_is_given_back_is_reported_once() {
    let mut b = Bench::new(4, 8);
    for sender in 1..4 {
        assert_eq!(b.insert(0, key_of(sender, 1), 0, true, &UNIT), Seen::Pending);
    }
    // A tombstone was reported when it was made.
    assert_eq!(b.insert(0, key_of(1, 1), 0, true, &[4; 8]), Seen::Dropped(Reason::Overlap));
    let mut lost = Vec::new();
    b.r.clear(&mut b.pool, |key, reason| lost.push((key, reason)));
    lost.sort_by_key(|(key, _)| key.src);
    assert_eq!(lost, [2, 3].map(|sender| (key_of(sender, 1), Reason::Timeout)));
}
