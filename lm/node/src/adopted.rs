//! [`adopt`]: a [`Link`] over queues of a port that the application opened, started and will close itself.
//!
//! It answers ARP and sends as the link of a [`NodePort`](crate::NodePort) does. Admission control, steering
//! and interrupts are for ports of LM's own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::{error, fmt};

use lm_engine::{Receiver, ReceiverConfig, ReceiverError, Sender, SenderConfig, SenderError};
use lm_landing::{LandingQueue, SendError, SendPool};
use lm_proto::layout::{BadMtu, Geometry};
use pmd_e1000::device::arguments;
use pmd_e1000::quirks::header_room;
use rte::Eal;
use rte::mempool::PoolError;
use rte::port::{TxQueue, driver_of, mac_of};

use crate::admission::pace::Pace;
use crate::arp::Resolver;
use crate::config::PortConfig;
use crate::link::{Link, Outlet};
use crate::port::{HEADER_ROOM, Pools, in_flight, send_buffers};
use crate::watch::StatusBoard;

/// Descriptors of a transmit queue unless the configuration says.
const DESCRIPTORS: u16 = 512;

/// A link over a landing queue and a transmit queue of the application's. `name` is part of the names of its
/// pools, which no others have. `up` is whether the link has come up, which the caller looks at.
///
/// # Errors
/// [`Unadopted`]: the MTU is out of range, or there is too little memory.
pub fn adopt(
    eal: &Eal,
    name: &str,
    landing: LandingQueue,
    tx: TxQueue,
    config: &PortConfig,
    up: Arc<AtomicBool>,
) -> Result<Link, Unadopted> {
    let (id, traits) = (tx.port(), landing.traits());
    let geometry = Geometry::new(config.mtu).map_err(Unadopted::Mtu)?;
    let (driver, txd) = (driver_of(eal, id).unwrap_or_default(), config.txd.unwrap_or(DESCRIPTORS));
    let head_room = header_room(HEADER_ROOM, &driver, &arguments(eal, id), Eal::release());
    let pools = Pools::create(eal, name, txd, head_room, config.mtu, None).map_err(Unadopted::Pool)?;
    pools.expect(&traits);
    let send_pool = SendPool::create(eal, send_buffers(&traits, txd), geometry.buffer_len(), None)
        .map_err(Unadopted::Memory)?;
    let receiving = ReceiverConfig {
        geometry,
        require: config.require,
        limits: config.limits(),
        strangers: Some(pools.strangers),
        ..ReceiverConfig::default()
    };
    let mut receiver = Receiver::new(eal, landing, &receiving).map_err(Unadopted::Receiver)?;
    if config.is_auto() {
        receiver.set_auto();
    }
    let in_flight = in_flight(&traits, txd, geometry);
    let sending = SenderConfig { geometry, checksum: config.checksum, in_flight, refuses: traits.refuses };
    let sender = Sender::new(tx, sending, send_pool, pools.headers).map_err(Unadopted::Sender)?;
    let ours = config.flow;
    let mac = mac_of(eal, id).unwrap_or_default().0;
    let resolver = Resolver::new(id, mac, ours.src, config.peer_mac, ours.dst).with_order(config.order);
    let outlet = Outlet::new(sender, resolver, ours, up, None, Pace::new(config.flush_gap()));
    let board = StatusBoard::new(eal, id, ours.src);
    Ok(Link::new(vec![receiver], None, outlet, Vec::new(), id).shown_on(board))
}

/// Why there is no link over the application's queues.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unadopted {
    /// The MTU is out of range.
    Mtu(BadMtu),
    /// There is no memory for mbufs.
    Pool(PoolError),
    /// There is no memory to send from.
    Memory(SendError),
    /// The queue cannot have a receiver.
    Receiver(ReceiverError),
    /// The port cannot have a sender.
    Sender(SenderError),
}

impl Unadopted {
    fn shown(&self) -> &(dyn error::Error + 'static) {
        match self {
            Self::Mtu(e) => e,
            Self::Pool(e) => e,
            Self::Memory(e) => e,
            Self::Receiver(e) => e,
            Self::Sender(e) => e,
        }
    }
}

impl fmt::Display for Unadopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.shown(), f)
    }
}

impl error::Error for Unadopted {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(self.shown())
    }
}
