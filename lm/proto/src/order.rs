//! In which order a datagram's fragments go out, and how nodes of LM know one another for that.
//!
//! Fragments in reverse order land without a copy at a node of LM's. To a kernel forward order is cheaper:
//! its reassembly appends what comes in order, and searches for everything else (`docs/results.md`). So the
//! order is chosen by peer:
//!
//! | peer | order |
//! |---|---|
//! | its ARP frames have the [mark](Mark), or its datagrams LM's tag, whichever came last | reverse |
//! | its ARP frames have no mark | forward |
//! | a multicast group, the broadcast address | forward |
//! | nothing was ever heard of it: its hardware address was given, or nobody answers | reverse |
//!
//! # The mark
//!
//! An ARP packet fills 42 of the 60 bytes of the shortest Ethernet frame; the rest is padding, which nobody
//! reads. A node of LM's writes 8 bytes there, right behind the packet:
//!
//! | byte | 0..2 | 2 | 3 | 4..8 |
//! |---|---|---|---|---|
//! | | `4c 4d`, "LM" | version, 1 | 0 | a hash of the sender's addresses |
//!
//! The hash is there for stacks that answer in the frame that asked, or pad with whatever was in their
//! memory: what they send back of our mark names us, and not them. It is no secret. Whoever forges a mark
//! makes a kernel get reverse order, or a node of LM's forward order: both deliver, and cost more.
//! `docs/wire.md` has the test vectors.

mod stations;

pub use self::stations::Stations;

use crate::checksum::mix;
use crate::wire::{Arp, MIN_FRAME, Mac};

/// In which order fragments are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The last fragment first: what lands.
    #[default]
    Reverse,
    /// The first fragment first, as kernels send.
    Forward,
}

/// What an ARP frame's padding says: its sender is a node of LM's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark;

impl Mark {
    /// Bytes of a mark.
    pub const LEN: usize = 8;
    /// The version that is written and known.
    pub const VERSION: u8 = 1;

    /// The mark of the node that has these addresses.
    pub fn bytes(mac: Mac, address: u32) -> [u8; Self::LEN] {
        let mac = mac.iter().fold(0, |all, &b| all << 8 | u64::from(b));
        let hash = (mix(mix(mac) ^ u64::from(address)) >> 32) as u32;
        let [a, b, c, d] = hash.to_be_bytes();
        [b'L', b'M', Self::VERSION, 0, a, b, c, d]
    }

    /// The same ARP frame with a mark, if it is one of this station's own and has room for one.
    pub fn on(frame: &[u8], mac: Mac) -> Option<[u8; MIN_FRAME]> {
        let arp = Arp::parse(frame).filter(|arp| arp.sender_mac == mac && frame.len() <= MIN_FRAME)?;
        let mut marked = [0; MIN_FRAME];
        marked[..Arp::FRAME].copy_from_slice(&frame[..Arp::FRAME]);
        let mark = Self::bytes(mac, arp.sender);
        marked[Arp::FRAME..Arp::FRAME + Self::LEN].copy_from_slice(&mark);
        Some(marked)
    }

    /// Marks an ARP frame that its sender has made.
    pub fn put(frame: &mut [u8; MIN_FRAME]) {
        if let Some(arp) = Arp::parse(frame) {
            let mark = Self::bytes(arp.sender_mac, arp.sender);
            frame[Arp::FRAME..Arp::FRAME + Self::LEN].copy_from_slice(&mark);
        }
    }

    /// Whether this frame, which holds `arp`, has its sender's mark.
    pub fn is_on(frame: &[u8], arp: &Arp) -> bool {
        frame.get(Arp::FRAME..Arp::FRAME + Self::LEN) == Some(&Self::bytes(arp.sender_mac, arp.sender)[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::BROADCAST;

    fn question(mac: Mac, sender: u32) -> Arp {
        Arp { operation: Arp::REQUEST, sender_mac: mac, sender, target_mac: [0; 6], target: 0x0a01_0002 }
    }

    #[test]
    fn a_mark_is_its_senders_alone() {
        let (us, them) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let arp = question(us, 0x0a01_0001);
        let mut frame = arp.frame(BROADCAST);
        assert!(!Mark::is_on(&frame, &arp), "a kernel's padding");
        Mark::put(&mut frame);
        assert!(Mark::is_on(&frame, &arp));
        assert_eq!(Arp::parse(&frame), Some(arp), "the packet is as it was");
        // An answer in the same frame.
        for other in [question(them, arp.sender), question(us, 0x0a01_0003)] {
            let mut answer = other.frame(us);
            answer[Arp::FRAME..].copy_from_slice(&frame[Arp::FRAME..]);
            assert!(!Mark::is_on(&answer, &other));
        }
        // Each bit of it counts, and a frame that is cut has none.
        for bit in 0..8 * Mark::LEN {
            let mut wrong = frame;
            wrong[Arp::FRAME + bit / 8] ^= 1 << (bit % 8);
            assert!(!Mark::is_on(&wrong, &arp), "bit {bit}");
        }
        assert!((Arp::FRAME..Arp::FRAME + Mark::LEN).all(|len| !Mark::is_on(&frame[..len], &arp)));
    }

    #[test]
    fn a_kernels_frame_is_marked_for_its_own_station_alone() {
        let (us, them) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let arp = question(us, 0x0a01_0001);
        let frame = arp.frame(BROADCAST);
        for len in [Arp::FRAME, MIN_FRAME] {
            let marked = Mark::on(&frame[..len], us).expect("ours");
            assert!(Mark::is_on(&marked, &arp) && marked[..Arp::FRAME] == frame[..Arp::FRAME]);
            assert_eq!(Mark::on(&frame[..len], them), None, "a bridge brought it");
        }
        assert_eq!(Mark::on(&[&frame[..], &[0]].concat(), us), None);
        assert_eq!(Mark::on(&[0; MIN_FRAME], us), None);
    }

    /// The vectors of `docs/wire.md`.
    #[test]
    fn vectors_of_the_specification() {
        let text = include_str!("../../../docs/wire.md");
        for (mac, address) in
            [([2, 0, 0, 0, 0, 1], 0x0a01_0001), ([2, 0, 0, 0, 0, 2], 0x0a01_0002), ([0xfe; 6], 0xc612_0001)]
        {
            let hex = |b: &[u8], sep| b.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(sep);
            let ip = std::net::Ipv4Addr::from_bits(address);
            let row = format!("| {} | {ip} | {} |", hex(&mac, ":"), hex(&Mark::bytes(mac, address), " "));
            assert!(text.contains(&row), "docs/wire.md lacks {row}");
        }
    }
}
