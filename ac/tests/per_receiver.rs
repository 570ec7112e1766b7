//! The policy `PerReceiver`: many receivers at once, a fair queue at each, priorities and a bound on hold
//! time.

mod net;

use ac::{Config, ConfigError, Event, Policy, RequestError, State};
use net::{Net, config, ms, node};

fn per_receiver() -> Config {
    config(Policy::PerReceiver)
}

/// Who was granted, in order.
fn granted(net: &mut Net) -> Vec<usize> {
    net.events().iter().filter(|(_, e)| matches!(e, Event::Granted { .. })).map(|(n, _)| *n).collect()
}

#[test]
fn receivers_grant_at_once() {
    let mut net = Net::new(&per_receiver(), 4);
    net.request(0, 1);
    net.request(2, 3);
    net.request(1, 0);
    net.deliver();
    let mut who = granted(&mut net);
    who.sort_unstable();
    assert_eq!(who, [0, 1, 2]);
}

#[test]
fn one_queue_is_granted_to_one_at_a_time_in_order() {
    let mut net = Net::new(&per_receiver(), 5);
    for n in 0..4 {
        net.request(n, 4);
        net.deliver();
    }
    assert_eq!(granted(&mut net), [0]);
    assert_eq!(net.nodes[4].waiting(), 3);
    for n in 0..4 {
        assert_eq!(net.nodes[4].landing(0), Some((State::Granted, Some(node(n)))));
        net.release(n, 4);
        net.wait(ms(2));
        assert_eq!(granted(&mut net), if n < 3 { vec![n + 1] } else { vec![] });
    }
}

#[test]
fn each_landing_queue_has_its_holder() {
    let config = Config { queues: 2, announce: false, ..per_receiver() };
    let mut net = Net::new(&config, 4);
    for n in 0..3 {
        net.request(n, 3);
        net.deliver();
    }
    let queue = |net: &Net, n: usize| net.nodes[n].grant(node(3)).map(|g| g.queue);
    assert_eq!([0, 1, 2].map(|n| queue(&net, n)), [Some(0), Some(1), None]);
    assert!(net.nodes.iter().all(|n| n.list().is_empty()), "steered queues are not announced");
    net.release(0, 3);
    net.wait(ms(2));
    assert_eq!([0, 1, 2].map(|n| queue(&net, n)), [None, Some(1), Some(0)]);
}

#[test]
fn a_grant_says_where_its_queue_is() {
    let landing = vec![[2, 0, 0, 0, 0, 0x11], [2, 0, 0, 0, 0, 0x12]];
    let config = Config { queues: 2, landing: landing.clone(), announce: false, ..per_receiver() };
    let mut net = Net::new(&config, 3);
    for n in 0..2 {
        net.request(n, 2);
        net.deliver();
    }
    let where_to = |net: &Net, n: usize| net.nodes[n].grant(node(2)).and_then(|g| g.landing);
    assert_eq!([0, 1].map(|n| where_to(&net, n)), [Some(landing[0]), Some(landing[1])]);
    net.release(0, 2);
    net.wait(ms(2));
    net.request(0, 2);
    net.deliver();
    assert_eq!(where_to(&net, 0), Some(landing[0]));
}

#[test]
fn landing_addresses_are_one_a_queue_and_no_groups() {
    let check =
        |queues, landing: &[[u8; 6]]| Config { queues, landing: landing.to_vec(), ..per_receiver() }.check();
    let (one, group) = ([2, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1]);
    assert_eq!(check(2, &[]), Ok(()));
    assert_eq!(check(1, &[one]), Ok(()));
    for (queues, landing) in [(2, &[one][..]), (1, &[one, one])] {
        let addresses = landing.len();
        assert_eq!(check(queues, landing), Err(ConfigError::Landing { addresses, queues }));
    }
    for address in [group, [0; 6]] {
        assert_eq!(check(1, &[address]), Err(ConfigError::Station(address)));
    }
}

#[test]
fn a_grant_to_no_station_is_no_message() {
    let mut net = Net::new(&per_receiver(), 2);
    net.request(0, 1);
    let (_, req) = net.wire.remove(0);
    net.handle(1, &req).expect("taken");
    let (_, ok) = net.take(ac::Kind::AcqOk).remove(0);
    for wrong in [[0, 0, 1, 0, 0, 0, 0, 1], [0, 1, 2, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 0]] {
        let mut bytes = ok.clone();
        bytes[64..72].copy_from_slice(&wrong);
        assert!(net.handle(0, &bytes).is_err(), "{wrong:?}");
    }
    net.handle(0, &ok).expect("taken");
    assert_eq!(granted(&mut net), [0]);
}

#[test]
fn priority_goes_first() {
    let mut net = Net::new(&per_receiver(), 5);
    net.request(0, 4);
    net.deliver();
    for (n, priority) in [(1, 0), (2, 3), (3, 7)] {
        net.nodes[n].request(node(4), 1, priority, net.now).expect("a request");
        net.fetch();
        net.deliver();
    }
    let places: Vec<_> = net
        .events()
        .iter()
        .filter_map(
            |(n, e)| if let Event::Queued { position, .. } = e { Some((*n, *position)) } else { None },
        )
        .collect();
    assert_eq!(places, [(1, 0), (2, 0), (3, 0)], "each goes before those that are there");
    for (n, next) in [(0, 3), (3, 2), (2, 1)] {
        net.release(n, 4);
        net.wait(ms(2));
        assert_eq!(granted(&mut net), [next]);
    }
}

/// A lease is renewed while it is held, but not beyond the bound on hold time; then the next one is served.
#[test]
fn nobody_holds_for_ever() {
    let config = Config { hold: ms(250), ..per_receiver() };
    let mut net = Net::new(&config, 3);
    net.request(0, 2);
    net.deliver();
    let start = net.now;
    net.request(1, 2);
    net.wait(ms(200));
    assert_eq!(granted(&mut net), [0], "renewed twice over");
    net.wait(ms(60));
    let events = net.events();
    let lapsed = |(n, e): &(usize, Event)| *n == 0 && matches!(e, Event::Lapsed { .. });
    assert!(events.iter().any(lapsed));
    assert!(events.iter().any(|(n, e)| *n == 1 && matches!(e, Event::Granted { .. })), "{events:?}");
    assert!(net.now.since(start) <= ms(261));
}

/// A stream of datagrams under one grant costs two messages per lease, none per datagram.
#[test]
fn a_grant_is_for_many_datagrams() {
    let config = Config { announce: false, hold: ms(10_000), ..per_receiver() };
    let mut net = Net::new(&config, 2);
    net.request(0, 1);
    net.deliver();
    let before = net.nodes[0].counters().sent + net.nodes[1].counters().sent;
    net.wait(ms(1000));
    assert!(net.nodes[0].grant(node(1)).is_some());
    let messages = net.nodes[0].counters().sent + net.nodes[1].counters().sent - before;
    // A lease of 95 ms usable is renewed at its half: 21 times in a second of 1850 datagrams of 64 KB.
    assert!((38..=46).contains(&messages), "{messages}");
    assert_eq!(net.nodes[0].request(node(1), 1, 0, net.now), Err(RequestError::InProgress));
}

/// Where an answer takes longer than a sender waits before it asks again, as behind a queue full of
/// datagrams, each renewal is asked for and answered more than once: the grant is held all the same.
#[test]
fn a_renewal_that_is_answered_twice() {
    let config = Config { announce: false, hold: ms(10_000), ..per_receiver() };
    let mut net = Net::new(&config, 2);
    net.request(0, 1);
    net.deliver();
    let mut late = std::collections::VecDeque::new();
    for _ in 0..1000 {
        net.pass(ms(1), false);
        late.push_back(std::mem::take(&mut net.wire));
        if late.len() > 2 {
            for (to, bytes) in late.pop_front().into_iter().flatten() {
                // Some say the same once more.
                let _ = net.handle(to, &bytes);
            }
        }
    }
    assert!(net.nodes[1].counters().received > 30, "each was asked for twice");
    let events = net.events();
    assert!(!events.iter().any(|(_, e)| matches!(e, Event::Lapsed { .. })), "{events:?}");
    assert!(net.nodes[0].grant(node(1)).is_some());
}

/// Who waits and dies is forgotten; who waits and lives is not.
#[test]
fn a_dead_waiter_is_forgotten() {
    let config = Config { hold: ms(400), ..per_receiver() };
    let mut net = Net::new(&config, 4);
    for n in 0..3 {
        net.request(n, 3);
        net.deliver();
    }
    let now = net.now;
    net.nodes[1].release(node(3), now);
    // Its LM_ENDME is lost, and it never repeats.
    let mut bytes = [0; ac::MAX_LENGTH];
    while net.nodes[1].poll_transmit(&mut bytes).is_some() {}
    net.wait(ms(101));
    assert_eq!(net.nodes[3].waiting(), 1);
    net.events();
    net.release(0, 3);
    net.wait(ms(2));
    assert_eq!(granted(&mut net), [2]);
}

/// `LM_ENDME` says how many flush frames follow it: as many as the grant named, bounded, and only behind the
/// first.
#[test]
fn flush_frames_follow_the_first_end() {
    for (named, sent) in [(288, 288), (u16::MAX, 8192)] {
        let mut net = Net::new(&Config { flush: named, ..per_receiver() }, 2);
        net.request(0, 1);
        net.deliver();
        let now = net.now;
        net.nodes[0].release(node(1), now);
        let (mut bytes, mut told) = ([0; ac::MAX_LENGTH], Vec::new());
        for time in [ms(0), ms(1), ms(3)] {
            net.nodes[0].handle_timeout(now + time);
            while let Some(t) = net.nodes[0].poll_transmit(&mut bytes) {
                told.push((t.kind, t.flush, net.read(&bytes[..t.length]).flush));
            }
        }
        let end = ac::Kind::EndMe;
        assert_eq!(told, [(end, sent, sent), (end, 0, 0), (end, 0, 0)]);
    }
}

/// A life before may still send, as far as its receiver knows: a ring that is through does not end that
/// drain, the lease does.
#[test]
fn the_guard_behind_a_restart_outlasts_the_ring() {
    let mut net = Net::new(&Config { guard: ms(5), drain: ms(1), ..per_receiver() }, 3);
    net.request(0, 2);
    net.deliver();
    net.restart(0);
    net.request(0, 2);
    net.deliver();
    assert_eq!(net.nodes[2].landing(0), Some((State::Draining, None)));
    let now = net.now;
    net.nodes[2].drained(0, now);
    assert_eq!(net.nodes[2].landing(0), Some((State::Draining, None)));
    net.wait(ms(99));
    assert_eq!(net.nodes[2].landing(0), Some((State::Draining, None)));
    assert_eq!(net.nodes[0].state(node(2)), State::Waiting);
    net.wait(ms(1));
    assert_eq!(
        net.nodes[0].state(node(2)),
        State::Holding,
        "served when the lease of its life before is over"
    );
}

/// The flush count is told with the grant, and `drained` ends the drain sooner.
#[test]
fn the_engine_flushes_and_drains() {
    let config = Config { flush: 256, drain: ms(50), ..per_receiver() };
    let mut net = Net::new(&config, 3);
    net.request(0, 2);
    net.deliver();
    assert_eq!(net.nodes[0].grant(node(2)).map(|g| g.flush), Some(256));
    net.request(1, 2);
    net.deliver();
    net.release(0, 2);
    net.deliver();
    assert!(net.events().contains(&(2, Event::Closed { queue: 0 })));
    assert_eq!(net.nodes[2].landing(0), Some((State::Draining, None)));
    let now = net.now;
    net.nodes[2].drained(0, now);
    net.fetch();
    net.deliver();
    assert_eq!(granted(&mut net), [1]);
}
