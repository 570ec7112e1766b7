//! [`Transport`]: what carries datagrams, so that all are measured by the same code; and those there are.

mod bare;
mod frag;
mod kernel;
mod landing;
mod plain;

use rte::Eal;
use rte::port::{PortId, ports};

use super::options::Options;

/// What is done with a datagram that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing more.
    Drop,
    /// It is sent back to where it came from.
    Echo,
}

/// A way for datagrams between the two ends.
pub(crate) trait Transport {
    /// Its kind.
    fn kind(&self) -> &'static Kind;

    /// Whether its polls never wait: an empty one is then a waste of CPU, and no sleep.
    fn is_polled(&self) -> bool {
        self.kind().is_polled
    }

    /// The wire that it runs over.
    fn wire(&self) -> String;

    /// Bytes of payload at most.
    fn limit(&self) -> usize;

    /// What a datagram of this payload takes on a gigabit wire, bytes: frames of 64 bytes at least, each with 20 bytes of
    /// preamble and gap.
    fn wire_bytes(&self, payload: usize) -> usize;

    /// Sends a datagram; `false`: not now. Poll, and try again.
    fn send(&mut self, payload: &[u8]) -> bool;

    /// Receives once, shows each datagram to `look`, and does with it as that says. Returns 0 if nothing was found.
    fn poll(&mut self, look: &mut dyn FnMut(&[u8]) -> Then) -> usize;

    /// What was sent but waits for room goes on its way; nothing is received.
    fn flush(&mut self);

    /// Bytes of payload that were copied to deliver datagrams, so far.
    fn copied(&self) -> u64;

    /// Between rounds, no poll may wait.
    fn rest(&mut self, resting: bool);

    /// Gives everything back.
    fn close(self: Box<Self>);
}

/// A transport that can be chosen.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name in options and results.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) help: &'static str,
    /// It needs a DPDK port of its own.
    pub(crate) port: bool,
    /// Its polls do not wait, unless --rx-mode lets them.
    pub(crate) is_polled: bool,
}

/// All of them.
pub(crate) static KINDS: [Kind; 6] = [
    Kind { name: "lm", help: "datagrams land where they are read", port: true, is_polled: true },
    Kind {
        name: "lm-copy",
        help: "the same stack, zero-copy switched off: one copy puts a datagram together",
        port: true,
        is_polled: true,
    },
    Kind {
        name: "ip-frag",
        help: "DPDK's rte_ip_frag and one copy out of the chain; up to 8 fragments",
        port: true,
        is_polled: true,
    },
    Kind {
        name: "bare",
        help: "frames from DPDK's queues and back, nothing else; one frame",
        port: true,
        is_polled: true,
    },
    Kind { name: "udp", help: "a kernel socket that waits", port: false, is_polled: false },
    Kind {
        name: "udp-busy",
        help: "a kernel socket that is asked again and again",
        port: false,
        is_polled: true,
    },
];

/// The kind of this name.
pub(crate) fn kind(name: &str) -> Result<&'static Kind, String> {
    KINDS.iter().find(|kind| kind.name == name.trim()).ok_or_else(|| {
        let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        format!("give some of {}, with commas", names.join(", "))
    })
}

/// What frames of these lengths take on a gigabit wire, bytes: check sequence, preamble and gap are added.
fn on_wire(frames: impl Iterator<Item = usize>) -> usize {
    frames.map(|len| len.max(lm_proto::wire::MIN_FRAME) + 4 + 20).sum()
}

/// The frames of a datagram as everybody but LM sends it.
fn frames(payload: usize, mtu: u16) -> impl Iterator<Item = usize> {
    let (all, stride) = (payload + lm_proto::wire::UDP, usize::from(mtu - 20) & !7);
    (0..all.div_ceil(stride)).map(move |i| lm_proto::wire::HEADERS + stride.min(all - i * stride))
}

/// Opens those that are chosen. Ports are given out in order.
pub(crate) fn open(eal: Option<&Eal>, options: &Options) -> Result<Vec<Box<dyn Transport>>, String> {
    let mut free = eal.map(|eal| ports(eal).collect::<Vec<_>>()).unwrap_or_default().into_iter();
    let mut all = Vec::<Box<dyn Transport>>::new();
    for &kind in &options.transport {
        let mut port = || -> Result<(&Eal, PortId), String> {
            eal.zip(free.next()).ok_or_else(|| {
                let n = options.transport.iter().filter(|kind| kind.port).count();
                format!("there is no port for {}: {n} are needed, one for each of lm, lm-copy, ip-frag and bare that \
                         is measured; give EAL -a or --vdev", kind.name)
            })
        };
        all.push(match kind.name {
            "lm" | "lm-copy" => {
                let (eal, id) = port()?;
                Box::new(landing::Landing::open(eal, id, kind, options)?)
            }
            "ip-frag" => {
                let (eal, id) = port()?;
                Box::new(frag::Frag::open(eal, id, kind, options)?)
            }
            "bare" => {
                let (eal, id) = port()?;
                Box::new(bare::Bare::open(eal, id, kind, options)?)
            }
            _ => Box::new(kernel::Kernel::open(kind, options)?),
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_name() {
        assert!(KINDS.iter().all(|one| std::ptr::eq(kind(one.name).expect("a name"), one)));
        assert!(kind("tcp").expect_err("none").contains("lm, lm-copy, ip-frag, bare, udp, udp-busy"));
    }

    /// facts.md: 960.1 Mb/s for 7168 bytes, 961.6 for 65,507; 0.576 µs and more for the smallest frame.
    #[test]
    fn wire_bytes_are_those_of_gigabit_ethernet() {
        let mbps = |n: usize| (n * 1000) as f64 / on_wire(frames(n, 1500)) as f64;
        assert_eq!((mbps(7168) * 10.0).round() as u64, 9601);
        assert_eq!((mbps(65_507) * 10.0).round() as u64, 9616);
        assert_eq!(on_wire(frames(1, 1500)), 84);
        assert_eq!(frames(7168, 1500).collect::<Vec<_>>(), [1514, 1514, 1514, 1514, 1290]);
    }
}
