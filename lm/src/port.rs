//! [`Port`]: a DPDK port as a node that receives and sends messages.
//!
//! Programs open one and poll it. It joins a `NodePort` and its `Link` (`lm-node`) with the messages that
//! wait to be sent ([`Outbound`]).

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{error, fmt, thread};

use lm_engine::{Arrived, Message, SendBuffer};
use lm_node::port::{OpenError, StartPortError};
use lm_node::tally::Tally;
use lm_node::{Link, NodePort};
use rte::port::{RxInterrupt, StopError};

use crate::config::Config;
use crate::eal::Eal;
use crate::moment::Moment;
use crate::outbound::{Ahead, Outbound, Outbox, SendError, Sent, turn};

/// How long [`Port::close`] waits for the device to take the last frames.
const LINGER: Duration = Duration::from_millis(100);

/// A DPDK port that receives and sends messages. It belongs to the thread that polls it, and may be moved to
/// another one.
///
/// Dropping it stops and closes the port. Messages that are still held keep their memory.
pub struct Port {
    // Dropped before the port, as its queues must be.
    link: Option<Link>,
    node: NodePort,
    config: Config,
    outbox: Outbox,
    ahead: Ahead,
    moment: Moment,
    running: Arc<AtomicBool>,
    ignored: u64,
}

/// Ends [`Port::is_running`], from any thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<AtomicBool>);

impl Stopper {
    /// Makes [`Port::is_running`] false. The port's loop ends when it asks next.
    pub fn stop(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Port {
    /// Takes the port of a device, prepares it for landing and starts it. `device` is its name in EAL, such
    /// as `net_tap0` or `0000:01:00.0`.
    ///
    /// A net_memif client waits up to 5 s for its server. A link that is down is no error: messages wait for
    /// it.
    ///
    /// # Errors
    /// [`PortError`]: there is no such device, nothing can land on it, or there is too little memory. After
    /// an error the device may be closed. DPDK has forgotten it then, and the next call does not find it.
    pub fn open(eal: &Eal, device: &str, config: Config) -> Result<Self, PortError> {
        let id = rte::port::find(eal.as_rte(), device).ok_or_else(|| PortError::NoDevice {
            device: device.to_owned(),
            known: eal.devices(),
            log: rte::log::complaints(),
        })?;
        let mut node = NodePort::open(eal.as_rte(), id, &config.node).map_err(PortError::Open)?;
        let never = || false;
        node.start(eal.as_rte(), &config.node, &config.identity(), never).map_err(PortError::Start)?;
        let link = node.link.take();
        let running = Arc::new(AtomicBool::new(true));
        let (outbox, ahead, moment) = (Outbox::default(), Ahead::new(), Moment::new(eal.as_rte()));
        Ok(Self { link, node, config, outbox, ahead, moment, running, ignored: 0 })
    }

    /// Polls each queue once, and gives every message to this node that became whole to `each`, with the way
    /// out. Messages that waited to be sent are sent, and ARP is answered. Returns how much there was to do;
    /// 0 means that the loop may rest. It does not block.
    ///
    /// Datagrams to the node's address, to a multicast group or to the broadcast address reach `each`. If
    /// [`Config::udp_port`] was given, only those to that port do. All others are counted in
    /// [`Port::ignored`].
    ///
    /// # Errors
    /// [`PollError::Closed`] after [`Port::close`].
    pub fn poll(&mut self, each: impl FnMut(Message, &mut Outbound<'_>)) -> Result<usize, PollError> {
        let Self { link, node, config, outbox, ahead, moment, ignored, .. } = self;
        let link = link.as_mut().ok_or(PollError::Closed)?;
        let now = moment.now();
        if !link.outlet.is_up() {
            node.look_at_link();
        }
        Ok(ahead.catch_up(link) + turn(link, config, outbox, ignored, now, each))
    }

    /// As [`Port::poll`], for a caller that answers messages when the poll has ended. A poll that gave some
    /// out leaves the rest of its work (ARP's clock, admission control, telemetry) to the next poll, so that
    /// the answers need not wait for it.
    ///
    /// # Errors
    /// As for [`Port::poll`].
    #[inline]
    pub fn poll_ahead(&mut self, each: impl FnMut(Arrived<'_>)) -> Result<usize, PollError> {
        let Self { link, node, config, outbox, ahead, moment, ignored, .. } = self;
        let link = link.as_mut().ok_or(PollError::Closed)?;
        let now = moment.now();
        if !link.outlet.is_up() {
            node.look_at_link();
        }
        Ok(ahead.turn(link, config, outbox, ignored, now, each))
    }

    /// The way out for messages of the last [`Port::poll_ahead`]. The time is that of the poll, as it is
    /// within the closure of [`Port::poll`]. `None` after [`Port::close`].
    #[inline]
    pub fn outbound_of_poll(&mut self) -> Option<Outbound<'_>> {
        let outlet = &mut self.link.as_mut()?.outlet;
        Some(Outbound { outlet, outbox: &mut self.outbox, now: self.ahead.polled() })
    }

    /// The way out, for messages that are not sent during a poll. `None` after [`Port::close`].
    pub fn outbound(&mut self) -> Option<Outbound<'_>> {
        let outlet = &mut self.link.as_mut()?.outlet;
        Some(Outbound { outlet, outbox: &mut self.outbox, now: Instant::now() })
    }

    /// Sends a copy of `data`, 65,507 bytes at most: see [`Outbound::send`]. A port that was closed drops the
    /// message, and does not count it.
    ///
    /// # Errors
    /// [`SendError::TooLong`]: `data` has more than 65,507 bytes.
    pub fn send(&mut self, data: &[u8], to: SocketAddrV4) -> Result<Sent, SendError> {
        self.outbound().map_or(Ok(Sent::Dropped), |mut out| out.send(data, to))
    }

    /// An empty buffer to write a message in place: see [`Outbound::buffer`]. `None` also after
    /// [`Port::close`].
    pub fn buffer(&mut self) -> Option<SendBuffer> {
        self.outbound()?.buffer()
    }

    /// Sends what was written to a buffer: see [`Outbound::send_buffer`]. A port that was closed drops it.
    pub fn send_buffer(&mut self, buffer: SendBuffer, to: SocketAddrV4) -> Sent {
        self.outbound().map_or(Sent::Dropped, |mut out| out.send_buffer(buffer, to))
    }

    /// The interrupts of the receive queues, if [`Config::interrupts`] asked for them. To sleep: enable them,
    /// poll once more, and wait on their file descriptors, or by `rte::port::wait`, only if that found
    /// nothing and [`Port::may_rest`]; then disable them.
    pub fn interrupts(&mut self) -> &mut [RxInterrupt] {
        self.link.as_mut().map_or(&mut [], |link| &mut link.interrupts)
    }

    /// How long the port may be left alone after a poll that found nothing, unless frames come. `None`: it
    /// must be polled on, as something waits to be sent, or to become whole.
    pub fn may_rest(&mut self) -> Option<Duration> {
        if !self.outbox.is_empty() || self.ahead.owes() {
            return None;
        }
        self.link.as_mut()?.rest()
    }

    /// Whether the loop should go on: nobody has called [`Stopper::stop`] or [`Port::close`].
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// A handle that ends the loop from another thread or from a signal handler.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.running))
    }

    /// Whether the link has come up since the port was opened.
    pub fn is_up(&self) -> bool {
        self.node.look_at_link()
    }

    /// Where the node can be sent to. The port is 0 if datagrams to any port are taken.
    pub fn address(&self) -> SocketAddrV4 {
        self.config.address()
    }

    /// What the port did since it was opened: datagrams, frames, and drops by reason.
    pub fn counters(&self) -> Tally {
        let mut tally = self.node.past.clone();
        if let Some(link) = &self.link {
            tally.add(&link.tally());
        }
        tally
    }

    /// Datagrams that arrived whole, but for another address or another UDP port.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// How many messages were dropped on the way out, and how many wait there now.
    pub fn unsent(&self) -> (u64, usize) {
        (self.outbox.dropped(), self.outbox.len())
    }

    /// Stops the port. Messages that wait are dropped and counted. It waits up to 100 ms for the device to
    /// take the last frames, and longer if grants have to be given back.
    ///
    /// # Errors
    /// [`PollError::Closed`]: it is closed already. [`PollError::Device`]: the driver refuses.
    pub fn close(&mut self) -> Result<(), PollError> {
        let mut link = self.link.take().ok_or(PollError::Closed)?;
        self.running.store(false, Ordering::Relaxed);
        self.outbox.clear();
        link.release_grants();
        let begun = Instant::now();
        while link.outlet.sender.flush() > 0 && begun.elapsed() < LINGER {
            thread::yield_now();
        }
        self.node.link = Some(link);
        self.node.stop().map_err(PollError::Device)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.link.is_some()
            && let Err(e) = self.close()
        {
            log::warn!("port {}: {e}", self.node.id());
        }
    }
}

/// Why [`Port::open`] failed.
#[non_exhaustive]
pub enum PortError {
    /// EAL has no device of this name.
    NoDevice {
        /// The name that was asked for.
        device: String,
        /// The devices that EAL has.
        known: Vec<String>,
        /// What DPDK has complained about.
        log: String,
    },
    /// The port cannot be prepared.
    Open(OpenError),
    /// The port does not start.
    Start(StartPortError),
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice { device, known, log } if known.is_empty() && log.is_empty() => write!(
                f,
                "EAL has no device {device}, and no other: give it one, such as --vdev={device} or -a \
                 0000:01:00.0"
            ),
            Self::NoDevice { device, known, log } if known.is_empty() => write!(
                f,
                "EAL has no device {device}, and no other: {log}; run as root, or correct the device \
                 (--vdev={device}, -a 0000:01:00.0)"
            ),
            Self::NoDevice { device, known, .. } => {
                write!(f, "EAL has no device {device}: name one that it has: {}", known.join(", "))
            }
            Self::Open(e) => e.fmt(f),
            Self::Start(e) => e.fmt(f),
        }
    }
}

rte::debug_is_display!(PortError);

impl error::Error for PortError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NoDevice { .. } => None,
            Self::Open(e) => Some(e),
            Self::Start(e) => Some(e),
        }
    }
}

/// Why [`Port::poll`] or [`Port::close`] failed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollError {
    /// The port is closed.
    Closed,
    /// The device cannot be stopped.
    Device(StopError),
}

impl fmt::Display for PollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the port is closed: open another one"),
            Self::Device(e) => e.fmt(f),
        }
    }
}

rte::debug_is_display!(PollError);

impl error::Error for PollError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Closed => None,
            Self::Device(e) => Some(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_there_is_no_device_is_what_dpdk_said() {
        let none = |log: &str| PortError::NoDevice {
            device: "net_tap0".to_owned(),
            known: Vec::new(),
            log: log.to_owned(),
        };
        assert!(none("").to_string().contains("give it one, such as --vdev=net_tap0"));
        let told = none("TUNSETIFF: Operation not permitted").to_string();
        assert!(told.contains("Operation not permitted; run as root"), "{told}");
    }
}
