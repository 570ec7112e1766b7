//! The rules of `AutoLayout`, each with the datagrams that it speaks of, and random mixtures of traffic.
//!
//! No memory and no frames are needed: the tests tell `AutoLayout` what has arrived, as the matcher does.

use super::*;
use proptest::prelude::*;

const LM: Key = Key { src: 1, dst: 2, id: 3, protocol: 17 };
const OTHER: Key = Key { id: 4, ..LM };

/// A datagram of three fragments in separate slots: these of them, in this order; whether it came in reverse.
fn come(auto: &mut AutoLayout, key: Key, order: &[u32]) -> bool {
    let mut reverse = false;
    for &i in order {
        reverse = auto.fragment(key, i * 1480, 1480, i < 2);
    }
    reverse
}

/// A datagram as LM sends it to LM, if it comes to separate slots.
fn send(auto: &mut AutoLayout) {
    if come(auto, LM, &[2, 1, 0]) {
        auto.reverse();
    }
}

fn overlaps(auto: &AutoLayout) -> bool {
    auto.slot() == Slot::Overlapping
}

#[test]
fn a_run_of_datagrams_in_reverse_makes_slots_overlap_and_no_other_order_does() {
    let orders: [(&[u32], bool); 6] = [
        (&[2, 1, 0], true),
        (&[0, 1, 2], false),
        (&[2, 0, 1], false),
        (&[1, 2, 0], false),
        (&[2, 0], false),
        (&[1, 0], false),
    ];
    for (order, lands) in orders {
        let mut auto = AutoLayout::new(Slot::Separate);
        for i in 0..AutoLayout::FIRST {
            assert!(!overlaps(&auto), "{order:?} after {i}");
            assert_eq!(come(&mut auto, LM, order), lands);
            if lands {
                auto.reverse();
            }
        }
        assert_eq!(overlaps(&auto), lands, "{order:?}");
    }
}

type Disturb = fn(&mut AutoLayout);

#[test]
fn what_comes_between_begins_the_count_anew() {
    let between: [(&str, Disturb, bool); 5] = [
        ("a stranger", AutoLayout::stranger, true),
        ("a datagram in forward order", |auto| assert!(!come(auto, OTHER, &[0, 1, 2])), true),
        ("the middle of another one", |auto| assert!(!auto.fragment(OTHER, 1480, 1480, true)), true),
        ("a datagram without proof", AutoLayout::other, true),
        ("a datagram that lost its middle", |auto| assert!(!come(auto, OTHER, &[2, 0])), false),
    ];
    for (what, disturb, anew) in between {
        let mut auto = AutoLayout::new(Slot::Separate);
        (1..AutoLayout::FIRST).for_each(|_| send(&mut auto));
        disturb(&mut auto);
        send(&mut auto);
        assert_eq!(overlaps(&auto), !anew, "{what}");
        (1..AutoLayout::FIRST).for_each(|_| send(&mut auto));
        assert!(overlaps(&auto), "{what}");
    }
}

#[test]
fn fragments_of_two_in_turn_are_no_run() {
    let mut auto = AutoLayout::new(Slot::Separate);
    for _ in 0..1000 {
        for i in [2, 1, 0] {
            assert!(!auto.fragment(LM, i * 1480, 1480, i < 2));
            assert!(!auto.fragment(OTHER, i * 1480, 1480, i < 2));
        }
    }
}

#[test]
fn the_first_of_others_ends_it_and_losses_of_lms_do_not() {
    let mut auto = AutoLayout::new(Slot::Overlapping);
    auto.unproven(true, 5, false);
    assert!(overlaps(&auto));
    auto.unproven(false, 5, false);
    assert!(!overlaps(&auto));
    assert_eq!(auto.needed(), 2 * AutoLayout::FIRST);
    // A tenth of a stream's datagrams is lost.
    let mut auto = AutoLayout::new(Slot::Overlapping);
    for _ in 0..1000 {
        auto.landed(9, 45);
        auto.unproven(true, 1, false);
    }
    assert!(overlaps(&auto));
    // All of it is.
    let mut frames = 0;
    while overlaps(&auto) {
        auto.unproven(true, 5, false);
        frames += 5;
    }
    assert!(frames <= AutoLayout::CREDIT + 5, "{frames}");
}

#[test]
fn what_was_on_its_way_at_the_change_is_forgiven_once() {
    for ours in [true, false] {
        let mut auto = AutoLayout::new(Slot::Separate);
        (0..AutoLayout::FIRST).for_each(|_| send(&mut auto));
        auto.unproven(ours, 3, true);
        assert!(overlaps(&auto));
        auto.unproven(false, 3, true);
        assert!(!overlaps(&auto));
    }
}

#[test]
fn a_kernels_datagram_on_the_way_to_overlapping_slots_keeps_them_separate() {
    let mut auto = AutoLayout::new(Slot::Separate);
    (0..AutoLayout::FIRST).for_each(|_| send(&mut auto));
    assert!(overlaps(&auto));
    // LM's own do not, and neither do ARP and the like: those are safe in what is posted already.
    assert!(come(&mut auto, LM, &[2, 1, 0]));
    auto.stranger();
    assert!(overlaps(&auto));
    come(&mut auto, OTHER, &[0]);
    assert!(!overlaps(&auto));
}

/// Datagrams that land at a time: a stream is long before it counts as lasting.
const MANY: u64 = 256;

/// What can happen, by number.
fn happen(auto: &mut AutoLayout, what: u8) {
    match what {
        0..=5 if !overlaps(auto) => send(auto),
        0..=5 => auto.landed(MANY, 3 * MANY),
        6 => auto.stranger(),
        7 if overlaps(auto) => auto.unproven(true, 3, false),
        7 => {
            come(auto, OTHER, &[2, 0]);
        }
        _ if overlaps(auto) => auto.unproven(false, 3, false),
        _ => {
            come(auto, OTHER, &[0, 1, 2]);
        }
    }
}

/// The count of datagrams needed, told from all that happened so far: nothing but a list that is read from
/// its beginning.
struct Told {
    overlapping: bool,
    needed: u64,
}

fn tell(events: &[(u8, bool)]) -> Told {
    let (mut needed, mut row, mut clean, mut overlapping) = (16_u64, 0_u64, 0_u64, false);
    for &(what, is) in events {
        // `is`: slots overlapped behind this event.
        match (overlapping, is) {
            (false, _) => {
                row = match what {
                    0..=5 => row + 1,
                    7 => row,
                    _ => 0,
                };
                assert_eq!(is, row == needed, "after {row} of {needed}");
                clean = 0;
            }
            (true, true) => {
                clean = if what <= 5 {
                    clean + MANY
                } else if what == 6 {
                    clean
                } else {
                    0
                };
                if needed > 16 && clean >= 65_536 {
                    (clean, needed) = (clean - 65_536, needed / 2);
                }
            }
            (true, false) => {
                assert!(what >= 7);
                (needed, row) = ((2 * needed).min(1 << 20), 0);
            }
        }
        overlapping = is;
    }
    Told { overlapping, needed }
}

proptest! {
    #[test]
    fn it_is_what_the_list_of_all_events_says(
        events in prop::collection::vec((0_u8..=9, 1_usize..400), 0..60),
    ) {
        let mut auto = AutoLayout::new(Slot::Separate);
        let mut list = Vec::new();
        for (what, times) in events {
            // Runs of what LM sends are long, or nothing would ever overlap.
            let times = if what <= 5 { times } else { 1 };
            for _ in 0..times {
                happen(&mut auto, what);
                list.push((what, overlaps(&auto)));
            }
        }
        let told = tell(&list);
        prop_assert_eq!(told.overlapping, overlaps(&auto));
        prop_assert_eq!(told.needed, u64::from(auto.needed));
    }

    /// Whoever drives a node to and fro pays twice as much each time.
    #[test]
    fn a_mixture_changes_the_layout_a_few_times_only(period in 1_u32..3000, rounds in 1_u32..300) {
        let mut auto = AutoLayout::new(Slot::Separate);
        let (mut changes, mut sent) = (0, 0_u64);
        for _ in 0..rounds {
            for _ in 0..period {
                let before = overlaps(&auto);
                if overlaps(&auto) {
                    auto.landed(1, 3);
                } else {
                    send(&mut auto);
                }
                changes += u32::from(before != overlaps(&auto));
                sent += 1;
            }
            changes += u32::from(overlaps(&auto));
            happen(&mut auto, 9);
            prop_assert!(!overlaps(&auto));
        }
        // Sixteen, then twice as many, and so on.
        let most = 2 * (sent / 16).max(1).ilog2() + 4;
        prop_assert!(changes <= most, "{} changes, {} sent, period {}", changes, sent, period);
    }
}
