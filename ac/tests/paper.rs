//! Section 3.3 and Fig. 3 of the paper, rule by rule, under the policy `Exclusive`.
//!
//! The tests quote the sentences that they check. Rules that the paper leaves open are in `holes.rs` and
//! `keys.rs`.

mod net;

use ac::{Event, Flag, Kind, Policy, Reason, State};
use net::{Net, config, ms, node};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn cluster() -> Net {
    Net::new(&config(Policy::Exclusive), 4)
}

fn granted(events: &[(usize, Event)], who: usize) -> bool {
    events.iter().any(|(n, e)| *n == who && matches!(e, Event::Granted { .. }))
}

/// "If the LM_RECV_ADDR list is null, node A sends a LM_REQ message to node B"; `LM_REQ` with a null list:
/// broadcast `LM_APPEND_ADDR`, activate, `LM_ACQ_OK`; on `LM_ACQ_OK` begin to transmit.
#[test]
fn a_null_list_asks_and_is_granted() {
    let mut net = cluster();
    net.request(A, B);
    assert_eq!(net.kinds(), [(B, Kind::Req)]);
    let (_, req) = net.wire.remove(0);
    assert_eq!(net.read(&req).size, 65_536, "with specified data size");
    net.handle(B, &req).expect("taken");
    assert_eq!(
        net.kinds(),
        [(A, Kind::AppendAddr), (C, Kind::AppendAddr), (3, Kind::AppendAddr), (A, Kind::AcqOk)]
    );
    assert_eq!(net.events(), [(B, Event::Opened { queue: 0, holder: node(A), grant: 1 })]);
    net.deliver();
    assert!(granted(&net.events(), A));
    // The flags: 01 at who transmits, 10 at the receiver, 00 elsewhere.
    let flag = |n: usize| net.nodes[n].list().find(node(B)).map(|e| e.flag);
    assert_eq!(flag(A), Some(Flag::Sending));
    assert_eq!(flag(B), Some(Flag::Local));
    assert_eq!(flag(C), Some(Flag::Foreign));
}

/// `LM_ENDME`: broadcast `LM_REMOVE_ADDR`; `LM_REMOVE_ADDR`: remove the address.
#[test]
fn the_end_is_broadcast() {
    let mut net = cluster();
    net.request(A, B);
    net.deliver();
    net.release(A, B);
    assert_eq!(net.kinds(), [(B, Kind::EndMe)]);
    net.wait(ms(2));
    assert!(net.nodes.iter().all(|n| n.list().is_empty()));
    assert_eq!(net.nodes[A].state(node(B)), State::Idle);
    assert_eq!(net.nodes[B].landing(0), Some((State::Closed, None)));
}

/// "If the LM_RECV_ADDR list is not null and the address of node B is not listed": the ordinary way, without
/// asking.
#[test]
fn an_unlisted_destination_is_sent_to_the_ordinary_way() {
    let mut net = cluster();
    net.request(A, B);
    net.deliver();
    net.events();
    let request = net.request(C, A);
    assert_eq!(net.events(), [(C, Event::Ordinary { to: node(A), request })]);
    assert!(net.wire.is_empty());
}

/// "If the address of node B is listed, the traffic transmission from node A to node B is canceled."
#[test]
fn a_listed_destination_is_cancelled() {
    let mut net = cluster();
    net.request(A, B);
    net.deliver();
    net.events();
    let request = net.request(C, B);
    assert_eq!(net.events(), [(C, Event::Cancelled { to: node(B), request })]);
    assert!(net.wire.is_empty());
}

/// `LM_REQ` with a list that is not null is rejected; `LM_ACQ_REJ` lets transmit if the destination is not
/// listed.
#[test]
fn a_rejection_by_an_unlisted_node_is_the_ordinary_way() {
    let mut net = cluster();
    net.request(A, B);
    // C has not heard of B's landing, node 4 has.
    let late: Vec<_> = {
        let (to, req) = net.wire.remove(0);
        net.handle(to, &req).expect("taken");
        let mut appends = net.take(Kind::AppendAddr);
        let at = appends.iter().position(|(to, _)| *to == C).expect("one for C");
        let late = appends.remove(at);
        net.wire.extend(appends);
        vec![late]
    };
    net.deliver();
    net.events();
    let request = net.request(C, 3);
    net.deliver();
    let events = net.events();
    assert!(events.contains(&(3, Event::Refused { applicant: node(C), reason: Reason::Busy })));
    assert!(events.contains(&(C, Event::Ordinary { to: node(3), request })), "{events:?}");
    // Of B itself the rejection is heard as well, and B is listed by it.
    let request = net.request(C, B);
    net.deliver();
    let events = net.events();
    assert!(events.contains(&(C, Event::Cancelled { to: node(B), request })), "{events:?}");
    net.wire.extend(late);
    net.deliver();
}

/// "Only one node is set to work under active DLD mechanism at one instant."
#[test]
fn one_active_receiver() {
    let mut net = cluster();
    net.request(A, B);
    net.deliver();
    let request = net.request(3, C);
    net.deliver();
    assert!(net.events().contains(&(3, Event::Ordinary { to: node(C), request })));
    assert_eq!(net.nodes[C].landing(0), Some((State::Closed, None)));
}

/// "The data transfer is not delayed at the sender side": the call returns, the answer is an event. The
/// extensions are off.
#[test]
fn the_call_returns_at_once() {
    let mut net = cluster();
    net.request(A, B);
    assert_eq!(net.events(), [], "neither early nor otherwise before the answer");
    assert!(!net.nodes[A].config().start_early && !net.nodes[A].config().wait_when_listed);
}

#[test]
fn the_extensions_when_they_are_on() {
    let on = ac::Config { start_early: true, wait_when_listed: true, ..config(Policy::Exclusive) };
    let mut net = Net::new(&on, 4);
    let request = net.request(A, B);
    assert_eq!(net.events(), [(A, Event::Ordinary { to: node(B), request })], "at once, the ordinary way");
    net.deliver();
    assert!(granted(&net.events(), A), "and the grant later");
    net.request(C, B);
    assert_eq!((net.events(), net.nodes[C].state(node(B))), (vec![], State::Deferred));
    net.release(A, B);
    net.wait(ms(2));
    assert!(granted(&net.events(), C), "asked when the list was null");
}
