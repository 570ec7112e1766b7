//! What proves a datagram, and what only seems to.
//!
//! Halves of two datagrams, wrong checksums, wrong lengths and forged headers must not be delivered.

use super::*;

#[test]
fn halves_of_two_equal_datagrams_meet() {
    for size in [7168, 16384, 65_507] {
        let (a, b) = (payload(size, 6), payload(size, 7));
        for (burst, synchronous, ahead) in WAYS {
            let (fa, fb) = (lm(1, &a), lm(2, &b));
            for cut in 1..fa.len() {
                let frames = [&fa[..cut], &fb[cut..]].concat();
                let mut run = Run::new(burst, synchronous).ahead(ahead);
                run.matcher.config.require = Require { headers: true, checksum: true, tags: true };
                run.arrive(&frames);
                let (delivered, counters, _) = run.end();
                assert_eq!(delivered.len(), 0, "{size} cut at {cut}: {counters:?}");
            }
        }
    }
}

#[test]
fn tags_alone_prove_what_has_no_checksum() {
    let data = payload(7168, 8);
    let frames = lm_frames(G, A, 1, &data, ChecksumMode::Zero);
    for tags in [false, true] {
        let mut run = Run::new(32, false);
        run.matcher.config.require.tags = tags;
        run.arrive(&frames);
        let (delivered, counters, _) = run.end();
        assert_eq!(delivered.len(), usize::from(tags), "{counters:?}");
        assert_eq!(counters.dropped(Reason::Unproven), u64::from(!tags));
    }
}

#[test]
fn tags_alone_also_prove_what_is_reassembled() {
    for size in [100, 7168] {
        let data = payload(size, 8);
        let mut run = Run::new(32, false).separate();
        run.matcher.config.require = Require { headers: false, checksum: false, tags: true };
        run.arrive(&lm_frames(G, A, 1, &data, ChecksumMode::Zero));
        run.arrive(&plain_frames(G, A, 2, &data));
        let (delivered, counters, _) = run.end();
        assert_eq!(only(&delivered, &[&data]), 1, "{counters:?}");
        assert_eq!((delivered[0].whole.by, counters.dropped(Reason::Unproven)), (WholeBy::Tags, 1));
    }
}

#[test]
fn bad_checksums_are_dropped_and_counted() {
    for len in [100, 3000, 7168] {
        let data = payload(len, 9);
        for separate in [false, true] {
            let mut frames = if separate { plain_frames(G, A, 1, &data) } else { lm(1, &data) };
            let n = frames.len();
            frames[n / 2][60] ^= 1;
            for (burst, synchronous, _) in WAYS {
                let mut run = Run::new(burst, synchronous);
                if separate {
                    run = run.separate();
                }
                run.arrive(&frames);
                let (delivered, counters, _) = run.end();
                assert_eq!(delivered.len(), 0);
                assert_eq!(counters.dropped(Reason::BadChecksum), 1, "{len} {burst} {counters:?}");
            }
        }
    }
}

#[test]
fn wrong_udp_lengths() {
    let data = payload(3000, 10);
    for claim in [0_u16, 7, 8, 9, 2000, 3007, 3009, 4000, 65_535] {
        for order in 0..2 {
            let mut frames = plain_frames(G, A, 1, &data);
            frames[0][38..40].copy_from_slice(&claim.to_be_bytes());
            if order == 1 {
                frames.reverse();
            }
            for (burst, synchronous, ahead) in WAYS {
                let mut run = Run::new(burst, synchronous).ahead(ahead);
                run.arrive(&frames);
                let (delivered, ..) = run.end();
                assert_eq!(delivered.len(), 0, "claims {claim}");
            }
            let mut run = Run::new(32, false).separate();
            run.arrive(&frames);
            let (delivered, counters, _) = run.end();
            assert_eq!(delivered.len(), 0, "claims {claim}");
            let n = counters.dropped(Reason::BadUdpLength) + counters.dropped(Reason::BadChecksum);
            assert_eq!(n, 1, "{counters:?}");
        }
    }
}

#[test]
fn fragments_that_should_not_be() {
    let g = |offset, more, len| fragment(A, 3, offset, more, &payload(len, 11));
    let odd: Vec<Vec<Vec<u8>>> = vec![
        vec![g(0, true, 0)],
        vec![g(1480, false, 0)],
        vec![g(0, true, 8), g(8, false, 3)],
        vec![g(65_528, false, 8)],
        vec![g(64_000, true, 1480), g(65_480, false, 35)],
        vec![g(0, true, 1480), g(8, true, 1480), g(2960, false, 100)],
        vec![g(0, true, 1480), g(0, true, 1472), g(1480, false, 100)],
        vec![g(0, true, 1480), g(1480, false, 100), g(1480, false, 108)],
        vec![vec![0; 14], vec![0; 20], vec![0xff; 33]],
    ];
    for frames in &odd {
        for (burst, synchronous, ahead) in WAYS {
            for separate in [false, true] {
                let mut run = Run::new(burst, synchronous).ahead(ahead);
                if separate {
                    run = run.separate();
                }
                run.arrive(frames);
                let (delivered, counters, out) = run.end();
                assert_eq!(delivered.len(), 0);
                let counted: u64 = counters.drops().map(|(_, n)| n).sum();
                assert!(counted + out.len() as u64 >= 1, "{counters:?}");
            }
        }
    }
}

#[test]
fn headers_forged_into_a_payload() {
    // Where each fragment's payload begins and ends, headers that would close the run early.
    let mut data = payload(7168, 12);
    for k in 1..5_usize {
        let start = k * 1480 - 8;
        let fake = 7176 - k * 1480;
        data[start..start + 8]
            .copy_from_slice(&Udp { src_port: 7000, dst_port: 9000, len: fake as u16, checksum: 0 }.bytes());
        if k >= 2 {
            let whole = fragment(A, 1, 0, true, &vec![0; 1480]);
            data[start - 34..start].copy_from_slice(&whole[..34]);
        }
    }
    for (burst, synchronous, ahead) in WAYS {
        for mode in [ChecksumMode::Full, ChecksumMode::Zero] {
            let mut run = Run::new(burst, synchronous).ahead(ahead);
            run.matcher.config.require.tags = true;
            run.arrive(&lm_frames(G, A, 1, &data, mode));
            let (delivered, counters, _) = run.end();
            assert_eq!(only(&delivered, &[&data]), 1, "burst {burst}, {mode:?}: {counters:?}");
        }
    }
}

/// What happens to the frames of one datagram in the midst of a stream.
fn damaged(mut frames: Vec<Vec<u8>>, kind: usize, at: usize) -> Vec<Vec<u8>> {
    let at = at % frames.len();
    let (first, last) = (frames.len() - 1, 0);
    match kind {
        0 => {}
        1 => {
            frames.remove(at);
        }
        2 => frames.insert(at, arp()),
        3 => frames.insert(at, tcp(1514)),
        // Tag, identification, header checksum, ports, length, UDP checksum, more fragments, lifetime.
        4 => *frames[last].last_mut().expect("a frame") ^= 1,
        5 => frames[first][18] ^= 1,
        6 => frames[first][24] ^= 1,
        7 => frames[first][34] ^= 1,
        8 => frames[first][39] ^= 8,
        9 => frames[first][40] ^= 1,
        10 => frames[first][20] ^= 0x20,
        11 => frames[first][22] ^= 1,
        12 => frames.swap(at, first),
        _ => frames.truncate(at),
    }
    frames
}

#[test]
fn a_stream_is_judged_as_each_of_its_datagrams_would_be() {
    for (size, n) in [(7168, 9), (16_384, 5), (2000, 12), (65_499, 3)] {
        let sent: Vec<_> = (0..n).map(|i| payload(size, i as u8)).collect();
        for (burst, synchronous, ahead) in WAYS {
            for (kind, at) in (0..14).flat_map(|kind| [(kind, 0), (kind, 1), (kind, 2), (kind, 40)]) {
                let victim = n / 2;
                let frames = |i: usize| {
                    let frames = lm(i as u16 * 263, &sent[i]);
                    if i == victim { damaged(frames, kind, at) } else { frames }
                };
                // With a stream behind it, and with the matcher made to forget the one before.
                let run = |forget: bool| {
                    let mut run = Run::new(burst, synchronous).ahead(ahead);
                    run.matcher.config.require = Require { tags: true, ..Require::default() };
                    for i in 0..n {
                        if forget {
                            let require = run.matcher.config.require;
                            run.matcher.set_require(require);
                        }
                        run.arrive(&frames(i));
                    }
                    run.end()
                };
                let (stream, counted, strangers) = run(false);
                let (alone, counters, others) = run(true);
                let what = format!("{size} bytes, kind {kind} at {at}, burst {burst}: {counted:?}");
                assert!(stream == alone, "{what} against {counters:?}");
                assert_eq!((counted, strangers), (counters, others), "{what}");
                let whole: Vec<_> = sent.iter().map(|s| &s[..]).collect();
                assert!(only(&stream, &whole) >= n - 2, "{what}");
                // All at once, so that bursts reach over datagrams.
                let mut run = Run::new(burst, synchronous).ahead(ahead);
                run.matcher.config.require = Require { tags: true, ..Require::default() };
                run.arrive(&(0..n).flat_map(frames).collect::<Vec<_>>());
                let (delivered, counters, _) = run.end();
                assert!(only(&delivered, &whole) >= n - 2, "{what}, at once: {counters:?}");
            }
        }
    }
}
