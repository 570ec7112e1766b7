//! [`Transport`]: the trait of everything that carries datagrams, so that the same code measures all of them.
//! [`Kind`]: how a transport is chosen.
//!
//! The initiator and the responder call it, each from one thread. A `poll` may wait for frames only within a
//! round, and only if the transport is not polled.

use rte::Eal;
use rte::port::PortId;

use super::settings::Settings;

/// What is done with a datagram that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing more.
    Drop,
    /// It is sent back to where it came from, with the sums that it was verified by.
    Echo,
    /// The same, but its payload is summed anew.
    EchoAnew,
}

impl Action {
    /// Whether it is sent back.
    pub(crate) fn is_echo(self) -> bool {
        self != Self::Drop
    }
}

/// A way for datagrams between the two ends.
pub(crate) trait Transport {
    /// Its kind.
    fn kind(&self) -> &'static Kind;

    /// Whether its polls never wait. An empty poll is then a waste of CPU, and no sleep.
    fn is_polled(&self) -> bool {
        self.kind().is_polled
    }

    /// The wire that it runs over.
    fn wire(&self) -> String;

    /// Bytes of payload at most.
    fn limit(&self) -> usize;

    /// Round trips of the largest datagrams after which it receives as it will from then on.
    fn warm_up(&self) -> usize {
        0
    }

    /// Bytes that a datagram of this payload takes on a gigabit wire, see [`super::wire_bytes`].
    fn wire_bytes(&self, payload: usize) -> usize;

    /// Sends a datagram; `false`: not now. Poll, and try again.
    fn send(&mut self, payload: &[u8]) -> bool;

    /// Receives once, shows each datagram to `look`, and does with it as that says. Returns 0 if nothing was
    /// found.
    fn poll(&mut self, look: &mut dyn FnMut(&[u8]) -> Action) -> usize;

    /// Sends what waits for room in a queue; nothing is received.
    fn flush(&mut self);

    /// Bytes of payload that were copied to deliver datagrams, so far.
    fn copied(&self) -> u64;

    /// Says whether a round is under way. Between two rounds no poll may wait.
    fn set_in_round(&mut self, in_round: bool);

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
    /// Its polls do not wait, unless --rx-mode lets them.
    pub(crate) is_polled: bool,
    /// Opens one.
    pub(crate) open: Open,
}

/// What a transport is opened with, beside settings.
#[derive(Debug)]
pub(crate) enum Open {
    /// A DPDK port of its own.
    Port(fn(&Eal, PortId, &Settings) -> Opened),
    /// Nothing: the kernel's sockets need no EAL.
    Kernel(fn(&Settings) -> Opened),
}

/// A transport, or a line that says why there is none.
pub(super) type Opened = Result<Box<dyn Transport>, String>;

impl Kind {
    /// Whether it needs a DPDK port of its own, and so EAL.
    pub(crate) fn needs_port(&self) -> bool {
        matches!(self.open, Open::Port(_))
    }
}
