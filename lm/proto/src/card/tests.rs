//! When a card's words are believed, and when they are believed no more.
//!
//! The words are made by hand. `matcher/tests/card.rs` tests what they prove of datagrams.

use super::*;
use crate::checksum;
use proptest::prelude::*;

fn word(id: u16, sum: u16) -> u32 {
    u32::from(id) | u32::from(sum) << 16
}

/// A card whose identifications are in use.
fn identified() -> Card {
    let mut card = Card::new(Words::Packet);
    (1..=Card::ENOUGH_IDS).for_each(|id| card.hear(word(id, 0), id));
    assert_eq!(card.ids(), State::InUse);
    card
}

#[test]
fn identifications_are_believed_once_enough_of_different_datagrams_agree() {
    let mut card = Card::new(Words::Packet);
    assert_eq!((card.ids(), card.sums()), (State::Compared(0), State::Compared(0)));
    // What was in the ring before the register was written, then datagrams of several fragments each.
    (1..200).for_each(|id| card.hear(word(0, 0), id));
    for id in 1..Card::ENOUGH_IDS {
        (0..5).for_each(|_| card.hear(word(id, 7), id));
        assert_eq!(card.ids(), State::Compared(id));
        assert!(card.allows(word(99, 0), 1), "nothing is refused yet");
    }
    card.hear(0, 0);
    assert_eq!(card.ids(), State::Compared(Card::ENOUGH_IDS - 1), "0 says nothing");
    card.hear(word(500, 7), 500);
    assert_eq!(card.ids(), State::InUse);
    assert!(
        card.allows(word(500, 1), 500) && !card.allows(word(501, 1), 500) && card.allows(word(501, 1), 0)
    );
    assert!(card.binds(&[word(5, 1), word(5, 2)], 5));
    assert!(!card.binds(&[word(5, 1), word(6, 2)], 5) && !card.binds(&[0, 0], 0));
}

#[test]
fn one_disagreement_begins_anew_and_ends_what_is_in_use() {
    let mut card = Card::new(Words::Packet);
    (1..Card::ENOUGH_IDS).for_each(|id| card.hear(word(id, 0), id));
    card.hear(word(7, 0), 8);
    assert_eq!(card.ids(), State::Compared(0));
    let mut card = identified();
    card.hear(word(7, 0), 8);
    assert_eq!((card.ids(), card.sums()), (State::Disagreed, State::Disagreed));
    assert!(!card.is_heard() && card.is_settled());
    card.hear(word(8, 0), 8);
    assert_eq!(card.ids(), State::Disagreed, "until the next start");
}

#[test]
fn what_never_fits_is_given_up() {
    let mut card = Card::new(Words::Packet);
    (1..=Card::MISFIT_IDS).for_each(|id| {
        assert!(card.is_heard());
        card.hear(0, id);
    });
    assert_eq!((card.ids(), card.sums()), (State::Misfit, State::Misfit));
    let mut card = identified();
    for n in 0..=Card::MISFITS {
        assert!(card.is_comparing(), "{n}");
        card.compare(&[word(1, 0), word(1, 0)], 0, (0x1234 + u64::from(n), 0));
    }
    assert_eq!((card.ids(), card.sums()), (State::InUse, State::Misfit));
    assert!(card.is_heard() && !card.is_comparing() && !card.can_prove());
    let none = Card::new(Words::None);
    assert!(!none.is_heard() && none.is_settled() && none.ids() == State::Absent);
    let frame = Card::new(Words::Frame);
    assert!(frame.is_heard() && frame.ids() == State::Absent && frame.is_comparing());
}

#[test]
fn a_sum_that_nobody_knows_proves_nothing_and_refutes_nothing() {
    let told = |sum| word(Words::TOLD as u16, sum);
    let mut card = Card::believed(Words::Frame, true);
    // An Ethernet header that sums up to 0.
    assert!(card.sum(&[told(3), told(4)], 0).is_some_and(|sum| is_same(sum, 7)));
    for words in [[told(3), word(0, 4)], [word(0, 3), told(4)]] {
        assert_eq!(card.sum(&words, 0), None);
        card.proved(Card::SAMPLE as usize);
        card.compare(&words, 0, (0x55, 0));
        assert!(card.sums() == State::InUse && card.is_due(), "the next one is compared");
    }
    let mut card = Card::new(Words::Frame);
    (0..100).for_each(|_| card.compare(&[word(0, 9)], 0, (0x55, 0)));
    assert_eq!(card.sums(), State::Compared(0));
}

#[test]
fn words_of_which_nobody_knows_whose_they_are_are_used_no_more() {
    let mut card = Card::believed(Words::Frame, true);
    card.lose();
    assert_eq!((card.ids(), card.sums(), card.is_heard()), (State::Absent, State::Lost, false));
    assert_eq!(card.sum(&[word(1, 3)], 0), None);
    let mut card = identified();
    card.lose();
    assert_eq!((card.ids(), card.sums()), (State::Lost, State::Lost));
    // What is known of a card remains.
    for (mut card, state) in
        [(Card::new(Words::None), State::Absent), (Card::believed(Words::Frame, false), State::Misfit)]
    {
        card.lose();
        assert_eq!(card.sums(), state);
    }
}

/// What a card tells of these bytes in each variant, of pieces of even length.
fn told(pieces: &[Vec<u8>], variant: u8, id: u16) -> Vec<u32> {
    let tell = |piece: &Vec<u8>| {
        let sum = checksum::fold_sum(checksum::sum(piece));
        let sum = if variant & 1 != 0 { !sum } else { sum };
        word(id, if variant & 2 != 0 { sum.swap_bytes() } else { sum })
    };
    pieces.iter().map(tell).collect()
}

proptest! {
    #[test]
    fn each_variant_is_found_and_then_right(
        datagrams in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 32..64), 2..6),
            40,
        ),
        variant in 0_u8..4, frames: bool, trailers: bool,
    ) {
        let (words, id) = if frames { (Words::Frame, Words::TOLD as u16) } else { (Words::Packet, 9) };
        let ethernet = 0x5_4321;
        let mut card = if frames { Card::new(words) } else { identified() };
        for (i, mut pieces) in datagrams.into_iter().enumerate() {
            for piece in &mut pieces {
                piece.truncate(piece.len() & !1);
            }
            let outside = pieces.last().map_or(0, |piece| checksum::sum(&piece[piece.len() - 8..]));
            let all: u64 = pieces.iter().map(|piece| checksum::sum(piece)).sum();
            if let Some(last) = pieces.last_mut().filter(|_| !trailers) {
                last.truncate(last.len() - 8);
            }
            if frames {
                // As if an Ethernet header that sums up to this were in front.
                let folded = checksum::fold_sum(ethernet).to_le_bytes();
                pieces.iter_mut().for_each(|piece| piece.extend(folded));
            }
            let told = told(&pieces, variant, id);
            if card.sums() == State::InUse {
                let inside = checksum::without(all, outside);
                let outside = card.of_trailer(outside).expect("that was seen by now");
                prop_assert!(is_same(card.sum(&told, ethernet).expect("in use"), inside + outside));
                // Any other sum is noticed.
                let mut other = card;
                other.compare(&told, ethernet, (inside + 1, outside));
                prop_assert_eq!(other.sums(), State::Disagreed);
                card.proved(1);
            } else {
                prop_assert!(i < 30 && card.is_comparing());
                card.compare(&told, ethernet, (checksum::without(all, outside), outside));
                if card.sums() == State::InUse && card.counts_trailers().is_none() {
                    card.compare(&told, ethernet, (checksum::without(all, outside), outside));
                }
            }
        }
        prop_assert_eq!(card.sums(), State::InUse);
        prop_assert_eq!(card.counts_trailers(), Some(trailers));
        prop_assert!(!card.is_comparing());
        card.proved(Card::SAMPLE as usize);
        prop_assert!(card.is_comparing() && card.is_due());
    }
}
