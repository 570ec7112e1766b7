//! Datagrams that landed last fragment first: a table of `docs/proof.md`.
//!
//! Tag, checksum, order digest, other headers and the card's words are combined with each policy.

use super::*;
use crate::card::{Card, Words};

/// An MTU and a payload that leave a datagram no room for a tag.
pub(super) fn roomless() -> (Geometry, usize) {
    let geometries = (Geometry::MIN_MTU..=Geometry::MAX_MTU).rev().filter_map(|mtu| Geometry::new(mtu).ok());
    let cases = geometries.flat_map(|g| (65_400..=65_507).map(move |len| (g, len)));
    cases
        .into_iter()
        .find(|&(g, len)| Layout::new(g, len).is_some_and(|layout| layout.tag().is_none()))
        .expect("some MTU")
}

/// The ways in which a header can belong elsewhere.
pub(super) fn contradict(frame: &mut [u8], way: usize) {
    match way {
        0 => frame[19] ^= 2,
        1 => frame[29] ^= 2,
        // Offset, by a stride of 1480.
        2 => frame[21] ^= 0xb9,
        3 => frame[20] ^= 0x20,
        // Total length, by 8.
        4 => frame[17] ^= 8,
        // The first bytes of the payload are options.
        5 => frame[14] = 0x46,
        _ => frame[33] ^= 2,
    }
    mock::frames::mend(frame);
}
pub(super) const CONTRADICTIONS: usize = 7;

const CARDS: [&str; 5] = ["none", "other", "ids", "sums", "sums alone"];

/// A card that says this of frames.
fn with_card(run: &mut Run, card: &str) {
    let (told, card): (fn(&[u8]) -> u32, _) = match card {
        "none" => return,
        "other" | "sums" => (mock::card::packet, Card::believed(Words::Packet, true)),
        "ids" => (mock::card::id_alone, Card::believed(Words::Packet, false)),
        "sums alone" => (mock::card::whole, Card::believed(Words::Frame, true)),
        other => panic!("{other} is nothing that a card says"),
    };
    run.mock.card = Some(told);
    run.matcher.believe(card);
}

/// Runs a datagram whose headers are known so, on a queue of such a card.
fn run(
    mut frames: Vec<Vec<u8>>,
    (headers, card): (&str, &str),
    way: usize,
    geometry: Geometry,
    require: Require,
) -> Run {
    let mut run = queue(geometry, require);
    with_card(&mut run, card);
    if card == "other" {
        let unknown = usize::from(headers != "some");
        frames[unknown][18] ^= 1;
        mock::frames::mend(&mut frames[unknown]);
    }
    match headers {
        "all" => run.play(&frames, |_| true),
        "marks" => {
            mock::frames::with_ecn(&mut frames[1], 3);
            run.play(&frames, |_| true);
        }
        "some" => run.play(&frames, |i| i == 1),
        "first" => run.play(&frames, |_| false),
        "contradiction" => {
            contradict(&mut frames[1], way);
            run.play(&frames, |i| i == 1 || way.is_multiple_of(2));
        }
        "gone" => {
            let n = frames.len();
            let full = geometry.full_frame();
            frames.push(mock::frames::of_protocol(B, 6, full, &payload(full, 5)));
            run.play(&frames, |i| i + 2 < n && way.is_multiple_of(2));
        }
        other => panic!("{other} is nothing that is known of headers"),
    }
    run
}

#[test]
fn landed_last_fragment_first() {
    let mut table = Table::under("Landed last fragment first");
    let (tight, longest) = roomless();
    for headers in ["all", "marks", "some", "first", "contradiction", "gone"] {
        for (order, tag) in ["forced", "open"].into_iter().flat_map(|order| TAGS.map(|tag| (order, tag))) {
            let roomless = tag.starts_with("id");
            if roomless && order == "forced" {
                continue; // A datagram without room has more fragments than that.
            }
            let (geometry, len) = match (roomless, order) {
                (true, _) => (tight, longest),
                (false, "forced") => (G, 4000),
                (false, _) => (G, 7168),
            };
            let data = payload(len, 3);
            let sums = SUMS.into_iter().flat_map(|sum| CARDS.map(|card| (sum, card)));
            for ((sum, card), require) in
                sums.flat_map(|(sum, card)| policies().map(move |r| ((sum, card), r)))
            {
                if card == "other" && matches!(headers, "all" | "marks" | "contradiction") {
                    continue; // A header that is known says so itself.
                }
                let Require { headers: h, checksum: c, tags: t } = require;
                let expected = table.outcome(&[headers, order, tag, card, sum, yes(h), yes(c), yes(t)]);
                let ways = match headers {
                    "contradiction" => CONTRADICTIONS,
                    "gone" => 2,
                    _ => 1,
                };
                for (i, frames) in tagged(geometry, &data, tag, sum).into_iter().enumerate() {
                    for way in 0..ways {
                        let run = run(frames.clone(), (headers, card), way, geometry, require);
                        let counters = run.matcher.counters;
                        let outcome = run.outcome(&data);
                        table.check(outcome, expected, &format_args!("headers {headers} ({way}), order {order}, tag {tag} ({i}), card {card}, sum {sum}, {require:?}: {counters:?}"));
                    }
                }
            }
        }
    }
    table.end();
}
