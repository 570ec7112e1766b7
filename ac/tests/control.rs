//! `ac::control`: two nodes whose lanes are joined, a full channel, and the loop.
//!
//! The tests carry the orders of one node to the other as a data lcore would.

mod counting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ac::control::{self, Answer, Caller, Control, ControlMessage, Lane, Order};
use ac::{Config, Event, Instant, Node, NodeId, Policy};
use counting::allocations;

struct End {
    control: Control,
    lane: Lane,
    caller: Caller,
}

fn end(number: u64) -> End {
    let config = Config::new(NodeId(number), 1, Policy::PerReceiver);
    let mut control = Control::new(Node::new(config, Instant::ZERO).expect("a good configuration"));
    let (lane, caller) = (control.lane(), control.caller());
    End { control, lane, caller }
}

/// Carries messages from one to the other; other orders are kept.
fn carry(from: &mut End, to: &mut End, orders: &mut Vec<Order>) {
    while let Some(order) = from.lane.order() {
        match order {
            Order::Transmit { message, .. } => to.lane.received(message.bytes()),
            other => orders.push(other),
        }
    }
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

#[test]
fn a_request_is_granted_and_released_through_the_channels() {
    let (mut a, mut b) = (end(1), end(2));
    // A node rests after its start.
    let mut now = 1000;
    for end in [&mut a, &mut b] {
        end.control.turn(at(now));
    }
    a.caller.request(NodeId(2), 1 << 20, 0).expect("room");
    let (mut orders, mut answers) = (Vec::new(), Vec::new());
    let mut released = false;
    for _ in 0..100 {
        now += 1;
        a.control.turn(at(now));
        carry(&mut a, &mut b, &mut Vec::new());
        b.control.turn(at(now));
        carry(&mut b, &mut a, &mut orders);
        while let Some(answer) = a.caller.answer() {
            if let Answer::Event(Event::Granted { to, .. }) = answer {
                a.caller.release(to).expect("room");
                released = true;
            }
            answers.push(answer);
        }
        for order in &orders {
            if let Order::Close { queue } = order {
                b.lane.drained(*queue);
            }
        }
    }
    assert!(released, "{answers:?}");
    assert!(matches!(answers[0], Answer::Taken { to: NodeId(2), .. }), "{answers:?}");
    assert!(orders.contains(&Order::Open { queue: 0, holder: NodeId(1) }), "{orders:?}");
    assert!(orders.contains(&Order::Close { queue: 0 }), "{orders:?}");
    assert_eq!(a.control.latency().count(), 1);
    assert_eq!((a.control.lost(), b.control.lost()), (0, 0));
    // Asked twice, it says why it does not take the second.
    a.caller.request(NodeId(1), 1, 0).expect("room");
    a.control.turn(at(now));
    assert!(matches!(a.caller.answer(), Some(Answer::NotTaken { to: NodeId(1), .. })));
}

#[test]
fn a_data_lcore_neither_blocks_nor_allocates_and_losses_are_counted() {
    let mut end = end(1);
    let junk = [0_u8; 96];
    let before = allocations();
    for _ in 0..5000 {
        end.lane.received(&junk);
        end.lane.stray(NodeId(7));
        end.lane.drained(0);
        assert_eq!(end.lane.order(), None);
    }
    end.lane.received(&[0; 4096]);
    assert_eq!(allocations(), before, "the lane allocates");
    // All but what the channel holds.
    assert_eq!(end.control.lost(), 15_001 - 1024);
    while end.control.turn(at(1000)) > 0 {}
    assert!(end.control.node().counters().malformed > 300, "{:?}", end.control.node().counters());
    assert_eq!(ControlMessage::new(&[0; 4096]), None);
}

/// The loop of the programs, on a thread of this test's.
#[test]
fn the_loop_takes_turns_until_it_is_told_to_stop() {
    for patience in [0, u32::MAX] {
        let mut end = end(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (told, start) = (Arc::clone(&stop), std::time::Instant::now());
        let thread = std::thread::spawn(move || {
            control::run(&told, patience, || {
                end.control.turn(Instant::from_nanos(start.elapsed().as_nanos() as u64))
            });
            end.control
        });
        end.caller.request(NodeId(9), 1, 0).expect("room");
        let until = std::time::Instant::now() + Duration::from_secs(20);
        let mut answer = None;
        while answer.is_none() && std::time::Instant::now() < until {
            answer = end.caller.answer();
            std::thread::yield_now();
        }
        assert!(matches!(answer, Some(Answer::Taken { to: NodeId(9), .. })), "{answer:?}");
        stop.store(true, Ordering::Release);
        let control = thread.join().expect("it does not panic");
        assert!(control.node().counters().sent > 0, "the request went out");
    }
}

/// A node whose link has just come up, or that had no CPU, finds a request before it has seen that its rest
/// is over.
#[test]
fn a_rest_that_is_over_refuses_nobody() {
    let (mut a, mut b) = (end(1), end(2));
    let now = at(1000);
    a.control.turn(now);
    a.caller.request(NodeId(2), 1 << 20, 0).expect("room");
    a.control.turn(now);
    carry(&mut a, &mut b, &mut Vec::new());
    b.control.turn(now);
    let mut orders = Vec::new();
    carry(&mut b, &mut a, &mut orders);
    assert!(orders.contains(&Order::Open { queue: 0, holder: NodeId(1) }), "{orders:?}");
}
