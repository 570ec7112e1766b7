//! Frames that are no part of a datagram: oversize frames, requests of ARP, other protocols, IP options.
//!
//! They are given out or counted, and cost no datagram that could have been delivered.

use super::*;

#[test]
fn oversize_neighbours() {
    let data = payload(7168, 13);
    for (burst, synchronous, ahead) in WAYS {
        for at in 0..=5 {
            for len in [1515, 1516, 1518] {
                let mut frames = lm(1, &data);
                frames.insert(at, tcp(len));
                let mut run = Run::new(burst, synchronous).ahead(ahead);
                run.matcher.config.require.tags = true;
                run.arrive(&frames);
                let (delivered, counters, _) = run.end();
                only(&delivered, &[&data]);
                assert_eq!(counters.dropped(Reason::Oversize), 1);
            }
        }
    }
}

#[test]
fn a_full_stranger_is_no_last_fragment() {
    // T = 3 strides exactly, as another stack would send it: nothing marks its start.
    let data = payload(3 * 1480 - 8, 14);
    let mut frames = plain_frames(G, A, 1, &data);
    frames.reverse();
    frames.insert(0, tcp(1514));
    for (burst, synchronous, ahead) in WAYS {
        let mut run = Run::new(burst, synchronous).ahead(ahead);
        run.arrive(&frames);
        let (delivered, counters, _) = run.end();
        let n = only(&delivered, &[&data]);
        assert!(n == 1 || counters.dropped(Reason::OrderUnproven) + counters.dropped(Reason::LostFrame) > 0);
    }
}

#[test]
fn ip_options_are_taken_one_by_one() {
    // A whole datagram and a fragment with four bytes of options.
    let with_options = |frame: &[u8]| {
        let mut f = frame.to_vec();
        f.splice(34..34, [1, 1, 1, 0]);
        f[14] = 0x46;
        let total = (f.len() - 14) as u16;
        f[16..18].copy_from_slice(&total.to_be_bytes());
        f[24..26].fill(0);
        let sum = checksum::header(&f[14..38]);
        f[24..26].copy_from_slice(&sum.to_be_bytes());
        f
    };
    let small = payload(500, 15);
    let single = with_options(&plain_frames(G, A, 1, &small)[0]);
    for (burst, synchronous, ahead) in WAYS {
        let mut run = Run::new(burst, synchronous).ahead(ahead);
        run.arrive(std::slice::from_ref(&single));
        let (delivered, counters, _) = run.end();
        assert_eq!(only(&delivered, &[&small]), 1, "{counters:?}");
    }
    let data = payload(2000, 16);
    let udp = plain_frames(Geometry::new(1024).expect("valid"), A, 1, &data);
    let frames: Vec<_> = udp.iter().map(|f| with_options(f)).collect();
    let mut run = Run::new(32, false).separate();
    run.arrive(&frames);
    let (delivered, counters, _) = run.end();
    assert_eq!(only(&delivered, &[&data]), 1, "{counters:?}");
}

#[test]
fn a_stranger_alone_on_an_idle_queue_is_handed_out() {
    for synchronous in [true, false] {
        let mut run = Run::new(32, synchronous);
        run.arrive(&[arp()]);
        for _ in 0..3 {
            run.now += 900_000;
            run.matcher.look(run.now, 0, &mut run.mock);
        }
        assert_eq!(run.mock.strangers.len(), 1, "sync {synchronous}");
        run.end();
    }
}

#[test]
fn what_is_not_ours_is_handed_out_or_counted() {
    let (small, large) = (payload(100, 17), payload(7168, 18));
    for (burst, synchronous, ahead) in WAYS {
        let mut run = Run::new(burst, synchronous).ahead(ahead);
        run.matcher.config.accept.port = Some(9000);
        let other = Flow { dst_port: 53, ..A };
        run.arrive(&lm_frames(G, other, 1, &small, ChecksumMode::Full));
        run.arrive(&lm_frames(G, other, 2, &large, ChecksumMode::Full));
        let (delivered, counters, out) = run.end();
        assert_eq!(delivered.len(), 0);
        assert_eq!(out.len(), 1, "{counters:?}");
        assert!(counters.dropped(Reason::NotOurs) + counters.dropped(Reason::LostFrame) >= 1, "{counters:?}");
    }
}

#[test]
fn a_frame_that_exceeds_its_slot_costs_the_one_above() {
    let data = payload(7168, 5);
    for tags in [false, true] {
        for mode in [ChecksumMode::Full, ChecksumMode::Zero] {
            for (burst, synchronous, ahead) in WAYS {
                for at in 1..5 {
                    let mut frames = lm_frames(G, A, 1, &data, mode);
                    frames.insert(at, tcp(1516));
                    let mut run = Run::new(burst, synchronous).ahead(ahead);
                    run.matcher.config.require.tags = tags;
                    run.arrive(&frames);
                    let (delivered, counters, _) = run.end();
                    let what = format!("at {at}, burst {burst}, {mode:?}: {counters:?}");
                    assert_eq!(counters.dropped(Reason::Oversize), 1, "{what}");
                    // What is gone of a payload was kept if its header was read, as with bursts of one.
                    let kept = burst == 1 && synchronous;
                    assert_eq!(only(&delivered, &[&data]), usize::from(kept), "{what}");
                    assert!(kept || counters.dropped(Reason::LostFrame) > 0, "{what}");
                }
            }
        }
    }
}

/// What asks for admission comes in the midst of a datagram: that is delivered with one copy, whenever
/// somebody looked, and wherever a frame bounced. (Of 16,384 bytes the last fragment is as long as the
/// request.)
#[test]
fn a_request_in_the_midst_of_a_datagram() {
    for (burst, synchronous, ahead) in WAYS {
        for len in [7168, 16_384] {
            let (data, before, after) = (payload(len, 7), payload(9000, 6), payload(5000, 8));
            let mut frames = lm(7, &data);
            let request = plain_frames(G, B, 9, &payload(112, 3)).remove(0);
            for at in 1..frames.len() {
                frames.insert(at, request.clone());
                for bounced in [0, at - 1, at, at + 1, frames.len() - 1, frames.len()] {
                    for pause in 0..8 {
                        let mut run = Run::new(burst, synchronous).ahead(ahead);
                        run.arrive(&lm(6, &before));
                        for (part, range) in [0..at, at..at + 1, at + 1..frames.len()].into_iter().enumerate()
                        {
                            run.arrive_bounced(&frames[range.clone()], bounced.checked_sub(range.start));
                            if pause & 1 << part != 0 {
                                run.pass(MockMatcher::QUIET / 2, 4);
                            }
                        }
                        run.arrive(&lm(8, &after));
                        let (delivered, counters, _) = run.end();
                        let d = delivered.iter().find(|d| d.payload == data);
                        let case = (burst, synchronous, len, at, bounced, pause);
                        assert!(d.is_some_and(|d| d.copied), "{case:?}: {counters:?}");
                    }
                }
                frames.remove(at);
            }
        }
    }
}

/// A frame longer than its slot, below one that bounced: the copy of that one's payload lies over its end, so
/// it is no datagram.
#[test]
fn a_long_frame_below_a_bounced_one() {
    let g = Geometry::new(1499).expect("an MTU");
    let unchecked = |flow: Flow, data: &[u8]| {
        let mut frame = plain_frames(g, flow, 1, data).remove(0);
        frame[HEADERS + 6..HEADERS + 8].fill(0);
        frame
    };
    let above = payload(700, 4);
    for mirrored in [false, true] {
        // One that fills its slot goes on where the run before it ended.
        for len in (g.stride() - 16..=1499 - 28).filter(|len| len + wire::UDP != g.stride()) {
            let data = payload(len, 3);
            let mut run = Run::new(32, true);
            run.mock = Mock::new(g, 1 << 20, mirrored);
            let setup = mock::config(g, true);
            run.matcher = Matcher::new(Config { mirror: run.mock.mirror(), ..setup });
            run.mock.bounce = true;
            run.arrive(&[unchecked(B, &above), unchecked(A, &data)]);
            run.mock.finish(&mut run.matcher, &mut run.now).expect("an even ledger");
            let (n, counters) = (only(&run.mock.delivered, &[&above, &data]), run.matcher.counters);
            let fits = len + wire::UDP < g.stride();
            assert_eq!(n, 1 + usize::from(fits), "{len} bytes: {counters:?}");
            assert_eq!(counters.dropped(Reason::Oversize), u64::from(!fits), "{len} bytes: {counters:?}");
        }
    }
}

/// The same, but the copy came first: then the longer frame has overwritten the first bytes of a fragment,
/// whatever is known of its header. Without a checksum nothing else would tell.
#[test]
fn a_long_frame_over_the_first_bytes_of_a_bounced_one() {
    let data = payload(5000, 6);
    let whole = lm(1, &data);
    let all = [
        lm_frames(G, A, 1, &data, ChecksumMode::Zero),
        mock::frames::without_checksum(plain_frames(G, A, 1, &data)),
        mock::frames::without_checksum(plain_frames(G, A, 1, &data)).into_iter().rev().collect(),
        whole.clone(),
    ];
    for frames in &all {
        let ways = WAYS.iter().flat_map(|way| [(way, false), (way, true)]);
        for (&(burst, synchronous, ahead), blind) in ways {
            for (at, longer) in (0..frames.len()).flat_map(|at| [(at, 1), (at, 4), (at, 8)]) {
                let mut run = Run::new(burst, synchronous).ahead(ahead);
                run.mock.blind = blind;
                run.arrive(&frames[..at]);
                run.mock.bounce = true;
                run.arrive(&frames[at..=at]);
                run.ahead = 0;
                run.arrive(&[]);
                run.arrive(&[tcp(G.full_frame() + longer)]);
                run.mock.blind = false;
                run.arrive(&frames[at + 1..]);
                let (delivered, counters, _) = run.end();
                let what = format!("{at}, burst {burst}, synchronous {synchronous}: {counters:?}");
                let n = only(&delivered, &[&data]);
                // What is kept with a header is enough of it, and so is what lies in the bounce slot.
                let known = burst == 1 && synchronous;
                let closed = *frames == whole && at + 1 == frames.len();
                assert!(n == 1 || !(known || closed), "{what}");
            }
        }
    }
}
