//! What is decided at the end of a poll, when no frame comes behind the newest one.

use super::*;

#[test]
fn on_a_quiet_card_what_is_known_goes_out_at_once_and_all_else_later() {
    let ethernet = |kind: u16, data: &[u8]| {
        let mut header = [0; ETHERNET];
        wire::ethernet(&mut header, wire::BROADCAST, [2; 6], kind);
        [&header[..], data].concat()
    };
    let mut ipv6 = payload(80, 33);
    (ipv6[0], ipv6[4], ipv6[5]) = (0x60, 0, 40);
    let mut broken = tcp(80);
    broken[24] ^= 1;
    let lldp = ethernet(0x88cc, &payload(60, 34));
    for (frame, known) in [
        (arp(), true),
        (tcp(80), true),
        (ethernet(wire::TYPE_IPV6, &ipv6), true),
        (lldp, false),
        (broken, false),
    ] {
        let mut run = Run::new(32, false);
        run.mock.blind = true;
        run.arrive(std::slice::from_ref(&frame));
        run.pass(900_000, 3);
        assert_eq!(run.mock.strangers.len(), usize::from(known), "{frame:02x?}");
        run.pass(100_000_000, 5);
        let is_ip = wire::ether_type(&frame) == Some(wire::TYPE_IPV4);
        let bad = u64::from(is_ip && !known);
        assert_eq!(run.mock.strangers.len() as u64, 1 - bad, "{frame:02x?}");
        assert_eq!(run.matcher.counters.dropped(Reason::BadHeader), bad);
        run.mock.blind = false;
        run.end();
    }
}

/// A frame that was the newest for long enough is looked at, and just then the next one comes and overwrites
/// its headers: whenever that is, the datagram lands.
#[test]
fn the_next_frame_comes_while_a_quiet_one_is_looked_at() {
    let data = payload(16_384, 7);
    let frames = lm(7, &data);
    for at in 1..frames.len() {
        for reads in 0..8 {
            let mut run = Run::new(32, false);
            run.arrive(&frames[..at]);
            run.pass(MockMatcher::QUIET - 1000, 1);
            run.mock.untorn.set(reads);
            run.pass(2000, 1);
            run.mock.untorn.set(-1);
            run.arrive(&frames[at..]);
            let (delivered, counters, strangers) = run.end();
            assert!(delivered.len() == 1 && delivered[0].payload == data, "{at} {reads}: {counters:?}");
            assert!(!delivered[0].copied && strangers.is_empty(), "{at} {reads}");
        }
    }
}

#[test]
fn behind_a_full_burst_nothing_is_closed_until_the_next_poll() {
    let (first, second) = (payload(7168, 41), payload(30_000, 42));
    let frames = [lm(1, &first), lm(2, &first), lm(3, &second)].concat();
    assert_eq!(frames.len(), 32 - 1, "with an ARP packet in front it is a burst");
    let mut run = Run::new(32, false);
    for f in std::iter::once(&arp()).chain(&frames) {
        run.mock.arrive(f);
    }
    let taken = run.mock.hand_over(&mut run.matcher, 32);
    assert_eq!((taken, run.mock.delivered.len()), (32, 2));
    run.matcher.look(run.now, taken, &mut run.mock);
    assert_eq!(run.mock.delivered.len(), 2, "there may be more");
    run.matcher.look(run.now, 0, &mut run.mock);
    assert_eq!(only(&run.mock.delivered, &[&first, &second]), 3, "there is not");
    run.end();
}
