//! When a header counts as intact, on each kind of device: a table of `docs/proof.md`.
//!
//! A frame that reaches the header, or may be reaching it, arrives at different moments of a poll.

use super::*;
use crate::card::{Card, Words};

const NAMED: &str =
    "the newest header, whose identification the card says, too, if tag or card's sums prove its datagram";

const MS: u64 = 1_000_000;

/// A queue of a device of this kind.
fn device(kind: &str) -> Run {
    let mut run = Run::new(32, kind == "synchronous");
    run.matcher.config.quiet = match kind {
        "card" => Some(MS),
        "synchronous" | "peer process" => None,
        other => panic!("{other} is no kind of device"),
    };
    run
}

/// A frame that reaches the header above it, and one that does not but is long enough to overwrite the middle
/// of its slot.
fn reaching() -> Vec<u8> {
    tcp(1500)
}
fn short() -> Vec<u8> {
    tcp(1000)
}

/// One that ends with the beginning of another first fragment's headers, where the frame above has its own.
fn forging() -> Vec<u8> {
    let (mut f, fake) = (reaching(), fragment(B, 7, 0, true, &[]));
    let end = f.len();
    let n = end - G.stride();
    f[end - n..].copy_from_slice(&fake[..n]);
    f
}

impl Run {
    /// The driver hands over all but the last `ahead` frames in one burst, and the matcher looks once.
    fn poll(&mut self, ahead: usize) {
        let n = self.mock.unreported() - ahead;
        let taken = self.mock.hand_over(&mut self.matcher, n);
        self.now += 1000;
        self.matcher.look(self.now, taken, &mut self.mock);
    }
}

/// What a header counts as that was read so: of the first fragment of a datagram of LM's, which came last.
fn header(what: &str, kind: &str) -> &'static str {
    let data = payload(7168, 1);
    let mut run = device(kind);
    let frames = lm(1, &data);
    let (first, others) = frames.split_last().expect("frames");
    let mut before = 0;
    let arrive = |run: &mut Run, frames: &[Vec<u8>]| frames.iter().for_each(|f| run.mock.arrive(f));
    // Whether it is known at once; what comes later shows whether it was lost.
    let mut late = None;
    match what {
        "the header in a separate slot" => {
            run = run.separate();
            arrive(&mut run, &frames);
            arrive(&mut run, &[reaching()]);
            run.poll(1);
        }
        "the header in a bounce slot" => {
            arrive(&mut run, others);
            run.mock.bounce = true;
            arrive(&mut run, &[first.clone(), reaching()]);
            run.poll(0);
        }
        "the header, once the next frame was reported and does not reach it" => {
            arrive(&mut run, &frames);
            arrive(&mut run, &[short()]);
            run.poll(0);
        }
        "the header, once the next frame was reported and reaches it" => {
            arrive(&mut run, &frames);
            arrive(&mut run, &[reaching()]);
            run.poll(0);
            late = Some(vec![]);
        }
        "the newest header, at the end of a poll, and nothing is known of the slot below" => {
            run.mock.blind = true;
            arrive(&mut run, &frames);
            run.poll(0);
            late = Some(vec![short()]);
        }
        "the newest header, and then the word in the slot below, which was untouched" => {
            arrive(&mut run, &frames);
            run.poll(0);
        }
        "the newest header, and then the word in the slot below, which was gone" => {
            arrive(&mut run, &frames);
            arrive(&mut run, &[short()]);
            run.poll(1);
            late = Some(vec![]);
        }
        "the newest header behind a poll that found 32 frames" => {
            arrive(&mut run, &[arp(), arp()]);
            for id in 2..7 {
                arrive(&mut run, &lm(id, &data));
            }
            before = 5;
            arrive(&mut run, &frames);
            assert_eq!(run.mock.unreported(), 32);
            run.poll(0);
            late = Some(vec![short()]);
        }
        "the newest header twice, 1 ms apart, with the same bytes and nothing reported between" => {
            run.mock.blind = true;
            arrive(&mut run, &frames);
            run.poll(0);
            assert_eq!(run.mock.delivered.len(), before);
            run.pass(MS * 6 / 10, 1);
            assert_eq!(run.mock.delivered.len(), before, "too early");
            run.pass(MS * 6 / 10, 1);
            late = Some(vec![short()]);
        }
        "the newest header twice, 1 ms apart, with other bytes" => {
            run.mock.blind = true;
            arrive(&mut run, &frames);
            run.poll(0);
            arrive(&mut run, &[forging()]);
            run.pass(MS * 6 / 10, 3);
            assert!(run.mock.delivered.is_empty());
            run.poll(0);
            late = Some(vec![]);
            // What was there was gone.
            assert!(run.mock.delivered.is_empty());
        }
        NAMED => {
            run.mock.card = Some(mock::card::packet);
            run.matcher.believe(Card::believed(Words::Packet, true));
            arrive(&mut run, &frames);
            arrive(&mut run, &[short()]);
            run.poll(1);
        }
        other => panic!("nobody knows how to read {other:?}"),
    }
    verdict(run, what, before, late.as_deref(), &data)
}

/// Whether the datagram was delivered at once, when other frames came, or never; `before`: so many were
/// delivered before it.
fn verdict(mut run: Run, what: &str, before: usize, late: Option<&[Vec<u8>]>, data: &[u8]) -> &'static str {
    let known = run.mock.delivered.len() > before;
    if let Some(next) = late {
        assert!(run.mock.delivered.len() <= before + 1);
        next.iter().for_each(|frame| run.mock.arrive(frame));
        run.poll(0);
    }
    let delivered = run.mock.delivered.len() > before;
    run.mock.blind = false;
    let (all, counters, _) = run.end();
    only(&all, &[data]);
    match (known, delivered) {
        (true, true) => "intact",
        (false, true) => "hint",
        _ if what.ends_with("with other bytes") => "hint",
        _ => {
            assert!(counters.dropped(Reason::LostFrame) > 0, "{counters:?}");
            "gone"
        }
    }
}

/// The same of a frame of no kind that is known, on an idle queue.
fn senseless(kind: &str, wait: u64) -> &'static str {
    let mut run = device(kind);
    run.mock.blind = true;
    let mut frame = tcp(500);
    frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    run.mock.arrive(&frame);
    run.poll(0);
    assert!(run.mock.strangers.is_empty());
    run.pass(wait / 5, 6);
    let known = run.mock.strangers.len();
    run.mock.arrive(&short());
    run.poll(0);
    run.mock.blind = false;
    let (_, _, strangers) = run.end();
    assert_eq!(strangers[0], frame, "it is handed out at last");
    if known == 1 { "intact" } else { "hint" }
}

#[test]
fn when_a_header_is_intact() {
    let table = Table::under("When a header is intact");
    let (kinds, mut told) = (&table.columns[1..], 0);
    for row in &table.rows {
        for (kind, &cell) in kinds.iter().zip(&row[1..]) {
            let seen = match (row[0], cell) {
                (_, "–") => continue,
                ("the same, but the bytes are of no kind that is known", _) => senseless(kind, MS),
                ("the same, 500 ms apart", _) => senseless(kind, 500 * MS),
                (what, _) => header(what, kind),
            };
            assert_eq!(seen, cell, "{}, {kind}", row[0]);
            told += 1;
        }
    }
    assert_eq!((table.rows.len(), kinds.len(), told), (13, 3, 31), "each moment on each kind of device");
}
