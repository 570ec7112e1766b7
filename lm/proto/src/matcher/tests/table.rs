//! Reads the tables of `docs/proof.md`, and makes frames for every combination of what they can say.
//!
//! A row that disagrees with the matcher fails a test, and so does a row that no combination uses.

use super::*;
use crate::layout::{Layout, TAG};
use crate::tag::Identity;

mod forward;
mod landed;
mod moments;
mod repair;
mod standalone;
mod untagged;

const TEXT: &str = include_str!("../../../../../docs/proof.md");

/// A table: what its columns are called, and its rows.
struct Table {
    name: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<&'static str>>,
    /// Rows that said what happens, so far.
    used: Vec<bool>,
    /// What turned out otherwise.
    wrong: Vec<String>,
}

impl Table {
    /// The table under a heading.
    fn under(heading: &'static str) -> Self {
        let (_, section) = TEXT.split_once(&format!("\n## {heading}\n")).expect("the heading");
        let section = section.split("\n## ").next().expect("a section");
        let cells = |line: &'static str| -> Vec<&str> {
            line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect()
        };
        let mut lines = section.lines().filter(|line| line.starts_with('|')).map(cells);
        let columns = lines.next().expect("a table");
        let rows: Vec<_> = lines.skip(1).collect();
        assert!(rows.iter().all(|row| row.len() == columns.len()), "{heading}: a row of another width");
        Self { name: heading, used: vec![false; rows.len()], columns, rows, wrong: Vec::new() }
    }

    /// What the table says of a combination: the first row that fits.
    fn outcome(&mut self, combination: &[&str]) -> &'static str {
        assert_eq!(combination.len() + 1, self.columns.len(), "{}: {:?}", self.name, self.columns);
        let fits = |row: &Vec<&str>| row.iter().zip(combination).all(|(cell, value)| is(value, cell));
        let row = self.rows.iter().position(fits);
        let row = row.unwrap_or_else(|| panic!("{}: nothing is said of {combination:?}", self.name));
        self.used[row] = true;
        self.rows[row].last().expect("cells")
    }

    /// Holds an outcome against what the table says.
    fn check(&mut self, outcome: &str, expected: &str, what: &std::fmt::Arguments<'_>) {
        if outcome != expected {
            self.wrong.push(format!("{outcome}, and the table says {expected}: {what}"));
        }
    }

    /// Nothing turned out otherwise, and no row is superfluous.
    fn end(&self) {
        let n = self.wrong.len();
        assert!(n == 0, "{}: {n} outcomes are others:\n{}", self.name, self.wrong[..n.min(200)].join("\n"));
        for (row, used) in self.rows.iter().zip(&self.used) {
            assert!(used, "{}: {row:?} never says what happens", self.name);
        }
    }
}

/// Whether a value is what a cell says.
fn is(value: &str, cell: &str) -> bool {
    match cell {
        "any" => true,
        "good" if GOOD_TAGS.contains(&value) => true,
        _ => value == cell,
    }
}

const GOOD_TAGS: [&str; 3] = ["digest right", "digest wrong", "no digest"];
const TAGS: [&str; 7] =
    ["digest right", "digest wrong", "no digest", "bad", "absent", "id right", "id wrong"];
const SUMS: [&str; 3] = ["good", "bad", "none"];

/// Every policy, and none.
fn policies() -> impl Iterator<Item = Require> {
    (0..8).map(|i| Require { headers: i & 1 != 0, checksum: i & 2 != 0, tags: i & 4 != 0 })
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// A queue on a device that writes inside the receive call, so that whoever polls sees the newest header.
fn queue(geometry: Geometry, require: Require) -> Run {
    let mut run = Run::new(128, true);
    // Room for the longest datagram and a few frames around it.
    run.mock = Mock::new(geometry, 1 << 17, false);
    run.matcher = Matcher::new(Config { require, ..mock::config(geometry, true) });
    run
}

impl Run {
    /// Frames arrive; the queue is polled behind those that `polled` says.
    fn play(&mut self, frames: &[Vec<u8>], polled: impl Fn(usize) -> bool) {
        for (i, frame) in frames.iter().enumerate() {
            self.mock.arrive(frame);
            if polled(i) || i + 1 == frames.len() {
                self.mock.receive(&mut self.matcher, self.burst, 0, &mut self.now);
            }
        }
    }

    /// What came of one datagram, in the table's words. All slots come back.
    fn outcome(mut self, sent: &[u8]) -> &'static str {
        self.mock.finish(&mut self.matcher, &mut self.now).expect("an even ledger");
        let counters = &self.matcher.counters;
        if let Some(delivered) = self.mock.delivered.first() {
            assert_eq!(self.mock.delivered.len(), 1);
            assert!(delivered.payload == sent, "{} bytes that nobody sent", delivered.payload.len());
            assert_eq!(delivered.whole.flow, A);
            return delivered.whole.by.name();
        }
        let told = [
            Reason::BadChecksum,
            Reason::BadTag,
            Reason::OrderUnproven,
            Reason::Unproven,
            Reason::Ecn,
            Reason::OverBudget,
        ];
        if let Some(reason) = told.into_iter().find(|&reason| counters.dropped(reason) > 0) {
            assert_eq!(counters.dropped(reason), 1, "{counters:?}");
            reason.name()
        } else {
            assert!(counters.drops().any(|(_, n)| n > 0), "lost without a counter: {counters:?}");
            "waits"
        }
    }
}

/// A datagram as LM sends it, last fragment first, but with a tag or an identification of this kind, and such
/// a UDP checksum. Several, where there is more than one way to be so.
fn tagged(geometry: Geometry, data: &[u8], tag: &str, sum: &str) -> Vec<Vec<Vec<u8>>> {
    let mut frames = lm_frames(geometry, A, 77, data, ChecksumMode::Full);
    let has_tag = Layout::new(geometry, data.len()).expect("it fits").tag().is_some();
    if tag == "absent" {
        frames = plain_frames(geometry, A, 77, data);
        frames.reverse();
    }
    let first = frames.len() - 1;
    let field = set_sum(&mut frames[first], sum);
    let end = frames[0].len();
    let with = |bytes: [u8; TAG]| {
        let mut frames = frames.clone();
        frames[0][end - TAG..].copy_from_slice(&bytes);
        frames
    };
    if let "id right" | "id wrong" = tag {
        assert!(!has_tag);
        if tag == "id wrong" {
            for frame in &mut frames {
                frame[19] ^= 1;
                mock::frames::mend(frame);
            }
        }
        return vec![frames];
    }
    let identity = Identity { flow: A, ip_id: 77, udp_len: data.len() as u16 + 8, udp_checksum: field };
    let there = frames[0][end - TAG..].first_chunk::<TAG>().copied().expect("a tag");
    let order = u32::from_be_bytes([there[4], there[5], there[6], there[7]]);
    let good = identity.tag(Some(order));
    match tag {
        "digest right" => vec![with(good)],
        "digest wrong" => vec![with(identity.tag(Some(order ^ 1)))],
        "no digest" => vec![with(identity.tag(None))],
        "bad" => {
            let other = Identity { ip_id: 78, ..identity };
            let mut flipped = good;
            flipped[2] ^= 4;
            vec![with(flipped), with(other.tag(Some(order))), with(other.tag(None)), with([0xab; TAG])]
        }
        "absent" => {
            let mut checked = frames.clone();
            // A driver may leave the frame check sequence there.
            checked[0].extend([0xde, 0xad, 0xbe, 0xef]);
            vec![frames, checked]
        }
        other => panic!("{other} is no kind of tag"),
    }
}

/// Makes the UDP checksum of a first fragment so; what it is then.
fn set_sum(first: &mut [u8], sum: &str) -> u16 {
    let field = &mut first[HEADERS + 6..HEADERS + 8];
    match sum {
        "good" => {}
        "bad" => field[1] ^= 0x5a,
        "none" => field.fill(0),
        other => panic!("{other} is no kind of checksum"),
    }
    u16::from_be_bytes([field[0], field[1]])
}
