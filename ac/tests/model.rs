//! The product's own state machine under stateright, judged by frames (`ac::mock::World`).
//!
//! Exhaustive within the bounds that each test prints: every order of arrival, every loss, duplicate, crash
//! and restart that the bounds allow, every moment at which a timer can fire relative to what is on the wire.
//! No depth is cut: requests, tries and leases are finite, so every run ends.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use ac::mock::{Act, Faults, Number, World};
use ac::{Config, NodeId, Policy};
use stateright::{Checker, Model, Property};

const ALWAYS: &str = "safe on frames, exclusive when settled, answered and closed at rest";

struct Bounded {
    start: World,
    /// Every world as it is: nothing is buried, and messages are lost at any time.
    exact: bool,
}

/// Where nothing comes late, a message that is lost may be lost last of all those that are on the wire at
/// that moment: until then it changes nothing, and time does not go on before the wire is empty. So it is
/// enough to lose when all that are left can be lost. (`the_search_leaves_nothing_out` compares.)
fn may_lose(world: &World) -> bool {
    world.faults().late > 0 || world.in_flight() <= usize::from(world.faults().losses)
}

/// What can happen next. At rest nothing is left that a fault could change but a crash without consequence;
/// who is down may come back, whether there is something on the wire that nobody takes or not.
fn offered(world: &World, acts: &mut Vec<Act>) {
    world.progress(acts);
    let rests = acts.is_empty();
    world.mishaps(acts);
    acts.retain(|act| !rests || matches!(act, Act::Restart(_)));
}

impl Model for Bounded {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![self.start.clone()]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        offered(world, acts);
        acts.retain(|act| self.exact || !matches!(act, Act::Lose(_)) || may_lose(world));
    }

    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        let mut next = world.clone();
        next.act(act);
        if !self.exact {
            next.bury();
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ALWAYS, |_, w: &World| w.violation().is_none()),
            Property::sometimes("granted", |_, w: &World| w.grants() > 0),
            Property::sometimes("all granted", |m: &Self, w: &World| w.grants() == m.start.requests()),
        ]
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Few moments that matter: grants for four retries, no renewal, one announcement.
fn config(policy: Policy) -> Config {
    Config {
        lease: ms(20),
        hold: ms(20),
        guard: ms(4),
        flight: ms(4),
        drain: ms(4),
        drift_ppm: 0,
        retry: ms(4),
        tries: 2,
        announce_every: ms(1000),
        nodes: 3,
        ..Config::new(NodeId(1), 1, policy)
    }
}

fn explore(name: &str, config: &Config, requests: &[(usize, usize, u8)], faults: Faults) {
    let world = World::new(config, 3, requests, faults).expect("settings");
    let start = Instant::now();
    let threads = std::env::var("LM_AC_THREADS").ok().and_then(|t| t.parse().ok()).unwrap_or(1);
    let checker = Bounded { start: world, exact: false }
        .checker()
        .threads(threads)
        .symmetry_fn(World::canonical)
        .spawn_dfs()
        .join();
    println!(
        "{name}: 3 nodes, requests {requests:?}, {faults:?}, tries {}: {} states, {} generated, depth {}, \
         {:.1} s, {}",
        config.tries,
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed().as_secs_f32(),
        if checker.is_done() { "exhaustive" } else { "not exhaustive" },
    );
    if let Some(path) = checker.discovery(ALWAYS) {
        let last = path.last_state().violation();
        for act in path.into_actions() {
            println!("  {act:?}");
        }
        panic!("{name}: {last:?}");
    }
    assert!(checker.is_done());
    assert!(checker.discovery("granted").is_some(), "nothing was ever granted");
}

const NO_FAULTS: Faults = Faults {
    losses: 0,
    duplicates: 0,
    crashes: 0,
    restarts: 0,
    late: 0,
    lies: 0,
    replays: 0,
    number: Number::Lower,
};

const CRASH: Faults = Faults { crashes: 1, restarts: 1, ..NO_FAULTS };

/// Small enough for every build.
#[test]
fn one_loss() {
    let faults = Faults { losses: 1, ..NO_FAULTS };
    explore("Exclusive", &config(Policy::Exclusive), SHAPES[0], faults);
    explore("PerReceiver", &per_receiver(), SHAPES[0], faults);
}

/// Two applicants of one receiver; requests that cross, so that two receivers land at once; a pair that asks
/// each other.
const SHAPES: [&[(usize, usize, u8)]; 3] =
    [&[(0, 2, 0), (1, 2, 0)], &[(2, 0, 0), (2, 1, 0)], &[(0, 1, 0), (1, 0, 0)]];

#[test]
#[cfg_attr(debug_assertions, ignore = "a minute without optimisation: make model")]
fn exclusive() {
    let c = config(Policy::Exclusive);
    for requests in SHAPES {
        explore("Exclusive", &c, requests, Faults { losses: 1, ..NO_FAULTS });
        explore("Exclusive", &c, requests, Faults { duplicates: 1, ..NO_FAULTS });
        explore("Exclusive", &c, requests, CRASH);
    }
    explore("Exclusive", &c, SHAPES[0], Faults { losses: 2, ..NO_FAULTS });
    explore("Exclusive", &c, SHAPES[0], Faults { late: 1, ..NO_FAULTS });
}

/// Queues that are not announced, as with steering: the messages that decide are the same.
fn per_receiver() -> Config {
    Config { announce: false, ..config(Policy::PerReceiver) }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "a minute without optimisation: make model")]
fn per_receiver_with_faults() {
    explore("PerReceiver", &per_receiver(), SHAPES[0], Faults { losses: 1, duplicates: 1, ..NO_FAULTS });
    explore("PerReceiver", &per_receiver(), SHAPES[0], Faults { late: 1, ..NO_FAULTS });
    explore("PerReceiver", &per_receiver(), SHAPES[0], Faults { losses: 2, ..NO_FAULTS });
    explore("PerReceiver", &per_receiver(), SHAPES[2], Faults { losses: 1, ..CRASH });
}

/// The judge is awake: settings that the page forbids are caught.
#[test]
fn unsafe_settings_are_caught() {
    // LM_ENDME overtakes data, and nothing is drained.
    let hasty = Config { drain: Duration::ZERO, ..per_receiver() };
    // The holder believes in a flight of nothing, and the receiver in no guard.
    let sure = Config { guard: Duration::ZERO, ..per_receiver() };
    for (config, flight) in [(hasty, ms(4)), (sure, ms(40))] {
        let world = World::new(&config, 3, SHAPES[0], NO_FAULTS).expect("settings").with_flight(flight);
        let checker =
            Bounded { start: world, exact: false }.checker().symmetry_fn(World::canonical).spawn_dfs().join();
        let path = checker.discovery(ALWAYS).expect("a counterexample");
        assert_eq!(path.last_state().violation(), Some("a frame can land in a queue that another holds"));
    }
}

/// What a world is, and by how much more than another it can still be harmed.
type Form = (u64, [u8; 3]);

/// The canonical worlds with nothing on the wire that can be reached, and how many worlds were looked at.
fn quiet(start: &World, reduced: bool) -> (BTreeMap<Form, World>, usize) {
    let exact = |world: &World| {
        let mut hasher = DefaultHasher::new();
        world.hash(&mut hasher);
        (hasher.finish(), [0; 3])
    };
    let (mut known, mut quiet, mut left) = (HashSet::new(), BTreeMap::new(), vec![start.clone()]);
    let mut acts = Vec::new();
    while let Some(world) = left.pop() {
        let canonical = world.canonical();
        if !known.insert(if reduced { canonical.form() } else { exact(&world) }) {
            continue;
        }
        assert_eq!(world.violation(), None);
        if canonical.in_flight() == 0 {
            quiet.insert(canonical.form(), canonical);
        }
        acts.clear();
        offered(&world, &mut acts);
        for &act in &acts {
            if reduced && matches!(act, Act::Lose(_)) && !may_lose(&world) {
                continue;
            }
            let mut next = world.clone();
            next.act(act);
            if reduced {
                next.bury();
            }
            left.push(next);
        }
    }
    (quiet, known.len())
}

/// Worlds that behave alike are looked at once, and losses come last: that reaches whatever is reached
/// without, but for worlds in which a message was lost that nobody would have taken.
#[test]
#[cfg_attr(debug_assertions, ignore = "minutes without optimisation: make model")]
fn the_search_leaves_nothing_out() {
    for (policy, requests, faults) in [
        (Policy::PerReceiver, SHAPES[0], Faults { losses: 1, duplicates: 1, ..NO_FAULTS }),
        (Policy::PerReceiver, SHAPES[0], CRASH),
        (Policy::PerReceiver, SHAPES[2], CRASH),
        (Policy::PerReceiver, SHAPES[2], Faults { losses: 1, ..NO_FAULTS }),
        (Policy::Exclusive, SHAPES[0], Faults { losses: 1, ..NO_FAULTS }),
        (Policy::Exclusive, SHAPES[1], CRASH),
    ] {
        nothing_is_left_out(policy, requests, faults);
    }
}

fn nothing_is_left_out(policy: Policy, requests: &'static [(usize, usize, u8)], faults: Faults) {
    let config = if policy == Policy::Exclusive { config(policy) } else { per_receiver() };
    let world = World::new(&config, 3, requests, faults).expect("settings");
    let ((all, many), (reduced, few)) = (quiet(&world, false), quiet(&world, true));
    println!(
        "{policy:?} {requests:?} {faults:?}: {many} worlds, {few} of them; {} and {} quiet",
        all.len(),
        reduced.len()
    );
    assert!(reduced.keys().all(|form| all.contains_key(form)));
    let covered = |&(form, harm): &Form| {
        let same = reduced.range((form, [0; 3])..=(form, [u8::MAX; 3]));
        same.clone().any(|(&(_, other), _)| other.iter().zip(harm).all(|(more, less)| *more >= less))
    };
    let missed = all.iter().find(|(form, _)| !covered(form)).map(|(_, world)| world);
    assert!(missed.is_none(), "a world that the search does not reach: {missed:#?}");
    assert!(few < many);
}

/// Every world as it is: for those in which numbers are compared, so that renaming them would change what
/// happens.
fn explore_exactly(name: &str, world: World) {
    let start = Instant::now();
    let bounds = (world.requests(), world.faults());
    let checker = Bounded { start: world, exact: true }.checker().spawn_dfs().join();
    println!(
        "{name}: 2 nodes, (requests, faults) {bounds:?}: {} states, {} generated, {:.1} s, {}",
        checker.unique_state_count(),
        checker.state_count(),
        start.elapsed().as_secs_f32(),
        if checker.is_done() { "exhaustive" } else { "not exhaustive" },
    );
    if let Some(path) = checker.discovery(ALWAYS) {
        let last = path.last_state().violation();
        for (world, act) in path.into_vec() {
            let message = match act {
                Some(Act::Deliver(p)) => world.wire().nth(p),
                _ => None,
            };
            println!("  {:?} {act:?} {message:?}", world.now());
        }
        panic!("{name}: {last:?}");
    }
    assert!(checker.is_done());
    assert!(checker.discovery("all granted").is_some(), "nobody was granted all");
}

/// A node comes back under a lower number, a higher one and the same, a member lies about numbers, somebody
/// plays recordings: with and without a key no frame lands on another's, nobody whose messages get through is
/// left without an answer, and of a recording nothing is taken. Who comes back asks again.
#[test]
#[cfg_attr(debug_assertions, ignore = "a minute without optimisation: make model")]
fn lives_lies_and_recordings() {
    let one = |policy, tries, keyed: bool, requests: &[_], faults| {
        let key = keyed.then(|| ac::Key::new([9; 32]));
        let announce = policy == Policy::Exclusive;
        let config = Config { key, tries, announce, ..config(policy) };
        let world = World::new(&config, 2, requests, faults).expect("settings");
        // Recordings multiply worlds: there, who was away does not ask again.
        if faults.replays > 0 { world } else { world.with_returning() }
    };
    let alone = &[(0, 1, 0)][..];
    let lies = |lies| Faults { lies, ..NO_FAULTS };
    for policy in [Policy::Exclusive, Policy::PerReceiver] {
        for keyed in [false, true] {
            for number in [Number::Lower, Number::Higher, Number::Same] {
                let faults = Faults { number, ..CRASH };
                explore_exactly(
                    &format!("{policy:?}, back, key {keyed}"),
                    one(policy, 8, keyed, alone, faults),
                );
            }
        }
        explore_exactly(&format!("{policy:?}, lies"), one(policy, 8, true, alone, lies(1)));
        let faults = Faults { replays: 1, ..CRASH };
        explore_exactly(&format!("{policy:?}, recordings"), one(policy, 3, true, alone, faults));
    }
}

const FULL: Faults = Faults { losses: 2, duplicates: 1, crashes: 1, restarts: 1, ..NO_FAULTS };

/// All faults at once.
#[test]
#[cfg_attr(debug_assertions, ignore = "minutes without optimisation: make model")]
fn full_exclusive() {
    explore("Exclusive, full", &config(Policy::Exclusive), SHAPES[0], FULL);
}

/// As above.
#[test]
#[cfg_attr(debug_assertions, ignore = "minutes without optimisation: make model")]
fn full_per_receiver() {
    for requests in [SHAPES[0], SHAPES[2]] {
        explore("PerReceiver, full", &per_receiver(), requests, FULL);
    }
}
