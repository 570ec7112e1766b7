//! Datagrams that are delivered in pieces, where their fragments landed.
//!
//! Fragments come in any order, cut in any way, among others. What cannot be delivered in pieces is copied.

use super::*;
use proptest::prelude::*;

pub(super) fn run() -> Run {
    Run::new(32, false).separate()
}

/// A datagram cut into fragments of `unit` bytes, first fragment first.
pub(super) fn cut(flow: Flow, id: u16, unit: usize, data: &[u8]) -> Vec<Vec<u8>> {
    let len = (data.len() + wire::UDP) as u16;
    let checksum = checksum::udp(&flow, len, checksum::sum(data));
    let udp = Udp { src_port: flow.src_port, dst_port: flow.dst_port, len, checksum };
    let ip = [&udp.bytes()[..], data].concat();
    let n = ip.chunks(unit).count();
    let piece = |(i, part): (usize, &[u8])| fragment(flow, id, (i * unit) as u32, i + 1 < n, part);
    ip.chunks(unit).enumerate().map(piece).collect()
}

#[track_caller]
fn came(run: Run, data: &[u8], pieces: bool) -> Counters {
    let (delivered, counters, _) = run.end();
    assert_eq!(only(&delivered, &[data]), 1, "{counters:?}");
    assert_eq!(delivered[0].copied, !pieces, "{counters:?}");
    // The good datagram behind it has several frames, too.
    assert_eq!((counters.pieces, counters.copied_datagrams), (1 + u64::from(pieces), u64::from(!pieces)));
    assert_eq!(counters.drops().map(|(_, n)| n).sum::<u64>(), 0, "{counters:?}");
    counters
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    /// Fragments of equal length, in any order, some of them twice: nothing is copied.
    #[test]
    fn any_order(
        unit in prop_oneof![Just(1480_usize), (64..=185_usize).prop_map(|u| u * 8)],
        len in 1480..65_507_usize,
        seed: u64,
    ) {
        let data = payload(len, seed as u8);
        let mut frames = cut(A, 1, unit, &data);
        let mut random = seed | 1;
        frames.extend(frames.clone().into_iter().step_by(7));
        frames.sort_by_cached_key(|_| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            random >> 20
        });
        // Until another one is here, the last one has to be assumed to be cut as they are here.
        let header = |f: &Vec<u8>| wire::Ipv4::parse(&f[ETHERNET..], f.len() - ETHERNET);
        let first = frames.iter().position(|f| header(f).is_ok_and(|ip| ip.more));
        frames.rotate_left(first.unwrap_or(0));
        let mut run = run();
        run.arrive(&frames);
        let (delivered, counters, _) = run.end();
        prop_assert!(only(&delivered, &[&data]) == 1, "{:?}", counters);
        prop_assert!(!delivered[0].copied, "{:?}", counters);
    }
}

#[test]
fn any_number_of_fragments_up_to_128() {
    for (unit, len) in [(1480, 65_507), (552, 65_507), (1480, 1473), (8, 8), (8, 1016)] {
        let data = payload(len, 4);
        let mut run = run();
        run.arrive(&cut(A, 1, unit, &data));
        came(run, &data, true);
    }
    // More, and shorter than any network makes of them, are copied.
    let data = payload(1017, 5);
    let mut run = run();
    run.arrive(&cut(A, 1, 8, &data));
    came(run, &data, false);
}

#[test]
fn what_is_not_cut_evenly_is_copied() {
    let data = payload(3600, 6);
    let even = cut(A, 1, 8, &data);
    let ip: Vec<u8> = even.iter().flat_map(|f| f[HEADERS..HEADERS + 8].to_vec()).collect();
    assert_eq!(ip.len(), 3608);
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1]] {
        for cuts in [[0, 1480, 2480, 3608], [0, 800, 2280, 3608], [0, 1000, 2480, 3608]] {
            let mut run = run();
            for i in order {
                run.arrive(&[fragment(A, 1, cuts[i] as u32, i < 2, &ip[cuts[i]..cuts[i + 1]])]);
            }
            came(run, &data, false);
        }
    }
}

#[test]
fn a_duplicate_is_told_by_its_bytes() {
    let data = payload(7168, 7);
    let frames = cut(A, 1, 1480, &data);
    let mut run = run();
    run.arrive(&[&frames[..3], &frames[1..2], &frames[3..]].concat());
    assert_eq!(came(run, &data, true).duplicates, 1);
    for wrong in 0..4 {
        let mut other = frames[wrong].clone();
        other[HEADERS + 700] ^= 1;
        let mut run = self::run();
        run.arrive(&[&frames[..4], &[other], &frames[4..]].concat());
        let (delivered, counters, _) = run.end();
        assert_eq!(delivered.len(), 0);
        let dropped = (counters.dropped(Reason::Overlap), counters.dropped(Reason::Discarded));
        assert_eq!(dropped, (1, 1), "{counters:?}");
    }
}

#[test]
fn what_is_wrong_is_told_as_where_it_is_copied() {
    let data = payload(7168, 8);
    let good = cut(A, 1, 1480, &data);
    let altered = |at: usize, byte: usize| {
        let mut frames = good.clone();
        frames[at][byte] ^= 1;
        frames
    };
    let beyond = [&good[..4], &[fragment(A, 1, 7000, false, &data[..16])]].concat();
    let two_ends = [&good[1..5], &[fragment(A, 1, 8 * 1480, false, &data[..16])], &good[..1]].concat();
    let mut marked = good.clone();
    for (i, tos) in [(1, 3), (2, 0)] {
        marked[i][ETHERNET + 1] = tos;
        marked[i][ETHERNET + 10..ETHERNET + 12].fill(0);
        let sum = checksum::header(&marked[i][ETHERNET..HEADERS]);
        marked[i][ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());
    }
    for (what, frames) in [
        ("a bit in the midst", altered(2, HEADERS + 100)),
        ("a bit of the UDP length", altered(0, HEADERS + 5)),
        ("a bit of a header", altered(3, ETHERNET + 5)),
        ("an overlap", beyond),
        ("two ends", two_ends),
        ("marks", marked),
    ] {
        let told = |run: Run| {
            let mut run = run;
            run.arrive(&frames);
            // Its time passes.
            run.pass(Matcher::<Vec<u8>, mock::Slots>::GAP, 10);
            let (delivered, counters, _) = run.end();
            assert_eq!(delivered.len(), 0, "{what}");
            counters.drops().filter(|(_, n)| *n > 0).collect::<Vec<_>>()
        };
        let here = told(run());
        assert!(!here.is_empty(), "{what}");
        assert_eq!(here, told(run().copying()), "{what}");
    }
}

/// A fragment with this type of service and time to live in its header.
pub(super) fn with_service(mut frame: Vec<u8>, tos: u8, ttl: u8) -> Vec<u8> {
    Service { tos, ttl }.stamp(&mut frame);
    frame
}

/// The first header says it, in whatever order they come, and congestion that one fragment met is marked.
#[test]
fn it_comes_with_what_its_first_header_says() {
    let data = payload(7168, 13);
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 0, 4, 2, 3]] {
        for (others, tos) in [(0b10, 0x42), (0b11, 0x43)] {
            let good = cut(A, 1, 1480, &data);
            let first = with_service(good[0].clone(), 0x42, 9);
            let mut run = run();
            for i in order {
                let other = with_service(good[i].clone(), if i == 3 { others } else { 0b10 }, 64);
                run.arrive(&[if i == 0 { first.clone() } else { other }]);
            }
            assert_eq!(run.mock.delivered.len(), 1, "{:?}", run.matcher.counters);
            assert!(!run.mock.delivered[0].copied);
            assert_eq!(run.mock.delivered[0].came, Some(Service { tos, ttl: 9 }), "{order:?}");
            run.mock.delivered.clear();
            run.end();
        }
    }
    // What waited and goes on by copying keeps it, and a duplicate's counts as where all is copied.
    let good = cut(A, 1, 1480, &data);
    let mut frames: Vec<_> = good.iter().map(|f| with_service(f.clone(), 0x10, 5)).collect();
    frames.insert(2, with_service(good[0].clone(), 0x20, 6));
    for (relieved, copying) in [(false, false), (true, false), (false, true)] {
        let mut run = if copying { run().copying() } else { run() };
        run.arrive(&frames[..4]);
        if relieved {
            run.matcher.relieve(&mut run.mock);
        }
        run.arrive(&frames[4..]);
        let [only] = &run.mock.delivered[..] else { panic!("{:?}", run.matcher.counters) };
        assert_eq!((only.came, only.copied), (Some(Service { tos: 0x20, ttl: 6 }), relieved || copying));
        run.mock.delivered.clear();
        run.end();
    }
}

/// Whoever polls in vain may not stop looking while something waits: its time passes.
#[test]
fn what_waits_is_not_idle() {
    let mut run = run();
    assert!(run.matcher.is_idle());
    run.arrive(&cut(A, 1, 1480, &payload(7168, 14))[..2]);
    assert!(!run.matcher.is_idle());
    run.pass(Matcher::<Vec<u8>, mock::Slots>::GAP, 10);
    assert!(run.matcher.is_idle() && run.mock.held() == 0);
    assert_eq!(run.matcher.counters.dropped(Reason::Timeout), 1);
}

/// What is for another on the link is handed out, fragment by fragment, and waits for nothing.
#[test]
fn what_is_for_another_does_not_wait() {
    let data = payload(7168, 15);
    let frames = cut(A, 1, 1480, &data);
    let to: wire::Mac = *frames[0].first_chunk().expect("a frame");
    for other in [false, true] {
        let mut run = run();
        let mut mac = to;
        mac[5] ^= u8::from(other);
        let config =
            Config { accept: Accept { mac: Some(mac), ..Accept::default() }, ..*run.matcher.config() };
        run.matcher = Matcher::new(config);
        run.arrive(&frames);
        let theirs = other && to[0] & 1 == 0;
        let (delivered, strangers) = (run.mock.delivered.len(), run.mock.strangers.len());
        assert_eq!((delivered, strangers), if theirs { (0, frames.len()) } else { (1, 0) });
        assert!(theirs || !run.mock.delivered[0].copied);
        assert_eq!(theirs, other, "the frames are for one");
    }
}

/// Where slots overlap, the header of a datagram that is about to be delivered tells, too: in a stream of
/// datagrams for one, those for another are nobody's messages.
#[test]
fn what_is_for_another_does_not_land() {
    for ((burst, synchronous, ahead), tags) in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        for (lm, len) in [(true, 7168), (true, 1480), (true, 300), (false, 300), (false, 2000)] {
            let mut run = Run::new(burst, synchronous).ahead(ahead);
            let to: wire::Mac = *super::lm(1, &[0; 8])[0].first_chunk().expect("a frame");
            let accept = Accept { mac: Some(to), ..Accept::default() };
            let require = Require { tags, ..Require::default() };
            run.matcher = Matcher::new(Config { require, accept, ..*run.matcher.config() });
            let mut ours = Vec::new();
            for i in 0..24_u16 {
                let data = payload(len, i as u8);
                let mut frames = if lm { super::lm(i, &data) } else { plain_frames(G, A, i, &data) };
                if i % 3 == 2 {
                    frames.iter_mut().for_each(|frame| frame[5] ^= 1);
                } else {
                    ours.push(data);
                }
                run.arrive(&frames);
            }
            let (delivered, counters, strangers) = run.end();
            let ours: Vec<_> = ours.iter().map(|data| &data[..]).collect();
            let what =
                format!("{len} bytes, burst {burst}, synchronous {synchronous}, tags {tags}: {counters:?}");
            assert_eq!(only(&delivered, &ours), ours.len(), "{what}");
            let theirs = strangers.iter().filter(|frame| frame[5] != to[5]).count();
            assert!(theirs == strangers.len() && theirs >= 8, "{what}");
        }
    }
}

/// LM's own datagrams may come so, too: their tag and padding are no payload, and the tag has to agree.
#[test]
fn a_tag_is_no_payload() {
    for len in [1473, 2000, 2950, 7168, 8860, 16_384] {
        let data = payload(len, 9);
        let mut run = run();
        run.arrive(&lm(1, &data));
        came(run, &data, true);
        let mut bad = lm(1, &data);
        let layout = crate::layout::Layout::of_udp(G, len + wire::UDP);
        let tag = layout.tag().expect("there is room") - (layout.fragments() - 1) * G.stride();
        bad[0][HEADERS + tag + 3] ^= 1;
        let mut run = self::run();
        run.arrive(&bad);
        let (delivered, counters, _) = run.end();
        assert_eq!((delivered.len(), counters.dropped(Reason::BadTag)), (0, 1), "{len}: {counters:?}");
    }
}

/// Nor is it where it lies in two fragments.
#[test]
fn a_tag_in_two_fragments_is_one() {
    let data = payload(7168, 18);
    let at = data.len() + wire::UDP;
    let ip: Vec<u8> = {
        let even = cut(A, 1, 8, &data);
        let mut ip: Vec<u8> = even.iter().flat_map(|f| f[HEADERS..HEADERS + 8].to_vec()).collect();
        // Looks like one, and agrees with nothing.
        ip.extend([0x10; 64]);
        ip
    };
    for unit in [at - 8, at, 8 * (at / 16)] {
        for start in 0..TAG {
            // LM's tag is behind the UDP datagram, and the cut somewhere in it.
            let mut ip = ip.clone();
            let len = (at - start) as u16;
            ip[4..6].copy_from_slice(&len.to_be_bytes());
            ip[6..8].fill(0);
            ip[at - start..].fill(0x10);
            let n = ip.chunks(unit).count();
            let frames: Vec<_> = (ip.chunks(unit).enumerate())
                .map(|(i, part)| fragment(A, 1, (i * unit) as u32, i + 1 < n, part))
                .collect();
            for copying in [false, true] {
                let mut run = if copying { run().copying() } else { run() };
                run.mock = Mock::new(Geometry::new(9000).expect("an MTU"), 1 << 22, false);
                run.mock.slot = Slot::Separate;
                run.arrive(&frames);
                let told = (run.mock.delivered.len(), run.matcher.counters.dropped(Reason::BadTag));
                assert_eq!(told, (0, 1), "unit {unit}, {start} bytes before: {:?}", run.matcher.counters);
            }
        }
    }
}

/// However long something waits: it holds no slot longer than for so many frames, and is not lost.
#[test]
fn slots_come_back_in_time() {
    let window = 40;
    let data = payload(7168, 10);
    let slow = cut(B, 1, 1480, &data);
    let mut run = run().limited(Limits { window, ..Limits::default() });
    run.arrive(&slow[..3]);
    assert_eq!(run.mock.held(), 3);
    let mut came = 0;
    for id in 0..100 {
        run.arrive(&cut(A, id, 1480, &data));
        came += run.mock.delivered.drain(..).count();
        assert!(run.mock.held() <= 3, "{id}");
    }
    assert_eq!((came, run.mock.held()), (100, 0));
    run.arrive(&slow[3..]);
    assert_eq!(run.mock.delivered.len(), 1, "{:?}", run.matcher.counters);
    assert!(run.mock.delivered[0].copied && run.mock.delivered[0].payload == data);
    run.mock.delivered.clear();
    run.end();
}

/// Who counts anew does not make what waits hold its slots for longer.
#[test]
fn counting_anew_ends_what_waits() {
    let window = 40;
    let data = payload(7168, 16);
    let mut run = run().limited(Limits { window, ..Limits::default() });
    run.arrive(&cut(B, 2, 1480, &data));
    run.mock.delivered.clear();
    run.arrive(&cut(A, 1, 1480, &data)[..3]);
    run.matcher.counters = Counters::default();
    run.arrive(&cut(B, 1, 1480, &data)[..1]);
    assert_eq!(run.mock.held(), 1);
    run.arrive(&cut(A, 1, 1480, &data)[3..]);
    assert_eq!(run.mock.delivered.len(), 1, "{:?}", run.matcher.counters);
    run.mock.delivered.clear();
    run.matcher.clear(&mut run.mock);
}

/// A pool without slots asks for them: what waits is copied, and is not lost.
#[test]
fn what_waits_gives_way() {
    let all: Vec<_> = (0..10).map(|i| payload(7168, i)).collect();
    let mut run = run();
    for (i, data) in all.iter().enumerate() {
        run.arrive(&cut(A, i as u16, 1480, data)[..4]);
    }
    assert_eq!((run.mock.held(), run.matcher.pending(), run.matcher.unsettled()), (40, 40, 0));
    run.matcher.relieve(&mut run.mock);
    assert_eq!((run.mock.held(), run.matcher.pending()), (0, 0), "fewer than a relief copies");
    for (i, data) in all.iter().enumerate() {
        run.arrive(&cut(A, i as u16, 1480, data)[4..]);
    }
    let sent: Vec<&[u8]> = all.iter().map(|data| &data[..]).collect();
    assert_eq!(only(&run.mock.delivered, &sent), 10);
    assert_eq!(run.mock.delivered.iter().filter(|d| d.copied).count(), 10);
    run.mock.delivered.clear();
    run.end();
}

/// Many wait: each time some of them are copied, those that have waited longest, and not all at once.
#[test]
fn what_waits_gives_way_by_and_by() {
    const RELIEF: usize = Matcher::<Vec<u8>, mock::Slots>::RELIEF;
    let data = payload(7168, 17);
    let (each, n) = (RELIEF / 4, RELIEF / 4 * 2 + 10);
    let mut run = run().limited(Limits { window: 4096, datagrams: 256, ..Limits::default() });
    let frames = |i: usize| cut(Flow { src: A.src + i as u32, ..A }, 1, 1480, &data);
    for i in 0..n {
        run.arrive(&frames(i)[..4]);
    }
    assert_eq!(run.matcher.pending(), 4 * n);
    for left in [4 * (n - each), 4 * (n - 2 * each)] {
        run.matcher.relieve(&mut run.mock);
        assert_eq!((run.mock.held(), run.matcher.pending()), (left, left));
    }
    for i in 0..n {
        run.arrive(&frames(i)[4..]);
    }
    let copied: Vec<_> = run.mock.delivered.drain(..).map(|d| (d.payload == data, d.copied)).collect();
    let wanted: Vec<_> = (0..n).map(|i| (true, i < 2 * each)).collect();
    assert_eq!(copied, wanted, "{:?}", run.matcher.counters);
    run.end();
}

/// Whoever begins datagrams and never ends them: others can still wait, and are not copied.
#[test]
fn a_flood_leaves_room_to_wait() {
    let data = payload(2000, 11);
    let limits = Limits { waiting: 64, window: 4096, ..Limits::default() };
    let mut run = run().limited(limits);
    for id in 0..500 {
        run.arrive(&cut(Flow { src: 99, ..A }, id, 1480, &data)[..1]);
    }
    assert!(run.mock.held() <= 32 + 1, "{} slots", run.mock.held());
    for i in 0..16 {
        run.arrive(&cut(Flow { src: B.src + i, ..B }, 1, 1480, &data));
    }
    assert_eq!(run.mock.delivered.len(), 16);
    assert!(run.mock.delivered.iter().all(|d| !d.copied));
    run.mock.delivered.clear();
    run.end();
}

/// Half of a datagram is in separate slots when they are laid anew: what waits goes on by copying.
#[test]
fn slots_that_are_laid_anew() {
    let data = payload(7168, 12);
    for at in 1..5 {
        for frames in [cut(A, 1, 1480, &data), lm(1, &data)] {
            let mut run = run();
            run.arrive(&frames[..at]);
            run.mock.slot = Slot::Overlapping;
            for f in &frames[at..] {
                run.burst = 1;
                run.arrive(std::slice::from_ref(f));
            }
            let (delivered, counters, _) = run.end();
            assert!(only(&delivered, &[&data]) <= 1);
            let lost = counters.drops().map(|(_, n)| n).sum::<u64>();
            assert!(delivered.len() == 1 || lost > 0, "{at}: {counters:?}");
        }
    }
}
