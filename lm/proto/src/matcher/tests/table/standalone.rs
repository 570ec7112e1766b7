//! Datagrams whose headers are all intact, in one frame or put together by the reassembler: a table of
//! `docs/proof.md`.

use super::*;

#[test]
fn all_headers_intact() {
    let mut table = Table::under("All headers intact");
    for (fragments, len) in [("one", 900), ("more", 7168)] {
        let data = payload(len, 4);
        for (tag, sum) in ["good", "bad", "none"].into_iter().flat_map(|tag| SUMS.map(|sum| (tag, sum))) {
            let kinds: &[&str] = match tag {
                "good" => &GOOD_TAGS,
                "bad" => &["bad"],
                _ => &["bad", "absent"],
            };
            for require in policies() {
                let Require { headers: h, checksum: c, tags: t } = require;
                let expected = table.outcome(&[fragments, tag, sum, yes(h), yes(c), yes(t)]);
                for frames in kinds.iter().flat_map(|kind| tagged(G, &data, kind, sum)) {
                    let end = frames[0].len();
                    let claims = crate::tag::is_tag(*frames[0][end - TAG..].first_chunk().expect("a frame"));
                    let untagged = frames[0].len() == plain_frames(G, A, 1, &data).pop().expect("one").len();
                    if (tag == "bad" && !claims) || (tag == "none" && claims && !untagged) {
                        continue;
                    }
                    for separate in [true, false] {
                        if fragments == "more" && !separate {
                            continue; // These land.
                        }
                        // It closes by its tag as soon as it lands, as any datagram that lands.
                        let landed = !separate && tag == "good" && t;
                        let expected = if landed { "tags" } else { expected };
                        let mut run = queue(G, require);
                        if separate {
                            run = run.separate();
                        }
                        run.play(&frames, |_| true);
                        let counters = run.matcher.counters;
                        let outcome = run.outcome(&data);
                        table.check(outcome, expected, &format_args!("{fragments}, tag {tag}, sum {sum}, {require:?}, separate {separate}: {counters:?}"));
                    }
                }
            }
        }
    }
    table.end();
}
