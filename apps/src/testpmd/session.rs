//! [`Session`]: the ports, settings and the forwarding loop, all owned by the control thread.
//!
//! The start, the prompt's commands and the control loop call it. Starting to forward takes the links out of
//! the ports and gives them to the loop, and stopping puts them back. [`Session::close`] stops everything,
//! and warns if a landing pool is not as full as before.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rte::Eal;
use rte::port::PortId;

use crate::console::{self, complain, say};
use crate::message_log::MessageLog;
use crate::start;
use crate::testpmd::turn::Turn;
use lm_node::Link;
use lm_node::admission::View;
use lm_node::exit::ExitPort;

use crate::testpmd::control_port::{Closed, ControlPort};
use crate::testpmd::engine::Plan;
use crate::testpmd::event::Event;
use crate::testpmd::forwarder::{Ending, Forwarder, Lane, Limits, Order, PATIENCE, Report, Work};
use crate::testpmd::options::Options;
use crate::testpmd::session_error::SessionError;
use crate::testpmd::tally::Tally;
use lm_node::tally::PoolView;

/// Everything that the control thread owns.
pub(crate) struct Session {
    /// The settings; commands change some of them.
    pub(crate) options: Options,
    /// The ports.
    pub(crate) ports: Vec<ControlPort>,
    /// The verbose level; from 1 on, received datagrams are shown.
    pub(crate) verbose: u8,
    /// How long forwarding has run, in all.
    pub(crate) elapsed: Duration,
    /// CPU time that it has used.
    pub(crate) cpu: Duration,
    forwarder: Option<(Forwarder, u64, Instant)>,
    /// How many loops have been started.
    runs: u64,
    log: Option<MessageLog>,
    events: Sender<Event>,
    /// The last field: EAL is cleaned up when all else is dropped.
    eal: Eal,
}

impl Session {
    /// Takes and prepares all ports.
    pub(crate) fn open(
        eal: Eal,
        options: Options,
        log: Option<MessageLog>,
        events: Sender<Event>,
    ) -> Result<Self, SessionError> {
        let ids: Vec<_> = rte::port::ports(&eal).collect();
        if let Some(lcore) = options.ac_lcore.filter(|lcore| !eal.worker_lcores().contains(lcore)) {
            return Err(SessionError::ControlLcore { lcore, workers: eal.worker_lcores() });
        }
        if let Some(peer) = options.port.eth_peer.iter().find(|peer| ids.iter().all(|id| id.0 != peer.port)) {
            let last = ids.iter().map(|id| id.0).max().unwrap_or_default();
            return Err(SessionError::UnknownPeer { port: peer.port, last });
        }
        let exit = options.ordinary_port.map(PortId);
        if let Some(PortId(port)) = exit.filter(|exit| !ids.contains(exit) || ids.len() != 2) {
            return Err(SessionError::NoExit { port, ports: ids.len() });
        }
        let ports = ids.into_iter().filter(|&id| Some(id) != exit);
        let ports = ports.map(|id| ControlPort::open(&eal, id, &options.port));
        let mut ports = ports.collect::<Result<Vec<_>, _>>().map_err(SessionError::Open)?;
        if let (Some(exit), Some(port)) = (exit, ports.first_mut()) {
            port.set_exit(
                ExitPort::open(&eal, exit)
                    .map_err(|e| SessionError::Open(format!("--ordinary-port: {e}")))?,
            );
        }
        Ok(Self {
            options,
            ports,
            verbose: 0,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            forwarder: None,
            runs: 0,
            log,
            events,
            eal,
        })
    }

    /// Starts all ports.
    pub(crate) fn start_ports(&mut self) -> Result<(), String> {
        for port in &mut self.ports {
            port.start(&self.eal, &self.options.port)?;
            say!("Port {}: {}", port.id(), port.landing.info().mac);
            say!("  {}", port.memory(&self.options.port));
        }
        Ok(())
    }

    /// The port of this number, as commands name it.
    pub(crate) fn port(&self, number: u16) -> Result<usize, String> {
        self.ports.iter().position(|port| port.id().0 == number).ok_or_else(|| {
            let known: Vec<_> = self.ports.iter().map(|port| port.id().to_string()).collect();
            format!("Invalid port {number}: choose one of {}", known.join(", "))
        })
    }

    /// Starts one port.
    pub(crate) fn start_port(&mut self, index: usize) -> Result<(), String> {
        let Some(port) = self.ports.get_mut(index) else { return Ok(()) };
        if port.is_started() {
            return Err(format!("Port {} is started already", port.id()));
        }
        port.start(&self.eal, &self.options.port)
    }

    /// Stops one port.
    pub(crate) fn stop_port(&mut self, index: usize) -> Result<(), String> {
        if self.forwarder.is_some() {
            return Err("Please stop forwarding first: stop".to_owned());
        }
        match self.ports.get_mut(index) {
            Some(port) if port.is_started() => port.stop(),
            Some(port) => Err(format!("Port {} is stopped already", port.id())),
            None => Ok(()),
        }
    }

    /// Resets one port, which is stopped.
    pub(crate) fn reset_port(&mut self, index: usize) -> Result<(), String> {
        self.ports.get_mut(index).map_or(Ok(()), |port| port.landing.reset().map_err(|e| e.to_string()))
    }

    /// Whether the loop of number `run` is the present one.
    pub(crate) fn is_forwarding(&self, run: u64) -> bool {
        self.forwarder.as_ref().is_some_and(|&(_, present, _)| present == run)
    }

    /// Whether a loop runs.
    pub(crate) fn is_busy(&self) -> bool {
        self.forwarder.is_some()
    }

    /// Looks once more at the links of started ports that have not come up. Returns whether any is down.
    pub(crate) fn look_at_links(&self) -> bool {
        self.ports
            .iter()
            .filter(|port| port.is_started())
            .fold(false, |down, port| !port.look_at_link() | down)
    }

    /// Removes filters that were seen not to steer. Returns whether there are some that are not decided yet.
    pub(crate) fn look_at_steering(&mut self) -> bool {
        self.ports.iter_mut().fold(false, |any, port| port.landing.look_at_steering() | any)
    }

    /// Begins forwarding on all started ports.
    pub(crate) fn start_forwarding(&mut self) -> Result<(), String> {
        if self.forwarder.is_some() {
            return Err("Packet forwarding is running: stop it first".to_owned());
        }
        let kind = self.options.forward_mode;
        let mut lanes = Vec::new();
        for port in &mut self.ports {
            let Some(mut link) = port.link.take() else { continue };
            port.base = link.tally();
            port.base_device = port.count_device();
            self.options.tx_to.iter().for_each(|&to| link.outlet.pin(to));
            let plan = Plan {
                sizes: self.options.txsize.clone(),
                seed: self.options.seed,
                count: self.options.count,
                to: self.options.tx_to.iter().map(|to| to.to_bits()).collect(),
                interval: Duration::from_micros(self.options.tx_interval),
                stay: self.options.tx_stay,
                received: port.base.counters.datagrams,
            };
            lanes.push(Lane { link, engine: (kind.make)(plan) });
        }
        if lanes.is_empty() {
            return Err("No port is started: port start all".to_owned());
        }
        let ports: Vec<_> = lanes.iter().map(|lane| lane.link.port.to_string()).collect();
        let burst = usize::from(self.options.port.landing.burst);
        let turn = Turn { now: Instant::now(), burst, verbose: self.verbose, log: self.log.take() };
        let limits = Limits {
            idle: self.options.stop_after_idle.map(Duration::from_millis),
            idler: self.options.port.idler(),
            patience: self.options.port.yield_after.unwrap_or(PATIENCE),
        };
        self.runs += 1;
        let run = self.runs;
        let ending = Ending::new(self.events.clone(), run);
        let forwarder = Forwarder::start(
            &self.eal,
            Work { lanes, turn, cpu: Duration::ZERO },
            limits,
            self.options.ac_lcore,
            ending,
        )
        .map_err(|e| e.to_string())?;
        say!("{} forwarding on ports {}, on {}", kind.name, ports.join(", "), forwarder.place());
        self.forwarder = Some((forwarder, run, Instant::now()));
        Ok(())
    }

    /// Ends forwarding and takes the links back. Returns what this run has done on each port. `None`: no loop
    /// was running.
    pub(crate) fn stop_forwarding(&mut self) -> Option<Vec<(PortId, Tally)>> {
        let (forwarder, _, since) = self.forwarder.take()?;
        let Work { lanes, turn, cpu } = forwarder.stop();
        console::settle();
        self.elapsed += since.elapsed();
        self.cpu += cpu;
        self.log = turn.log;
        let mut runs = Vec::new();
        for Lane { link, engine } in lanes {
            let Some(port) = self.ports.iter_mut().find(|port| port.id() == link.port) else { continue };
            let device = port.count_device().since(&port.base_device);
            let engine = engine.tally();
            port.engine.add(&engine);
            let mut run = Tally { port: link.tally().since(&port.base), engine };
            run.device = device;
            runs.push((port.id(), run));
            self.put_back(link);
        }
        Some(runs)
    }

    fn put_back(&mut self, link: Link) {
        if let Some(port) = self.ports.iter_mut().find(|port| port.id() == link.port) {
            port.link = Some(link);
        }
    }

    /// Sends an order to the loop. Returns whether one runs.
    pub(crate) fn order(&self, order: Order) -> bool {
        if let Some((forwarder, ..)) = &self.forwarder {
            forwarder.order(order);
        }
        self.forwarder.is_some()
    }

    /// The links that nothing forwards on now.
    pub(crate) fn resting_links(&mut self) -> impl Iterator<Item = &mut Link> {
        self.ports.iter_mut().filter_map(|port| port.link.as_mut())
    }

    /// The counters of each port since the program's start, and the state of its landing pool, if that is
    /// known now.
    pub(crate) fn tallies(&self) -> Vec<(Tally, Option<PoolView>)> {
        let reports = self.forwarder.as_ref().and_then(|(forwarder, ..)| forwarder.report());
        let mut reports = reports.unwrap_or_default().into_iter();
        let tallies = self.ports.iter().map(|port| {
            let mut tally = port.past();
            let mut pool = port.pool_view();
            if let Some(link) = &port.link {
                tally.port.add(&link.tally());
            } else if port.is_started() {
                // The loop has the link. It reports its lanes in the order of the ports.
                if let Some(Report { tally: now, pool: view, .. }) = reports.next() {
                    tally.add(&now);
                    pool = view;
                }
            }
            (tally, pool)
        });
        tallies.collect()
    }

    /// The state of admission control of each port, where it is on and known now.
    pub(crate) fn admissions(&self) -> Vec<Option<View>> {
        let reports = self.forwarder.as_ref().and_then(|(forwarder, ..)| forwarder.report());
        let mut reports = reports.unwrap_or_default().into_iter();
        let views = self.ports.iter().map(|port| match &port.link {
            Some(link) => link.outlet.admission.as_ref().map(|admission| admission.view()),
            None if port.is_started() => reports.next().and_then(|report| report.admission),
            None => None,
        });
        views.collect()
    }

    /// The message log, to be finished when forwarding has ended.
    pub(crate) fn take_log(&mut self) -> Option<MessageLog> {
        self.log.take()
    }

    /// Stops everything and closes the ports. Returns what remains of each.
    pub(crate) fn close(mut self) -> Vec<Closed> {
        self.stop_forwarding();
        let (elapsed, cpu) = (self.elapsed, self.cpu);
        let mut closed = Vec::new();
        for mut port in std::mem::take(&mut self.ports) {
            let id = port.id();
            say!("\nStopping port {id}...");
            if let Err(e) = port.stop() {
                complain(&e);
            }
            let (total, pool_before) = (port.past(), port.pool_before);
            let pool_after = port.close().unwrap_or_else(|e| {
                complain(&e);
                0
            });
            if pool_after != pool_before {
                log::warn!("port {id}: the landing pool had {pool_before} mbufs, and has {pool_after} now");
            }
            say!("Port {id} is closed");
            closed.push(Closed { total, pool_before, pool_after, elapsed, cpu });
        }
        start::end(self.eal);
        closed
    }
}
