//! What members and strangers forge, replay and pretend, and what a node's earlier lives have left: rules of
//! `docs/admission-control.md` ("Rules for real networks").

mod net;

use ac::wire::{DecodeError, Message};
use ac::{Config, Event, HandleError, Key, Kind, MAX_LENGTH, Node, NodeId, Policy};
use net::{Net, config, granted, has, ms, node};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn exclusive() -> Net {
    Net::new(&config(Policy::Exclusive), 3)
}

fn keyed(byte: u8) -> Config {
    Config { key: Some(Key::new([byte; 32])), ..config(Policy::Exclusive) }
}

/// Rule 10: where nodes have a key, a message that is not signed with it changes nothing at all.
#[test]
fn forged_messages_change_nothing() {
    let mut net = Net::new(&keyed(1), 3);
    net.request(A, B);
    net.deliver();
    let before: Vec<Node> = net.nodes.clone();
    for kind in Kind::EVERY {
        for key in [None, Some(Key::new([2; 32]))] {
            for to in [A, B, C] {
                let from = node((to + 1) % 3);
                let to_all = matches!(kind, Kind::AppendAddr | Kind::RemoveAddr);
                let forged = Message {
                    incarnation: u64::MAX,
                    sequence: 1000,
                    echo_incarnation: 1,
                    address: from,
                    request: 1,
                    grant: 1,
                    lease: 1_000_000,
                    ..Message::new(kind, from, if to_all { NodeId::ALL } else { node(to) })
                };
                let mut bytes = [0; MAX_LENGTH];
                let n = forged.encode(key.as_ref(), &mut bytes);
                assert_eq!(net.handle(to, &bytes[..n]), Err(HandleError::Decode(DecodeError::Mac)));
                assert_eq!(net.nodes[to].take_counters().forged, 1);
            }
        }
    }
    let strip = |nodes: &[Node]| -> Vec<Node> {
        let mut nodes = nodes.to_vec();
        for n in &mut nodes {
            n.take_counters();
        }
        nodes
    };
    assert!(strip(&net.nodes) == strip(&before));
}

/// Rule 10: without a key, signed messages are refused too: a cluster is of one kind.
#[test]
fn a_key_is_everybodys_or_nobodys() {
    let mut net = Net::new(&config(Policy::Exclusive), 3);
    let mut bytes = [0; MAX_LENGTH];
    let signed = Message { incarnation: 1, sequence: 1, ..Message::new(Kind::Req, node(A), node(B)) };
    let n = signed.encode(Some(&Key::new([1; 32])), &mut bytes);
    assert_eq!(net.handle(B, &bytes[..n]), Err(HandleError::Decode(DecodeError::Mac)));
}

/// Rule 11: a signed message that is recorded and played again is refused, also by a node that has restarted
/// meanwhile and knows nothing.
#[test]
fn replays_change_no_hands() {
    let mut net = Net::new(&keyed(1), 3);
    net.request(A, B);
    let recorded = net.wire[0].1.clone();
    net.deliver();
    net.release(A, B);
    net.wait(ms(5));
    assert_eq!(net.handle(B, &recorded), Err(HandleError::Replayed));
    net.restart(B);
    net.wait(ms(106));
    net.events();
    assert_eq!(
        net.handle(B, &recorded),
        Err(HandleError::Unproven),
        "nobody has proven anything to this life"
    );
    net.deliver();
    assert_eq!(net.handle(B, &recorded), Err(HandleError::Replayed), "older than the proof");
    net.wait(ms(5));
    assert!(!has(&net.events(), B, |e| matches!(e, Event::Opened { .. })));
    assert_eq!(net.nodes[B].counters().opened, 0);
    assert_eq!(net.handle(C, &recorded), Err(HandleError::Misdirected), "for another node");
}

/// Nobody can speak for another's list entry, nor as this node.
#[test]
fn an_address_is_its_owners() {
    let mut net = exclusive();
    let mut bytes = [0; MAX_LENGTH];
    let spoken_for = Message {
        incarnation: 1,
        sequence: 1,
        address: node(A),
        grant: 1,
        lease: 1000,
        ..Message::new(Kind::AppendAddr, node(C), NodeId::ALL)
    };
    let n = spoken_for.encode(None, &mut bytes);
    assert_eq!(net.handle(B, &bytes[..n]), Err(HandleError::Misdirected));
    let own = Message { incarnation: 1, sequence: 1, ..Message::new(Kind::Req, node(B), node(A)) };
    let n = own.encode(None, &mut bytes);
    assert_eq!(net.handle(B, &bytes[..n]), Err(HandleError::Misdirected));
}

/// Whether a request of `from` to `to` is granted before `time` is over.
fn is_served(net: &mut Net, from: usize, to: usize, time: std::time::Duration) -> bool {
    net.events();
    net.request(from, to);
    net.wait(time);
    granted(&net.events(), from) == 1
}

/// Rule 6: a node that comes back is served whatever number it has: a clock that went back, a counter, the
/// last number there is, and the very one of its life before.
#[test]
fn a_restarted_node_is_served_under_any_number() {
    let open = || config(Policy::PerReceiver);
    for config in [open(), Config { key: Some(Key::new([1; 32])), ..open() }] {
        for number in [1000, 1001, 999, 1, u64::MAX, 0] {
            let mut net = Net::new(&Config { incarnation: 1000, ..config.clone() }, 3);
            // Its life before has sent many messages, and ended what it asked for.
            for _ in 0..3 {
                assert!(is_served(&mut net, A, B, ms(10)));
                net.release(A, B);
                net.wait(ms(10));
            }
            net.restart_as(A, number);
            assert!(is_served(&mut net, A, B, ms(20)), "as {number}, key {:?}", config.key);
            net.release(A, B);
            net.wait(ms(10));
            assert!(is_served(&mut net, B, A, ms(150)), "and serves, as {number}");
            assert_ne!(net.nodes[A].config().incarnation, 1000, "two lives have two numbers");
        }
    }
}

/// Rule 6: a receiver that comes back grants again, under any number, too.
#[test]
fn a_restarted_receiver_serves_under_any_number() {
    for key in [None, Some(Key::new([1; 32]))] {
        for number in [1000, 999, u64::MAX] {
            let mut net =
                Net::new(&Config { incarnation: 1000, key: key.clone(), ..config(Policy::PerReceiver) }, 3);
            for _ in 0..3 {
                assert!(is_served(&mut net, A, B, ms(10)));
                net.release(A, B);
                net.wait(ms(10));
            }
            net.restart_as(B, number);
            net.wait(ms(100));
            // Under the number of its life before it grants, is told, and rests for a lease once more.
            assert!(is_served(&mut net, A, B, ms(150)), "as {number}, key {key:?}");
        }
    }
}

/// Rule 10: a member that has the key claims the last incarnation, sequence number, request and grant there
/// are. It locks out nobody.
#[test]
fn a_member_that_lies_locks_nobody_out() {
    let last = |kind, of, to| Message {
        incarnation: u64::MAX,
        sequence: u64::MAX,
        request: u64::MAX,
        grant: u64::MAX,
        lease: u32::MAX,
        address: node(of),
        ..Message::new(kind, node(of), node(to))
    };
    for policy in [Policy::Exclusive, Policy::PerReceiver] {
        for kind in Kind::EVERY {
            for lives in [true, false] {
                let mut net =
                    Net::new(&Config { incarnation: 7, key: Some(Key::new([1; 32])), ..config(policy) }, 3);
                net.refusals = true;
                let lie = |net: &mut Net, to: usize, message: Message| {
                    let mut bytes = [0; MAX_LENGTH];
                    let n = message.encode(net.key.as_ref(), &mut bytes);
                    // Taken or not: what comes of it is what counts.
                    let _ = net.handle(to, &bytes[..n]);
                };
                let life = if lives { 7 } else { u64::MAX };
                for (of, to) in [(A, B), (B, A)] {
                    // It is as if it answered: the echo is right, and in the last line, it knows more of us
                    // than there is.
                    let message = Message { incarnation: life, echo_incarnation: 7, ..last(kind, of, to) };
                    lie(&mut net, to, message);
                    lie(
                        &mut net,
                        to,
                        Message { echo_sequence: u64::MAX, size: 1, sequence: u64::MAX - 1, ..message },
                    );
                }
                // Behind what it listed or ended for a time.
                net.wait(ms(1200));
                for (from, to) in [(A, B), (B, A), (C, A), (C, B), (A, C)] {
                    assert!(
                        is_served(&mut net, from, to, ms(150)),
                        "{policy:?} {kind:?} {lives}: {from} at {to}"
                    );
                    net.release(from, to);
                    net.wait(ms(10));
                }
            }
        }
    }
}

/// Rule 10: a member that hears the challenge and answers it for another life gets that believed. The node
/// whose life it is takes it back by speaking, and its queue is nobody else's before its lease is over.
#[test]
fn a_life_that_was_taken_is_taken_back() {
    let mut net = Net::new(&Config { key: Some(Key::new([1; 32])), ..config(Policy::PerReceiver) }, 3);
    assert!(is_served(&mut net, A, B, ms(5)));
    let (now, until) = (net.now, net.nodes[A].grant(node(B)).expect("held").until);
    let say = |net: &mut Net, message: Message| {
        let mut bytes = [0; MAX_LENGTH];
        let n = Message { incarnation: u64::MAX, ..message }.encode(net.key.as_ref(), &mut bytes);
        net.handle(B, &bytes[..n])
    };
    let request = Message { sequence: 1, address: node(B), ..Message::new(Kind::Req, node(A), node(B)) };
    assert_eq!(say(&mut net, request), Err(HandleError::Unproven));
    let (to, asked) = net.take(Kind::Challenge).remove(0);
    assert_eq!(to, A, "it is A that is asked");
    let nonce = net.read(&asked).size;
    let proof =
        Message { sequence: u64::MAX, request: nonce, ..Message::new(Kind::Challenge, node(A), node(B)) };
    say(&mut net, proof).expect("it is the right nonce");
    net.request(C, B);
    net.pass(until.since(now), true);
    assert_eq!(granted(&net.events(), C), 0, "A may still have been sending");
    net.wait(ms(110));
    assert_eq!(granted(&net.events(), C), 1);
    net.release(C, B);
    net.wait(ms(10));
    assert!(is_served(&mut net, A, B, ms(20)), "A speaks again");
    assert_eq!(
        say(&mut net, Message { sequence: u64::MAX - 1, ..proof }),
        Err(HandleError::Replayed),
        "a nonce is good once"
    );
}

/// Rule 11: of a life that is over nothing is taken, and nothing from before a proof; neither is an answer to
/// a challenge that is over.
#[test]
fn recordings_of_any_life_are_refused() {
    let mut net = Net::new(&Config { key: Some(Key::new([1; 32])), ..config(Policy::PerReceiver) }, 3);
    let mut recorded: Vec<(usize, Vec<u8>)> = Vec::new();
    for life in [9, 3, 12] {
        net.restart_as(A, life);
        net.request(A, B);
        while !net.wire.is_empty() {
            let (to, bytes) = net.wire.remove(0);
            recorded.push((to, bytes.clone()));
            let _ = net.handle(to, &bytes);
        }
        net.wait(ms(110));
        net.nodes[A].release(node(B), net.now);
        net.fetch();
        net.wait(ms(10));
    }
    let kinds = |kind| recorded.iter().filter(|(_, b)| b[3] == kind as u8).count();
    assert!(kinds(Kind::Req) >= 3 && kinds(Kind::Challenge) >= 6, "requests and answers to challenges");
    for restart in [false, true] {
        if restart {
            // It knows nothing of anybody.
            net.restart(B);
            net.wait(ms(110));
        }
        net.events();
        let opened = net.nodes[B].counters().opened;
        for round in 0..2 {
            for (to, bytes) in &recorded {
                let asks = bytes[3] == Kind::Challenge as u8 && net.read(bytes).size != 0;
                let taken = net.handle(*to, bytes);
                assert!(taken.is_err() || asks, "{round}: {:?}", net.read(bytes));
                net.wait(ms(3));
            }
        }
        assert_eq!(net.nodes[B].counters().opened, opened);
        assert!(net.events().is_empty(), "nobody was told anything");
        assert_eq!(net.nodes[A].config().incarnation, 12);
    }
    assert!(is_served(&mut net, A, B, ms(20)));
}

/// Rule 6: challenges cost no more than what raises them.
#[test]
fn a_challenge_is_not_sent_for_each_of_many_messages() {
    let mut net = Net::new(&config(Policy::PerReceiver), 3);
    for n in 1..=100 {
        let mut bytes = [0; MAX_LENGTH];
        let other = Message {
            incarnation: 77,
            sequence: n,
            address: node(B),
            ..Message::new(Kind::Req, node(A), node(B))
        };
        let length = other.encode(None, &mut bytes);
        assert_eq!(net.handle(B, &bytes[..length]), Err(HandleError::Unproven));
    }
    assert_eq!(net.take(Kind::Challenge).len(), 1);
    assert_eq!(net.nodes[B].counters().unproven, 100);
    net.pass(ms(1), false);
    let mut bytes = [0; MAX_LENGTH];
    let other = Message {
        incarnation: 77,
        sequence: 101,
        address: node(B),
        ..Message::new(Kind::Req, node(A), node(B))
    };
    let length = other.encode(None, &mut bytes);
    assert_eq!(net.handle(B, &bytes[..length]), Err(HandleError::Unproven));
    assert_eq!(net.take(Kind::Challenge).len(), 1, "again, when the first may be lost");
}

/// Rule 6: nor is what was asked sent again for each of many challenges; each is answered.
#[test]
fn a_request_is_not_repeated_for_each_of_many_challenges() {
    let mut net = Net::new(&config(Policy::PerReceiver), 3);
    net.request(A, B);
    net.wire.clear();
    for n in 1..=100 {
        let mut bytes = [0; MAX_LENGTH];
        let asks = Message {
            incarnation: 1,
            sequence: n,
            size: n,
            ..Message::new(Kind::Challenge, node(B), node(A))
        };
        let length = asks.encode(None, &mut bytes);
        net.handle(A, &bytes[..length]).expect("taken");
    }
    assert_eq!(net.take(Kind::Challenge).len(), 100);
    assert_eq!(net.take(Kind::Req).len(), 1);
}
