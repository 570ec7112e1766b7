//! What a card says of each frame: what it proves, what it refutes, and when it is believed no more.
//!
//! The mock has cards whose words are right, without sums, or wrong.

use super::*;
use crate::card::{Card, State, Words};

/// A queue of a card that is believed.
fn queue(words: Words, sums: bool, require: Require) -> Run {
    let mut run = Run::new(32, false);
    run.mock.card = Some(match (words, sums) {
        (Words::Frame, _) => mock::card::whole,
        (_, true) => mock::card::packet,
        _ => mock::card::id_alone,
    });
    run.matcher.believe(Card::believed(words, sums));
    run.matcher.config.require = require;
    run
}

/// One that finds out by itself.
fn fresh(card: fn(&[u8]) -> u32, require: Require) -> Run {
    fresh_with(Words::Packet, card, require)
}

fn fresh_with(words: Words, card: fn(&[u8]) -> u32, require: Require) -> Run {
    let mut run = Run::new(32, false);
    let config = Config { require, words, ..mock::config(G, false) };
    (run.mock.card, run.matcher) = (Some(card), Matcher::new(config));
    run
}

const DEFAULT: Require = Require { headers: true, checksum: true, tags: false };
const TAGS: Require = Require { headers: true, checksum: true, tags: true };

/// Datagrams of one size, one behind the other, of identifications from `id` on.
fn stream(run: &mut Run, id: u16, sent: &[Vec<u8>]) {
    for (i, data) in sent.iter().enumerate() {
        run.arrive(&lm(id + i as u16, data));
    }
}

fn payloads(size: usize, n: usize) -> Vec<Vec<u8>> {
    (0..n).map(|i| payload(size, i as u8)).collect()
}

#[test]
fn a_frame_of_another_datagram_in_the_middle_is_refused_where_a_tag_would_do() {
    for (burst, synchronous, ahead) in WAYS {
        for place in 1..4 {
            let data = payload(7168, 1);
            let mut frames = lm(1, &data);
            frames[place] = lm(2, &payload(7168, 2))[place].clone();
            let run = |card: bool, stream: bool| {
                let mut run = Run::new(burst, synchronous).ahead(ahead);
                run.matcher.config.require = TAGS;
                if card {
                    run.mock.card = Some(mock::card::id_alone);
                    run.matcher.believe(Card::believed(Words::Packet, false));
                }
                let before = if stream { 4 } else { 0 };
                super::card::stream(&mut run, 10, &payloads(7168, before));
                run.arrive(&frames);
                let (delivered, counters, _) = run.end();
                (delivered.len() - before, counters.dropped(Reason::LostFrame))
            };
            for stream in [false, true] {
                // Where each frame is polled alone, its header tells.
                let noticed = burst == 1 && synchronous;
                assert_eq!(run(false, stream).0, usize::from(!noticed), "nobody else would notice");
                let (delivered, lost) = run(true, stream);
                assert_eq!((delivered, lost > 0), (0, true), "burst {burst}, stream {stream}");
            }
        }
    }
}

#[test]
fn with_identifications_and_sums_no_payload_is_read() {
    for size in [1473, 2000, 2001, 2910, 2911, 4423, 7168, 16_384, 65_499, 65_500, 65_507] {
        let sent = payloads(size, 8);
        let mut run = queue(Words::Packet, true, DEFAULT);
        // Behind 65,499 bytes the tag is no part of the IP packet.
        stream(&mut run, 100, &sent[..1]);
        let before = run.mock.work().bytes;
        stream(&mut run, 200, &sent);
        let read = run.mock.work().bytes - before;
        assert!(read < 8 * 120, "{size}: {read} bytes");
        let (delivered, counters, _) = run.end();
        assert_eq!(delivered.len(), 9, "{size}: {counters:?}");
        assert!(delivered.iter().all(|d| d.whole.by == WholeBy::Checksum && !d.copied));
        only(&delivered, &sent.iter().map(|s| &s[..]).collect::<Vec<_>>());
    }
}

#[test]
fn a_wrong_byte_is_noticed_without_reading_it() {
    for size in [2001, 7168, 65_499] {
        for stream_before in [0, 3] {
            let data = payload(size, 9);
            for at in 0..lm(1, &data).len() {
                let mut run = queue(Words::Packet, true, DEFAULT);
                stream(&mut run, 10, &payloads(size, stream_before));
                let mut frames = lm(1, &data);
                frames[at][HEADERS + 8] ^= 0x40;
                run.arrive(&frames);
                assert_eq!(run.matcher.card().sums(), State::InUse, "the card is right");
                let (delivered, counters, _) = run.end();
                assert_eq!(delivered.len(), stream_before, "{size}, frame {at}");
                let told = counters.dropped(Reason::BadChecksum) + counters.dropped(Reason::LostFrame);
                assert!(told > 0, "{counters:?}");
            }
        }
    }
}

#[test]
fn over_a_router_the_order_is_proven_by_the_payload() {
    let data = payload(7168, 3);
    for (ttl, delivered) in [(64, 1), (63, 0)] {
        let mut frames = lm(1, &data);
        frames.swap(1, 2);
        for frame in &mut frames {
            frame[22] = ttl;
            mock::frames::mend(frame);
        }
        let mut run = queue(Words::Packet, true, DEFAULT);
        run.arrive(&frames);
        let (all, counters, _) = run.end();
        // In one network nobody lets frames overtake each other, and the card would not tell.
        assert_eq!(all.len(), delivered, "{ttl}: {counters:?}");
        assert_eq!(counters.dropped(Reason::OrderUnproven), 1 - delivered as u64);
    }
}

#[test]
fn a_card_is_believed_when_it_was_right_often_enough() {
    for require in [DEFAULT, TAGS] {
        let mut run = fresh(mock::card::packet, require);
        let sent = payloads(7168, 40);
        stream(&mut run, 1, &sent);
        assert_eq!((run.matcher.card().ids(), run.matcher.card().sums()), (State::InUse, State::InUse));
        assert_eq!(run.end().0.len(), 40);
        // An emulated one.
        let mut run = fresh(mock::card::id_alone, require);
        stream(&mut run, 1, &sent);
        assert_eq!((run.matcher.card().ids(), run.matcher.card().sums()), (State::InUse, State::Misfit));
        assert_eq!(run.end().0.len(), 40);
        // One that says nothing, or a hash.
        for (n, card) in [(700, (|_| 0) as fn(&[u8]) -> u32), (700, |f| 0x9e37 * f.len() as u32)] {
            let mut run = fresh(card, require);
            (0..n).for_each(|id| run.arrive(&lm(id + 1, &sent[0][..1500])));
            assert_eq!((run.matcher.card().ids(), run.matcher.card().sums()), (State::Misfit, State::Misfit));
            assert_eq!(run.end().0.len(), usize::from(n));
        }
    }
}

#[test]
fn what_is_said_of_a_frame_that_is_no_fragment_does_not_matter() {
    fn fragments_alone(frame: &[u8]) -> u32 {
        if frame[20..22] == [0, 0] { 0 } else { mock::card::packet(frame) }
    }
    for require in [DEFAULT, TAGS] {
        let mut run = queue(Words::Packet, true, require);
        run.mock.card = Some(fragments_alone);
        for i in 0..6 {
            stream(&mut run, 100 * i, &payloads(100, 5));
            stream(&mut run, 100 * i + 50, &payloads(4000, 5));
        }
        assert_eq!((run.matcher.card().ids(), run.matcher.card().sums()), (State::InUse, State::InUse));
        assert_eq!(run.end().0.len(), 60);
    }
}

#[test]
fn separate_slots_make_identifications_known_too() {
    let mut run = fresh(mock::card::packet, DEFAULT).separate();
    for id in 1..30 {
        run.arrive(&plain_frames(G, A, id, &payload(4000, id as u8)));
    }
    assert_eq!(run.matcher.card().ids(), State::InUse);
    assert_eq!(run.end().0.len(), 29);
}

#[test]
fn a_card_that_was_reset_loses_nobody_a_datagram() {
    for require in [DEFAULT, TAGS] {
        let mut run = queue(Words::Packet, true, require);
        let sent = payloads(7168, 6);
        stream(&mut run, 1, &sent);
        run.mock.card = Some(|_| 0);
        stream(&mut run, 50, &sent);
        let card = run.matcher.card();
        assert_eq!((card.ids(), card.sums(), card.is_heard()), (State::Disagreed, State::Disagreed, false));
        let (delivered, counters, _) = run.end();
        assert_eq!(delivered.len(), 12, "{counters:?}");
    }
}

#[test]
fn one_datagram_in_so_many_is_summed_all_the_same() {
    fn off_by_one(frame: &[u8]) -> u32 {
        mock::card::packet(frame).wrapping_add(1 << 16)
    }
    let data = payload(1500, 5);
    for (card, state) in
        [(mock::card::packet as fn(&[u8]) -> u32, State::InUse), (off_by_one, State::Disagreed)]
    {
        let mut run = queue(Words::Packet, true, DEFAULT);
        run.mock.card = Some(mock::card::packet);
        let n = Card::SAMPLE as u16 + 4;
        let before = run.mock.work().bytes;
        (1..n).for_each(|id| run.arrive(&lm(id, &data)));
        let read = run.mock.work().bytes - before;
        let marks = 2 * 1500 + 200 * u64::from(n);
        assert!(read > 1500 && read < marks, "{read}");
        run.mock.card = Some(card);
        // A bad sum of the card's is not believed before it was computed.
        run.arrive(&lm(n, &data));
        assert_eq!(run.matcher.card().sums(), state);
        assert_eq!(run.end().0.len(), usize::from(n));
    }
}

#[test]
fn strangers_are_left_out_of_a_repair_by_their_identification() {
    for require in [DEFAULT, TAGS] {
        let data = payload(7168, 4);
        let others = lm(77, &payload(7168, 7));
        let mut frames = lm(1, &data);
        // Two full frames of another datagram, apart from each other: without words no block is found.
        frames.insert(2, others[2].clone());
        frames.insert(4, others[3].clone());
        let run = |card: bool| {
            let mut run = queue(Words::Packet, false, require);
            if !card {
                run.matcher = Matcher::new(Config { require, ..mock::config(G, false) });
            }
            run.arrive(&frames);
            run.end().0.len()
        };
        assert_eq!((run(false), run(true)), (0, 1));
    }
}

#[test]
fn sums_alone_save_reading_where_the_lengths_force_the_order() {
    for (size, forced) in
        [(1473, true), (2001, true), (2910, true), (4000, true), (4423, false), (7168, false)]
    {
        let sent = payloads(size, 8);
        let mut run = queue(Words::Frame, true, DEFAULT);
        stream(&mut run, 200, &sent);
        let read = run.mock.work().bytes;
        assert_eq!(read < 8 * 200, forced, "{size}: {read} bytes");
        let (delivered, counters, _) = run.end();
        assert_eq!(delivered.len(), 8, "{size}: {counters:?}");
        assert!(delivered.iter().all(|d| d.whole.by == WholeBy::Checksum && !d.copied));
        only(&delivered, &sent.iter().map(|s| &s[..]).collect::<Vec<_>>());
        // A wrong byte is noticed.
        let data = payload(size, 9);
        for (at, before) in (0..lm(1, &data).len()).flat_map(|at| [(at, 0), (at, 3)]) {
            let mut run = queue(Words::Frame, true, DEFAULT);
            stream(&mut run, 10, &sent[..before]);
            let mut frames = lm(1, &data);
            // The last fragment may have one byte, and the first one has the UDP header.
            frames[at][HEADERS + 8 * at] ^= 0x40;
            run.arrive(&frames);
            assert_eq!(run.matcher.card().sums(), State::InUse, "the card is right");
            assert_eq!(run.end().0.len(), before, "{size}, frame {at}");
        }
    }
}

#[test]
fn sums_alone_do_not_prove_an_order_that_is_open() {
    // Four fragments, and three that are full.
    for size in [4416, 5000] {
        for before in [0, 3] {
            let mut run = queue(Words::Frame, true, DEFAULT);
            stream(&mut run, 10, &payloads(size, before));
            let mut frames = lm(1, &payload(size, 9));
            let n = frames.len();
            assert_eq!(frames[n - 3].len(), frames[n - 2].len(), "{size}");
            frames.swap(n - 3, n - 2);
            // Each says by its header where it belongs, which the next frame overwrites.
            run.arrive(&frames);
            let (delivered, counters, _) = run.end();
            assert_eq!(delivered.len(), before, "{size}: {counters:?}");
        }
    }
}

#[test]
fn who_else_sends_such_datagrams_is_summed_in_software() {
    let sent = payloads(2500, 6);
    let mut run = queue(Words::Frame, true, DEFAULT);
    stream(&mut run, 10, &sent);
    let before = run.mock.work().bytes;
    for (id, data) in (50..).zip(&sent) {
        let mut frames = lm(id, data);
        // Another Ethernet address, of the first three; and of the first fragment alone, as nobody sends it.
        frames.iter_mut().for_each(|frame| frame[6] ^= 2);
        if id >= 53 {
            frames[1][6] ^= 2;
        }
        run.arrive(&frames);
    }
    let read = run.mock.work().bytes - before;
    let (delivered, counters, _) = run.end();
    assert_eq!(delivered.len(), 12, "{counters:?}");
    assert!(read > 2 * 2500, "{read}");
}

#[test]
fn sums_alone_are_believed_when_they_were_right_often_enough() {
    type Told = fn(&[u8]) -> u32;
    let variants: [Told; 4] = [
        mock::card::whole,
        |f| mock::card::whole(f) ^ 0xffff_0000,
        |f| Words::TOLD | u32::from(((mock::card::whole(f) >> 16) as u16).swap_bytes()) << 16,
        |f| Words::TOLD | u32::from(!((mock::card::whole(f) >> 16) as u16).swap_bytes()) << 16,
    ];
    let sent = payloads(2500, 40);
    for require in [DEFAULT, TAGS] {
        let settled = |card: Told| {
            let mut run = fresh_with(Words::Frame, card, require);
            stream(&mut run, 1, &sent);
            let state = run.matcher.card().sums();
            assert_eq!(run.end().0.len(), 40);
            state
        };
        assert!(variants.into_iter().all(|card| settled(card) == State::InUse));
        // An emulated one, and one of which nothing is known.
        assert_eq!(settled(|_| Words::TOLD), State::Misfit);
        assert_eq!(settled(|_| 0), State::Compared(0));
    }
}

#[test]
fn words_that_are_lost_lose_nobody_a_datagram() {
    for (words, size) in [(Words::Frame, 2500), (Words::Packet, 7168)] {
        for require in [DEFAULT, TAGS] {
            let mut run = queue(words, true, require);
            let sent = payloads(size, 6);
            stream(&mut run, 1, &sent);
            // Within a datagram, too.
            let frames = lm(40, &sent[0]);
            run.arrive(&frames[..1]);
            run.matcher.lose_words();
            run.mock.card = Some(|_| 0xdead_0001);
            run.arrive(&frames[1..]);
            stream(&mut run, 50, &sent);
            assert_eq!((run.matcher.card().sums(), run.matcher.card().is_heard()), (State::Lost, false));
            let (delivered, counters, _) = run.end();
            assert_eq!(delivered.len(), 13, "{counters:?}");
        }
    }
}

/// A stream of datagrams that are too long for sums alone needs no words. Behind one that is short they are
/// read again, and save reading payloads.
#[test]
fn sums_are_looked_at_where_they_may_prove_something() {
    let (short, long) = (payloads(2500, 8), payloads(7168, 8));
    let mut run = queue(Words::Frame, true, DEFAULT);
    for round in 0..3 {
        let id = 100 * round;
        stream(&mut run, id, &long);
        assert_eq!((run.matcher.card().is_needed(), run.matcher.log.keeps_words()), (false, false));
        stream(&mut run, id + 20, &short[..2]);
        assert_eq!((run.matcher.card().is_needed(), run.matcher.log.keeps_words()), (true, true));
        let before = run.mock.work().bytes;
        stream(&mut run, id + 30, &short);
        assert!(run.mock.work().bytes - before < 8 * 200, "no payload is read");
    }
    assert_eq!(run.end().0.len(), 3 * (8 + 2 + 8));
    // Identifications are of use in all of them.
    let mut run = queue(Words::Packet, true, DEFAULT);
    stream(&mut run, 1, &long);
    assert_eq!((run.matcher.card().is_needed(), run.matcher.log.keeps_words()), (true, true));
    run.end();
}
