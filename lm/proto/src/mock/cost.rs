//! What a stream of frames costs, counted: no stream that anybody can send makes the matcher work much more
//! per frame than a good one does.
//!
//! A stream is a [`Recipe`] played over and over. Some are known attacks; [`search`] looks for worse ones by
//! changing the worst it has found so far. What is counted is what the matcher asks of its slot memory
//! ([`Work`]), so a busy machine cannot hide it, nor a fast one.

use super::random::Random;
use super::{Mock, MockMatcher, Work, config};
use crate::frame::Slot;
use crate::layout::Geometry;
use crate::matcher::Matcher;
use crate::policy::Require;
use std::time::Instant;

mod recipe;

pub use self::recipe::{Gene, KNOWN, Recipe, Tile};

/// Frames over which the mean is taken.
pub const WINDOW: u64 = 10_000;

/// Frames of a stream that is judged, at least.
const FRAMES: u64 = 30_000;

/// Frames between two samples.
const SAMPLE: u64 = 1000;

/// What the matcher tried without asking the memory for anything, if it counts that.
const CANDIDATES: Option<Candidates> = Some(Matcher::effort);

/// How often a matcher tried something.
type Candidates = fn(&MockMatcher) -> u64;

/// Means per frame, at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Headers read.
    pub headers: f64,
    /// Calls of `bytes`: each candidate that is tried needs one at least.
    pub reads: f64,
    /// Bytes summed or copied, in full frames.
    pub bytes: f64,
    /// Bytes of frames that were looked at as a whole, in full frames.
    pub whole: f64,
    /// Buffers taken.
    pub takes: f64,
    /// What the matcher tried, if it says so.
    pub candidates: f64,
}

/// Bounds that every stream keeps. A good stream of 7168-byte datagrams reads a header and a tag for each
/// five frames, and sums each byte once: ten times that time is more than any of these take.
pub const BOUNDS: Bounds =
    Bounds { headers: 8.0, reads: 16.0, bytes: 4.0, whole: 4.0, takes: 1.0, candidates: 3.0 };

/// Where a stream is received.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Fragment sizes.
    pub geometry: Geometry,
    /// What proves a datagram.
    pub require: Require,
    /// The device writes only when it is polled.
    pub synchronous: bool,
    /// Frames in a burst.
    pub burst: usize,
    /// How slots lie.
    pub slot: Slot,
}

/// What a stream cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// The largest means over any [`WINDOW`] frames, in the order of [`Bounds`].
    pub worst: [f64; 6],
    /// Nanoseconds a frame, mock and all: for people to look at.
    pub ns: f64,
    /// Datagrams delivered.
    pub delivered: u64,
}

/// Names of what is counted, in the order of [`Bounds`].
pub const NAMES: [&str; 6] =
    ["headers", "reads", "full frames summed", "full frames looked at", "buffers", "candidates"];

impl Bounds {
    fn list(&self) -> [f64; 6] {
        [self.headers, self.reads, self.bytes, self.whole, self.takes, self.candidates]
    }

    /// By how much a cost exceeds the bound that it is nearest to: 1 is just allowed. And which that is.
    pub fn ratio(&self, cost: &Cost) -> (f64, &'static str) {
        let ratios = cost.worst.iter().zip(self.list()).map(|(worst, bound)| worst / bound);
        ratios.zip(NAMES).fold((0.0, "nothing"), |most, one| if one.0 > most.0 { one } else { most })
    }
}

/// Plays a recipe again and again, for at least `enough` frames, and measures what it costs.
///
/// # Errors
/// What went wrong, in a sentence: the mock found a rule broken.
pub fn measure(recipe: &Recipe, setup: &Setup, enough: u64) -> Result<Cost, String> {
    let Setup { geometry, require, synchronous, burst, slot } = *setup;
    let mut mock =
        Mock::new(geometry, (1400 * (geometry.full_frame().max(2048) + 102)).next_multiple_of(4096), true);
    mock.slot = slot;
    let mut config = config(geometry, synchronous);
    config.require = require;
    config.mirror = mock.mirror();
    let mut matcher = Matcher::new(config);
    let (mut now, mut cost, mut samples) = (0, Cost::default(), vec![(Work::default(), 0)]);
    let start = Instant::now();
    let mut kitchen = recipe::Kitchen::new(geometry);
    while mock.work().frames < enough.max(WINDOW + SAMPLE) {
        let frames = kitchen.cook(recipe);
        if frames.is_empty() {
            return Err(format!("{recipe:?} has no frames"));
        }
        for some in frames.chunks(burst) {
            some.iter().for_each(|f| mock.arrive(f));
            // A gigabit link takes so long for a full frame.
            now += 12_000 * some.len() as u64;
            mock.receive(&mut matcher, burst, 0, &mut now);
            cost.delivered += mock.delivered.len() as u64;
            mock.delivered.clear();
            mock.strangers.clear();
            if mock.work().frames >= samples.len() as u64 * SAMPLE {
                samples.push((mock.work(), CANDIDATES.map_or(0, |count| count(&matcher))));
            }
        }
    }
    cost.ns = start.elapsed().as_nanos() as f64 / mock.work().frames as f64;
    let span = (WINDOW / SAMPLE) as usize;
    for pair in samples.windows(span + 1) {
        let ((before, tried), (after, then)) = (pair[0], pair[span]);
        let (work, full) = (after - before, geometry.full_frame() as f64);
        let n = work.frames as f64;
        let means = [
            work.headers as f64 / n,
            work.reads as f64 / n,
            work.bytes as f64 / n / full,
            work.whole as f64 / n / full,
            work.takes as f64 / n,
            // In sums over a frame.
            (then - tried) as f64 / n / (full / 32.0),
        ];
        cost.worst.iter_mut().zip(means).for_each(|(worst, mean)| *worst = worst.max(mean));
    }
    mock.finish(&mut matcher, &mut now)?;
    Ok(cost)
}

/// A setup out of numbers.
pub fn any_setup(random: &mut Random) -> Setup {
    let mtu = random.pick(&[1500, 1500, 1500, 576, 9000]);
    Setup {
        geometry: Geometry::new(mtu).unwrap_or(Geometry::ETHERNET),
        require: random.pick(&[
            Require::default(),
            Require::default(),
            Require { headers: true, checksum: true, tags: true },
            Require { headers: false, checksum: true, tags: false },
        ]),
        synchronous: random.once_in(2),
        burst: random.pick(&[1, 4, 16, 32]),
        slot: if random.once_in(4) { Slot::Separate } else { Slot::Overlapping },
    }
}

impl std::fmt::Display for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let device = if self.synchronous { "synchronous" } else { "asynchronous" };
        let Require { headers, checksum, tags } = self.require;
        let policy = [(headers, "headers"), (checksum, "checksum"), (tags, "tags")];
        let policy: Vec<_> = policy.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        let (mtu, burst, slot) = (self.geometry.mtu(), self.burst, self.slot);
        write!(f, "MTU {mtu}, {device}, burst {burst}, {slot:?}, {}", policy.join(","))
    }
}

/// What a search found.
pub struct Found {
    /// What is known of it.
    pub name: &'static str,
    /// The recipe.
    pub recipe: Recipe,
    /// Where it was played.
    pub setup: Setup,
    /// What it cost.
    pub cost: Cost,
    /// By how much it exceeds a bound, if that is more than 1.
    pub ratio: f64,
    /// Which.
    pub bound: &'static str,
}

/// Looks for the stream that is nearest to a bound, or beyond it: changes the worst that it has, and begins
/// anew when that does not help for a while. `each` is told of every one that is worse than all before.
/// The search ends when `goes_on` returns `false`.
///
/// # Errors
/// As for [`measure`], with the stream that did it.
pub fn search(
    random: &mut Random,
    mut goes_on: impl FnMut() -> bool,
    mut each: impl FnMut(&Found),
) -> Result<(), String> {
    let mut worst = 0.0;
    while goes_on() {
        let setup = any_setup(random);
        let mut best = Recipe::any(random);
        let mut most = 0.0;
        let mut stuck = 0;
        while stuck < 25 && goes_on() {
            let next = if most == 0.0 { best.clone() } else { best.changed(random) };
            let cost = measure(&next, &setup, 0).map_err(|e| format!("{e}: {next:?}, {setup}"))?;
            let (ratio, bound) = BOUNDS.ratio(&cost);
            if ratio > most {
                (best, most, stuck) = (next, ratio, 0);
            } else {
                stuck += 1;
            }
            if ratio > worst {
                worst = ratio;
                each(&Found { name: "found", recipe: best.clone(), setup, cost, ratio, bound });
            }
        }
    }
    Ok(())
}

/// Measures what each known attack costs, in each of some setups.
///
/// # Errors
/// As for [`measure`]. Unless `all`, an attack that exceeds a bound is an error, too.
pub fn known(all: bool) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for (name, recipe) in KNOWN {
        for (mtu, synchronous, burst, slot) in [
            (1500, true, 32, Slot::Overlapping),
            (1500, true, 1, Slot::Overlapping),
            (1500, false, 16, Slot::Overlapping),
            (1500, true, 32, Slot::Separate),
            (576, true, 32, Slot::Overlapping),
            (9000, true, 1, Slot::Overlapping),
        ] {
            let geometry = Geometry::new(mtu).map_err(|e| e.to_string())?;
            let setup = Setup { geometry, require: Require::default(), synchronous, burst, slot };
            let recipe = Recipe(recipe.to_vec());
            let cost = measure(&recipe, &setup, FRAMES)?;
            let (ratio, bound) = BOUNDS.ratio(&cost);
            if ratio > 1.0 {
                errors.push(format!("{name}, {setup}: {ratio:.1} times the bound of {bound}: {cost:?}"));
            }
            found.push(Found { name, recipe, setup, cost, ratio, bound });
        }
    }
    if errors.is_empty() || all { Ok(found) } else { Err(errors.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_known_attack_makes_the_matcher_work() {
        if let Err(e) = known(false) {
            panic!("{e}");
        }
    }
}
