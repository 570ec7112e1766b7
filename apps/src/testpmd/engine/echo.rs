//! `echo`: sends each datagram back to where it came from, out of the memory that it landed in.
//!
//! While the transmit queue is full, nothing is received, so the receive ring fills up. A datagram that
//! cannot be sent for [`PATIENCE`] is dropped and counted. A datagram that the device cannot send from where
//! it lies is copied at once, and counted too.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lm_engine::{Message, WouldBlock};
use lm_proto::wire::Flow;

use super::interface::{Engine, Kind, Plan};
use crate::engine_tally::EngineTally;
use crate::testpmd::turn::Turn;
use lm_node::{Link, Outlet, SentFrom};

pub(super) const KIND: Kind = Kind {
    name: "echo",
    help: "send each datagram back to where it came from",
    make: |plan| {
        Box::new(Echo { plan, waiting: VecDeque::new(), stuck: Stuck::Queue, tally: EngineTally::default() })
    },
};

/// How long a datagram may wait for a place in the queue, or for its receiver's MAC address.
const PATIENCE: Duration = Duration::from_millis(500);
/// Datagrams that wait for an address at most.
const LIMIT: usize = 32;

struct Echo {
    plan: Plan,
    waiting: VecDeque<(Message, Instant)>,
    /// What the first waiting datagram waits for.
    stuck: Stuck,
    tally: EngineTally,
}

/// Whether datagrams of this flow can be answered: from one node to one node.
fn is_answerable(flow: &Flow) -> bool {
    let one = |address| {
        let ip = Ipv4Addr::from_bits(address);
        !(ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified() || ip.is_loopback())
    };
    one(flow.src) && one(flow.dst) && flow.src_port != 0
}

/// Why a datagram was not sent back now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stuck {
    /// The transmit queue is full. To receive more datagrams would not help.
    Queue,
    /// The MAC address of the node to send to is not known yet. The ARP answer is among the frames to come,
    /// so receiving goes on.
    Address,
}

/// Sends a datagram back to its sender. Returns it as an error if that cannot be done now.
fn answer(
    message: Message,
    outlet: &mut Outlet,
    now: Instant,
    tally: &mut EngineTally,
) -> Result<(), (Message, Stuck)> {
    let Some(ends) = outlet.ends(message.flow().reversed(), now) else {
        return Err((message, Stuck::Address));
    };
    match outlet.send_message(message, &ends) {
        Ok(from) => {
            tally.tx_copied += u64::from(from == SentFrom::Copy);
            Ok(())
        }
        Err(WouldBlock(message)) => Err((message, Stuck::Queue)),
    }
}

impl Echo {
    /// Tries to send the waiting datagrams, in order. Returns how many were sent or given up.
    fn retry(&mut self, outlet: &mut Outlet, now: Instant) -> usize {
        let before = self.waiting.len();
        while let Some((message, since)) = self.waiting.pop_front() {
            let Err((message, stuck)) = answer(message, outlet, now, &mut self.tally) else { continue };
            self.stuck = stuck;
            if now.duration_since(since) > PATIENCE {
                self.tally.tx_dropped += 1;
            } else {
                self.waiting.push_front((message, since));
                break;
            }
        }
        before - self.waiting.len()
    }
}

impl Engine for Echo {
    fn turn(&mut self, link: &mut Link, turn: &mut Turn) -> usize {
        let now = turn.now;
        let mut work = self.retry(&mut link.outlet, now);
        if self.waiting.is_empty() || self.stuck == Stuck::Address {
            let (waiting, stuck, tally) = (&mut self.waiting, &mut self.stuck, &mut self.tally);
            work += turn.receive(link, |message, outlet| {
                if !is_answerable(&message.flow()) {
                    tally.ignored += 1;
                } else if waiting.len() >= LIMIT && *stuck == Stuck::Address {
                    tally.tx_dropped += 1;
                } else if !waiting.is_empty() {
                    waiting.push_back((message, now));
                } else if let Err((message, why)) = answer(message, outlet, now, tally) {
                    *stuck = why;
                    waiting.push_back((message, now));
                }
            });
        }
        link.outlet.sender.flush();
        work
    }

    fn is_finished(&self, link: &Link) -> bool {
        let received = link.datagrams() - self.plan.received;
        self.waiting.is_empty() && self.plan.count.is_some_and(|n| received >= n)
    }

    fn rest(&self, _: Instant) -> Option<Duration> {
        self.waiting.is_empty().then_some(Duration::MAX)
    }

    fn tally(&self) -> EngineTally {
        self.tally.clone()
    }
}

#[cfg(test)]
mod tests {
    use lm_node::{Identity, NodePort, PortConfig};
    use rte::Eal;
    use rte::port::PortId;

    use super::*;

    const FLOW: Flow = Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 7000, dst_port: 9000 };

    /// Port `id` of two, on a wire with the other one.
    fn open(eal: &Eal, id: u8) -> (NodePort, Link) {
        let flow = if id == 0 { FLOW } else { FLOW.reversed() };
        let mut config = PortConfig::new(flow);
        config.peer_mac = Some([2, 0, 0, 0, 0, 2 - id]);
        let mut port = NodePort::open(eal, PortId(id.into()), &config).expect("a port");
        port.start(eal, &config, &Identity::default(), || false).expect("it starts");
        let link = port.link.take().expect("a link");
        (port, link)
    }

    /// A datagram that devices cannot read where it lies is answered in the turn that receives it: as a copy,
    /// since waiting does not mend it.
    #[test]
    fn nothing_waits_while_the_queue_has_room() {
        let socket = std::env::temp_dir().join(format!("lm-echo-{}.sock", std::process::id()));
        let vdev = |i: u8, role: &str| {
            let socket = socket.display();
            let mac = format!("mac=02:00:00:00:00:0{}", i + 1);
            format!("--vdev=net_memif{i},role={role},id=0,rsize=9,socket-abstract=no,socket={socket},{mac}")
        };
        let prefix = format!("--file-prefix=lmecho{}", std::process::id());
        let args = ["echo", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry", "--log-level=4", &prefix];
        let args = args.map(str::to_owned).into_iter().chain([vdev(0, "server"), vdev(1, "client")]);
        let (eal, _) = Eal::init(args).expect("EAL");
        let ((a_port, mut a), (b_port, mut b)) = (open(&eal, 0), open(&eal, 1));
        let plan = Plan {
            sizes: "64".parse().expect("a size"),
            seed: 0,
            count: None,
            to: Vec::new(),
            interval: Duration::ZERO,
            stay: false,
            received: 0,
        };
        let mut echo = (KIND.make)(plan);
        let mut turn = Turn { now: Instant::now(), burst: 64, verbose: 0, log: None };
        let (data, end) = (vec![7; 60_000], Instant::now() + Duration::from_secs(30));
        for n in 1..=300 {
            turn.now = Instant::now();
            a_port.look_at_link();
            b_port.look_at_link();
            let ends = loop {
                assert!(Instant::now() < end, "the link stays down");
                a_port.look_at_link();
                b_port.look_at_link();
                if let Some(ends) = a.ends(FLOW, Instant::now()).filter(|_| b.outlet.is_up()) {
                    break ends;
                }
            };
            let mut buffer = a.outlet.sender.buffer().expect("a buffer");
            assert_eq!(buffer.fill(&data), data.len());
            a.outlet.send(buffer, &ends).expect("room");
            while b.datagrams() < n {
                assert!(Instant::now() < end, "datagram {n} does not come");
                a.outlet.sender.flush();
                echo.turn(&mut b, &mut turn);
            }
            assert_eq!(b.outlet.sender.stats().datagrams, n, "the queue has room, and datagram {n} waits");
            let mut came = false;
            while !came {
                assert!(Instant::now() < end, "echo {n} does not come");
                b.outlet.sender.flush();
                a.receive(64, turn.now, |mut message, _| came = message.contiguous() == &data[..]);
            }
        }
        assert!(echo.tally().tx_copied > 0, "none of them lay across two hugepages");
        drop((a, b, a_port, b_port));
    }

    #[test]
    fn groups_are_not_answered() {
        let flow = Flow { src: 0x0a00_0001, dst: 0x0a00_0002, src_port: 9, dst_port: 9 };
        assert!(is_answerable(&flow));
        assert!(!is_answerable(&Flow { dst: 0xe000_00fb, ..flow }));
        assert!(!is_answerable(&Flow { dst: u32::MAX, ..flow }));
        assert!(!is_answerable(&Flow { src: 0x7f00_0001, ..flow }));
        assert!(!is_answerable(&Flow { src: 0, ..flow }) && !is_answerable(&Flow { src_port: 0, ..flow }));
    }
}
