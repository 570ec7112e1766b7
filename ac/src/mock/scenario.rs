//! A scenario out of bytes: what the property tests, the fuzz harness and its regressions all run.
//!
//! The bytes choose settings, then act after act of a [`World`], and now and then throw bytes of their own at
//! a node: noise, or a message of the wire with some of it changed. Frames judge. Where the cluster has a
//! key, noise must change nothing at all, so the judgement stands; without one, the protocol is open and only
//! panics and loops are looked for.

use core::time::Duration;

use super::{Act, Faults, Number, World};
use crate::config::Config;
use crate::mac::Key;
use crate::machine::Policy;
use crate::wire::{MAX_LENGTH, Message, NodeId};

/// Bytes that run out into zeroes.
struct Tape<'a>(&'a [u8]);

impl Tape<'_> {
    fn next(&mut self) -> u8 {
        let Some((&b, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        b
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.next()) % n.max(1)
    }
}

/// Acts of a scenario at most, before it is brought to rest.
const ACTS: usize = 300;

/// Acts that bringing it to rest may take: more is a loop.
const REST: usize = 20_000;

/// Runs the scenario that `input` describes. Returns the number of grants that were given.
///
/// # Errors
/// What went wrong, in a sentence.
pub fn run(input: &[u8]) -> Result<usize, String> {
    let mut tape = Tape(input);
    let keyed = tape.next().is_multiple_of(2);
    let config = config(&mut tape, keyed);
    let nodes = 2 + tape.below(3);
    let mut requests = Vec::new();
    for _ in 0..=tape.below(7) {
        let from = tape.below(nodes);
        let to = (from + 1 + tape.below(nodes - 1)) % nodes;
        requests.push((from, to, tape.next() % 8));
    }
    let faults = Faults {
        losses: tape.next() % 16,
        duplicates: tape.next() % 8,
        crashes: tape.next() % 3,
        restarts: tape.next() % 3,
        late: u8::MAX,
        lies: tape.next() % 4,
        replays: tape.next() % 8,
        number: if tape.next().is_multiple_of(2) { Number::Lower } else { Number::Higher },
    };
    let mut world = World::new(&config, nodes, &requests, faults).map_err(|e| e.to_string())?;
    let mut acts: Vec<Act> = Vec::new();
    for _ in 0..ACTS {
        if tape.0.is_empty() {
            break;
        }
        acts.clear();
        world.progress(&mut acts);
        let choice = usize::from(tape.next());
        match choice {
            0..16 => noise(&mut tape, &mut world, nodes, &config),
            16..48 => world.mishaps(&mut acts),
            _ => {}
        }
        if choice >= 16 && !acts.is_empty() {
            let act = acts[tape.below(acts.len())];
            trace(&world, act);
            world.act(act);
        }
        judge(&world, keyed)?;
    }
    for _ in 0..REST {
        acts.clear();
        world.progress(&mut acts);
        // The first that is not a choice of the application's; it stops asking when all was asked.
        let Some(&act) = acts.first() else {
            judge(&world, keyed)?;
            return Ok(world.grants());
        };
        trace(&world, act);
        world.act(act);
        judge(&world, keyed)?;
    }
    Err("the cluster never came to rest".to_owned())
}

/// `LM_AC_TRACE=1` prints every act: to read a failure by.
fn trace(world: &World, act: Act) {
    if std::env::var_os("LM_AC_TRACE").is_some() {
        let message = match act {
            Act::Deliver(p) | Act::Lose(p) | Act::Duplicate(p) => world.wire().nth(p),
            _ => None,
        };
        println!("{:?}: {act:?} {message:?}", world.now());
    }
}

fn judge(world: &World, keyed: bool) -> Result<(), String> {
    match world.violation() {
        Some(why) if keyed => Err(why.to_owned()),
        _ => Ok(()),
    }
}

fn config(tape: &mut Tape<'_>, keyed: bool) -> Config {
    let policy = if tape.next().is_multiple_of(2) { Policy::Exclusive } else { Policy::PerReceiver };
    let bits = tape.next();
    let ms = Duration::from_millis;
    Config {
        queues: if policy == Policy::PerReceiver { 1 + bits % 3 } else { 1 },
        announce: policy == Policy::Exclusive || bits & 4 == 0,
        wait_when_listed: bits & 8 != 0,
        start_early: bits & 16 != 0,
        key: keyed.then(|| Key::new([7; 32])),
        lease: ms(20),
        hold: ms(if bits & 32 == 0 { 20 } else { 50 }),
        guard: ms(1),
        flight: ms(2),
        drain: ms(2),
        retry: ms(u64::from(1 + tape.next() % 8)),
        tries: 1 + tape.next() % 4,
        announce_every: ms(7),
        nodes: 4,
        ..Config::new(NodeId(1), 1, policy)
    }
}

/// Bytes that no node has sent: anything, or a message of the wire with some of it changed.
fn noise(tape: &mut Tape<'_>, world: &mut World, nodes: usize, config: &Config) {
    let to = tape.below(nodes);
    let mut bytes = [0; MAX_LENGTH];
    let messages = world.wire().count();
    let picked = tape.below(messages + 1);
    let length = if let Some((_, message)) = world.wire().nth(picked) {
        message.encode(config.key.as_ref(), &mut bytes)
    } else {
        let from = NodeId(1 + tape.below(6) as u64);
        let kind = crate::wire::Kind::EVERY[tape.below(6)];
        let message = Message::new(kind, from, NodeId(to as u64 + 1));
        Message { incarnation: 1, address: from, ..message }.encode(None, &mut bytes)
    };
    for _ in 0..=tape.below(8) {
        let at = tape.below(length);
        bytes[at] ^= 1 << tape.below(8);
    }
    let cut = if tape.next().is_multiple_of(4) { tape.below(length + 1) } else { length };
    let before = world.clone();
    world.deliver(to, &bytes[..cut]);
    // What nobody signed changes nothing, unless nothing was changed in it.
    debug_assert!(
        config.key.is_none()
            || *world == before
            || world.wire().any(|(_, m)| {
                let mut same = [0; MAX_LENGTH];
                let n = m.encode(config.key.as_ref(), &mut same);
                same[..n] == bytes[..cut]
            })
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Inputs that failed once.
    const REGRESSIONS: &[&[u8]] = &[
        &[
            14, 44, 0, 0, 0, 29, 20, 215, 0, 0, 4, 8, 2, 59, 53, 0, 142, 32, 93, 252, 66, 0, 8, 64, 0, 31,
            109, 24, 97, 1, 11, 1, 106, 1, 0, 48, 152, 16, 234, 48, 19, 16, 1, 48, 46, 48, 28, 48, 65, 48,
            241, 16, 205, 16, 214, 0, 0, 0, 137, 0, 0, 0, 1, 29, 48, 56, 48, 40, 48, 125, 48, 52, 48, 119,
            16, 142, 16, 172,
        ],
        // A grant that was given back, and another message that gives it.
        &[
            86, 178, 254, 112, 183, 202, 47, 136, 199, 125, 159, 192, 122, 155, 52, 176, 231, 234, 186, 88,
            83, 195, 23, 30, 6, 126, 1, 57, 12, 188, 159, 73, 6, 108, 191, 148, 238, 150, 241, 7, 201, 98,
            48, 37, 161, 175, 210, 244, 103, 249, 58, 178, 62, 37, 89, 79, 152, 185, 37, 94, 85, 43, 51, 184,
            216, 248, 183, 15, 72, 218, 129, 145, 33, 99, 123, 246, 73, 41, 179, 107, 3, 92, 91, 50, 110,
            210, 4, 47, 248, 136, 98, 182, 91, 34, 96, 140, 147, 81, 178, 152, 50, 120, 143, 44, 157, 9, 124,
            163, 84, 183, 100, 4, 254, 105, 112, 194, 15, 177, 250, 83, 103, 171, 113, 191, 203, 47, 169, 4,
            122, 63, 139, 139, 204, 223, 102, 20, 164, 63, 147, 146, 242, 40, 65, 198, 74, 82, 35, 250, 94,
            70, 8, 18, 1, 42, 110, 203, 100, 186, 193, 96, 218, 227, 42, 24, 84, 203, 151, 135, 103, 230,
            219, 79, 64, 49, 95, 45, 11, 122, 29, 24, 10, 130, 228, 97, 202, 215, 247, 33, 135, 186, 40, 221,
            40, 20, 192, 77, 227,
        ],
    ];

    #[test]
    fn regressions() {
        for input in REGRESSIONS {
            run(input).unwrap_or_else(|why| panic!("{why}: {input:?}"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_bytes_are_a_scenario(input in prop::collection::vec(any::<u8>(), 1..600)) {
            if let Err(why) = run(&input) {
                prop_assert!(false, "{}", why);
            }
        }
    }
}
