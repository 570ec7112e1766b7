//! [`cut`]: cuts an IPv4 packet of any protocol into fragments that fit the wire (RFC 791, section 3.2).
//!
//! lmd calls it for packets that [`crate::outward`] wants cut. The payload is not copied: each fragment is
//! given as headers and a part of the frame. Options are repeated in later fragments where their type says
//! so.

use lm_proto::checksum::header;
use lm_proto::layout::full_payload;
use lm_proto::wire::IPV4;

use crate::view::{Ipv4View, MORE, put16};

/// The flag in an option's type that says: copy this option into every fragment (RFC 791, section 3.1).
const COPIED: u8 = 0x80;

/// Cuts the packet of a frame for an MTU, and calls `each` for each fragment, first one first. It gets the
/// headers, that of Ethernet included, and the payload behind them. `id` is the identification of all
/// fragments. A packet that is a fragment itself keeps its own, because other fragments of its datagram have
/// it.
///
/// Returns `false` if the MTU leaves no room for payload behind the headers.
pub fn cut(frame: &[u8], ip: &Ipv4View, mtu: usize, id: u16, mut each: impl FnMut(&[u8], &[u8])) -> bool {
    let payload = &frame[ip.payload..ip.end];
    let first = frame[..ip.payload].to_vec();
    let mut later = first[..ip.at + IPV4].to_vec();
    copied_options(&frame[ip.at + IPV4..ip.payload], &mut later);
    later[ip.at] = 0x40 | ((later.len() - ip.at) / 4) as u8;
    let mut at = 0;
    while at < payload.len() {
        let headers = if at == 0 { &first } else { &later };
        let room = full_payload(mtu, headers.len() - ip.at);
        let rest = payload.len() - at;
        // The last one may fill what is left up to a multiple of eight.
        let fits = rest <= mtu.saturating_sub(headers.len() - ip.at);
        let n = if fits { rest } else { room };
        if n == 0 {
            return false;
        }
        let mut headers = headers.clone();
        let more = ip.more || n < rest;
        let head = &mut headers[ip.at..];
        put16(head, 2, (head.len() + n) as u16);
        put16(head, 4, if ip.is_fragment() { ip.id } else { id });
        put16(head, 6, ((ip.offset + at) / 8) as u16 | if more { MORE } else { 0 });
        put16(head, 10, 0);
        let sum = header(head);
        put16(head, 10, sum);
        each(&headers, &payload[at..at + n]);
        at += n;
    }
    true
}

/// Appends the options that go into every fragment, padded to a multiple of four.
fn copied_options(mut options: &[u8], to: &mut Vec<u8>) {
    let start = to.len();
    while let [kind, rest @ ..] = options {
        let len = match kind {
            0 => break,
            1 => 1,
            _ => usize::from(rest.first().copied().unwrap_or(0)),
        };
        if len == 0 || len > options.len() {
            break;
        }
        if kind & COPIED != 0 {
            to.extend_from_slice(&options[..len]);
        }
        options = &options[len..];
    }
    let padded = (to.len() - start).next_multiple_of(4);
    to.resize(start + padded, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{PLAIN, ipv4, pattern, with_word};
    use lm_proto::reassembler::{Fragment, Key, Limits, Outcome, Reassembler, Store};
    use lm_proto::service::Service;
    use lm_proto::wire::Ipv4;

    struct Heap;
    impl Store for Heap {
        type Buf = Vec<u8>;
        fn take(&mut self) -> Option<Vec<u8>> {
            Some(vec![0; 1 << 16])
        }
    }

    /// What a receiver makes of the fragments, whose headers are good and fit.
    fn received(fragments: &[Vec<u8>], mtu: usize) -> Option<(u16, Vec<u8>)> {
        let mut table = Reassembler::new(Limits::default());
        let mut done = None;
        for frame in fragments {
            let packet = &frame[14..];
            assert!(packet.len() <= mtu);
            let ip = Ipv4::parse(packet, packet.len()).expect("a good header");
            assert_eq!((ip.ttl, ip.protocol, frame[15]), (PLAIN.ttl, PLAIN.protocol, 0));
            let key = Key { src: ip.src, dst: ip.dst, id: ip.id, protocol: ip.protocol };
            let data = &packet[usize::from(ip.header_len)..];
            let fragment = Fragment { offset: ip.offset, more: ip.more, service: Service::default(), data };
            if let Outcome::Whole(a) = table.insert(0, key, fragment, &mut Heap) {
                done = Some((ip.id, a.buf[..a.len].to_vec()));
            }
        }
        done
    }

    fn fragments(frame: &[u8], mtu: usize, id: u16) -> Vec<Vec<u8>> {
        let ip = Ipv4View::of(frame).expect("IPv4");
        let mut all = Vec::new();
        assert!(cut(frame, &ip, mtu, id, |head, payload| all.push([head, payload].concat())));
        all
    }

    #[test]
    fn a_receiver_puts_it_together() {
        for mtu in [576, 1500, 1501, 1499, 9000] {
            for len in [1, 7, 8, 555, 556, 557, 1480, 1481, 8192, 20_008, 65_515] {
                let all = fragments(&ipv4(PLAIN, &pattern(len)), mtu, 77);
                assert_eq!(received(&all, mtu), Some((77, pattern(len))), "{mtu} {len}");
                let stride = full_payload(mtu, 20);
                let full = all.iter().filter(|frame| frame.len() == 34 + stride).count();
                assert!(all.len() <= full + 2, "{mtu} {len}: no more fragments than needed");
            }
        }
    }

    #[test]
    fn a_fragment_keeps_its_identification_and_its_place() {
        let data = pattern(40_000);
        let ip = Ipv4 { id: 0x4321, ..PLAIN };
        let mut all = Vec::new();
        for (offset, more) in [(0, true), (16_000, true), (32_000, false)] {
            let part = ipv4(
                Ipv4 { offset, more, ..ip },
                &data[offset as usize..][..if more { 16_000 } else { 8000 }],
            );
            all.extend(fragments(&part, 1500, 1));
        }
        assert_eq!(received(&all, 1500), Some((0x4321, data)));
    }

    #[test]
    fn options_go_where_they_belong() {
        let mut frame = ipv4(PLAIN, &pattern(4000));
        // No operation; a record of 7 bytes for the first fragment; one of 4 for all of them.
        let options = [1, 7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0];
        frame.splice(34..34, options);
        frame[14] = 0x48;
        frame[16..18].copy_from_slice(&4032_u16.to_be_bytes());
        let frame = with_word(frame, 0);
        let all = fragments(&frame, 1500, 9);
        assert_eq!((all[0][14], &all[0][34..46]), (0x48, &options[..]));
        for later in &all[1..] {
            assert_eq!((later[14], &later[34..38]), (0x46, &[148, 4, 0, 0][..]));
        }
        assert_eq!(received(&all, 1500), Some((9, pattern(4000))));
    }

    #[test]
    fn hostile_options_end_somewhere() {
        for options in [[7, 0, 0, 0], [7, 255, 0, 0], [0x87, 5, 0, 0], [1, 1, 1, 0x87]] {
            let mut to = vec![9; 20];
            copied_options(&options, &mut to);
            assert_eq!(to.len(), 20, "{options:?}");
        }
        let frame = ipv4(PLAIN, &pattern(100));
        let ip = Ipv4View::of(&frame).expect("IPv4");
        assert!(!cut(&frame, &ip, 27, 1, |_, _| {}), "nothing fits");
    }
}
