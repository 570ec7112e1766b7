//! Opens the port and the interface. Nothing stays changed unless both are there.
//!
//! [`super::begin`] calls [`tap`] before EAL starts, then [`port`], and then [`interface`]. Every error is
//! one line that says what could not be opened or set.

use lm_node::NodePort;
use lm_node::config::{Identity, PortConfig};
use lm_proto::wire::Mac;
use lm_tap::tap::{CHECKSUMS, TSO4};
use lm_tap::{Routes, Tap};
use pmd_e1000::can_interrupt;
use pmd_e1000::device::{arguments, has_random_mac};
use rte::Eal;
use rte::port::{MacAddr, PortId};

use super::daemon::Daemon;
use super::opened::Opened;
use super::options::{Options, Switch};
use crate::explain::{explain_open, explain_start};
use crate::landing_options::Mode;
use crate::signals;

/// The MTU of the interface: the largest that a TAP takes.
const MTU: u32 = 65_521;

/// Makes the interface, or attaches to one that is there. An interface that was made here does not outlive
/// this program yet.
pub(crate) fn tap(options: &Options) -> Result<Tap, String> {
    Tap::open(&options.interface).map_err(|e| format!("--interface={}: {e}", options.interface))
}

/// Opens and starts the one port that EAL has. Its configuration names the MAC address of the interface.
pub(crate) fn port(eal: &Eal, tap: &Tap, options: &Options) -> Result<(NodePort, PortConfig), String> {
    let ports: Vec<PortId> = rte::port::ports(eal).collect();
    let [id] = ports[..] else {
        return Err(format!("EAL has {} ports: give it one, by -a PCI or --vdev", ports.len()));
    };
    let mut config = options.config();
    let (driver, device) = (rte::port::driver_of(eal, id), rte::port::name_of(eal, id));
    if let Err(why) = can_interrupt(&driver.unwrap_or_default(), &device.unwrap_or_default()) {
        config.interrupts = false;
        log::debug!("port {id} is polled after sleeps: {why}");
    }
    let mut port = NodePort::open(eal, id, &config).map_err(|e| explain_open(&e))?;
    config.only_to = Some(mac(&port, tap, options));
    port.start(eal, &config, &Identity::default(), signals::is_ending)
        .map_err(|e| explain_start(&e, &config))?;
    Ok((port, config))
}

/// The MAC address of lmd's interface: that of `--mac=`, or the device's.
///
/// A virtual device may have another one at each start. With such a device an interface that is there keeps
/// its own, so that peers go on without asking anew. The device need not know: it receives all frames, and
/// lmd writes the sources of those that it sends. The address of a card, which has not IEEE 802's bit for
/// "local", is not kept: the interface may have it from `--take-over`, and the kernel has the card again.
fn mac(port: &NodePort, tap: &Tap, options: &Options) -> Mac {
    let info = port.landing.info();
    let is_local = |mac: &Mac| mac[0] & 2 != 0;
    let kept = || {
        let is_random = is_local(&info.mac.0)
            && has_random_mac(&info.driver, &arguments(port.landing.port().eal(), port.id()));
        let found = tap.interface().mac().ok()?;
        (is_random && !tap.is_new() && is_local(&found)).then_some(found)
    };
    options.mac.or_else(kept).unwrap_or(info.mac.0)
}

/// Sets the interface up for this port. [`Daemon::keep_interface`] makes it outlive this program.
pub(crate) fn interface(tap: Tap, port: (NodePort, PortConfig), options: &Options) -> Result<Opened, String> {
    let (port, config) = port;
    let mac = config.only_to.unwrap_or(port.landing.info().mac.0);
    let interface = tap.interface();
    let name = interface.name().to_owned();
    let failed = |what: &str| {
        let name = name.clone();
        let what = what.to_owned();
        move |e: std::io::Error| format!("{name}: its {what} cannot be set: {e}")
    };
    let before = interface.mac().ok();
    if before != Some(mac) {
        interface.set_mac(mac).map_err(failed("MAC address"))?;
    }
    if interface.mtu().ok() != Some(MTU) {
        interface.set_mtu(MTU).map_err(failed("MTU"))?;
    }
    // A sender with a bound on what is in flight must never fill its ring, and a segment would take two
    // descriptors of the ring.
    let bounded = port.link.as_ref().is_some_and(|link| link.outlet.sender.config().in_flight.is_some());
    let offloads = if options.tso == Switch::On && !bounded { CHECKSUMS | TSO4 } else { CHECKSUMS };
    tap.set_offloads(offloads).map_err(failed("offloads"))?;
    interface.set_ipv6_mtu(options.landing.mtu.into()).map_err(failed("IPv6 MTU"))?;
    interface.set_up().map_err(failed("state"))?;
    let index = interface.index().ok_or_else(|| format!("{name} has gone"))?;
    let routes = Routes::open(index, options.landing.mtu.into());
    let routes = routes.map_err(|e| format!("{name}: its routes cannot be watched: {e}"))?;
    let driver = port.landing.info().driver.clone();
    let state = match before {
        _ if tap.is_new() => "made".to_owned(),
        Some(before) if before != mac => {
            format!("found, and kept but for its MAC address, which was {}", MacAddr(before))
        }
        _ => "found, and kept as it was".to_owned(),
    };
    let mut said = vec![
        format!("{name}: {state}, MAC {}, MTU {MTU}; the wire is {driver}, MTU {}", MacAddr(mac), config.mtu),
        format!(
            "memory: {}; between port and interface at most {:.1} MiB",
            port.memory(&config),
            Daemon::memory(&config) as f64 / f64::from(1 << 20)
        ),
    ];
    if options.rx_mode() != Mode::Poll && !config.interrupts {
        said.push(format!(
            "{driver} cannot interrupt: without traffic it is looked at 500 times a second, so that a \
             frame then waits for up to 2 ms"
        ));
    }
    Ok(Opened { port, config, tap, mac, routes, said })
}
