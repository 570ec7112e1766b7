//! The rules of `neighbours`, each by an example in virtual time, and against a model for random events.
//!
//! Attackers who claim addresses, flood the table or invent senders are among the examples.

use proptest::collection::vec;
use proptest::prelude::*;

use super::model::Model;
use super::*;

const A: Mac = [2, 0, 0, 0, 0, 1];
const B: Mac = [2, 0, 0, 0, 0, 2];
const C: Mac = [2, 0, 0, 0, 0, 3];
const LIAR: Mac = [2, 9, 9, 9, 9, 9];
const US: u32 = 0x0a00_0001;
const PEER: u32 = 0x0a00_0002;
const THIRD: u32 = 0x0a00_0003;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

fn packet(operation: u16, sender_mac: Mac, sender: u32, target: u32) -> [u8; MIN_FRAME] {
    Arp { operation, sender_mac, sender, target_mac: [0; 6], target }.frame(BROADCAST)
}

fn request(mac: Mac, sender: u32, target: u32) -> [u8; MIN_FRAME] {
    packet(Arp::REQUEST, mac, sender, target)
}

fn reply(mac: Mac, sender: u32, target: u32) -> [u8; MIN_FRAME] {
    packet(Arp::REPLY, mac, sender, target)
}

/// What an announcement is: a question for one's own address.
fn announcement(mac: Mac, address: u32) -> [u8; MIN_FRAME] {
    request(mac, address, address)
}

/// The table of `A`, and who answers what it asks.
struct Wire {
    table: Neighbours,
    now: Duration,
    /// Who has which address, and answers.
    owners: Vec<(u32, Mac)>,
    /// Where each question went, and for what.
    questions: Vec<(Duration, Mac, u32)>,
}

impl Wire {
    fn new(owners: &[(u32, Mac)]) -> Self {
        Self::of(Neighbours::new(A, US), owners)
    }

    fn of(table: Neighbours, owners: &[(u32, Mac)]) -> Self {
        Self { table, now: S, owners: owners.to_vec(), questions: Vec::new() }
    }

    fn hear(&mut self, frame: &[u8]) -> Option<[u8; MIN_FRAME]> {
        self.table.hear(frame, self.now)
    }

    /// Sends what is due, and hears the answers of those that it reaches.
    fn poll(&mut self) {
        let mut asked = Vec::new();
        self.table.poll(self.now, |frame| {
            asked.push(*frame);
            true
        });
        for frame in asked {
            let arp = Arp::parse(&frame).expect("a question");
            assert_eq!((arp.operation, arp.sender_mac, arp.sender), (Arp::REQUEST, A, US));
            let to: Mac = frame[..6].try_into().expect("six bytes");
            self.questions.push((self.now, to, arp.target));
            for (address, mac) in self.owners.clone() {
                if address == arp.target && (to == BROADCAST || to == mac) {
                    self.hear(&reply(mac, address, US));
                }
            }
        }
    }

    /// Time passes, a millisecond at a time.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += MS;
            self.poll();
        }
    }

    /// Time passes while this address is sent to; the hardware addresses that it had.
    fn send_to(&mut self, address: u32, time: Duration) -> Vec<Option<Mac>> {
        let until = self.now + time;
        let mut had = Vec::new();
        while self.now < until {
            let mac = match self.table.resolve(address, self.now) {
                Resolution::Known(mac) => Some(mac),
                _ => None,
            };
            if had.last() != Some(&mac) {
                had.push(mac);
            }
            self.pass(20 * MS);
        }
        had
    }
}

#[test]
fn two_nodes_learn_each_other() {
    let (mut a, mut b) = (Neighbours::new(A, US), Neighbours::new(B, PEER));
    assert_eq!(a.resolve(PEER, S), Resolution::Asked(None));
    let mut asked = None;
    assert_eq!(a.poll(S, |frame| asked.replace(*frame).is_none()), 1);
    assert_eq!(a.resolve(PEER, S), Resolution::Asked(Some(S)));
    let answer = b.hear(&asked.expect("a question"), S).expect("b answers");
    assert_eq!((b.lookup(US), a.hear(&answer, S)), (Some(A), None));
    assert_eq!(a.resolve(PEER, S), Resolution::Known(B));
}

#[test]
fn fixed_addresses_stay() {
    let mut wire = Wire::new(&[]);
    wire.table.insert(PEER, B);
    assert!(wire.hear(&request(LIAR, PEER, US)).is_some(), "who asks is answered");
    wire.hear(&announcement(LIAR, PEER));
    wire.send_to(PEER, 5 * S);
    assert_eq!((wire.table.lookup(PEER), wire.questions.len()), (Some(B), 0));
    assert_eq!(wire.table.counters().claims, 2);
}

#[test]
fn invented_senders_lock_nobody_out() {
    let mut wire = Wire::new(&[(PEER, B)]);
    for i in 0..5000_u32 {
        let [_, _, high, low] = i.to_be_bytes();
        wire.hear(&request([2, 0xbb, 0, 0, high, low], 0x0b00_0000 + i, US)).expect("an answer");
    }
    assert_eq!(wire.table.strangers.len(), 256);
    wire.hear(&request(B, PEER, US)).expect("the peer is answered");
    assert_eq!(wire.table.lookup(PEER), Some(B));
    assert_eq!(wire.send_to(PEER, S), [Some(B)]);
    // And now that it is sent to, nobody's request can push it out.
    for i in 0..5000_u32 {
        wire.hear(&request([2, 0xbb, 1, 0, 0, 0], 0x0c00_0000 + i, US));
    }
    assert_eq!((wire.table.lookup(PEER), wire.table.strangers.len()), (Some(B), 256));
}

#[test]
fn what_nobody_asked_for_creates_nothing() {
    let mut wire = Wire::new(&[]);
    for frame in [
        reply(B, PEER, US),
        reply(B, PEER, THIRD),
        announcement(B, PEER),
        reply(B, PEER, PEER),
        request(B, PEER, THIRD),
        request(B, 0, US),
    ] {
        wire.hear(&frame);
        assert_eq!((wire.table.lookup(PEER), wire.table.lookup(0)), (None, None));
    }
    assert_eq!(wire.table.due(), None, "there is nobody to look at");
}

#[test]
fn senders_that_no_node_can_be_never_enter() {
    let mut wire = Wire::new(&[]);
    let _ = wire.table.resolve(PEER, wire.now);
    wire.poll();
    let mut bad: Vec<_> = [BROADCAST, [1, 0, 0x5e, 0, 0, 1], [3, 0, 0, 0, 0, 1], [0; 6]]
        .into_iter()
        .flat_map(|mac| [request(mac, PEER, US), reply(mac, PEER, US), announcement(mac, PEER)])
        .collect();
    for address in [u32::MAX, 0xe000_0001, 0xefff_ffff, 0x7f00_0001] {
        bad.extend([request(B, address, US), reply(B, address, US)]);
    }
    for frame in &bad {
        assert_eq!(wire.hear(frame), None, "{frame:02x?}");
    }
    assert_eq!(wire.table.counters().malformed, bad.len() as u64);
    // Our own frames, come back.
    assert_eq!(wire.hear(&announcement(A, US)), None);
    assert_eq!(wire.hear(&request(A, US, PEER)), None);
    // Neither ARP's question nor its answer.
    assert_eq!(wire.hear(&packet(8, B, PEER, US)), None);
    assert_eq!(wire.hear(&[0; 10]), None);
    assert_eq!((wire.table.lookup(PEER), wire.table.peers.len(), wire.table.strangers.len()), (None, 0, 0));
    assert_eq!(wire.table.counters().conflicts, 0);
}

#[test]
fn a_tap_has_one_hardware_address_at_both_ends() {
    let mut wire = Wire::new(&[(PEER, A)]);
    assert_eq!(wire.send_to(PEER, 100 * MS).last(), Some(&Some(A)));
    let answer = wire.hear(&request(A, THIRD, US)).expect("an answer");
    assert_eq!((&answer[..6], wire.table.lookup(THIRD)), (&A[..], Some(A)));
}

#[test]
fn groups_and_ourselves_are_not_asked_for() {
    let mut wire = Wire::new(&[]);
    for address in [US, 0, u32::MAX, 0xe000_0001, 0x7f00_0001] {
        assert_eq!(wire.table.resolve(address, wire.now), Resolution::Nobody);
    }
    wire.pass(S);
    assert_eq!(wire.questions, []);
}

#[test]
fn a_claim_moves_nothing_while_the_owner_answers() {
    let mut wire = Wire::new(&[(PEER, B)]);
    wire.send_to(PEER, 100 * MS);
    wire.questions.clear();
    for lie in [
        reply(LIAR, PEER, US),
        announcement(LIAR, PEER),
        request(LIAR, PEER, US),
        reply(LIAR, PEER, THIRD),
        request(LIAR, PEER, THIRD),
    ] {
        wire.hear(&lie);
        assert_eq!(wire.send_to(PEER, 3 * S), [Some(B)], "after {lie:02x?}");
    }
    assert!(wire.questions.iter().all(|&(_, to, _)| to == B), "the old owner alone is asked");
    assert_eq!(wire.questions.len(), 5, "and once for each");
}

#[test]
fn strangers_are_not_moved_either() {
    let mut wire = Wire::new(&[(PEER, B)]);
    wire.hear(&request(B, PEER, US));
    wire.hear(&request(LIAR, PEER, US));
    wire.pass(2 * S);
    assert_eq!((wire.table.lookup(PEER), wire.questions.len()), (Some(B), 1));
}

#[test]
fn an_announcement_after_a_fail_over_counts_within_two_seconds() {
    for lied_before in [false, true] {
        let mut wire = Wire::new(&[(PEER, B)]);
        wire.send_to(PEER, 100 * MS);
        if lied_before {
            // The owner has just defended its address, and dies.
            wire.hear(&announcement(LIAR, PEER));
            wire.pass(5 * MS);
        }
        wire.owners = vec![(PEER, C)];
        let from = wire.now;
        wire.hear(&announcement(C, PEER));
        assert_eq!(wire.send_to(PEER, 2 * S), [Some(B), Some(C)]);
        let moved = Event::Moved { address: PEER, old: B, new: C };
        assert_eq!((wire.table.next_event(), wire.table.counters().moved), (Some(moved), 1));
        let to_old = wire.questions.iter().filter(|&&(at, to, _)| at >= from && to == B).count();
        assert_eq!(to_old, 3, "the old one was asked three times");
        assert_eq!(wire.questions.last().map(|q| q.1), Some(C), "then the new one has to say so itself");
    }
}

#[test]
fn a_flood_of_claims_costs_two_questions_a_second() {
    let mut wire = Wire::new(&[(PEER, B)]);
    wire.send_to(PEER, 100 * MS);
    wire.questions.clear();
    let until = wire.now + 10 * S;
    let mut turn = 0;
    while wire.now < until {
        let mac = [C, LIAR, B][turn % 3];
        turn += 1;
        wire.hear(&announcement(mac, PEER));
        assert_eq!(wire.table.resolve(PEER, wire.now), Resolution::Known(B));
        wire.pass(MS);
    }
    assert!(wire.questions.len() <= 21, "{} questions", wire.questions.len());
    // Whose claims are silenced by death, not by noise: the owner goes, and the last one that claims gets it.
    wire.owners.clear();
    for _ in 0..2000 {
        wire.hear(&announcement(C, PEER));
        wire.pass(MS);
    }
    assert_eq!(wire.table.lookup(PEER), Some(C));
}

#[test]
fn an_entry_is_renewed_by_unicast_while_it_is_used() {
    let mut wire = Wire::new(&[(PEER, B)]);
    assert_eq!(wire.send_to(PEER, 200 * S).len(), 2, "unknown, then known");
    let questions: Vec<_> = wire.questions.iter().map(|&(at, to, _)| (at.as_secs(), to)).collect();
    assert_eq!(questions[0], (1, BROADCAST));
    assert!(questions[1..].iter().all(|&(_, to)| to == B), "{questions:?}");
    assert_eq!(questions.len(), 1 + 6, "every 30 s: {questions:?}");
}

#[test]
fn an_owner_that_is_silent_is_gone_and_asked_for_anew() {
    let mut wire = Wire::new(&[(PEER, B)]);
    wire.send_to(PEER, S);
    wire.owners.clear();
    assert_eq!(wire.send_to(PEER, 28 * S), [Some(B)]);
    assert_eq!(wire.send_to(PEER, 7 * S), [Some(B), None]);
    let unicast = wire.questions.iter().filter(|q| q.1 == B).count();
    assert_eq!(unicast, 3);
    wire.owners = vec![(PEER, C)];
    assert_eq!(wire.send_to(PEER, 2 * S), [None, Some(C)], "somebody else answers the broadcast");
}

#[test]
fn what_is_not_used_is_forgotten_and_not_asked_for() {
    let mut wire = Wire::new(&[(PEER, B)]);
    wire.send_to(PEER, S);
    wire.hear(&request(C, THIRD, US));
    let questions = wire.questions.len();
    wire.pass(FORGET.saturating_sub(S));
    assert_eq!((wire.table.lookup(PEER), wire.table.lookup(THIRD)), (Some(B), Some(C)));
    wire.pass(2 * S);
    assert_eq!((wire.table.lookup(PEER), wire.table.lookup(THIRD)), (None, None));
    assert_eq!((wire.questions.len(), wire.table.due()), (questions, None));
}

#[test]
fn who_asked_first_is_asked_before_it_is_trusted_for_long() {
    let mut wire = Wire::new(&[(PEER, B)]);
    wire.hear(&request(LIAR, PEER, US));
    // Its word is all that there is; it does not answer, so all are asked, and the owner does.
    assert_eq!(wire.send_to(PEER, 5 * S), [Some(LIAR), Some(B)]);
}

#[test]
fn our_own_address_in_use_is_told_once_and_counted() {
    let mut wire = Wire::new(&[]);
    for mac in [LIAR, C, LIAR] {
        assert_eq!(wire.hear(&announcement(mac, US)), None);
        assert_eq!(wire.hear(&request(mac, US, PEER)), None);
        assert_eq!(wire.hear(&reply(mac, US, US)), None);
    }
    assert_eq!((wire.table.next_event(), wire.table.next_event()), (Some(Event::Conflict(LIAR)), None));
    assert_eq!(wire.table.counters().conflicts, 9);
    assert_eq!(wire.table.lookup(US), None);
    // Who only asks whether it is free is told that it is not.
    let answer = wire.hear(&request(C, 0, US)).expect("an answer");
    assert_eq!((&answer[..6], Arp::parse(&answer).map(|a| a.sender)), (&C[..], Some(US)));
}

#[test]
fn questions_are_bounded_and_go_to_the_named_ones_first() {
    let mut wire = Wire::new(&[]);
    wire.table.pin(PEER);
    let _ = wire.table.resolve(PEER, wire.now);
    for second in 0..10_u32 {
        for i in 0..2000 {
            let _ = wire.table.resolve(0x0b00_0000 + second * 2000 + i, wire.now);
            let _ = wire.table.resolve(PEER, wire.now);
            wire.now += S / 4000;
            wire.poll();
        }
    }
    let ours = wire.questions.iter().filter(|q| q.2 == PEER).count();
    assert!((8..=14).contains(&ours), "the named one is asked as if there were no others: {ours}");
    let elapsed = wire.now.saturating_sub(S).as_millis() as usize;
    assert!(wire.questions.len() <= elapsed + 101, "{} in {elapsed} ms", wire.questions.len());
    assert!(wire.table.asked.len() <= 256);
}

#[test]
fn a_queue_that_takes_nothing_costs_no_question() {
    let mut wire = Wire::new(&[(PEER, B)]);
    wire.send_to(PEER, 100 * MS);
    wire.hear(&announcement(LIAR, PEER));
    for _ in 0..3000 {
        wire.now += MS;
        wire.table.poll(wire.now, |_| false);
    }
    assert_eq!(wire.table.lookup(PEER), Some(B), "the owner could not be asked, so nothing is moved");
    assert_eq!(wire.send_to(PEER, 2 * S), [Some(B)]);
}

#[derive(Clone, Debug)]
enum Step {
    Send(u32),
    /// A packet, and whether it has LM's mark.
    Hear(Arp, bool),
    Pass {
        ms: u64,
        room: usize,
        answer: bool,
    },
}

/// Few addresses and few nodes, so that they meet.
fn step() -> impl Strategy<Value = Step> {
    let address = || prop_oneof![9 => PEER..PEER + 6, 1 => Just(US), 1 => Just(0)];
    let arp = (1..=2_u16, 2..6_u8, address(), address()).prop_map(|(operation, mac, sender, target)| Arp {
        operation,
        sender_mac: [2, 0, 0, 0, 0, mac],
        sender,
        target_mac: A,
        target,
    });
    let ms = prop_oneof![6 => 2..60_u64, 3 => 300..1100_u64, 1 => 20_000..130_000_u64];
    prop_oneof![
        3 => (PEER..PEER + 6).prop_map(Step::Send),
        4 => (arp, any::<bool>()).prop_map(|(arp, lm)| Step::Hear(arp, lm)),
        4 => (ms, prop_oneof![4 => Just(usize::MAX), 1 => 0..2_usize], any::<bool>())
            .prop_map(|(ms, room, answer)| Step::Pass { ms, room, answer }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_table_is_the_simple_one(
        steps in vec(step(), 1..150), pin in proptest::option::of(PEER..PEER + 6),
    ) {
        let limits = Limits { peers: 2, strangers: 2, asked: 2 };
        let mut table = Neighbours::with_limits(A, US, limits);
        let mut model = Model::new(A, US, limits, pin.into_iter().collect());
        pin.into_iter().for_each(|address| table.pin(address));
        let mut now = S;
        for step in steps {
            match step {
                Step::Send(address) => {
                    prop_assert_eq!(table.resolve(address, now), model.resolve(address, now));
                }
                Step::Hear(arp, lm) => {
                    let mut frame = arp.frame(BROADCAST);
                    if lm {
                        Mark::put(&mut frame);
                    }
                    let answered = table.hear(&frame, now).is_some();
                    prop_assert_eq!(answered, model.hear(&arp, lm, now), "{:?}", arp);
                }
                Step::Pass { ms, room, answer } => {
                    now += Duration::from_millis(ms);
                    let mut asked = Vec::new();
                    table.poll(now, |frame| {
                        let goes = asked.len() < room;
                        if goes {
                            asked.push(*frame);
                        }
                        goes
                    });
                    let of = |frame: &[u8; MIN_FRAME]| Arp::parse(frame).map_or(0, |arp| arp.target);
                    prop_assert_eq!(asked.iter().map(of).collect::<Vec<_>>(), model.poll(now, room));
                    for frame in asked.iter().filter(|frame| answer && frame[0] & 1 == 0) {
                        let mac = frame[..6].try_into().expect("six bytes");
                        let sender = of(frame);
                        let arp = Arp { operation: 2, sender_mac: mac, sender, target_mac: A, target: US };
                        table.hear(&arp.frame(A), now);
                        model.hear(&arp, false, now);
                    }
                }
            }
            for address in PEER..PEER + 6 {
                prop_assert_eq!(table.lookup(address), model.lookup(address), "{:#x} at {:?}", address, now);
                prop_assert_eq!(table.is_lm(address), model.is_lm(address), "{:#x} at {:?}", address, now);
            }
            let len = table.peers.len() + table.strangers.len() + table.asked.len();
            prop_assert_eq!((len, table.counters()), (model.len(), model.counters));
            while table.next_event().is_some() {}
        }
    }

    /// Whoever answers keeps its address, whatever others say; and whoever takes it over has it in two
    /// seconds.
    #[test]
    fn who_answers_keeps_its_address(
        lies in vec((0..3_u8, 0..4_u8, 0..400_u64), 1..60),
        takes_over in any::<bool>(),
    ) {
        let mut wire = Wire::new(&[(PEER, B)]);
        wire.send_to(PEER, 100 * MS);
        for (kind, who, ms) in lies {
            let mac = [LIAR, C, [2, 0, 0, 0, 0, 7], [4, 4, 4, 4, 4, 4]][usize::from(who)];
            wire.hear(&match kind {
                0 => announcement(mac, PEER),
                1 => reply(mac, PEER, US),
                _ => request(mac, PEER, US),
            });
            prop_assert_eq!(wire.send_to(PEER, Duration::from_millis(ms.max(1))), [Some(B)]);
        }
        if takes_over {
            wire.owners = vec![(PEER, C)];
            wire.hear(&announcement(C, PEER));
            let had = wire.send_to(PEER, 2 * S);
            prop_assert_eq!(had.last(), Some(&Some(C)));
        }
    }
}
