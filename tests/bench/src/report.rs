//! Medians, the table, the JSON, and the ratios with their bounds.
//!
//! `main` fills a [`Report`] and prints it. Blocks during which others used the core are left out where
//! enough blocks remain. A missed bound is reported in the table, and is no failure of the run.

use std::fmt::Write as _;

use crate::variant::{SETS, named};

/// Cycles of one variant, size, set: a sample is the mean of one block.
pub(crate) struct Row {
    pub size: usize,
    pub set: &'static str,
    pub variant: &'static str,
    pub read: bool,
    /// Frames of a datagram.
    pub fragments: usize,
    /// Cycles a frame, block by block, and how fast the core was.
    pub samples: Vec<Sample>,
    /// Datagrams delivered by a copy, of all, where the variant isn't a copier.
    pub copied: Option<(u64, u64)>,
}

/// One block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// TSC cycles a frame.
    pub cycles: f64,
    /// The worse of the gauges before and after.
    pub gauge: u64,
}

/// The core was its own master if the gauge is within this of the best.
const QUIET: f64 = 1.12;
/// Blocks that a median needs.
const ENOUGH: usize = 5;

impl Row {
    /// Forgets the blocks in which others had a share of the core, if enough are left; how many it forgot.
    pub(crate) fn keep_quiet(&mut self, best: u64) -> usize {
        let quiet = |s: &Sample| s.gauge as f64 <= best as f64 * QUIET;
        let (before, left) = (self.samples.len(), self.samples.iter().filter(|s| quiet(s)).count());
        if left < ENOUGH {
            return 0;
        }
        self.samples.retain(quiet);
        before - left
    }

    fn quantile(&self, q: f64) -> f64 {
        let mut sorted: Vec<f64> = self.samples.iter().map(|s| s.cycles).collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(((sorted.len() as f64 - 1.0) * q).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn per_frame(&self) -> f64 {
        self.quantile(0.5)
    }

    fn per_datagram(&self) -> f64 {
        self.per_frame() * self.fragments as f64
    }
}

/// Leaves out the blocks of these in which the core was not ours alone; a line on that.
pub(crate) fn quiet(mut rows: Vec<&mut Row>) -> String {
    let mut gauges: Vec<u64> = rows.iter().flat_map(|r| r.samples.iter().map(|s| s.gauge)).collect();
    gauges.sort_unstable();
    let (all, best) = (gauges.len(), gauges.get(gauges.len() / 100).copied().unwrap_or(1));
    let (mut gone, mut noisy) = (0, 0);
    for row in &mut rows {
        gone += row.keep_quiet(best);
        noisy += usize::from(row.samples.iter().any(|s| s.gauge as f64 > best as f64 * QUIET));
    }
    format!(
        "{all} blocks, {gone} left out because the core was slower by more than {:.0} % (a neighbour); {noisy} of {} \
         figures had too few quiet ones and take what there is",
        (QUIET - 1.0) * 100.0,
        rows.len()
    )
}

/// All that was measured.
pub(crate) struct Report {
    pub sizes: Vec<usize>,
    pub rows: Vec<Row>,
}

struct Bound {
    what: &'static str,
    over: &'static str,
    under: &'static str,
    per_frame: bool,
    sets: &'static [&'static str],
    sizes: Option<usize>,
    read: bool,
    must: f64,
    goal: f64,
}

const HOT: &[&str] = &["hot"];
const RING_64: &[&str] = &["ring-64mb"];
const ALL: &[&str] = &["hot", "ring-4mb", "ring-64mb"];

/// What the issue asks for. A bound on LM over something is from above, one on something over LM from below.
const BOUNDS: &[Bound] = &[
    Bound {
        what: "lm ÷ bare, per frame",
        over: "lm",
        under: "bare",
        per_frame: true,
        sets: &["hot", "ring-4mb"],
        sizes: None,
        read: false,
        must: 2.7,
        goal: 2.0,
    },
    Bound {
        what: "lm-card ÷ lm, per frame",
        over: "lm-card",
        under: "lm",
        per_frame: true,
        sets: ALL,
        sizes: None,
        read: false,
        must: 1.25,
        goal: 1.1,
    },
    Bound {
        what: "chain-copy ÷ lm",
        over: "chain-copy",
        under: "lm",
        per_frame: false,
        sets: HOT,
        sizes: Some(7168),
        read: false,
        must: 5.0,
        goal: 7.0,
    },
    Bound {
        what: "chain-copy ÷ lm",
        over: "chain-copy",
        under: "lm",
        per_frame: false,
        sets: RING_64,
        sizes: Some(7168),
        read: false,
        must: 13.0,
        goal: 18.0,
    },
    Bound {
        what: "chain ÷ lm",
        over: "chain",
        under: "lm",
        per_frame: false,
        sets: ALL,
        sizes: Some(7168),
        read: false,
        must: 2.5,
        goal: 3.5,
    },
    Bound {
        what: "copy ÷ lm",
        over: "copy",
        under: "lm",
        per_frame: false,
        sets: HOT,
        sizes: None,
        read: false,
        must: 3.0,
        goal: 5.0,
    },
    Bound {
        what: "copy ÷ lm",
        over: "copy",
        under: "lm",
        per_frame: false,
        sets: RING_64,
        sizes: None,
        read: false,
        must: 10.0,
        goal: 14.0,
    },
    Bound {
        what: "copy ÷ lm, every byte read",
        over: "copy",
        under: "lm",
        per_frame: false,
        sets: ALL,
        sizes: None,
        read: true,
        must: 1.4,
        goal: 2.0,
    },
];

impl Report {
    /// Leaves out the blocks in which the core was not ours alone; a line on that.
    pub(crate) fn keep_quiet(&mut self) -> String {
        quiet(self.rows.iter_mut().collect())
    }

    fn find(&self, size: usize, set: &str, variant: &str, read: bool) -> Option<&Row> {
        self.rows.iter().find(|r| r.size == size && r.set == set && r.variant == variant && r.read == read)
    }

    /// Cycles a frame and a datagram, the middle half of the blocks, and what was copied.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        for set in SETS {
            let _ = writeln!(
                out,
                "\n{}: TSC cycles per frame, median of blocks (quartiles); per datagram",
                set.name
            );
            for (name, _) in named() {
                for read in [false, true] {
                    if !self.rows.iter().any(|r| r.set == set.name && r.variant == name && r.read == read) {
                        continue;
                    }
                    let _ = write!(out, "  {name:<14}{:<6}", if read { "read" } else { "" });
                    for &size in &self.sizes {
                        match self.find(size, set.name, name, read) {
                            None => {
                                let _ = write!(out, "{:>38}", "-");
                            }
                            Some(r) => {
                                let (low, high) = (r.quantile(0.25), r.quantile(0.75));
                                let cell = format!("{:.1} ({low:.0}..{high:.0})", r.per_frame());
                                let _ = write!(out, "{cell:>26}{:>8.0} /dg", r.per_datagram());
                            }
                        }
                    }
                    out.push('\n');
                }
            }
        }
        out.push_str("\ndatagrams that LM copied (they straddled the region's wrap), of all:\n");
        for r in self.rows.iter().filter(|r| !r.read) {
            if let Some((copied, of)) = r.copied {
                let percent = copied as f64 * 100.0 / of.max(1) as f64;
                let _ =
                    writeln!(out, "  {:<10} {:<12} {:>6} bytes: {percent:.2} %", r.set, r.variant, r.size);
            }
        }
        out
    }

    /// The ratios with their verdicts.
    pub(crate) fn ratios(&self) -> String {
        let mut out =
            String::from("\nratio                         set        size    value    must   goal\n");
        for b in BOUNDS {
            for &set in b.sets {
                for &size in &self.sizes {
                    if b.sizes.is_some_and(|only| only != size) {
                        continue;
                    }
                    let pair =
                        self.find(size, set, b.over, b.read).zip(self.find(size, set, b.under, b.read));
                    let Some((over, under)) = pair else { continue };
                    let value = if b.per_frame {
                        over.per_frame() / under.per_frame()
                    } else {
                        over.per_datagram() / under.per_datagram()
                    };
                    let above = b.goal > b.must;
                    let holds = |bound: f64| if above { value >= bound } else { value <= bound };
                    let sign = if above { "≥" } else { "≤" };
                    let verdict = match (holds(b.must), holds(b.goal)) {
                        (_, true) => "goal",
                        (true, false) => "must",
                        (false, false) => "MISSED",
                    };
                    let _ = writeln!(
                        out,
                        "{:<30}{set:<10}{size:>6}{value:>9.2}   {sign}{:<5} {sign}{:<5} {verdict}",
                        b.what, b.must, b.goal
                    );
                }
            }
        }
        out
    }

    /// A list of objects, one for each size, set, variant and kind of consumer.
    pub(crate) fn json(&self) -> String {
        let object = |r: &Row| {
            format!(
                "  {{\"size\": {}, \"set\": \"{}\", \"variant\": \"{}\", \"read\": {}, \"cycles_per_datagram\": {:.1}, \
                 \"cycles_per_frame\": {:.2}}}",
                r.size,
                r.set,
                r.variant,
                r.read,
                r.per_datagram(),
                r.per_frame()
            )
        };
        let objects: Vec<String> = self.rows.iter().map(object).collect();
        format!("[\n{}\n]\n", objects.join(",\n"))
    }
}
