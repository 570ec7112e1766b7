//! [`Daemon`]: the loop between the port and the interface.
//!
//! [`super::begin`] makes one and calls [`Daemon::run`], which returns when a signal comes. One thread does
//! all of it: it moves frames both ways, follows the state of the cable, and keeps routes and IPv6's MTU
//! right. It sleeps only after a turn that found nothing, as `--rx-mode` says, and for 2 ms at most where the
//! device cannot interrupt.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use lm_engine::Receiver;
use lm_landing::SlotLayout;
use lm_node::config::{AdmissionConfig, Identity};
use lm_node::port::Client;
use lm_node::receive_mode::{BRIEF, Idler, LONGEST, Sleeper};
use lm_node::{Arrival, Link, NodePort, PortConfig};
use lm_proto::wire::Mac;
use lm_tap::{Routes, Tap};
use rte::port::RxInterrupt;
use rte::{Burst, Eal};

use super::kernelward::Kernelward;
use super::opened::Opened;
use super::options::{Options, Switch};
use super::status::SHOWN;
use super::tally::Tally;
use super::wireward::Wireward;
use crate::signals;

/// The time between two looks at the cable.
const LOOK: Duration = Duration::from_millis(100);
/// Turns between two looks at the clock while there is traffic.
const PERIOD: u32 = 32;
/// Polls in vain after which the thread yields its CPU.
const YIELD: u32 = 256;
/// How long the loop sleeps if the device cannot interrupt: the first time, and at most.
const SLEEPS: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(1)];
/// The longest sleep when nothing came for [`QUIET`].
const LONG_SLEEP: Duration = Duration::from_millis(2);
/// See [`LONG_SLEEP`].
const QUIET: Duration = Duration::from_secs(1);
/// How long a peer has to take the last frames.
const LINGER: Duration = Duration::from_millis(20);

/// A port and an interface, and what moves between them.
pub(crate) struct Daemon {
    port: NodePort,
    config: PortConfig,
    /// What is asked for, also while the interface has no address.
    admission: Option<AdmissionConfig>,
    link: Option<Link>,
    tap: Tap,
    routes: Routes,
    kernelward: Kernelward,
    wireward: Wireward,
    tally: Tally,
    /// Time is counted from here.
    began: Instant,
    now: Instant,
    turns: u32,
    idler: Idler,
    /// How long the next sleep is, where the device cannot interrupt.
    sleep: Duration,
    /// When something came last.
    active: Instant,
    carrier: bool,
    looked: Instant,
}

impl Daemon {
    pub(crate) fn new(eal: &Eal, opened: Opened, options: &Options) -> Result<Self, String> {
        let Opened { mut port, config, tap, mac, routes, .. } = opened;
        let socket = port.landing.info().socket;
        let wireward = Wireward::new(eal, mac, &config, socket).map_err(|e| e.to_string())?;
        let link = port.link.take();
        let now = Instant::now();
        let mtu = config.mtu;
        let mut daemon = Self {
            port,
            config,
            admission: options.admission(),
            link,
            tap,
            routes,
            kernelward: Kernelward::new(mac as Mac, mtu, options.gro == Switch::On),
            wireward,
            tally: Tally::default(),
            began: now,
            now,
            turns: 0,
            idler: options.idler(),
            sleep: SLEEPS[0],
            active: now,
            // Not known yet: it is set below.
            carrier: true,
            looked: now,
        };
        daemon.set_carrier(daemon.is_up());
        daemon.set_ipv6_mtu();
        daemon.update_routes();
        daemon.follow_address()?;
        Ok(daemon)
    }

    /// From now on the interface stays, however lmd ends. Before, a start that fails leaves none behind.
    pub(crate) fn keep_interface(&self) -> Result<(), String> {
        let name = self.tap.interface().name();
        self.tap.keep().map_err(|e| format!("{name} cannot be kept for the time after lmd: {e}"))
    }

    /// The most memory that it takes beyond the port's.
    pub(crate) fn memory(config: &PortConfig) -> usize {
        Kernelward::memory() + Wireward::memory(config)
    }

    /// Lines about what was done, and about what was lost and why.
    pub(crate) fn report(&mut self) -> Vec<String> {
        let mut lines = self.tally.lines();
        self.port.count_device();
        let mut port = self.port.past.clone();
        if let Some(link) = &self.link {
            port.add(&link.tally());
        }
        if port.sent.forward > 0 {
            lines.push(format!(
                "{:>12} of the datagrams to the wire went first fragment first",
                port.sent.forward
            ));
        }
        let admission = self.link.as_ref().and_then(|link| link.outlet.admission.as_ref());
        lines.extend(admission.into_iter().flat_map(|admission| admission.view().lines));
        let device = port.device;
        let losses = [
            ("the device had no room", device.missed + device.rx_nombuf),
            ("the device found a frame broken", device.rx_errors),
            ("the device could not send", device.tx_errors),
            ("the device never took the frame", port.sent.refused),
        ];
        lines.extend(losses.iter().filter(|(_, n)| *n > 0).map(|(why, n)| format!("{n:>12} lost: {why}")));
        let drops = port.counters.drops().filter(|(_, n)| *n > 0);
        lines.extend(drops.map(|(reason, n)| format!("{n:>12} lost: {reason}")));
        lines
    }

    /// Moves frames until a signal comes.
    pub(crate) fn run(&mut self, eal: &Eal) -> Result<(), String> {
        let mut vain = 0;
        while !signals::is_ending() {
            // A sleep ends with a turn.
            let found = if vain > 0 { self.idle(vain) } else { None };
            if found.unwrap_or_else(|| self.turn()) > 0 {
                (vain, self.sleep, self.active) = (0, SLEEPS[0], self.now);
                self.idler.worked();
                if !self.carrier && self.is_up() {
                    // The kernel sends answers only while the interface has a carrier.
                    self.look_after(eal)?;
                }
            } else {
                vain += 1;
            }
            if self.routes.is_behind() {
                // Part by part, so that frames do not wait for many routes.
                self.update_routes();
            }
            if self.now.saturating_duration_since(self.looked) >= LOOK {
                self.looked = self.now;
                self.look_after(eal)?;
            }
        }
        Ok(())
    }

    fn is_up(&self) -> bool {
        self.port.landing.port().link().is_ok_and(|link| link.up)
    }

    fn set_carrier(&mut self, up: bool) {
        self.carrier = up;
        if let Err(e) = self.tap.set_carrier(up) {
            // An interface that is down has no carrier to change.
            log::debug!("{}: {e}", self.tap.interface().name());
        }
    }

    /// Looks at the cable. A net_memif client asks for its server once, so it is started again when that has
    /// gone.
    fn look_after(&mut self, eal: &Eal) -> Result<(), String> {
        self.tap.follow().map_err(|e| format!("{} was removed: {e}", self.tap.interface().name()))?;
        let mut up = self.is_up();
        if !up && Client::of(&self.port.landing.info().driver, &self.arguments()) == Some(Client::Copying) {
            self.restart(eal)?;
            up = self.is_up();
        }
        // Telemetry shows it.
        self.port.look_at_link();
        if up != self.carrier {
            self.set_carrier(up);
            if !up {
                self.wireward.drain(&self.tap, &mut self.tally);
            }
        }
        self.set_ipv6_mtu();
        self.update_routes();
        self.follow_address()?;
        let ns = self.ns();
        self.kernelward.expire(ns, &mut self.tally);
        Ok(())
    }

    /// Stops the port and starts it again.
    fn restart(&mut self, eal: &Eal) -> Result<(), String> {
        self.set_carrier(false);
        self.wireward.drain(&self.tap, &mut self.tally);
        self.port.link = self.link.take();
        self.port.stop().map_err(|e| e.to_string())?;
        let identity = Identity::default();
        self.port.start(eal, &self.config, &identity, signals::is_ending).map_err(|e| e.to_string())?;
        self.link = self.port.link.take();
        Ok(())
    }

    /// Admits the port anew when its address has changed. A node of a cluster is known by its address, which
    /// is the interface's first one.
    fn follow_address(&mut self) -> Result<(), String> {
        let (Some(admission), Some(link)) = (&self.admission, &mut self.link) else { return Ok(()) };
        let address = self.tap.interface().ipv4().unwrap_or(Ipv4Addr::UNSPECIFIED);
        if address.is_unspecified() || address.to_bits() == self.config.flow.src {
            return Ok(());
        }
        self.config.flow.src = address.to_bits();
        self.config.admission = Some(admission.clone());
        // Grants decide how slots are laid.
        self.config.layout = self.config.layout.filter(|layout| *layout != SlotLayout::Separate);
        let made = self.port.admission(&self.config, &Identity::default());
        link.admit(address, made.map_err(|e| e.to_string())?);
        Ok(())
    }

    fn set_ipv6_mtu(&mut self) {
        // The kernel resets it to the interface's own MTU each time that the interface is set up.
        if let Err(e) = self.tap.interface().set_ipv6_mtu(self.config.mtu.into()) {
            log::warn!("{}: IPv6's MTU cannot be set: {e}", self.tap.interface().name());
        }
    }

    fn update_routes(&mut self) {
        if let Err(e) = self.routes.turn() {
            let name = self.tap.interface().name();
            log::warn!("{name}: a route cannot be given its MTU, so datagrams by it may be refused: {e}");
        }
    }

    fn arguments(&self) -> String {
        pmd_e1000::device::arguments(self.port.landing.port().eal(), self.port.id())
    }

    fn ns(&self) -> u64 {
        self.now.saturating_duration_since(self.began).as_nanos() as u64
    }

    /// Moves what there is, both ways. Returns how much that was.
    fn turn(&mut self) -> usize {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(PERIOD) {
            self.now = Instant::now();
        }
        if SHOWN.is_wanted() {
            self.show();
        }
        let now = self.ns();
        let Self { link, tap, kernelward, wireward, tally, config, carrier, .. } = self;
        let Some(link) = link else { return 0 };
        let found = link.exchange(config.burst.into(), |arrival| {
            if let Arrival::Frame(frame) = &arrival {
                wireward.hear(frame.data());
            }
            kernelward.take(arrival, tap, now, tally);
        });
        kernelward.flush(tap, tally);
        link.receivers.iter_mut().filter_map(Receiver::take_tagged).for_each(|from| wireward.heard_tag(from));
        if *carrier {
            found + wireward.turn(tap, &mut link.outlet, now, tally)
        } else {
            wireward.clear(tally);
            found
        }
    }

    /// Shows what was counted to whoever asks.
    #[cold]
    fn show(&self) {
        let fields = self.tally.fields().map(|(name, n)| (name.to_owned(), n));
        let peers = ("stations that are LM".to_owned(), self.wireward.nodes() as u64);
        SHOWN.put(fields.into_iter().chain([peers]).collect());
    }

    /// Passes the time after so many turns that found nothing. If that was a sleep, a turn ended it: returns
    /// what it found.
    fn idle(&mut self, vain: u32) -> Option<usize> {
        self.now = Instant::now();
        if self.idler.polls() {
            if vain.is_multiple_of(YIELD) {
                thread::yield_now();
            }
            return None;
        }
        let busy = self.carrier
            && (self.wireward.is_waiting()
                || self.wireward.is_deferring()
                || self.link.as_mut().is_some_and(is_busy));
        if busy || self.routes.is_behind() {
            return None;
        }
        let interrupts = self.link.as_ref().is_some_and(|link| !link.interrupts.is_empty());
        let most = if interrupts { LONGEST } else { self.sleep };
        // Control messages have their times.
        let most = if self.config.admission.is_some() { most.min(BRIEF) } else { most };
        let (mut idler, now) = (self.idler, self.now);
        let found = idler.sleep(self, now, most);
        self.idler = idler;
        // A new route should be right before it is used. A change of the routes ends a sleep, so after a
        // sleep that lasted its full time there is none. A loop that polls looks at them every 100 ms.
        if found.is_some() && now.elapsed() < most {
            self.update_routes();
        }
        if found == Some(0) && !interrupts {
            let quiet = now.saturating_duration_since(self.active) >= QUIET;
            self.sleep = (2 * self.sleep).min(if quiet { LONG_SLEEP } else { SLEEPS[1] });
        }
        found
    }

    /// Stops and closes the port. The interface stays. Returns a line about the mbufs, which are all back
    /// then.
    pub(crate) fn close(mut self) -> String {
        self.wireward.clear(&mut self.tally);
        if let Some(mut link) = self.link.take() {
            link.release_grants();
            link.outlet.sender.flush();
            thread::sleep(LINGER);
            // Drivers release sent mbufs when they are called to send, even if nothing is sent.
            link.outlet.sender.queue().send(&mut Burst::<1>::new());
            self.port.link = Some(link);
        }
        let Self { port, wireward, kernelward, .. } = self;
        drop(kernelward);
        let landed = port.pool_before;
        // Some drivers release what they have posted and sent only now.
        let back = port.close().unwrap_or_else(|e| {
            log::warn!("{e}");
            0
        });
        format!(
            "mbufs: {back} of {landed} are back in the landing pool, {} are out to be sent",
            wireward.out()
        )
    }
}

/// Whether the next poll matters: received frames wait for it to be recognised, or sent frames wait for room.
fn is_busy(link: &mut Link) -> bool {
    link.receivers.iter().any(|receiver| receiver.wants_polls()) || link.outlet.sender.flush() > 0
}

impl Sleeper for Daemon {
    fn interrupts(&mut self) -> impl Iterator<Item = &mut RxInterrupt> {
        self.link.iter_mut().flat_map(|link| &mut link.interrupts)
    }

    fn files(&self) -> impl Iterator<Item = RawFd> {
        // Nothing is read from an interface that is down or whose cable is pulled, so its file would end each
        // sleep at once.
        let tap = (self.carrier && !self.wireward.is_interface_down()).then(|| self.tap.as_fd().as_raw_fd());
        tap.into_iter().chain([self.routes.as_fd().as_raw_fd()])
    }

    fn look(&mut self) -> usize {
        self.turn()
    }
}
