//! [`clamp`]: lowers the maximum segment size (MSS) in TCP's SYNs to what fits the wire.
//!
//! Each end says in its SYN how long the segments may be that it receives (RFC 9293, section 3.7.1). The
//! kernel uses the MTU of its interface, which is far above the wire's. So the number is lowered in both
//! directions.

use lm_proto::wire::{IPV4, IPV6};

use crate::view::{Ipv4View, be16, put16, transport};

const TCP: usize = 20;
const SYN: u8 = 2;

/// Lowers the number in a frame that is a SYN to what fits an MTU. `partial`: the checksum counts the pseudo
/// header alone so far. Returns whether there was something to lower.
pub fn clamp(frame: &mut [u8], mtu: u16, partial: bool) -> bool {
    let Some((6, at)) = transport(frame) else { return false };
    let is_ipv4 = Ipv4View::of(frame).is_some();
    let most = mtu.saturating_sub((TCP + if is_ipv4 { IPV4 } else { IPV6 }) as u16);
    let Some(tcp) = frame.get_mut(at..).filter(|tcp| tcp.len() >= TCP && tcp[13] & SYN != 0) else {
        return false;
    };
    let end = (usize::from(tcp[12] >> 4) * 4).min(tcp.len());
    let (mut at, mut lowered) = (TCP, false);
    // There is one such option, but a stack that finds several may use any of them: Linux uses the last.
    while let Some(place) = next_option(tcp, &mut at, end) {
        lowered |= lower(tcp, place, most, partial);
    }
    lowered
}

/// Lowers the number at this place, and mends the checksum. Returns whether it was larger.
fn lower(tcp: &mut [u8], place: usize, most: u16, partial: bool) -> bool {
    let old = be16(tcp, place);
    if old <= most {
        return false;
    }
    put16(tcp, place, most);
    if !partial {
        // RFC 1624, equation 3. A number at an odd place counts with its bytes exchanged.
        let word = |value: u16| if place.is_multiple_of(2) { value } else { value.swap_bytes() };
        let sum = u32::from(!be16(tcp, 16)) + u32::from(!word(old)) + u32::from(word(most));
        let sum = (sum & 0xffff) + (sum >> 16);
        put16(tcp, 16, !((sum & 0xffff) + (sum >> 16)) as u16);
    }
    true
}

/// Where the number of the next such option is. `at` goes on behind it.
fn next_option(tcp: &[u8], at: &mut usize, end: usize) -> Option<usize> {
    while *at < end {
        let here = *at;
        match (tcp[here], tcp.get(here + 1)) {
            (0, _) => return None,
            (1, _) => *at += 1,
            (kind, Some(&len)) if len >= 2 => {
                *at += usize::from(len);
                if (kind, len) == (2, 4) && *at <= end {
                    return Some(here + 2);
                }
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{PLAIN, ipv4};
    use lm_proto::checksum::header;
    use lm_proto::wire::Ipv4;

    /// The checksum of TCP in a frame: 0 if it agrees.
    fn sum(frame: &[u8]) -> u16 {
        let ip = Ipv4View::of(frame).expect("IPv4");
        let tcp = &frame[ip.payload..ip.end];
        let mut all = frame[ip.at + 12..ip.at + 20].to_vec();
        all.extend([0, 6]);
        all.extend((tcp.len() as u16).to_be_bytes());
        all.extend(tcp);
        header(&all)
    }

    fn syn(flags: u8, options: &[u8]) -> Vec<u8> {
        let mut tcp = vec![0, 80, 1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, flags, 0xff, 0xff, 0, 0, 0, 0];
        tcp.extend(options);
        tcp[12] = ((tcp.len() / 4) << 4) as u8;
        let mut frame = ipv4(Ipv4 { protocol: 6, ..PLAIN }, &tcp);
        let sum = sum(&frame);
        frame[50..52].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    #[test]
    fn a_syn_is_lowered_and_its_checksum_still_agrees() {
        for options in
            [&[2, 4, 0xff, 0xc9][..], &[1, 2, 4, 0xff, 0xc9, 1, 1, 0], &[3, 3, 7, 1, 2, 4, 5, 0xb5]]
        {
            for flags in [0x02, 0x12] {
                let mut frame = syn(flags, options);
                assert_eq!(sum(&frame), 0);
                assert!(clamp(&mut frame, 1500, false));
                assert_eq!(sum(&frame), 0, "{options:?}");
                assert!(frame[54..].windows(4).any(|b| b == [2, 4, 0x05, 0xb4]), "{options:?}");
                assert!(!clamp(&mut frame, 1500, false), "once is enough");
            }
        }
    }

    #[test]
    fn each_of_several_is_lowered() {
        let mut frame = syn(2, &[2, 4, 0xff, 0xc9, 2, 4, 5, 0xb4, 1, 2, 4, 0x20, 0, 0, 0, 0]);
        assert!(clamp(&mut frame, 1500, false));
        assert_eq!(sum(&frame), 0);
        let lowered = frame[54..].windows(4).filter(|b| *b == [2, 4, 0x05, 0xb4]).count();
        assert_eq!(lowered, 3);
    }

    #[test]
    fn a_partial_checksum_stays() {
        let mut frame = syn(2, &[2, 4, 0xff, 0xc9]);
        let before = frame[50..52].to_vec();
        assert!(clamp(&mut frame, 1500, true));
        assert_eq!(frame[50..52], before);
    }

    #[test]
    fn what_is_no_syn_or_small_stays() {
        for (flags, options) in [
            (0x10, &[2, 4, 0xff, 0xc9][..]),
            (0x02, &[2, 4, 5, 0xb4]),
            (0x02, &[]),
            (0x02, &[0, 2, 4, 0xff]),
            (0x02, &[1, 1, 1, 2]),
            (0x02, &[9, 0, 2, 4]),
            (0x02, &[1, 2, 4, 0xff]),
        ] {
            let frame = syn(flags, options);
            let mut clamped = frame.clone();
            assert!(!clamp(&mut clamped, 1500, false), "{options:?}");
            assert_eq!(frame, clamped);
        }
    }

    #[test]
    fn ipv6_has_a_longer_header() {
        let mut frame = vec![0; 14 + 40];
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        (frame[14], frame[20]) = (0x60, 6);
        let tcp = [0, 80, 1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 0xff, 0xc9];
        frame.extend(tcp);
        for len in 0..frame.len() {
            assert!(!clamp(&mut frame.clone()[..len], 1500, true), "{len}");
        }
        assert!(clamp(&mut frame, 1500, true));
        assert_eq!(frame[76..78], 1440_u16.to_be_bytes());
    }
}
