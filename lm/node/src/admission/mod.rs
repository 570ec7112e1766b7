//! [`Admission`]: admission control of one port.
//!
//! [`crate::link`] asks it before each datagram. It first asks the destination, and nothing is sent until the
//! answer arrives. There are three answers:
//!
//! - A grant: datagrams land. Flush frames go before them, and use up the separate slots in the receiver's
//!   ring. Flush frames go again after `LM_ENDME`, and use up the overlapping slots.
//! - The ordinary way: one datagram may go, and its receiver gets it in pieces. The next datagram asks again.
//! - A refusal, because the destination lands for another sender: nothing is sent to it for a while.
//!
//! `docs/admission-control.md` specifies the protocol, and the crate `ac` implements it. Here it is connected
//! to a port's queues, wire and clock.
//!
//! The loop of `ac::control` runs between two polls of the port, or on an lcore of its own ([`pump`]).
//! [`frames`] makes flush frames and frames for control messages, and [`pace`] limits how many flush frames
//! are sent at once. Private modules are `setup` (settings), `rings` (when a ring was used up) and `view`
//! (reports).

pub mod frames;
pub mod pace;
pub mod pump;
mod rings;
mod setup;
mod view;

use std::time::{Duration, Instant};

use ac::control::{Answer, Caller, Control, Lane, Latency, Order};
use ac::{Event, Grant, Kind, Node, NodeId, Transmit};
use lm_engine::Receiver;
use lm_landing::SlotLayout;
use lm_proto::wire::Mac;

use self::pump::Away;
use self::rings::Rings;
pub use self::setup::Setup;
pub use self::view::View;

/// How things stand with a destination.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// A grant was asked for at this moment. The answer may be lost, if its channel is full.
    Asked(Instant),
    /// Datagrams land. `flush` frames are still to go before them.
    Granted { grant: Grant, flush: u16 },
    /// One datagram may go the ordinary way before this moment. It holds for a short time only, since the
    /// destination may land for another sender at any time.
    Ordinary(Instant),
    /// Nothing may go. A grant is asked for again at this moment.
    Cancelled(Instant),
    /// The grant was given back at this moment, and `LM_ENDME` has not gone yet.
    Ending { since: Instant, used: bool },
}

/// A node that datagrams are sent to.
#[derive(Clone, Copy, Debug)]
struct Destination {
    address: u32,
    standing: Standing,
    /// When a caller last asked whether datagrams may go there, as [`Admission::awake`] counts time.
    used: Duration,
}

/// What may be sent to a destination now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Datagrams. They go to this MAC address, or to the node's own if there is none.
    Send(Option<Mac>),
    /// So many flush frames first, to the same MAC address. [`Admission::flushed`] is told when they have
    /// gone.
    Flush(Option<Mac>, u16),
    /// Nothing yet. A grant has just been asked for, and [`Admission::turn`] sends the request.
    Ask,
    /// Nothing. Ask again later.
    Wait,
}

/// How long a decision for the ordinary way holds.
const ORDINARY: Duration = Duration::from_millis(1);
/// How long after a refusal a grant is asked for again.
const AGAIN: Duration = Duration::from_millis(20);
/// An answer that has not come after this time is taken to be lost.
const LOST: Duration = Duration::from_secs(2);
/// A grant that has not been used for this time is released.
const IDLE: Duration = Duration::from_millis(5);
/// The most that the time between two turns counts for. A loop never rests longer on purpose, so the rest of
/// it is CPU time that others had.
const AWAY: Duration = Duration::from_millis(1);
/// The size that a request names, in bytes. Streams are of unknown length, so it is only large.
const SIZE: u64 = 1 << 20;
/// Ended grants whose flush frames can wait at the same time. Flush frames of any more are left out.
const FLUSHING: usize = 64;

/// How admission control sends. [`crate::link`] implements it.
pub trait Wire {
    /// Sends a control message. Its source is the MAC address `from`, or the node's own if there is none.
    fn message(&mut self, to: NodeId, from: Option<Mac>, payload: &[u8]);
    /// Sends `frames` flush frames, or as many as there is room for, and returns how many went. They go to
    /// the MAC address `landing`, or to the node's own if there is none.
    fn flush(&mut self, to: NodeId, landing: Option<Mac>, frames: u16) -> u16;
}

/// Admission control of a port. It belongs to the thread that polls the port.
#[derive(Debug)]
pub struct Admission {
    /// The pump, unless it runs on an lcore of its own.
    control: Option<Control>,
    lane: Lane,
    caller: Caller,
    /// The node's clock counts from `start`. `latest` is the latest time that it was read.
    start: Instant,
    latest: Instant,
    /// How long the node has run, without the time in which it did not have the CPU. By the clock, a node
    /// that lost the CPU would seem idle, and would give back a grant that it is about to use.
    awake: Duration,
    /// Whether the device lets slots overlap.
    overlap: bool,
    /// The holder's address of each landing queue, if somebody holds it.
    holders: Vec<Option<u32>>,
    /// Whether a stray frame was reported in this turn. One report a turn is enough.
    strayed: bool,
    /// The rings that are on their way back to separate slots. `None`: each drain lasts as long as the user
    /// says.
    rings: Option<Rings>,
    /// The most destinations that are kept.
    room: usize,
    destinations: Vec<Destination>,
    /// Flush frames that go after an `LM_ENDME`: to whom, to which MAC address, how many are left.
    flushing: Vec<(NodeId, Option<Mac>, u16)>,
    sent: Sent,
    /// The times from a request to its grant.
    latency: Latency,
}

/// Datagrams that were sent with a grant and without, and flush frames.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    landing: u64,
    ordinary: u64,
    flush: u64,
}

/// A moment on the node's clock.
fn clock(start: Instant, now: Instant) -> ac::Instant {
    ac::Instant::from_nanos(now.saturating_duration_since(start).as_nanos() as u64)
}

impl Admission {
    /// Admission control of a port that is set up like this, with its pump inline.
    ///
    /// # Errors
    /// [`ac::ConfigError`]: the settings that follow from `setup` contradict each other.
    pub fn new(setup: Setup) -> Result<Self, ac::ConfigError> {
        let (overlap, ring) = (setup.overlap, setup.ring);
        let rings = setup.drain.is_none().then(|| Rings::new(if overlap { ring } else { 0 }));
        let config = setup.config();
        let (room, queues) = (config.nodes, usize::from(config.queues));
        let node = Node::new(config, ac::Instant::ZERO)?;
        let mut control = Control::new(node);
        let (lane, caller) = (control.lane(), control.caller());
        let now = Instant::now();
        Ok(Self {
            control: Some(control),
            lane,
            caller,
            start: now,
            latest: now,
            awake: Duration::ZERO,
            overlap,
            holders: vec![None; queues],
            strayed: false,
            rings,
            room,
            destinations: Vec::with_capacity(room),
            flushing: Vec::with_capacity(FLUSHING),
            sent: Sent::default(),
            latency: Latency::default(),
        })
    }

    /// Takes the pump out, to be run by a [`pump::Pump`]. `lane` is the port's number there. `None`: it is
    /// out already.
    pub fn send_away(&mut self, lane: usize) -> Option<Away> {
        self.control.take().map(|control| Away { lane, control, start: self.start })
    }

    /// Puts the pump back.
    pub fn take_back(&mut self, away: Away) {
        self.control = Some(away.control);
    }

    /// Tells of a datagram to [`ac::PORT`] that was received. One without payload is a flush frame, and is
    /// ignored.
    pub fn received(&self, payload: &[u8]) {
        if !payload.is_empty() {
            self.lane.received(payload);
        }
    }

    /// Tells that a frame of `from`, other than a control message, came to this landing queue. If another
    /// node holds the queue, the sender has missed that, and a control message tells it.
    #[inline]
    pub fn heard(&mut self, queue: usize, from: u32) {
        let stray = matches!(self.holders.get(queue), Some(Some(holder)) if *holder != from);
        if stray && !self.strayed {
            self.strayed = true;
            self.lane.stray(NodeId(from.into()));
        }
    }

    /// Takes one turn: runs the pump if it is here, obeys the node's orders, sends flush frames that are due,
    /// and takes in answers. Returns how much there was to do.
    pub fn turn(&mut self, now: Instant, receivers: &mut [Receiver], wire: &mut impl Wire) -> usize {
        let mut done = 0;
        self.strayed = false;
        self.awake += now.saturating_duration_since(self.latest).min(AWAY);
        self.latest = self.latest.max(now);
        let now = self.latest;
        if let Some(rings) = &mut self.rings {
            rings.look(
                |queue| receivers.get(queue).map(|r| r.counters().frames),
                |queue| {
                    self.lane.drained(queue);
                },
            );
        }
        if let Some(control) = &mut self.control {
            done += control.turn(clock(self.start, now));
        }
        while let Some(order) = self.lane.order() {
            done += 1;
            match order {
                Order::Transmit { what, message } => {
                    let from = what.landing.filter(|_| what.kind == Kind::AcqOk);
                    wire.message(what.to, from, message.bytes());
                    if what.kind == Kind::EndMe {
                        self.end(&what, now);
                    }
                }
                Order::Open { queue, holder } => {
                    self.hold(queue, u32::try_from(holder.0).ok());
                    self.lay(receivers, queue, SlotLayout::Overlapping);
                }
                Order::Close { queue } => {
                    self.hold(queue, None);
                    self.lay(receivers, queue, SlotLayout::Separate);
                }
            }
        }
        done += self.flush(wire);
        while let Some(answer) = self.caller.answer() {
            done += 1;
            self.hear(answer, now);
        }
        let unused = |d: &Destination| self.awake.saturating_sub(d.used);
        for d in self.destinations.iter_mut().filter(|d| unused(d) > IDLE) {
            release(&self.caller, d);
        }
        self.destinations.retain(|d| unused(d) < LOST);
        done
    }

    /// Notes that `LM_ENDME` has gone. The destination can be asked for again, and flush frames follow.
    fn end(&mut self, what: &Transmit, now: Instant) {
        let mut used = true;
        if let Some(standing) = self.standing_mut(what.to)
            && let Standing::Ending { used: it_was, .. } = *standing
        {
            *standing = Standing::Cancelled(now);
            used = it_was;
        }
        // If no flush frame has gone before, the receiver's ring is as it was.
        if used && what.flush > 0 && self.flushing.len() < FLUSHING {
            self.flushing.push((what.to, what.landing, what.flush));
        }
    }

    /// Sends the flush frames that are due, as far as there is room. Returns how many went.
    fn flush(&mut self, wire: &mut impl Wire) -> usize {
        let sent = &mut self.sent.flush;
        let before = *sent;
        self.flushing.retain_mut(|(to, landing, left)| {
            let n = wire.flush(*to, *landing, *left);
            *sent += u64::from(n);
            *left = left.saturating_sub(n);
            *left > 0
        });
        (*sent - before) as usize
    }

    fn hold(&mut self, queue: u8, holder: Option<u32>) {
        if let Some(place) = self.holders.get_mut(usize::from(queue)) {
            *place = holder;
        }
    }

    fn lay(&mut self, receivers: &mut [Receiver], queue: u8, layout: SlotLayout) {
        let Some(receiver) = receivers.get_mut(usize::from(queue)) else { return };
        if self.overlap {
            receiver.set_layout(layout);
        }
        if let Some(rings) = &mut self.rings {
            let closed = layout == SlotLayout::Separate;
            rings.begin(queue.into(), closed.then(|| receiver.counters().frames));
        }
    }

    fn hear(&mut self, answer: Answer, now: Instant) {
        let (to, standing) = match answer {
            Answer::Taken { .. } => return,
            Answer::NotTaken { to, why } => {
                log::debug!("{to} was not asked for: {why}");
                (to, Standing::Cancelled(now + AGAIN))
            }
            Answer::Event(event) => match event {
                Event::Granted { to, grant, .. } => (to, Standing::Granted { grant, flush: grant.flush }),
                Event::Renewed { to, until, .. } => {
                    if let Some(Standing::Granted { grant, .. }) = self.standing_mut(to) {
                        grant.until = until;
                    }
                    return;
                }
                Event::Ordinary { to, .. } => (to, Standing::Ordinary(now + ORDINARY)),
                Event::Unanswered { to, .. } => {
                    log::warn!("{to} does not answer admission control: is --ac on there?");
                    (to, Standing::Cancelled(now + AGAIN))
                }
                Event::Cancelled { to, .. } => (to, Standing::Cancelled(now + AGAIN)),
                Event::Revoked { to, .. } | Event::Lapsed { to, .. } => {
                    log::warn!("the grant for {to} has ended before its time");
                    (to, Standing::Cancelled(now + AGAIN))
                }
                _ => return,
            },
        };
        let Some(place) = self.standing_mut(to) else { return };
        let before = std::mem::replace(place, standing);
        if let (Standing::Asked(since), Standing::Granted { .. }) = (before, standing) {
            self.latency.add(Instant::now().saturating_duration_since(since));
        }
    }

    fn standing_mut(&mut self, to: NodeId) -> Option<&mut Standing> {
        self.destinations.iter_mut().find(|d| u64::from(d.address) == to.0).map(|d| &mut d.standing)
    }

    /// What may be sent to this address now. If nothing is known of it, a grant is asked for, and
    /// [`Admission::turn`] sends the request.
    pub fn may(&mut self, address: u32) -> May {
        // The clock is read here and not by the caller: a lease must not be overdrawn by what the caller did
        // meanwhile.
        let now = Instant::now();
        let known = self.destinations.iter().position(|d| d.address == address);
        if known.is_none() && self.destinations.len() >= self.room {
            // A node that echoes sends to addresses that a stranger can make up. The table must not grow with
            // them.
            return May::Wait;
        }
        let at = known.unwrap_or_else(|| {
            let standing = Standing::Cancelled(now);
            self.destinations.push(Destination { address, standing, used: self.awake });
            self.destinations.len() - 1
        });
        let d = &mut self.destinations[at];
        d.used = self.awake;
        let ask = match d.standing {
            Standing::Granted { grant, .. } if grant.until <= clock(self.start, now) => return May::Wait,
            Standing::Granted { grant, flush: 0 } => return May::Send(grant.landing),
            Standing::Granted { grant, flush } => return May::Flush(grant.landing, flush),
            Standing::Asked(since) | Standing::Ending { since, .. } => {
                now.saturating_duration_since(since) >= LOST
            }
            Standing::Ordinary(until) if now < until => return May::Send(None),
            Standing::Ordinary(_) => true,
            Standing::Cancelled(again) => now >= again,
        };
        if ask && self.caller.request(NodeId(address.into()), SIZE, 0).is_ok() {
            d.standing = Standing::Asked(now);
            return May::Ask;
        }
        May::Wait
    }

    /// Whether this destination has admitted us, and flush frames have yet to go there.
    pub fn is_flushing(&self, address: u32) -> bool {
        let now = clock(self.start, self.latest);
        self.destinations.iter().any(|d| {
            let going =
                matches!(d.standing, Standing::Granted { grant, flush } if flush > 0 && now < grant.until);
            d.address == address && going
        })
    }

    /// Notes that so many flush frames have gone to this address before the data.
    pub fn flushed(&mut self, address: u32, frames: u16) {
        self.sent.flush += u64::from(frames);
        if let Some(Standing::Granted { flush, .. }) = self.standing_mut(NodeId(address.into())) {
            *flush = flush.saturating_sub(frames);
        }
    }

    /// Notes that a datagram has gone to this address.
    pub fn sent(&mut self, address: u32) {
        let now = self.latest;
        let standing = self.standing_mut(NodeId(address.into()));
        let landing = matches!(standing, Some(Standing::Granted { .. }));
        if let Some(standing @ Standing::Ordinary(_)) = standing {
            *standing = Standing::Cancelled(now);
        }
        *(if landing { &mut self.sent.landing } else { &mut self.sent.ordinary }) += 1;
    }

    /// Gives the grant for this address back, or withdraws the request: no more datagrams go there for now.
    pub fn release(&mut self, address: u32) {
        let Some(d) = self.destinations.iter_mut().find(|d| d.address == address) else { return };
        // A pump on another lcore may have sent the grant already. That one is given back unused when it
        // comes.
        let inline = self.control.is_some();
        let asked = !release(&self.caller, d) && inline && matches!(d.standing, Standing::Asked(_));
        if asked && self.caller.release(NodeId(address.into())).is_ok() {
            d.standing = Standing::Cancelled(self.latest);
        }
    }

    /// Gives all grants back, and withdraws all requests, since forwarding ends.
    pub fn release_all(&mut self) {
        for d in &mut self.destinations {
            // If the channel is full, the grant ends when its lease runs out.
            if !release(&self.caller, d) {
                let _ = self.caller.release(NodeId(d.address.into()));
            }
        }
        self.destinations.retain(|d| matches!(d.standing, Standing::Ending { .. }));
    }

    /// Whether a grant was given back, and its `LM_ENDME` or its flush frames have not gone yet.
    pub fn is_ending(&self) -> bool {
        !self.flushing.is_empty()
            || self.destinations.iter().any(|d| matches!(d.standing, Standing::Ending { .. }))
    }

    /// What can be counted of it. It lacks what the pump knows, if that is on another lcore.
    pub(crate) fn numbers(&self) -> Vec<(&'static str, u64)> {
        let Sent { landing, ordinary, flush } = self.sent;
        let mut numbers = vec![
            ("sent_with_grant", landing),
            ("sent_ordinary", ordinary),
            ("flush_frames", flush),
            ("rings_through", self.rings.as_ref().map_or(0, Rings::through)),
            ("destinations", self.destinations.len() as u64),
        ];
        if let Some(control) = &self.control {
            let node = control.node();
            numbers.extend(node.counters().named());
            numbers.extend([("waiting", node.waiting() as u64), ("lost_in_channels", control.lost())]);
        }
        numbers
    }

    /// What there is to show. It lacks what the pump knows, if that is on another lcore: see
    /// [`pump::Pump::views`].
    pub fn view(&self) -> View {
        let now = clock(self.start, Instant::now());
        let mut view = self.control.as_ref().map(|control| View::of(control, now)).unwrap_or_default();
        let Sent { landing, ordinary, flush } = self.sent;
        let through = self.rings.as_ref().map_or(0, Rings::through);
        view.lines.push(format!(
            "  datagrams sent: with a grant={landing} ordinary={ordinary}; flush frames={flush}; rings \
             through={through}"
        ));
        view.lines.push(format!("  time to grant: {}", self.latency));
        view.lines.extend(self.destinations.iter().map(|d| {
            format!("  destination {}: {:?}", std::net::Ipv4Addr::from_bits(d.address), d.standing)
        }));
        view
    }
}

/// Gives a grant back. Returns whether there was one and the pump's channel had room for the order.
fn release(caller: &Caller, d: &mut Destination) -> bool {
    let Standing::Granted { grant, flush } = d.standing else { return false };
    let released = caller.release(NodeId(d.address.into())).is_ok();
    if released {
        d.standing = Standing::Ending { since: Instant::now(), used: flush < grant.flush };
    }
    released
}

#[cfg(test)]
mod tests;
