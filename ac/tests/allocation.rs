//! Once a node is made, nothing allocates: neither messages, nor requests, nor timers.
//!
//! Sixteen nodes ask, release, and answer each other for 500 rounds, under both policies, with and without a
//! key. The allocator of `counting` counts the allocations of this thread.

mod counting;
mod net;

use ac::{Config, Instant, Key, MAX_LENGTH, Node, NodeId, Policy};
use counting::allocations;
use net::{config, ms};

/// Carries messages between the nodes in a buffer on the stack.
fn exchange(nodes: &mut [Node], now: Instant) -> usize {
    let (mut handled, mut bytes) = (0, [0; MAX_LENGTH]);
    for _ in 0..6 {
        for from in 0..nodes.len() {
            while let Some(t) = nodes[from].poll_transmit(&mut bytes) {
                for to in (0..nodes.len()).filter(|&to| to != from) {
                    if t.to == NodeId::ALL || t.to == NodeId(to as u64 + 1) {
                        handled += usize::from(nodes[to].handle(&bytes[..t.length], now).is_ok());
                    }
                }
            }
            while nodes[from].poll_event().is_some() {}
        }
    }
    handled
}

#[test]
fn nothing_allocates() {
    for (policy, key) in [
        (Policy::Exclusive, None),
        (Policy::PerReceiver, None),
        (Policy::Exclusive, Some(Key::new([3; 32]))),
        (Policy::PerReceiver, Some(Key::new([3; 32]))),
    ] {
        let settings = Config { key, nodes: 32, ..config(policy) };
        let node =
            |n| Node::new(Config { node: NodeId(n), ..settings.clone() }, Instant::ZERO).expect("settings");
        let mut nodes: Vec<Node> = (1..=16).map(node).collect();
        let mut now = Instant::ZERO + ms(200);
        let before = allocations();
        let mut handled = 0;
        for round in 0..500 {
            for (n, node) in nodes.iter_mut().enumerate() {
                node.handle_timeout(now);
                let to = NodeId(((n + 1 + round % 15) % 16) as u64 + 1);
                match (n + round) % 3 {
                    0 => drop(node.request(to, 1 << 16, 0, now)),
                    1 => drop(node.release(to, now)),
                    _ => node.stray(to, now),
                }
                let _ = node.handle(&[0; 60], now);
            }
            handled += exchange(&mut nodes, now);
            now = now + ms(1);
        }
        assert!(handled > 400, "{policy:?}: only {handled} messages");
        assert_eq!(allocations() - before, 0, "{policy:?}, {handled} messages");
    }
}
