//! Commands that change settings. Settings from which engines are made take effect at the next start, and all
//! others at once.
//!
//! [`super::table`] has this list. A setting of the running loop is sent to it as an order; links that rest
//! are changed here.

use lm_landing::SlotLayout;
use lm_landing::device::Allowed;

use super::command::{Command, Hints, nothing, one, usage};
use crate::console::say;
use crate::parse;
use crate::testpmd::engine;
use crate::testpmd::event::Next;
use crate::testpmd::forwarder::Order;
use crate::testpmd::session::Session;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "set fwd",
        args: "<rx|tx|ping|echo>",
        help: "the forwarding mode, from the next start on",
        complete: |_| engine::KINDS.iter().map(|kind| kind.name.to_owned()).collect(),
        run: fwd,
    },
    Command {
        name: "set txsize",
        args: "<BYTES|LO-HI|LO-HI/STEP|list>",
        help: "payload sizes from the next start on",
        complete: nothing,
        run: txsize,
    },
    Command {
        name: "set burst",
        args: "<1..512>",
        help: "frames that one poll takes",
        complete: nothing,
        run: burst,
    },
    Command {
        name: "set verbose",
        args: "<level>",
        help: "1: show each received datagram; 0: do not",
        complete: nothing,
        run: verbose,
    },
    Command {
        name: "set lm slots",
        args: "<auto|overlapping|separate>",
        help: "the layout of slots; takes effect one ring later",
        complete: |_: &Hints| ["auto", "overlapping", "separate"].map(str::to_owned).to_vec(),
        run: slots,
    },
    Command {
        name: "set lm require",
        args: "<headers,checksum,tags>",
        help: "the accepted proofs that a datagram is whole",
        complete: |_: &Hints| ["headers", "checksum", "tags"].map(str::to_owned).to_vec(),
        run: require,
    },
];

fn fwd(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    session.options.forward_mode = engine::kind(one(args)?)?;
    say!("Set {} packet forwarding mode{}", session.options.forward_mode.name, from_when(session));
    Ok(Next::Command)
}

fn txsize(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    session.options.txsize = one(args)?.parse()?;
    say!("Payload sizes are {}{}", session.options.txsize, from_when(session));
    Ok(Next::Command)
}

fn from_when(session: &Session) -> &'static str {
    if session.is_busy() { ", from the next start on" } else { "" }
}

fn burst(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    let Some(burst) = one(args)?.parse().ok().filter(|n| (1..=512_u16).contains(n)) else { return usage() };
    session.options.port.landing.burst = burst;
    session.order(Order::Burst(burst.into()));
    say!("Number of packets per burst set to {burst}");
    Ok(Next::Command)
}

fn verbose(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    let Ok(level) = one(args)?.parse() else { return usage() };
    say!("Change verbose level from {} to {level}", session.verbose);
    session.verbose = level;
    session.order(Order::Verbose(level));
    Ok(Next::Command)
}

fn slots(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    let slots = parse::slots(one(args)?)?;
    if slots.0 == Some(SlotLayout::Overlapping) {
        for port in &session.ports {
            if let Allowed::SeparateOnly(_) = port.landing.traits().allowed {
                let why = &port.landing.verdict().why;
                return Err(format!("Port {} cannot have overlapping slots: {why}", port.id()));
            }
        }
    }
    session.options.port.slots = slots;
    // With admission control and the layout `auto`, grants choose the layout.
    if slots.0.is_some() || session.options.port.ac.is_none() {
        let receivers = session.resting_links().flat_map(|link| &mut link.receivers);
        receivers.for_each(|receiver| slots.lay(receiver));
        session.order(Order::Slots(slots));
    }
    match slots.0 {
        Some(layout) => say!("Slots are {} from a ring length on", parse::layout_text(layout)),
        None => say!("Slots are laid by what arrives from now on"),
    }
    Ok(Next::Command)
}

fn require(session: &mut Session, args: &[&str]) -> Result<Next, String> {
    let set = parse::require(one(args)?)?;
    session.options.port.require = set;
    let receivers = session.resting_links().flat_map(|link| &mut link.receivers);
    receivers.for_each(|receiver| receiver.set_require(set));
    session.order(Order::Require(set));
    say!("Datagrams are proven by {}", parse::require_text(set));
    Ok(Next::Command)
}
