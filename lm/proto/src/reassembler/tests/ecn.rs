//! Marks of explicit congestion notification (RFC 3168, section 5.3).
//!
//! Every combination of marks of three fragments and of a duplicate is tried.

use super::{Bench, Seen, key};
use crate::counters::Reason;
use crate::reassembler::{Fragment, Limits, Outcome, Reassembler, Store};
use crate::service::Service;

const DATA: [u8; 24] = [7; 24];

/// The marks of three fragments in the order of arrival, and of a duplicate of the first behind it.
fn outcome(marks: [u8; 3], again: Option<u8>) -> Seen {
    let mut b = Bench::new(2, 2);
    let mut last = Seen::Duplicate;
    for (i, ecn) in marks.into_iter().enumerate() {
        let fragment = Fragment {
            offset: 8 * i as u32,
            more: i < 2,
            service: Service { tos: ecn, ttl: 9 },
            data: &DATA[..8],
        };
        last = b.insert_marked(0, key(1), fragment);
        if i < 2 {
            assert_eq!(last, Seen::Pending);
        }
        if let Some(ecn) = again.filter(|_| i == 0) {
            assert_eq!(
                b.insert_marked(0, key(1), Fragment { service: Service { tos: ecn, ttl: 9 }, ..fragment }),
                Seen::Duplicate
            );
        }
    }
    assert!(b.r.is_empty(), "no entry is left");
    assert_eq!(b.pool.out, 0, "nor a buffer");
    // The next datagram that gets this entry begins without marks.
    assert_eq!(b.insert(0, key(2), 0, true, &DATA[..8]), Seen::Pending);
    assert_eq!(b.insert(0, key(2), 8, false, &DATA[..16]), Seen::Whole(DATA.to_vec(), 2));
    last
}

/// All sets of marks that fragments can have.
#[test]
fn not_ect_and_ce_make_no_datagram_and_all_other_mixtures_do() {
    let mut seen = [0_u32; 16];
    for mixture in 0..64_u8 {
        let marks = [mixture & 3, mixture >> 2 & 3, mixture >> 4];
        let conflict = marks.contains(&0b00) && marks.contains(&0b11);
        let expected = if conflict { Seen::Dropped(Reason::Ecn) } else { Seen::Whole(DATA.to_vec(), 3) };
        assert_eq!(outcome(marks, None), expected, "{marks:?}");
        seen[marks.iter().fold(0_usize, |set, mark| set | 1 << mark)] += 1;
    }
    assert!((1..15).all(|set| seen[set] > 0), "all sets of one to three marks: {seen:?}");
}

#[test]
fn the_mark_of_a_duplicate_counts() {
    for pair in 0..16_u8 {
        let (mark, again) = (pair & 3, pair >> 2);
        let conflict = matches!((mark, again), (0b00, 0b11) | (0b11, 0b00));
        let expected = if conflict { Seen::Dropped(Reason::Ecn) } else { Seen::Whole(DATA.to_vec(), 3) };
        assert_eq!(outcome([mark; 3], Some(again)), expected, "{mark:02b} {again:02b}");
    }
}

#[test]
fn other_bits_than_the_two_are_no_mark() {
    assert_eq!(outcome([0b100, 0b1000, 0b1111_1100], None), Seen::Whole(DATA.to_vec(), 3));
    assert_eq!(outcome([0b100, 0b111, 0], None), Seen::Dropped(Reason::Ecn));
}

struct Heap;
impl Store for Heap {
    type Buf = Vec<u8>;
    fn take(&mut self) -> Option<Vec<u8>> {
        Some(vec![0; 1 << 16])
    }
}

/// What the first fragment's header says goes with the datagram, whatever the order, and congestion that any
/// of them met.
#[test]
fn a_datagram_comes_with_its_first_header_and_with_all_marks() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        for (marks, whole) in [
            ([0xb8, 3, 3], None),
            ([0xb9, 2, 1], Some(0xb9)),
            ([0xb9, 3, 1], Some(0xbb)),
            ([0, 0, 0], Some(0)),
        ] {
            let mut table = Reassembler::new(Limits::default());
            let mut last = None;
            for i in order {
                let service = Service { tos: marks[i], ttl: 60 + i as u8 };
                let fragment = Fragment { offset: 8 * i as u32, more: i < 2, service, data: &DATA[..8] };
                if let Outcome::Whole(a) = table.insert(0, key(1), fragment, &mut Heap) {
                    last = Some(a.service);
                }
            }
            assert_eq!(last, whole.map(|tos| Service { tos, ttl: 60 }), "{order:?} {marks:?}");
        }
    }
}
