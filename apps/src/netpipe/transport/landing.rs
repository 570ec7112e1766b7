//! The transports `lm` and `lm-copy`: LM on a port of its own. `lm-copy` has separate slots, and one copy
//! puts each datagram together.
//!
//! Both run the same code; only the layout of the slots and the copy differ. At most one datagram waits in a
//! filled send buffer. Echoes for which the queue has no room wait in order, and meanwhile nothing is
//! received.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use lm_engine::{Arrived, Message, SendBuffer, WouldBlock};
use lm_landing::SlotLayout;
use lm_proto::alf::Ends;
use lm_proto::auto_layout::AutoLayout;
use lm_proto::layout::{Geometry, Layout};
use lm_proto::wire::{Flow, MAX_PAYLOAD};
use rte::port::{PortId, RxInterrupt};
use rte::{Burst, Eal};

use super::interface::{Action, Kind, Open, Transport};
use super::settings::Settings;
use super::wire_bytes::on_wire;
use crate::explain::{explain_open, explain_start};
use crate::signals;
use lm_node::NodePort;
use lm_node::config::Identity;
use lm_node::receive_mode::{Idler, Sleeper};
use lm_node::{Link, Outlet};

/// LM with its zero-copy.
pub(super) static ZERO_COPY: Kind = Kind {
    name: "lm",
    help: "datagrams land where they are read",
    is_polled: true,
    open: Open::Port(|eal, id, settings| {
        Ok(Box::new(Landing::open(eal, id, &ZERO_COPY, settings, settings.port.layout)?))
    }),
};

/// LM with its zero-copy switched off.
pub(super) static COPY: Kind = Kind {
    name: "lm-copy",
    help: "the same stack, zero-copy switched off: one copy puts a datagram together",
    is_polled: true,
    open: Open::Port(|eal, id, settings| {
        Ok(Box::new(Landing::open(eal, id, &COPY, settings, Some(SlotLayout::Separate))?))
    }),
};

/// Polls between two looks at the clock.
const PERIOD: u32 = 32;
/// How long a peer that shares our rings has to take the last frames.
const LINGER: Duration = Duration::from_millis(100);

struct Landing {
    kind: &'static Kind,
    link: Option<Link>,
    now: Instant,
    burst: usize,
    /// A filled buffer for which the transmit queue had no room.
    filled: Option<SendBuffer>,
    /// Datagrams that are sent back when there is room.
    waiting: VecDeque<Message>,
    ours: Flow,
    geometry: Geometry,
    /// Datagrams of the largest size after which the layout of its slots no longer changes.
    warm_up: usize,
    polls: u32,
    /// When a poll may wait for a frame.
    idler: Idler,
    /// A round is under way; between two of them no poll waits.
    in_round: bool,
    /// The last datagram could not be sent.
    refused: bool,
    port: NodePort,
}

impl Landing {
    fn open(
        eal: &Eal,
        id: PortId,
        kind: &'static Kind,
        settings: &Settings,
        layout: Option<SlotLayout>,
    ) -> Result<Self, String> {
        let mut config = settings.node(id);
        config.layout = layout;
        // The copying form puts datagrams together by copying.
        config.in_pieces = layout != Some(SlotLayout::Separate);
        let mut port = NodePort::open(eal, id, &config).map_err(|e| explain_open(&e))?;
        port.start(eal, &config, &Identity::default(), signals::is_ending)
            .map_err(|e| explain_start(&e, &config))?;
        let link = port.link.take().ok_or("the port has no link")?;
        let geometry = Geometry::new(config.mtu).map_err(|e| e.to_string())?;
        // First as many as show the receiver that LM alone sends. Then a ring of frames, so that every slot
        // has the new layout; the pool is at least as large as the ring.
        let ring = link.pool().map_or(0, |pool| pool.size as usize).div_ceil(geometry.max_fragments());
        let auto = link.receivers.iter().any(|receiver| receiver.is_auto());
        let warm_up = if auto { AutoLayout::FIRST as usize + ring + 1 } else { 0 };
        let ours = link.outlet.ours();
        let link = Some(link);
        Ok(Self {
            kind,
            link,
            now: Instant::now(),
            burst: config.burst.into(),
            filled: None,
            waiting: VecDeque::new(),
            ours,
            geometry,
            warm_up,
            polls: 0,
            idler: settings.idler,
            in_round: false,
            refused: false,
            port,
        })
    }

    /// Sends a datagram if there is room for it.
    fn try_send(&mut self, payload: &[u8]) -> bool {
        let Some(link) = &mut self.link else { return false };
        let outlet = &mut link.outlet;
        let Some(ends) = outlet.ends(self.ours, self.now) else { return false };
        if self.filled.is_none() && outlet.send_small(payload, &ends) {
            return true;
        }
        let buffer = self.filled.take().or_else(|| {
            // If the queue is full, filling a buffer would be work in vain.
            let mut buffer = (outlet.sender.flush() == 0).then(|| outlet.sender.buffer()).flatten()?;
            buffer.fill(payload);
            Some(buffer)
        });
        match buffer.map(|buffer| outlet.sender.send(buffer, &ends)) {
            Some(Ok(())) => true,
            Some(Err(WouldBlock(buffer))) => {
                self.filled = Some(buffer);
                false
            }
            None => false,
        }
    }

    /// Sends the echoes that wait, and receives once. Returns how many of them were sent, and what was
    /// received.
    fn turn_once(&mut self, look: &mut dyn FnMut(&[u8]) -> Action) -> usize {
        let Some(link) = &mut self.link else { return 0 };
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(PERIOD) {
            self.now = Instant::now();
            if !link.outlet.is_up() {
                self.port.look_at_link();
            }
        }
        let (now, theirs, waiting) = (self.now, self.ours.reversed(), &mut self.waiting);
        let mut found = 0;
        while let Some(message) = waiting.pop_front() {
            if let Err(message) = answer(message, &mut link.outlet, now) {
                waiting.push_front(message);
                break;
            }
            found += 1;
        }
        if waiting.is_empty() {
            found += link.receive(self.burst, now, |mut message, outlet| {
                if message.flow() != theirs {
                    return;
                }
                let action = look(message.contiguous());
                if action == Action::EchoAnew {
                    message.forget_carried();
                }
                if action.is_echo()
                    && let Err(message) = answer_in_place(message, outlet, now)
                {
                    waiting.push_back(message);
                }
            });
        } else {
            link.outlet.sender.flush();
        }
        found
    }

    /// Waits for frames after a turn that found nothing, if it may. Returns what was found then.
    fn wait(&mut self, look: &mut dyn FnMut(&[u8]) -> Action) -> usize {
        self.now = Instant::now();
        // No interrupt tells of room in the transmit queue.
        let awake = !self.in_round || self.refused || !self.waiting.is_empty();
        let rest = self.link.as_mut().filter(|_| !awake).and_then(Link::rest);
        let Some(most) = rest else { return 0 };
        let (mut idler, now) = (self.idler, self.now);
        let found = idler.sleep(&mut Listening { landing: self, look }, now, most);
        self.idler = idler;
        found.unwrap_or(0)
    }
}

/// A transport, and the closure that is shown what it receives.
struct Listening<'a> {
    landing: &'a mut Landing,
    look: &'a mut dyn FnMut(&[u8]) -> Action,
}

impl Sleeper for Listening<'_> {
    fn interrupts(&mut self) -> impl Iterator<Item = &mut RxInterrupt> {
        self.landing.link.iter_mut().flat_map(|link| &mut link.interrupts)
    }

    fn look(&mut self) -> usize {
        self.landing.turn_once(self.look)
    }
}

/// As [`answer`], of a datagram that has just arrived.
fn answer_in_place(message: Arrived<'_>, outlet: &mut Outlet, now: Instant) -> Result<(), Message> {
    let ends = outlet.ends(message.flow().reversed(), now);
    if ends.is_some_and(|ends| outlet.send_message_copied(&message, &ends)) {
        return Ok(());
    }
    send_back(message.take(), ends, outlet)
}

/// Sends a datagram back to its sender. Returns it as an error if that cannot be done now.
fn answer(message: Message, outlet: &mut Outlet, now: Instant) -> Result<(), Message> {
    let ends = outlet.ends(message.flow().reversed(), now);
    send_back(message, ends, outlet)
}

/// [`answer`], once it is known where to.
fn send_back(message: Message, ends: Option<Ends>, outlet: &mut Outlet) -> Result<(), Message> {
    match ends {
        Some(ends) => outlet.send_message(message, &ends).map(drop).map_err(|WouldBlock(message)| message),
        None => Err(message),
    }
}

impl Transport for Landing {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn wire(&self) -> String {
        self.port.landing.info().driver.clone()
    }

    fn limit(&self) -> usize {
        MAX_PAYLOAD
    }

    fn warm_up(&self) -> usize {
        self.warm_up
    }

    fn wire_bytes(&self, payload: usize) -> usize {
        let layout = Layout::new(self.geometry, payload);
        layout.map_or(0, |l| on_wire((0..l.fragments()).map(|i| lm_proto::wire::HEADERS + l.fragment_len(i))))
    }

    fn is_polled(&self) -> bool {
        self.idler.polls()
    }

    fn send(&mut self, payload: &[u8]) -> bool {
        let gone = self.try_send(payload);
        self.refused = !gone;
        gone
    }

    fn poll(&mut self, look: &mut dyn FnMut(&[u8]) -> Action) -> usize {
        let found = self.turn_once(look);
        if self.idler.polls() {
            return found;
        }
        if found > 0 {
            self.idler.worked();
            return found;
        }
        self.wait(look)
    }

    fn flush(&mut self) {
        if let Some(link) = &mut self.link {
            link.outlet.sender.flush();
        }
    }

    fn copied(&self) -> u64 {
        self.link.as_ref().map_or(0, |link| link.receivers.iter().map(|r| r.counters().copied_bytes).sum())
    }

    fn set_in_round(&mut self, in_round: bool) {
        self.in_round = in_round;
    }

    fn close(mut self: Box<Self>) {
        self.filled = None;
        self.waiting.clear();
        let Some(mut link) = self.link.take() else { return };
        link.outlet.sender.flush();
        thread::sleep(LINGER);
        // Drivers release sent mbufs when they are called to send, even if nothing is sent.
        link.outlet.sender.queue().send(&mut Burst::<1>::new());
        for (reason, n) in link.tally().counters.drops().filter(|&(_, n)| n > 0) {
            log::info!("{}: {n} dropped: {reason}", self.kind.name);
        }
        self.port.link = Some(link);
        if let Err(e) = self.port.stop() {
            log::warn!("{e}");
        }
    }
}
