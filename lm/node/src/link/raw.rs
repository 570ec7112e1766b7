//! Frames as bytes: sends them unchanged, and finds the IPv4 source of received ones.
//!
//! [`Link`](super::Link) and its outlet use it for ARP and other frames that are no datagrams of LM's.
//! Nothing here waits: a frame for which there is no mbuf or no room is not sent, and the caller learns it.

use lm_engine::Sender;
use lm_proto::wire::{ETHERNET, Ipv4, TYPE_IPV4, ether_type};

/// The IPv4 source address of a frame that is no datagram of LM's, if it has one.
pub(super) fn source(frame: &[u8]) -> Option<u32> {
    let packet = frame.get(ETHERNET..).filter(|_| ether_type(frame) == Some(TYPE_IPV4))?;
    Ipv4::parse(packet, packet.len()).ok().map(|ip| ip.src)
}

/// Sends an ARP question before datagrams that wait, because a stream of them would never let it pass. It is
/// not sent while another urgent frame waits. It would be late then, and the neighbour would seem to be
/// silent. Returns whether it was sent.
pub(super) fn send_question(sender: &mut Sender, frame: &[u8]) -> bool {
    sender.urgent() == 0 && sender.frame(frame).is_some_and(|frame| sender.send_frame_urgent(frame).is_ok())
}

/// Sends a frame of these bytes. Returns whether there was room for it.
pub(super) fn send_bytes(sender: &mut Sender, frame: &[u8]) -> bool {
    sender.frame(frame).is_some_and(|frame| sender.send_frame(frame).is_ok())
}
