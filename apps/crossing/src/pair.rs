//! [`Pairing`]: joins the two parts of a datagram that is longer than the MTU of the kernel's interface.
//!
//! Linux limits the MTU of a route to 65,520. So a datagram of more than 65,492 bytes of payload arrives in
//! two IPv4 fragments: one of 65,496 bytes, and one of up to 19. If each was cut for the wire by itself, and
//! one of them was lost (in a full queue of the interface, for example), the other would wait at its receiver
//! for half a minute. So both are joined first, and sent together or not at all.

use lm_proto::checksum::header;
use lm_proto::layout::stride;
use lm_proto::wire::MAX_IP_PAYLOAD;

use crate::view::{Ipv4View, put16, vlans};

/// Where the kernel cuts: the largest multiple of 8 that fits a route's MTU behind a header of 20 bytes.
pub const SEAM: usize = stride(65_520) as usize;
/// First pieces that may wait at once. Several CPUs may each be in the midst of a datagram.
const WAITING: usize = 16;
/// How long a first piece waits, in ns. The kernel gives both at one go. But the first one wakes lmd, which
/// may take the CPU from the program that sends, and a busy machine does not give it back for a while.
const PATIENCE: u64 = 1_000_000_000;

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Paired {
    /// It is no piece of such a datagram.
    No,
    /// It is kept until the other one comes.
    Kept,
    /// Both are here: the whole datagram in one frame.
    Whole(Vec<u8>),
    /// It is a second piece, and the first one was lost.
    Lone,
}

/// First pieces that wait.
#[derive(Debug, Default)]
pub struct Pairing {
    waiting: Vec<(Ipv4View, Vec<u8>, u64)>,
    lost: u64,
}

impl Pairing {
    /// The most memory that it takes.
    pub const MEMORY: usize = WAITING * (MAX_IP_PAYLOAD + 128);

    /// First pieces whose other one never came.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes a frame of the kernel's at a time in ns. `ip` is what its header says.
    pub fn take(&mut self, frame: &[u8], ip: &Ipv4View, now: u64) -> Paired {
        let len = ip.end - ip.payload;
        if ip.more && ip.offset == 0 && len == SEAM {
            self.expire(now);
            // The kernel gives the pieces of datagrams with the same identification one after the other.
            self.forget(|other, kept| is_same((other, kept), (ip, frame)));
            if self.waiting.len() == WAITING {
                self.waiting.remove(0);
                self.lost += 1;
            }
            self.waiting.push((*ip, frame[..ip.end].to_vec(), now));
            return Paired::Kept;
        }
        if ip.more || ip.offset != SEAM {
            return Paired::No;
        }
        let Some(i) = self.waiting.iter().position(|(other, kept, _)| is_same((other, kept), (ip, frame)))
        else {
            return Paired::Lone;
        };
        let (first, mut whole, _) = self.waiting.remove(i);
        let total = first.len() + len;
        if len == 0 || total > usize::from(u16::MAX) {
            self.lost += 1;
            return Paired::Lone;
        }
        whole.extend_from_slice(&frame[ip.payload..ip.end]);
        let head = &mut whole[first.at..first.payload];
        put16(head, 2, total as u16);
        put16(head, 6, 0);
        put16(head, 10, 0);
        let sum = header(head);
        put16(head, 10, sum);
        Paired::Whole(whole)
    }

    /// Gives up what has waited for too long.
    pub fn expire(&mut self, now: u64) {
        if !self.waiting.is_empty() {
            self.waiting.retain(|(.., since)| {
                let waits = now.saturating_sub(*since) < PATIENCE;
                self.lost += u64::from(!waits);
                waits
            });
        }
    }

    fn forget(&mut self, which: impl Fn(&Ipv4View, &[u8]) -> bool) {
        let before = self.waiting.len();
        self.waiting.retain(|(other, kept, _)| !which(other, kept));
        self.lost += (before - self.waiting.len()) as u64;
    }
}

/// Whether two fragments are of one datagram (RFC 791, section 3.2) in the same VLAN.
fn is_same((a, first): (&Ipv4View, &[u8]), (b, second): (&Ipv4View, &[u8])) -> bool {
    (a.src, a.dst, a.id, a.protocol) == (b.src, b.dst, b.id, b.protocol) && vlans(first) == vlans(second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{PLAIN, ipv4, pattern};
    use lm_proto::wire::Ipv4;

    /// Both pieces of a datagram of so many bytes of IP payload.
    fn pieces(id: u16, len: usize) -> [Vec<u8>; 2] {
        let data = pattern(len);
        let ip = Ipv4 { id, ..PLAIN };
        let first = ipv4(Ipv4 { more: true, ..ip }, &data[..SEAM]);
        [first, ipv4(Ipv4 { offset: SEAM as u32, ..ip }, &data[SEAM..])]
    }

    fn take(pairing: &mut Pairing, frame: &[u8], now: u64) -> Paired {
        pairing.take(frame, &Ipv4View::of(frame).expect("IPv4"), now)
    }

    #[test]
    fn both_make_one_of_every_length() {
        let mut pairing = Pairing::default();
        for len in SEAM + 1..=MAX_IP_PAYLOAD {
            let [first, second] = pieces(5, len);
            assert_eq!(take(&mut pairing, &first, 0), Paired::Kept);
            let whole = ipv4(Ipv4 { id: 5, ..PLAIN }, &pattern(len));
            assert_eq!(take(&mut pairing, &second, 0), Paired::Whole(whole), "{len}");
        }
        assert_eq!((pairing.waiting.len(), pairing.lost()), (0, 0));
    }

    #[test]
    fn a_second_piece_alone_does_not_leave() {
        let mut pairing = Pairing::default();
        let [first, second] = pieces(5, MAX_IP_PAYLOAD);
        assert_eq!(take(&mut pairing, &second, 0), Paired::Lone);
        assert_eq!(take(&mut pairing, &first, 0), Paired::Kept);
        let [_, other] = pieces(6, MAX_IP_PAYLOAD);
        assert_eq!(take(&mut pairing, &other, 0), Paired::Lone);
        pairing.expire(PATIENCE - 1);
        assert_eq!(pairing.lost(), 0);
        pairing.expire(PATIENCE);
        assert_eq!(pairing.lost(), 1);
        assert_eq!(take(&mut pairing, &second, PATIENCE), Paired::Lone);
    }

    #[test]
    fn pieces_of_two_vlans_are_no_pair() {
        let mut pairing = Pairing::default();
        let tagged = |frame: &[u8], vlan: u8| {
            let mut frame = frame.to_vec();
            frame.splice(12..12, [0x81, 0, 0, vlan]);
            frame
        };
        let [first, second] = pieces(5, MAX_IP_PAYLOAD);
        assert_eq!(take(&mut pairing, &tagged(&first, 1), 0), Paired::Kept);
        assert_eq!(take(&mut pairing, &tagged(&first, 2), 0), Paired::Kept);
        assert_eq!(take(&mut pairing, &tagged(&second, 3), 0), Paired::Lone);
        assert_eq!(take(&mut pairing, &second, 0), Paired::Lone);
        let whole = tagged(&ipv4(Ipv4 { id: 5, ..PLAIN }, &pattern(MAX_IP_PAYLOAD)), 2);
        assert_eq!(take(&mut pairing, &tagged(&second, 2), 0), Paired::Whole(whole));
        assert_eq!((pairing.waiting.len(), pairing.lost()), (1, 0));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut pairing = Pairing::default();
        for id in 0..100 {
            assert_eq!(take(&mut pairing, &pieces(id, MAX_IP_PAYLOAD)[0], 0), Paired::Kept);
        }
        assert_eq!((pairing.waiting.len(), pairing.lost()), (WAITING, 84));
        // The same again takes its place.
        assert_eq!(take(&mut pairing, &pieces(99, MAX_IP_PAYLOAD)[0], 0), Paired::Kept);
        assert_eq!((pairing.waiting.len(), pairing.lost()), (WAITING, 85));
        assert!(matches!(take(&mut pairing, &pieces(99, MAX_IP_PAYLOAD)[1], 0), Paired::Whole(_)));
    }

    #[test]
    fn other_fragments_are_none_of_its() {
        let mut pairing = Pairing::default();
        for (offset, more, len) in [(0, true, 1480), (1480, true, 1480), (1480, false, 9), (0, false, SEAM)] {
            let frame = ipv4(Ipv4 { offset, more, ..PLAIN }, &pattern(len));
            assert_eq!(take(&mut pairing, &frame, 0), Paired::No, "{offset} {more} {len}");
        }
    }
}
