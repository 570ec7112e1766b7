//! What the paper leaves open, hole by hole: what is lost, late or repeated, and nodes that restart.
//!
//! The rules are those of `docs/admission-control.md` ("Rules for real networks"); `keys.rs` has the others.

mod net;

use ac::{Config, Event, HandleError, Kind, Policy, State};
use net::{Net, config, granted, has, ms, node};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn exclusive() -> Net {
    Net::new(&config(Policy::Exclusive), 3)
}

/// Rule 1: an applicant repeats until it is answered; the receiver answers each repetition with the same
/// grant.
#[test]
fn a_lost_request_and_a_lost_answer_are_repeated() {
    let mut net = exclusive();
    net.request(A, B);
    assert_eq!(net.take(Kind::Req).len(), 1, "lost");
    net.pass(ms(1), false);
    let (_, req) = net.take(Kind::Req).remove(0);
    net.handle(B, &req).expect("taken");
    assert_eq!(net.take(Kind::AcqOk).len(), 1, "lost");
    net.wait(ms(5));
    let events = net.events();
    assert_eq!(granted(&events, A), 1);
    assert!(has(&events, B, |e| matches!(e, Event::Opened { grant: 1, .. })));
    assert_eq!(net.nodes[B].counters().opened, 1, "one grant, however often it was asked for");
}

/// Rule 1: who is never answered says so, and gives back what it may have been granted.
#[test]
fn no_answer_is_an_answer_in_the_end() {
    let mut net = exclusive();
    let request = net.request(A, B);
    let (_, req) = net.take(Kind::Req).remove(0);
    net.handle(B, &req).expect("taken");
    let tries = usize::from(net.nodes[A].config().tries);
    let mut sent = 1;
    for _ in 0..2000 {
        net.pass(ms(1), false);
        sent += net.take(Kind::Req).len();
        let _ = (net.take(Kind::AcqOk), net.take(Kind::AppendAddr), net.take(Kind::RemoveAddr));
        if net.kinds().contains(&(B, Kind::EndMe)) {
            break;
        }
    }
    assert_eq!(sent, tries);
    assert!(has(&net.events(), A, |e| *e == Event::Unanswered { to: node(B), request }));
    net.wait(ms(200));
    assert_eq!(net.nodes[B].landing(0), Some((State::Closed, None)));
}

/// Rule 2: every message is taken once.
#[test]
fn duplicates_are_refused() {
    let mut net = exclusive();
    net.request(A, B);
    let (_, req) = net.wire[0].clone();
    net.deliver();
    assert_eq!(net.handle(B, &req), Err(HandleError::Replayed));
    assert!(net.wire.is_empty(), "and not answered");
    assert_eq!(net.nodes[B].counters().replayed, 1);
}

/// Rule 3: a late `LM_REQ`, behind the `LM_ENDME` of its request, opens nothing.
#[test]
fn a_late_request_opens_nothing() {
    let mut net = exclusive();
    net.request(A, B);
    let (_, late) = net.take(Kind::Req).remove(0);
    net.pass(ms(1), false);
    net.deliver();
    net.release(A, B);
    net.wait(ms(5));
    assert_eq!(net.nodes[B].landing(0), Some((State::Closed, None)));
    net.handle(B, &late).expect("taken");
    net.deliver();
    assert_eq!(net.nodes[B].landing(0), Some((State::Closed, None)));
    assert_eq!(net.nodes[B].counters().opened, 1);
}

/// Rule 3: an `LM_APPEND_ADDR` that comes behind its `LM_REMOVE_ADDR` lists nobody.
#[test]
fn a_late_announcement_lists_nobody() {
    let mut net = exclusive();
    net.request(A, B);
    let (to, req) = net.wire.remove(0);
    net.handle(to, &req).expect("taken");
    let at = net.wire.iter().position(|(to, b)| *to == C && b[3] == Kind::AppendAddr as u8).expect("one");
    let (_, late) = net.wire.remove(at);
    net.deliver();
    net.release(A, B);
    net.wait(ms(5));
    net.handle(C, &late).expect("taken");
    assert!(net.nodes[C].list().is_empty());
}

/// Rule 4: a grant that nobody wants any more is given back at once.
#[test]
fn an_unwanted_grant_is_given_back() {
    let mut net = exclusive();
    net.request(A, B);
    let (_, req) = net.take(Kind::Req).remove(0);
    net.release(A, B);
    net.take(Kind::EndMe);
    net.handle(B, &req).expect("taken");
    net.wait(ms(5));
    assert_eq!(granted(&net.events(), A), 0);
    assert_eq!(net.nodes[B].landing(0), Some((State::Closed, None)));
    assert_eq!(net.nodes[B].counters().expired, 0, "without waiting for the lease");
}

/// Rule 4: what was given back is not taken again, though another answer that grants it comes later, and the
/// request is still wanted.
#[test]
fn a_grant_that_was_given_back_is_not_taken() {
    let mut net = Net::new(&Config { wait_when_listed: true, ..config(Policy::Exclusive) }, 3);
    let request = net.request(A, B);
    net.pass(ms(4), false);
    let [first, second, third, ..] = &net.take(Kind::Req)[..] else { panic!("it is repeated") };
    let [first, second, third] = [first, second, third].map(|(_, req)| req.clone());
    net.request(C, B);
    net.deliver();
    // B lands for C: A waits until it does not any more.
    net.handle(B, &first).expect("taken");
    net.deliver();
    assert_eq!(net.nodes[A].state(node(B)), State::Deferred);
    net.release(C, B);
    net.pass(ms(2), false);
    let (_, end) = net.take(Kind::EndMe).remove(0);
    net.handle(B, &end).expect("taken");
    net.pass(ms(2), false);
    let removed: Vec<_> = net.take(Kind::RemoveAddr).into_iter().filter(|(to, _)| *to == A).collect();
    // The first messages of A come late, and B grants. It says so twice.
    net.handle(B, &second).expect("taken");
    net.handle(B, &third).expect("taken");
    let [one, other] = &net.take(Kind::AcqOk)[..] else { panic!("each is answered") };
    net.take(Kind::AppendAddr);
    net.handle(A, &one.1).expect("taken");
    let (_, end) = net.take(Kind::EndMe).remove(0);
    net.handle(A, &removed[0].1).expect("taken");
    assert_eq!(net.nodes[A].state(node(B)), State::Asking, "it asks again");
    net.take(Kind::Req);
    net.handle(B, &end).expect("taken");
    net.pass(ms(2), false);
    net.wire.clear();
    net.handle(A, &other.1).expect("taken");
    assert_eq!(net.nodes[A].grant(node(B)), None, "B may have another holder");
    net.wait(ms(100));
    let events = net.events();
    assert_eq!(granted(&events, A), 0);
    assert!(has(&events, A, |e| *e == Event::Ordinary { to: node(B), request }), "and there is an answer");
}

/// Rule 5: a holder that dies costs the others one lease, of which the guard is a part, and no drain.
#[test]
fn a_dead_holder_costs_one_lease() {
    let mut net = Net::new(&Config { hold: ms(100), ..config(Policy::Exclusive) }, 3);
    net.request(A, B);
    net.deliver();
    let dead = net.now;
    net.nodes.swap(A, C);
    let silent = net.nodes.pop().expect("A");
    let wait = |net: &mut Net, time| {
        net.wait(time);
        net.nodes[B].landing(0)
    };
    assert!(matches!(wait(&mut net, ms(99)), Some((State::Granted, Some(_)))), "not earlier");
    assert_eq!(wait(&mut net, ms(1)), Some((State::Closed, None)), "granted 95, guard 5");
    assert!(has(&net.events(), B, |e| *e == Event::Expired { queue: 0, holder: node(A) }));
    assert_eq!(net.now.since(dead), ms(100));
    // The dead one, had it lived, would have stopped before: granted × (1 − drift) − flight.
    assert_eq!(silent.grant(node(B)).expect("held").until.since(dead), ms(90));
}

/// Rule 5: the sender's end comes before the receiver's, however late the answer was.
#[test]
fn a_late_answer_is_dated_by_its_request() {
    let mut net = Net::new(&Config { retry: ms(50), ..config(Policy::Exclusive) }, 3);
    net.request(A, B);
    let asked = net.now;
    let (_, req) = net.take(Kind::Req).remove(0);
    net.handle(B, &req).expect("taken");
    let (_, late) = net.take(Kind::AcqOk).remove(0);
    net.wire.clear();
    // The repetitions are lost; the answer to the first comes when 60 ms of the lease are gone.
    for _ in 0..60 {
        net.pass(ms(1), false);
        net.wire.clear();
    }
    net.handle(A, &late).expect("taken");
    let events = net.events();
    let until = events.iter().find_map(|(_, e)| match e {
        Event::Granted { grant, .. } => Some(grant.until),
        _ => None,
    });
    assert_eq!(until.expect("granted").since(asked), ms(90), "not 90 ms from now");
}

/// Rule 6: a node that comes back rests for a lease, so that no grant of its life before meets one of this.
#[test]
fn a_restarted_receiver_rests() {
    let mut net = exclusive();
    net.request(A, B);
    net.deliver();
    net.restart(B);
    let back = net.now;
    assert_eq!(net.nodes[B].landing(0), Some((State::Resting, None)));
    net.request(C, A);
    net.wait(ms(99));
    assert_eq!(net.nodes[B].landing(0), Some((State::Resting, None)));
    net.wait(ms(1));
    assert_eq!(net.nodes[B].landing(0), Some((State::Closed, None)));
    assert_eq!(net.now.since(back), ms(100));
}

/// Rule 6: who holds a grant of a life before is told to stop by the first message of the new one.
#[test]
fn a_new_incarnation_revokes() {
    let mut net = exclusive();
    let request = net.request(A, B);
    net.deliver();
    net.events();
    net.restart(B);
    net.pass(ms(50), false);
    net.deliver();
    assert!(
        has(&net.events(), A, |e| *e == Event::Revoked { to: node(B), request }),
        "its renewal was answered"
    );
    assert_eq!(net.nodes[A].grant(node(B)), None);
}

/// Rule 6: a message from before a restart, of its sender or its addressee, changes nothing.
#[test]
fn messages_of_an_earlier_life_are_stale() {
    let mut net = exclusive();
    net.request(A, B);
    let (_, old_req) = net.take(Kind::Req).remove(0);
    net.handle(B, &old_req).expect("taken");
    let (_, old_ok) = net.take(Kind::AcqOk).remove(0);
    net.wire.clear();
    net.restart(A);
    net.request(A, B);
    net.deliver();
    assert_eq!(net.handle(B, &old_req), Err(HandleError::Unproven));
    assert_eq!(net.handle(A, &old_ok), Err(HandleError::Stale));
}

/// Rule 6: a holder that restarts ends what it held, when the lease is over: whether the life before is, only
/// the node knows.
#[test]
fn a_restarted_holder_has_ended() {
    let mut net = exclusive();
    net.request(A, B);
    net.deliver();
    net.restart(A);
    net.request(A, B);
    net.deliver();
    assert_eq!(net.nodes[B].landing(0), Some((State::Draining, None)));
    net.wait(ms(99));
    assert_eq!(net.nodes[B].landing(0), Some((State::Draining, None)), "the life before may not know");
    net.wait(ms(1));
    assert_eq!(net.nodes[B].landing(0), Some((State::Closed, None)));
}

/// Rule 7: two announcements cross; the receiver with the larger address withdraws, and the cluster settles
/// on one.
#[test]
fn crossing_grants_settle_on_one() {
    let mut net = Net::new(&config(Policy::Exclusive), 4);
    net.request(2, A);
    let request = net.request(3, B);
    // Both requests arrive before either announcement does: the window of the paper's race.
    for (to, req) in net.take(Kind::Req) {
        net.handle(to, &req).expect("taken");
    }
    let active = |net: &Net| [A, B].map(|n| net.nodes[n].landing(0).map(|(s, _)| s) == Some(State::Granted));
    assert_eq!(active(&net), [true, true], "as the paper's rules have it");
    net.deliver();
    assert_eq!(active(&net), [true, false]);
    let events = net.events();
    assert_eq!(granted(&events, 2), 1);
    assert!(
        has(&events, 3, |e| matches!(e, Event::Revoked { .. } | Event::Cancelled { .. })),
        "{request} {events:?}"
    );
    assert_eq!(net.nodes[B].counters().withdrawn, 1);
    net.wait(ms(10));
    assert_eq!(net.nodes[B].landing(0), Some((State::Closed, None)), "the one that withdrew is free again");
}

/// Rule 8: a node that joins while a grant is out hears the next announcement, or is told when its frame
/// strays in.
#[test]
fn who_missed_the_announcement_hears_it_again() {
    let mut net = exclusive();
    net.request(A, B);
    net.deliver();
    net.restart(C);
    assert!(net.nodes[C].list().is_empty());
    let now = net.now;
    net.nodes[B].stray(node(C), now);
    net.nodes[B].stray(node(C), now);
    net.fetch();
    assert_eq!(net.kinds(), [(C, Kind::AppendAddr)], "to it alone, and not for each frame");
    net.deliver();
    assert!(net.nodes[C].list().find(node(B)).is_some());
    net.nodes[B].stray(node(A), now + ms(2));
    net.fetch();
    assert!(net.wire.is_empty(), "the holder is no stranger");
    net.restart(C);
    net.wait(ms(25));
    assert!(net.nodes[C].list().find(node(B)).is_some(), "the announcement is repeated");
}

/// Rule 9: an entry whose removal was lost goes by itself.
#[test]
fn a_lost_removal_is_not_for_ever() {
    let mut net = exclusive();
    net.request(A, B);
    net.deliver();
    net.release(A, B);
    net.deliver();
    net.pass(ms(2), false);
    assert_eq!(net.take(Kind::RemoveAddr).len(), 2, "lost");
    net.wait(ms(3));
    assert!(net.nodes[A].state(node(B)) == State::Idle, "the holder asked again and was told");
    assert!(net.nodes[C].list().find(node(B)).is_some());
    net.wait(ms(110));
    net.events();
    net.request(C, B);
    net.deliver();
    assert_eq!(granted(&net.events(), C), 1);
}
