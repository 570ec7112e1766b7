//! Slots are laid by what arrives: streams of LM's and of kernels, one after the other and mixed, over a ring
//! whose slots are laid as long before they are filled as it is long.

use super::*;
use crate::auto_layout::AutoLayout;
use crate::layout::Layout;

/// Slots of the ring.
const RING: usize = 64;

/// A receiver whose slots are laid by what arrives.
struct Ring {
    run: Run,
    /// How the slots are laid that are posted.
    posted: VecDeque<Slot>,
    newest: Slot,
    /// Datagrams that were sent, by number, and what each is.
    sent: Vec<Vec<u8>>,
    next: u16,
}

impl Ring {
    fn new(burst: usize, synchronous: bool, ahead: usize) -> Self {
        let mut run = Run::new(burst, synchronous);
        run.ahead = ahead;
        run.matcher.set_auto(Some(Slot::Separate));
        let posted = std::iter::repeat_n(Slot::Separate, RING).collect();
        Self { run, posted, newest: Slot::Separate, sent: Vec::new(), next: 0 }
    }

    /// Frames come, a burst at a time.
    fn arrive(&mut self, frames: &[Vec<u8>]) {
        for burst in frames.chunks(self.run.burst) {
            for frame in burst {
                self.run.mock.slot = self.posted.pop_front().expect("a slot");
                self.posted.push_back(self.newest);
                self.run.mock.arrive(frame);
            }
            let Run { mock, matcher, now, burst, ahead } = &mut self.run;
            mock.receive(matcher, *burst, *ahead, now);
            if let Some(slot) = matcher.next_layout() {
                self.newest = slot;
            }
        }
    }

    /// Sends datagrams of this length, all of LM's or of a kernel's, and returns the first one's number.
    fn send(&mut self, of_lm: bool, len: usize, datagrams: usize) -> usize {
        let from = self.sent.len();
        let mut frames = Vec::new();
        for _ in 0..datagrams {
            let data = payload(len, self.next as u8);
            frames.extend(if of_lm { lm(self.next, &data) } else { plain_frames(G, B, self.next, &data) });
            self.next = self.next.wrapping_add(1);
            self.sent.push(data);
        }
        self.arrive(&frames);
        from
    }

    /// How many of the datagrams from this number on were not delivered. Time passes first.
    fn lost(&mut self, from: usize) -> usize {
        self.run.ahead = 0;
        self.run.arrive(&[]);
        self.run.pass(100_000_000, 12);
        let mut got: Vec<&[u8]> = self.run.mock.delivered.iter().map(|d| &d.payload[..]).collect();
        got.sort_unstable();
        self.sent[from..].iter().filter(|data| got.binary_search(&&data[..]).is_err()).count()
    }

    fn changes(&self) -> (u64, u64) {
        (self.run.matcher.counters.to_overlapping, self.run.matcher.counters.to_separate)
    }

    fn end(mut self) {
        self.run.ahead = 0;
        let Run { mock, matcher, now, .. } = &mut self.run;
        mock.finish(matcher, now).expect("an even ledger");
    }
}

/// Datagrams that a ring and what waits have room for, at most.
fn of_a_ring(len: usize) -> usize {
    RING / Layout::plain(G, len + wire::UDP).fragments() + 2
}

#[test]
fn a_stream_of_lms_lands_after_a_ring_and_loses_nothing() {
    for (burst, synchronous, ahead) in WAYS {
        for len in [1473, 2000, 7168, 16_384, 65_499, 65_507] {
            let mut ring = Ring::new(burst, synchronous, ahead);
            let n = AutoLayout::FIRST as usize + of_a_ring(len) + burst;
            ring.send(true, len, n);
            let what = format!("{len} bytes, burst {burst}, synchronous {synchronous}");
            assert_eq!(ring.changes(), (1, 0), "{what}: {:?}", ring.run.matcher.counters);
            // Only what has a part in both layouts is copied.
            let Counters { copied_datagrams: copied, pieces, .. } = ring.run.matcher.counters;
            assert!(copied <= 2 && pieces >= AutoLayout::FIRST.into(), "{what}: {copied} copied, {pieces}");
            let from = ring.send(true, len, 50);
            assert_eq!(ring.lost(0), 0, "{what}: {:?}", ring.run.matcher.counters);
            let more = ring.run.matcher.counters.copied_datagrams - copied;
            // The last of before may wait for the next frame; the region has one end.
            assert!(more <= 2, "{what}: {more} of {} copied", 50 + from);
            assert_eq!(ring.changes(), (1, 0), "{what}");
            ring.end();
        }
    }
}

#[test]
fn a_kernels_stream_behind_lms_loses_no_more_than_a_ring() {
    for (burst, synchronous, ahead) in WAYS {
        for len in [1472, 1473, 2000, 2952, 2960, 4000, 7168, 16_384, 65_507] {
            let mut ring = Ring::new(burst, synchronous, ahead);
            let what = format!("{len} bytes, burst {burst}, synchronous {synchronous}");
            ring.send(true, 7168, 16 + of_a_ring(7168));
            let from = ring.send(false, len, 2 * (of_a_ring(len) + burst));
            let to = ring.send(false, len, 50);
            // LM's again: nothing of it is lost.
            let again = ring.send(true, 7168, 100);
            assert_eq!(ring.lost(again), 0, "{what}: {:?}", ring.run.matcher.counters);
            let (lost, late) = (ring.lost(from), ring.lost(to));
            // Within a burst nobody sees more than its end, and full frames are nobody's when they are more
            // than a datagram has.
            let unseen = G.max_fragments() + burst;
            let most = of_a_ring(len) + unseen.div_ceil(Layout::plain(G, len + wire::UDP).fragments());
            let c = &ring.run.matcher.counters;
            assert!(lost - late <= most && late == 0, "{what}: {lost} and {late} lost, {c:?}");
            let (to_overlapping, to_separate) = ring.changes();
            assert!(to_overlapping == 2 || (len <= 1472 && to_separate == 0), "{what}: {:?}", ring.changes());
            ring.end();
        }
    }
}

/// What a receiver believes to be LM's by its last bytes may be a kernel's.
#[test]
fn a_kernels_datagrams_that_end_as_lms_do_are_found_out() {
    for byte in [0x10, 0x11] {
        for len in [1473, 7168] {
            let mut ring = Ring::new(32, false, 3);
            ring.send(true, 7168, 16 + of_a_ring(7168));
            let frames: Vec<_> = (0..400).flat_map(|i| plain_frames(G, B, i, &vec![byte; len])).collect();
            ring.arrive(&frames);
            assert_eq!(ring.changes(), (1, 1), "{len} bytes of {byte:#x}");
            ring.end();
        }
    }
}

#[test]
fn a_mixture_settles_in_separate_slots() {
    // A kernel's datagram behind so many of LM's.
    for period in [1, 5, 15, 16, 40, 200] {
        let mut ring = Ring::new(32, false, 3);
        for _ in 0..4000 / period {
            ring.send(true, 2000, period);
            ring.send(false, 7168, 1);
        }
        let (there, back) = ring.changes();
        let most = u64::from((4000_u32 / AutoLayout::FIRST).ilog2()) + 1;
        assert!(there <= most && back + 1 >= there, "period {period}: {there} and {back}");
        // Each time it costs what is in a ring, and what waited for it.
        let lost = ring.lost(0);
        assert!(lost <= there as usize * (2 + RING / 5 / period.min(RING)), "period {period}: {lost} lost");
        ring.end();
    }
}

#[test]
fn two_of_lms_senders_in_turn_are_put_together_in_separate_slots() {
    let mut ring = Ring::new(32, false, 0);
    ring.send(true, 7168, 16 + of_a_ring(7168));
    let pair = |i: u16| {
        let (a, b) = (payload(7168, i as u8), payload(7168, !i as u8));
        let (a, b) = (lm(i, &a), lm_frames(G, B, i, &b, ChecksumMode::Full));
        a.into_iter().zip(b).flat_map(|(a, b)| [a, b]).collect::<Vec<_>>()
    };
    (0..200).for_each(|i| ring.arrive(&pair(i)));
    assert_eq!(ring.changes(), (1, 1));
    let before = ring.run.mock.delivered.len();
    (200..250).for_each(|i| ring.arrive(&pair(i)));
    ring.lost(0);
    assert_eq!(ring.run.mock.delivered.len() - before, 100, "{:?}", ring.run.matcher.counters);
    ring.end();
}

/// Losses are no other sender: a wire that loses a frame of a hundred keeps its layout.
#[test]
fn a_stream_of_lms_that_loses_frames_goes_on_landing() {
    for (burst, synchronous, ahead) in WAYS {
        for len in [2000, 7168, 65_507] {
            let mut ring = Ring::new(burst, synchronous, ahead);
            ring.send(true, len, 16 + of_a_ring(len));
            let mut lost = 0;
            for i in 0..300_u16 {
                let mut frames = lm(i, &payload(len, i as u8));
                if i % 20 == 0 {
                    // The first fragment comes last, and whoever lost the last one has no tag to show.
                    frames.remove(usize::from(i / 20) % frames.len());
                    lost += 1;
                }
                ring.arrive(&frames);
            }
            let (there, back) = ring.changes();
            let c = &ring.run.matcher.counters;
            // A first fragment without its last one is also how a kernel's datagram begins.
            assert!(
                lost > 0 && back <= 1 + u64::from(len == 2000),
                "{len} bytes, burst {burst}: {there} {back} {c:?}"
            );
            ring.end();
        }
    }
}

#[test]
fn what_could_not_be_proven_where_it_lands_never_makes_slots_overlap() {
    // Without a checksum the policy has nothing but headers.
    let frames = |i: u16| lm_frames(G, A, i, &payload(7168, i as u8), ChecksumMode::Zero);
    let mut ring = Ring::new(32, false, 0);
    (0..100).for_each(|i| ring.arrive(&frames(i)));
    assert_eq!((ring.changes(), ring.run.mock.delivered.len()), ((0, 0), 100));
    // Another stack's, last fragment first and without a tag.
    let mut ring = Ring::new(32, false, 0);
    (0..100).for_each(|i| {
        let mut frames = plain_frames(G, B, i, &payload(7168, i as u8));
        frames.reverse();
        ring.arrive(&frames);
    });
    assert_eq!((ring.changes(), ring.run.mock.delivered.len()), ((0, 0), 100));
}

/// The last fragment of a datagram whose rest was lost is the newest frame, and nobody read its header in
/// time. It ends as LM's do, also where the tag is all that it has, and although its first bytes can only be
/// copied.
#[test]
fn a_last_fragment_alone_is_known_by_its_tag() {
    for len in [7168, 1480 - wire::UDP, 2960 - wire::UDP] {
        let mut ring = Ring::new(32, false, 0);
        ring.run.matcher.config.quiet = None;
        ring.send(true, 7168, 40);
        assert_eq!(ring.changes(), (1, 0), "{len} bytes");
        ring.arrive(&lm(9, &payload(len, 9))[..1]);
        ring.run.pass(100_000_000, 14);
        assert_eq!(ring.run.matcher.counters.dropped(Reason::LostFrame), 1, "{len} bytes");
        ring.arrive(&[]);
        assert!(ring.run.matcher.next_layout().is_none() && ring.changes() == (1, 0), "{len} bytes");
        ring.end();
    }
}
