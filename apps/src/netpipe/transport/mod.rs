//! Transports: what carries datagrams between the two ends.
//!
//! - [`interface`]: the trait, and how a transport is chosen.
//! - [`settings`]: the settings of transports. [`wire_bytes`]: how many bytes a datagram takes on a wire.
//! - [`landing`]: LM, without and with a copy.
//! - [`stock_port`] and [`headers`]: a DPDK port without LM, used by [`frag`] (DPDK's library) and [`bare`]
//!   (frames alone).
//! - [`kernel`]: the kernel's sockets.
//!
//! To add a transport, write a file with a [`Kind`], and add a line to [`KINDS`]. Options, help and errors
//! follow from that list.

mod bare;
mod frag;
mod headers;
mod interface;
mod kernel;
mod landing;
mod settings;
mod stock_port;
mod wire_bytes;

use rte::Eal;
use rte::port::ports;

use self::interface::Open;

pub(crate) use self::interface::{Action, Kind, Transport};
pub(crate) use self::settings::Settings;
pub(crate) use self::stock_port::pool_stays;

/// All of them.
pub(crate) static KINDS: &[&Kind] = &[
    &landing::ZERO_COPY,
    &landing::COPY,
    &frag::KIND,
    &bare::KIND,
    &bare::SUM,
    &kernel::WAITING,
    &kernel::BUSY,
];

/// The kind of this name.
pub(crate) fn kind(name: &str) -> Result<&'static Kind, String> {
    KINDS
        .iter()
        .find(|kind| kind.name == name.trim())
        .copied()
        .ok_or_else(|| format!("give one or more of {}, with commas", names()))
}

/// Their names, with commas.
pub(crate) fn names() -> String {
    KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

/// The names of those that need a port, in words.
pub(crate) fn names_with_port() -> String {
    let names: Vec<_> = KINDS.iter().filter(|kind| kind.needs_port()).map(|kind| kind.name).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, names)) => format!("{} and {last}", names.join(", ")),
        None => String::new(),
    }
}

/// Opens those that are chosen. Ports are given out in order.
pub(crate) fn open(
    eal: Option<&Eal>,
    chosen: &[&'static Kind],
    settings: &Settings,
) -> Result<Vec<Box<dyn Transport>>, String> {
    let mut free = eal.map(|eal| ports(eal).collect::<Vec<_>>()).unwrap_or_default().into_iter();
    let mut all = Vec::new();
    for kind in chosen {
        all.push(match kind.open {
            Open::Kernel(open) => open(settings)?,
            Open::Port(open) => {
                let (eal, id) = eal.zip(free.next()).ok_or_else(|| no_port(kind, chosen))?;
                open(eal, id, settings)?
            }
        });
    }
    Ok(all)
}

/// The error if there are fewer ports than transports that need one.
fn no_port(kind: &Kind, chosen: &[&'static Kind]) -> String {
    let n = chosen.iter().filter(|kind| kind.needs_port()).count();
    format!(
        "there is no port for {}: EAL needs {n}, one for each of {} that is measured; give it -a or --vdev",
        kind.name,
        names_with_port()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_name() {
        assert!(KINDS.iter().all(|one| std::ptr::eq(kind(one.name).expect("a name"), *one)));
        let why = kind("tcp").expect_err("none");
        assert!(KINDS.iter().all(|one| why.contains(one.name)), "{why}");
    }

    #[test]
    fn help_and_errors_name_those_that_need_a_port() {
        let names = names_with_port();
        assert!(names.starts_with("lm, lm-copy, ip-frag") && names.contains(" and "), "{names}");
        assert!(!names.contains("udp"), "{names}");
        let why = no_port(&bare::KIND, &[&bare::KIND, &kernel::BUSY]);
        assert!(why.starts_with("there is no port for bare: EAL needs 1, one for each of lm, "), "{why}");
    }
}
