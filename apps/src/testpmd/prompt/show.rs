//! Commands that show and clear: ports, counters, settings, landing regions and admission control.
//!
//! [`super::table`] has this list. [`report`] prints most of it. The figures of a running loop come in a
//! report from it, because its links belong to another thread.

use super::command::{Command, chosen, none, nothing, one, one_or_all, ports};
use pmd_e1000::LandingPort;

use crate::console::say;
use crate::parse;
use crate::testpmd::event::Next;
use crate::testpmd::report;
use crate::testpmd::session::Session;
use lm_node::admission::View;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "show port info",
        args: "<port|all>",
        help: "properties of a port",
        complete: ports,
        run: port_info,
    },
    Command {
        name: "show port stats",
        args: "<port|all>",
        help: "a port's basic counters",
        complete: ports,
        run: port_stats,
    },
    Command {
        name: "show port xstats",
        args: "<port|all>",
        help: "all counters of a port's driver",
        complete: ports,
        run: port_xstats,
    },
    Command {
        name: "clear port stats",
        args: "<port|all>",
        help: "set a port's basic counters to zero",
        complete: ports,
        run: clear_stats,
    },
    Command {
        name: "clear port xstats",
        args: "<port|all>",
        help: "set all of a port's counters to zero",
        complete: ports,
        run: clear_xstats,
    },
    Command {
        name: "show config fwd",
        args: "",
        help: "settings of forwarding",
        complete: nothing,
        run: config_fwd,
    },
    Command {
        name: "show config rxtx",
        args: "",
        help: "settings of rings and slots",
        complete: nothing,
        run: config_rxtx,
    },
    Command {
        name: "show lm stats",
        args: "[port|all]",
        help: "datagrams, copies and drops since the start",
        complete: ports,
        run: lm_stats,
    },
    Command {
        name: "show lm region",
        args: "[port|all]",
        help: "the landing regions",
        complete: ports,
        run: lm_region,
    },
    Command {
        name: "show ac list",
        args: "[port|all]",
        help: "the nodes that land now (LM_RECV_ADDR)",
        complete: ports,
        run: ac_list,
    },
    Command {
        name: "show ac",
        args: "[port|all]",
        help: "admission control: counters, grants, their times",
        complete: ports,
        run: ac,
    },
];

fn port_info(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    let tallies = session.tallies();
    for i in chosen(session, one(args)?)? {
        report::info(&session.ports[i], tallies[i].1.as_ref());
    }
    Ok(Next::Command)
}

fn port_stats(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    chosen(session, one(args)?)?.into_iter().for_each(|i| report::nic(&mut session.ports[i]));
    Ok(Next::Command)
}

fn port_xstats(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    chosen(session, one(args)?)?.into_iter().for_each(|i| report::xstats(&session.ports[i]));
    Ok(Next::Command)
}

fn clear_stats(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    for index in chosen(session, one(args)?)? {
        let port = &mut session.ports[index];
        port.clear(LandingPort::reset_stats)?;
        say!("\n  NIC statistics for port {} cleared", port.id());
    }
    Ok(Next::Command)
}

fn clear_xstats(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    for index in chosen(session, one(args)?)? {
        let port = &mut session.ports[index];
        port.clear(LandingPort::reset_xstats)?;
        say!("\n  NIC extended statistics for port {} cleared", port.id());
    }
    Ok(Next::Command)
}

fn config_fwd(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args)?;
    let o = &session.options;
    let (ip, udp) = (o.port.tx_ip, o.port.tx_udp);
    say!("{} forwarding - ports={} - {}", o.forward_mode.name, session.ports.len(), o.forward_mode.help);
    say!("  frames/burst={} - verbose={} - seed={}", o.port.landing.burst, session.verbose, o.seed);
    say!("  payload sizes={}", o.txsize);
    say!("  {} -> {}", parse::endpoint(ip.src, udp.src), parse::endpoint(ip.dst, udp.dst));
    say!("  forwarding is {}", if session.is_busy() { "running" } else { "stopped" });
    for port in &session.ports {
        let peer = o.port.eth_peer.iter().rev().find(|peer| peer.port == port.id().0);
        let peer = peer.map_or_else(|| "by ARP".to_owned(), |peer| rte::port::MacAddr(peer.mac).to_string());
        let state = if port.is_started() { "started" } else { "stopped" };
        say!("  port {} ({}), {state}, peer={peer}", port.id(), port.landing.info().driver);
    }
    Ok(Next::Command)
}

fn config_rxtx(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    none(args)?;
    let o = &session.options;
    say!("  {} packet forwarding packets/burst={}", o.forward_mode.name, o.port.landing.burst);
    say!("  checksum={:?} - require={}", o.port.checksum, parse::require_text(o.port.require));
    for (port, (_, pool)) in session.ports.iter().zip(session.tallies()) {
        let setup = port.landing.setup();
        let queues = port.landing.steering().map_or(1, |steering| 1 + steering.macs().len());
        say!("  port {}: RX queue number: {queues} Tx queue number: 1 - mtu={}", port.id(), setup.mtu);
        say!("    RX desc={} - TX desc={}", setup.rxd, setup.txd);
        if let Some(p) = pool {
            say!(
                "    landing region={} - slots={} - mbufs={}",
                p.region,
                parse::layout_text(p.layout),
                p.size
            );
        }
    }
    Ok(Next::Command)
}

fn lm_stats(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    let tallies = session.tallies();
    for index in chosen(session, one_or_all(args)?)? {
        report::lm(session.ports[index].id(), &tallies[index].0);
    }
    Ok(Next::Command)
}

fn lm_region(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    let tallies = session.tallies();
    for index in chosen(session, one_or_all(args)?)? {
        report::region(session.ports[index].id(), tallies[index].1.as_ref());
    }
    Ok(Next::Command)
}

fn ac(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    show_ac(session, args, |view| view.lines)
}

fn ac_list(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    show_ac(session, args, |view| view.list)
}

fn show_ac(session: &mut Session, args: &[&str], part: impl Fn(View) -> Vec<String>) -> Result<Next, String> {
    if session.options.port.ac.is_none() {
        return Err("Admission control is off: start with --ac=exclusive or --ac=per-receiver".to_owned());
    }
    let views = session.admissions();
    for index in chosen(session, one_or_all(args)?)? {
        say!("\n  Admission control of port {}", session.ports[index].id());
        for line in views.get(index).cloned().flatten().map(&part).unwrap_or_default() {
            say!("{line}");
        }
    }
    Ok(Next::Command)
}
