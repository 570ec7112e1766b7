//! [`Admission`]: admission control of one port.
//!
//! Before a datagram goes to a destination, it is asked for; until the answer is there nothing is sent to it. With a
//! grant, flush frames go first: they push the receiver's ring on to the slots that overlap. They go again behind
//! `LM_ENDME`, and push it back. Without a grant, datagrams go the ordinary way, each by leave of its own, or, where the
//! destination lands for somebody else, not at all for a while.
//!
//! The pump, `ac::control`, runs inline, between two polls of the port, or on an lcore of its own: [`pump`]. [`frames`]
//! is what goes out besides messages, `rings` knows when a ring is through, `view` is what can be shown.

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

/// What became of a destination.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// It was asked for, since then; the answer may be lost with its channel.
    Asked(Instant),
    /// Datagrams land. So many flush frames are still to go first.
    Granted { grant: Grant, flush: u16 },
    /// One datagram goes the ordinary way, if it goes before this moment: whom the destination lands for may change at any
    /// time.
    Ordinary(Instant),
    /// Nothing goes; it is asked for again at this moment.
    Cancelled(Instant),
    /// Its grant, used or not, was given back at this moment, and `LM_ENDME` has not gone yet.
    Ending { since: Instant, used: bool },
}

/// A destination.
#[derive(Clone, Copy, Debug)]
struct Destination {
    address: u32,
    standing: Standing,
    /// When it was last asked whether datagrams may go there, as [`Admission::awake`] counts.
    used: Duration,
}

/// What may be sent to a destination now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Datagrams, to this address on the link if there is one, else to the node's.
    Send(Option<Mac>),
    /// First so many flush frames, to the same: see [`Admission::flushed`].
    Flush(Option<Mac>, u16),
    /// Nothing yet: it has just been asked for.
    Ask,
    /// Nothing.
    Wait,
}

/// How long leave to send the ordinary way is good.
const ORDINARY: Duration = Duration::from_millis(1);
/// After a refusal a destination is asked for again after this.
const AGAIN: Duration = Duration::from_millis(20);
/// An answer that is later than this was lost.
const LOST: Duration = Duration::from_secs(2);
/// A grant that has not been used for so long is released.
const IDLE: Duration = Duration::from_millis(5);
/// Between two turns so much counts at most: no loop rests longer on purpose.
const AWAY: Duration = Duration::from_millis(1);
/// What a request names as its size: a stream of unknown length.
const SIZE: u64 = 1 << 20;
/// Grants that end at one moment, at most: of others the flush frames are left out.
const FLUSHING: usize = 64;

/// The way to the wire.
pub trait Wire {
    /// Sends a control message, from this address on the link if there is one, else from the node's.
    fn message(&mut self, to: NodeId, from: Option<Mac>, payload: &[u8]);
    /// Sends so many flush frames, or as many as there is room for, to this address on the link if there is one, else to the
    /// node's: how many.
    fn flush(&mut self, to: NodeId, landing: Option<Mac>, frames: u16) -> u16;
}

/// Admission control of a port.
#[derive(Debug)]
pub struct Admission {
    /// The pump, unless it runs on an lcore of its own.
    control: Option<Control>,
    lane: Lane,
    caller: Caller,
    /// The node's clock begins here, and was read last then.
    start: Instant,
    latest: Instant,
    /// How long it has run. By the clock, who had lost the CPU would seem idle, and give back the grant that it is to use.
    awake: Duration,
    /// Whether the device lets slots overlap.
    overlap: bool,
    /// Who holds which landing queue.
    holders: Vec<Option<u32>>,
    /// A stray was reported in this turn: one is enough.
    strayed: bool,
    /// The rings that are on their way back to separate slots. `None`: drains last as long as the user says.
    rings: Option<Rings>,
    /// Destinations at most.
    room: usize,
    destinations: Vec<Destination>,
    /// Flush frames that go behind an `LM_ENDME`.
    flushing: Vec<(NodeId, Option<Mac>, u16)>,
    sent: Sent,
    /// From a request to its grant.
    latency: Latency,
}

/// Datagrams and flush frames that were sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    landing: u64,
    ordinary: u64,
    flush: u64,
}

/// The node's clock.
fn clock(start: Instant, now: Instant) -> ac::Instant {
    ac::Instant::from_nanos(now.saturating_duration_since(start).as_nanos() as u64)
}

impl Admission {
    /// Admission control of a port.
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

    /// The pump goes elsewhere; `lane` is the port's number there.
    pub fn send_away(&mut self, lane: usize) -> Option<Away> {
        self.control.take().map(|control| Away { lane, control, start: self.start })
    }

    /// It has come back.
    pub fn take_back(&mut self, away: Away) {
        self.control = Some(away.control);
    }

    /// A datagram to [`ac::PORT`] was received. Flush frames have nothing in them.
    pub fn received(&self, payload: &[u8]) {
        if !payload.is_empty() {
            self.lane.received(payload);
        }
    }

    /// A frame of `from` that is no control message came to this landing queue. If another holds the queue, the sender has
    /// missed that, and is told.
    #[inline]
    pub fn heard(&mut self, queue: usize, from: u32) {
        let stray = matches!(self.holders.get(queue), Some(Some(holder)) if *holder != from);
        if stray && !self.strayed {
            self.strayed = true;
            self.lane.stray(NodeId(from.into()));
        }
    }

    /// One turn: what the node has to say is obeyed. How much that was.
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

    /// `LM_ENDME` has gone: the destination can be asked for again, and flush frames follow.
    fn end(&mut self, what: &Transmit, now: Instant) {
        let mut used = true;
        if let Some(standing) = self.standing_mut(what.to)
            && let Standing::Ending { used: it_was, .. } = *standing
        {
            *standing = Standing::Cancelled(now);
            used = it_was;
        }
        // Where no flush frame has gone the ring is as it was.
        if used && what.flush > 0 && self.flushing.len() < FLUSHING {
            self.flushing.push((what.to, what.landing, what.flush));
        }
    }

    /// Sends the flush frames that are due, as far as there is room: how many.
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

    /// What may be sent to this address. It is asked for, if it was not: [`Admission::turn`] puts the request out.
    pub fn may(&mut self, address: u32) -> May {
        // Read anew: a lease must not be overdrawn by what the caller did since it looked at the clock.
        let now = Instant::now();
        let known = self.destinations.iter().position(|d| d.address == address);
        if known.is_none() && self.destinations.len() >= self.room {
            // Who echoes is asked by addresses that a stranger makes up.
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

    /// Whether flush frames are on their way to a destination that has admitted us.
    pub fn is_flushing(&self, address: u32) -> bool {
        let now = clock(self.start, self.latest);
        self.destinations.iter().any(|d| {
            let going =
                matches!(d.standing, Standing::Granted { grant, flush } if flush > 0 && now < grant.until);
            d.address == address && going
        })
    }

    /// So many flush frames have gone before the data.
    pub fn flushed(&mut self, address: u32, frames: u16) {
        self.sent.flush += u64::from(frames);
        if let Some(Standing::Granted { flush, .. }) = self.standing_mut(NodeId(address.into())) {
            *flush = flush.saturating_sub(frames);
        }
    }

    /// A datagram has gone.
    pub fn sent(&mut self, address: u32) {
        let now = self.latest;
        let standing = self.standing_mut(NodeId(address.into()));
        let landing = matches!(standing, Some(Standing::Granted { .. }));
        if let Some(standing @ Standing::Ordinary(_)) = standing {
            *standing = Standing::Cancelled(now);
        }
        *(if landing { &mut self.sent.landing } else { &mut self.sent.ordinary }) += 1;
    }

    /// No more datagrams go to this address for now: the grant, or the request, is given back.
    pub fn release(&mut self, address: u32) {
        let Some(d) = self.destinations.iter_mut().find(|d| d.address == address) else { return };
        // With a pump elsewhere its grant may be on the way: then it is given back unused.
        let inline = self.control.is_some();
        let asked = !release(&self.caller, d) && inline && matches!(d.standing, Standing::Asked(_));
        if asked && self.caller.release(NodeId(address.into())).is_ok() {
            d.standing = Standing::Cancelled(self.latest);
        }
    }

    /// Ends all grants: forwarding ends.
    pub fn release_all(&mut self) {
        for d in &mut self.destinations {
            // If the channel is full the lease runs out.
            if !release(&self.caller, d) {
                let _ = self.caller.release(NodeId(d.address.into()));
            }
        }
        self.destinations.retain(|d| matches!(d.standing, Standing::Ending { .. }));
    }

    /// Whether grants were given back and some of what goes out then has not gone yet.
    pub fn is_ending(&self) -> bool {
        !self.flushing.is_empty()
            || self.destinations.iter().any(|d| matches!(d.standing, Standing::Ending { .. }))
    }

    /// What there is to show; of a pump that is elsewhere, [`pump::Pump::views`] tells.
    pub fn view(&self) -> View {
        let now = clock(self.start, Instant::now());
        let mut view = self.control.as_ref().map(|control| View::of(control, now)).unwrap_or_default();
        let Sent { landing, ordinary, flush } = self.sent;
        let through = self.rings.as_ref().map_or(0, Rings::through);
        view.lines.push(format!(
            "  datagrams sent: with a grant={landing} ordinary={ordinary}; flush frames={flush}; rings through={through}"
        ));
        view.lines.push(format!("  time to grant: {}", self.latency));
        view.lines.extend(self.destinations.iter().map(|d| {
            format!("  destination {}: {:?}", std::net::Ipv4Addr::from_bits(d.address), d.standing)
        }));
        view
    }
}

/// Gives a grant back: whether there was one, and the order was taken.
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
