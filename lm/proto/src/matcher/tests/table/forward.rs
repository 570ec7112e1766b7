//! Kernels' datagrams, first fragment first, in overlapping slots: a table of `docs/proof.md`.
//!
//! The length of the last fragment and the polls decide which headers are still known.

use super::*;

/// A datagram of `n` fragments, the last one with `rest` bytes.
fn kernels(n: usize, rest: usize, sum: &str) -> (Vec<Vec<u8>>, Vec<u8>) {
    let data = payload((n - 1) * G.stride() + rest - wire::UDP, n as u8);
    let mut frames = plain_frames(G, A, 42, &data);
    assert_eq!(frames.len(), n);
    set_sum(&mut frames[0], sum);
    (frames, data)
}

/// How a datagram comes to be known so: bytes of its last fragment, the fragments behind which nobody polls,
/// and what is wrong with which header.
#[derive(Clone, Debug)]
struct Way {
    rest: usize,
    unpolled: Vec<usize>,
    wrong: Option<(usize, usize)>,
}

/// Bytes of a last fragment that leaves the header above it alone; leaves it all but the Ethernet header;
/// leaves it what stands from the flags on; leaves it the addresses; leaves nothing of these.
const SHORT: usize = 500;
const LONG: usize = 1460;
const FLAGS: usize = 1466;
const LONGER: usize = 1470;
const LONGEST: usize = 1476;

/// The ways in which this can be known of a datagram.
fn ways(last: &str, n: usize, others: &str) -> Vec<Way> {
    let before = n - 2;
    let burst = || (0..n).collect::<Vec<_>>();
    let long = [LONG, LONGER, LONGEST];
    let unknown = |k: usize| {
        let rests = if k == before { &long[..] } else { &[SHORT] };
        rests.iter().map(move |&rest| Way { rest, unpolled: vec![k], wrong: None })
    };
    match (last, others) {
        ("intact", "agree") => vec![Way { rest: SHORT, unpolled: vec![], wrong: None }],
        ("intact", "one unknown") => (0..=before).flat_map(unknown).collect(),
        ("intact", "two unknown") if n > 2 => {
            let rest = if n == 3 { LONG } else { SHORT };
            vec![Way { rest, unpolled: vec![0, 1], wrong: None }]
        }
        ("intact", "contradiction") => (0..=before)
            .flat_map(|k| (0..landed::CONTRADICTIONS).map(move |way| (k, way)))
            .map(|wrong| Way { rest: SHORT, unpolled: vec![], wrong: Some(wrong) })
            .collect(),
        ("intact", "left contradicts") => (0..landed::CONTRADICTIONS)
            .map(|way| Way { rest: LONG, unpolled: vec![before], wrong: Some((before, way)) })
            .collect(),
        ("gone", "named") => {
            [SHORT, LONG, LONGER].map(|rest| Way { rest, unpolled: burst(), wrong: None }).to_vec()
        }
        ("gone", "nameless") => vec![Way { rest: LONGEST, unpolled: burst(), wrong: None }],
        // Within a burst no other header says what its identification and source have to be.
        ("gone", "contradiction") => {
            (2..=5).map(|way| Way { rest: SHORT, unpolled: burst(), wrong: Some((before, way)) }).collect()
        }
        ("gone", "left contradicts") => [(LONG, 2), (LONG, 3), (LONG, 4), (LONG, 5), (FLAGS, 2), (FLAGS, 3)]
            .map(|(rest, way)| Way { rest, unpolled: burst(), wrong: Some((before, way)) })
            .to_vec(),
        _ => vec![],
    }
}

#[test]
fn forward_order() {
    let mut table = Table::under("Forward order in overlapping slots");
    let all =
        ["agree", "one unknown", "two unknown", "left contradicts", "contradiction", "named", "nameless"];
    for (last, n) in ["intact", "gone"].into_iter().flat_map(|last| [2, 3, 5].map(|n| (last, n))) {
        for (others, sum) in all.into_iter().flat_map(|others| SUMS.map(|sum| (others, sum))) {
            let ways = ways(last, n, others);
            for (way, require) in ways.iter().flat_map(|way| policies().map(move |r| (way, r))) {
                let Require { headers: h, checksum: c, .. } = require;
                let expected = table.outcome(&[last, &n.to_string(), others, sum, yes(h), yes(c)]);
                let (mut frames, data) = kernels(n, way.rest, sum);
                if let Some((at, how)) = way.wrong {
                    landed::contradict(&mut frames[at], how);
                }
                if last == "gone" {
                    frames.push(mock::frames::of_protocol(B, 6, 1514, &payload(1400, 6)));
                }
                let mut run = queue(G, require);
                run.play(&frames, |i| !way.unpolled.contains(&i));
                let counters = run.matcher.counters;
                let outcome = run.outcome(&data);
                table.check(outcome, expected, &format_args!("last {last}, {n} fragments, others {others}, sum {sum}, {require:?}, {way:?}: {counters:?}"));
            }
        }
    }
    table.end();
}

/// The header of a last fragment that bounced is where it bounced, whatever came below: it contradicts, too.
#[test]
fn a_last_fragment_that_bounced() {
    for (rest, way) in [LONG, LONGER].into_iter().flat_map(|rest| (1..7).map(move |way| (rest, way))) {
        let (mut frames, data) = kernels(2, rest, "good");
        // Where nothing names the sender but addresses that are left, only the place is known.
        let says_otherwise = (2..=5).contains(&way) || (rest == LONG && way != 6);
        landed::contradict(&mut frames[1], way);
        frames.push(mock::frames::of_protocol(B, 6, 1514, &payload(1400, 6)));
        let mut run = queue(G, Require::default());
        for (i, frame) in frames.iter().enumerate() {
            run.mock.bounce = i == 1;
            run.mock.arrive(frame);
        }
        run.mock.receive(&mut run.matcher, run.burst, 0, &mut run.now);
        let counters = run.matcher.counters;
        let expected = if says_otherwise { "waits" } else { "any" };
        let outcome = run.outcome(&data);
        assert!(expected == "any" || outcome == expected, "{rest} bytes, {way}: {outcome}, {counters:?}");
    }
}
