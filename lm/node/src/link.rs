//! [`Link`]: a started port, from which a loop receives messages and on which it sends.
//!
//! [`NodePort::start`](crate::NodePort::start) makes it. One thread polls it by [`Link::receive`], which also
//! answers ARP and runs admission control. The closure that takes the messages gets the link's sending half,
//! the [`Outlet`]. No function here blocks, except [`Link::release_grants`], which says for how long, and
//! [`Link::admit`], which calls it.

mod outlet;
mod raw;
mod settle;
mod way;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lm_engine::{Arrived, Message, Receiver};
use lm_landing::SlotLayout;
use lm_proto::alf::Ends;
use lm_proto::wire::Flow;
use rte::Mbuf;
use rte::port::{PortId, RxInterrupt};

use self::raw::source;
use crate::admission::Admission;
use crate::admission::frames::control_payload;
use crate::ordinary::Ordinary;
use crate::receive_mode::{BRIEF, LONGEST};
use crate::tally::{PoolView, Tally};
use crate::watch::StatusBoard;

pub use self::outlet::{Outlet, SentFrom};

/// A started port. It belongs to the thread that polls it, and can be moved to another one.
pub struct Link {
    /// The port.
    pub port: PortId,
    /// The landing queues: one, unless frames are steered.
    pub receivers: Vec<Receiver>,
    /// The queue for frames that are steered to none of them. `None`: nothing is steered.
    pub ordinary: Option<Ordinary>,
    /// The way out.
    pub outlet: Outlet,
    /// The interrupts of its receive queues. Empty unless the loop may sleep.
    pub interrupts: Vec<RxInterrupt>,
    /// Where it is seen from outside.
    pub(crate) board: Option<Arc<StatusBoard>>,
    /// Messages of a poll; empty between two polls.
    arrived: Vec<Message>,
}

/// What [`Link::exchange`] gives out.
pub enum Arrival {
    /// A datagram that became whole.
    Message(Message),
    /// A frame as it came.
    Frame(Mbuf),
}

/// How long [`Link::release_grants`] waits after something last went out.
const ENDING: Duration = Duration::from_millis(20);

impl Link {
    /// A link of receivers and a sender.
    pub fn new(
        receivers: Vec<Receiver>,
        ordinary: Option<Ordinary>,
        outlet: Outlet,
        interrupts: Vec<RxInterrupt>,
        port: PortId,
    ) -> Self {
        Self { port, receivers, ordinary, outlet, interrupts, arrived: Vec::new(), board: None }
    }

    /// The same, seen from outside on this board.
    pub(crate) fn shown_on(self, board: Arc<StatusBoard>) -> Self {
        Self { board: Some(board), ..self }
    }

    /// Polls each queue once, for at most `burst` frames, and gives each datagram that became whole to
    /// `deliver`, together with the way out. `now` is the time of the poll. Returns how much was found:
    /// frames received, and what admission control had to do.
    ///
    /// ARP is answered and learnt from. Other frames that are not LM's are dropped, and the receiver has
    /// counted them.
    #[inline]
    pub fn receive(
        &mut self,
        burst: usize,
        now: Instant,
        deliver: impl FnMut(Arrived<'_>, &mut Outlet),
    ) -> usize {
        let frames = self.take(burst, now, deliver);
        frames + self.settle(frames, now)
    }

    /// The first half of [`Link::receive`]: polls each queue once and gives out what became whole. The other
    /// half, [`Link::settle`], may come once the messages have been answered, and before the next poll.
    /// Returns how many frames came.
    #[inline]
    pub fn take(
        &mut self,
        burst: usize,
        now: Instant,
        mut deliver: impl FnMut(Arrived<'_>, &mut Outlet),
    ) -> usize {
        let outlet = &mut self.outlet;
        let mut frames = 0;
        for (queue, receiver) in self.receivers.iter_mut().enumerate() {
            let n = receiver.receive(burst, |mut message| {
                if let Some(admission) = &mut outlet.admission {
                    if message.flow().dst_port == ac::PORT {
                        admission.received(message.contiguous());
                        return;
                    }
                    admission.heard(queue, message.flow().src);
                }
                deliver(message, outlet);
            });
            outlet.heard_tag(receiver.take_tagged());
            while let Some(stranger) = receiver.next_stranger() {
                outlet.hear(stranger.data(), now);
                if let (Some(admission), Some(from)) = (&mut outlet.admission, source(stranger.data())) {
                    admission.heard(queue, from);
                }
            }
            if let Some(ordinary) = self.ordinary.as_ref().filter(|_| n > 0) {
                ordinary.proofs().landed(queue);
            }
            frames += n;
        }
        if let Some(ordinary) = &mut self.ordinary {
            if outlet.is_up() {
                ordinary.probe(now, |mac| outlet.probe(mac));
            }
            frames += ordinary.receive(|frame| {
                if let Some(admission) = &outlet.admission
                    && let Some(payload) = control_payload(frame)
                {
                    admission.received(payload);
                    return true;
                }
                outlet.hear(frame, now);
                false
            });
            frames += ordinary.outgoing(|frame| outlet.sender.send_frame(frame).is_ok());
        }
        frames
    }

    /// Polls each landing queue once, as [`Link::receive`] does, for somebody who is the node's whole network
    /// stack, such as a kernel: all that came is given out, in order, ARP too, and nothing is answered here.
    /// A queue of ordinary frames is not looked at, and what belongs to admission control is not given out.
    /// Returns how many frames came, and what admission control had to do.
    #[inline]
    pub fn exchange(&mut self, burst: usize, mut each: impl FnMut(Arrival)) -> usize {
        let mut frames = 0;
        let outlet = &mut self.outlet;
        for (queue, receiver) in self.receivers.iter_mut().enumerate() {
            let arrived = &mut self.arrived;
            frames += receiver.receive(burst, |message| arrived.push(message.take()));
            let mut taken = 0;
            for mut message in arrived.drain(..) {
                while taken < message.strangers_before()
                    && let Some(frame) = receiver.next_stranger()
                {
                    if !outlet.take_control(queue, frame.data()) {
                        each(Arrival::Frame(frame));
                    }
                    taken += 1;
                }
                if let Some(admission) = &mut outlet.admission {
                    if message.flow().dst_port == ac::PORT {
                        admission.received(message.contiguous());
                        continue;
                    }
                    admission.heard(queue, message.flow().src);
                }
                each(Arrival::Message(message));
            }
            while let Some(frame) = receiver.next_stranger() {
                if !outlet.take_control(queue, frame.data()) {
                    each(Arrival::Frame(frame));
                }
            }
        }
        if outlet.admission.is_some() {
            frames += outlet.admission_turn(Instant::now(), &mut self.receivers);
        }
        self.outlet.sender.flush();
        self.show();
        frames
    }

    /// How long the link may be left alone after a poll that found nothing, unless frames come. `None`: it
    /// must be polled on, since a poll may settle what received frames are, or sent ones wait for room in the
    /// queue.
    pub fn rest(&mut self) -> Option<Duration> {
        let busy =
            self.receivers.iter().any(|receiver| receiver.wants_polls()) || self.outlet.sender.flush() > 0;
        let others = self.outlet.admission.is_some() || self.ordinary.is_some() || !self.outlet.is_up();
        (!busy).then_some(if others { BRIEF } else { LONGEST })
    }

    /// Where datagrams of this flow go to, as [`Outlet::ends`] says it. If that needs a request for
    /// admission, the request goes out before this returns.
    pub fn ends(&mut self, flow: Flow, now: Instant) -> Option<Ends> {
        let ends = self.outlet.ends(flow, now);
        if std::mem::take(&mut self.outlet.asking) {
            self.outlet.admission_turn(Instant::now(), &mut self.receivers);
        }
        ends
    }

    /// Gives all grants back, since forwarding ends. `LM_ENDME` and flush frames go out before this returns.
    /// It blocks until they have gone, or until nothing went out for 20 ms.
    pub fn release_grants(&mut self) {
        let Some(admission) = &mut self.outlet.admission else { return };
        admission.release_all();
        let mut active = Instant::now();
        let ending =
            |outlet: &Outlet| outlet.admission.as_ref().is_some_and(|admission| admission.is_ending());
        loop {
            let now = Instant::now();
            if self.outlet.admission_turn(now, &mut self.receivers) > 0 {
                active = now;
            }
            if !ending(&self.outlet) || active.elapsed() > ENDING {
                break;
            }
        }
    }

    /// The node has another address, and is a new node for admission control. It blocks as
    /// [`Link::release_grants`] does.
    pub fn admit(&mut self, address: std::net::Ipv4Addr, admission: Option<Box<Admission>>) {
        self.release_grants();
        // Nobody is admitted.
        if self.outlet.admission.is_some() {
            self.receivers.iter_mut().for_each(|receiver| receiver.set_layout(SlotLayout::Separate));
        }
        self.outlet.set_address(address.to_bits());
        self.outlet.admission = admission;
    }

    /// What the receivers, the sender, ARP and the ordinary queue have counted since the start.
    pub fn tally(&self) -> Tally {
        let (ordinary, ordinary_lost) = self.ordinary.as_ref().map_or((0, 0), |o| (o.frames, o.lost()));
        let (sent, arp) = (self.outlet.sender.stats(), self.outlet.arp());
        let mut tally = Tally { sent, arp, ordinary, ordinary_lost, ..Tally::default() };
        for receiver in &self.receivers {
            tally.add(&Tally { counters: receiver.counters(), ..Tally::default() });
        }
        tally
    }

    /// Frames received and sent since the start.
    pub fn frames(&self) -> u64 {
        let received: u64 = self.receivers.iter().map(|receiver| receiver.counters().frames).sum();
        let ordinary = self.ordinary.as_ref().map_or(0, |ordinary| ordinary.frames);
        received + ordinary + self.outlet.sender.stats().frames
    }

    /// Datagrams received since the start.
    pub fn datagrams(&self) -> u64 {
        self.receivers.iter().map(|receiver| receiver.counters().datagrams).sum()
    }

    /// The landing pools at this moment, added up. `None`: there are none.
    pub fn pool(&self) -> Option<PoolView> {
        let waiting = self.receivers.iter().map(|receiver| receiver.waiting()).sum();
        let pool = PoolView::of_all(self.receivers.iter().filter_map(Receiver::pool))?;
        let card = self.receivers.first().map(|receiver| *receiver.card());
        Some(PoolView { waiting, card, ..pool })
    }
}
