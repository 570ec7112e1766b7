//! Datagrams as senders, wires and drivers deliver them: every size, order, loss and burst.
//!
//! What must land is delivered without a copy, and what was lost is counted.

use super::*;

#[test]
fn every_kind_of_size_lands_whole_without_a_copy() {
    let mut sizes: Vec<usize> =
        vec![1, 2, 8, 17, 18, 19, 7168, 16384, 65_498, 65_499, 65_500, 65_506, 65_507];
    for k in 1..=44 {
        sizes.extend([1480 * k - 9, 1480 * k - 8, 1480 * k - 7]);
    }
    sizes.extend((1440..=1480).map(|last| 1480 + last - 8));
    sizes.extend((1440..=1480).map(|last| last - 8));
    for (burst, synchronous, ahead) in WAYS {
        let mut run = Run::new(burst, synchronous);
        run.mock = Mock::new(G, 1 << 22, true);
        run.matcher.config.mirror = run.mock.mirror();
        run.ahead = ahead;
        for (i, &size) in sizes.iter().enumerate() {
            let before = run.mock.delivered.len();
            run.arrive(&lm(i as u16, &payload(size, i as u8)));
            if ahead == 0 {
                let c = run.matcher.counters;
                assert_eq!(run.mock.delivered.len(), before + 1, "{size} bytes, burst {burst}: {c:?}");
            }
        }
        let (delivered, counters, _) = run.end();
        assert_eq!(delivered.len(), sizes.len(), "burst {burst}, ahead {ahead}: {counters:?}");
        for (i, (d, &size)) in delivered.iter().zip(&sizes).enumerate() {
            assert!(d.payload == payload(size, i as u8), "{size} bytes");
            assert!(!d.copied, "{size} bytes were copied");
            assert_eq!(d.whole.flow, A);
        }
    }
}

#[test]
fn a_wrap_costs_one_copy_and_no_more() {
    let mut run = Run::new(32, false);
    run.mock = Mock::new(G, 1 << 20, false);
    let sent: Vec<_> = (0..200).map(|i| payload(7168, i as u8)).collect();
    for (i, p) in sent.iter().enumerate() {
        run.arrive(&lm(i as u16, p));
    }
    let (delivered, counters, _) = run.end();
    assert_eq!(delivered.len(), 200);
    assert!(delivered.iter().zip(&sent).all(|(d, s)| d.payload == *s));
    assert_eq!(counters.copied_datagrams, 1, "1,001 frames over 708 slots");
}

/// The frame before a wrap keeps its header, and the frame behind it may be the first of something else: what
/// ends there is done with as it is at the end of a burst.
/// A name, frames, what is to be delivered of them, and how many strangers are among them.
type Before<'a> = (&'a str, Vec<Vec<u8>>, Option<&'a [u8]>, usize);

#[test]
fn what_ends_at_a_wrap() {
    let next = payload(2500, 50);
    let (pair, triple, short) = (payload(2000, 51), payload(4000, 52), payload(300, 53));
    let filler = payload(40, 54);
    let kernel = |id, data: &[u8]| plain_frames(G, A, id, data);
    let with_arp = |mut frames: Vec<Vec<u8>>, at| {
        frames.insert(at, arp());
        frames
    };
    let (last_first, tagged) = (lm(3, &triple), lm(3, &pair));
    // What comes before the wrap, what is to be delivered of it, and how many strangers are in it.
    let before: [Before<'_>; 8] = [
        ("two fragments of a kernel's", kernel(3, &pair), Some(&pair), 0),
        ("three fragments of a kernel's", kernel(3, &triple), Some(&triple), 0),
        ("two with a stranger between", with_arp(kernel(3, &pair), 1), Some(&pair), 1),
        ("three with a stranger between", with_arp(kernel(3, &triple), 2), None, 1),
        ("one frame", kernel(3, &short), Some(&short), 0),
        ("a stranger", vec![arp()], None, 1),
        ("a full stranger behind a last fragment", vec![tagged[0].clone(), tcp(1514)], None, 1),
        ("all of LM's", last_first, Some(&triple), 0),
    ];
    for (burst, synchronous, ahead) in WAYS {
        for (name, frames, sent, strangers) in &before {
            let mut run = Run::new(burst, synchronous);
            run.mock.wrap_after(20);
            let lead = run.mock.slots_left() - frames.len();
            run.arrive(&(0..lead).flat_map(|i| lm(100 + i as u16, &filler)).collect::<Vec<_>>());
            run.mock.delivered.clear();
            run.ahead = ahead;
            run.arrive(&[&frames[..], &kernel(4, &next)].concat());
            let (delivered, counters, out) = run.end();
            let what = format!("{name}, burst {burst}, synchronous {synchronous}: {counters:?}");
            only(&delivered, &[&pair, &triple, &short, &next]);
            let of = |data: &[u8]| delivered.iter().filter(|d| d.payload == data).count();
            assert_eq!(of(&next), 1, "{what}");
            assert!(sent.is_none_or(|sent| of(sent) == 1), "{what}");
            assert_eq!(out.len(), *strangers, "{what}");
        }
    }
}

#[test]
fn strangers_between_the_fragments() {
    let data = payload(7168, 1);
    let strangers: [(&str, Vec<u8>); 5] = [
        ("arp", arp()),
        ("short tcp", tcp(200)),
        ("full tcp", tcp(1514)),
        ("tcp that reaches", tcp(1500)),
        ("vlan", {
            let mut f = arp();
            f.splice(12..12, [0x81, 0, 0, 5]);
            f
        }),
    ];
    for (burst, synchronous, ahead) in WAYS {
        for (name, stranger) in &strangers {
            for at in 0..=5 {
                let mut frames = lm(1, &data);
                frames.insert(at, stranger.clone());
                let mut run = Run::new(burst, synchronous).ahead(ahead);
                run.arrive(&frames);
                let (delivered, counters, out) = run.end();
                let what = format!("{name} at {at}, burst {burst}, sync {synchronous}: {counters:?}");
                let n = only(&delivered, &[&data]);
                // A stranger that reaches the first fragment's header takes the sender's name with it, unless
                // the datagram was delivered before.
                let dies = at == 5 && stranger.len() > G.reach() && !(burst == 1 && synchronous);
                if !dies {
                    assert_eq!(n, 1, "{what}");
                    assert_eq!(delivered[0].copied, at > 0 && at < 5, "{what}");
                }
                let lost = counters.dropped(Reason::LostFrame) + counters.dropped(Reason::Oversize);
                assert!(out.len() as u64 + lost >= 1, "the stranger is handed out or counted: {what}");
                if burst == 1 && synchronous {
                    assert_eq!(out.len(), 1, "{what}");
                }
            }
        }
    }
}

#[test]
fn two_senders_interleaved() {
    let (a, b) = (payload(7168, 1), payload(7168, 2));
    let (fa, fb) = (lm(1, &a), lm_frames(G, B, 1, &b, ChecksumMode::Full));
    let mixed: Vec<_> = fa.into_iter().zip(fb).flat_map(|(x, y)| [x, y]).collect();
    for (burst, synchronous, ahead) in WAYS {
        let mut run = Run::new(burst, synchronous).ahead(ahead);
        run.arrive(&mixed);
        let (delivered, counters, _) = run.end();
        let n = only(&delivered, &[&a, &b]);
        if burst == 1 && synchronous {
            assert_eq!(n, 2, "{counters:?}");
        } else {
            assert!(n > 0 || counters.dropped(Reason::LostFrame) > 0, "{counters:?}");
        }
    }
    let mut run = Run::new(32, false).separate();
    run.arrive(&mixed);
    let (delivered, counters, _) = run.end();
    assert_eq!((only(&delivered, &[&a, &b]), counters.pieces), (2, 2 + 1), "{counters:?}");
    assert_eq!(counters.copied_datagrams, 0);
}

#[test]
fn one_datagram_inside_another() {
    let (a, b) = (payload(7168, 1), payload(3000, 2));
    let mut frames = lm(1, &a);
    frames.splice(2..2, lm_frames(G, B, 1, &b, ChecksumMode::Full));
    for (burst, synchronous, ahead) in WAYS {
        let mut run = Run::new(burst, synchronous).ahead(ahead);
        run.arrive(&frames);
        let (delivered, counters, _) = run.end();
        let n = only(&delivered, &[&a, &b]);
        assert!(n >= 1, "burst {burst}: {counters:?}");
        if burst == 1 && synchronous {
            assert_eq!(n, 2, "{counters:?}");
        }
    }
}

#[test]
fn a_kernels_forward_order() {
    for len in [100, 1472, 1473, 2952, 2953, 4300, 4432, 7168, 65_507] {
        let data = payload(len, 3);
        let frames = plain_frames(G, A, 5, &data);
        for (burst, synchronous, ahead) in WAYS {
            let mut run = Run::new(burst, synchronous).ahead(ahead);
            run.arrive(&frames);
            let (delivered, counters, _) = run.end();
            let n = only(&delivered, &[&data]);
            let what = format!("{len} bytes, burst {burst}, sync {synchronous}, ahead {ahead}: {counters:?}");
            if (frames.len() <= 3 && len != 4432) || (burst == 1 && synchronous) {
                assert_eq!(n, 1, "{what}");
            } else if n == 0 {
                let lost = counters.dropped(Reason::OrderUnproven) + counters.dropped(Reason::LostFrame);
                assert!(lost > 0, "{what}");
            }
        }
        let mut run = Run::new(32, false).separate();
        run.arrive(&frames);
        let (delivered, counters, _) = run.end();
        assert_eq!(only(&delivered, &[&data]), 1, "{counters:?}");
        assert!(!delivered[0].copied);
        assert_eq!(counters.pieces, 1 + u64::from(frames.len() > 1), "{counters:?}");
        assert_eq!(delivered[0].whole.by, WholeBy::Headers);
    }
}

#[test]
fn any_order_is_never_delivered_wrong() {
    let mut x = 12345_u64;
    for round in 0..400 {
        let data = payload(if round % 3 == 0 { 65_507 } else { 7168 }, round as u8);
        let mut frames =
            if round % 2 == 0 { lm(round as u16, &data) } else { plain_frames(G, A, round as u16, &data) };
        if round % 5 < 3 {
            // The ends where a reverse run has them, the middle in any order.
            if round % 2 == 1 {
                frames.reverse();
            }
            let n = frames.len();
            shuffle(&mut frames[1..n - 1], &mut x);
        } else {
            shuffle(&mut frames, &mut x);
        }
        for (burst, synchronous, ahead) in WAYS {
            let mut run = Run::new(burst, synchronous).ahead(ahead);
            run.arrive(&frames);
            let (delivered, counters, _) = run.end();
            let n = only(&delivered, &[&data]);
            if burst == 1 && synchronous {
                assert_eq!(n, 1, "round {round}: {counters:?}");
            }
        }
        let mut run = Run::new(32, false).separate();
        run.arrive(&frames);
        let (delivered, counters, _) = run.end();
        assert_eq!(only(&delivered, &[&data]), 1, "{counters:?}");
    }
}

fn shuffle(frames: &mut [Vec<u8>], x: &mut u64) {
    for i in (1..frames.len()).rev() {
        *x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        frames.swap(i, (*x >> 33) as usize % (i + 1));
    }
}

#[test]
fn every_fragment_lost_in_turn() {
    let data = payload(7168, 4);
    for (burst, synchronous, ahead) in WAYS {
        for lost in 0..5 {
            let mut frames = lm(1, &data);
            frames.remove(lost);
            let mut run = Run::new(burst, synchronous).ahead(ahead);
            run.arrive(&frames);
            let (delivered, counters, _) = run.end();
            assert_eq!(delivered.len(), 0);
            let counted: u64 = counters.drops().map(|(_, n)| n).sum();
            assert!(counted >= 1, "fragment {lost}: {counters:?}");
        }
    }
}

#[test]
fn duplicates_of_every_fragment() {
    let data = payload(7168, 5);
    for (burst, synchronous, ahead) in WAYS {
        for twice in 0..5 {
            let mut frames = lm(1, &data);
            frames.insert(twice, frames[twice].clone());
            let mut run = Run::new(burst, synchronous).ahead(ahead);
            run.arrive(&frames);
            let (delivered, counters, _) = run.end();
            let n = only(&delivered, &[&data]);
            if twice < 4 {
                assert_eq!(n, 1, "{twice} twice, burst {burst}, sync {synchronous}: {counters:?}");
            }
        }
    }
}

#[test]
fn a_peer_that_stops_in_the_middle_of_a_datagram_costs_nothing() {
    // Frames were written and are not reported yet; the newest that is reported has lost its headers to them.
    let data = payload(7168, 20);
    // A process, for as long as anything waits; an emulated card, for less than half a second.
    for (quiet, looks) in [(None, 20), (Some(MockMatcher::QUIET), 12)] {
        for stop in 1..5 {
            let mut run = Run::new(32, false).ahead(5 - stop);
            run.matcher.config.quiet = quiet;
            run.arrive(&lm(1, &data));
            run.pass(40_000_000, looks);
            run.ahead = 0;
            run.arrive(&[]);
            let (delivered, counters, out) = run.end();
            assert_eq!((only(&delivered, &[&data]), out.len()), (1, 0), "stopped after {stop}: {counters:?}");
            assert!(!delivered[0].copied);
        }
    }
    // And ARP is answered all the same.
    let mut run = Run::new(32, false);
    run.matcher.config.quiet = None;
    run.arrive(&[arp()]);
    run.pass(900_000, 3);
    assert_eq!(run.mock.strangers.len(), 1);
    run.end();
}

#[test]
fn a_receiver_that_did_not_poll_for_long_loses_nothing() {
    // The rest of the datagram has waited in the ring meanwhile.
    let data = payload(16_384, 21);
    for separate in [false, true] {
        let mut run = Run::new(32, false);
        if separate {
            run = run.separate();
        }
        let frames = lm(1, &data);
        run.arrive(&frames[..7]);
        run.now += 10_000_000_000;
        run.matcher.look(run.now, 0, &mut run.mock);
        run.now += 10_000_000_000;
        run.arrive(&frames[7..]);
        let (delivered, counters, _) = run.end();
        assert_eq!(only(&delivered, &[&data]), 1, "separate {separate}: {counters:?}");
    }
}

#[test]
fn no_buffer_is_counted_and_recovers() {
    let data = payload(7168, 19);
    let mut run = Run::new(32, false).copying();
    run.mock.budget = 0;
    run.arrive(&plain_frames(G, A, 1, &data));
    assert!(run.matcher.counters.dropped(Reason::NoBuffer) > 0);
    run.mock.budget = -1;
    run.end();
}

/// Slots are laid anew in the midst of a datagram, at every place of it: it is put together with one copy, or
/// lost and counted; those around it are delivered.
#[test]
fn slots_that_switch_in_the_midst_of_a_datagram() {
    for (burst, synchronous, ahead) in WAYS {
        for to in [Slot::Separate, Slot::Overlapping] {
            let (mut repaired, mut lost) = (0, 0);
            for len in [4000, 7168, 16_384, 65_499, 65_507] {
                let frames = lm(7, &payload(len, 7));
                for at in 1..frames.len() {
                    let mut run = Run::new(burst, synchronous).ahead(ahead);
                    if to == Slot::Overlapping {
                        run = run.separate();
                    }
                    let (before, after) = (payload(9000, 6), payload(5000, 8));
                    run.arrive(&lm(6, &before));
                    run.arrive(&frames[..at]);
                    run.mock.slot = to;
                    run.arrive(&frames[at..]);
                    run.arrive(&lm(8, &after));
                    let (delivered, counters, _) = run.end();
                    let data = payload(len, 7);
                    only(&delivered, &[&before, &data, &after]);
                    assert!(delivered.iter().any(|d| d.payload == before), "{burst} {to:?} {len} {at}");
                    assert!(delivered.iter().any(|d| d.payload == after), "{burst} {to:?} {len} {at}");
                    if let Some(d) = delivered.iter().find(|d| d.payload == data) {
                        assert!(d.copied);
                        repaired += 1;
                    } else {
                        assert!(counters.drops().any(|(_, n)| n > 0), "{burst} {to:?} {len} {at}");
                        lost += 1;
                    }
                }
            }
            assert!(repaired >= 50 && repaired + lost == 105, "{repaired} repaired, {lost} lost");
            println!(
                "to {to:?}, bursts of {burst}, synchronous {synchronous}: {repaired} repaired, {lost} lost"
            );
        }
    }
}

/// Bursts of any size, and polls that find nothing between them: a stream arrives whole under every policy.
#[test]
fn bursts_of_any_size() {
    let mut x = 88_172_645_463_325_252_u64;
    let mut random = move |n: usize| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x % n as u64) as usize
    };
    for tags in [false, true] {
        for mirrored in [false, true] {
            for synchronous in [true, false] {
                let mut run = Run::new(32, synchronous);
                run.mock = Mock::new(G, 1 << 22, mirrored);
                run.matcher.config.mirror = run.mock.mirror();
                run.matcher.config.require.tags = tags;
                let mut frames = VecDeque::new();
                for i in 0..600_usize {
                    let size = match random(4) {
                        0 => 1 + random(65_507),
                        1 => 1480 * (1 + random(43)) + random(48),
                        2 => (1480 * (1 + random(44))).saturating_sub(8 + random(48)),
                        _ => 1 + random(3000),
                    };
                    frames.extend(lm(i as u16, &payload(size.min(65_507), i as u8)));
                    while frames.len() > 64 {
                        for _ in 0..=random(32) {
                            let frame = frames.pop_front().expect("some are left");
                            run.mock.arrive(&frame);
                        }
                        run.mock.receive(&mut run.matcher, 32, 0, &mut run.now);
                        for _ in 0..random(3) {
                            run.now += random(5_000_000) as u64;
                            run.matcher.look(run.now, 0, &mut run.mock);
                        }
                    }
                }
                let what = format!("tags {tags}, mirrored {mirrored}, synchronous {synchronous}");
                run.arrive(&frames.into_iter().collect::<Vec<_>>());
                let (delivered, counters, _) = run.end();
                assert_eq!(
                    (delivered.len(), counters.drops().map(|(_, n)| n).sum::<u64>()),
                    (600, 0),
                    "{what}: {counters:?}"
                );
            }
        }
    }
}
