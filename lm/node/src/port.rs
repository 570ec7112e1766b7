//! [`NodePort`]: a port that can be prepared, started, stopped and closed.
//!
//! It belongs to the thread that owns the program's ports. While the port is started, its [`Link`] is either
//! here or with the loop that polls it. A net_memif client tries to connect only once, when it is started. So
//! [`persist`] starts it again until its server answers.

mod client;
mod failure;
mod lost_by_device;
mod memory;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lm_engine::{Receiver, ReceiverConfig, ReceiverError, Sender, SenderConfig};
use lm_landing::device::Allowed;
use lm_landing::{LandingPool, SendPool, SlotLayout};
use lm_proto::layout::Geometry;
use lm_proto::policy::Accept;
use lm_proto::wire::Mac;
use pmd_e1000::device::arguments;
use pmd_e1000::quirks::header_room;
use pmd_e1000::{LandingPort, PortSetup, Queues};
use rte::Eal;
use rte::mempool::Mempool;
use rte::port::{MacAddr, PortId, StopError};

use crate::admission::pace::Pace;
use crate::admission::{Admission, Setup};
use crate::arp::Resolver;
use crate::config::{Identity, PortConfig};
use crate::exit::ExitPort;
use crate::link::{Link, Outlet};
use crate::ordinary::Ordinary;
use crate::tally::{DeviceTally, PoolView, Tally};
use crate::watch::StatusBoard;

pub use self::client::{Client, persist};
pub use self::failure::{OpenError, StartPortError};
pub(crate) use self::memory::{HEADER_ROOM, Pools, in_flight, send_buffers};

/// A port that is prepared for landing, started or not.
pub struct NodePort {
    /// The started port's link. `None`: the port is stopped, or a loop has the link. It is dropped before the
    /// port, as its queues must be.
    pub link: Option<Link>,
    /// The port.
    pub landing: LandingPort,
    /// What the links before the present one did, and what the device has lost so far.
    pub past: Tally,
    /// mbufs in the landing pool before the port was opened.
    pub pool_before: u32,
    /// What the device had lost when it was last asked. [`Self::past`] includes it.
    device: DeviceTally,
    started: bool,
    up: Arc<AtomicBool>,
    geometry: Geometry,
    /// Which kind of net_memif client it is. `None`: it is none.
    client: Option<Client>,
    /// The exit that ordinary frames go to, if there is one.
    exit: Option<ExitPort>,
    // Dropped after the port: mbufs of these two wait in its rings.
    headers: Mempool,
    strangers: Mempool,
}

impl NodePort {
    /// Takes a port and prepares it for landing.
    ///
    /// # Errors
    /// [`OpenError`]: the device cannot be set up like this, the MTU is out of range, or there is too little
    /// memory.
    pub fn open(eal: &Eal, id: PortId, config: &PortConfig) -> Result<Self, OpenError> {
        let geometry = Geometry::new(config.mtu).map_err(OpenError::Mtu)?;
        let default = PortSetup::default();
        let setup = PortSetup {
            rxd: config.rxd,
            txd: config.txd.unwrap_or_default(),
            mtu: config.mtu,
            layout: config.first_layout(),
            // What is steered comes from whoever knows the address: LM's nodes, to begin with.
            auto: config.is_auto() && config.landing_macs.is_empty(),
            region: config.region,
            max_region: default.max_region.max(config.region),
            mirror: !config.no_mirror,
            assume_ordered: config.assume_ordered,
            card_words: config.card_words,
            interrupts: config.interrupts,
            spare_mbufs: config
                .mbufs
                .map_or(default.spare_mbufs, |n| n.saturating_sub(u32::from(config.rxd))),
            ..default
        };
        let macs: Vec<_> = config.landing_macs.iter().map(|&mac| MacAddr(mac)).collect();
        let landing = LandingPort::open_steered(eal, id, &setup, &macs).map_err(OpenError::Port)?;
        if let (Some(SlotLayout::Overlapping), Allowed::SeparateOnly(_)) =
            (config.layout, landing.traits().allowed)
        {
            let (driver, why) = (landing.info().driver.clone(), landing.verdict().why.clone());
            return Err(OpenError::Slots { port: id, driver, why });
        }
        let socket = landing.info().socket;
        let head_room = header_room(HEADER_ROOM, &landing.info().driver, &arguments(eal, id), Eal::release());
        let pools = Pools::create(eal, &id.to_string(), landing.setup().txd, head_room, config.mtu, socket)
            .map_err(OpenError::Pool)?;
        let client = Client::of(&landing.info().driver, &arguments(eal, id));
        pools.expect(&landing.traits());
        // The size and not what is available: some drivers post mbufs when a queue is set up.
        let pool_before = landing.pools().map(LandingPool::size).sum();
        Ok(Self {
            link: None,
            landing,
            past: Tally::default(),
            device: DeviceTally::default(),
            pool_before,
            started: false,
            up: Arc::default(),
            geometry,
            client,
            exit: None,
            headers: pools.headers,
            strangers: pools.strangers,
        })
    }

    /// Ordinary frames are exchanged with `exit` from the next start on.
    pub fn set_exit(&mut self, exit: ExitPort) {
        self.exit = Some(exit);
    }

    /// The port's number.
    pub fn id(&self) -> PortId {
        self.landing.port().id()
    }

    /// Whether the port is started.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Starts the port and makes its link. A link that is still down then is not an error: a cable may be
    /// plugged in later, too.
    ///
    /// A net_memif client waits up to 5 s for its server. Meanwhile `give_up` is asked again and again, and
    /// true ends the waiting.
    ///
    /// # Errors
    /// [`StartPortError`]: the driver does not start the device, or there is too little memory.
    pub fn start(
        &mut self,
        eal: &Eal,
        config: &PortConfig,
        identity: &Identity,
        give_up: impl Fn() -> bool,
    ) -> Result<(), StartPortError> {
        let (id, client) = (self.id(), self.client);
        persist(
            self,
            (id, client),
            |port| port.start_once(eal, config, identity),
            |port| port.stop().map_err(StartPortError::Again),
            Self::look_at_link,
            |e| matches!(e, StartPortError::Start(_)),
            give_up,
        )
    }

    fn start_once(
        &mut self,
        eal: &Eal,
        config: &PortConfig,
        identity: &Identity,
    ) -> Result<(), StartPortError> {
        let id = self.id();
        let socket = self.landing.info().socket;
        // Where frames are steered, ARP answers name an address that lands, and switches learn it from what
        // we send. With admission control a grant names that address, and everything else goes to queue 0.
        let steered = self.landing_macs().first().copied().filter(|_| config.admission.is_none());
        let mac = steered.or(config.only_to).unwrap_or(self.landing.info().mac.0);
        let send_pool = SendPool::create(eal, self.send_buffers(), self.geometry.buffer_len(), socket)
            .map_err(StartPortError::Memory)?;
        let queues = self.landing.start_all().map_err(StartPortError::Start)?;
        let Queues { ordinary, landing, tx, interrupts } = queues.ok_or(StartPortError::Started(id))?;
        self.started = true;
        self.up.store(false, Ordering::Relaxed);
        let receiving = self.receiver_config(config);
        let receivers = landing.into_iter().map(|queue| {
            let mut receiver = Receiver::new(eal, queue, &receiving)?;
            match config.first_layout() {
                Some(layout) => receiver.set_layout(layout),
                None => receiver.set_auto(),
            }
            Ok(receiver)
        });
        let receivers = receivers.collect::<Result<Vec<_>, _>>();
        let receivers = receivers.map_err(|cause| match cause {
            ReceiverError::Buffers(cause) => StartPortError::Reassembly {
                datagrams: config.reassembly,
                queues: self.landing_queues(),
                buffers: receiving.buffers(),
                cause,
            },
            other => StartPortError::Receiver(other),
        })?;
        let exit = self.exit.as_mut().and_then(ExitPort::queues);
        let ordinary = ordinary.map(|queue| Ordinary::new(queue, Arc::clone(self.landing.proofs()), exit));
        let sending = SenderConfig {
            geometry: self.geometry,
            checksum: config.checksum,
            in_flight: self.in_flight(),
            refuses: self.landing.traits().refuses,
        };
        let sender =
            Sender::new(tx, sending, send_pool, self.headers.clone()).map_err(StartPortError::Sender)?;
        let ours = config.flow;
        let resolver = Resolver::new(id, mac, ours.src, config.peer_mac, ours.dst).with_order(config.order);
        let pace = Pace::new(config.flush_gap());
        let outlet = Outlet::new(
            sender,
            resolver,
            ours,
            Arc::clone(&self.up),
            self.admission(config, identity)?,
            pace,
        );
        let board = StatusBoard::new(eal, id, ours.src);
        self.link = Some(Link::new(receivers, ordinary, outlet, interrupts, id).shown_on(board));
        Ok(())
    }

    fn receiver_config(&self, config: &PortConfig) -> ReceiverConfig {
        ReceiverConfig {
            geometry: self.geometry,
            require: config.require,
            accept: Accept { fragmented: config.only_fragmented, mac: config.only_to, ..Accept::default() },
            limits: config.limits(),
            strangers: Some(self.strangers.clone()),
            ..ReceiverConfig::default()
        }
    }

    fn landing_queues(&self) -> usize {
        self.landing.steering().map_or(1, |steering| steering.macs().len())
    }

    /// A line about the memory that the started port keeps for what it receives.
    pub fn memory(&self, config: &PortConfig) -> String {
        let regions = self.link.as_ref().and_then(Link::pool).map_or(0, |pool| pool.region);
        let (queues, each) = (self.landing_queues(), self.receiver_config(config).memory());
        let mib = (queues * each) as f64 / f64::from(1 << 20);
        let n = config.reassembly;
        let plural = if queues == 1 { "" } else { "s" };
        format!(
            "{queues} landing queue{plural}, region {regions} bytes; reassembly of {n} datagrams at once in \
             each: at most {mib:.1} MiB"
        )
    }

    /// Admission control, if the configuration has it. Nobody is admitted at first, so slots are separate.
    ///
    /// # Errors
    /// Its settings contradict each other: the node has no address, for example.
    pub fn admission(
        &self,
        config: &PortConfig,
        identity: &Identity,
    ) -> Result<Option<Box<Admission>>, StartPortError> {
        let Some(admission) = &config.admission else { return Ok(None) };
        let separate = config.layout == Some(SlotLayout::Separate);
        let setup = Setup {
            life: identity.incarnation,
            address: Ipv4Addr::from_bits(config.flow.src),
            policy: admission.policy,
            key: identity.key.clone(),
            landing: self.landing_macs(),
            ring: self.landing.setup().rxd,
            burst: config.burst,
            overlap: self.landing.traits().allowed == Allowed::Both && !separate,
            drain: admission.drain,
            gap: admission.flush_gap,
        };
        let admission = Admission::new(setup).map_err(StartPortError::Admission)?;
        Ok(Some(Box::new(admission)))
    }

    /// The MAC addresses whose frames are steered to landing queues.
    fn landing_macs(&self) -> Vec<Mac> {
        self.landing.steering().map_or_else(Vec::new, |s| s.macs().iter().map(|mac| mac.0).collect())
    }

    fn send_buffers(&self) -> usize {
        send_buffers(&self.landing.traits(), self.landing.setup().txd)
    }

    fn in_flight(&self) -> Option<u32> {
        in_flight(&self.landing.traits(), self.landing.setup().txd, self.geometry)
    }

    /// Takes the link apart and stops the port. The link must be here; without one there is nothing to do.
    ///
    /// # Errors
    /// [`StopError`]: queues are out, or the driver refuses.
    pub fn stop(&mut self) -> Result<(), StopError> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        // The port stops only when none of its queues and interrupts is out.
        link.interrupts.clear();
        let unsent = link.outlet.sender.flush() as u64;
        let (sent, arp) = (link.outlet.sender.stats(), link.outlet.arp());
        drop(link.outlet);
        let (ordinary, ordinary_lost) = link.ordinary.take().map_or((0, 0), |o| (o.frames, o.lost()));
        self.past.add(&Tally { sent, arp, ordinary, ordinary_lost, unsent, ..Tally::default() });
        // The device is asked before it is stopped, since some drivers forget their counters then.
        self.count_device();
        let mut pools = Vec::new();
        for (pool, engine) in link.receivers.into_iter().filter_map(Receiver::close) {
            self.past.add(&Tally { counters: engine.counters(), ..Tally::default() });
            pools.push(pool);
        }
        self.started = false;
        self.up.store(false, Ordering::Relaxed);
        self.landing.stop_all(pools)
    }

    /// Whether the link has come up since the start. If it has not, the driver is asked again.
    pub fn look_at_link(&self) -> bool {
        if self.up.load(Ordering::Relaxed) {
            return true;
        }
        // If the driver cannot tell, the link counts as down. It is asked again at the next look.
        let up = self.landing.port().link().is_ok_and(|link| link.up);
        self.up.store(up, Ordering::Relaxed);
        up
    }

    /// Stops and closes the port. Returns how many mbufs are in the landing pools then.
    ///
    /// # Errors
    /// [`StopError`]: queues are out, or the driver refuses.
    pub fn close(mut self) -> Result<u32, StopError> {
        self.stop()?;
        self.landing.close()
    }

    /// The landing pools at this moment. `None`: a loop has the link, and the pools with it.
    pub fn pool_view(&self) -> Option<PoolView> {
        self.link.as_ref().and_then(Link::pool).or_else(|| PoolView::of_all(self.landing.pools()))
    }
}
