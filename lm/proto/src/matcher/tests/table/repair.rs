//! Datagrams of LM's with a stranger between their fragments: a table of `docs/proof.md`.
//!
//! Each tag, each checksum, agreeing and contradicting headers are combined with each policy.

use super::*;

#[test]
fn repair() {
    let mut table = Table::under("Repair");
    let (tight, longest) = landed::roomless();
    for (tag, sum) in TAGS.into_iter().flat_map(|tag| SUMS.map(|sum| (tag, sum))) {
        let (geometry, len) = if tag.starts_with("id") { (tight, longest) } else { (G, 7168) };
        let data = payload(len, 8);
        for (others, require) in
            ["agree", "contradiction"].into_iter().flat_map(|others| policies().map(move |r| (others, r)))
        {
            let expected = table.outcome(&[tag, sum, others, yes(require.checksum)]);
            for mut frames in tagged(geometry, &data, tag, sum) {
                let at = if others == "agree" { None } else { Some(frames.len() - 2) };
                if let Some(at) = at {
                    landed::contradict(&mut frames[at], 0);
                }
                frames.insert(2, arp());
                let mut run = queue(geometry, require);
                run.play(&frames, |i| Some(i) == at.map(|at| at + 1));
                let counters = run.matcher.counters;
                let outcome = run.outcome(&data);
                table.check(
                    outcome,
                    expected,
                    &format_args!("tag {tag}, sum {sum}, {others}, {require:?}: {counters:?}"),
                );
            }
        }
    }
    table.end();
}
