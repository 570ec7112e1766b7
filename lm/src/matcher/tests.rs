//! Strangers and accidents, one test for each row of `docs/strangers.md`.

use super::*;
use crate::alf::ChecksumMode;
use crate::checksum;
use crate::mock::{self, Delivered, Mock, fragment, lm_frames, plain_frames};
use crate::wire::Arp;
use std::collections::VecDeque;

const A: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_00fe, src_port: 7000, dst_port: 9000 };
const B: Flow = Flow { src: 0x0a00_0002, dst: 0x0a00_00fe, src_port: 7001, dst_port: 9000 };
const G: Geometry = Geometry::ETHERNET;

fn payload(len: usize, seed: u8) -> Vec<u8> {
    let mut x = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(len as u64 + 1);
    (0..len)
        .map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 56) as u8
        })
        .collect()
}

fn lm(id: u16, data: &[u8]) -> Vec<Vec<u8>> {
    lm_frames(G, A, id, data, ChecksumMode::Full)
}

fn arp() -> Vec<u8> {
    let a = Arp { operation: 1, sender_mac: [2; 6], sender: 9, target_mac: [0; 6], target: 10 };
    a.frame(wire::BROADCAST).to_vec()
}

/// A TCP segment of `len` bytes of frame.
fn tcp(len: usize) -> Vec<u8> {
    let mut f = fragment(A, 99, 0, false, &payload(len - HEADERS, 77));
    f[23] = 6;
    f[24..26].fill(0);
    let sum = checksum::header(&f[14..34]);
    f[24..26].copy_from_slice(&sum.to_be_bytes());
    f
}

struct Run {
    mock: Mock,
    matcher: Matcher<Vec<u8>>,
    now: u64,
    burst: usize,
    ahead: usize,
}

impl Run {
    fn new(burst: usize, synchronous: bool) -> Self {
        let mock = Mock::new(G, 1 << 22, false);
        let matcher = Matcher::new(mock::config(G, synchronous));
        Self { mock, matcher, now: 0, burst, ahead: 0 }
    }

    fn ahead(mut self, ahead: usize) -> Self {
        self.ahead = ahead;
        self
    }

    fn separate(mut self) -> Self {
        self.mock.slot = Slot::Separate;
        self
    }

    fn arrive(&mut self, frames: &[Vec<u8>]) {
        // A synchronous device writes no further than the burst that is asked for.
        let together = if self.matcher.config().synchronous { self.burst } else { usize::MAX };
        for burst in frames.chunks(together) {
            for f in burst {
                self.mock.arrive(f);
            }
            self.mock.receive(&mut self.matcher, self.burst, self.ahead, &mut self.now);
        }
        self.mock.receive(&mut self.matcher, self.burst, self.ahead, &mut self.now);
    }

    /// The next good datagram is delivered whatever came before; the ledger is even.
    fn end(mut self) -> (Vec<Delivered>, Counters, Vec<Vec<u8>>) {
        let good = payload(7168, 200);
        self.arrive(&lm(9999, &good));
        self.ahead = 0;
        self.arrive(&[]);
        let last = self.mock.delivered.pop().expect("the next good datagram is delivered");
        assert!(last.payload == good, "the next good datagram is whole");
        self.mock.finish(&mut self.matcher, &mut self.now).expect("an even ledger");
        (self.mock.delivered, self.matcher.counters, self.mock.strangers)
    }
}

/// Every way to poll: (burst, synchronous, frames written ahead of what is reported).
const WAYS: [(usize, bool, usize); 5] =
    [(1, true, 0), (32, true, 0), (1, false, 0), (32, false, 3), (7, false, 1)];

/// Whatever is delivered is one of `sent`, whole; how many.
fn only(delivered: &[Delivered], sent: &[&[u8]]) -> usize {
    for d in delivered {
        assert!(sent.iter().any(|s| *s == d.payload), "{} bytes that nobody sent", d.payload.len());
    }
    delivered.len()
}

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
    assert_eq!((only(&delivered, &[&a, &b]), counters.copied_datagrams), (2, 2 + 1), "{counters:?}");
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
        assert_eq!(delivered[0].copied, frames.len() > 1);
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
            run.matcher.look(run.now, &mut run.mock);
        }
        assert_eq!(run.mock.strangers.len(), 1, "sync {synchronous}");
        run.end();
    }
}

#[test]
fn a_peer_that_stops_in_the_middle_of_a_datagram_costs_nothing() {
    // Frames were written and are not reported yet; the newest that is reported has lost its headers to them.
    let data = payload(7168, 20);
    for stop in 1..5 {
        let mut run = Run::new(32, false).ahead(5 - stop);
        run.matcher.config.quiet = None;
        run.arrive(&lm(1, &data));
        for _ in 0..20 {
            run.now += 40_000_000;
            run.matcher.look(run.now, &mut run.mock);
        }
        run.ahead = 0;
        run.arrive(&[]);
        let (delivered, counters, out) = run.end();
        assert_eq!((only(&delivered, &[&data]), out.len()), (1, 0), "stopped after {stop}: {counters:?}");
        assert!(!delivered[0].copied);
    }
    // And ARP is answered all the same.
    let mut run = Run::new(32, false);
    run.matcher.config.quiet = None;
    run.arrive(&[arp()]);
    for _ in 0..3 {
        run.now += 900_000;
        run.matcher.look(run.now, &mut run.mock);
    }
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
        run.matcher.look(run.now, &mut run.mock);
        run.now += 10_000_000_000;
        run.arrive(&frames[7..]);
        let (delivered, counters, _) = run.end();
        assert_eq!(only(&delivered, &[&data]), 1, "separate {separate}: {counters:?}");
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
fn no_buffer_is_counted_and_recovers() {
    let data = payload(7168, 19);
    let mut run = Run::new(32, false).separate();
    run.mock.budget = 0;
    run.arrive(&plain_frames(G, A, 1, &data));
    assert!(run.matcher.counters.dropped(Reason::NoBuffer) > 0);
    run.mock.budget = -1;
    run.end();
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
                    assert_eq!((delivered.len(), counters.dropped(Reason::Oversize)), (0, 1), "{what}");
                    assert!(counters.dropped(Reason::LostFrame) > 0, "{what}");
                }
            }
        }
    }
}

/// Slots are laid anew in the midst of a datagram, at every place of it: it is put together with one copy, or lost and
/// counted; those around it are delivered.
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
                            run.matcher.look(run.now, &mut run.mock);
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
