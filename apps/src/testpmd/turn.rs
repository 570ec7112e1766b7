//! [`Turn`]: the state that the forwarding loop shares with its engines during a turn.
//!
//! Engines receive through [`Turn::receive`] only, so that every datagram is logged and shown before its
//! engine takes it.

use std::time::Instant;

use lm_engine::Message;
use lm_node::{Link, Outlet};
use rte::port::PortId;

use crate::console::say;
use crate::message_log::MessageLog;
use crate::parse::endpoint;

/// A turn of the forwarding loop.
pub(crate) struct Turn {
    /// When it began.
    pub(crate) now: Instant,
    /// Frames that a poll takes.
    pub(crate) burst: usize,
    /// 1 and more: print a line about each received datagram.
    pub(crate) verbose: u8,
    /// The message log, if there is one.
    pub(crate) log: Option<MessageLog>,
}

impl Turn {
    /// Polls a link as [`Link::receive`] does. Before `deliver` gets a datagram, it is written to the message
    /// log and shown, if the user asked for that.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        link: &mut Link,
        mut deliver: impl FnMut(Message, &mut Outlet),
    ) -> usize {
        let (log, verbose, port) = (&mut self.log, self.verbose, link.port);
        link.receive(self.burst, self.now, |message, outlet| {
            if let Some(log) = log {
                log.record(&message);
            }
            if verbose > 0 {
                show(port, &message);
            }
            deliver(message.take(), outlet);
        })
    }
}

/// Prints a line about a datagram, as dpdk-testpmd's verbose mode does about a packet.
fn show(port: PortId, message: &Message) {
    let flow = message.flow();
    say!(
        "port {port}: {} -> {} length={} fragments={} copied={} whole_by={}",
        endpoint(flow.src, flow.src_port),
        endpoint(flow.dst, flow.dst_port),
        message.len(),
        message.fragments(),
        message.copied(),
        message.proof().name()
    );
}
