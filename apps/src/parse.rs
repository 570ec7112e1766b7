//! Parses the values of options and commands: addresses, sets, pairs, sizes of memory.
//!
//! clap calls these functions for the options of all three programs, and lm-testpmd's prompt for its
//! commands. Each error says what the value should look like. The functions with `_text` in their names, and
//! [`endpoint`], write values for reports.

use std::net::Ipv4Addr;

use lm_engine::Receiver;
use lm_landing::SlotLayout;
use lm_proto::alf::ChecksumMode;
use lm_proto::order::Order;
use lm_proto::policy::Require;
use lm_proto::wire::Mac;

/// Two IPv4 addresses, host order: source and destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) src: u32,
    pub(crate) dst: u32,
}

/// Two UDP ports: source and destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UdpPorts {
    pub(crate) src: u16,
    pub(crate) dst: u16,
}

/// The MAC address of a port's peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) port: u16,
    pub(crate) mac: Mac,
}

/// `198.18.0.1,198.18.0.2`
pub(crate) fn addresses(text: &str) -> Result<Addresses, String> {
    let parse = |t: &str| t.trim().parse::<Ipv4Addr>().ok().map(Ipv4Addr::to_bits);
    text.split_once(',')
        .and_then(|(src, dst)| Some(Addresses { src: parse(src)?, dst: parse(dst)? }))
        .ok_or_else(|| "give two IPv4 addresses, SRC,DST, such as 198.18.0.1,198.18.0.2".to_owned())
}

/// `9,9`, or `9` for both.
pub(crate) fn udp_ports(text: &str) -> Result<UdpPorts, String> {
    let (src, dst) = text.split_once(',').unwrap_or((text, text));
    match (src.trim().parse(), dst.trim().parse()) {
        (Ok(src), Ok(dst)) if dst != 0 => Ok(UdpPorts { src, dst }),
        _ => Err("give two UDP ports, SRC,DST, such as 9,9".to_owned()),
    }
}

/// `0,02:00:00:00:00:01`
pub(crate) fn peer(text: &str) -> Result<Peer, String> {
    text.split_once(',')
        .and_then(|(port, m)| Some(Peer { port: port.trim().parse().ok()?, mac: mac(m.trim())? }))
        .ok_or_else(|| "give a port and a MAC address, PORT,MAC, such as 0,02:00:00:00:00:01".to_owned())
}

fn mac(text: &str) -> Option<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next()?;
        if !(1..=2).contains(&part.len()) || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

/// A MAC address that an interface can have.
pub(crate) fn unicast(text: &str) -> Result<Mac, String> {
    mac(text)
        .filter(|mac| mac[0] & 1 == 0 && *mac != [0; 6])
        .ok_or_else(|| format!("{text:?} is no MAC address of one interface: write it as 02:00:00:00:00:01"))
}

/// `headers,checksum,tags`, at least one of them.
pub(crate) fn require(text: &str) -> Result<Require, String> {
    let mut set = Require { headers: false, checksum: false, tags: false };
    for word in text.split([',', '|']) {
        match word.trim() {
            "headers" => set.headers = true,
            "checksum" => set.checksum = true,
            "tags" => set.tags = true,
            other => {
                return Err(format!(
                    "{other:?} is no proof; give a set of headers, checksum, tags, with commas"
                ));
            }
        }
    }
    Ok(set)
}

/// A set of proofs as options have it.
pub(crate) fn require_text(set: Require) -> String {
    [("headers", set.headers), ("checksum", set.checksum), ("tags", set.tags)]
        .iter()
        .filter_map(|&(name, on)| on.then_some(name))
        .collect::<Vec<_>>()
        .join(",")
}

/// The layout of slots; `None`: the receiver chooses it by what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots(pub(crate) Option<SlotLayout>);

impl Slots {
    /// Tells a receiver to use this layout.
    pub(crate) fn lay(self, receiver: &mut Receiver) {
        match self.0 {
            Some(layout) => receiver.set_layout(layout),
            None => receiver.set_auto(),
        }
    }
}

/// `auto`, `overlapping` or `separate`.
pub(crate) fn slots(text: &str) -> Result<Slots, String> {
    match text {
        "auto" => Ok(Slots(None)),
        _ => layout(text)
            .map(|layout| Slots(Some(layout)))
            .map_err(|_| "give auto, overlapping or separate".to_owned()),
    }
}

/// The order in which fragments are sent; `None`: as suits the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerOrder(pub(crate) Option<Order>);

/// `auto`, `reverse` or `forward`.
pub(crate) fn order(text: &str) -> Result<PeerOrder, String> {
    match text {
        "auto" => Ok(PeerOrder(None)),
        "reverse" => Ok(PeerOrder(Some(Order::Reverse))),
        "forward" => Ok(PeerOrder(Some(Order::Forward))),
        _ => Err("give auto, reverse or forward".to_owned()),
    }
}

/// `overlapping` or `separate`.
pub(crate) fn layout(text: &str) -> Result<SlotLayout, String> {
    match text {
        "overlapping" => Ok(SlotLayout::Overlapping),
        "separate" => Ok(SlotLayout::Separate),
        _ => Err("give overlapping or separate".to_owned()),
    }
}

/// A slot layout as options have it.
pub(crate) fn layout_text(layout: SlotLayout) -> &'static str {
    match layout {
        SlotLayout::Overlapping => "overlapping",
        SlotLayout::Separate => "separate",
    }
}

/// `02:00:00:00:00:01`
pub(crate) fn landing_mac(text: &str) -> Result<Mac, String> {
    mac(text.trim()).ok_or_else(|| "give MAC addresses, MAC[,MAC], such as 02:00:00:00:00:01".to_owned())
}

/// What is done about a card's relaxed ordering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelaxedOrdering {
    /// Without proof that it is off, slots do not overlap.
    Prove,
    /// What cannot be proven is taken to be so.
    AssumeOff,
}

/// `prove` or `assume-off`.
pub(crate) fn relaxed_ordering(text: &str) -> Result<RelaxedOrdering, String> {
    match text {
        "prove" => Ok(RelaxedOrdering::Prove),
        "assume-off" => Ok(RelaxedOrdering::AssumeOff),
        _ => Err("give prove or assume-off".to_owned()),
    }
}

/// Whether the card's words are heard.
pub(crate) fn card_words(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{text:?} is neither on nor off")),
    }
}

/// `full` or `zero`.
pub(crate) fn checksum(text: &str) -> Result<ChecksumMode, String> {
    match text {
        "full" => Ok(ChecksumMode::Full),
        "zero" => Ok(ChecksumMode::Zero),
        _ => Err("give full or zero".to_owned()),
    }
}

/// Bytes of a landing region at least: one chunk, the unit of its use.
const LEAST_REGION: u64 = lm_landing::region::CHUNK as u64;

/// Bytes of a landing region at most: half of this machine's memory, and no more than a port accepts.
fn most_region() -> u64 {
    let system = rustix::system::sysinfo();
    let memory = (system.totalram as u64).saturating_mul(u64::from(system.mem_unit).max(1));
    (memory / 2).clamp(LEAST_REGION, pmd_e1000::port::MOST_REGION as u64)
}

/// `4194304` or `4M`: bytes of a landing region.
pub(crate) fn region(text: &str) -> Result<usize, String> {
    let most = most_region();
    let fits = |n: &u64| (LEAST_REGION..=most).contains(n);
    bytes(text).filter(fits).and_then(|n| usize::try_from(n).ok()).ok_or_else(|| {
        format!(
            "a landing region has {LEAST_REGION} to {most} bytes on this machine (half of its memory), \
             such as 4194304 or 4M"
        )
    })
}

/// A number of bytes, in plain digits, with K, M, G or T (of 1024) behind them or not.
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        b'T' | b't' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(1 << shift)
}

/// An address and a UDP port as logs have them.
pub(crate) fn endpoint(address: u32, port: u16) -> String {
    format!("{}:{port}", Ipv4Addr::from_bits(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_documented() {
        assert_eq!(addresses("198.18.0.1,198.18.0.2"), Ok(Addresses { src: 0xc612_0001, dst: 0xc612_0002 }));
        assert_eq!(udp_ports("7,9"), Ok(UdpPorts { src: 7, dst: 9 }));
        assert_eq!(udp_ports("7"), Ok(UdpPorts { src: 7, dst: 7 }));
        let mac = [2, 0, 0, 0xab, 0, 1];
        assert_eq!(peer("3,02:00:00:ab:00:01"), Ok(Peer { port: 3, mac }));
        let set = require("checksum,tags").expect("a set");
        assert_eq!((set.headers, set.checksum, set.tags), (false, true, true));
        assert_eq!(require_text(set), "checksum,tags");
        assert_eq!(slots("separate"), Ok(Slots(Some(SlotLayout::Separate))));
        assert_eq!(slots("auto"), Ok(Slots(None)));
        assert_eq!(order("forward"), Ok(PeerOrder(Some(Order::Forward))));
        assert!(order("auto") == Ok(PeerOrder(None)) && order("random").is_err());
        assert_eq!(checksum("zero"), Ok(ChecksumMode::Zero));
        assert_eq!(relaxed_ordering("assume-off"), Ok(RelaxedOrdering::AssumeOff));
        assert_eq!(endpoint(0xc612_0001, 9), "198.18.0.1:9");
    }

    #[test]
    fn regions_are_bounded_by_the_machine() {
        assert_eq!(
            (region("4194304"), region("4M"), region("4096k")),
            (Ok(4 << 20), Ok(4 << 20), Ok(4 << 20))
        );
        assert_eq!(region("131072"), Ok(128 << 10));
        for bad in [
            "",
            "0",
            "1",
            "131071",
            "-1",
            "+4194304",
            "4MB",
            "M",
            "4.5M",
            " 4M",
            "16T",
            "17592186044416",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "16777216T",
            "0x400000",
        ] {
            let told = region(bad).expect_err(bad);
            assert!(told.contains("131072 to ") && told.contains(&most_region().to_string()), "{told}");
        }
    }

    #[test]
    fn errors_say_what_to_give() {
        for bad in ["198.18.0.1", "198.18.0.1,x", "1.2.3.4,1.2.3.4,1.2.3.4", ""] {
            assert!(addresses(bad).expect_err(bad).contains("SRC,DST"));
        }
        for bad in ["", "70000,9", "9,0", "9,9,9"] {
            assert!(udp_ports(bad).expect_err(bad).contains("SRC,DST"));
        }
        for bad in
            ["02:00:00:00:00:01", "0,02:00:00:00:00", "0,02:00:00:00:00:01:02", "0,02:00:00:00:00:+1", "x,"]
        {
            assert!(peer(bad).expect_err(bad).contains("PORT,MAC"));
        }
        assert!(require("").expect_err("empty").contains("headers, checksum, tags"));
        assert!(require("header").expect_err("a typing error").contains("\"header\""));
        assert!(slots("both").is_err() && checksum("none").is_err());
        assert!(relaxed_ordering("off").expect_err("not a word").contains("assume-off"));
    }
}
