//! [`Outlet`]: the way out of a port: where datagrams go to, in which order, whether admission control lets
//! them, and what ARP says to whom.
//!
//! A [`Link`](super::Link) has one. It is given to the closure that handles a message, and to the programs
//! between two polls. Nothing here blocks. What cannot be sent comes back, or is counted.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lm_engine::{Message, Receiver, SendBuffer, Sender, Unsent, WouldBlock};
use lm_proto::alf::Ends;
use lm_proto::neighbours::ArpCounters;
use lm_proto::order::Order;
use lm_proto::wire::{Arp, BROADCAST, Flow, Mac};
use rte::port::MacAddr;

use super::raw::{send_bytes, send_question, source};
use super::way::Way;
use crate::admission::frames::{control_flow, control_payload, flush_frame};
use crate::admission::pace::{AT_ONCE, Pace};
use crate::admission::{Admission, May};
use crate::arp::{Resolver, Route};

/// The sending half of a link.
pub struct Outlet {
    /// The transmit queue.
    pub sender: Sender,
    pub(crate) resolver: Resolver,
    /// The flow from this node to its peer.
    pub(super) ours: Flow,
    /// Whether the link has been seen up since the port's start.
    up: Arc<AtomicBool>,
    /// The last route that was found: for which address, to which MAC address, in which order, and until when
    /// that holds.
    route: Option<(u32, Mac, Order, Instant)>,
    /// From which address LM's tag came last, if no ARP came since.
    tagged: Option<u32>,
    /// When the table of neighbours was last asked which of them are to be asked.
    asked: Option<Instant>,
    /// Admission control. `None`: it is off.
    pub admission: Option<Box<Admission>>,
    /// Whether admission control was asked for a grant since [`Link::ends`](super::Link::ends) looked last.
    pub(super) asking: bool,
    /// How many flush frames may go at a time.
    pace: Pace,
    /// MAC addresses that a network stack beyond this node knows: the kernel that lmd works for.
    stations: Vec<(u32, Mac)>,
}

/// Where a received datagram was sent on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentFrom {
    /// The memory that it lay in.
    Place,
    /// A copy, as devices cannot read it where it lay.
    Copy,
}

/// MAC addresses that are kept of [`Outlet::leave`] and of control messages.
const STATIONS: usize = 64;
/// How long a route is used before the neighbours are asked for it again.
const FRESH: Duration = Duration::from_millis(50);

impl Outlet {
    /// The way out of a port. `ours` is the flow from this node to its peer, and `up` tells whether the link
    /// has come up.
    pub fn new(
        sender: Sender,
        resolver: Resolver,
        ours: Flow,
        up: Arc<AtomicBool>,
        admission: Option<Box<Admission>>,
        pace: Pace,
    ) -> Self {
        Self {
            sender,
            resolver,
            ours,
            up,
            route: None,
            tagged: None,
            asked: None,
            admission,
            asking: false,
            pace,
            stations: Vec::new(),
        }
    }

    /// Gives admission control its turn: control messages go out, and landing queues change their layout.
    /// Returns how much there was to do.
    pub(super) fn admission_turn(&mut self, now: Instant, receivers: &mut [Receiver]) -> usize {
        let Some(mut admission) = self.admission.take() else { return 0 };
        let done =
            if self.is_up() { admission.turn(now, receivers, &mut Way { outlet: self, now }) } else { 0 };
        self.admission = Some(admission);
        done
    }

    /// Sends a control message. Its source is the MAC address `from`, or the port's if there is none. It goes
    /// before datagrams that wait, or a stream that keeps the queue full could not renew its grant. If too
    /// many urgent frames wait, it is lost, and the protocol repeats it.
    pub(super) fn send_control(&mut self, to: ac::NodeId, from: Option<Mac>, payload: &[u8], now: Instant) {
        let flow = control_flow(self.ours.src, to);
        // A peer whose MAC address is not known yet is reached by broadcast.
        let src_mac = self.resolver.mac();
        let known = self.address(flow, now).map(|(ends, _)| ends);
        let mut ends = known.unwrap_or(Ends { src_mac, dst_mac: BROADCAST, flow });
        ends.src_mac = from.unwrap_or(src_mac);
        let _ = self.sender.send_urgent(payload, &ends);
    }

    /// Sends flush frames to where the datagrams go. Returns how many of the `frames` that are due went. They
    /// come by the ring full. Where no wire paces them (virtual devices, emulated cards), a receiver on the
    /// same CPU must have it between two lots, to take them.
    pub(super) fn send_flush(&mut self, to: u32, ends: &Ends, frames: u16) -> u16 {
        let flow = control_flow(self.ours.src, ac::NodeId(to.into()));
        let frame = flush_frame(flow, ends.src_mac, ends.dst_mac);
        let frames = self.pace.take(Instant::now(), frames);
        for sent in 0..frames {
            if !send_bytes(&mut self.sender, &frame) {
                return sent;
            }
            if (sent + 1).is_multiple_of(AT_ONCE) || sent + 1 == frames {
                thread::yield_now();
            }
        }
        frames
    }

    /// Where datagrams for `ends` may go now, by admission control. `None`: nowhere yet. Flush frames that
    /// are due go first.
    fn admitted(&mut self, ends: Ends) -> Option<Ends> {
        let Some(admission) = &mut self.admission else { return Some(ends) };
        let to = |landing: Option<Mac>| Ends { dst_mac: landing.unwrap_or(ends.dst_mac), ..ends };
        match admission.may(ends.flow.dst) {
            May::Send(landing) => Some(to(landing)),
            May::Wait => None,
            May::Ask => {
                self.asking = true;
                None
            }
            May::Flush(landing, due) => {
                let ends = to(landing);
                let sent = self.send_flush(ends.flow.dst, &ends, due);
                if let Some(admission) = &mut self.admission {
                    admission.flushed(ends.flow.dst, sent);
                }
                (sent == due).then_some(ends)
            }
        }
    }

    /// Where a datagram goes whose MAC address somebody else has found out, by admission control. `None`:
    /// nowhere yet; try again after the next poll.
    pub fn leave(&mut self, ends: Ends) -> Option<Ends> {
        self.told(ends.flow.dst, ends.dst_mac);
        self.admitted(ends)
    }

    /// Somebody else has found out a MAC address.
    fn told(&mut self, address: u32, mac: Mac) {
        if let Some(known) = self.stations.iter_mut().find(|(of, _)| *of == address) {
            known.1 = mac;
            return;
        }
        if self.stations.len() == STATIONS {
            self.stations.remove(0);
        }
        self.stations.push((address, mac));
    }

    /// Takes a frame of this landing queue if it is a control message or a flush frame. Returns whether it
    /// was one.
    pub(super) fn take_control(&mut self, queue: usize, frame: &[u8]) -> bool {
        let Some(admission) = &mut self.admission else { return false };
        let from = source(frame);
        let Some(payload) = control_payload(frame) else {
            from.iter().for_each(|from| admission.heard(queue, *from));
            return false;
        };
        admission.received(payload);
        if let Some(from) = from.filter(|_| !payload.is_empty()) {
            self.told(from, std::array::from_fn(|i| frame[6 + i]));
        }
        true
    }

    /// Sends a datagram to where [`Outlet::ends`] or [`Outlet::leave`] said.
    ///
    /// # Errors
    /// [`WouldBlock`] with the buffer: the transmit queue is full.
    pub fn send(&mut self, buffer: SendBuffer, ends: &Ends) -> Result<(), WouldBlock<SendBuffer>> {
        self.sender.send(buffer, ends).map(|()| self.count(ends))
    }

    /// Sends a copy of a payload that makes one frame. Returns whether it was sent: it may be longer, or
    /// there may be no room now.
    pub fn send_small(&mut self, payload: &[u8], ends: &Ends) -> bool {
        let sent = self.sender.send_small(payload, ends);
        if sent {
            self.count(ends);
        }
        sent
    }

    /// Sends a copy of a received datagram that makes one frame, which stays as it is. Returns whether it was
    /// sent, as [`Outlet::send_small`] does.
    #[inline]
    pub fn send_message_copied(&mut self, message: &Message, ends: &Ends) -> bool {
        let sent = self.sender.send_message_copied(message, ends);
        if sent {
            self.count(ends);
        }
        sent
    }

    /// Sends a received datagram on: from where it landed, or a copy at once if devices cannot read it there.
    ///
    /// # Errors
    /// [`WouldBlock`] with the message: the transmit queue is full, or it has to be copied and no buffer is
    /// free.
    pub fn send_message(&mut self, message: Message, ends: &Ends) -> Result<SentFrom, WouldBlock<Message>> {
        match self.sender.send_message(message, ends) {
            Ok(()) => {
                self.count(ends);
                Ok(SentFrom::Place)
            }
            Err(Unsent::NotNow(message)) => Err(WouldBlock(message)),
            Err(Unsent::NotFromHere(message)) => {
                if self.send_copy(&message, ends) {
                    Ok(SentFrom::Copy)
                } else {
                    Err(WouldBlock(message))
                }
            }
        }
    }

    /// Sends a copy of a datagram. Returns whether there was room for it.
    fn send_copy(&mut self, message: &Message, ends: &Ends) -> bool {
        let Some(buffer) = self.sender.buffer_of(message) else { return false };
        self.send(buffer, ends).is_ok()
    }

    fn count(&mut self, ends: &Ends) {
        if let Some(admission) = &mut self.admission {
            admission.sent(ends.flow.dst);
        }
    }

    /// Whether datagrams may go to this address as soon as flush frames have gone there.
    pub fn is_flushing(&self, address: Ipv4Addr) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.is_flushing(address.to_bits()))
    }

    /// Gives the grant for this address back, if there is one: no more datagrams go there for now.
    pub fn release(&mut self, address: Ipv4Addr) {
        if let Some(admission) = &mut self.admission {
            admission.release(address.to_bits());
        }
    }

    /// The flow from this node to its peer.
    pub fn ours(&self) -> Flow {
        self.ours
    }

    /// The node has another address.
    pub(super) fn set_address(&mut self, address: u32) {
        self.ours.src = address;
    }

    /// Whether the link has come up.
    #[inline]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Where datagrams of this flow go to. `None`: the link is down, the peer's MAC address is being asked
    /// for, or the peer has not admitted us. Try again after the next poll.
    pub fn ends(&mut self, flow: Flow, now: Instant) -> Option<Ends> {
        let (ends, order) = self.address(flow, now)?;
        // Whoever asks for a grant, or gives one, is a node of LM's.
        self.sender.set_order(if self.admission.is_some() { Order::Reverse } else { order });
        self.admitted(ends)
    }

    /// Where packets of this flow go to, without regard to admission control. `None`: the link is down, or
    /// the MAC address is being asked for.
    pub(super) fn address(&mut self, flow: Flow, now: Instant) -> Option<(Ends, Order)> {
        let src_mac = self.resolver.mac();
        let fresh = |&(address, _, _, until): &(u32, Mac, Order, Instant)| address == flow.dst && now < until;
        if let Some((_, dst_mac, order, _)) = self.route.filter(fresh) {
            return Some((Ends { src_mac, dst_mac, flow }, order));
        }
        if let Some((_, dst_mac)) = self.stations.iter().find(|(of, _)| *of == flow.dst) {
            return Some((Ends { src_mac, dst_mac: *dst_mac, flow }, Order::Reverse));
        }
        if !self.is_up() {
            return None;
        }
        let sender = &mut self.sender;
        let ask = |frame: &[u8; 60]| send_question(sender, frame);
        match self.resolver.route(flow.dst, now, ask) {
            Route::To(dst_mac) => {
                let order = self.resolver.order(flow.dst);
                self.route = Some((flow.dst, dst_mac, order, now + FRESH));
                Some((Ends { src_mac, dst_mac, flow }, order))
            }
            Route::Wait => None,
        }
    }

    /// Asks the peer for a frame to one of our landing addresses, to see whether the card steers it.
    pub(super) fn probe(&mut self, mac: MacAddr) {
        let frame = self.resolver.probe(mac.0, self.ours.dst);
        send_bytes(&mut self.sender, &frame);
    }

    /// Asks the neighbours that it is time to ask.
    #[inline]
    pub(super) fn ask_neighbours(&mut self, now: Instant) {
        // Nothing is due that was not due at the same moment.
        if self.asked != Some(now) && self.is_up() {
            self.asked = Some(now);
            let sender = &mut self.sender;
            self.resolver.poll(now, |frame| send_question(sender, frame));
        }
    }

    /// The user wants to send to this address, so its entry in the ARP table is kept.
    pub fn pin(&mut self, address: Ipv4Addr) {
        self.resolver.pin(address.to_bits());
    }

    /// What ARP counted since the start.
    pub fn arp(&self) -> ArpCounters {
        self.resolver.counters()
    }

    /// Learns that LM's tag came from this address, if one came.
    #[inline]
    pub(super) fn heard_tag(&mut self, from: Option<u32>) {
        // A peer's next tag says no more than its last one, unless ARP said something meanwhile.
        if from.is_some() && self.tagged != from {
            self.tagged = from;
            from.into_iter().for_each(|from| self.resolver.heard_tag(from));
        }
    }

    /// Learns from a frame that is not LM's, and answers it if it is ARP.
    pub(super) fn hear(&mut self, frame: &[u8], now: Instant) {
        if Arp::parse(frame).is_some() {
            // A station may have another address now, or may have become or ceased to be a node of LM's. So
            // the last route and tag no longer count.
            (self.route, self.tagged) = (None, None);
        }
        if let Some(answer) = self.resolver.hear(frame, now)
            && let Some(answer) = self.sender.frame(&answer)
        {
            // If too many urgent frames wait, the answer is lost, and the neighbour asks again.
            drop(self.sender.send_frame_urgent(answer));
        }
    }
}
