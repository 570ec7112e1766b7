//! Whatever is taken out of a log, the remaining frames keep their headers, their times and their tokens.
//!
//! The frames carry their number as address and as identification, so a mix-up shows.

use super::*;
use crate::wire::Ipv4;

fn packet(id: u16) -> Packet {
    let ip = Ipv4 {
        src: 1,
        dst: 2,
        id,
        protocol: 17,
        ttl: 64,
        more: true,
        offset: 0,
        header_len: 20,
        payload_len: 1480,
    };
    Packet { ip, tos: 0, skew: 0, front: [0; 8] }
}

/// Slots, which have numbers.
#[derive(Debug)]
struct Numbers(Range<usize>);

impl Slots for Numbers {
    fn split_behind(&mut self, n: usize) -> Option<Self> {
        let Range { start, end } = self.0;
        self.0.end = end.min(start + n);
        (self.0.end < end).then_some(Self(self.0.end..end))
    }
}

/// Frames with their number as address, the even ones with a header of that number, the first 20 of 30
/// waiting; `folded` more with each that is pushed.
fn log(folded: usize) -> Log<Numbers> {
    let mut log = Log::new(true);
    for i in 0..30_usize {
        let slots = |n: usize| Numbers(i..(i + 1 + n).min(30));
        let frame = Frame { at: 100 - i, len: 60, slot: Slot::Overlapping, bounce: 0 };
        if i % (folded + 1) == 0 {
            log.push(Received { frame, slots: slots(folded), word: i as u32 });
        } else {
            log.words_mut().push(i as u32);
            log.extend_below(1, 60, 1);
        }
        if i % 2 == 0 {
            log.note(i, packet(i as u16));
        }
        if i < 20 {
            log.begin_run(i + 1, Moment { frames: i as u64, now: 0 });
        }
    }
    log
}

/// Whatever was taken out, the rest has kept its headers and its times.
fn check(log: &Log<Numbers>, left: &[usize]) {
    assert_eq!(log.frames.iter().map(|f| 100 - f.at).collect::<Vec<_>>(), left);
    assert_eq!(log.slots.iter().flat_map(|(_, slots)| slots.0.clone()).collect::<Vec<_>>(), left);
    for (i, &n) in left.iter().enumerate() {
        assert!(log.received(i).slots.0.contains(&n), "the token of frame {i}");
    }
    assert_eq!(log.words.iter().map(|&word| word as usize).collect::<Vec<_>>(), left);
    assert_eq!(log.run(), left.iter().filter(|&&n| n < 20).count());
    let known = left.iter().filter(|&&n| n % 2 == 0).count();
    assert_eq!(log.buckets.iter().map(|&n| usize::from(n)).sum::<usize>(), known);
    for (i, &n) in left.iter().enumerate() {
        let header = (n % 2 == 0).then(|| packet(n as u16));
        assert_eq!(log.packet(i), header.as_ref());
        assert!(header.is_none_or(|header| log.alike(&header.key()) > 0));
        if n < 20 {
            assert_eq!(log.since[i].frames, n as u64);
        }
    }
}

/// What has these numbers.
fn numbers(slots: impl Iterator<Item = Numbers>) -> Vec<usize> {
    slots.flat_map(|slots| slots.0).collect()
}

#[test]
fn whatever_is_taken_out_the_rest_is_as_it_was() {
    let step = if cfg!(miri) { 10 } else { 1 };
    for folded in [0, 1, 4, 30] {
        for start in (0..=30).step_by(step) {
            for end in (start..=30).step_by(step) {
                let mut one = log(folded);
                assert_eq!(numbers(one.remove(start..end)), (start..end).collect::<Vec<_>>());
                let left: Vec<_> = (0..30).filter(|i| !(start..end).contains(i)).collect();
                check(&one, &left);
                let mut other = log(folded);
                let stays = |i: &usize| !(start..end).contains(i);
                other.take_out(start, |i, frame, _| Some(frame.slots).filter(|_| stays(&i)));
                check(&other, &left);
            }
        }
        let mut log = log(folded);
        log.take_out(0, |i, frame, packet| {
            assert_eq!((frame.at, &frame.slots.0, packet.is_some()), (100 - i, &(i..i + 1), i % 2 == 0));
            Some(frame.slots).filter(|_| i % 3 != 0)
        });
        check(&log, &(0..30).filter(|i| i % 3 != 0).collect::<Vec<_>>());
        let gone = numbers(log.take_from(10, Moment::default()));
        assert_eq!(gone, [16, 17, 19, 20, 22, 23, 25, 26, 28, 29]);
        check(&log, &[1, 2, 4, 5, 7, 8, 10, 11, 13, 14]);
        let newest = log.pop().map(|frame| (frame.at, frame.slots.0));
        assert_eq!(newest, Some((100 - 14, 14..15)));
        check(&log, &[1, 2, 4, 5, 7, 8, 10, 11, 13]);
        assert_eq!(log.older_than(Moment { frames: 8, now: 0 }), 5);
        assert_eq!(log.seen_from(6).iter().map(|&(i, _)| i).collect::<Vec<_>>(), [6]);
        assert!(log.seen_from(8).is_empty());
    }
}

#[test]
fn a_token_is_cut_where_frames_are_taken() {
    for first in 0..=20 {
        for folded in [0, 4, 30] {
            let mut log = log(folded);
            let gone = numbers(log.take_from(first, Moment::default()));
            assert_eq!(gone, (first..30).collect::<Vec<_>>());
            check(&log, &(0..first).collect::<Vec<_>>());
            let mut log = self::log(folded);
            let newest = log.pop().map(|frame| (frame.at, frame.slots.0));
            assert_eq!(newest, Some((100 - 29, 29..30)));
            check(&log, &(0..29).collect::<Vec<_>>());
        }
    }
}
