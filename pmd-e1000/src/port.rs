//! [`LandingPort`]: a port set up so that datagrams land on it.
//!
//! This module makes the settings on which landing depends: the MTU, the declared length of buffers, no
//! scattered receive, VLAN tags stripped if the device can, never `KEEP_CRC`, and thresholds that do not
//! stall a ring. Whether slots may overlap is decided at every start, before and after it.
//!
//! `setup` has the user's settings. `plan` computes the pools from them, and `pool` makes
//! them. `start` starts and stops the port.
//! `error` has the reasons why a port cannot be prepared.

pub(crate) mod error;
mod plan;
mod pool;
mod setup;
mod start;

pub use self::error::PortError;
pub use self::plan::{pool_plan, told_mtu};
pub use self::pool::make_pool;
pub use self::setup::PortSetup;
pub use self::start::Queues;
pub use crate::demands::MOST_REGION;

use std::sync::Arc;

use dpdk_sys::{RTE_ETH_RX_OFFLOAD_VLAN_STRIP, RTE_ETH_TX_OFFLOAD_MULTI_SEGS};
use rte::Eal;
use rte::mempool::Mempool;
use rte::port::{MacAddr, MqMode, OpenError, Port, PortConfig, PortId, PortInfo, RxConf, StopError, TxConf};

use self::plan::{LEAST_MTU, choose, warn_if_separate};
use crate::card_words::CardWords;
use crate::claim::{Claim, Part};
use crate::demands::{Wanted, check, check_landing, check_region, posted};
use crate::devargs::Devargs;
use crate::device::arguments;
use crate::interrupt::{Wake, wake};
use crate::overlap::{OverlapPolicy, Verdict};
use crate::probe::Proofs;
use crate::queue_slot::QueueSlot;
use crate::rings::{ring, rx_conf, send_ring, tx_conf};
use crate::steer::Steering;
use crate::timestamps::check_timestamps;
use lm_landing::device::Traits;
use lm_landing::landing::{HEADROOM, SlotLayout};
use lm_landing::pool::{LandingPool, PoolConfig};

/// A port prepared for landing: with one queue, or with a queue of ordinary mbufs and landing queues that
/// frames are steered to.
pub struct LandingPort {
    // Pools are dropped before the port. If queues are still out then, whoever drops the last of them closes
    // the port, on any thread, and closing it uses the pools.
    queue_slots: Vec<QueueSlot>,
    port: Port,
    info: PortInfo,
    policy: OverlapPolicy,
    verdict: Verdict,
    layout: SlotLayout,
    setup: PortSetup,
    steering: Option<Steering>,
    proofs: Arc<Proofs>,
    /// How the port's queues wake a thread. `None`: the setup does not ask for interrupts.
    wake: Option<Wake>,
    card_words: CardWords,
    /// What came of it at the last start.
    words_why: String,
    ordinary: Option<Mempool>,
    _claim: Claim,
}

/// mbufs of the ordinary queue beyond its descriptors.
const ORDINARY_SPARE: u32 = 512;

impl LandingPort {
    /// Takes a port and sets it up with one landing queue, for all frames.
    ///
    /// # Errors
    /// [`PortError`]: nothing can land on the device, or it cannot be set up like this.
    pub fn open(eal: &Eal, id: PortId, setup: &PortSetup) -> Result<Self, PortError> {
        Self::open_steered(eal, id, setup, &[])
    }

    /// Takes a port and sets it up with a landing queue for each of these destination addresses, and an
    /// ordinary queue, number 0, for all other frames. Without an address, it is [`LandingPort::open`].
    ///
    /// # Errors
    /// [`PortError`]: the same, or the device cannot steer like this.
    pub fn open_steered(
        eal: &Eal,
        id: PortId,
        setup: &PortSetup,
        macs: &[MacAddr],
    ) -> Result<Self, PortError> {
        // The claim comes first: a `Port` that is dropped closes the port, whoever has started it.
        let claim = Claim::new(id, Part::Whole).map_err(|e| match e.has {
            Part::Whole => PortError::Open(OpenError::AlreadyOpen(id)),
            Part::Rx(_) | Part::Tx(_) => PortError::Claimed(e),
        })?;
        let port = Port::open(eal, id).map_err(PortError::Open)?;
        let info = port.info().map_err(PortError::Info)?;
        let args = arguments(eal, id);
        let mut policy =
            OverlapPolicy::of(&info, &args, setup.mtu, setup.assume_ordered).map_err(PortError::Refused)?;
        let args = Devargs::parse(&args);
        let PortSetup { mtu, rxd, spare_mbufs, .. } = *setup;
        let unmet = |e| PortError::Unmet(id, e);
        check(&info, &args, &Wanted { mtu, rxd, spare_mbufs }).map_err(unmet)?;
        check_landing(&info.driver, &args, mtu, Eal::release()).map_err(unmet)?;
        check_region(setup.region, setup.max_region).map_err(unmet)?;
        let verdict = policy.settle();
        warn_if_separate(id, &info.driver, &verdict, setup.layout);
        if setup.mtu > info.max_mtu || setup.mtu < LEAST_MTU {
            return Err(PortError::Mtu { port: id, mtu: setup.mtu, max: info.max_mtu });
        }
        let wake = setup.interrupts.then(|| wake(&info)).transpose();
        let wake =
            wake.map_err(|why| PortError::NoInterrupt { port: id, driver: info.driver.clone(), why })?;
        let steering = (!macs.is_empty())
            .then(|| Steering::plan(policy.card(), &info, setup.mtu, macs))
            .transpose()
            .map_err(|e| PortError::Steer(id, e))?;
        let card_words = CardWords::of(&info.driver, setup.card_words);
        let traits = verdict.traits;
        let rxd = ring(id, "receive", setup.rxd, info.rx_desc);
        let txd = send_ring(id, &info, &traits, setup.txd);
        let setup = PortSetup { rxd, txd, ..*setup };

        let posted = posted(&info.driver, &args, rxd);
        let plan = pool_plan(id, info.socket, &traits, &setup, posted);
        let queue_slots = (0..macs.len().max(1))
            .map(|i| {
                let name = if i == 0 { format!("p{id}") } else { format!("p{id}q{i}") };
                make_pool(eal, id, &PoolConfig { name, ..plan.clone() }).map(QueueSlot::new)
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(PortError::Pool)?;
        let region = queue_slots[0].pool.as_ref().map_or(setup.region, |pool| pool.config().region);
        let ordinary = if steering.is_some() {
            let (n, room) = (u32::from(rxd) + ORDINARY_SPARE, (HEADROOM + plan.writes.declared) as u16);
            let pool = Mempool::pktmbuf(eal, &format!("ordinary_{id}"), n, 32, 0, room, info.socket);
            Some(pool.map_err(PortError::Ordinary)?)
        } else {
            None
        };
        let setup = PortSetup { region, ..setup };
        let layout = choose(&traits, setup.first_layout());
        let proofs = Arc::new(Proofs::new(macs));
        let mut this = Self {
            port,
            info,
            policy,
            verdict,
            layout,
            setup,
            steering,
            proofs,
            queue_slots,
            wake,
            card_words,
            words_why: "the port was not started yet".to_owned(),
            ordinary,
            _claim: claim,
        };
        this.set_up()?;
        Ok(this)
    }

    /// Configures the port, and sets its queues up.
    fn set_up(&mut self) -> Result<(), PortError> {
        let Self { port, info, verdict, setup, steering, queue_slots, wake, ordinary, .. } = self;
        let PortSetup { rxd, txd, mtu, .. } = *setup;
        let (id, traits) = (port.id(), verdict.traits);
        let first = steering.as_ref().map_or(0, Steering::first_queue);
        let config = PortConfig {
            rx_queues: first + queue_slots.len() as u16,
            mtu: told_mtu(info, mtu),
            rx_offloads: info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
            tx_offloads: info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
            mq_mode: steering.as_ref().map_or(MqMode::None, Steering::mq_mode),
            rx_interrupts: wake.is_some(),
            ..PortConfig::default()
        };
        port.configure(&config).map_err(PortError::Configure)?;
        let rx = RxConf {
            offloads: config.rx_offloads & info.rx_queue_offload_capa,
            // A full queue must not stop the others.
            drop: steering.is_some().then_some(true),
            ..rx_conf(id, info, &traits, rxd)
        };
        if let Some(pool) = ordinary {
            port.rx_queue_setup(0, rxd, &rx, pool).map_err(PortError::Queue)?;
        }
        for (i, queue_slot) in queue_slots.iter_mut().enumerate() {
            let Some(pool) = &mut queue_slot.pool else { continue };
            // SAFETY: the traits are those of this port's driver, and the pool feeds this port alone.
            unsafe { pool.set_keeps_posted(traits.keeps_posted) };
            // SAFETY: queue and pool stay together in the LandingQueue that `start_all` hands out, which
            // gives neither its mbufs nor the queue to anybody; this type hands out no queue by itself, nor
            // the port. The port is stopped and started only when the queue is back, and that is when the
            // pool is, or is gone (`LandingPool::lease`).
            unsafe { port.rx_queue_setup_unchecked(first + i as u16, rxd, &rx, pool.share()) }
                .map_err(PortError::Queue)?;
            // Somebody else may have enabled time stamps for all queues of the port.
            check_timestamps(port.eal(), id, Some(first + i as u16)).map_err(PortError::Timestamps)?;
        }
        let tx = TxConf { offloads: config.tx_offloads & info.tx_queue_offload_capa, ..tx_conf(&traits) };
        port.tx_queue_setup(0, txd, &tx).map_err(PortError::Queue)?;
        if mtu != 1500 {
            // Virtual devices that do not know MTUs return this error. Datagrams are cut for the MTU in any
            // case, and it was checked before that the frames fit.
            match port.set_mtu(mtu) {
                Err(e) if e.errno.number() == libc::ENOTSUP => log::debug!("{e}"),
                Err(e) => return Err(PortError::SetMtu(mtu, e)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Resets the device of a stopped port, and sets it up as it was. (Of the e1000 drivers, igb's has a
    /// reset; em's and that of virtual functions have none.)
    ///
    /// # Errors
    /// [`PortError`]: `Out` and `Reset` with ENOTSUP have changed nothing. After any other the port is to be
    /// closed.
    pub fn reset(&mut self) -> Result<(), PortError> {
        if self.queue_slots.iter().any(|queue_slot| queue_slot.pool.is_none()) {
            return Err(PortError::Out(self.port.id()));
        }
        self.port.reset().map_err(PortError::Reset)?;
        if let Some(steering) = &mut self.steering {
            steering.was_reset();
        }
        self.set_up()
    }

    /// Removes the rules for good, if frames were seen to go where they should not. This may be called while
    /// queues are in use, since it only changes where later frames go. Returns whether there are rules that
    /// may still be refuted; then call it again later.
    pub fn look_at_steering(&mut self) -> bool {
        self.steering.as_mut().is_some_and(|steering| steering.look(&self.proofs, &mut self.port))
    }

    /// What live frames have shown of the steering. The thread that polls the queues reports to it
    /// ([`crate::probe`]).
    pub fn proofs(&self) -> &Arc<Proofs> {
        &self.proofs
    }

    /// Stops and closes the port, and then drops the pools. Returns how many mbufs were in them: all, unless
    /// some are still in use or lost. Some drivers give back what they had posted only now.
    ///
    /// # Errors
    /// [`StopError`].
    pub fn close(self) -> Result<u32, StopError> {
        let Self { port, queue_slots, .. } = self;
        if let Err((port, e)) = port.close() {
            // In this order, as in a drop.
            drop(queue_slots);
            drop(port);
            return Err(e);
        }
        let pools = queue_slots.iter().filter_map(|queue_slot| queue_slot.pool.as_ref());
        Ok(pools.map(LandingPool::available).sum())
    }

    /// The port.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Sets its basic counters to zero.
    ///
    /// # Errors
    /// [`rte::port::PortError`].
    pub fn reset_stats(&mut self) -> Result<(), rte::port::PortError> {
        self.port.reset_stats()
    }

    /// Sets all its counters to zero.
    ///
    /// # Errors
    /// [`rte::port::PortError`].
    pub fn reset_xstats(&mut self) -> Result<(), rte::port::PortError> {
        self.port.reset_xstats()
    }

    /// DPDK's information about the port.
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// What may be done with its device, as it was decided last.
    pub fn traits(&self) -> Traits {
        self.verdict.traits
    }

    /// The last verdict: when it was opened, or started.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What its device was recognised as.
    pub fn overlap_policy(&self) -> &OverlapPolicy {
        &self.policy
    }

    /// Whether its card was told to report identifications and sums at the last start, and why or why not.
    pub fn words_why(&self) -> &str {
        &self.words_why
    }

    /// How frames are led to its landing queues. `None`: all frames go to one landing queue.
    pub fn steering(&self) -> Option<&Steering> {
        self.steering.as_ref()
    }

    /// How its slots are laid at the start.
    pub fn layout(&self) -> SlotLayout {
        self.layout
    }

    /// The setup in force.
    pub fn setup(&self) -> &PortSetup {
        &self.setup
    }

    /// The first landing pool, while the port is stopped.
    pub fn pool(&self) -> Option<&LandingPool> {
        self.pools().next()
    }

    /// The landing pools, while the port is stopped.
    pub fn pools(&self) -> impl Iterator<Item = &LandingPool> {
        self.queue_slots.iter().filter_map(|queue_slot| queue_slot.pool.as_ref())
    }
}
