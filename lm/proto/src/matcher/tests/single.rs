//! Datagrams in one frame: taken where they lie, at once if their headers are known to be intact.
//!
//! If the next frame may have reached the headers, they are not believed.

use super::*;
use crate::service::Service;
use proptest::prelude::*;

/// A kernel's and LM's, with and without a checksum.
fn singles(data: &[u8]) -> Vec<Vec<u8>> {
    let mut all = plain_frames(G, A, 7, data);
    all.extend(lm(7, data));
    all.extend(lm_frames(G, A, 7, data, ChecksumMode::Zero));
    all
}

#[test]
fn it_waits_for_nothing_if_nothing_is_behind_it() {
    for synchronous in [true, false] {
        for len in [0, 1, 17, 18, 19, 56, 1000, 1430] {
            let data = payload(len, 3);
            for mut frame in singles(&data) {
                Service { tos: 0xb8, ttl: 9 }.stamp(&mut frame);
                let mut run = Run::new(1, synchronous);
                run.mock.arrive(&frame);
                assert_eq!(run.mock.hand_over(&mut run.matcher, 1), 1);
                assert_eq!(run.mock.delivered.len(), 1, "{len} bytes: before anybody looks");
                assert!(run.mock.delivered[0].payload == data && !run.mock.delivered[0].copied);
                assert_eq!(run.mock.services, [Service { tos: 0xb8, ttl: 9 }]);
                assert!(run.matcher.is_idle() && run.matcher.pending() == 0);
                assert_eq!((run.matcher.counters.frames, run.matcher.counters.datagrams), (1, 1));
                run.end();
            }
        }
    }
}

#[test]
fn each_of_a_burst_is_taken_if_the_next_does_not_reach_it() {
    let sent: Vec<_> = (0..40).map(|i| payload(31 * i, i as u8)).collect();
    for synchronous in [true, false] {
        let mut run = Run::new(32, synchronous);
        for (i, data) in sent.iter().enumerate() {
            run.mock.arrive(&lm(i as u16, data)[0]);
        }
        run.mock.hand_over(&mut run.matcher, 40);
        assert_eq!(run.matcher.pending(), 0);
        let (delivered, counters, _) = run.end();
        assert!(delivered.iter().map(|d| &d.payload).eq(&sent) && delivered.iter().all(|d| !d.copied));
        assert_eq!(counters.datagrams, 41);
    }
}

#[test]
fn what_the_next_frame_may_have_reached_is_not_believed() {
    let data = payload(500, 4);
    let next = tcp(1514);
    // Not reported yet, but on its way: the headers may be half of each.
    let mut run = Run::new(1, false);
    run.mock.arrive(&lm(7, &data)[0]);
    run.mock.arrive(&next);
    run.mock.hand_over(&mut run.matcher, 1);
    assert_eq!((run.mock.delivered.len(), run.matcher.pending()), (0, 1));
    // Nothing is known of it.
    let mut run = Run::new(1, false);
    run.mock.blind = true;
    run.mock.arrive(&lm(7, &data)[0]);
    run.mock.hand_over(&mut run.matcher, 1);
    assert_eq!((run.mock.delivered.len(), run.matcher.pending()), (0, 1));
    // In the same burst: it has reached them, with good ones of another flow that has the same sum.
    let single = &plain_frames(G, A, 7, &data)[0];
    let mut forged = next;
    let start = forged.len() - HEADERS;
    forged[start..].copy_from_slice(&single[..HEADERS]);
    forged[start + 29] += 1;
    forged[start + 33] -= 1;
    for synchronous in [true, false] {
        let mut run = Run::new(2, synchronous);
        run.mock.arrive(single);
        run.mock.arrive(&forged);
        run.mock.hand_over(&mut run.matcher, 2);
        assert_eq!(run.mock.delivered.len(), 0);
    }
}

#[test]
fn who_takes_fragmented_ones_alone_gets_it_as_a_frame() {
    for synchronous in [true, false] {
        for frame in singles(&payload(300, 5)) {
            let mut run = Run::new(1, synchronous);
            run.matcher.config.accept.fragmented = true;
            run.arrive(std::slice::from_ref(&frame));
            let (delivered, _, strangers) = run.end();
            assert_eq!((delivered.len(), strangers), (0, vec![frame]));
        }
    }
}

#[test]
fn what_is_wrong_with_it_is_counted() {
    let good = &lm(7, &payload(300, 6))[0];
    // UDP's length, its checksum, the payload, and the tag's hash.
    for (at, reason) in [
        (HEADERS + 4, Reason::BadUdpLength),
        (HEADERS + 7, Reason::BadChecksum),
        (HEADERS + 100, Reason::BadChecksum),
        (good.len() - 3, Reason::BadTag),
    ] {
        let mut frame = good.clone();
        frame[at] ^= 0x40;
        let mut run = Run::new(1, false);
        run.arrive(&[frame]);
        assert_eq!(run.matcher.counters.dropped(reason), 1, "byte {at}");
        let (delivered, ..) = run.end();
        assert!(delivered.is_empty());
    }
}

/// A frame in a separate slot, changed in its headers, behind them or in its length, and then perhaps mended.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![Just(0_usize), Just(1), Just(18), Just(1450), Just(1472), 0..1472_usize];
    let damage = proptest::option::weighted(0.7, (0_usize..HEADERS + 12, any::<u8>()));
    let by = proptest::option::weighted(0.3, -20_i8..40);
    (0_usize..4, len, damage, any::<bool>(), by, any::<(u8, u8)>()).prop_map(
        |(kind, len, damage, mended, by, (tos, ttl))| {
            let data = payload(len, kind as u8);
            // A kernel's, which is whole or a fragment, and LM's. Those of LM may be two frames.
            let mut frame = match kind {
                0 => plain_frames(G, A, 7, &data).remove(0),
                1 => fragment(A, 7, 0, true, &payload(1480, 1)),
                _ => singles(&data).swap_remove(kind - 1),
            };
            Service { tos, ttl }.stamp(&mut frame);
            if let Some((at, bits)) = damage {
                let at = at.min(frame.len() - 1);
                frame[at] ^= bits;
            }
            if mended {
                mend(&mut frame);
            }
            resized(frame, by.unwrap_or(0))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 500 }))]

    /// In separate slots, the words of a header say what its parser says, under each policy.
    #[test]
    fn whether_a_header_is_parsed_makes_no_difference(
        frames in proptest::collection::vec(changed(), 1..12),
        require in 1_u8..8,
        fragmented: bool,
        port in proptest::option::of(prop_oneof![Just(A.dst_port), Just(1)]),
        burst in prop_oneof![Just(1_usize), Just(5)],
    ) {
        let told = [false, true].map(|parsed| {
            let mut run = Run::new(burst, true).separate();
            let [headers, checksum, tags] = [1, 2, 4].map(|bit| require & bit != 0);
            run.matcher.set_require(Require { headers, checksum, tags });
            run.matcher.config.accept.fragmented = fragmented;
            run.matcher.config.accept.port = port;
            run.matcher.set_auto(Some(Slot::Separate));
            run.matcher.waiting.expected.off = parsed;
            run.arrive(&frames);
            let (layout, tagged) = (run.matcher.next_layout(), run.matcher.take_tagged());
            let services = run.mock.services.clone();
            // What ends a run has to be taken.
            run.matcher.config.accept = Accept::default();
            let (delivered, counters, strangers) = run.end();
            format!("{delivered:?} {counters:?} {strangers:?} {services:?} {layout:?} {tagged:?}")
        });
        prop_assert_eq!(&told[0], &told[1]);
    }
}

/// Nearly all datagrams in one frame are taken by their header's words.
#[test]
fn a_plain_one_in_a_separate_slot_is_not_parsed() {
    for frame in singles(&payload(300, 8)) {
        let mut run = Run::new(1, true).separate();
        run.mock.arrive(&frame);
        run.mock.hand_over(&mut run.matcher, 1);
        assert_eq!((run.mock.delivered.len(), run.matcher.is_fresh()), (1, false));
        run.end();
    }
}

/// One that is a few bytes longer than its slot is copied, and its header is told as that of any other.
#[test]
fn what_is_copied_comes_with_its_header_too() {
    let service = Service { tos: 0xb8, ttl: 9 };
    let g = Geometry::new(1493).expect("an MTU");
    let data = payload(g.stride() + 1 - wire::UDP, 7);
    let mut frame = plain_frames(g, A, 7, &data).remove(0);
    service.stamp(&mut frame);
    for gathered in [false, true] {
        let mut mock = Mock::new(g, 1 << 20, false);
        let mut matcher: MockMatcher = Matcher::new(mock::config(g, true));
        if gathered {
            matcher.push_gathered(&frame, [], &mut mock);
        } else {
            mock.arrive(&frame);
            mock.receive(&mut matcher, 1, 0, &mut 0);
        }
        let [only] = &mock.delivered[..] else { panic!("{:?}", matcher.counters) };
        assert_eq!((only.copied, only.came), (true, Some(service)), "gathered: {gathered}");
        assert_eq!(only.payload, data);
    }
}
