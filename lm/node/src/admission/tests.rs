//! Admission control of one or two nodes without a port: the wire is a list of what would be sent.
//!
//! What a real wire and real rings add is tested by `tests/e2e/test_ac.py` and by the laboratory.

use std::net::Ipv4Addr;

use ac::Policy;

use super::*;

fn setup(address: u32, policy: Policy) -> Setup {
    Setup {
        address: Ipv4Addr::from_bits(address),
        life: 1,
        policy,
        key: None,
        landing: Vec::new(),
        ring: 512,
        burst: 32,
        overlap: true,
        drain: None,
        gap: Duration::ZERO,
    }
}

fn node(setup: Setup) -> Admission {
    Admission::new(setup).expect("settings")
}

/// When a node that begins now has rested.
fn rested() -> Instant {
    Instant::now() + Duration::from_millis(200)
}

/// A wire that keeps what is sent.
#[derive(Default)]
struct Kept {
    messages: Vec<(NodeId, Option<Mac>, Vec<u8>)>,
    flushed: Vec<(Option<Mac>, u16)>,
}

impl Kept {
    /// The kinds of what was sent, and to whom; then it is forgotten.
    fn told(&mut self) -> Vec<(NodeId, u8)> {
        self.messages.drain(..).map(|(to, _, bytes)| (to, bytes[3])).collect()
    }
}

impl Wire for Kept {
    fn message(&mut self, to: NodeId, from: Option<Mac>, payload: &[u8]) {
        self.messages.push((to, from, payload.to_vec()));
    }

    fn flush(&mut self, _: NodeId, landing: Option<Mac>, frames: u16) -> u16 {
        self.flushed.push((landing, frames));
        frames
    }
}

#[test]
fn a_drain_is_longer_than_its_flush() {
    let setup = setup(1, Policy::Exclusive);
    assert_eq!(setup.flush(), 544);
    let on_wire = Duration::from_nanos(672) * u32::from(setup.flush());
    assert!(setup.drain() > on_wire, "{:?} {on_wire:?}", setup.drain());
    let slow = Setup { gap: Duration::from_millis(2), ..setup.clone() };
    assert_eq!(slow.drain(), setup.drain() + Duration::from_millis(18));
    let apart = Setup { overlap: false, drain: Some(Duration::from_millis(2)), ..setup };
    assert_eq!((apart.flush(), apart.drain()), (0, Duration::from_millis(2)));
}

/// The longest that the option takes, too.
#[test]
fn a_frame_is_not_later_behind_a_lease_than_behind_a_grant() {
    let ms = Duration::from_millis;
    for (drain, guard, lease) in
        [(None, 5, 100), (Some(2), 5, 100), (Some(20), 20, 115), (Some(1000), 1000, 1095)]
    {
        let setup = Setup { drain: drain.map(ms), ..setup(1, Policy::PerReceiver) };
        let config = setup.clone().config();
        assert_eq!((config.guard, config.lease, config.granted()), (ms(guard), ms(lease), ms(95)));
        node(setup);
    }
}

#[test]
fn who_strays_in_is_told_who_lands() {
    let apart = |address| Setup { ring: 8, burst: 1, overlap: false, ..setup(address, Policy::Exclusive) };
    let (mut a, mut b, mut wire) = (node(apart(1)), node(apart(2)), Kept::default());
    let rested = rested();
    b.turn(rested, &mut [], &mut wire);
    assert_eq!(a.may(2), May::Ask);
    assert_eq!(a.may(2), May::Wait);
    a.turn(rested, &mut [], &mut wire);
    let (_, _, request) = wire.messages.pop().expect("a request");
    b.heard(0, 3);
    b.received(&request);
    b.turn(rested, &mut [], &mut wire);
    let kinds: Vec<u8> = wire.told().iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [Kind::AppendAddr as u8, Kind::AcqOk as u8], "nobody held the queue before");
    b.heard(0, 1);
    b.turn(rested, &mut [], &mut wire);
    assert!(wire.messages.is_empty(), "the holder is no stranger");
    b.heard(0, 3);
    b.heard(0, 4);
    b.heard(7, 3);
    assert!(b.turn(rested, &mut [], &mut wire) > 0);
    assert_eq!(wire.told(), [(NodeId(3), Kind::AppendAddr as u8)], "one a turn");
}

#[test]
fn data_and_flush_frames_go_to_the_queue_that_was_granted() {
    let landing = [[2, 0, 0, 0, 0, 0x11], [2, 0, 0, 0, 0, 0x12]];
    let rested = rested();
    let mut receiver = node(Setup { landing: landing.to_vec(), ..setup(9, Policy::PerReceiver) });
    receiver.turn(rested, &mut [], &mut Kept::default());
    let mut holders = Vec::new();
    for (number, mac) in (1..).zip(landing) {
        let (mut sender, mut wire) = (node(setup(number, Policy::PerReceiver)), Kept::default());
        assert_eq!(sender.may(9), May::Ask);
        sender.turn(Instant::now(), &mut [], &mut wire);
        receiver.received(&wire.messages.pop().expect("a request").2);
        receiver.turn(rested, &mut [], &mut wire);
        let (to, from, granted) = wire.messages.pop().expect("a grant");
        assert_eq!((to, from), (NodeId(number.into()), Some(mac)), "switches learn where the queue is");
        sender.received(&granted);
        sender.turn(Instant::now(), &mut [], &mut wire);
        assert_eq!(sender.may(9), May::Flush(Some(mac), 544));
        sender.flushed(9, 544);
        assert_eq!(sender.may(9), May::Send(Some(mac)));
        holders.push((sender, mac));
    }
    for (mut sender, mac) in holders {
        let mut wire = Kept::default();
        sender.release(9);
        sender.turn(Instant::now(), &mut [], &mut wire);
        assert_eq!(wire.flushed, [(Some(mac), 544)]);
        let (_, from, _) = wire.messages.pop().expect("an end");
        assert_eq!(from, None);
    }
}

#[test]
fn whoever_lost_the_cpu_is_not_idle() {
    let (mut sender, mut receiver, mut wire) =
        (node(setup(1, Policy::PerReceiver)), node(setup(9, Policy::PerReceiver)), Kept::default());
    let rested = rested();
    receiver.turn(rested, &mut [], &mut wire);
    assert_eq!(sender.may(9), May::Ask);
    sender.turn(Instant::now(), &mut [], &mut wire);
    receiver.received(&wire.messages.pop().expect("a request").2);
    receiver.turn(rested, &mut [], &mut wire);
    // The grant is there when the sender has the CPU again.
    sender.received(&wire.messages.pop().expect("a grant").2);
    let mut later = Instant::now() + IDLE + AWAY;
    sender.turn(later, &mut [], &mut wire);
    assert_eq!(sender.may(9), May::Flush(None, 544));
    for _ in 0..IDLE.div_duration_f64(AWAY) as u32 {
        later += IDLE + AWAY;
        sender.turn(later, &mut [], &mut wire);
    }
    assert!(wire.messages.is_empty(), "it was away, not idle");
    sender.turn(later + AWAY, &mut [], &mut wire);
    sender.turn(later + AWAY, &mut [], &mut wire);
    assert_eq!(wire.told(), [(NodeId(9), Kind::EndMe as u8)], "it had the time to send");
}

#[test]
fn the_paper_has_one_landing_queue_a_node() {
    let two = vec![[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
    let why = Admission::new(Setup { landing: two, ..setup(1, Policy::Exclusive) });
    assert!(why.is_err_and(|why| why.to_string().contains("2 landing queues, but the exclusive policy")));
}
